"""Where things are kept on this machine: one folder, named by NAS_HOME."""

import contextlib
import errno
import os
import re
import threading
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

from nas import settings

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def home() -> Path:
    """NAS_HOME, else `nas` in the user's data folder; made if it is not there. Raises OSError where it cannot be."""
    data_home = settings.DATA_HOME.value or "~/.local/share"
    try:
        folder = Path(settings.HOME.value or f"{data_home}/nas").expanduser().resolve()
    except RuntimeError as error:  # nobody knows where "~" is
        raise OSError(f"there is no home folder ({error}): set NAS_HOME to a folder") from error
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def folder(name: str) -> Path:
    """The folder `name` in the home: "datasets", "images" (uploads), "artifacts" (finished checkpoints), "archives"
    (what they are handed out as), "downloads", "resume" (running trainings), "probes" (what pays on this machine),
    "yardsticks" (how fast it is)."""
    path = home() / name
    path.mkdir(parents=True, exist_ok=True)
    return path


def token_file() -> Path:
    """The file of the token that `nas` on this machine signs in with."""
    return home() / "token"


def database_url() -> str:
    """NAS_DATABASE, with the password in NAS_DATABASE_PASSWORD_FILE if it has none; else a SQLite file in the home.
    Raises OSError."""
    url = settings.DATABASE.value
    if not url:
        return f"sqlite:///{home() / 'nas.db'}"
    password = quote(settings.DATABASE_PASSWORD_FILE.contents, safe="")
    return re.sub(r"^([\w+]+://[^:/@]+)@", rf"\1:{password}@", url) if password else url


def own() -> str:
    """A word that no other thread has at the same time, in this process or another of this machine."""
    return f"{os.getpid()}-{threading.get_native_id()}"


@contextlib.contextmanager
def written(path: Path) -> Iterator[None]:
    """Raises what goes wrong while `path` is written as OSError that names it and the way out, with the errno (a full
    disk, no permission)."""
    try:
        yield
    except OSError as error:
        if error.strerror is None:  # it is in words already
            raise
        why, way_out = error.strerror, "name another place"
        if error.errno in FULL:
            way_out = "free some of that disk, or set NAS_HOME to a folder on another one, or name a place there"
        elif not os.path.isdir(path.parent):
            why, way_out = f"{path.parent} is not a folder", "make it, or name another place"
        problem = OSError(f"{path} cannot be written ({why}): {way_out}")
        problem.errno = error.errno  # not as an argument: it would be printed before the words
        raise problem from error


def write(path: Path, data: bytes) -> None:
    """Put `data` into `path`, which appears whole or not at all: written beside it, then renamed. Raises OSError as
    `written` does."""
    beside = path.with_name(f".{path.name}.{own()}")
    with written(path):
        try:
            with open(beside, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            beside.replace(path)
        except OSError:
            with contextlib.suppress(OSError):
                beside.unlink()
            raise
