"""Datasets: named images with classes. One file each, found by name.

A dataset is named "fashion_mnist", or "folder:/path/to/images" where a plug-in takes an argument behind the colon.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Protocol, TypeVar, cast

from nas import plugins
from nas.networks.architecture import Images
from nas.refusal import Refusal, between
from nas.tracebacks import blamed

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from nas.roots import Roots

Answer = TypeVar("Answer")

PATHS = ("/", "~", ".")  # how a path begins that was given in place of a dataset's name
STRIP_IMAGES, STRIP_PIXELS = 8, 64  # of a class, side by side, and a side of each


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
class ClassImages:
    """How many images a class has."""

    name: str
    """Its name."""
    train_images: int
    """Images to train on."""
    validation_images: int = 0
    """Images of its own that networks of a search are scored on."""
    test_images: int
    """Images that a family is tested on."""


@dataclass(frozen=True, kw_only=True)
class Look:
    """What is seen of a dataset when somebody looks at it before anything is spent."""

    info: DatasetInfo
    """What is known of it, with remarks on what was left out and what is twice there."""
    classes: tuple[ClassImages, ...]
    """Its classes, in the order of their numbers."""
    sides: tuple[int, int, int] | None = None
    """Pixels of the shorter side of the smallest, the median and the largest of the images looked at. Null: all are
    alike."""
    visible: bool = True
    """Whether some of its images can be shown; what is fetched when a run first trains on it cannot yet."""

    @property
    def smallest(self) -> ClassImages:
        """The class with the fewest training images."""
        return min(self.classes, key=lambda one: one.train_images)

    @property
    def largest(self) -> ClassImages:
        """The class with the most of them."""
        return max(self.classes, key=lambda one: one.train_images)


@dataclass(frozen=True, kw_only=True)
class ImageSet:
    """Decoded images: uint8 (N, C, H, W), labels int64 (N), read-only, in no useful order (often class by class).

    `skipped` names files that could not be decoded; the numbers in `info` are without them. Validation images are there
    where the dataset has its own; file names, without their folders, as bytes, where images are files.
    """

    info: DatasetInfo
    train_images: "NDArray[np.uint8]"
    train_labels: "NDArray[np.int64]"
    test_images: "NDArray[np.uint8]"
    test_labels: "NDArray[np.int64]"
    validation_images: "NDArray[np.uint8] | None" = None
    validation_labels: "NDArray[np.int64] | None" = None
    train_names: "NDArray[np.bytes_] | None" = None
    test_names: "NDArray[np.bytes_] | None" = None
    validation_names: "NDArray[np.bytes_] | None" = None
    skipped: tuple[str, ...] = ()


class Dataset(Protocol):
    """A module in `nas/datasets/`. All raise DatasetError where the images cannot be used. `names`, `look` and
    `samples` may be left out: then no images go by names, and none are looked at before something is trained on
    them."""

    def describe(self, argument: str, cache: Path, roots: "Roots | None") -> DatasetInfo:
        """Cheap: lists files and reads some headers, decodes a few MB of images at most, downloads nothing."""
        ...

    def load(self, argument: str, resolution: int, cache: Path, roots: "Roots | None") -> ImageSet:
        """Fetched if need be, decoded once into `cache`, memory-mapped from there after that.

        Images of a fixed size come in that size whatever `resolution` says; others are resized to it.
        """
        ...

    def names(self, argument: str, cache: Path, roots: "Roots | None") -> dict[str, str]:
        """The class of each training image by the name of its file; none where they are no files. Cheap."""
        ...

    def look(self, argument: str, cache: Path, roots: "Roots | None") -> Look:
        """As `describe`, and what there is of each class; files alike are found, which may mean to read many."""
        ...

    def samples(
        self, argument: str, label: int, number: int, pixels: int, cache: Path, roots: "Roots | None"
    ) -> "NDArray[np.uint8]":
        """As many training images of the class of that number (N, C, H, W), or all where there are fewer, about so many
        pixels a side. Downloads nothing."""
        ...


def check(name: str) -> None:
    """Raise plugins.UnknownPlugin, which says how a dataset is named, unless there is a plug-in for the dataset
    `name`."""
    known = plugins.names(__name__)
    if name.partition(":")[0] in known:
        return
    takes = {plugin: plugins.constant(__name__, plugin, "ARGUMENT") for plugin in known}
    written = ", ".join(f"{plugin}:{argument}" if argument else plugin for plugin, argument in takes.items())
    meant = f"; did you mean folder:{name}?" if name.startswith(PATHS) else ""
    raise plugins.UnknownPlugin(f"unknown dataset {name!r}: there are {written}{meant}")


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


def _plugin(name: str) -> tuple[Dataset, str]:
    """The plug-in of the dataset `name`, and what it is told. Raises DatasetError where it cannot be imported."""
    check(name)
    plugin, _, argument = name.partition(":")
    try:
        return cast(Dataset, plugins.load(__name__, plugin, "describe", "load")), argument
    except plugins.BrokenPlugin as error:
        raise DatasetError(str(error)) from error


def _asked(name: str, function: str, answer: Callable[[Dataset, str], Answer]) -> Answer:
    """What the function of the plug-in of the dataset `name` gives. Raises DatasetError, whatever that raises but for
    what says more: Refusal and MemoryError."""
    plugin, argument = _plugin(name)
    if not hasattr(plugin, function):
        kind = name.partition(":")[0]
        raise DatasetError(
            f"dataset {name!r} cannot be looked at before something is trained on it: nas/datasets/{kind}.py has no "
            f"function {function}"
        )
    try:
        return answer(plugin, argument)
    except (DatasetError, Refusal, MemoryError):
        raise
    except plugins.FAULTS as error:
        where = plugins.file(__name__, name.partition(":")[0])
        raise DatasetError(f"dataset {name!r}: {function} raises {blamed(error, where)}") from error


def describe(name: str, cache: Path, roots: "Roots | None" = None) -> DatasetInfo:
    """What is known of the dataset `name` before it is fetched or decoded. With `roots` a path is read only in them."""
    return _asked(name, "describe", lambda plugin, argument: plugin.describe(argument, cache, roots))


def load(name: str, resolution: int, cache: Path, roots: "Roots | None" = None) -> ImageSet:
    """The images of the dataset `name`, from `cache` where they have been loaded before; `roots` as above."""
    plugin, argument = _plugin(name)
    return plugin.load(argument, resolution, cache, roots)


def names(name: str, cache: Path, roots: "Roots | None" = None) -> dict[str, str]:
    """The class of each training image of the dataset `name` by its file's name, where it has one; `roots` as above."""
    if not hasattr(_plugin(name)[0], "names"):
        return {}
    return _asked(name, "names", lambda plugin, argument: plugin.names(argument, cache, roots))


def look(name: str, cache: Path, roots: "Roots | None" = None) -> Look:
    """What is seen of the dataset `name` before anything is spent on it; `roots` as above."""
    return _asked(name, "look", lambda plugin, argument: plugin.look(argument, cache, roots))


def strip(name: str, label: int, cache: Path, roots: "Roots | None" = None) -> bytes:
    """A few training images of a class of the dataset `name`, side by side, as one JPEG file; `roots` as above."""
    from nas.datasets import _picture

    few = (label, STRIP_IMAGES, STRIP_PIXELS, cache, roots)
    samples = _asked(name, "samples", lambda plugin, argument: plugin.samples(argument, *few))
    if not len(samples):
        raise DatasetError(f"dataset {name!r} has no training images of class number {label} that can be shown")
    return _picture.strip(samples)
