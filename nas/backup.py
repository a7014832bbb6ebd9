"""The service in one file: its database, its checkpoints and its uploads; and back, into a database of either kind.

A tar of `tables/TABLE.jsonl.gz`, `artifacts/SHA256.safetensors` and `images/NAME/FILE`; `backup.json` comes last and
says what there is, so that a file which was cut off has none.
"""

import hashlib
import io
import json
import os
import re
import shutil
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from nas import home, uploads
from nas.codec import decode, encode
from nas.models.checkpoint import artifact
from nas.store import Dumped, dump, load, require_empty

FORMAT = "nas-backup-1"
CONTENTS = "backup.json"
ARTIFACT = re.compile(r"artifacts/([0-9a-f]{64})\.safetensors")
TABLE = re.compile(r"tables/([a-z_]+\.jsonl\.gz)")
UPLOAD = re.compile(rf"images/({uploads.NAME})/(upload\.json|archive)")


class BadBackup(ValueError):
    """The file is no backup, or not a whole one; the message says why."""


@dataclass(frozen=True, kw_only=True)
class Contents:
    """What a backup holds."""

    format: str = FORMAT
    dumped: Dumped
    checkpoints: tuple[str, ...]
    """SHA-256 of each."""
    uploads: tuple[str, ...]
    hashes: dict[str, str]
    """SHA-256 of each file of tables and uploads, by its name in the tar."""


def backup(url: str, file: Path) -> Contents:
    """Write the database at `url`, and of this home the checkpoints of its models and the uploads that are ready, to
    `file`, which appears whole or not at all and which nobody else may read. The service may go on meanwhile.

    Raises FileExistsError, OSError, StoreError.
    """
    if file.exists():
        raise FileExistsError(f"{file} is there already: name another file, or remove it")
    beside = file.with_name(f".{file.name}.{os.getpid()}")
    try:
        with home.written(file), tempfile.TemporaryDirectory(dir=file.parent, prefix=".nas-backup-") as folder:
            dumped = dump(url, Path(folder))
            hashes: dict[str, str] = {}
            with open(os.open(beside, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "wb") as target:
                with tarfile.open(fileobj=target, mode="w|") as tar:
                    for name in dumped.rows:
                        _added(tar, Path(folder) / f"{name}.jsonl.gz", f"tables/{name}.jsonl.gz", hashes)
                    # After the rows: what is added meanwhile is not missed, and what goes meanwhile is not promised.
                    checkpoints = tuple(_add_checkpoints(tar, dumped.checkpoints))
                    ready = tuple(
                        one.name for one in uploads.every() if one.ready and _add_upload(tar, one.name, hashes)
                    )
                    contents = Contents(dumped=dumped, checkpoints=checkpoints, uploads=ready, hashes=hashes)
                    _add(tar, CONTENTS, json.dumps(encode(contents)).encode())
                target.flush()
                os.fsync(target.fileno())
        beside.replace(file)
    finally:
        beside.unlink(missing_ok=True)
    return contents


def restore(url: str, file: Path) -> Contents:
    """Bring a backup back: its files into this home, and then its rows, all or none, into the database at `url`, which
    may have no runs. What is there already of checkpoints and uploads stays as it is.

    Raises BadBackup, OSError, StoreError; Conflict where the database has runs.
    """
    require_empty(url)
    with tempfile.TemporaryDirectory(dir=home.home(), prefix=".nas-restore-") as name, _whole(file):
        folder = Path(name)
        contents: Contents | None = None
        with tarfile.open(file, mode="r|") as tar:
            for member in tar:
                data = tar.extractfile(member)
                if data is None:
                    raise BadBackup(f"{file} has {member.name!r}, which is no file: it is no backup of this service")
                if member.name == CONTENTS:
                    contents = _contents(file, data.read())
                else:
                    _put(folder / _place(file, member.name), data)
        if contents is None:
            raise BadBackup(f"{file} ends before it says what it holds: it was cut off, take another copy")
        _check(file, folder, contents)
        for sha256 in contents.checkpoints:
            _settle(folder / "artifacts" / f"{sha256}.safetensors", artifact(sha256))
        for upload in contents.uploads:
            _settle(folder / "images" / upload, uploads.place(upload))
        load(url, folder / "tables", contents.dumped)
    return contents


def _add_checkpoints(tar: tarfile.TarFile, checkpoints: tuple[str, ...]) -> Iterator[str]:
    for sha256 in checkpoints:
        if _added(tar, artifact(sha256), f"artifacts/{sha256}.safetensors", {}):
            yield sha256


def _add_upload(tar: tarfile.TarFile, name: str, hashes: dict[str, str]) -> bool:
    parts = ("upload.json", "archive")
    return all(_added(tar, uploads.place(name) / part, f"images/{name}/{part}", hashes) for part in parts)


def _added(tar: tarfile.TarFile, path: Path, name: str, hashes: dict[str, str]) -> bool:
    """Whether the file was still there; if so its hash is."""
    try:
        with open(path, "rb") as data:
            hashes[name] = hashlib.file_digest(data, "sha256").hexdigest()
            data.seek(0)
            tar.addfile(tar.gettarinfo(arcname=name, fileobj=data), data)
    except FileNotFoundError:
        return False
    except PermissionError as error:  # of the source: the target is open
        raise OSError(f"{path} cannot be read ({error.strerror}): write the backup as who runs the service") from error
    return True


def _add(tar: tarfile.TarFile, name: str, data: bytes) -> None:
    entry = tarfile.TarInfo(name)
    entry.size = len(data)
    tar.addfile(entry, io.BytesIO(data))


def _contents(file: Path, data: bytes) -> Contents:
    try:
        form = json.loads(data)
        if form.get("format") != FORMAT:
            raise BadBackup(f"{file} is of format {form.get('format')!r}, and this version reads {FORMAT}: update it")
        return decode(Contents, form)
    except (ValueError, AttributeError) as error:
        raise BadBackup(f"{file} is no backup of this service: {error}") from error


def _place(file: Path, name: str) -> str:
    """Where a member goes below the folder; only names that a backup has lead anywhere."""
    if not any(known.fullmatch(name) for known in (TABLE, ARTIFACT, UPLOAD)):
        raise BadBackup(f"{file} has {name!r}, which no backup of this service has")
    return name


def _put(path: Path, data: IO[bytes]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "wb") as target:
        shutil.copyfileobj(data, target)


def _check(file: Path, folder: Path, contents: Contents) -> None:
    """All that it says it holds is there, as it was."""
    hashes = {f"artifacts/{sha256}.safetensors": sha256 for sha256 in contents.checkpoints} | contents.hashes
    names = {f"tables/{name}.jsonl.gz" for name in contents.dumped.rows}
    names |= {f"images/{upload}/{part}" for upload in contents.uploads for part in ("upload.json", "archive")}
    for name in sorted(names | hashes.keys()):
        with _there(file, folder / _place(file, name)) as data:
            if hashlib.file_digest(data, "sha256").hexdigest() != hashes.get(name):
                raise BadBackup(f"{name} of {file} has other bytes than when it was written: take another copy")


def _there(file: Path, path: Path) -> io.BufferedReader:
    try:
        return open(path, "rb")
    except FileNotFoundError as error:
        raise BadBackup(f"{file} does not hold {path.name}, as it says: take another copy") from error


def _settle(path: Path, target: Path) -> None:
    if not target.exists():
        path.rename(target)


@contextmanager
def _whole(file: Path) -> Iterator[None]:
    try:
        yield
    except tarfile.TarError as error:
        raise BadBackup(f"{file} is no backup, or not a whole one ({error}): take another copy") from error
