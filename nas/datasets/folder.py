"""A folder of your own images, "folder:/path": one folder for each class, of image files of any size.

Either `CLASS/…`, or `train/CLASS/…` with `test/CLASS/…` and `val/CLASS/…` beside it, under these and other usual names.
Without test images those of `val` test; without either a tenth of each class, always the same images. An archive of
such a folder, tar or zip, will do as well. Images become squares: scaled by their shorter side, cut at the centre,
upright by their EXIF; grey if all are, and in colour otherwise.
"""

import dataclasses
import hashlib
import os
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from nas.datasets import (
    ClassImages,
    DatasetError,
    DatasetInfo,
    ImageSet,
    Look,
    Remark,
    _arrays,
    _decoding,
    _notes,
    _parquet,
)
from nas.datasets._archive import source
from nas.datasets._facts import facts, spread
from nas.datasets._layout import layout
from nas.datasets._listing import Listing, Source, digest
from nas.datasets._notes import Places
from nas.datasets._picture import Depth
from nas.refusal import shortened
from nas.roots import Roots

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    import nas.datasets.folder
    from nas.datasets import Dataset

    _satisfied: Dataset = nas.datasets.folder

ARGUMENT = "PATH"
DEFAULT_PIXELS = (16, 224)  # between which the default resolution lies
SMALL_BYTES, SMALL_FILES = 128 << 20, 256 << 20  # of arrays, and of files, that are decoded when they are described
VERSION = 3  # of how images become arrays


@dataclass(frozen=True, kw_only=True)
class Survey:
    """What lies in the folder: `places` gives every image's part and the number of its class."""

    info: DatasetInfo
    source: Source
    places: Places
    own_test: bool
    """Whether the folder has its own test images."""
    depth: Depth
    sides: tuple[int, int, int]
    """The shorter side of the smallest image, the median, and the largest."""
    sizes: dict[str, int]
    """Bytes of every file."""
    digest: str
    """Changes with any image's name, size and time."""


def describe(argument: str, cache: Path, roots: Roots | None = None) -> DatasetInfo:
    """What `load` says of a set that is small, or was loaded before. Otherwise the files are listed and many headers
    looked at; `resolution` is the median of their shorter sides, within bounds."""
    survey = _survey(argument, cache / "folder", roots)
    images = _images(survey, cache)
    return images.info if images else survey.info


def load(argument: str, resolution: int, cache: Path, roots: Roots | None = None) -> ImageSet:
    """All images at `resolution`; made once per listing (names, sizes, times) and resolution."""
    if not 8 <= resolution <= 2048:
        raise DatasetError(f"resolution {resolution} is not between 8 and 2048 pixels")
    return _loaded(_survey(argument, cache / "folder", roots), resolution, cache)


def names(argument: str, cache: Path, roots: Roots | None = None) -> dict[str, str]:
    """As they are listed, broken ones among them; none of tables, whose rows are no files."""
    survey = _survey(argument, cache / "folder", roots)
    if isinstance(survey.source, _parquet.Tables):
        return {}
    classes = survey.info.classes
    return {name: classes[number] for name, (part, number) in survey.places.items() if part == "train"}


def look(argument: str, cache: Path, roots: Roots | None = None) -> Look:
    """By the pictures where `describe` decodes them, and otherwise by the files."""
    survey = _survey(argument, cache / "folder", roots)
    if images := _images(survey, cache):
        info = images.info
        labels = {"train": images.train_labels, "test": images.test_labels, "validation": images.validation_labels}
        number = Counter((part, int(label)) for part, each in labels.items() if each is not None for label in each)
    else:
        found = _notes.copies(survey.source, survey.sizes, survey.places, survey.info)
        info = dataclasses.replace(survey.info, remarks=(*survey.info.remarks, *found))
        number = Counter(survey.places.values())
    classes = (
        ClassImages(
            name=name,
            train_images=number["train", label],
            validation_images=number["validation", label],
            test_images=number["test", label],
        )
        for label, name in enumerate(info.classes)
    )
    return Look(info=info, classes=tuple(classes), sides=survey.sides)


def samples(
    argument: str, label: int, number: int, pixels: int, cache: Path, roots: Roots | None = None
) -> "NDArray[np.uint8]":
    """From anywhere in the class's folders; without those that are broken."""
    survey = _survey(argument, cache / "folder", roots)
    names = spread(name for name, place in survey.places.items() if place == ("train", label))[:number]
    return _decoding.some(survey.source, names, survey.info.channels, pixels, survey.depth)


def _images(survey: Survey, cache: Path) -> ImageSet | None:
    """At their own resolution, where they are few, or were decoded before."""
    resolution = survey.info.resolution
    few = _array_bytes(survey, resolution) <= SMALL_BYTES and sum(survey.sizes.values()) <= SMALL_FILES
    known = few or _place(survey, resolution, cache).is_dir()
    return _loaded(survey, resolution, cache) if known else None


def _loaded(survey: Survey, resolution: int, cache: Path) -> ImageSet:
    info = dataclasses.replace(survey.info, resolution=resolution)

    def fill(folder: Path) -> tuple[str, ...]:
        _arrays.require_space(info.name, cache, _array_bytes(survey, resolution))
        return _decoding.shown(_filled(survey, info, folder))

    return _arrays.load(_place(survey, resolution, cache), info, fill)


def _filled(survey: Survey, info: DatasetInfo, folder: Path) -> dict[str, str]:
    """Decode into `folder`. Where all test images of a class are broken that were kept out of it, others are."""
    broken = _decoding.decoded(survey.source, survey.places, info, survey.depth, folder)
    left = {place for name, place in survey.places.items() if name not in broken}
    for number, name in enumerate(info.classes):
        for part in ("train", "test"):
            if (part, number) not in left:
                return _filled_again(survey, info, folder, broken, name)
    return broken


def _filled_again(survey: Survey, info: DatasetInfo, folder: Path, broken: dict[str, str], name: str) -> dict[str, str]:
    number = info.classes.index(name)
    whole = [file for file, (_, own) in survey.places.items() if own == number and file not in broken]
    if survey.own_test or len(whole) < 3:
        raise DatasetError(
            f"dataset {info.name!r}: all train or all test images of class {name!r} are broken, such as "
            f"{_notes.told({file: why for file, why in broken.items() if survey.places[file][1] == number})}"
        )
    first = min(whole, key=_hash)
    places = survey.places | {first: ("test", number)}
    return _filled(dataclasses.replace(survey, places=places), info, folder)


def _place(survey: Survey, resolution: int, cache: Path) -> Path:
    name = digest([survey.digest, survey.info.digest, repr(survey.depth)])
    return cache / "folder" / f"{name}-{survey.info.channels}x{resolution}-{VERSION}"


def _array_bytes(survey: Survey, resolution: int) -> int:
    return len(survey.places) * survey.info.channels * resolution**2


def _survey(argument: str, cache: Path, roots: Roots | None) -> Survey:
    if not argument:
        raise DatasetError("dataset 'folder' needs a path: write folder:/path/to/images")
    path = _path(roots.resolved(argument) if roots else argument)
    images, listing = _listed(path, cache, roots)
    if not listing.files:
        raise DatasetError(
            f"{path} has no images: put JPEG, PNG, WebP, GIF, BMP or TIFF files in a folder for each class"
        )
    laid = layout(path, listing)
    places = laid.places
    own_test = any(part == "test" for part, _ in places.values())
    if not own_test:
        places = _tenth_for_testing(places)
    known = facts(images, listing, path, cache)
    numbers = Counter(part for part, _ in places.values())
    remarks = list(laid.remarks)
    if known.deep:
        text = f"greys of more than 8 bits become 8: {known.depth.low:g} is 0, and {known.depth.high:g} is 255"
        remarks.append(Remark(kind="greys", text=text))
    low, high = DEFAULT_PIXELS
    info = DatasetInfo(
        name=f"folder:{argument}",
        classes=laid.classes,
        channels=1 if known.grey else 3,
        resolution=min(high, max(low, known.sides[1])),
        train_images=numbers["train"],
        test_images=numbers["test"],
        validation_images=numbers["validation"],
        digest=digest(
            [
                f"{name}\0{listing.files[name]}\0{part}\0{laid.classes[number]}"
                for name, (part, number) in places.items()
            ]
        ),
        remarks=tuple(remarks),
        greys=(known.depth.low, known.depth.high) if known.deep else None,
    )
    return Survey(
        info=info,
        source=images,
        places=places,
        own_test=own_test,
        depth=known.depth,
        sides=known.sides,
        sizes={name: listing.files[name] for name in places},
        digest=listing.digest,
    )


def _listed(path: Path, cache: Path, roots: Roots | None) -> tuple[Source, Listing]:
    """Where there are tables of images, and no others, those are what is meant."""
    images: Source
    if path.suffix == _parquet.SUFFIX and path.is_file():
        images = _parquet.Tables(path.parent, [path.name], cache, roots)
        return images, images.listing()
    images = source(path, cache, roots)
    listing = images.listing()
    tables = [name for name in listing.others if name.endswith(_parquet.SUFFIX)]
    if listing.files or not tables:
        return images, listing
    images = _parquet.Tables(path, tables, cache, roots)
    return images, images.listing()


def _path(argument: str) -> Path:
    """Where the images are said to lie. Raises DatasetError for what the file system does not take for a path."""
    try:
        path = Path(argument).expanduser().absolute()
        path.stat()
    except FileNotFoundError:
        return path
    except (OSError, ValueError, RuntimeError) as error:  # too long, not to be entered; a NUL; nobody's home
        reason = getattr(error, "strerror", None) or str(error)
        raise DatasetError(f"{shortened(argument, 100)!r} is no path that can be read: {reason}") from error
    return path


def _tenth_for_testing(places: Places) -> Places:
    """With a tenth of each class to test on, always the same images."""
    classes: dict[int, list[str]] = {}
    for name, (_, number) in places.items():
        classes.setdefault(number, []).append(name)
    tested = {name for names in classes.values() for name in sorted(names, key=_hash)[: max(1, round(len(names) / 10))]}
    return {name: ("test" if name in tested else "train", number) for name, (_, number) in places.items()}


def _hash(name: str) -> bytes:
    return hashlib.sha256(os.fsencode(name)).digest()
