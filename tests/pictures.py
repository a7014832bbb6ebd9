"""Small made-up images that a small network can learn in a second."""

from pathlib import Path

import numpy as np
import torch

from nas.datasets import DatasetInfo, ImageSet
from nas.exporters import onnx
from nas.metering import onnx as metering
from nas.models import checkpoint
from nas.models.checkpoint import Card
from nas.networks.architecture import Architecture, Images, Stage
from nas.networks.blocks import network
from nas.networks.counts import counts
from nas.networks.lowering import AnyArchitecture
from nas.parents import Origin
from nas.recipes import Recipe
from nas.records import Job

CLASSES = ("left", "right", "top", "bottom")
TINY = Architecture(
    images=Images(resolution=12, channels=1, classes=4),
    stem=8,
    stem_stride=2,
    stages=(Stage(op="mbconv", kernel=3, stride=1, expand=3, channels=8, repeats=2, se_ratio=0.25),),
    head=16,
    dropout=0.1,
)
RECIPE = Recipe(epochs=3, batch=32, learning_rate=0.1, flip=False, shift=0.08)


def pictures(train: int = 400, test: int = 100, seed: int = 0) -> ImageSet:
    """Noise that is brighter in one half; which half is the class."""
    draw = np.random.default_rng(seed)

    def part(count: int) -> tuple[np.ndarray, np.ndarray]:
        labels = np.arange(count) % 4
        images = draw.integers(0, 150, (count, 1, 12, 12))
        halves = ((slice(None), slice(0, 6)), (slice(None), slice(6, 12)), (slice(0, 6),), (slice(6, 12),))
        for label, half in enumerate(halves):
            for index in np.flatnonzero(labels == label):
                images[index, 0][half] += 100
        return images.astype(np.uint8), labels.astype(np.int64)

    train_images, train_labels = part(train)
    test_images, test_labels = part(test)
    return ImageSet(
        info=DatasetInfo(
            name="pictures", classes=CLASSES, channels=1, resolution=12, train_images=train, test_images=test
        ),
        train_images=train_images,
        train_labels=train_labels,
        test_images=test_images,
        test_labels=test_labels,
    )


def job(**changes: object) -> Job:
    plain: dict[str, object] = {
        "run": "run",
        "number": 0,
        "space": "mbconv",
        "architecture": TINY,
        "dataset": "pictures",
        "devices": ("cpu",),
        "recipe": RECIPE,
    }
    return Job(**(plain | changes))  # type: ignore[arg-type]


def saved(
    architecture: AnyArchitecture = TINY, run: str = "0a1b2c3d4e5f", number: int = 3, origin: Origin | None = None
) -> str:
    """The SHA-256 of a checkpoint of untrained weights."""
    counted = counts(architecture)
    card = Card(
        space="mbconv",
        architecture=architecture,
        choices={},
        run=run,
        number=number,
        member=None,
        dataset="pictures",
        classes=CLASSES,
        mean=(0.4,) * architecture.images.channels,
        std=(0.2,) * architecture.images.channels,
        accuracy=0.75,
        test_accuracy=None,
        params=counted.params,
        mult_adds=counted.mult_adds,
        latencies={},
        recipe=RECIPE,
        seed=0,
        origin=origin,
    )
    return checkpoint.save(network(architecture), card)


def exported(path: Path) -> Path:
    """A network of untrained weights as the ONNX file at that path."""
    card = checkpoint.card(checkpoint.artifact(saved()))
    images = card.architecture.images
    shown = torch.zeros(1, images.channels, images.resolution, images.resolution)
    onnx.write(metering.exported(network(card.architecture).eval(), shown, any_number=True), card, path)
    return path
