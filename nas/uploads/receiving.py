"""How an upload comes: begun, continued where it broke off, checked when it is whole, removed."""

import fcntl
import hashlib
import os
import re
import secrets
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

from nas import home, settings
from nas.refusal import Refusal
from nas.uploads import NAME, Missing, Note, Upload, UploadRequest, every, place, upload, write_note
from nas.uploads.check import check

MOST_UPLOADS = 1000
SPARE_BYTES = 1 << 30  # left free on the disk for everything else
FORGOTTEN_SECONDS = 24 * 3600.0  # after which one that is not whole is cleared


class Busy(RuntimeError):
    """The upload is in another state than the client believes; the message says in which."""


def begin(request: UploadRequest, owner: str | None = None) -> Upload:
    """A new upload of that owner, of which nothing has come yet. Raises Refusal naming `bytes` where it has too many,
    and Busy."""
    with _alone():
        others = every()
        if any(other.name == request.name for other in others):
            raise Busy(
                f"there are images {request.name!r} already: go on with them, delete them (nas images delete "
                f"{request.name}), or take another name"
            )
        _require_room(request.bytes, others)
        folder = home.folder("images") / f".{secrets.token_hex(8)}"
        folder.mkdir()
        (folder / "archive").touch()
        about = Note(bytes=request.bytes, sha256=request.sha256, begun_at=time.time(), ready=False, owner=owner)
        write_note(folder, about)
        folder.rename(place(request.name))
    return upload(request.name)


class Part:
    """The end of an upload, which one client at a time adds to, from `offset` on. Raises Missing and Busy."""

    def __init__(self, name: str, offset: int) -> None:
        self.name, self._left = name, 0
        self._file = _held(name)
        try:
            self._upload = upload(name)
            if self._upload.ready:
                raise Busy(f"images {name!r} are whole: nothing can be added to them")
            if self._upload.received != offset:
                raise Busy(
                    f"of images {name!r} {self._upload.received:,} bytes have come: go on there, not at {offset:,}"
                )
            self._left = self._upload.bytes - offset
        except BaseException:
            self._file.close()
            raise

    @property
    def whole(self) -> bool:
        return self._left == 0

    def write(self, data: bytes) -> None:
        """Raises Refusal for more than was announced."""
        if len(data) > self._left:
            detail = f"images {self.name!r} were announced with {self._upload.bytes:,} bytes, and more come"
            raise Refusal(f"{detail}: delete them and begin anew", field="bytes")
        self._file.write(data)
        self._left -= len(data)

    def finish(self) -> None:
        """Make a dataset of what has come. Raises Refusal where it is none, naming `sha256` where that is why, and
        removes it, as more bytes would not mend it."""
        self._file.flush()
        os.fsync(self._file.fileno())
        folder = place(self.name)
        try:
            with open(folder / "archive", "rb") as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
            expected = self._upload.sha256
            if expected not in (None, digest):
                detail = f"what came of images {self.name!r} has the SHA-256 {digest} instead of {expected}"
                raise Refusal(f"{detail}: it is thrown away, send it again", field="sha256")
            check(self.name, folder / "archive")
        except Refusal:
            _remove(self.name)
            raise
        about = self._upload
        note = Note(bytes=about.bytes, sha256=digest, begun_at=about.begun_at, ready=True, owner=about.owner)
        write_note(folder, note)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._file.close()


def remove(name: str) -> None:
    """Raises Missing, and Busy while somebody sends it."""
    upload(name)
    with _held(name):
        _remove(name)


def clear() -> None:
    """Remove uploads that nobody has gone on with for a day, and what is left of some that were removed."""
    with _alone():
        for path in left_behind():
            shutil.rmtree(path, ignore_errors=True)
    for one in forgotten():
        with suppress(Busy, Missing):  # another service on the same folder knows better
            remove(one.name)


def left_behind() -> list[Path]:
    """What is left of uploads that were begun or removed by processes that were killed, or are this very moment."""
    return [path for path in home.folder("images").iterdir() if path.is_dir() and not re.fullmatch(NAME, path.name)]


def forgotten() -> list[Upload]:
    """Those that are not whole, and that nobody has gone on with for a day."""

    def silent_seconds(one: Upload) -> float:
        return time.time() - (place(one.name) / "archive").stat().st_mtime

    return [one for one in every() if not one.ready and silent_seconds(one) > FORGOTTEN_SECONDS]


def _require_room(size: int, others: list[Upload]) -> None:
    most, largest = settings.MOST_UPLOADED.number, settings.LARGEST_UPLOAD.number
    reserved = sum(other.bytes for other in others)
    coming = sum(other.bytes - other.received for other in others)
    free = shutil.disk_usage(home.folder("images")).free - SPARE_BYTES - coming
    way_out = "delete some images (nas images list)"
    if size > largest:
        reason = f"one upload may have {largest:,} ({settings.LARGEST_UPLOAD.name})"
    elif size > most - reserved:
        reason = f"{max(0, most - reserved):,} are left of {most:,} for all ({settings.MOST_UPLOADED.name}): {way_out}"
    elif size > free:
        reason = f"the service's disk has room for {max(0, free):,}: {way_out}"
    elif len(others) >= MOST_UPLOADS:
        raise Refusal(f"there are {len(others):,} uploads, which are the most: {way_out}", field="name")
    else:
        return
    raise Refusal(f"bytes {size:,} are too many: {reason}", field="bytes")


def _held(name: str) -> BinaryIO:
    """The upload's file, to be added to by nobody else until it is closed. Raises Missing and Busy."""
    upload(name)
    try:
        file = open(place(name) / "archive", "ab", buffering=1 << 20)  # noqa: SIM115  # closed by whoever asked for it
    except FileNotFoundError:
        raise Missing(f"images {name!r} were removed meanwhile") from None
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if not os.path.samestat(os.fstat(file.fileno()), os.stat(file.name)):  # before it was locked
            raise FileNotFoundError
    except (BlockingIOError, FileNotFoundError):
        file.close()
        raise Busy(f"images {name!r} are being sent, checked or removed by somebody else: wait for that") from None
    return file


def _remove(name: str) -> None:
    """It is gone at once, however long its files take."""
    gone = home.folder("images") / f".{secrets.token_hex(8)}"
    place(name).rename(gone)
    shutil.rmtree(gone, ignore_errors=True)


@contextmanager
def _alone() -> Iterator[None]:
    """One process at a time, so that two do not take the same room."""
    path: Path = home.folder("images") / ".lock"
    with open(path, "w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
