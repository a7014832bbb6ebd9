"""What weights of a parent are worth: `python -m bench.parents`

Growth: each member of a family is trained from nothing, and once more from the weights of the member before it by as
few epochs as come to the same accuracy, each count of epochs a training of its own with its whole schedule. Scored on
held-out training images of Fashion-MNIST, so that no test image is looked at for the choice of a number of epochs.
"""

import argparse
import sys
import time
from dataclasses import replace

import torch
from torch import nn

from bench._rows import row
from nas import datasets, home
from nas.datasets import ImageSet
from nas.inheritance import inherited
from nas.networks.architecture import Architecture, Images, Stage
from nas.networks.blocks import network
from nas.networks.counts import counts
from nas.plans.growth import member
from nas.recipes import RECIPES, Recipe
from nas.training.accuracy import accuracy
from nas.training.data import Batches, View, normalisation, split
from nas.training.train import train

CPU = torch.device("cpu")
IMAGES = Images(resolution=28, channels=1, classes=10)
STAGE = Stage(op="mbconv", kernel=3, stride=1, expand=3, channels=24, repeats=2)
B0 = Architecture(
    images=IMAGES,
    stem=16,
    stem_stride=2,
    stages=(STAGE, replace(STAGE, stride=2, channels=40), replace(STAGE, stride=2, channels=80)),
    head=0,
)
SHARES = (0.2, 0.4, 0.6, 0.8, 1.0)  # of the epochs from nothing, in the order in which they are tried


class Trainings:
    """By `recipe`, scored on held-out training images."""

    def __init__(self, images: ImageSet, recipe: Recipe) -> None:
        self._images, self._recipe = images, recipe
        self._training, self._held = split(images.train_labels)

    def train(self, built: nn.Module, architecture: Architecture, epochs: int) -> tuple[float, float]:
        """The accuracy, and the seconds of the training."""
        images, recipe = self._images, replace(self._recipe, epochs=epochs)
        training = self._training[: recipe.train_images]
        view = View(architecture.images.resolution, normalisation(images.train_images, training), CPU)
        batches = Batches(images.train_images, images.train_labels, training, recipe, view, CPU)
        begun = time.perf_counter()
        train(built, batches, recipe, seed=0, device=CPU, after_epoch=lambda _: None)
        seconds = time.perf_counter() - begun
        held = self._held
        score = accuracy(built, images.train_images[held], images.train_labels[held], view, CPU)
        print(
            f"{counts(architecture).params:,} parameters, {epochs} epochs: {score:.4f} in {seconds:.0f} s",
            file=sys.stderr,
        )
        return score, seconds


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.parents", description=__doc__)
    parser.add_argument("--members", nargs="+", default=["B1", "B2", "B3"])
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--train-images", type=int, default=20_000)
    options = parser.parse_args()
    images = datasets.load("fashion_mnist", IMAGES.resolution, home.folder("datasets"))
    trainings = Trainings(images, replace(RECIPES["short"], train_images=options.train_images))
    torch.manual_seed(0)
    parent, before = network(B0), B0
    trainings.train(parent, B0, options.epochs)
    alone, heirs = 0.0, 0.0
    for name in options.members:
        architecture = member(B0, name)
        wanted, whole = trainings.train(network(architecture), architecture, options.epochs)
        alone += whole
        for share in SHARES:
            heir = inherited(parent, before, architecture)
            score, seconds = trainings.train(heir.network, architecture, max(1, round(share * options.epochs)))
            if score >= wanted or share == SHARES[-1]:
                break
        heirs += seconds
        parent, before = heir.network, architecture
        row(
            f"seconds of training of {name} from the member before, {heir.share:.0%} of its weights inherited, to "
            f"{score:.4f}",
            seconds,
            "s",
            peer=f"from nothing, to {wanted:.4f}",
            peer_value=whole,
            ratio=whole / seconds,
        )
    row(
        f"seconds to the accuracy of training from nothing, {', '.join(options.members)} together",
        heirs,
        "s",
        peer="each from nothing",
        peer_value=alone,
        ratio=alone / heirs,
        target="at most 0.6 of the peer's",
        holds=heirs <= 0.6 * alone,
    )


if __name__ == "__main__":
    main()
