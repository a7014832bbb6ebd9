"""Quiet on a shared host: trainers stand still for the moments in which a latency is measured.

Every training step runs between `with step:`, every measurement in `with measuring():`. Steps run side by side; a
measurement runs alone, begins as soon as the steps under way are over, and holds back those that come after it. This
holds between all processes and threads of one user on one host, whichever run they belong to. Nobody waits for ever:
a measurement is given up, and a step goes on, with a warning, beside a meter that hangs or was stopped.

Two files are locked with flock(2), so the kernel lets go of what a killed process held. The room is where steps share
and a measurement is alone; everybody passes the gate before it, and a waiting measurement keeps the gate, or a stream
of overlapping steps would shut it out for ever.
"""

import logging
import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from fcntl import LOCK_EX, LOCK_NB, LOCK_SH, LOCK_UN, flock
from pathlib import Path
from types import TracebackType

POLL_SECONDS = 0.01  # who waits more often than that interrupts what is measured
STEP_SECONDS = 60.0  # a meter takes a tenth of a second, or some twenty runs of a slow network

log = logging.getLogger(__name__)


class NotQuiet(TimeoutError):
    """Training on this host did not pause in time; the message says for how long it was waited."""


class Step:
    """What a trainer holds during each of its steps: make one, then `with step:` every time (a few microseconds).

    Work that a step only queues, as on a GPU, runs on after it. Not to be shared between threads.
    """

    def __init__(self, timeout_seconds: float = STEP_SECONDS) -> None:
        self._timeout_seconds = self._patience_seconds = timeout_seconds
        self._gate, self._room = _open("gate"), _open("room")

    def __enter__(self) -> None:
        deadline = time.monotonic() + self._patience_seconds
        entered = _waited(self._gate, LOCK_SH, deadline)
        try:
            entered = entered and _waited(self._room, LOCK_SH, deadline)
        finally:
            flock(self._gate, LOCK_UN)
        if entered:
            self._patience_seconds = self._timeout_seconds
        elif self._patience_seconds:
            self._patience_seconds = 0.0  # the steps that follow do not wait for the same meter again
            log.warning(
                "a latency measurement on this host has not ended within %g s: training goes on beside it until it "
                "does; end the process that hangs or is stopped and holds the files in %s",
                self._timeout_seconds,
                _folder(),
            )

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        flock(self._room, LOCK_UN)

    def __del__(self) -> None:
        for name in ("_gate", "_room"):
            if name in self.__dict__:  # the first may have opened and the second not
                os.close(self.__dict__[name])


@contextmanager
def measuring(timeout_seconds: float = 300.0) -> Iterator[None]:
    """No step and no other measurement of this user runs on this host meanwhile. Raises NotQuiet."""
    deadline = time.monotonic() + timeout_seconds
    files = [_open("gate"), _open("room")]
    try:
        for file in files:
            if not _waited(file, LOCK_EX, deadline):
                raise NotQuiet(
                    f"training on this host did not pause within {timeout_seconds:g} s: a step takes longer "
                    f"than that, or a process that holds a file in {_folder()} is stopped; end it"
                )
        yield
    finally:
        for file in reversed(files):
            flock(file, LOCK_UN)  # closing alone would leave it locked by a child forked meanwhile
            os.close(file)


def _waited(file: int, operation: int, deadline: float) -> bool:
    """Whether the lock was got before the deadline; it is tried for once in any case."""
    while True:
        try:
            flock(file, operation | LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > deadline:
                return False
            time.sleep(POLL_SECONDS)
        else:
            return True


def _open(name: str) -> int:
    return os.open(_folder() / name, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)


def _folder() -> Path:
    folder = Path(tempfile.gettempdir()) / f"nas-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    if folder.lstat().st_uid != os.getuid():
        raise PermissionError(f"{folder} belongs to another user: remove it, or set TMPDIR to a folder of your own")
    return folder
