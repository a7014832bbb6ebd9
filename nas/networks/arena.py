"""The arena that TFLite Micro takes for a network's values, by arithmetic: `memory` says what is held at worst, this
where it lies.

The operations are those of TFLite's converter. It pads a convolution by an operation of its own where the padding is
not the one that TFLite knows, as that of even sides by a stride of 2; rectifiers are part of what they follow, and
other nonlinearities are not. The planner of TFLite Micro then gives every value a place for as long as it is read, the
largest first, each in the lowest gap; what does not fit into one comes on top.
"""

from bisect import insort
from typing import NamedTuple

from nas.networks.layers import (
    Activate,
    Activation,
    Branches,
    Conv,
    Dropout,
    DropPath,
    Graph,
    Join,
    Layer,
    Linear,
    Node,
    Norm,
    Sequence,
    pair,
)
from nas.networks.lowering import AnyArchitecture, lowered
from nas.networks.shapes import Shape, after, joined

ALIGNED = 16  # bytes that the beginning of a value is a multiple of
FUSED: tuple[Activation, ...] = ("relu", "relu6")
OPERATIONS: dict[Activation, int] = {"swish": 2, "hsigmoid": 2}  # of other nonlinearities; one where nothing is said


class Value(NamedTuple):
    """Bytes that are written in operation `first` and read up to `last`."""

    bytes: int
    first: int
    last: int


def arena_bytes(architecture: AnyArchitecture, value_bytes: int) -> int:
    """What the values of one image take, of so many bytes each; the runtime's own records come on top."""
    images = architecture.images
    trace = _Trace(Shape(images.channels, images.resolution, images.resolution))
    states = [0]
    for number, part in enumerate(lowered(architecture)):
        reads = [states[state] for state in part.inputs or (number,)]
        for block in () if part.auxiliary else part.blocks:
            reads = [trace.through(block, *reads)]
        states.append(reads[0])
    return placed(trace.values(value_bytes))


def placed(values: list[Value]) -> int:
    """The bytes up to the last one's end. Of values alike the later one is placed first, as TFLite Micro does."""
    places: list[tuple[int, int, Value]] = []  # where each begins, in that order
    largest = sorted(enumerate(values), key=lambda each: (-each[1].bytes, -each[0]))
    for turn, (_, value) in enumerate(largest):
        begin = 0
        for place, _, other in places:
            if other.first > value.last or value.first > other.last:
                continue
            if place - begin >= value.bytes:
                break
            begin = max(begin, place + other.bytes)
        insort(places, (begin, turn, value))
    return max(begin + value.bytes for begin, _, value in places)


class _Trace:
    """Operations in the order in which they run, each of which reads values and writes another; 0 is what enters."""

    def __init__(self, entering: Shape) -> None:
        self._shapes = [entering]
        self._first, self._last = [0], [0]
        self._operations = 0

    def values(self, value_bytes: int) -> list[Value]:
        sizes = (-(-shape.channels * shape.height * shape.width * value_bytes // ALIGNED) for shape in self._shapes)
        return [Value(size * ALIGNED, *lives) for size, *lives in zip(sizes, self._first, self._last)]

    def through(self, layer: Layer, *reads: int) -> int:
        """The value that `layer` writes, or the one that it reads where it does nothing."""
        read = reads[0]
        match layer:
            case Sequence():
                for place, inner in enumerate(layer.layers):
                    folded = inner == Norm() or (isinstance(inner, Activate) and inner.activation in FUSED)
                    read = read if place and folded else self.through(inner, read)
                return read
            case Dropout() | DropPath():
                return read
            case Activate():
                return self._activated(layer.activation, read)
            case Conv() | Linear():
                leaving = after(layer, self._shapes[read])
                if isinstance(layer, Conv) and (padded := _padded(layer, self._shapes[read])):
                    read = self._written(padded, read)
                written = self._written(leaving, read)
                if layer.activation is None or layer.activation in FUSED:
                    return written
                return self._activated(layer.activation, written)
            case Branches():
                return self._joined([self.through(branch, read) for branch in layer.branches], layer.join)
            case Graph():
                states = [self.through(adapter, state) for adapter, state in zip(layer.adapters, reads)]
                for node in (*layer.nodes, layer.output):
                    states.append(self._made(node, states))
                return states[-1]
        return self._written(after(layer, self._shapes[read]), read)

    def _made(self, node: Node, states: list[int]) -> int:
        return self._joined([self.through(step.applied, states[step.state]) for step in node.steps], node.join)

    def _activated(self, activation: Activation, read: int) -> int:
        result = self._written(self._shapes[read], read)
        for _ in range(OPERATIONS.get(activation, 1) - 1):
            result = self._written(self._shapes[read], read, result)
        return result

    def _joined(self, reads: list[int], join: Join) -> int:
        if len(reads) == 1:
            return reads[0]
        shape = joined([self._shapes[read] for read in reads], join)
        if join == "concat":
            return self._written(shape, *reads)
        result, *others = reads  # two at a time
        for other in others:
            result = self._written(shape, result, other)
        return result

    def _written(self, shape: Shape, *reads: int) -> int:
        self._operations += 1
        for read in reads:
            self._last[read] = self._operations
        self._shapes.append(shape)
        self._first.append(self._operations)
        self._last.append(self._operations)
        return len(self._shapes) - 1


def _padded(layer: Conv, entering: Shape) -> Shape | None:
    """What a convolution reads, where TFLite does not pad as it does: not at all, or as much as leaves ceil(n / stride)
    pixels, the odd one at the end."""
    sides, own = [], True
    for size, kernel, stride in zip(entering[1:], pair(layer.kernel), pair(layer.stride)):
        window = layer.dilation * (kernel - 1) + 1
        theirs = max(0, (-(-size // stride) - 1) * stride + window - size)
        match layer.padding:
            case "same":
                ours = 2 * (kernel // 2 * layer.dilation)
            case "tensorflow":
                ours = theirs
            case "valid":
                ours = 0
            case pixels:
                ours = 2 * pixels
        own = own and ours in (0, theirs)
        sides.append(size + ours)
    return None if own else Shape(entering.channels, *sides)
