"""What each training of a job gets: the images that it learns from, and those that it is scored on."""

import dataclasses
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from nas import parents
from nas.datasets import DatasetError, ImageSet
from nas.nesting import MOST_SCORED
from nas.recipes import Recipe, shortened
from nas.records import Job
from nas.training.data import Indices, Normalisation, View, everything, normalisation, split
from nas.training.groups import numbered, warn_of_kin
from nas.worth import epochs


@dataclass(frozen=True, kw_only=True)
class Part:
    """Indices of the training images to learn from, how images are normalised, and indices of those to be scored on,
    which lie in `unseen` and have these labels."""

    training: Indices
    how: Normalisation
    held: Indices
    unseen: NDArray[np.uint8]
    labels: Indices

    def right(self, taken_for: Tensor) -> NDArray[np.bool_]:
        """Which of the images that are held out were taken for what they are."""
        answers: NDArray[np.bool_] = taken_for.numpy() == self.labels[self.held]
        return answers


def prepared(job: Job, images: ImageSet) -> tuple[Recipe, list[Part]]:
    """The recipe that is in force for the job, and what each of its trainings gets. Raises DatasetError where that is
    too little."""
    assert job.recipe is not None
    divided = parts(job, job.recipe, images)
    recipe = dataclasses.replace(job.recipe, epochs=epochs(job.recipe, len(divided[0].training)))
    if job.epochs_done:
        recipe = shortened(recipe, recipe.epochs - job.epochs_done)
    if job.precision != "int8" or job.children or job.calibrated:  # what is trained alone is to be quantised alone
        recipe = dataclasses.replace(recipe, int8_epochs=0)
    return recipe if job.parent else recipe.from_nothing, divided


def parts(job: Job, recipe: Recipe, images: ImageSet) -> list[Part]:
    """What each training of the job gets. Raises DatasetError where that is too little."""
    labels, balanced = images.train_labels, recipe.balanced
    if recipe.group:
        warn_of_kin(images, recipe.group, "test" if job.final else "validation")
    if job.final:
        unseen, answered = images.test_images, images.test_labels
        divided = [(everything(labels, balanced=balanced), np.arange(len(answered)))]
    elif images.validation_images is not None and images.validation_labels is not None:
        unseen, answered = images.validation_images, images.validation_labels
        divided = [(everything(labels, balanced=balanced), np.arange(len(answered)))]
    else:
        unseen, answered = images.train_images, labels
        folds, groups = max(1, recipe.folds), numbered(images, recipe.group)
        divided = [
            split(labels, fold=fold, folds=folds, shuffle=job.shuffle, balanced=balanced, groups=groups)
            for fold in range(folds)
        ]
    for training, held in divided:
        if len(training[: recipe.train_images]) < 2 or not len(held):
            raise DatasetError(
                f"dataset {images.info.name!r} leaves {len(training[: recipe.train_images])} images to train on and "
                f"{len(held)} to score: there must be 2 and 1 at least"
            )
    few = MOST_SCORED if job.children or job.calibrated else None
    return [
        Part(training=some, how=_normalisation(job, images, some), held=held, unseen=unseen, labels=answered)
        for some, held in ((training[: recipe.train_images], _some(held, few)) for training, held in divided)
    ]


def _some(held: Indices, most: int | None) -> Indices:
    """That many of them at most, from all over: the images of a class often lie together."""
    return held if most is None or len(held) <= most else held[np.linspace(0, len(held) - 1, most).astype(np.int64)]


def _normalisation(job: Job, images: ImageSet, training: Indices) -> Normalisation:
    """That of the images to learn from; where the network has a parent, what its weights are used to."""
    if job.parent is None:
        return normalisation(images.train_images, training)
    mean, std = parents.described(job.parent).preprocessing(images.info.channels)
    return Normalisation(mean=mean, std=std)


def view(job: Job, part: Part, device: torch.device) -> View:
    """How the images of a part are shown to the job's network."""
    return View(job.architecture.images.resolution, part.how, device)
