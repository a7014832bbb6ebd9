"""How tests wait: until something has happened, however busy the machine is, and never for a time to pass."""

import contextlib
import signal
import time
from collections.abc import Callable, Iterator

PATIENCE_SECONDS = 240  # after which a test gives up: where others keep the processors busy a program starts in minutes


def eventually(holds: Callable[[], object]) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not holds():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.02)


@contextlib.contextmanager
def heeded(*numbers: int) -> Iterator[None]:
    """Programs that are started within heed these signals, also where nohup or a shell's background has the tests, and
    with them all that they start, ignore them."""
    before = {number: signal.signal(number, signal.SIG_DFL) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
