"""A few photographs a class of a folder: a published network that is fine-tuned, and children of it."""

import sys
from dataclasses import replace
from pathlib import Path

from bench._family import B0
from bench._rows import row
from nas import datasets, home, parents
from nas.datasets import ImageSet
from nas.evaluate import evaluate
from nas.kinship import fitted
from nas.measurements import Measurement
from nas.models import checkpoint
from nas.networks.architecture import Architecture
from nas.networks.counts import counts
from nas.networks.lowering import AnyArchitecture
from nas.recipes import RECIPES, Recipe
from nas.records import Job
from nas.worth import settled

SMALL = 32  # pixels a side that a network from nothing sees: it has more steps in the same time
PROBE = 10  # epochs, by which it is known how long an epoch takes
SIDES = 8  # pixels that a child's resolution is a multiple of


class Photographs:
    """Trainings on `count` images of a folder, as many of each class."""

    def __init__(self, folder: Path, count: int, resolution: int) -> None:
        self._name, self._count, self._number = f"folder:{folder.resolve()}", count, 0
        self.resolution = resolution
        self.images = self._read(resolution)

    def train(
        self,
        architecture: AnyArchitecture,
        recipe: Recipe,
        *,
        parent: str | None = None,
        final: bool,
        pixels: int | None = None,
    ) -> Measurement:
        """Scored on the test images where it is `final`, and otherwise on training images that are not trained on."""
        pixels = pixels or self.resolution
        images = self.images if pixels == self.resolution else self._read(pixels)
        recipe = replace(recipe, train_images=self._count, balanced=True, folds=1)
        self._number += 1
        job = Job(
            run="bench",
            number=self._number,
            space="mbconv",
            architecture=architecture,
            dataset=self._name,
            devices=("cpu",),
            recipe=settled(recipe, images.info, final=final),
            parent=parent,
            pixels=pixels,
            final=final,
            save_weights=True,
        )
        measured = evaluate(job, images=images)
        print(
            f"{architecture.images.resolution} pixels, {measured.mult_adds:,} multiply-adds: {score(measured):.4f} in "
            f"{measured.steps} steps, {measured.train_seconds:.0f} s",
            file=sys.stderr,
        )
        return measured

    def _read(self, resolution: int) -> ImageSet:
        return datasets.load(self._name, resolution, home.folder("datasets"))


def score(measured: Measurement) -> float:
    accuracy = measured.value("accuracy")
    assert accuracy is not None
    return accuracy


def photographs(folder: Path, count: int, resolution: int, parent: str, *, without_peer: bool) -> None:
    """The peer is a small network, trained from nothing for as many epochs as take the same time."""
    photos = Photographs(folder, count, resolution)
    whole = fitted(parents.described(parent).architecture, photos.images.info.as_seen(resolution))
    tuned = photos.train(whole, RECIPES["finetune"], parent=parent, final=True)
    peer = None if without_peer else _from_nothing(photos, tuned.train_seconds)
    row(
        f"accuracy of {parent} at {resolution} pixels, fine-tuned on {count} photographs of "
        f"{len(photos.images.info.classes)} classes: {tuned.steps} steps in {tuned.train_seconds:.0f} s",
        score(tuned),
        "of 1",
        peer=f"{peer.params:,} parameters from nothing, recipe full: {peer.steps} steps in {peer.train_seconds:.0f} s"
        if peer
        else None,
        peer_value=score(peer) if peer else None,
        target="0.80 of CIFAR-10",
        holds=score(tuned) >= 0.8,
    )


def _from_nothing(photos: Photographs, seconds: float) -> Measurement:
    small = replace(B0, images=photos.images.info.as_seen(SMALL))
    probe = photos.train(small, replace(RECIPES["full"], epochs=PROBE), final=False, pixels=SMALL)
    epochs = max(1, round(PROBE * seconds / probe.train_seconds))
    return photos.train(small, replace(RECIPES["full"], epochs=epochs), final=True, pixels=SMALL)


def children(folder: Path, count: int, resolution: int, parent: str) -> None:
    """Each has its parent's stages, made smaller in one way, and of the resolutions at which it then has at most half
    of the multiply-adds the highest. It begins with the fine-tuned parent's weights, which teaches it, too."""
    photos = Photographs(folder, count, resolution)
    whole = fitted(parents.described(parent).architecture, photos.images.info.as_seen(resolution))
    assert isinstance(whole, Architecture)
    tuned = photos.train(whole, RECIPES["finetune"], parent=parent, final=False)
    teacher = f"file:{checkpoint.artifact(str(tuned.weights))}"
    scores = {}
    for name, stages in {
        "fewer pixels": whole.stages,
        "fewer repeats": tuple(replace(stage, repeats=max(1, stage.repeats - 1)) for stage in whole.stages),
        "narrower expansions": tuple(replace(stage, expand=min(stage.expand, 4)) for stage in whole.stages),
    }.items():
        child = _at_most(replace(whole, stages=stages), tuned.mult_adds // 2)
        recipe = replace(RECIPES["finetune"], teacher=teacher)
        scores[name] = photos.train(child, recipe, parent=teacher, final=False)
    best = max(scores, key=lambda name: score(scores[name]))
    row(
        f"accuracy on held-out images of a child of {parent} with {best}, {scores[best].mult_adds / 1e6:.1f} million "
        f"multiply-adds, fine-tuned on {count} photographs",
        score(scores[best]),
        "of 1",
        peer=f"the parent fine-tuned, {tuned.mult_adds / 1e6:.1f} million",
        peer_value=score(tuned),
        target="half of them, within 2 points",
        holds=score(scores[best]) >= score(tuned) - 0.02,
    )


def _at_most(architecture: Architecture, mult_adds: int) -> Architecture:
    """At the highest resolution at which it has no more."""
    for pixels in range(architecture.images.resolution, 0, -SIDES):
        smaller = replace(architecture, images=replace(architecture.images, resolution=pixels))
        if counts(smaller).mult_adds <= mult_adds:
            return smaller
    raise AssertionError("half of the multiply-adds are more than those of one pixel")
