"""Images on the training device: split, shuffled, augmented and normalised there, as tensors."""

import logging
import os
import warnings
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from numpy.typing import NDArray
from torch import Tensor

from nas.recipes import Recipe
from nas.training.augmentation import cropped, mixed, moved, uncut, unerased
from nas.training.changes import changed
from nas.training.device import free_bytes
from nas.training.groups import held_out
from nas.training.team import ALONE, Team
from nas.worth import HELD_OUT

CHUNK_BYTES = 2**24  # of images at a time where all are gone through
STEPS = 4  # of the size of images, to the whole resolution
SIDES = 8  # pixels that smaller sizes are a multiple of: strides then divide them

Indices = NDArray[np.int64]
log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Normalisation:
    """Per channel, in units of 255: what images are shifted and divided by before a network sees them."""

    mean: tuple[float, ...]
    std: tuple[float, ...]


def split(
    labels: Indices,
    *,
    fold: int = 0,
    folds: int = 1,
    shuffle: int = 0,
    balanced: bool = False,
    groups: Indices | None = None,
) -> tuple[Indices, Indices]:
    """Indices to train on, in the order of `everything`, and those to validate on, the same for everybody: no seed
    enters.

    One fold is a tenth of each class, of which a class keeps at least one image where it has two. Of several each has
    as many of every class as the others, to within one, and every image is in one of them; another `shuffle` puts
    others together. Images with the same number in `groups` are on one side, and folds as even as that leaves them.
    """
    rank = _rank(labels, shuffle)
    if groups is not None:
        order = np.argsort(_rank(np.zeros(int(groups.max()) + 1, np.int64), shuffle))
        held = held_out(labels, groups, order, fold, folds)
    elif folds > 1:
        place = np.empty(len(labels), np.int64)
        place[np.lexsort((rank, labels))] = np.arange(len(labels))
        held = place % folds == fold
    else:
        sizes = np.bincount(labels)[labels]
        held = rank < np.where(sizes > 1, np.maximum(1, sizes // HELD_OUT), 0)
    return _in_turns(labels, rank, np.flatnonzero(~held), balanced), np.flatnonzero(held)


def everything(labels: Indices, *, balanced: bool = False) -> Indices:
    """All indices, in such an order that any first part of them has the classes in proportion; `balanced`: as many of
    each class as there are."""
    return _in_turns(labels, _rank(labels), np.arange(len(labels)), balanced)


def _in_turns(labels: Indices, rank: Indices, chosen: Indices, balanced: bool) -> Indices:
    """The `chosen` indices, those of each class by rank: of the classes in turns, the larger ones more often unless
    `balanced`."""
    classes, order = labels[chosen], np.lexsort((rank[chosen], labels[chosen]))
    starts = np.searchsorted(classes[order], classes[order])
    turn = np.empty(len(chosen))
    turn[order] = np.arange(len(chosen)) - starts + 0.5
    return chosen[np.lexsort((classes, turn if balanced else turn / np.bincount(classes)[classes]))]


def _rank(labels: Indices, shuffle: int = 0) -> Indices:
    """Each image's place among those of its class, in an order that only looks random, another for each `shuffle`."""
    scattered = _scatter(np.arange(len(labels), dtype=np.uint64) + (np.uint64(shuffle) << np.uint64(32)))
    order = np.lexsort((scattered, labels))
    starts = np.searchsorted(labels[order], labels[order])
    rank = np.empty(len(labels), np.int64)
    rank[order] = np.arange(len(labels)) - starts
    return rank


def _scatter(numbers: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """SplitMix64's finish (Steele, Lea, Flood 2014): a hash that no library's next version changes."""
    numbers = numbers + np.uint64(0x9E3779B97F4A7C15)
    numbers = (numbers ^ (numbers >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    numbers = (numbers ^ (numbers >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return numbers ^ (numbers >> np.uint64(31))


def normalisation(images: NDArray[np.uint8], indices: Indices) -> Normalisation:
    """Mean and standard deviation of each channel over the images at `indices`; a constant channel is left as it is."""
    channels = images.shape[1]
    histogram = np.zeros((channels, 256), np.int64)
    indices = np.sort(indices)  # in the order in which they lie on the disk
    size = max(1, CHUNK_BYTES // images[:1].nbytes)
    for start in range(0, len(indices), size):
        chunk = tensor(images[indices[start : start + size]])
        for channel in range(channels):
            histogram[channel] += torch.bincount(chunk[:, channel].flatten(), minlength=256).numpy()
    values = np.arange(256) / 255
    mean = (histogram * values).sum(1) / histogram.sum(1)
    variance = (histogram * (values - mean[:, None]) ** 2).sum(1) / histogram.sum(1)
    std = np.where(variance > 0, np.sqrt(variance), 1.0)
    return Normalisation(mean=tuple(mean.tolist()), std=tuple(std.tolist()))


def tensor(array: NDArray[Any]) -> Tensor:
    """`array` as a tensor that shares its memory, to be read only."""
    with warnings.catch_warnings():
        # Images that processes share and images mapped from a file are not writable, and nobody writes to them.
        warnings.filterwarnings("ignore", "The given NumPy array is not writable", UserWarning)
        return torch.from_numpy(array)


class View:
    """What a network is shown of raw images: uint8 (N, C, H, W) on any device to normalised float of the network's
    resolution, channels last."""

    def __init__(self, resolution: int, how: Normalisation, device: torch.device) -> None:
        self._resolution = resolution
        self._scale = 1 / (255 * torch.tensor(how.std, device=device)[:, None, None])
        self._shift = -torch.tensor(how.mean, device=device)[:, None, None] * 255 * self._scale

    def __call__(self, raw: Tensor, size: float = 1.0) -> Tensor:
        """`size`: a part of the resolution."""
        images = torch.addcmul(self._shift, raw.to(self._shift.device, torch.float32), self._scale)
        return self.sized(images, size).contiguous(memory_format=torch.channels_last)

    def sized(self, images: Tensor, size: float = 1.0) -> Tensor:
        """Of the resolution, or such a part of it, and otherwise as they are."""
        smaller = max(1, round(size * self._resolution / SIDES)) * SIDES
        side = self._resolution if size == 1 else min(self._resolution, smaller)
        if images.shape[-2:] == (side, side):
            return images
        return F.interpolate(images.float(), size=(side, side), mode="bilinear", antialias=True)


class Batches:
    """The training images at `indices`, in shuffled batches, augmented as the recipe says.

    They are kept on `device` as they are, unless it is too small for them and `training_bytes` beside; nothing is
    decoded or copied twice. Mapped from a file they may be more than fits into the memory: a batch is read while the
    one before it is trained on.
    """

    def __init__(
        self,
        images: NDArray[np.uint8],
        labels: Indices,
        indices: Indices,
        recipe: Recipe,
        view: View,
        device: torch.device,
        training_bytes: int = 0,
        *,
        classes: int | None = None,
        team: Team = ALONE,
    ) -> None:
        """`classes`: as many as the network answers; None: as many as there are labels. Of a `team` each process reads
        and augments its own part of every batch."""
        assert recipe.epochs, "they are settled before a training"
        raw = tensor(images)
        self._images = _placed(raw, device, training_bytes)
        self._ahead = Ahead(images, copied=self._images is not raw)
        self._labels = tensor(labels).to(device)
        self._indices = tensor(indices).to(device)
        self._classes = int(labels.max()) + 1 if classes is None else classes
        self._recipe, self._view, self._device, self._team = recipe, view, device, team
        # Half of the images; the others are mirrored in the next epoch, and so on in turns (Jordan 2024): by chance a
        # quarter of them would be seen the same way three epochs on end.
        mirrored = _scatter(np.arange(len(labels), dtype=np.uint64)) % np.uint64(2) == 1
        self._mirrored = tensor(mirrored).to(device)
        self._epoch, self._augmented_epochs = 0, round((1 - recipe.clean) * recipe.epochs)

    def __len__(self) -> int:
        """Batches in an epoch. None is smaller than asked for, as normalisation needs several images."""
        return max(1, len(self._indices) // self._recipe.batch)

    @property
    def images(self) -> int:
        """Images in an epoch, those of all processes together."""
        return len(self._indices)

    def shuffled(self, draw: torch.Generator, epoch: int = 0) -> Iterator[Tensor]:
        """Every image of this process once, as the indices of each batch of that epoch, numbered from 0."""
        self._epoch = epoch
        order = torch.randperm(len(self._indices), generator=draw, device=self._device)
        if not self._team.leads:  # it draws other augmentations from here on
            draw.manual_seed(self._team.seed(draw.initial_seed()))
        batches = [self._team.part(batch) for batch in self._indices[order].tensor_split(len(self))]
        self._ahead.want(batches[0])
        for batch, following in zip(batches, (*batches[1:], None)):
            if following is not None:
                self._ahead.want(following)
            yield batch

    @property
    def size(self) -> float:
        """The side of images in this epoch, as a part of the resolution."""
        left = STEPS * (self._recipe.epochs - 1 - self._epoch) // self._recipe.epochs  # the last epochs have it whole
        return 1 - (1 - self._recipe.start_size) * max(0, left) / (STEPS - 1)

    def batch(self, indices: Tensor, draw: torch.Generator) -> tuple[Tensor, Tensor]:
        """Images (N, C, side, side) ready for the network and their labels: numbers (N), or where images are mixed the
        share that each class has (N, classes)."""
        recipe, labels = self._recipe, self._labels[indices]
        images = self._images[indices.to(self._images.device)].to(self._device, non_blocking=True)
        if self._epoch >= self._augmented_epochs:
            return self._view(images, self.size), labels
        mirrored = self._mirrored[indices] ^ bool(self._epoch % 2) if recipe.flip else None
        images = moved(images, recipe.shift, draw, mirrored)
        if recipe.crop < 1 or recipe.augment:  # in the size that is wanted, as every look-up of pixels blurs a little
            images = self._view.sized(images, self.size).float()
            images = changed(cropped(images, recipe.crop, draw), recipe.augment, draw)
        images = self._view(images, self.size)
        if recipe.cutout:
            images = images * uncut(images, recipe.cutout, draw)
        if recipe.erase:
            images = images * unerased(images, recipe.erase, draw)
        return mixed(images, labels, self._classes, recipe.mixup, recipe.cutmix, draw)


class Ahead:
    """Reads ahead: `images` that are mapped from a file too large for the memory are on their way from the disk while
    the batch before them is trained on. Nothing happens for others, for those that were `copied` to a device, and where
    the system cannot do it."""

    def __init__(self, images: NDArray[Any], *, copied: bool) -> None:
        mapped = (
            not copied
            and isinstance(images, np.memmap)
            and images.filename is not None
            and hasattr(os, "posix_fadvise")
        )
        self._file = os.open(images.filename, os.O_RDONLY | os.O_CLOEXEC) if mapped else None  # type: ignore[attr-defined]
        self._start, self._bytes = getattr(images, "offset", 0), images[:1].nbytes

    def want(self, indices: Tensor) -> None:
        """The images at `indices` are going to be read; returns at once."""
        if self._file is not None:
            for index in indices.tolist():
                place = self._start + index * self._bytes
                os.posix_fadvise(self._file, place, self._bytes, os.POSIX_FADV_WILLNEED)

    def __del__(self) -> None:
        if self.__dict__.get("_file") is not None:
            os.close(self._file)  # type: ignore[arg-type]


def _placed(images: Tensor, device: torch.device, training_bytes: int) -> Tensor:
    free = free_bytes(device)
    if free is None or images.nbytes + training_bytes <= free:
        with suppress(torch.OutOfMemoryError):  # somebody else's was faster
            return images.to(device)
    words = "%d images do not fit on %s beside their training: they stay in the host's memory"
    log.warning(words, len(images), device)
    return images
