"""Uploads: archives of images that were sent to the service, each of them dataset "images:NAME" once it is whole.

One is a folder in NAS_HOME/images: `upload.json` says what it is, and whether it is whole; `archive` is what has come
of it. Archives are read from front to back and never unpacked.
"""

import json
import re
from dataclasses import dataclass
from pathlib import Path

from nas import home
from nas.codec import decode, encode
from nas.datasets import DatasetError
from nas.refusal import Refusal, shown

NAME = r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}"


class Missing(DatasetError):
    """There is no such upload."""


@dataclass(frozen=True, kw_only=True)
class UploadRequest:
    """An archive that is to be sent."""

    __pydantic_config__ = {"extra": "forbid"}

    name: str
    """What it is called from then on: its images are dataset images:NAME."""
    bytes: int
    """Bytes that it has."""
    sha256: str | None = None
    """The SHA-256 of all its bytes, in hexadecimal digits, by which it is checked. Null: it is not."""

    def __post_init__(self) -> None:
        if not re.fullmatch(NAME, self.name):
            raise Refusal(
                f"name {shown(self.name)} is not one of up to 100 letters, digits, dots, dashes and underscores that "
                "begins with a letter or digit",
                field="name",
            )
        if self.bytes < 1:
            raise Refusal(f"bytes {self.bytes} is no size of an archive", field="bytes")
        if self.sha256 is not None and not re.fullmatch(r"[0-9a-f]{64}", self.sha256):
            raise Refusal(f"sha256 {shown(self.sha256)} is not 64 hexadecimal digits in lower case", field="sha256")


@dataclass(frozen=True, kw_only=True)
class Upload(UploadRequest):
    """An archive that was sent, or is being sent."""

    received: int
    """Bytes that have come: where to go on."""
    ready: bool
    """Whether all has come and was found to be images: only then there is a dataset of that name."""
    begun_at: float
    """When it was begun."""
    owner: str | None = None
    """The owner of the token that began it. Null: nobody had to sign in, or it is older than such notes."""

    @property
    def dataset(self) -> str:
        return f"images:{self.name}"


@dataclass(frozen=True, kw_only=True)
class Note:
    """What is written down of an upload, beside its bytes."""

    bytes: int
    sha256: str | None
    begun_at: float
    ready: bool
    owner: str | None = None


def every() -> list[Upload]:
    """All uploads, by name."""
    names = sorted(path.name for path in home.folder("images").iterdir() if re.fullmatch(NAME, path.name))
    return [one for one in map(_upload, names) if one]


def upload(name: str) -> Upload:
    """The upload of that name. Raises Missing."""
    one = _upload(name) if re.fullmatch(NAME, name) else None
    if one is None:
        names = ", ".join(other.name for other in every()[:20]) or "none"
        raise Missing(f"there are no uploaded images {shown(name)}: there are {names}; nas images upload adds some")
    return one


def archive(name: str) -> Path:
    """The file of an upload that is ready. Raises Missing."""
    one = upload(name)
    if not one.ready:
        raise Missing(f"of images {name!r} {one.received:,} of {one.bytes:,} bytes have come: send the others first")
    return place(name) / "archive"


def place(name: str) -> Path:
    """The folder of an upload."""
    return home.folder("images") / name


def write_note(folder: Path, note: Note) -> None:
    home.write(folder / "upload.json", json.dumps(encode(note)).encode())


def _upload(name: str) -> Upload | None:
    folder = place(name)
    try:
        note = decode(Note, json.loads((folder / "upload.json").read_text()))
        return Upload(name=name, received=(folder / "archive").stat().st_size, **vars(note))
    except (OSError, ValueError):  # removed meanwhile, or something else's folder
        return None
