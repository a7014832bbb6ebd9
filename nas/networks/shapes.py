"""Shapes of what flows through layers, by arithmetic: what leaves each for what enters it."""

from typing import NamedTuple

from nas.networks.layers import (
    MOST_CHANNELS,
    Activate,
    Branches,
    Conv,
    Dropout,
    DropPath,
    GlobalPool,
    Graph,
    Join,
    Layer,
    Linear,
    Node,
    Norm,
    Padding,
    Pool,
    Scale,
    Sequence,
    Shift,
    Shuffle,
    Widen,
    pair,
)


class Shape(NamedTuple):
    """What flows between layers: `channels` planes of `height` × `width` pixels."""

    channels: int
    height: int
    width: int


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
