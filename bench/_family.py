"""A small family on Fashion-MNIST, whose trainings are scored on held-out training images: no test image is looked at
for a choice."""

import sys
import time
from dataclasses import replace

import torch
from torch import nn

from nas.datasets import ImageSet
from nas.networks.architecture import Architecture, Images, Stage
from nas.networks.counts import counts
from nas.recipes import Recipe
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
