"""What is in an archive of a model: its files with their hashes, and how each way to run it scored.

Standard library only.
"""

import hashlib
import json
import re
import tarfile
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Literal, get_args

from nas.codec import Malformed, decode, encode
from nas.filenames import plain
from nas.measurements import Latency
from nas.metrics import Quality
from nas.refusal import Refusal, between

if TYPE_CHECKING:
    from nas.models.checkpoint import Card

FORMAT = "nas-archive-1"
NAME = "manifest.json"
CHECKPOINT = "model.safetensors"
Packing = Literal["zip", "tar"]
PACKINGS: tuple[Packing, ...] = get_args(Packing)
MOST_FILES = 100


class BadArchive(ValueError):
    """It is not an archive of a model, or not any more; the message says what is wrong with it."""


@dataclass(frozen=True, kw_only=True)
class File:
    """A file of an archive."""

    name: str
    """Its name there."""
    bytes: int
    """Its size."""
    sha256: str
    """The SHA-256 of its bytes."""

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}", self.name):
            raise Refusal(f"name {self.name[:100]!r} is none of a file in an archive's folder", field="name")
        between(self, "bytes", 0, 2**50)


@dataclass(frozen=True, kw_only=True)
class FileScore:
    """`accuracy` found and `promised`, on so many `images`; or how far it answers as the network does in torch, where
    the accuracy cannot be checked any more."""

    accuracy: float | None
    """The share of the images that it got right in its own runtime; null where the images are no longer those of the
    promise."""
    promised: float
    """The share that was got right when the network had been trained."""
    images: int
    """How many images it was scored on, or compared with torch on."""
    part: str
    """Which these are: test images, validation images of a search's trial, any that there are now, or noise."""
    undecided: int = 0
    """Images whose two best answers are closer than the runtimes' rounding, so that they count as right by either."""
    loses: float = 0.0
    """How much of the promise the form of the file may cost, as 8 bits cost some."""
    quality: Quality | None = None
    """What the answers are worth class by class; null in an archive, which says it once."""
    unchecked: str | None = None
    """Why the accuracy was not checked; null: it was."""
    alike: float | None = None
    """The share of the images that it answers as the network does in torch, where that is all that can be said: to
    rounding, or with the same class where the form costs something."""

    @property
    def kept(self) -> bool:
        """Whether the two differ by no more than half an image beside those that are undecided, of which a hundredth
        count at most: a network that answers all alike keeps no promise. Where the form costs something it may be worse
        by that, and better: of few images rounding wins some as well.

        Of what cannot be scored, whether it answers as torch does. Where the form costs something, twice that share may
        be answered otherwise: some of these were wrong before, or are right now."""
        if self.accuracy is None:
            return (self.alike or 0.0) >= 1 - 2 * self.loses
        spare = 0.5 + min(self.undecided, self.images // 100) + self.loses * self.images
        missing = (self.promised - self.accuracy) * self.images
        return (missing if self.loses else abs(missing)) <= spare + 1e-6


@dataclass(frozen=True, kw_only=True)
class Way:
    """One way to run the model: a file that was loaded from the archive alone and scored by its own runtime, or why
    there is none."""

    exporter: str
    """What made it."""
    file: str
    """The name of its file in the archive."""
    score: FileScore | None = None
    """How it scored; null where it did not come to that."""
    refused: str | None = None
    """Why it is not offered; null: it is."""
    latency: Latency | None = None
    """How fast it is on the processor that it was made on; null where that was not measured."""
    save_as: str | None = None
    """A name that says what it is; null: the model's name, and the file's ending."""


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """What is in an archive."""

    format: str = FORMAT
    """The edition of this description."""
    name: str
    """What the model is called: which it is, its latency and its accuracy."""
    checkpoint: str
    """The SHA-256 of the checkpoint that it was made of."""
    ways: tuple[Way, ...]
    """The ways to run it."""
    files: tuple[File, ...]
    """All files but this description."""


def called(card: "Card") -> str:
    """Which network it is, its latency on the first device that took it in single precision, and its accuracy so:
    b2_0.21ms_acc0.934."""
    latency = next((each for each in card.latencies.values() if not each.rounded), None)
    return called_by(card, latency, card.accuracy if card.test_accuracy is None else card.test_accuracy)


def called_by(card: "Card", latency: Latency | None, accuracy: float | None) -> str:
    """Likewise, of a file with a latency and an accuracy of its own, as far as these are known."""
    parts = [plain(card.member).lower() if card.member else f"trial{card.number}"]
    parts += [f"seed{card.seed}"] if card.seed else []
    parts += [f"{latency.median_ms:.3g}ms"] if latency else []
    return "_".join(parts if accuracy is None else [*parts, f"acc{accuracy:.3f}"])


def of(path: Path) -> File:
    with open(path, "rb") as file:
        return File(name=path.name, bytes=path.stat().st_size, sha256=hashlib.file_digest(file, "sha256").hexdigest())


def write(folder: Path, manifest: Manifest) -> None:
    (folder / NAME).write_text(json.dumps(encode(manifest), indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def read(folder: Path) -> Manifest:
    """The manifest in the folder of an archive. Raises BadArchive; OSError where there is none."""
    return parsed((folder / NAME).read_bytes(), str(folder))


def parsed(data: bytes, where: str) -> Manifest:
    """The manifest that `data` is. Raises BadArchive, whose message begins with `where`."""
    try:
        table = json.loads(data)
        edition = table.get("format") if isinstance(table, dict) else None
        if edition != FORMAT:
            raise BadArchive(f"{where} is of format {edition!r}, and this version reads {FORMAT!r}: take a newer one")
        manifest = decode(Manifest, table)
    except BadArchive:
        raise
    except (Malformed, ValueError) as error:
        raise BadArchive(f"{where} has a {NAME} that cannot be read: {error}") from error
    if len(manifest.files) > MOST_FILES:
        raise BadArchive(f"{where} has {len(manifest.files):,} files, and an archive has {MOST_FILES} at most")
    return manifest


def check(file: File, data: "bytes | bytearray", where: str) -> None:
    """Raise BadArchive unless `data` are the bytes that the manifest promises of `file`."""
    if len(data) != file.bytes:
        raise BadArchive(f"{where}: {file.name} has {len(data):,} bytes instead of {file.bytes:,}: it was cut off")
    digest = hashlib.sha256(data).hexdigest()
    if digest != file.sha256:
        raise BadArchive(f"{where}: {file.name} has the SHA-256 {digest} instead of {file.sha256}: it was changed")


def packed(folder: Path, packing: Packing, to: BinaryIO) -> None:
    """Write the folder of an archive into `to`. The same files give the same bytes; nothing is compressed, as weights
    hardly can be."""
    manifest = read(folder)
    names = [NAME, *(file.name for file in manifest.files)]
    if packing == "zip":
        with zipfile.ZipFile(to, "w") as archive:
            for name in names:
                entry = zipfile.ZipInfo(f"{manifest.name}/{name}")  # of 1980, whenever it is packed
                entry.external_attr = 0o644 << 16
                with open(folder / name, "rb") as source, archive.open(entry, "w", force_zip64=True) as target:
                    while piece := source.read(1 << 20):
                        target.write(piece)
        return
    with tarfile.open(fileobj=to, mode="w") as archive:
        for name in names:
            header = tarfile.TarInfo(f"{manifest.name}/{name}")
            header.size = (folder / name).stat().st_size
            with open(folder / name, "rb") as source:
                archive.addfile(header, source)
