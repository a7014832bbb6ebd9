"""Layers as data: the words that every network is spelled in.

Two readers understand them: `counts` does arithmetic on them and `blocks` builds torch modules from them, so that both
agree. `units` composes them into the papers' blocks.
"""

from dataclasses import KW_ONLY, dataclass
from typing import ClassVar, Literal, TypeAlias

from nas.refusal import Refusal, between, bounded

Activation: TypeAlias = Literal["relu", "swish", "relu6", "hswish", "sigmoid", "hsigmoid", "tanh"]
Padding: TypeAlias = Literal["same", "tensorflow", "valid"] | int
Pair: TypeAlias = tuple[int, int]
Join: TypeAlias = Literal["add", "concat", "multiply", "gate"]

MOST_CHANNELS = 131_072  # of a layer, and answers of a network; ImageNet's largest edition has 21,841 classes
MOST_PIXELS = 2048  # a side, of images and of what moves over them


@dataclass(frozen=True)
class Conv:
    """Convolution, then batch normalisation, then a nonlinearity."""

    out: int
    """Channels that leave it."""
    kernel: int | Pair = 1
    """Pixels of a side, or of both: vertical, horizontal."""
    _: KW_ONLY
    stride: int | Pair = 1
    """Pixels that it moves by, or both: vertical, horizontal."""
    padding: Padding = "same"
    """Pixels of padding on each side, or their rule. "same" pads alike on all sides, so that stride s leaves ceil(n /
    s) pixels; "tensorflow" leaves as many but pads the odd pixel at the end, as TensorFlow does; "valid" pads
    nothing."""
    groups: int = 1
    """Groups of channels that are convolved apart; as many as channels: depthwise."""
    dilation: int = 1
    """Pixels from one of the kernel's to the next."""
    bias: bool = False
    """Whether a bias is added."""
    norm: bool = True
    """Whether a batch normalisation follows."""
    activation: Activation | None = "relu"
    """The nonlinearity that follows; null: none."""
    layer: Literal["conv"] = "conv"
    """Which layer this is."""

    def __post_init__(self) -> None:
        bounded(self, MOST_CHANNELS, "out", "groups")
        bounded(self, MOST_PIXELS, "kernel", "stride", "dilation")
        bounded(self, MOST_PIXELS, "padding", least=0)


@dataclass(frozen=True)
class Pool:
    """Maximum or average of windows."""

    LIKE: ClassVar[tuple[type, ...]] = (Conv,)

    kind: Literal["max", "average"]
    """What is taken of a window. An average leaves the padding out."""
    kernel: int
    """Pixels a side of a window."""
    _: KW_ONLY
    stride: int = 1
    """Pixels that it moves by."""
    padding: Padding = "same"
    ceil: bool = False
    """Whether a window that hangs over the end is kept."""
    layer: Literal["pool"] = "pool"

    def __post_init__(self) -> None:
        if self.kind == "average" and self.padding == "tensorflow":
            raise Refusal(
                'padding "tensorflow" is for convolutions and maxima: an average pads alike on all sides',
                field="padding",
            )
        bounded(self, MOST_PIXELS, "kernel", "stride")
        bounded(self, MOST_PIXELS, "padding", least=0)


@dataclass(frozen=True)
class GlobalPool:
    """Average over all pixels, which leaves one."""

    LIKE: ClassVar[tuple[type, ...]] = (Conv,)

    layer: Literal["global pool"] = "global pool"


@dataclass(frozen=True)
class Linear:
    """Fully connected layer on all values of what enters."""

    LIKE: ClassVar[tuple[type, ...]] = (Conv,)

    out: int
    _: KW_ONLY
    bias: bool = True
    activation: Activation | None = None
    layer: Literal["linear"] = "linear"

    def __post_init__(self) -> None:
        bounded(self, MOST_CHANNELS, "out")


@dataclass(frozen=True)
class Dropout:
    """Zeroes single values in training."""

    LIKE: ClassVar[tuple[type, ...]] = (Conv,)

    rate: float
    """The part of them that is zeroed."""
    layer: Literal["dropout"] = "dropout"

    def __post_init__(self) -> None:
        between(self, "rate", 0, 0.999)


@dataclass(frozen=True)
class DropPath:
    """Zeroes the whole branch of an image in training (stochastic depth, Huang et al. 2016)."""

    LIKE: ClassVar[tuple[type, ...]] = (Conv,)

    rate: float
    """How often it is zeroed."""
    _: KW_ONLY
    scheduled: bool = False
    """Whether the rate grows from zero over the training (ScheduledDropPath, Zoph et al. 2018)."""
    layer: Literal["drop path"] = "drop path"

    def __post_init__(self) -> None:
        between(self, "rate", 0, 0.999)


@dataclass(frozen=True)
class Norm:
    """Normalisation on its own."""

    LIKE: ClassVar[tuple[type, ...]] = (Conv,)

    kind: Literal["batch", "local"] = "batch"
    """The kind: "batch", or "local" response normalisation (AlexNet), which has no parameters."""
    layer: Literal["norm"] = "norm"


@dataclass(frozen=True)
class Activate:
    """A nonlinearity on its own."""

    LIKE: ClassVar[tuple[type, ...]] = (Conv,)

    activation: Activation = "relu"
    """The nonlinearity."""
    layer: Literal["activate"] = "activate"


@dataclass(frozen=True)
class Shuffle:
    """Deals the channels of groups out in turn (ShuffleNet)."""

    LIKE: ClassVar[tuple[type, ...]] = (Conv,)

    groups: int
    """Groups of channels."""
    layer: Literal["shuffle"] = "shuffle"

    def __post_init__(self) -> None:
        bounded(self, MOST_CHANNELS, "groups")


@dataclass(frozen=True)
class Widen:
    """Appends channels of zeros (the parameter-free shortcut of He et al. 2015)."""

    LIKE: ClassVar[tuple[type, ...]] = (Conv,)

    out: int
    layer: Literal["widen"] = "widen"

    def __post_init__(self) -> None:
        bounded(self, MOST_CHANNELS, "out")


@dataclass(frozen=True)
class Shift:
    """Moves the image one pixel up and left, zeros entering (the second path of NASNet's factorized reduction)."""

    LIKE: ClassVar[tuple[type, ...]] = (Conv,)

    layer: Literal["shift"] = "shift"


@dataclass(frozen=True)
class Scale:
    """Multiplies by a constant."""

    LIKE: ClassVar[tuple[type, ...]] = (Conv,)

    factor: float
    """The constant."""
    layer: Literal["scale"] = "scale"

    def __post_init__(self) -> None:
        between(self, "factor", -1000, 1000)


@dataclass(frozen=True)
class Sequence:
    """Layers one after the other."""

    LIKE: ClassVar[tuple[type, ...]] = (Conv,)

    layers: tuple["Layer", ...] = ()
    """The layers, in order; of none it is the identity."""
    layer: Literal["sequence"] = "sequence"


@dataclass(frozen=True)
class Branches:
    """Branches side by side over the same input."""

    LIKE: ClassVar[tuple[type, ...]] = (Conv,)

    branches: tuple["Layer", ...]
    """The branches."""
    join: Join = "add"
    """How they become one: added, concatenated in depth, or multiplied (a branch of one pixel is spread over the
    others). "gate" takes three, g, a and b, and gives g·a + (1 − g)·b (highway networks)."""
    layer: Literal["branches"] = "branches"


@dataclass(frozen=True)
class Step:
    """A layer of a graph, with what it reads."""

    applied: "Layer"
    """The layer."""
    state: int
    """The number of the state that it reads."""


@dataclass(frozen=True)
class Node:
    """A new state of a graph."""

    steps: tuple[Step, ...]
    """What it is computed of."""
    join: Literal["add", "concat"] = "add"
    """How the results become one state."""


@dataclass(frozen=True)
class Graph:
    """A cell, whose states are numbered: its inputs first, then its nodes."""

    LIKE: ClassVar[tuple[type, ...]] = (Conv,)

    adapters: tuple["Layer", ...]
    """A layer for each of its inputs, which goes through it."""
    nodes: tuple[Node, ...]
    """Its new states, in order."""
    output: Node
    """What leaves it, made of its states."""
    layer: Literal["graph"] = "graph"


Layer: TypeAlias = (
    Conv | Pool | GlobalPool | Linear | Dropout | DropPath | Norm | Activate | Shuffle | Widen | Shift | Scale
    | Sequence | Branches | Graph
)  # fmt: skip

IDENTITY = Sequence()


def pair(value: int | Pair) -> Pair:
    return (value, value) if isinstance(value, int) else value
