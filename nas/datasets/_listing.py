"""Image files by their names, sizes and times, and the folder that they lie in."""

import hashlib
import os
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import BinaryIO, Protocol, TypeAlias

from nas.datasets import DatasetError, _names, _picture
from nas.datasets._picture import Header
from nas.roots import Roots

Opener: TypeAlias = Callable[[], BinaryIO]
STARTS = (b"\xff\xd8\xff", b"\x89PNG", b"GIF8", b"II*\0", b"MM\0*")  # of images whose names have no suffix


@dataclass(frozen=True, kw_only=True)
class Listing:
    """Image files by their names within the folder ("train/cat/1.jpg"), with their sizes, and what lies beside them.

    `digest` changes with any image's name, size or time.
    """

    files: dict[str, int]
    folders: tuple[str, ...]
    others: tuple[str, ...]
    """Files that are no images."""
    digest: str
    headers: dict[str, Header | None] = field(default_factory=dict)
    """Of all images, where listing them has read them anyway; None of one that is none."""


class Source(Protocol):
    """Where image files lie. All raise DatasetError where something cannot be read."""

    def listing(self) -> Listing: ...

    def headers(self, names: Collection[str]) -> Mapping[str, Header | None]:
        """Of those files; None of one that is no image."""
        ...

    def files(self, names: Collection[str]) -> Iterator[tuple[str, Opener]]:
        """Those files, in whatever order, each with a function that opens it (in any thread)."""
        ...


class Folder:
    """A folder of folders of images; links to folders are followed, but not in circles."""

    def __init__(self, path: Path, roots: Roots | None = None) -> None:
        self.path, self.roots = path, roots

    def listing(self) -> Listing:
        draft = Draft()
        with readable(self.path):
            self._walk("", (), draft)
        return draft.listing()

    def headers(self, names: Collection[str]) -> Mapping[str, Header | None]:
        with readable(self.path), _picture.strict():
            return {name: header(opener) for name, opener in self.files(names)}

    def files(self, names: Collection[str]) -> Iterator[tuple[str, Opener]]:
        for name in names:
            yield name, partial(file_at, str(self.path / name), self.roots)

    def _walk(self, within: str, above: tuple[tuple[int, int], ...], draft: "Draft") -> None:
        path = self.path / within
        status = path.stat()
        here = (status.st_dev, status.st_ino)
        if here in above:
            raise DatasetError(f"{path} links to a folder above it: remove the link")
        with os.scandir(path) as entries:
            for entry in sorted(entries, key=lambda entry: entry.name):
                if _names.junk(entry.name):
                    continue
                name = f"{within}/{entry.name}" if within else entry.name
                if self.roots and entry.is_symlink():
                    self.roots.check(str(self.path), name)
                if entry.is_dir():
                    draft.folders[name] = None
                    self._walk(name, (*above, here), draft)
                elif is_image(name, partial(file_at, entry.path, self.roots)):
                    draft.files[name] = _sized(entry)
                else:
                    draft.others.append(name)


class Draft:
    """A listing while it is made; folders are kept in the order in which they were met."""

    def __init__(self) -> None:
        self.files: dict[str, tuple[int, int]] = {}
        self.folders: dict[str, None] = {}
        self.others: list[str] = []
        self.headers: dict[str, Header | None] = {}

    def listing(self, stamp: str = "") -> Listing:
        """`stamp` is of all of them, where they are in an archive."""
        names = sorted(self.files)
        lines = ("\0".join((name, *map(str, self.files[name]))) for name in names)
        return Listing(
            files={name: self.files[name][0] for name in names},
            folders=tuple(self.folders),
            others=tuple(self.others),
            digest=digest([*lines, stamp]),
            headers=self.headers,
        )


def header(opener: Opener) -> Header | None:
    try:
        with opener() as file:
            return _picture.header(file)
    except _picture.Unusable:
        return None


def is_image(name: str, opener: Opener) -> bool:
    """By its suffix, or by its first bytes where it has none."""
    suffix = _names.suffix(name)
    if suffix[1:].isalpha() or suffix in _names.IMAGES:
        return suffix in _names.IMAGES
    try:
        with opener() as file:
            start = file.read(12)
    except (IsADirectoryError, _picture.Unusable):
        return False
    return start.startswith(STARTS) or (start.startswith(b"RIFF") and start.endswith(b"WEBP"))


def digest(lines: list[str]) -> str:
    return hashlib.sha256("\0\0".join(lines).encode(errors="surrogateescape")).hexdigest()[:16]


def file_at(path: str, roots: Roots | None) -> BinaryIO:
    """Raises Unusable for a link that leads nowhere, which is no better than a broken image."""
    try:
        return roots.open(path) if roots else open(path, "rb")
    except FileNotFoundError:
        if os.path.islink(path):
            raise _picture.Unusable("it is a link that leads nowhere") from None
        raise


def _sized(entry: "os.DirEntry[str]") -> tuple[int, int]:
    """Size and time; of a link that leads nowhere its own."""
    try:
        status = entry.stat()
    except FileNotFoundError:
        status = entry.stat(follow_symlinks=False)
    return status.st_size, status.st_mtime_ns


@contextmanager
def readable(path: Path, *damages: type[Exception]) -> Iterator[None]:
    """What is wrong with the disk, or by `damages` with an archive, is a DatasetError."""
    try:
        yield
    except DatasetError:
        raise
    except damages as error:
        raise DatasetError(f"{path} is damaged: {error}") from error
    except OSError as error:
        raise DatasetError(f"{path} cannot be read: {error}") from error
