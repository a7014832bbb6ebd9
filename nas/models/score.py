"""Does a checkpoint keep its promise? `python -m nas.models.score CHECKPOINT [--dataset NAME]`

Reloads the network, runs it on the images that its accuracy was measured on, and compares.
"""

import argparse
import sys
from dataclasses import dataclass
from pathlib import Path

import torch

from nas import datasets, home
from nas.datasets import DatasetError, ImageSet
from nas.metrics import Quality
from nas.models.checkpoint import BadCheckpoint, Card, load
from nas.training.accuracy import answers, judged
from nas.training.data import Normalisation, View, split
from nas.training.device import alone, training_device


@dataclass(frozen=True, kw_only=True)
class Score:
    """`accuracy` found and `promised`, on so many `images`: test images, or validation images of a search's trial; and
    what else the answers are worth."""

    accuracy: float
    quality: Quality
    promised: float
    images: int
    part: str

    @property
    def kept(self) -> bool:
        """Whether the two differ by no more than half an image."""
        return abs(self.accuracy - self.promised) * self.images <= 0.5


def score(path: Path, dataset: str | None = None, *, images: ImageSet | None = None) -> Score:
    """Score the checkpoint at `path` on its own dataset, or on `dataset` where that has another name by now.

    Raises BadCheckpoint, DatasetError, and OSError where there is no such file.
    """
    network, card = load(path)
    resolution = card.architecture.images.resolution
    images = images or datasets.load(dataset or card.dataset, resolution, home.folder("datasets"))
    _check(images, card)
    device = training_device()
    view = View(resolution, Normalisation(mean=card.mean, std=card.std), device)
    network = network.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    if card.test_accuracy is not None:
        part, promised = "test", card.test_accuracy
        raw, labels = images.test_images, images.test_labels
    elif card.accuracy is not None:
        part, promised = "validation", card.accuracy
        if images.validation_images is not None and images.validation_labels is not None:
            raw, labels = images.validation_images, images.validation_labels
        else:
            _, held = split(images.train_labels, folds=max(1, card.recipe.folds), shuffle=card.shuffle)
            raw, labels = images.train_images[held], images.train_labels[held]
    else:
        raise BadCheckpoint(f"{path} promises no accuracy")
    with alone(device):  # as when the promise was made: more threads may sum in another order
        answered = answers(network, raw, labels, view, device)
    return Score(
        accuracy=float((answered.taken_for.numpy() == labels).mean()),
        quality=judged(answered, labels, card.classes),
        promised=promised,
        images=len(labels),
        part=part,
    )


def _check(images: ImageSet, card: Card) -> None:
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


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m nas.models.score", description=__doc__.partition("\n")[0])
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("--dataset", help="where its images are now, if its card's name for them does not hold here")
    options = parser.parse_args(arguments)
    try:
        result = score(options.checkpoint, options.dataset)
    except (ValueError, OSError, ModuleNotFoundError) as error:
        print(error, file=sys.stderr)
        return 2
    print(f"{result.part} accuracy {result.accuracy:.4f} on {result.images:,} images, promised {result.promised:.4f}")
    own = result.quality
    print(
        f"balanced accuracy {own.balanced_accuracy:.4f}, macro-F1 {own.macro_f1:.4f}, worst recall "
        f"{own.worst_recall:.4f} of {own.worst_class}, log loss {own.log_loss:.4f}, calibration error "
        f"{own.calibration_error:.4f}"
    )
    if not result.kept:
        print("the promise is not kept: the images or the machine differ from those it was made on", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
