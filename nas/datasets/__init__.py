"""Datasets: named images with classes. One file each, found by name.

A dataset is named "fashion_mnist", or "folder:/path/to/images" where a plug-in takes an argument behind the colon.
"""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Protocol

from nas import plugins
from nas.networks.architecture import Images
from nas.refusal import between

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from nas.roots import Roots


class DatasetError(ValueError):
    """These images cannot be used; the message says which, why, and what would do."""


class Changed(DatasetError):
    """These images are others than they were when a run was submitted; `what` says in which way."""

    def __init__(self, name: str, what: str) -> None:
        super().__init__(
            f"{what}, other than when the run was submitted, so that accuracies would not compare: put the images of "
            f"{name} back as they were, or submit another run on these"
        )
        self.what = what


@dataclass(frozen=True, kw_only=True)
class Remark:
    """Something to be known of a dataset before its accuracies are believed."""

    kind: Literal["parts", "classes", "left out", "greys", "copies", "contradictions", "changed"]
    """What it is about: which images are for what, classes, what is left out and why, how more than 8 bits of grey
    become 8, test images that are training images, images of several classes, or what has changed since a search."""
    images: int = 0
    """How many images it is about, where they are counted."""
    text: str
    """The remark, in words."""

    def __post_init__(self) -> None:
        between(self, "images", 0, math.inf)


@dataclass(frozen=True, kw_only=True)
class DatasetInfo:
    """What is known of a dataset: of a large one without decoding its images."""

    name: str
    """Its name."""
    classes: tuple[str, ...]
    """The names of its classes, in the order of their numbers."""
    channels: int
    """Planes: 1 of grey images, 3 of colour."""
    resolution: int
    """Pixels a side of the images, or those that they are resized to where nothing else is said."""
    train_images: int
    """Images to train on, those that are kept out of it to be scored among them."""
    test_images: int
    """Images that a family is tested on."""
    validation_images: int = 0
    """Images of its own that networks of a search are scored on; 0: a part of those to train on."""
    digest: str = ""
    """Changes with the name, the size, the part and the class of any image; empty where they are always the same."""
    remarks: tuple[Remark, ...] = ()
    """What is to be known of it: what was left out and why, and what is odd."""
    greys: tuple[float, float] | None = None
    """The greys, of pictures of more than 8 bits, that become 0 and 255; null: the higher 8 of 16 bits."""

    def __post_init__(self) -> None:
        between(self, "channels", 1, 3)
        between(self, "resolution", 1, 2**16)
        for name in ("train_images", "test_images", "validation_images"):
            between(self, name, 0, math.inf)

    def as_seen(self, resolution: int | None = None) -> Images:
        """What its images give a network, at that resolution or their own. Raises ValueError."""
        return Images(resolution=resolution or self.resolution, channels=self.channels, classes=len(self.classes))


@dataclass(frozen=True, kw_only=True)
class ImageSet:
    """Decoded images: uint8 (N, C, H, W), labels int64 (N), read-only, in no useful order (often class by class).

    `skipped` names files that could not be decoded; the numbers in `info` are without them. Validation images are there
    where the dataset has its own.
    """

    info: DatasetInfo
    train_images: "NDArray[np.uint8]"
    train_labels: "NDArray[np.int64]"
    test_images: "NDArray[np.uint8]"
    test_labels: "NDArray[np.int64]"
    validation_images: "NDArray[np.uint8] | None" = None
    validation_labels: "NDArray[np.int64] | None" = None
    skipped: tuple[str, ...] = ()


class Dataset(Protocol):
    """A module in `nas/datasets/`. Both raise DatasetError where the images cannot be used."""

    def describe(self, argument: str, cache: Path, roots: "Roots | None") -> DatasetInfo:
        """Cheap: lists files and reads some headers, decodes a few MB of images at most, downloads nothing."""
        ...

    def load(self, argument: str, resolution: int, cache: Path, roots: "Roots | None") -> ImageSet:
        """Fetched if need be, decoded once into `cache`, memory-mapped from there after that.

        Images of a fixed size come in that size whatever `resolution` says; others are resized to it.
        """
        ...


def absolute(name: str) -> str:
    """The dataset's name with a path behind its colon from the root, so that it means the same from any folder."""
    plugin, _, argument = name.partition(":")
    try:
        return f"folder:{Path(argument).expanduser().absolute()}" if argument and plugin == "folder" else name
    except (OSError, ValueError, RuntimeError):  # nobody's home, or the folder that this runs in is gone
        return name


def require_same(before: DatasetInfo | None, now: DatasetInfo) -> None:
    """Raise Changed, naming what is other `now`, where the images are not those of `before`; None is of any."""
    if before is None or not before.digest or before.digest == now.digest:
        return
    gone, new = sorted({*before.classes} - {*now.classes}), sorted({*now.classes} - {*before.classes})
    changes = [
        f"class{'es' if len(names) > 1 else ''} {_few(names)} {word}"
        for word, names in (
            ("is gone" if len(gone) == 1 else "are gone", gone),
            ("is new" if len(new) == 1 else "are new", new),
        )
        if names
    ]
    for part in ("train", "validation", "test"):
        number, earlier = getattr(now, f"{part}_images"), getattr(before, f"{part}_images")
        if number != earlier:
            changes.append(f"there are {number:,} {part} images instead of {earlier:,}")
    raise Changed(now.name, "; ".join(changes) or "image files have other names, sizes or classes")


def require_fitting(info: DatasetInfo, channels: int, classes: int) -> None:
    """Raise ValueError where a network that is for other images was described."""
    shape = (info.channels, len(info.classes))
    if shape != (channels, classes):
        raise ValueError(
            f"dataset {info.name!r} has {shape[0]} channels and {shape[1]} classes, and the network is for "
            f"{channels} and {classes}: the dataset has changed since, submit the run again"
        )


def _few(names: list[str]) -> str:
    return ", ".join(map(repr, names[:5])) + (", …" if len(names) > 5 else "")


def describe(name: str, cache: Path, roots: "Roots | None" = None) -> DatasetInfo:
    """What is known of the dataset `name` before it is fetched or decoded. With `roots` a path is read only in them."""
    plugin, _, argument = name.partition(":")
    info: DatasetInfo = plugins.load(__name__, plugin).describe(argument, cache, roots)
    return info


def load(name: str, resolution: int, cache: Path, roots: "Roots | None" = None) -> ImageSet:
    """The images of the dataset `name`, from `cache` where they have been loaded before; `roots` as above."""
    plugin, _, argument = name.partition(":")
    images: ImageSet = plugins.load(__name__, plugin).load(argument, resolution, cache, roots)
    return images
