"""How networks are trained, as data; and recipes with names, to start from."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, Literal

from nas.refusal import Refusal, between, positive

MOST_EPOCHS = 10_000


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How a network is trained."""

    # An unknown field in a request is refused, not ignored; the setting is inert without pydantic.
    __pydantic_config__: ClassVar[Mapping[str, str]] = {"extra": "forbid"}

    epochs: int = 0
    """Epochs of a training. 0: the fewest with `least_epochs` epochs and `least_steps` steps, which is settled when the
    run is submitted."""
    least_epochs: int = 2
    """Epochs that a training has at least where `epochs` is 0."""
    least_steps: int = 600
    """Steps that a training has at least where `epochs` is 0. After a few on few images networks rank by chance."""
    train_images: int | None = None
    """Training images that are taken, a random part that is in every larger one. Null: all."""
    balanced: bool = False
    """Whether such a part has as many of each class as there are. Otherwise it has the classes in proportion."""
    folds: int = 0
    """Parts of the training images that are held out in turns. A candidate is trained once for each, and scored on all
    of them together; 1: once, with a tenth held out. 0: 5 where there are fewer than 1,000 training images, otherwise
    1, which is settled when the run is submitted. A family's members are trained on all images."""
    batch: int = 128
    """Images in a step. Where `epochs` is 0 it is settled, too: a twelfth of the images at most, and the learning rate
    smaller in proportion."""
    learning_rate: float = 0.2
    """The learning rate at its peak."""
    momentum: float = 0.9
    """How much of its direction a step keeps."""
    weight_decay: float = 5e-4
    """How much weights are pulled towards zero."""
    warmup: float = 0.2
    """The fraction of the steps in which the learning rate rises, in a line."""
    class_weights: Literal["none", "auto"] | dict[str, float] = "none"
    """What the images of each class count in the loss. "auto": as much as those of any other class together, so that
    a rare class is learnt as well. Or by the names of classes, as in {"rare": 5}; others count 1, and all are scaled
    so that an image counts 1 on average."""
    label_smoothing: float = 0.1
    """The part of a label that is spread over all classes."""
    flip: bool = True
    """Whether each image is mirrored in every other epoch."""
    crop_pixels: int = 0
    """Pixels by up to which images are shifted at random, with zeros where they were."""
    cutout_pixels: int = 0
    """Pixels a side of the square of an image that is blanked."""
    clean: float = 0.0
    """The fraction of the epochs, the last ones, whose images are as they are (He et al. 2019)."""
    optimizer: Literal["sgd", "rmsprop", "muon"] = "sgd"
    """The optimizer. "sgd" has Nesterov momentum, "rmsprop" is TensorFlow's, and "muon" turns the steps of dense
    convolutions that a normalisation follows (Jordan et al. 2024) and wants a momentum of 0.6 and a rate of 0.08."""
    schedule: Literal["cosine", "one-cycle", "steps"] = "cosine"
    """How the learning rate falls. "cosine": in half a cosine to zero. "one-cycle": in a line to zero, momentum moving
    against it (Smith & Topin 2017). "steps": by a factor every so many epochs (Tan & Le 2019)."""
    decay: float = 0.97
    """The factor on the learning rate in schedule "steps"."""
    decay_epochs: float = 2.4
    """The epochs from one of these steps to the next."""
    norm_decay: float = 0.9
    """How much of a norm's running mean and variance a step keeps."""
    clip_norm: float | None = None
    """The length to which longer gradients are shortened, all taken together. Null: none are."""
    drop_path: float | None = None
    """The rate at which the last residual branch is dropped, earlier ones less (stochastic depth). Null: as the
    architecture says."""
    ema: float = 0.0
    """How much of the averaged weights a step keeps; 0: none are averaged."""
    teacher: str | None = None
    """The trained network whose answers are learnt from, besides the labels: a model's id, or the SHA-256 of a
    checkpoint, which is what is stored. It has to know the same classes. Null: labels alone."""
    teacher_weight: float = 0.5
    """The part of the loss that is the teacher's; of 1, labels teach nothing."""
    teacher_temperature: float = 2.0
    """What logits are divided by before the teacher's and the network's are compared: of more, the unlikely classes say
    more."""

    def __post_init__(self) -> None:
        between(self, "epochs", 0, MOST_EPOCHS)
        between(self, "least_epochs", 1, MOST_EPOCHS)
        between(self, "least_steps", 0, 1_000_000)
        between(self, "folds", 0, 20)
        between(self, "batch", 2, 65_536)
        positive(self, "learning_rate", "train_images")
        between(self, "momentum", 0, 0.9999)
        between(self, "weight_decay", 0, 1)
        between(self, "warmup", 0, 1)
        if isinstance(self.class_weights, dict):
            for name, weight in self.class_weights.items():
                if not 0 < weight < math.inf:
                    detail = f"class_weights has {weight:g} for {name!r}, which is not a positive number"
                    raise Refusal(detail, field="class_weights")
        between(self, "label_smoothing", 0, 0.9)
        between(self, "crop_pixels", 0, 256)
        between(self, "cutout_pixels", 0, 256)
        between(self, "clean", 0, 1)
        between(self, "decay", 0.01, 1)
        positive(self, "decay_epochs", "clip_norm")
        between(self, "norm_decay", 0, 0.9999)
        between(self, "drop_path", 0, 0.9)
        between(self, "ema", 0, 0.99999)
        between(self, "teacher_weight", 0, 1)
        between(self, "teacher_temperature", 0.1, 100)

    def require_classes(self, classes: Sequence[str]) -> None:
        """Raise Refusal where a class has a weight that is none of these."""
        for name in self.class_weights if isinstance(self.class_weights, dict) else ():
            if name not in classes:
                few = ", ".join(classes[:10]) + (", …" if len(classes) > 10 else "")
                raise Refusal(f"class_weights names {name!r}, and the classes are {few}", field="class_weights")


def shortened(recipe: Recipe, epochs: int) -> Recipe:
    """`recipe` with so many of its epochs, annealed as the whole is."""
    return replace(recipe, epochs=epochs, decay_epochs=recipe.decay_epochs * epochs / recipe.epochs)


RECIPES: dict[str, Recipe] = {
    "proxy": Recipe(least_steps=300, train_images=20_000),  # ranks candidates: minutes for a search of small images
    "search": Recipe(),  # what a search takes that names none
    # A good part of the accuracy in minutes: in so few epochs a network is not bored by what it has seen before.
    "short": Recipe(least_epochs=5, learning_rate=0.4, warmup=0.1, label_smoothing=0.05, flip=False),
    # The same for networks of dense convolutions, which learn more by turned steps; depthwise ones do not.
    "dense": Recipe(
        least_epochs=5,
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
    "growth": Recipe(least_epochs=20, least_steps=2000),  # what a growth takes that names none
    "full": Recipe(
        least_epochs=60, least_steps=2000, crop_pixels=2, cutout_pixels=8, ema=0.999
    ),  # all that these augmentations give
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
