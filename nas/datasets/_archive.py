"""Archives of a folder of images, tar or zip: read as they are, and never unpacked onto the disk."""

import contextlib
import functools
import io
import json
import lzma
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from nas import home
from nas.codec import decode, encode
from nas.datasets import DatasetError, _names, _picture
from nas.datasets._listing import Draft, Folder, Listing, Opener, Source, digest, file_at, header, is_image, readable
from nas.datasets._picture import Header
from nas.roots import Roots

LARGEST_MEMBER = 256 << 20  # bytes; an image in an archive is held in memory
MOST_MEMBERS = 5_000_000
LARGEST_SWELLING = 200  # times the size of an archive that its images may have, unpacked
SMALL = 1 << 30  # bytes that all images of any archive may have
DAMAGES = (tarfile.TarError, zipfile.BadZipFile, EOFError, zlib.error, lzma.LZMAError)
ZIP = (b"PK\x03\x04", b"PK\x05\x06")  # what one begins with; the second is empty
FORMAT = 2  # of kept listings


def source(path: Path, cache: Path, roots: Roots | None = None) -> Source:
    """What lies at `path`; the listings of archives are kept in `cache`, because making one may mean reading it whole.
    Where there are `roots`, nothing outside of them is read, whatever links lead there."""
    if path.is_dir():
        return Folder(path, roots)
    if not path.exists():
        raise DatasetError(f"{path} does not exist: name a folder with one folder of images for each class")
    with readable(path, *DAMAGES):
        if path.is_file() and _begins(path, ZIP):
            return Archive(path, cache, _zipped, roots)
        if path.is_file() and tarfile.is_tarfile(path):
            return Archive(path, cache, _taped, roots, streamed=True)
    raise DatasetError(f"{path} is neither a folder nor a tar or zip archive: unpack it into a folder first")


@dataclass(frozen=True, kw_only=True)
class Member:
    """Of an archive: a file that can be read, or a folder."""

    name: str
    size: int
    time: int
    folder: bool
    read: Callable[[], bytes]


class Archive:
    """An archive of such a folder, with a function that goes through its members once, from front to back. One that is
    `streamed` is read whole for that, and what the images' headers say is noted on the way."""

    def __init__(
        self,
        path: Path,
        cache: Path,
        members: Callable[[Path, BinaryIO], Iterator[Member]],
        roots: Roots | None = None,
        *,
        streamed: bool = False,
    ) -> None:
        self.path, self.cache, self.roots, self._members, self._streamed = path, cache, roots, members, streamed
        self._listed: Listing | None = None

    def listing(self) -> Listing:
        if self._listed is None:
            self._listed = self._kept()
        return self._listed

    def headers(self, names: Collection[str]) -> Mapping[str, Header | None]:
        if self._streamed:
            return self.listing().headers
        with _picture.strict():
            return {name: header(opener) for name, opener in self.files(names)}

    def files(self, names: Collection[str]) -> Iterator[tuple[str, Opener]]:
        wanted = set(names)
        with readable(self.path, *DAMAGES):
            for member in self._clean():
                if member.name in wanted and not member.folder:
                    yield member.name, partial(io.BytesIO, member.read())
                    wanted.discard(member.name)
                if not wanted:
                    return

    def _kept(self) -> Listing:
        with readable(self.path):
            status = self.path.stat()
        stamp = f"{status.st_size} {status.st_mtime_ns}"
        kept = self.cache / f"listing-{digest([str(self.path), stamp, str(FORMAT)])}.json"
        try:
            return decode(Listing, json.loads(kept.read_text()))
        except (OSError, ValueError):  # not there, or damaged
            listing = self._listing(stamp, status.st_size)
        keep(kept, listing, self.path)
        return listing

    def _listing(self, stamp: str, size: int) -> Listing:
        draft, unpacked = Draft(), 0
        with _picture.strict(), readable(self.path, *DAMAGES):
            for member in self._clean():
                name, parts = member.name, member.name.split("/")
                draft.folders |= dict.fromkeys("/".join(parts[:n]) for n in range(1, len(parts) + member.folder))
                if member.folder:
                    continue
                if not is_image(name, partial(_opened, member)):
                    draft.others.append(name)
                    continue
                if member.size > LARGEST_MEMBER:
                    raise DatasetError(f"{self.path}: {name} has {member.size:,} bytes: leave it out of the archive")
                if name in draft.files:
                    raise DatasetError(f"{self.path} has {name} twice: make it anew")
                unpacked += member.size
                if unpacked > max(SMALL, LARGEST_SWELLING * size):
                    raise DatasetError(
                        f"{self.path} has {size:,} bytes, and its images over {unpacked:,}, as of an archive that is "
                        "made to fill a disk: unpack it yourself, and name the folder"
                    )
                draft.files[name] = (member.size, member.time)
                if self._streamed:
                    draft.headers[name] = header(partial(_opened, member))
        return draft.listing(stamp)

    def _clean(self) -> Iterator[Member]:
        """Without what is a system's own. Raises DatasetError for names that reach outside."""
        with file_at(str(self.path), self.roots) as file:
            for member in self._members(self.path, file):
                path = PurePosixPath(member.name)
                if path.is_absolute() or ".." in path.parts:
                    raise DatasetError(f"{self.path} has a member {member.name!r} outside of itself: make it anew")
                if path.parts and not _names.junk(str(path)):
                    yield Member(**vars(member) | {"name": str(path)})


def keep(path: Path, record: object, of: Path) -> None:
    """Write the record down as JSON, whole or not at all."""
    beside = path.with_suffix(f".{home.own()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        beside.write_text(json.dumps(encode(record)))
        beside.replace(path)
    except OSError as error:
        with contextlib.suppress(OSError):
            beside.unlink()
        raise DatasetError(f"what {of} holds cannot be kept in {path.parent}: {error}") from error


def _taped(path: Path, file: BinaryIO) -> Iterator[Member]:
    with tarfile.open(fileobj=file, mode="r|*") as archive:
        for entry in archive:
            archive.members.clear()  # type: ignore[attr-defined]  # or a million of them are kept
            name = str(PurePosixPath(entry.name))
            if entry.issym() or entry.islnk():
                raise DatasetError(
                    f"{path}: {name} is a link: make the archive with tar --dereference --hard-dereference"
                )
            if entry.isdir() or entry.isreg():
                read = functools.cache(partial(_untaped, archive, entry))
                yield Member(name=entry.name, size=entry.size, time=int(entry.mtime), folder=entry.isdir(), read=read)


def _zipped(path: Path, file: BinaryIO) -> Iterator[Member]:
    with zipfile.ZipFile(file) as archive:
        entries = archive.infolist()
        if len(entries) > MOST_MEMBERS:
            raise DatasetError(f"{path} has {len(entries):,} members, and {MOST_MEMBERS:,} are the most: unpack it")
        for entry in entries:
            name = _decoded(entry)
            if stat.S_ISLNK(entry.external_attr >> 16):
                raise DatasetError(f"{path}: {name} is a link: make the archive anew, without zip --symlinks")
            if entry.flag_bits & 1:
                raise DatasetError(f"{path}: {name} is encrypted: make the archive anew, without a password")
            time = int("".join(f"{part:02}" for part in entry.date_time))
            read = partial(_unzipped, archive, entry, path)
            yield Member(name=name, size=entry.file_size, time=time, folder=name.endswith("/"), read=read)


def _untaped(archive: tarfile.TarFile, entry: tarfile.TarInfo) -> bytes:
    file = archive.extractfile(entry)
    return file.read() if file else b""


def _unzipped(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, path: Path) -> bytes:
    try:
        with archive.open(entry) as file:
            return file.read(LARGEST_MEMBER)
    except (NotImplementedError, RuntimeError) as error:  # a method of compression that Python does not know
        raise DatasetError(f"{path}: {entry.filename} cannot be unpacked ({error}): make the archive anew") from error


def _decoded(entry: zipfile.ZipInfo) -> str:
    """The name. Without the flag that says UTF-8 it is often that all the same, and written by Windows with its own
    separators."""
    name = entry.filename
    if not entry.flag_bits & 0x800:
        with contextlib.suppress(UnicodeError):
            name = name.encode("cp437").decode()
    return name.replace("\\", "/") if "/" not in name else name


def _begins(path: Path, starts: tuple[bytes, ...]) -> bool:
    with open(path, "rb") as file:
        return file.read(4) in starts


def _opened(member: Member) -> BinaryIO:
    return io.BytesIO(member.read())
