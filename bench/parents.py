"""What weights of a parent are worth: `python -m bench.parents`

Growth: each member of a family is trained from nothing, and once more from the weights of the member before it by as
few epochs as come to the same accuracy, each count of epochs a training of its own with its whole schedule. Scored on
held-out training images of Fashion-MNIST, so that no test image is looked at for the choice of a number of epochs.

Imbalance: of half of the classes nine images in ten are missing; class weights and the metric worst_recall against
neither. Teacher: a member of the family teaches the smallest one. Small: a network of at most 300,000 parameters is
searched for and trained in the time that five epochs of Keras' GoogLeNet example take, and scored on the test images.

Photographs and children want `--images FOLDER`: a few photographs a class, by a published network that is fine-tuned
and by a small one from nothing in the same time, scored on the folder's test images; and children with at most half of
the published network's multiply-adds, scored on training images that are not trained on.
"""

import argparse
import os
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch

from bench._family import B0, IMAGES, Trainings
from bench._imbalance import imbalance
from bench._photographs import children, photographs
from bench._rows import row
from bench._small import small
from bench._teaching import teaching
from nas import datasets, home, settings
from nas.datasets import ImageSet
from nas.inheritance import inherited
from nas.networks.blocks import network
from nas.networks.members import member
from nas.recipes import RECIPES, Recipe

SHARES = (0.2, 0.4, 0.6, 0.8, 1.0)  # of the epochs from nothing, in the order in which they are tried
EPOCHS = {"growth": 10, "imbalance": 6, "teacher": 5}
OF_FASHION = (*EPOCHS, "small")
OF_PHOTOGRAPHS = ("photographs", "children")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.parents", description=__doc__)
    parser.add_argument("--only", nargs="+", choices=[*OF_FASHION, *OF_PHOTOGRAPHS], help="all that have their images")
    parser.add_argument("--members", nargs="+", default=["B1", "B2", "B3"], help="that are grown; the last one teaches")
    parser.add_argument("--epochs", type=int, help=f"of a training on Fashion-MNIST: {EPOCHS} where it is not said")
    parser.add_argument("--train-images", type=int, default=20_000, help="of Fashion-MNIST")
    parser.add_argument("--images", type=Path, help="a folder of photographs")
    parser.add_argument("--count", type=int, default=500, help="photographs that are trained on")
    parser.add_argument("--resolution", type=int, default=128, help="of photographs")
    parser.add_argument("--parent", default="efficientnet_lite0")
    parser.add_argument("--without-peer", action="store_true", help="of photographs, which takes as long again")
    options = parser.parse_args()
    wanted = options.only or [*OF_FASHION, *(OF_PHOTOGRAPHS if options.images else ())]
    of_photographs = [name for name in OF_PHOTOGRAPHS if name in wanted]
    if of_photographs and not options.images:
        parser.error(f"--only {' '.join(of_photographs)} needs --images FOLDER")
    for name in of_photographs:
        how = options.images, options.count, options.resolution, options.parent
        if name == "photographs":
            photographs(*how, without_peer=options.without_peer)
        else:
            children(*how)
    of_fashion = [name for name in OF_FASHION if name in wanted]
    if not of_fashion:
        return
    images = datasets.load("fashion_mnist", IMAGES.resolution, home.folder("datasets"))
    for name in of_fashion:
        if name == "small":
            small(images)
            continue
        recipe = replace(RECIPES["short"], epochs=options.epochs or EPOCHS[name], train_images=options.train_images)
        if name == "growth":
            growth(images, recipe, options.members)
        elif name == "teacher":
            teaching(images, recipe, options.members[-1])
        else:
            imbalance(images, recipe)


def growth(images: ImageSet, recipe: Recipe, members: Sequence[str]) -> None:
    trainings = Trainings(images, recipe)
    torch.manual_seed(0)
    parent, before = network(B0), B0
    trainings.train(parent, B0, recipe.epochs)
    alone, heirs = 0.0, 0.0
    for name in members:
        architecture = member(B0, name)
        wanted, whole = trainings.train(network(architecture), architecture, recipe.epochs)
        alone += whole
        for share in SHARES:
            heir = inherited(parent, before, architecture)
            score, seconds = trainings.train(heir.network, architecture, max(1, round(share * recipe.epochs)))
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
        f"seconds to the accuracy of training from nothing, {', '.join(members)} together",
        heirs,
        "s",
        peer="each from nothing",
        peer_value=alone,
        ratio=alone / heirs,
        target="at most 0.6 of the peer's",
        holds=heirs <= 0.6 * alone,
    )


if __name__ == "__main__":
    environment = settings.environment(**settings.EVALUATORS)
    if environment != settings.environment():  # they count from the start of a process
        os.execve(sys.executable, sys.orig_argv, environment)
    main()
