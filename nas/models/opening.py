"""The checkpoint in a folder, an archive or a file, checked against the hashes that come with it.

An archive is never unpacked on the disk: what is read of it is read into memory, as much as it says at most.
"""

import stat
import tarfile
import zipfile
from collections.abc import Callable, Iterable
from pathlib import Path, PurePosixPath
from typing import IO

from nas.models import manifest
from nas.models.checkpoint import read
from nas.models.manifest import CHECKPOINT, BadArchive, File

MOST_MANIFEST_BYTES = 1 << 20
MOST_SWELLING = 20  # times the archive's size that it may unpack to; the weights in it hardly can be compressed
MOST_MEMBERS = 10_000
PIECE_BYTES = 1 << 20

Take = Callable[[str, int], bytearray]
"""The member of an archive of that name, as many bytes of it at most."""


def checkpoint(path: Path) -> bytearray:
    """The bytes of the checkpoint that `path` is, or has in it.

    Raises BadArchive, OSError where there is nothing, and what is no archive comes as it is: whoever loads it says what
    is wrong with it.
    """
    if path.is_dir():
        return _within(path)
    try:
        if zipfile.is_zipfile(path) or path.suffix == ".zip":
            with zipfile.ZipFile(path) as archive:
                return _in_zip(archive, path)
        if tarfile.is_tarfile(path) or path.suffix == ".tar":
            with tarfile.open(path, "r:") as tape:
                return _in_tar(tape, path)
    except (zipfile.BadZipFile, tarfile.TarError, EOFError) as error:
        raise BadArchive(
            f"{path} is no whole archive ({error}): it was cut off or changed, download it again"
        ) from error
    return read(path)


def _within(folder: Path) -> bytearray:
    try:
        known = manifest.read(folder)
        data = read(folder / CHECKPOINT)
    except FileNotFoundError as error:
        name = Path(error.filename).name
        raise BadArchive(f"{folder} has no {name}: it is no folder of a model, or not all of one") from error
    manifest.check(_promised(known, str(folder)), data, str(folder))
    return data


def _in_zip(archive: zipfile.ZipFile, path: Path) -> bytearray:
    members = {entry.filename: entry for entry in archive.infolist()}
    links = [name for name, entry in members.items() if stat.S_ISLNK(entry.external_attr >> 16)]
    _check(path, members, links, sum(entry.file_size for entry in members.values()))

    def take(name: str, most: int) -> bytearray:
        with archive.open(members[name]) as file:
            return _drained(file, most)

    return _from(members, take, path)


def _in_tar(archive: tarfile.TarFile, path: Path) -> bytearray:
    members = {entry.name: entry for entry in archive}
    links = [name for name, entry in members.items() if not (entry.isfile() or entry.isdir())]
    _check(path, members, links, sum(entry.size for entry in members.values()))

    def take(name: str, most: int) -> bytearray:
        file = archive.extractfile(members[name])
        assert file is not None, "links and folders are refused or not asked for"
        return _drained(file, most)

    return _from(members, take, path)


def _drained(file: IO[bytes], most: int) -> bytearray:
    data = bytearray()
    while len(data) < most and (piece := file.read(min(PIECE_BYTES, most - len(data)))):
        data += piece
    return data


def _check(path: Path, names: Iterable[str], links: list[str], size: int) -> None:
    """Raise BadArchive for what nobody may unpack."""
    names = list(names)
    for name in names:
        if "\\" in name or ":" in name or PurePosixPath(name).is_absolute() or ".." in PurePosixPath(name).parts:
            raise BadArchive(f"{path} has a path {name[:200]!r} in it, which leaves its folder: do not unpack it")
    if links:
        raise BadArchive(f"{path} has a link {links[0][:200]!r} in it: do not unpack it")
    if len(names) > MOST_MEMBERS:
        raise BadArchive(f"{path} has {len(names):,} files in it, and {MOST_MEMBERS:,} are the most")
    packed = path.stat().st_size
    if size > MOST_SWELLING * packed:
        raise BadArchive(f"{path} has {packed:,} bytes and would unpack to {size:,}: no model does, do not unpack it")


def _from(names: Iterable[str], take: Take, path: Path) -> bytearray:
    """The checkpoint beside the archive's manifest, which is in its one folder or in none."""
    places = sorted((name for name in names if PurePosixPath(name).name == manifest.NAME), key=len)
    if not places:
        raise BadArchive(f"{path} has no {manifest.NAME} in it: it is no archive of a model")
    known = manifest.parsed(bytes(take(places[0], MOST_MANIFEST_BYTES)), str(path))
    promised = _promised(known, str(path))
    name = places[0].removesuffix(manifest.NAME) + CHECKPOINT
    if name not in set(names):
        raise BadArchive(f"{path} has no {CHECKPOINT} in it: it was cut off or changed, download it again")
    try:
        data = take(name, promised.bytes + 1)
    except zipfile.BadZipFile as error:
        detail = f"{path}: {CHECKPOINT} is not what its SHA-256 {promised.sha256} promises ({error})"
        raise BadArchive(f"{detail}: it was changed, download it again") from error
    manifest.check(promised, data, str(path))
    return data


def _promised(known: manifest.Manifest, where: str) -> File:
    for file in known.files:
        if file.name == CHECKPOINT:
            return file
    reasons = "; ".join(way.refused for way in known.ways if way.refused and way.file == CHECKPOINT)
    raise BadArchive(f"{where} has no {CHECKPOINT}{f': {reasons}' if reasons else ''}")
