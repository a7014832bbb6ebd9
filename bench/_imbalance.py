"""Rare classes: of the later half of all classes nine images in ten are missing (step imbalance, Cao et al. 2019)."""

import sys
from dataclasses import replace

import numpy as np
import torch

from bench._family import B0, CPU, IMAGES, STAGE
from bench._rows import row
from nas.datasets import ImageSet
from nas.networks.blocks import network
from nas.recipes import Recipe
from nas.training.accuracy import answers
from nas.training.data import Batches, Indices, View, normalisation, split
from nas.training.loss import class_weights
from nas.training.train import train

CHANNELS = (8, 16)  # of the networks that there are to choose from
THINNED = 10


def imbalance(images: ImageSet, recipe: Recipe) -> None:
    """Of a few networks the one with the highest accuracy, trained as ever, against the one with the highest recall of
    its worst class, trained with class weights. Accuracies are of held-out images with the classes in the proportion of
    those that are trained on; each recall is of all that are held out of its class."""
    training, held = split(images.train_labels)
    training = thinned(training[: recipe.train_images], images.train_labels)
    scores = {
        weights: [
            _scores(images, replace(recipe, class_weights=weights, train_images=None), channels, training, held)
            for channels in CHANNELS
        ]
        for weights in ("none", "auto")
    }
    plain, fair = max(scores["none"]), max(scores["auto"], key=lambda pair: pair[1])
    row(
        f"the worst class's recall, half of the classes thinned {THINNED} : 1, by class weights and metric "
        f"worst_recall, at an accuracy of {fair[0]:.4f}",
        100 * fair[1],
        "%",
        peer=f"neither, at {plain[0]:.4f}",
        peer_value=100 * plain[1],
        target="15 points more, at 2 points of accuracy less at most",
        holds=fair[1] >= plain[1] + 0.15 and fair[0] >= plain[0] - 0.02,
    )


def thinned(training: Indices, labels: Indices) -> Indices:
    """Of the classes in the later half one index in ten, the first ones."""
    classes = int(labels.max()) + 1
    kept = []
    for number in range(classes):
        its = training[labels[training] == number]
        kept.append(its[: len(its) // THINNED] if number >= classes // 2 else its)
    return np.sort(np.concatenate(kept))


def _scores(images: ImageSet, recipe: Recipe, channels: int, training: Indices, held: Indices) -> tuple[float, float]:
    """Accuracy, and recall of the worst class."""
    classes, labels = images.info.classes, images.train_labels
    stage = replace(STAGE, channels=channels)
    torch.manual_seed(0)
    built = network(replace(B0, stem=8, stages=(stage, replace(stage, stride=2, channels=2 * channels))))
    view = View(IMAGES.resolution, normalisation(images.train_images, training), CPU)
    batches = Batches(images.train_images, labels, training, recipe, view, CPU)
    weights = class_weights(recipe, labels[training], classes)
    train(built, batches, recipe, seed=0, device=CPU, weights=weights, after_epoch=lambda _: None)
    taken_for = answers(built, images.train_images, labels, view, CPU, only=held).taken_for.numpy()
    right = np.bincount(labels[held], taken_for == labels[held], len(classes))
    recalls = right / np.bincount(labels[held], minlength=len(classes))
    shares = np.bincount(labels[training], minlength=len(classes)) / len(training)
    accuracy, worst = float(shares @ recalls), float(recalls.min())
    print(
        f"weights {recipe.class_weights}, {channels} channels: {accuracy:.4f}, worst recall {worst:.4f}",
        file=sys.stderr,
    )
    return accuracy, worst
