"""A folder of your own images, "folder:/path": one folder for each class, of JPEG and PNG files of any size.

Either `CLASS/…` or `train/CLASS/…` and `test/CLASS/…`. Without a test folder a tenth of each class, always the same
images, is kept for testing. A tar archive of such a folder will do as well. Images become squares: scaled by their
shorter side, cut at the centre, upright by their EXIF; grey if all of a sample are, and in colour otherwise.
"""

import dataclasses
import hashlib
import logging
import os
import statistics
from collections import Counter
from collections.abc import Collection, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import numpy as np
from numpy.typing import NDArray

from nas.datasets import DatasetError, DatasetInfo, ImageSet, _arrays, _listing, _picture
from nas.metering import host
from nas.refusal import one_line, shortened
from nas.roots import Roots

if TYPE_CHECKING:
    import nas.datasets.folder
    from nas.datasets import Dataset

    _satisfied: Dataset = nas.datasets.folder

DEFAULT_PIXELS = (16, 224)  # between which the default resolution lies
MOST_SKIPPED = 0.01  # of the images
BLOCK, CHUNK = 256, 16  # images decoded, and held, at once; images that a thread takes at a time
Item = TypeVar("Item")

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Survey:
    """What lies in the folder: `parts` gives every image's part, "train" or "test", and the number of its class."""

    info: DatasetInfo
    source: _listing.Source
    parts: dict[str, tuple[str, int]]
    digest: str


def describe(argument: str, cache: Path, roots: Roots | None = None) -> DatasetInfo:
    """Lists the files and looks at some headers; `resolution` is the median of their shorter sides, within bounds."""
    return _survey(argument, cache / "folder", roots).info


def load(argument: str, resolution: int, cache: Path, roots: Roots | None = None) -> ImageSet:
    """All images at `resolution`; made once per listing (names, sizes, times) and resolution."""
    if not 8 <= resolution <= 2048:
        raise DatasetError(f"resolution {resolution} is not between 8 and 2048 pixels")
    survey = _survey(argument, cache / "folder", roots)
    info = dataclasses.replace(survey.info, resolution=resolution)
    version = 1  # of how images become arrays
    place = cache / "folder" / f"{survey.digest}-{info.channels}x{resolution}-{version}"

    def fill(folder: Path) -> tuple[str, ...]:
        _arrays.require_space(info.name, cache, len(survey.parts) * info.channels * resolution**2)
        return _decode(survey, info, folder)

    return _arrays.load(place, info, fill)


def _survey(argument: str, cache: Path, roots: Roots | None) -> Survey:
    if not argument:
        raise DatasetError("dataset 'folder' needs a path: write folder:/path/to/images")
    path = _path(roots.resolved(argument) if roots else argument)
    source = _listing.source(path, cache, roots)
    listing = source.listing()
    if not listing.files:
        raise DatasetError(f"{path} has no images: put {', '.join(_listing.SUFFIXES)} files in a folder for each class")
    classes, parts = _parts(path, listing)
    if not listing.shorter_sides:
        raise DatasetError(
            f"{path}: none of the images looked at, such as {listing.files[0]}, can be opened: replace them"
        )
    numbers = Counter(part for part, _ in parts.values())
    low, high = DEFAULT_PIXELS
    info = DatasetInfo(
        name=f"folder:{argument}",
        classes=classes,
        channels=1 if listing.grey else 3,
        resolution=min(high, max(low, int(statistics.median(listing.shorter_sides)))),
        train_images=numbers["train"],
        test_images=numbers["test"],
    )
    return Survey(info=info, source=source, parts=parts, digest=listing.digest)


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


def _parts(path: Path, listing: _listing.Listing) -> tuple[tuple[str, ...], dict[str, tuple[str, int]]]:
    """The classes, and each image's part and class. Raises DatasetError for a layout that cannot be used."""
    root = _root(listing)
    names = {name: tuple(name.removeprefix(root).split("/")) for name in listing.files}
    folders = {tuple(name.removeprefix(root).split("/")) for name in listing.folders if name.startswith(root)}
    split = any(len(parts) > 2 and parts[0] == "train" for parts in names.values()) and not any(
        len(parts) == 2 and parts[0] == "train" for parts in names.values()
    )
    if split:
        others = {parts[0] for parts in names.values()} - {"train", "test"}
        if others:
            log.warning("%s: images in %s are not used, only those in train and test", path, ", ".join(sorted(others)))
    else:
        names = {name: ("train", *parts) for name, parts in names.items()}
        folders = {("train", *parts) for parts in folders}
    images: dict[str, dict[str, list[str]]] = {"train": {}, "test": {}}
    for parts in sorted(folders):
        if len(parts) == 2 and parts[0] in images:
            images[parts[0]][parts[1]] = []
    for name, parts in names.items():
        if parts[0] not in images:
            continue
        if len(parts) < 3:
            raise DatasetError(f"{path}: {name} lies in no class: move it into its class's folder, or away")
        images[parts[0]].setdefault(parts[1], []).append(name)
    train, test = images["train"], images["test"]
    classes = tuple(sorted(train))
    _check(path, train, test)
    if not test:
        for name in classes:
            test[name] = sorted(train[name], key=_hash)[: max(1, round(len(train[name]) / 10))]
            train[name] = sorted(set(train[name]) - set(test[name]))
    numbers = {name: number for number, name in enumerate(classes)}
    return classes, {
        file: (part, numbers[name]) for part, table in images.items() for name, files in table.items() for file in files
    }


def _root(listing: _listing.Listing) -> str:
    """The folder that all else is in, as where an archive was made of a folder by its name; "" or "name/"."""
    tops = {name.split("/")[0] for name in (*listing.files, *listing.folders)}
    deep = all(name.count("/") >= 2 for name in listing.files)
    return f"{tops.pop()}/" if len(tops) == 1 and deep and tops != {"train"} else ""


def _check(path: Path, train: dict[str, list[str]], test: dict[str, list[str]]) -> None:
    if len(train) < 2:
        raise DatasetError(
            f"{path} has one class ({', '.join(train)}): there is nothing to tell apart; give each class its folder"
        )
    for part, table in (("train", train), ("test", test)):
        for name, files in table.items():
            if not files:
                raise DatasetError(f"{path}: class {name!r} has no {part} images: add some, or remove its folder")
            if not one_line(name):
                raise DatasetError(f"{path}: class {name!r} has a name that cannot be shown: rename its folder")
    if test and set(test) != set(train):
        name = min(set(test) ^ set(train))
        lacking = "test" if name in train else "train"
        raise DatasetError(f"{path}: class {name!r} is missing from {lacking}: add its folder there, or remove it")
    least = 2 if test else 3
    for name, files in train.items():
        if len(files) < least:
            raise DatasetError(
                f"{path}: class {name!r} has {len(files)} of the {least} images that are needed, "
                f"one each to train, validate{'' if test else ' and test'}: add some, or remove its folder"
            )


def _hash(name: str) -> bytes:
    return hashlib.sha256(os.fsencode(name)).digest()


def _decode(survey: Survey, info: DatasetInfo, folder: Path) -> tuple[str, ...]:
    """Write the images as arrays into `folder`; the names of those that are broken come back."""
    total, skipped = len(survey.parts), list[str]()
    shape = (info.channels, info.resolution, info.resolution)

    def decoded(files: list[tuple[str, _listing.Opener]]) -> list[NDArray[np.uint8] | _picture.Corrupt]:
        return [one(*file) for file in files]

    def one(name: str, opener: _listing.Opener) -> NDArray[np.uint8] | _picture.Corrupt:
        try:
            with opener() as opened:
                return _picture.pixels(opened, info.channels, info.resolution)
        except _picture.Corrupt as error:
            return error
        except _picture.TooLarge as error:
            raise DatasetError(f"{name}: {error} Remove it, or make it smaller.") from error
        except OSError as error:
            raise DatasetError(f"{name} cannot be read: {error}") from error

    with (
        _arrays.Part(folder, "train", shape) as train,
        _arrays.Part(folder, "test", shape) as test,
        ThreadPoolExecutor(host.processors()) as pool,
        _picture.strict(),
    ):
        done = 0
        for block in _blocks(survey.source.files(survey.parts), BLOCK):
            images = chain.from_iterable(pool.map(decoded, _blocks(iter(block), CHUNK)))
            for (name, _), image in zip(block, images):
                part, number = survey.parts[name]
                if isinstance(image, _picture.Corrupt):
                    log.warning("%s is skipped: %s", name, image)
                    skipped.append(name)
                    if len(skipped) > MOST_SKIPPED * total:
                        raise DatasetError(
                            f"dataset {info.name!r}: over {MOST_SKIPPED:.0%} of {total:,} images are broken, among "
                            f"them {', '.join(skipped[:5])} ({image}): replace or remove them"
                        )
                else:
                    (train if part == "train" else test).add(image, number)
            done += len(block)
            if done % (BLOCK * 32) == 0:
                log.info("%s at %d pixels: %s of %s images", info.name, info.resolution, f"{done:,}", f"{total:,}")
        if done < total:
            raise DatasetError(f"dataset {info.name!r} changed while it was read: start again")
        _check_left(info, train.labels, test.labels)
    return tuple(os.fsencode(name).decode(errors="replace") for name in skipped)


def _check_left(info: DatasetInfo, *parts: Collection[int]) -> None:
    left = set.intersection(*map(set, parts))
    for number, name in enumerate(info.classes):
        if number not in left:
            raise DatasetError(f"dataset {info.name!r}: all train or all test images of class {name!r} are broken")


def _blocks(items: Iterator[Item], size: int) -> Iterator[list[Item]]:
    while block := list(islice(items, size)):
        yield block
