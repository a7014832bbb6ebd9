"""How networks are trained, as data; and recipes with names, to start from."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal

from nas.refusal import between, positive


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How a network is trained. After a warm-up in a line the learning rate falls by the schedule: "cosine" in half a
    cosine to zero; "one-cycle" in a line to zero, momentum moving against it (Smith & Topin 2017); "steps" by a factor
    every so many epochs (Tan & Le 2019). "sgd" is with Nesterov momentum, "rmsprop" TensorFlow's, "muon" turns the
    steps of dense convolutions (Jordan et al. 2024) and wants a momentum of 0.6 and a rate of 0.08."""

    # An unknown field in a request is refused, not ignored; the setting is inert without pydantic.
    __pydantic_config__: ClassVar[Mapping[str, str]] = {"extra": "forbid"}

    epochs: int = 2
    train_images: int | None = None  # a random, class-balanced part of the training images; None: all
    batch: int = 128
    learning_rate: float = 0.2
    momentum: float = 0.9
    weight_decay: float = 5e-4
    warmup: float = 0.2  # fraction of the steps
    label_smoothing: float = 0.1
    flip: bool = True  # each image in every other epoch
    crop_pixels: int = 0  # random shift by up to so many pixels, zero-padded
    cutout_pixels: int = 0  # side of the square that is blanked
    clean: float = 0.0  # fraction of the epochs, the last, whose images are as they are (He et al. 2019)
    optimizer: Literal["sgd", "rmsprop", "muon"] = "sgd"
    schedule: Literal["cosine", "one-cycle", "steps"] = "cosine"
    decay: float = 0.97  # of the learning rate, in "steps"
    decay_epochs: float = 2.4  # between two of them
    norm_decay: float = 0.9  # how much of a norm's running mean and variance a step keeps
    clip_norm: float | None = None  # gradients longer than this, all taken together, are shortened to it
    drop_path: float | None = None  # stochastic depth of the last residual branch; None: as the architecture says
    ema: float = 0.0  # how much of the averaged weights a step keeps; 0: none are averaged

    def __post_init__(self) -> None:
        between(self, "epochs", 1, 10_000)
        between(self, "batch", 2, 65_536)
        positive(self, "learning_rate", "train_images")
        between(self, "momentum", 0, 0.9999)
        between(self, "weight_decay", 0, 1)
        between(self, "warmup", 0, 1)
        between(self, "label_smoothing", 0, 0.9)
        between(self, "crop_pixels", 0, 256)
        between(self, "cutout_pixels", 0, 256)
        between(self, "clean", 0, 1)
        between(self, "decay", 0.01, 1)
        positive(self, "decay_epochs", "clip_norm")
        between(self, "norm_decay", 0, 0.9999)
        between(self, "drop_path", 0, 0.9)
        between(self, "ema", 0, 0.99999)


def replaced(recipe: Recipe, **changes: object) -> Recipe:
    """`recipe` with the fields that are given and not None."""
    known = {name: value for name, value in changes.items() if value is not None}
    return dataclasses.replace(recipe, **known)  # type: ignore[arg-type]


RECIPES: dict[str, Recipe] = {
    "proxy": Recipe(epochs=2, train_images=20_000),  # ranks candidates: minutes for a search of small images
    "search": Recipe(),  # what a search takes that names none
    # A good part of the accuracy in minutes: in so few epochs a network is not bored by what it has seen before.
    "short": Recipe(epochs=5, learning_rate=0.4, warmup=0.1, label_smoothing=0.05, flip=False),
    # The same for networks of dense convolutions, which learn more by turned steps; depthwise ones do not.
    "dense": Recipe(
        epochs=5,
        batch=256,
        learning_rate=0.07,
        momentum=0.6,
        optimizer="muon",
        schedule="one-cycle",
        warmup=0.1,
        label_smoothing=0.05,
        flip=False,
        crop_pixels=1,
        clean=0.35,
    ),
    "growth": Recipe(epochs=20),  # what a growth takes that names none
    "full": Recipe(epochs=60, crop_pixels=2, cutout_pixels=8, ema=0.999),  # all that these augmentations give
    # MnasNet's and EfficientNet's (Tan et al. 2019, Tan & Le 2019), without their augmentations of ImageNet. Dropout is
    # the architecture's: growing by the published coefficients raises it from 0.2 (B0) to 0.5 (B7).
    "paper": Recipe(
        epochs=350,
        batch=256,
        learning_rate=0.016,  # 0.256 for batches of 4,096
        optimizer="rmsprop",
        schedule="steps",
        warmup=5 / 350,
        weight_decay=1e-5,
        norm_decay=0.99,
        drop_path=0.2,  # the last block survives 0.8 of the steps
        ema=0.9999,
        crop_pixels=4,
    ),
}
