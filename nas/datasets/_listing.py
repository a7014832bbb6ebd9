"""Where image files lie: a folder, or a tar archive of one, which is read from front to back and never unpacked."""

import hashlib
import io
import json
import lzma
import os
import tarfile
import zlib
from collections import Counter
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath
from typing import BinaryIO, Protocol, TypeAlias

from nas.codec import decode, encode
from nas.datasets import DatasetError, _picture
from nas.roots import Roots

SUFFIXES = (".jpg", ".jpeg", ".png")
SAMPLE, EACH = 256, 4  # headers that are looked at, in all and of each folder
LARGEST_MEMBER = 256 << 20  # bytes; an image in an archive is held in memory

Opener: TypeAlias = Callable[[], BinaryIO]


@dataclass(frozen=True, kw_only=True)
class Listing:
    """Image files by their names within the folder ("train/cat/1.jpg"), and the folders that there are.

    `digest` changes with any file's name, size or time. `grey` and `shorter_sides` are of a sample of the images.
    """

    files: tuple[str, ...]
    folders: tuple[str, ...]
    digest: str
    grey: bool
    shorter_sides: tuple[int, ...]


class Source(Protocol):
    """Where image files lie. Both raise DatasetError where something cannot be read."""

    def listing(self) -> Listing: ...

    def files(self, names: Collection[str]) -> Iterator[tuple[str, Opener]]:
        """Those files, in whatever order, each with a function that opens it (in any thread)."""
        ...


def source(path: Path, cache: Path, roots: Roots | None = None) -> Source:
    """What lies at `path`; the listings of archives are kept in `cache`, because making one means reading it whole.

    Where there are `roots`, nothing outside of them is read, whatever links lead there.
    """
    if path.is_dir():
        return Folder(path, roots)
    if not path.exists():
        raise DatasetError(f"{path} does not exist: name a folder with one folder of images for each class")
    with _readable(path):
        if path.is_file() and tarfile.is_tarfile(path):
            return Archive(path, cache, roots)
    raise DatasetError(f"{path} is neither a folder nor a tar archive: unpack it into a folder first")


class Folder:
    """A folder of folders of images; links to folders are followed, but not in circles."""

    def __init__(self, path: Path, roots: Roots | None = None) -> None:
        self.path, self.roots = path, roots

    def listing(self) -> Listing:
        draft = _Draft()
        with _readable(self.path), _picture.strict():
            self._walk("", (), draft)
        return draft.listing()

    def files(self, names: Collection[str]) -> Iterator[tuple[str, Opener]]:
        for name in names:
            yield name, partial(_file, str(self.path / name), self.roots)

    def _walk(self, within: str, above: tuple[tuple[int, int], ...], draft: "_Draft") -> None:
        path = self.path / within
        status = path.stat()
        here = (status.st_dev, status.st_ino)
        if here in above:
            raise DatasetError(f"{path} links to a folder above it: remove the link")
        with os.scandir(path) as entries:
            for entry in sorted(entries, key=lambda entry: entry.name):
                name = f"{within}/{entry.name}" if within else entry.name
                if _hidden(name):
                    continue
                if self.roots and entry.is_symlink():
                    self.roots.check(entry.path)
                if entry.is_dir():
                    draft.folders[name] = None
                    self._walk(name, (*above, here), draft)
                elif name.lower().endswith(SUFFIXES):
                    status = entry.stat()
                    draft.add(name, status.st_size, status.st_mtime_ns, partial(_file, entry.path, self.roots))


class Archive:
    """A tar archive, compressed or not, of such a folder."""

    def __init__(self, path: Path, cache: Path, roots: Roots | None = None) -> None:
        self.path, self.cache, self.roots = path, cache, roots

    def listing(self) -> Listing:
        with _readable(self.path):
            status = self.path.stat()
        stamp = (str(self.path), status.st_size, status.st_mtime_ns)
        kept = self.cache / f"listing-{_digest([stamp])}.json"
        try:
            return decode(Listing, json.loads(kept.read_text()))
        except (OSError, ValueError):  # not there, or damaged
            listing = self._listing(("", *stamp[1:]))
        beside = kept.with_suffix(f".{os.getpid()}")
        try:
            self.cache.mkdir(parents=True, exist_ok=True)
            beside.write_text(json.dumps(encode(listing)))
            beside.replace(kept)
        except OSError as error:
            with suppress(OSError):
                beside.unlink()
            raise DatasetError(f"the listing of {self.path} cannot be kept in {self.cache}: {error}") from error
        return listing

    def files(self, names: Collection[str]) -> Iterator[tuple[str, Opener]]:
        wanted = set(names)
        for name, _, read in self._members():
            if name in wanted:
                yield name, partial(io.BytesIO, read())
                wanted.discard(name)
            if not wanted:
                return

    def _listing(self, stamp: tuple[str, int, int]) -> Listing:
        draft = _Draft()
        with _picture.strict():
            for name, member, read in self._members():
                parts = name.split("/")
                above = range(1, len(parts) + member.isdir())
                draft.folders |= dict.fromkeys("/".join(parts[:depth]) for depth in above)
                if not (member.isreg() and name.lower().endswith(SUFFIXES)):
                    continue
                if member.size > LARGEST_MEMBER:
                    raise DatasetError(f"{self.path}: {name} has {member.size:,} bytes: leave it out of the archive")
                if name in draft.files:
                    raise DatasetError(f"{self.path} has {name} twice: make it anew")
                draft.add(name, member.size, int(member.mtime), partial(_file_of, read))
        return draft.listing(stamp)

    def _members(self) -> Iterator[tuple[str, tarfile.TarInfo, Callable[[], bytes]]]:
        with (
            _readable(self.path),
            _file(str(self.path), self.roots) as file,
            tarfile.open(fileobj=file, mode="r|*") as archive,
        ):
            for member in archive:
                path = PurePosixPath(member.name)
                if path.is_absolute() or ".." in path.parts:
                    raise DatasetError(f"{self.path} has a member {member.name!r} outside of itself: make it anew")
                if member.issym() or member.islnk():
                    raise DatasetError(
                        f"{self.path}: {path} is a link: make the archive with tar --dereference --hard-dereference"
                    )
                if path.parts and not _hidden(str(path)):
                    yield str(path), member, lambda member=member: _bytes(archive, member)  # type: ignore[misc]
                archive.members.clear()  # type: ignore[attr-defined]  # or a million of them are kept


class _Draft:
    """A listing while it is made; folders are kept in the order in which they were met."""

    def __init__(self) -> None:
        self.files: dict[str, tuple[str, int, int]] = {}
        self.folders: dict[str, None] = {}
        self._headers: list[tuple[bool, int]] = []
        self._seen: Counter[str] = Counter()

    def add(self, name: str, size: int, time: int, opener: Opener) -> None:
        self.files[name] = (name, size, time)
        folder = name.rpartition("/")[0]
        if self._seen[folder] == EACH or self._seen.total() == SAMPLE:
            return
        self._seen[folder] += 1
        try:
            with opener() as file:
                self._headers.append(_picture.header(file))
        except _picture.Corrupt:
            pass
        except _picture.TooLarge as error:
            raise DatasetError(f"{name}: {error} Remove it, or make it smaller.") from error

    def listing(self, *stamps: tuple[str, int, int]) -> Listing:
        names = sorted(self.files)
        return Listing(
            files=tuple(names),
            folders=tuple(self.folders),
            digest=_digest([*(self.files[name] for name in names), *stamps]),
            grey=bool(self._headers) and all(grey for grey, _ in self._headers),
            shorter_sides=tuple(side for _, side in self._headers),
        )


def _digest(lines: list[tuple[str, int, int]]) -> str:
    text = "\0".join(f"{name}\0{size}\0{time}" for name, size, time in lines)
    return hashlib.sha256(text.encode(errors="surrogateescape")).hexdigest()[:16]


def _hidden(name: str) -> bool:
    """Of the system, not the user's, such as .DS_Store and ._0001.jpg."""
    return any(part.startswith((".", "__MACOSX")) for part in name.split("/"))


def _file(path: str, roots: Roots | None) -> BinaryIO:
    return roots.open(path) if roots else open(path, "rb")


def _file_of(read: Callable[[], bytes]) -> BinaryIO:
    return io.BytesIO(read())


def _bytes(archive: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    file = archive.extractfile(member)
    return file.read() if file else b""


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    try:
        yield
    except (tarfile.TarError, EOFError, zlib.error, lzma.LZMAError) as error:
        raise DatasetError(f"{path} is damaged: {error}") from error
    except OSError as error:
        raise DatasetError(f"{path} cannot be read: {error}") from error
