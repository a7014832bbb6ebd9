"""What weights of a parent are worth: `python -m bench.parents`

Growth: each member of a family is trained from nothing, and once more from the weights of the member before it by as
few epochs as come to the same accuracy, each count of epochs a training of its own with its whole schedule. Scored on
held-out training images of Fashion-MNIST, so that no test image is looked at for the choice of a number of epochs.

Imbalance (`--only imbalance`): of half of the classes nine images in ten are missing. Of a few networks the one with
the highest accuracy, trained as ever, against the one with the highest recall of its worst class, trained with class
weights.

Photographs (`--only photographs --images FOLDER`): a few photographs a class of a folder, by a published network that
is fine-tuned and by the same one from nothing, scored on the folder's test images.
"""

import argparse
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import nn

from bench._rows import row
from nas import datasets, home, parents
from nas.datasets import ImageSet
from nas.evaluate import evaluate
from nas.inheritance import inherited
from nas.kinship import fitted
from nas.networks.architecture import Architecture, Images, Stage
from nas.networks.blocks import network
from nas.networks.counts import counts
from nas.plans.growth import member
from nas.recipes import RECIPES, Recipe
from nas.records import Job
from nas.training.accuracy import accuracy, answers
from nas.training.data import Batches, View, normalisation, split
from nas.training.loss import class_weights
from nas.training.train import train
from nas.worth import settled

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
    parser.add_argument("--only", choices=["growth", "imbalance", "photographs"])
    parser.add_argument("--images", type=Path, help="a folder of photographs, for fine-tuning")
    parser.add_argument("--count", type=int, default=500, help="photographs that are trained on")
    parser.add_argument("--resolution", type=int, default=128)
    parser.add_argument("--parent", default="efficientnet_lite0")
    options = parser.parse_args()
    if options.images and options.only in (None, "photographs"):
        photographs(options.images, options.count, options.resolution, options.parent)
    elif options.only == "photographs":
        parser.error("--only photographs needs --images FOLDER")
    if options.only == "photographs":
        return
    images = datasets.load("fashion_mnist", IMAGES.resolution, home.folder("datasets"))
    recipe = replace(RECIPES["short"], epochs=options.epochs, train_images=options.train_images)
    if options.only in (None, "imbalance"):
        imbalance(images, recipe)
    if options.only in (None, "growth"):
        growth(images, recipe, options.members)


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


def photographs(folder: Path, count: int, resolution: int, parent: str) -> None:
    name = f"folder:{folder.resolve()}"
    images = datasets.load(name, resolution, home.folder("datasets"))
    architecture = fitted(parents.described(parent).architecture, images.info.as_seen(resolution))
    scores = {}
    for number, recipe in enumerate(("finetune", "full")):
        how = replace(RECIPES[recipe], train_images=count, balanced=True)
        job = Job(
            run="bench",
            number=number,
            space="mbconv",
            architecture=architecture,
            dataset=name,
            devices=("cpu",),
            recipe=settled(how, images.info, final=True),
            parent=parent if recipe == "finetune" else None,
            final=True,
        )
        measured = evaluate(job, images=images)
        scores[recipe] = measured.test_accuracy or 0.0
        spent = f"{measured.steps} steps, {measured.train_seconds:.0f} s"
        print(f"{recipe}: {scores[recipe]:.4f} in {spent}", file=sys.stderr)
    row(
        f"accuracy of {parent} at {resolution} pixels, fine-tuned on {count} photographs of "
        f"{len(images.info.classes)} classes",
        scores["finetune"],
        "of 1",
        peer="the same network from nothing, recipe full",
        peer_value=scores["full"],
        target="0.80 of CIFAR-10",
        holds=scores["finetune"] >= 0.8,
    )


def imbalance(images: ImageSet, recipe: Recipe) -> None:
    """Accuracies are of held-out images with the classes in the proportion of those that are trained on; each recall is
    of all that are held out of its class."""
    classes, labels = images.info.classes, images.train_labels
    training, held = split(labels)
    training = training[: recipe.train_images]
    whole = np.bincount(labels[training], minlength=len(classes))
    place = np.zeros(len(classes), np.int64)
    kept = []
    for index in training:
        label = labels[index]
        place[label] += 1
        if label % 2 or place[label] <= whole[label] // 10:
            kept.append(index)
    training = np.array(kept)
    shares = np.bincount(labels[training], minlength=len(classes)) / len(training)
    found: dict[str, list[tuple[float, float]]] = {}
    for weights in ("none", "auto"):
        own = replace(recipe, class_weights=weights, train_images=None)
        for channels in (8, 12, 16):
            stage = replace(STAGE, channels=channels)
            stages = (stage, replace(stage, stride=2, channels=2 * channels))
            torch.manual_seed(0)
            built = network(replace(B0, stem=8, stages=stages))
            view = View(IMAGES.resolution, normalisation(images.train_images, training), CPU)
            batches = Batches(images.train_images, labels, training, own, view, CPU)
            scale = class_weights(own, labels[training], classes)
            train(built, batches, own, seed=0, device=CPU, weights=scale, after_epoch=lambda _: None)
            taken_for = answers(built, images.train_images, labels, view, CPU, only=held).taken_for.numpy()
            right = np.bincount(labels[held], taken_for == labels[held], len(classes))
            recalls = right / np.bincount(labels[held], minlength=len(classes))
            found.setdefault(weights, []).append((float(shares @ recalls), float(recalls.min())))
            print(f"weights {weights}, {channels} channels: {found[weights][-1]}", file=sys.stderr)
    plain, fair = max(found["none"]), max(found["auto"], key=lambda pair: pair[1])
    row(
        f"the worst class's recall, half of the classes thinned 10 : 1, by class weights and metric worst_recall, at "
        f"an accuracy of {fair[0]:.4f}",
        100 * fair[1],
        "%",
        peer=f"neither, at {plain[0]:.4f}",
        peer_value=100 * plain[1],
        target="15 points more, at 2 points of accuracy less at most",
        holds=fair[1] >= plain[1] + 0.15 and fair[0] >= plain[0] - 0.02,
    )


if __name__ == "__main__":
    main()
