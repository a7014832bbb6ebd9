"""What a training on so many images is worth: how many steps it has, on what it is scored, and the error of that."""

import dataclasses
import math
from dataclasses import dataclass

from nas.datasets import DatasetInfo
from nas.noise import standard_error
from nas.recipes import MOST_EPOCHS, Recipe

HELD_OUT = 10  # one training image in so many is kept for validation
FEW_IMAGES = 1000  # of fewer a tenth says too little, and all are held out in turns
FOLDS = 5
LEAST_STEPS_AN_EPOCH = 12  # of few images a step takes fewer: as many steps of it learn no less, in a fifth of the time


@dataclass(frozen=True, kw_only=True)
class Worth:
    """What a candidate's training is worth, as far as numbers of images say it beforehand."""

    epochs: int
    """Epochs of a training."""
    steps: int
    """Steps of a training."""
    folds: int
    """Trainings of a candidate, each of which holds other images out."""
    images: int
    """Images, about, that the accuracy is found on. None was in the training that is scored on it."""
    error: float
    """The standard error that comes with so many images at an accuracy of one half, where it is the largest."""

    def __str__(self) -> str:
        trainings = f"{self.folds} trainings" if self.folds > 1 else "a training"
        about, held = ("", "held out in turns") if self.folds > 1 else ("about ", "held out")
        how = f"{_counted(self.steps, 'step')}, {_counted(self.epochs, 'epoch')}"
        how = how if self.steps else "the last layer alone, in closed form"
        return (
            f"{trainings} of {how}, and an accuracy on {about}"
            f"{_counted(self.images, 'image')} {held}, ±{100 * self.error:.2g} points at most"
        )


def _counted(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def settled(recipe: Recipe, info: DatasetInfo, *, final: bool = False) -> Recipe:
    """`recipe` with the folds and epochs that it leaves open, on that dataset. A `final` training takes all images, and
    so does one that is scored on validation images of the dataset's own: there are no folds then. Where the epochs are
    open, steps are smaller on few images."""
    if info.validation_images and not final:
        recipe = dataclasses.replace(recipe, folds=1)
    elif not final:
        folds = recipe.folds or (FOLDS if info.train_images < FEW_IMAGES else 1)
        recipe = dataclasses.replace(recipe, folds=folds)
    images = info.train_images if final else _trained_on(recipe, info)
    if not recipe.epochs:
        recipe = _smaller_steps(recipe, min(recipe.train_images or images, images))
    return dataclasses.replace(recipe, epochs=epochs(recipe, images))


def _smaller_steps(recipe: Recipe, images: int) -> Recipe:
    """Gradients of smaller steps are noisier, and want a rate that is smaller in proportion (Goyal et al. 2017), or by
    the root of that where they are divided by their own size (Malladi et al. 2022); of Muon's the length is given."""
    batch = min(recipe.batch, max(2, images // LEAST_STEPS_AN_EPOCH))
    power = {"muon": 0.0, "adamw": 0.5}.get(recipe.optimizer, 1.0)
    rate = recipe.learning_rate * (batch / recipe.batch) ** power
    return dataclasses.replace(recipe, batch=batch, learning_rate=rate)


def epochs(recipe: Recipe, images: int) -> int:
    """Of a training by `recipe` that has so many images to learn from."""
    return recipe.epochs or min(
        MOST_EPOCHS, max(recipe.least_epochs, math.ceil(recipe.least_steps / epoch_steps(recipe, images)))
    )


def worth(recipe: Recipe, info: DatasetInfo, *, parent: bool = False) -> Worth:
    """Of a settled recipe on that dataset, for networks with a parent or without one."""
    recipe = recipe if parent else recipe.from_nothing
    whole = info.train_images
    scored = info.validation_images or (whole if recipe.folds > 1 else max(1, whole // HELD_OUT))
    return Worth(
        epochs=recipe.all_epochs,
        steps=recipe.all_epochs * epoch_steps(recipe, _trained_on(recipe, info)),
        folds=recipe.folds,
        images=scored,
        error=standard_error(0.5, scored),
    )


def epoch_steps(recipe: Recipe, images: int) -> int:
    """Of an epoch of so many images to learn from, none with fewer images than asked for."""
    return max(1, min(recipe.train_images or images, images) // recipe.batch)


def _trained_on(recipe: Recipe, info: DatasetInfo) -> int:
    whole = info.train_images
    if info.validation_images:
        return whole
    return whole - (math.ceil(whole / recipe.folds) if recipe.folds > 1 else whole // HELD_OUT)
