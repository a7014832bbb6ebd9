"""Datasets: named images with classes. One file each, found by name.

A dataset is named "fashion_mnist", or "folder:/path/to/images" where a plug-in takes an argument behind the colon.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from nas import plugins

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from nas.roots import Roots


class DatasetError(ValueError):
    """These images cannot be used; the message says which, why, and what would do."""


@dataclass(frozen=True, kw_only=True)
class DatasetInfo:
    """What is known of a dataset without decoding its images."""

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


@dataclass(frozen=True, kw_only=True)
class ImageSet:
    """Decoded images: uint8 (N, C, H, W), labels int64 (N), read-only, in no useful order (often class by class).

    `skipped` names files that could not be decoded; the numbers in `info` are without them.
    """

    info: DatasetInfo
    train_images: "NDArray[np.uint8]"
    train_labels: "NDArray[np.int64]"
    test_images: "NDArray[np.uint8]"
    test_labels: "NDArray[np.int64]"
    skipped: tuple[str, ...] = ()


class Dataset(Protocol):
    """A module in `nas/datasets/`. Both raise DatasetError where the images cannot be used."""

    def describe(self, argument: str, cache: Path, roots: "Roots | None") -> DatasetInfo:
        """Cheap: lists files and reads some headers, decodes no image, downloads nothing."""
        ...

    def load(self, argument: str, resolution: int, cache: Path, roots: "Roots | None") -> ImageSet:
        """Fetched if need be, decoded once into `cache`, memory-mapped from there after that.

        Images of a fixed size come in that size whatever `resolution` says; others are resized to it.
        """
        ...


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
