"""Folders in which something is made beside its place. Whoever makes it holds a lock, which goes with the process, so
that what somebody killed has left is known."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from fcntl import LOCK_EX, LOCK_NB, flock
from pathlib import Path

LOCK = ".lock"


@contextmanager
def making(folder: Path) -> Iterator[Path]:
    """A place beside `folder` for what is to become it; it goes with what is still in it then."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    sweep(folder.parent, folder.name)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}.") as name:
        place = Path(name)
        with open(place / "new", "wb") as lock:
            flock(lock, LOCK_EX)
            Path(lock.name).rename(place / LOCK)  # so that it is locked as soon as it is there
            yield place


def sweep(parent: Path, name: str = "*") -> None:
    """Remove what was left of the making of `name`. What has no lock is something else's, or just beginning."""
    for place in parent.glob(f".{name}.*"):
        with suppress(OSError), open(place / LOCK, "rb") as lock:
            flock(lock, LOCK_EX | LOCK_NB)
            shutil.rmtree(place, ignore_errors=True)
