"""Networks as data: stage rows, and the architecture that they make up."""

import dataclasses
import functools
import hashlib
import itertools
import json
import math
import random
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from nas.codec import decode, encode
from nas.networks.layers import MOST_CHANNELS, MOST_PIXELS
from nas.networks.layers import Activation as Activation
from nas.refusal import Refusal, between, bounded

Choice: TypeAlias = str | int | float | bool
Choices: TypeAlias = dict[str, Choice]
Knobs: TypeAlias = Mapping[str, tuple[Choice, ...]]

Op = Literal["conv", "fused", "mbconv"]
Skip = Literal["pooling", "repeats", "pooling repeats"]

VERSION = 1  # of the JSON of architectures
MOST_BLOCKS = 2000  # in a network
NORM_EPSILON = 1e-3  # TensorFlow's, as in the MnasNet and EfficientNet releases
TORCH_EPSILON = 1e-5  # of networks whose papers trained them with torch
MOST_DROPOUT = 0.5  # to which growing raises it, as in EfficientNet-B7


def random_choices(knobs: Knobs, draw: random.Random) -> Choices:
    """A choice of each knob, every one as likely as the others."""
    return {knob: draw.choice(choices) for knob, choices in knobs.items()}


@dataclass(frozen=True, kw_only=True)
class Images:
    """What a network is given and asked for: square images, and one of some answers."""

    resolution: int
    """Pixels a side."""
    channels: int = 3
    """Planes: 1 of grey images, 3 of colour."""
    classes: int = 1000
    """Answers to tell apart."""

    def __post_init__(self) -> None:
        bounded(self, MOST_PIXELS, "resolution", least=8)
        if self.channels not in (1, 3):
            raise Refusal(f"channels {self.channels} is neither 1 (grey) nor 3 (colour)", field="channels")
        bounded(self, MOST_CHANNELS, "classes", least=2)


@dataclass(frozen=True, kw_only=True)
class Scale:
    """What a network is grown or shrunk by."""

    depth: float
    """The factor on repeats."""
    width: float
    """The factor on channels."""
    resolution: float
    """The factor on pixels a side."""
    dropout: float = 0.0
    """What is added to the dropout."""
    drop_connect: float = 0.0
    """What is added to the rate at which residual branches, or the operations of cells, are dropped."""


@dataclass(frozen=True, kw_only=True)
class Stage:
    """Equal blocks, the first of which carries the stride and the change of channels. A network is written in one way
    only: `conv` has expand 1, and `fused` with expand 1 is written `conv`."""

    op: Op
    """The kind of block. "conv": convolution, normalisation, activation. "mbconv": MobileNetV2's inverted bottleneck
    (1×1 expansion, depthwise convolution, squeeze-and-excitation, 1×1 projection). "fused": the same with expansion and
    depthwise in one dense convolution (EfficientNetV2)."""
    kernel: int
    """Pixels a side of the convolution, an odd number."""
    stride: int
    """Pixels that the first block's convolution moves by."""
    expand: int
    """Channels inside of a block, as a multiple of those that enter it."""
    channels: int
    """Channels that leave each block."""
    repeats: int
    """Blocks."""
    se_ratio: float = 0.0
    """Channels that squeeze-and-excitation leaves, as a part of those that enter the block, before expansion; 0: there
    is none."""
    skip: bool | Skip = True
    """Whether what enters a block is added to what leaves it, where the shapes agree; "pooling": also behind a stride,
    through 3×3 average pooling (MnasNet). "repeats" and "pooling repeats": not around the stage's first block, even
    where they agree; so are networks written whose relatives have none there."""

    def __post_init__(self) -> None:
        if self.op not in ("conv", "fused", "mbconv"):
            raise Refusal(f"op {self.op!r} is none of conv, fused, mbconv", field="op")
        sizes = (self.kernel, self.stride, self.expand, self.channels, self.repeats)
        if min(sizes) < 1 or max(sizes) > MOST_BLOCKS:  # one by one takes longer, and a search describes thousands
            bounded(self, MOST_PIXELS, "kernel", "stride")
            bounded(self, MOST_CHANNELS, "expand", "channels")
            bounded(self, MOST_BLOCKS, "repeats")
        if self.kernel % 2 == 0:
            raise Refusal(f"kernel {self.kernel} is not a positive odd number", field="kernel")
        if self.op == "conv" and self.expand != 1:
            detail = f"expand {self.expand} means nothing to op 'conv': write expand 1, or op 'fused'"
            raise Refusal(detail, field="expand")
        if self.op == "fused" and self.expand == 1:
            raise Refusal("op 'fused' with expand 1 is op 'conv': write that", field="op")
        if not 0 <= self.se_ratio <= 1:
            raise Refusal(f"se_ratio {self.se_ratio} is not between 0 and 1", field="se_ratio")

    @property
    def pools(self) -> bool:
        """Whether skips go through pooling."""
        return self.skip in ("pooling", "pooling repeats")

    @property
    def skips(self) -> tuple[bool | Literal["pooling"], ...]:
        """What is around each block, where the shapes agree."""
        usual: bool | Literal["pooling"] = "pooling" if self.pools else bool(self.skip)
        first = False if self.skip in ("repeats", "pooling repeats") else usual
        return (first,) + (usual,) * (self.repeats - 1)

    def skips_first(self, entering: int) -> bool:
        """Whether something is around the first block when `entering` channels enter it."""
        skip = self.skips[0]
        return entering == self.channels and (skip == "pooling" or (skip and self.stride == 1))

    def inputs(self, entering: int) -> tuple[int, ...]:
        """Channels that enter each of the stage's blocks when `entering` channels enter the stage."""
        return (entering,) + (self.channels,) * (self.repeats - 1)


@dataclass(frozen=True, kw_only=True)
class Architecture:
    """A network, whole: 3×3 stem, stages, 1×1 head, global average pooling, dropout, linear classifier.

    Pure data: two equal architectures are the same function of their weights.
    """

    images: Images
    """What it is for."""
    stem: int
    """Channels that leave the stem."""
    stem_stride: int
    """Pixels that the stem moves by."""
    stages: tuple[Stage, ...]
    """Its stages, in order."""
    head: int
    """Channels that leave the head; 0: there is none."""
    activation: Activation = "relu"
    """The nonlinearity behind its convolutions."""
    dropout: float = 0.0
    """The rate at which the classifier's inputs are zeroed in training."""
    drop_connect: float = 0.0
    """The rate at which the last block's residual branch is dropped in training; earlier blocks scale down to zero in a
    line."""
    norm_epsilon: float = NORM_EPSILON
    """What normalisations add to the variance under the root: 1e-3 in TensorFlow's networks, 1e-5 in torch's."""
    padding: Literal["same", "tensorflow"] = "same"
    """Where convolutions that move by several pixels pad. "same": alike on all sides. "tensorflow": the odd pixel at
    the end, as TensorFlow does."""
    version: int = VERSION
    """The version of this description, 1."""

    def __post_init__(self) -> None:
        check_version(self.version)
        bounded(self, MOST_CHANNELS, "stem")
        bounded(self, MOST_CHANNELS, "head", least=0)
        bounded(self, MOST_PIXELS, "stem_stride")
        between(self, "dropout", 0, 0.999)
        between(self, "drop_connect", 0, 0.999)
        between(self, "norm_epsilon", 1e-8, 0.1)
        if self.padding not in ("same", "tensorflow"):
            raise Refusal(f"padding {self.padding!r} is neither same nor tensorflow", field="padding")
        blocks = sum(stage.repeats for stage in self.stages)
        if blocks > MOST_BLOCKS:
            raise Refusal(f"stages have {blocks:,} blocks in all: {MOST_BLOCKS:,} are the most", field="stages")
        strides = self._strides
        if strides[-1] > self.images.resolution:
            first = next(number for number, total in enumerate(strides) if total > self.images.resolution)
            place = f"stage {first}" if first else "the stem"
            raise Refusal(
                f"resolution {self.images.resolution} is too small for total stride {strides[-1]}: less than a pixel "
                f"is left in {place}; give at least {strides[-1]} pixels or fewer strides",
                field="images",
            )

    @property
    def _strides(self) -> list[int]:
        """In all, behind the stem and each stage."""
        each = (stage.stride for stage in self.stages)
        return list(itertools.accumulate(each, int.__mul__, initial=self.stem_stride))

    @property
    def total_stride(self) -> int:
        """Pixels of the images that one of the last features stands for."""
        return self._strides[-1]

    @property
    def entered(self) -> tuple[int, ...]:
        """Channels that enter each stage."""
        return (self.stem, *(stage.channels for stage in self.stages))[: len(self.stages)]

    def skipping_as(self, relative: "Architecture") -> "Architecture":
        """This network without the skips that a `relative` of as many stages has not: around a first block there is one
        where as many channels leave as enter, be it by chance, and with it the same weights compute something else."""
        return dataclasses.replace(
            self,
            stages=tuple(
                dataclasses.replace(ours, skip="pooling repeats" if ours.pools else "repeats")
                if ours.skips_first(entering) and not theirs.skips_first(entered)
                else ours
                for ours, entering, theirs, entered in zip(
                    self.stages, self.entered, relative.stages, relative.entered, strict=True
                )
            ),
        )

    def scaled(self, scale: Scale) -> "Architecture":
        """This network grown or shrunk: repeats by ceil, channels to multiples of 8, resolution rounded. It has no skip
        that this one has not."""
        scaled = dataclasses.replace(
            self,
            images=dataclasses.replace(self.images, resolution=round(self.images.resolution * scale.resolution)),
            stem=round_channels(self.stem, scale.width),
            stages=tuple(
                dataclasses.replace(
                    stage,
                    channels=round_channels(stage.channels, scale.width),
                    repeats=math.ceil(scale.depth * stage.repeats),
                )
                for stage in self.stages
            ),
            head=round_channels(self.head, scale.width),
            dropout=raised(self.dropout, scale.dropout),
            drop_connect=raised(self.drop_connect, scale.drop_connect),
        )
        return scaled.skipping_as(self)

    def digest(self) -> str:
        """Twelve hexadecimal digits that are equal for equal architectures, and stable across versions."""
        return digest(self)


@functools.lru_cache(maxsize=4096)  # a millisecond each, and a search asks for those of its networks again and again
def digest(architecture: Any) -> str:
    """Twelve hexadecimal digits of the SHA-256 of a record's JSON, its version left out, and what older descriptions do
    not have where it is what they meant."""
    same = decode(type(architecture), encode(architecture))  # 0 and 0.0 are equal, and so their digests must be
    unsaid = {"version": VERSION, "norm_epsilon": NORM_EPSILON, "padding": "same"}
    fields = {name: value for name, value in encode(same).items() if (name, value) not in unsaid.items()}
    text = json.dumps(fields, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def check_version(version: int) -> None:
    if version != VERSION:
        detail = f"version {version} of an architecture is not {VERSION}, the one that is understood here"
        raise Refusal(detail, field="version")


def raised(dropout: float, added: float) -> float:
    """The rate of dropout, or another, of a network that has grown: what it was and `added`, up to 0.5; where it was
    more, that."""
    return max(dropout, min(MOST_DROPOUT, round(dropout + added, 10))) if added else dropout


def round_channels(channels: int, width: float, divisor: int = 8) -> int:
    """`channels * width` to the nearest multiple of `divisor`, never more than 10 % below (EfficientNet's rule)."""
    if width == 1 or channels == 0:
        return channels
    wanted = channels * width
    rounded = max(divisor, int(wanted + divisor / 2) // divisor * divisor)
    return rounded + divisor if rounded < 0.9 * wanted else rounded
