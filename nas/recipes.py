"""How networks are trained, as data; and recipes with names, to start from."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal

from nas.refusal import Refusal, between, positive, shown
from nas.rounding import Precision

MOST_EPOCHS = 10_000
LONGEST_GROUP = 50  # characters
MOST_RATE = 1e18  # beyond which single precision is left behind
MOST_IMAGES = 2**31 - 1
MOST_WEIGHT = 1_000_000  # of a class
INT8_RATE = 1e-3  # of AdamW: half of it takes many steps to mend a network that collapses


@dataclass(frozen=True)
class Split:
    """How training images are divided: into so many folds, held out in turns, or with a tenth held out where there is
    one."""

    folds: int
    shuffle: int
    group: str


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How a network is trained."""

    # An unknown field in a request is refused, not ignored; the setting is inert without pydantic.
    __pydantic_config__: ClassVar[Mapping[str, str]] = {"extra": "forbid"}

    epochs: int = 0
    """Epochs of a training, or 0 for as many as its images ask for: the fewest with `least_epochs` epochs and
    `least_steps` steps, which is settled when the run is submitted."""
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
    group: str = ""
    """What ends the part of a file's name that it has in common with others of its group, such as _ where rex_1.jpg and
    rex_2.jpg show one dog. Whole groups are held out, so that no image is recognised by its neighbours. Empty: every
    image is its own."""
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
    shift: float = 0.0
    """The part of their sides by up to which images are shifted at random, with zeros where they were."""
    crop: float = 1.0
    """The least part of an image's area that is cut out at random, between 3:4 and 4:3, and shown in its place (Szegedy
    et al. 2015). 1: images are whole."""
    augment: float = 0.0
    """How strong the one change is at most that each image gets, of its shape or its colours (TrivialAugment, Müller &
    Hutter 2021). 1: as published; 0: none."""
    cutout: float = 0.0
    """The side of the square of an image that is blanked, as a part of the image's."""
    erase: float = 0.0
    """The part of the images of which a rectangle is blanked, of 2 to 33 % of the area (Zhong et al. 2020)."""
    mixup: float = 0.0
    """Mixes each image and its label with another's; the share is drawn from a beta distribution with this alpha (Zhang
    et al. 2018). 0: it does not."""
    cutmix: float = 0.0
    """Puts a rectangle of another image into each, and as much of the other's label; alpha as in mixup (Yun et al.
    2019). Where both are asked for, either is done to half of the batches."""
    start_size: float = 1.0
    """The side of images in the first quarter of the epochs, as a part of the architecture's resolution; it rises to
    that in three steps (Tan & Le 2021). For networks that take images of any size."""
    clean: float = 0.0
    """The fraction of the epochs, the last ones, whose images are as they are (He et al. 2019)."""
    optimizer: Literal["sgd", "rmsprop", "muon", "adamw"] = "sgd"
    """The optimizer. "sgd" has Nesterov momentum, "rmsprop" is TensorFlow's, and "muon" turns the steps of dense
    convolutions that a normalisation follows (Jordan et al. 2024) and wants a momentum of 0.6 and a rate of 0.08.
    "adamw" takes steps alike in all weights, whatever the size of their gradients (Loshchilov & Hutter 2019): for
    fine-tuning, with a rate of 0.0005 and a weight decay of 0.05."""
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
    head: Literal["drawn", "ridge"] = "drawn"
    """The last layer that a network with a parent begins with. "drawn": its parent's, where that has these classes,
    otherwise a random one. "ridge": the ridge regression of the labels on what the network makes of the images."""
    norms: Literal["live", "frozen"] = "live"
    """What the norms of a network with a parent divide by. "live": the batch's variance, as in any training. "frozen":
    their running variance, which stays as it is; small batches say little of theirs."""
    body_rate: float = 1.0
    """The factor on the learning rate of all but the last layer of a network with a parent. 0: all that stays as it is,
    and no step is taken where the last layer is a ridge regression."""
    fixed: float = 0.0
    """The part of these other layers, the first ones, that stay as they are, which saves the time of their gradients:
    edges and textures are the same in all photographs."""
    int8_epochs: int = 0
    """Epochs more at the end, in which a network that is judged in 8 bits works so already and learns to lose less by
    it: in small steps, by images as they are, with its norms as they have become. 0: it is quantised as it is."""
    teacher: str | None = None
    """The trained network whose answers are learnt from, besides the labels: model:RUN-NUMBER, or another that a search
    may have as its parent; for a family also a member of it, as B3. It has to know the same classes. Null: labels
    alone."""
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
        if "/" in self.group or len(self.group) > LONGEST_GROUP:
            detail = f"group {shown(self.group)} ends no part of a file's name: give a few characters, such as _"
            raise Refusal(detail, field="group", alone=True)
        between(self, "batch", 2, 65_536)
        positive(self, "learning_rate", most=MOST_RATE)
        between(self, "train_images", 2, MOST_IMAGES)
        between(self, "momentum", 0, 0.9999)
        between(self, "weight_decay", 0, 1)
        between(self, "warmup", 0, 1)
        if isinstance(self.class_weights, dict):
            for name, weight in self.class_weights.items():
                if not 0 < weight <= MOST_WEIGHT:
                    detail = f"class_weights has {weight:g} for {name!r}, which is not a positive number"
                    raise Refusal(f"{detail} up to {MOST_WEIGHT:,}", field="class_weights", alone=True)
        between(self, "label_smoothing", 0, 0.9)
        between(self, "shift", 0, 1)
        between(self, "crop", 0.01, 1)
        between(self, "augment", 0, 1)
        between(self, "cutout", 0, 1)
        between(self, "erase", 0, 1)
        between(self, "mixup", 0, 100)
        between(self, "cutmix", 0, 100)
        between(self, "start_size", 0.1, 1)
        between(self, "clean", 0, 1)
        between(self, "decay", 0.01, 1)
        positive(self, "decay_epochs", "clip_norm")
        between(self, "norm_decay", 0, 0.9999)
        between(self, "drop_path", 0, 0.9)
        between(self, "ema", 0, 0.99999)
        between(self, "body_rate", 0, 100)
        between(self, "fixed", 0, 1)
        between(self, "int8_epochs", 0, MOST_EPOCHS)
        between(self, "teacher_weight", 0, 1)
        between(self, "teacher_temperature", 0.1, 100)

    def split(self, shuffle: int) -> Split:
        """How it divides training images, of which the `shuffle` puts others together."""
        return Split(max(1, self.folds), shuffle, self.group)

    def require_classes(self, classes: Sequence[str]) -> None:
        """Raise Refusal where a class has a weight that is none of these."""
        for name in self.class_weights if isinstance(self.class_weights, dict) else ():
            if name not in classes:
                few = ", ".join(classes[:10]) + (", …" if len(classes) > 10 else "")
                raise Refusal(f"class_weights names {name!r}, and the classes are {few}", field="class_weights")

    def require_precision(self, precision: Precision, field: str = "recipe") -> None:
        """Raise Refusal where a part of it, which is in that field, is in 8 bits, and networks are not judged so."""
        if self.int8_epochs and precision != "int8":
            raise Refusal(
                f"{field}.int8_epochs {self.int8_epochs} is for networks that are judged in 8 bits: leave it out, or "
                "search with objective.precision int8",
                field=field,
            )

    @property
    def stepless(self) -> bool:
        """Whether nothing is left to train."""
        return self.head == "ridge" and not self.body_rate

    @property
    def all_epochs(self) -> int:
        """Its epochs of steps, the last ones included."""
        return self.int8_epochs + (0 if self.stepless else self.epochs)

    @property
    def in_int8(self) -> "Recipe":
        """Its last part."""
        return replace(
            self,
            epochs=self.int8_epochs,
            optimizer="adamw",
            learning_rate=INT8_RATE,
            momentum=0.9,
            weight_decay=0.0,
            schedule="cosine",
            warmup=0.0,
            clean=1.0,
            start_size=1.0,
            drop_path=0.0,
            ema=0.0,
            norms="frozen",
            body_rate=1.0,
            fixed=0.0,
        )

    @property
    def from_nothing(self) -> "Recipe":
        """The same for a network without a parent."""
        return replace(self, head="drawn", norms="live", body_rate=1.0, fixed=0.0)


def shortened(recipe: Recipe, epochs: int) -> Recipe:
    """`recipe` with so many of its epochs, annealed as the whole is."""
    return replace(recipe, epochs=epochs, decay_epochs=recipe.decay_epochs * epochs / recipe.epochs)


def in_fractions(recipe: Mapping[str, Any], side_pixels: int) -> dict[str, Any]:
    """A recipe in JSON whose `crop_pixels` and `cutout_pixels`, of images with such sides, are parts of these: as a
    version of this service wrote it that had pixels."""
    parts = {
        new: min(1.0, recipe[old] / side_pixels)
        for new, old in (("shift", "crop_pixels"), ("cutout", "cutout_pixels"))
        if old in recipe
    }
    return {name: value for name, value in recipe.items() if not name.endswith("_pixels")} | parts


RECIPES: dict[str, Recipe] = {
    "proxy": Recipe(least_steps=300, train_images=20_000),  # ranks candidates: minutes for a search of small images
    "search": Recipe(),  # what a search takes that names none
    # What a search with shared weights takes that names none: each step teaches four networks.
    "supernet": Recipe(least_epochs=4, least_steps=1200, label_smoothing=0.05),
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
        shift=0.03,  # a pixel of 28 and of 32
        clean=0.35,
    ),
    "growth": Recipe(least_epochs=20, least_steps=2000),  # what a growth takes that names none
    "full": Recipe(
        least_epochs=60, least_steps=2000, shift=0.06, cutout=0.27, ema=0.999
    ),  # all that these augmentations give
    # For a network with a parent: small steps, by which what it knows is bent and not broken. docs/photographs.md has
    # what was tried: at 96 pixels a training comes as far by it as by others, in fewer and cheaper steps.
    "finetune": Recipe(
        least_epochs=10,
        least_steps=180,
        batch=32,
        optimizer="adamw",
        learning_rate=5e-4,
        weight_decay=0.05,
        shift=0.1,
        ema=0.97,
        head="ridge",
        norms="frozen",
        fixed=0.18,  # of EfficientNet-Lite0 the stem and two stages
    ),
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
        shift=0.125,
    ),
}
