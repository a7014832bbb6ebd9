"""Layers as data: the words that every network is spelled in.

Two readers understand them: `counts` does arithmetic on them and `blocks` builds torch modules from them, so that both
agree. `units` composes them into the papers' blocks.
"""

from dataclasses import KW_ONLY, dataclass
from typing import ClassVar, Literal, NamedTuple, TypeAlias

from nas.refusal import Refusal, between, bounded

Activation: TypeAlias = Literal["relu", "swish", "relu6", "hswish", "sigmoid", "hsigmoid", "tanh"]
Padding: TypeAlias = Literal["same", "tensorflow", "valid"] | int
Pair: TypeAlias = tuple[int, int]
Join: TypeAlias = Literal["add", "concat", "multiply", "gate"]

MOST_CHANNELS = 131_072  # of a layer, and answers of a network; ImageNet's largest edition has 21,841 classes
MOST_PIXELS = 2048  # a side, of images and of what moves over them


class Shape(NamedTuple):
    """What flows between layers: `channels` planes of `height` × `width` pixels."""

    channels: int
    height: int
    width: int


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


def after(layer: Layer, *entering: Shape) -> Shape:
    """The shape of what leaves `layer`; several shapes enter a graph only. Raises ValueError where they do not fit."""
    shape = entering[0]
    match layer:
        case Conv():
            if layer.out % layer.groups or shape.channels % layer.groups:
                raise ValueError(f"{layer.groups} groups do not divide {shape.channels} channels into {layer.out}")
            (tall, wide), (down, across) = pair(layer.kernel), pair(layer.stride)
            height = _after(shape.height, tall, down, layer.padding, layer.dilation)
            return Shape(layer.out, height, _after(shape.width, wide, across, layer.padding, layer.dilation))
        case Activate() | Norm() | DropPath() | Dropout() | Scale() | Shift():
            return shape
        case Sequence():
            for inner in layer.layers:
                shape = after(inner, shape)
            return shape
        case Pool():
            window = (layer.kernel, layer.stride, layer.padding, 1, layer.ceil)
            return Shape(shape.channels, _after(shape.height, *window), _after(shape.width, *window))
        case GlobalPool():
            return Shape(shape.channels, 1, 1)
        case Linear():
            return Shape(layer.out, 1, 1)
        case Widen():
            if layer.out < shape.channels:
                raise ValueError(f"{shape.channels} channels cannot be widened to {layer.out}")
            return shape._replace(channels=layer.out)
        case Shuffle():
            if shape.channels % layer.groups:
                raise ValueError(f"{layer.groups} groups do not divide {shape.channels} channels")
            return shape
        case Branches():
            return joined([after(branch, shape) for branch in layer.branches], layer.join)
        case Graph():
            if len(entering) != len(layer.adapters):
                raise ValueError(f"{len(entering)} states enter a graph of {len(layer.adapters)} adapters")
            states = [after(adapter, state) for adapter, state in zip(layer.adapters, entering)]
            for node in layer.nodes:
                states.append(made(node, states))
            return made(layer.output, states)


def joined(shapes: list[Shape], join: Join) -> Shape:
    """The shape of branches joined. Raises ValueError where they do not fit together."""
    if not shapes:
        raise ValueError("there is no branch to join")
    largest = max(shapes, key=lambda shape: (shape.height, shape.width))
    if join == "concat":
        if any(shape[1:] != largest[1:] for shape in shapes):
            raise ValueError(f"branches of {_words(shapes)} pixels cannot be concatenated")
        channels = sum(shape.channels for shape in shapes)
        if channels > MOST_CHANNELS:
            raise ValueError(
                f"branches of {channels:,} channels cannot be concatenated: {MOST_CHANNELS:,} are the most"
            )
        return largest._replace(channels=channels)
    if join == "gate" and len(shapes) != 3:
        raise ValueError(f"a gate joins three branches, not {len(shapes)}")
    spread = join == "multiply"
    if any(shape != largest and not (spread and shape == (largest.channels, 1, 1)) for shape in shapes):
        raise ValueError(f"branches of {_words(shapes)} cannot be joined by {join!r}: their shapes differ")
    return largest


def made(node: Node, states: list[Shape]) -> Shape:
    """The shape of the state that `node` makes of earlier ones. Raises ValueError for one that is not there yet."""
    for step in node.steps:
        if not 0 <= step.state < len(states):
            raise ValueError(f"state {step.state} is not there yet: there are 0 to {len(states) - 1}")
    return joined([after(step.applied, states[step.state]) for step in node.steps], node.join)


def _after(size: int, kernel: int, stride: int, padding: Padding, dilation: int = 1, ceil: bool = False) -> int:
    if padding == "same" or padding == "tensorflow":
        if padding == "same" and kernel % 2 == 0:
            raise ValueError(f"kernel {kernel} is even and cannot be padded alike on both sides")
        return -(-size // stride)
    pad = 0 if padding == "valid" else padding
    room = size + 2 * pad - (dilation * (kernel - 1) + 1)
    if room < 0:
        raise ValueError(f"a window of {kernel} pixels does not fit in {size}: the resolution is too small")
    steps = room // stride
    if ceil and room % stride and (steps + 1) * stride < size + pad:  # a window has to begin inside the image
        steps += 1
    return steps + 1


def _words(shapes: list[Shape]) -> str:
    return " and ".join(f"{shape.channels}×{shape.height}×{shape.width}" for shape in shapes)
