"""What lies on the disk, and who holds it: everything below the home, Ray's folders, and agents' parcels."""

import os
import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args
from urllib.parse import unquote

from nas import home, ray_folder
from nas.store import Store

Kind = Literal[
    "checkpoints",
    "unfinished trainings",
    "archives",
    "datasets",
    "uploads",
    "downloads",
    "reports",
    "parcels",
    "Ray",
    "database",
    "other",
]
KINDS: tuple[Kind, ...] = get_args(Kind)
# What lies in a folder of the home is of that kind, an entry a thing that goes as a whole.
FOLDERS: dict[str, Kind] = {
    "artifacts": "checkpoints",
    "resume": "unfinished trainings",
    "archives": "archives",
    "datasets": "datasets",
    "images": "uploads",
    "downloads": "downloads",
    "fidelity": "reports",
}
SHA256 = re.compile(r"\.?([0-9a-f]{64})\b.*")
RESUMED = re.compile(r"\.?(.+)-\d+\.pt\b.*")


@dataclass(frozen=True, kw_only=True)
class Holding:
    """Something on the disk that goes as a whole, if it goes."""

    kind: Kind
    """What kind of thing it is."""
    name: str
    """What it is: a model's id where it is one's, else what its file or folder is called."""
    run: str | None = None
    """The id of the run that holds it; null: it is no run's."""
    bytes: int
    """Its size."""
    used_at: float
    """When it was written or used last, in seconds since 1970, UTC."""
    path: Path | None = None
    """Where it lies; null: in the database."""


def holdings(store: Store) -> list[Holding]:
    """All that is there at this moment."""
    models = {model.sha256: (model.id, model.run) for model in store.models(removed=True)}
    found = [_holding(kind, path, models) for kind, path in _places()]
    sizes = store.agents.parcels()
    if sizes:
        found.append(Holding(kind="parcels", name=f"{len(sizes)} parcels", bytes=sum(sizes), used_at=0.0))
    return found


def _places() -> Iterator[tuple[Kind, Path]]:
    for path in home.home().iterdir():
        kind = FOLDERS.get(path.name)
        if kind == "datasets":
            for entry in path.iterdir():
                yield from ((kind, each) for each in (entry.iterdir() if entry.name == "folder" else (entry,)))
        elif kind:
            yield from ((kind, entry) for entry in path.iterdir() if entry.name != ".lock")
        else:
            yield ("database" if path.name.startswith("nas.db") else "other"), path
    yield from (("Ray", path) for path in ray_folder.folders())


def _holding(kind: Kind, path: Path, models: dict[str, tuple[str, str]]) -> Holding:
    name, run = path.name, None
    if kind in ("checkpoints", "archives") and (sha256 := SHA256.fullmatch(path.name)):
        name, run = models.get(sha256[1], (path.name, None))
    elif kind == "unfinished trainings" and (job := RESUMED.fullmatch(path.name)):
        run = unquote(job[1])
    size, used_at = sized(path)
    return Holding(kind=kind, name=name, run=run, bytes=size, used_at=used_at, path=path)


def sized(path: Path) -> tuple[int, float]:
    """The bytes of a file, or of all in a folder, and when the newest was written; 0 for what is gone meanwhile, and
    for what a folder has a link to: whoever else has it holds it."""
    size, used_at = 0, 0.0
    with suppress(OSError):
        about = path.lstat()
        size, used_at = (0 if path.is_dir() else about.st_size), about.st_mtime
    for folder, _, files in os.walk(path) if path.is_dir() else ():
        for file in files:
            with suppress(OSError):
                about = os.lstat(f"{folder}/{file}")
                size, used_at = size + (about.st_size if about.st_nlink == 1 else 0), max(used_at, about.st_mtime)
    return size, used_at
