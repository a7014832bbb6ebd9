"""What a client sends: an archive as it is, or one made of a folder, which is the same whenever its files are."""

import os
import re
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from nas.datasets._names import junk
from nas.filenames import plain

SUFFIXES = re.compile(r"(\.(tar|gz|tgz|bz2|tbz2|xz|txz|zip))+$", re.IGNORECASE)


def name_of(path: Path) -> str:
    """What an upload of the folder or archive at `path` is called where nobody says it."""
    words = plain(SUFFIXES.sub("", path.resolve().name))
    return words.lstrip("._-")[:100] or "images"


@contextmanager
def packed(path: Path) -> Iterator[Path]:
    """The archive to be sent for what lies at `path`; one that is made lies in TMPDIR meanwhile. Raises OSError."""
    if not path.is_dir():
        yield path
        return
    with tempfile.TemporaryDirectory(prefix="nas-images-") as folder:
        archive = Path(folder) / "images.tar"
        with tarfile.open(archive, "w", dereference=True) as tar:
            tar.add(path, ".", filter=_plain)
        yield archive


def _plain(member: tarfile.TarInfo) -> tarfile.TarInfo | None:
    """Without what differs from machine to machine, and without the system's own files."""
    name = os.path.basename(member.name)
    if name != "." and junk(name):
        return None
    member.uid = member.gid = 0
    member.uname = member.gname = ""
    member.mtime = int(member.mtime)
    return member
