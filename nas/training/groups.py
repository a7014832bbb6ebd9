"""Folds of whole groups: images that belong together are held out together."""

import logging
import os

import numpy as np
from numpy.typing import NDArray

from nas.datasets import DatasetError, ImageSet
from nas.groups import group
from nas.worth import HELD_OUT

Indices = NDArray[np.int64]
log = logging.getLogger(__name__)


def numbered(images: ImageSet, separator: str) -> Indices | None:
    """The number of each training image's group, by the names of their files; None where nobody asks for groups.
    Raises DatasetError where there are no names, or only one group."""
    if not separator:
        return None
    if images.train_names is None:
        raise DatasetError(f"dataset {images.info.name!r} has no file names to make groups of by {separator!r}")
    numbers: Indices = np.unique(_groups(images.train_names, separator), return_inverse=True)[1].astype(np.int64)
    if not numbers.any():
        raise DatasetError(f"all names in dataset {images.info.name!r} are alike before {separator!r}: one group")
    return numbers


def warn_of_kin(images: ImageSet, separator: str, part: str) -> None:
    """Say of the dataset's own images to be scored on how many belong to groups that are trained on."""
    names: NDArray[np.bytes_] | None = getattr(images, f"{part}_names")
    if names is None or images.train_names is None:
        return
    own = _groups(names, separator)
    kin = int(np.isin(own, _groups(images.train_names, separator)).sum())
    if kin:
        words = "%d of %d %s images belong to groups that are trained on: keep whole groups apart in a folder %s"
        log.warning(words, kin, len(own), part, part)


def held_out(labels: Indices, groups: Indices, order: Indices, fold: int, folds: int) -> NDArray[np.bool_]:
    """Which images that fold holds out; of one fold, about a tenth. `order`: that of groups as large as each other.

    One group after another, the largest first, goes to where least is of what it has (scikit-learn's
    StratifiedGroupKFold).
    """
    counted = np.zeros((len(order), int(labels.max()) + 1))
    np.add.at(counted, (groups, labels), 1)
    shares = counted / np.maximum(1, counted.sum(0))  # of each class
    sizes = np.floor(np.log2((shares**2).sum(1)))  # roughly, so that another order makes other folds
    into = folds if folds > 1 else min(HELD_OUT, len(order))
    held, place = np.zeros((into, shares.shape[1])), np.empty(len(order), np.int64)
    for number in order[np.argsort(-sizes[order], kind="stable")]:
        alike = held @ shares[number]
        place[number] = np.lexsort((held.sum(1), alike))[0]
        held[place[number]] += shares[number]
    if folds == 1:  # the one with the most classes, of these the nearest to a tenth
        fold = int(np.lexsort((abs(held - 1 / HELD_OUT).sum(1), -(held > 0).sum(1)))[0])
    mask: NDArray[np.bool_] = place[groups] == fold
    return mask


def _groups(names: NDArray[np.bytes_], separator: str) -> NDArray[np.str_]:
    return np.array([group(os.fsdecode(name), separator) for name in names])
