"""The images of a checkpoint: those that it learnt from, and those that its promise was made on."""

import hashlib
from typing import TYPE_CHECKING

import numpy as np

from nas import datasets, home
from nas.datasets import DatasetError, ImageSet
from nas.models.checkpoint import BadCheckpoint, Card
from nas.training.data import Indices, everything, split
from nas.training.groups import numbered

PIECE = 256  # images that are copied at a time

if TYPE_CHECKING:
    from numpy.typing import NDArray


def loaded(card: Card, dataset: str | None = None) -> ImageSet:
    """As `present`, where the network was trained for such."""
    return checked(card, present(card, dataset))


def present(card: Card, dataset: str | None = None) -> ImageSet:
    """Those of its dataset, or of `dataset` where that has another name by now, whatever they are. Raises
    DatasetError."""
    resolution = card.pixels or card.architecture.images.resolution
    return datasets.load(dataset or card.dataset, resolution, home.folder("datasets"))


def checked(card: Card, images: ImageSet) -> ImageSet:
    """The images, where the network was trained for such. Raises DatasetError."""
    if images.info.classes != card.classes:
        raise DatasetError(
            f"dataset {images.info.name!r} has the classes {', '.join(images.info.classes)}, "
            f"and the network was trained for {', '.join(card.classes)}: name another with --dataset"
        )
    if images.info.channels != card.architecture.images.channels:
        raise DatasetError(
            f"dataset {images.info.name!r} has {images.info.channels} channels, and the network takes "
            f"{card.architecture.images.channels}: name another with --dataset"
        )
    return images


def digest(raw: "NDArray[np.uint8]", labels: Indices, chosen: Indices | None = None) -> str:
    """Of images by their pixels and their classes, in their order; of those at the indices `chosen`, where these are
    given."""
    indices = np.arange(len(labels)) if chosen is None else chosen
    found = hashlib.sha256(str(raw.shape[1:]).encode() + np.ascontiguousarray(labels[indices], "<i8").tobytes())
    for start in range(0, len(indices), PIECE):
        found.update(raw[indices[start : start + PIECE]].tobytes())
    return found.hexdigest()


def changed(card: Card, images: ImageSet) -> str | None:
    """That the images are others than those that the accuracy was measured on, in words. None: they are the same, or
    nobody can tell, as an earlier version saved the card.

    Which images are held out hangs on all that there are. Where one came or went others are, which the network may
    have been trained on.
    """
    if card.contents in (None, images.info.digest):
        return None
    if images.info.classes == card.classes and images.info.channels == card.architecture.images.channels:
        _, _, raw, labels = promised(card, images, "the checkpoint")
        if digest(raw, labels) == card.scored_images:
            return None
    return f"the images of {images.info.name} have changed since it was trained: its accuracy cannot be checked again"


def learnt(card: Card, images: ImageSet) -> Indices:
    """Indices of the training images that these weights were trained on, in their order."""
    if card.test_accuracy is not None or images.validation_images is not None:
        indices = everything(images.train_labels, balanced=card.recipe.balanced)
    else:
        indices, _ = _split(card, images)
    return indices[: card.recipe.train_images]


def promised(card: Card, images: ImageSet, where: str) -> tuple[float, str, "NDArray[np.uint8]", Indices]:
    """The accuracy that was promised, in single precision, and the images that it was measured on. Raises
    BadCheckpoint, whose message begins with `where`."""
    accuracy = stated(card, where)
    if card.test_accuracy is not None:
        return accuracy, "test", images.test_images, images.test_labels
    if images.validation_images is not None and images.validation_labels is not None:
        return accuracy, "validation", images.validation_images, images.validation_labels
    _, held = _split(card, images)
    return accuracy, "validation", images.train_images[held], images.train_labels[held]


def stated(card: Card, where: str) -> float:
    """The accuracy alone. Raises BadCheckpoint likewise."""
    accuracy = card.accuracy if card.test_accuracy is None else card.test_accuracy
    if accuracy is None:
        raise BadCheckpoint(f"{where} promises no accuracy")
    return accuracy


def _split(card: Card, images: ImageSet) -> tuple[Indices, Indices]:
    recipe = card.recipe
    return split(
        images.train_labels,
        folds=max(1, recipe.folds),
        shuffle=card.shuffle,
        balanced=recipe.balanced,
        groups=numbered(images, recipe.group),
    )
