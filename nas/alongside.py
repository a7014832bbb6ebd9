"""Something small that goes on in a thread for as long as something else is done."""

import contextlib
import threading
from collections.abc import Callable, Iterator


@contextlib.contextmanager
def alongside(name: str, work: Callable[[threading.Event], None]) -> Iterator[None]:
    """In a thread of that name. `work` ends once the event that it is given is set, which is waited for."""
    done = threading.Event()
    thread = threading.Thread(target=work, args=(done,), name=name, daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()
