"""Values that a network holds at once, by arithmetic on its layers in the order in which they run.

An operation holds what it reads and what it writes, and beside these stays whatever is still to be read: the input of
a skip, the cell before the last. Nothing is written in place. A normalisation or nonlinearity is part of the operation
that it follows within a block, and what works in training only is not there. Two cells that compute the same in
another order may hold different numbers of values.
"""

from collections.abc import Iterator
from typing import NamedTuple

from nas.networks.layers import Activate, Branches, Dropout, DropPath, Graph, Join, Layer, Norm, Sequence
from nas.networks.network import Part
from nas.networks.shapes import Shape, after, joined

MOST_STEPS = 65_536  # of cells, that are remembered


class Held(NamedTuple):
    """What leaves a layer, and the values that it holds at worst, what enters included."""

    leaving: Shape
    released: int
    """Where what enters is not needed any more once it was read."""
    kept: int
    """Where it is needed afterwards as well."""


class Move(NamedTuple):
    """States that are read to write another, by a layer or, where that is None, by joining them."""

    layer: Held | None
    reads: tuple[int, ...]
    written: int


def held_in_turn(blocks: tuple[Layer, ...], entering: Shape) -> int:
    """The values that blocks one after the other hold at worst."""
    worst, met = 0, None
    for block in blocks:
        if met != (id(block), entering):  # a stage repeats the same block
            met = id(block), entering
            held = _held(block, entering)
            worst, entering = max(worst, held.released), held.leaving
    return worst


def held_by(parts: tuple[Part, ...], images: Shape) -> int:
    """The values that `parts`, whatever states they read, hold at worst."""
    flow, states = _Flow(images), [0]
    for number, part in enumerate(parts):
        reads = [states[state] for state in part.inputs or (number,)]
        for block in () if part.auxiliary else part.blocks:
            reads = [flow.through(block, *reads)]
        states.append(reads[0])
    return flow.worst(states[-1])


def forget() -> None:
    """Empty the look-up table, as in a process that has counted nothing yet."""
    _steps.clear()


def _held(layer: Layer, shape: Shape) -> Held:
    match layer:
        case Sequence():
            return _chained(_operations(layer), shape)
        case Branches():
            flow = _Flow(shape)
            state = flow.join([flow.through(branch, 0) for branch in layer.branches], layer.join)
        case Graph():
            flow = _Flow(shape)
            state = flow.through(layer, 0)
        case _:
            leaving = after(layer, shape)
            both = _size(shape) + _size(leaving)
            return Held(leaving, both, both)
    return Held(flow.shapes[state], flow.worst(state), flow.worst(state, kept=True))


def _chained(operations: list[Layer], entering: Shape) -> Held:
    shape, released, kept = entering, 0, 0
    for place, operation in enumerate(operations):
        held = _held(operation, shape)
        shape, released = held.leaving, max(released, held.released)
        kept = max(kept, held.released + _size(entering) if place else held.kept)
    return Held(shape, released, kept)


def _operations(layer: Layer) -> list[Layer]:
    operations: list[Layer] = []
    for inner in _flat(layer):
        if not operations or not (isinstance(inner, Activate) or inner == Norm()):
            operations.append(inner)
    return operations


def _flat(layer: Layer) -> Iterator[Layer]:
    if isinstance(layer, Sequence):
        for inner in layer.layers:
            yield from _flat(inner)
    elif not isinstance(layer, Dropout | DropPath):
        yield layer


def _size(shape: Shape) -> int:
    return shape.channels * shape.height * shape.width


class _Flow:
    """States, by their numbers, and the moves that write them one after the other; state 0 is what enters."""

    def __init__(self, entering: Shape) -> None:
        self.shapes = [entering]
        self._moves: list[Move] = []

    def through(self, layer: Layer, *reads: int) -> int:
        """The state that `layer` writes, or the one that it reads where it does nothing."""
        if isinstance(layer, Graph):
            states = [self.through(adapter, state) for adapter, state in zip(layer.adapters, reads)]
            for node in (*layer.nodes, layer.output):
                steps = [self.through(step.applied, states[step.state]) for step in node.steps]
                states.append(self.join(steps, node.join))
            return states[-1]
        (read,) = reads
        if next(_flat(layer), None) is None:
            return read
        held = _looked_up(layer, self.shapes[read])
        return self._written(held.leaving, held, reads)

    def join(self, reads: list[int], join: Join) -> int:
        if len(reads) == 1:
            return reads[0]
        return self._written(joined([self.shapes[read] for read in reads], join), None, tuple(reads))

    def worst(self, result: int, *, kept: bool = False) -> int:
        """The most values that are held, until the last move has left `result` and, where it is `kept`, state 0."""
        last = {read: place for place, move in enumerate(self._moves) for read in move.reads}
        last |= dict.fromkeys((result, 0) if kept else (result,), len(self._moves))
        sizes = [_size(shape) for shape in self.shapes]
        now = most = sizes[0]
        for place, (layer, reads, written) in enumerate(self._moves):
            if layer is None:
                most = max(most, now + sizes[written])
            else:
                own = layer.kept if last[reads[0]] > place else layer.released
                most = max(most, now - sizes[reads[0]] + own)
            now += sizes[written] if written in last else 0
            now -= sum(sizes[read] for read in set(reads) if last[read] == place)
        return most

    def _written(self, shape: Shape, layer: Held | None, reads: tuple[int, ...]) -> int:
        self.shapes.append(shape)
        self._moves.append(Move(layer, reads, len(self.shapes) - 1))
        return self._moves[-1].written


def _looked_up(layer: Layer, shape: Shape) -> Held:
    """Cells are made of few different operations, which are the same objects."""
    key = id(layer), shape
    entry = _steps.get(key)
    if entry is None:
        if len(_steps) >= MOST_STEPS:
            _steps.clear()
        entry = _steps[key] = layer, _held(layer, shape)
    return entry[1]


# With each its layer, as a number that tells objects apart may be given again to another once the object is gone.
_steps: dict[tuple[int, Shape], tuple[Layer, Held]] = {}
