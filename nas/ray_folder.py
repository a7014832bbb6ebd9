"""The folder in which Ray keeps its sockets and its logs: a new one for each Ray that is started on this machine."""

import contextlib
import fcntl
import os
import shutil
import signal
import tempfile
import time
from pathlib import Path

PREFIX = "nas-ray-"
LONGEST_PLACE = 18  # characters; Ray's sockets lie some 85 deeper, and their paths may have 103 in all
STARTING_SECONDS = 60.0  # after which a folder that nobody has locked is nobody's
ENDING_SECONDS = 5.0  # for which processes that were killed are waited for


class RayFolder:
    """A folder that is this process's as long as it lives, however it ends, and that no other user looks into: Ray
    opens its own, `rays`, to everybody. Those that others have left behind when they were killed are cleared before,
    and with them what still runs there."""

    def __init__(self) -> None:
        for folder in folders():
            if left_behind(folder):
                clear(folder)
        self.path = Path(tempfile.mkdtemp(prefix=PREFIX, dir=_place()))
        self.rays = self.path / "ray"
        self._lock = open(self.path / "starting", "w")  # noqa: SIM115  # held until this process ends
        fcntl.flock(self._lock, fcntl.LOCK_EX)
        (self.path / "starting").rename(self.path / "lock")  # which is locked whenever it can be seen

    def clear(self) -> None:
        clear(self.path)
        self._lock.close()


def folders() -> list[Path]:
    """Those of this machine, be they this user's or not."""
    return sorted(_place().glob(f"{PREFIX}*"))


def clear(folder: Path) -> None:
    """Remove `folder`, when what of Ray runs there has been killed and is gone."""
    deadline = time.monotonic() + ENDING_SECONDS
    while (processes := _running_in(folder)) and time.monotonic() < deadline:
        for process in processes:
            with contextlib.suppress(OSError):
                os.kill(process, signal.SIGKILL)
        time.sleep(0.05)
    shutil.rmtree(folder, ignore_errors=True)


def _place() -> Path:
    usual = tempfile.gettempdir()
    return Path(usual if len(usual) <= LONGEST_PLACE else "/tmp")


def left_behind(folder: Path) -> bool:
    """Whether it is this user's, and whoever made it has ended."""
    with contextlib.suppress(OSError):
        about = folder.stat()
        if about.st_uid != os.getuid():
            return False
        if not (folder / "lock").exists():  # it is being made, or was by a version that locked none
            return time.time() - about.st_mtime > STARTING_SECONDS and not _running_in(folder)
        with open(folder / "lock") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return True
    return False


def _running_in(folder: Path) -> list[int]:
    """Processes of Ray's that have a file of the folder open; none where the system does not say. They end by
    themselves within two minutes."""
    processes = []
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):  # it has ended, or is another user's
            command = (process / "cmdline").read_bytes()
            if b"ray::" in command or b"/ray/" in command:
                files = [os.readlink(file) for file in (process / "fd").iterdir()]
                if any(file.startswith(f"{folder}/") for file in files):
                    processes.append(int(process.name))
    return processes
