"""Python's collector of cycles, kept away where a great many records without cycles are made at once."""

import contextlib
import gc
from collections.abc import Iterator


@contextlib.contextmanager
def uncollected() -> Iterator[None]:
    """It would walk all that is kept, over and over, and find none: half of the time of 100,000 rows."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:  # not while another thread, which was first, is still within
            gc.enable()
