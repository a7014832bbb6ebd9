"""Parameters, multiply-adds, activations and memory of an architecture, by arithmetic on its layers."""

from dataclasses import dataclass, field
from functools import lru_cache
from typing import NamedTuple

from nas.networks import memory
from nas.networks.architecture import Architecture, Stage
from nas.networks.arena import arena_bytes
from nas.networks.layers import Branches, Conv, Graph, Layer, Linear, Node, Norm, Sequence, pair
from nas.networks.lowering import AnyArchitecture, last_parts, lowered, stage_part, stem_part
from nas.networks.network import Part, walk
from nas.networks.shapes import Shape, after, joined
from nas.rounding import Precision

MOST_OPERATIONS = 65_536  # that are remembered

VALUE_BYTES: dict[Precision, int] = {"float32": 4, "int8": 1}
BIAS_BYTES = 4  # in either: integers of 32 bits where weights are of 8


@dataclass(frozen=True, kw_only=True)
class Row:
    """One line of a network's stage table; `activations` are the values that its convolutions write."""

    name: str
    resolution: int
    channels: int
    repeats: int
    params: int
    mult_adds: int
    activations: int
    statistics: int = 0
    weights: int = 0
    """Of convolutions and linear layers, as they are used: what works in training only has none."""
    biases: int = 0
    """As they are used: a normalisation is one a channel in the convolution before it, and two on its own."""


@dataclass(frozen=True, kw_only=True)
class Counts:
    """A network's size. `mult_adds` count convolutions and linear layers, squeeze-and-excitation included, for one
    image; the papers call the same number FLOPs. What works in training only has parameters and nothing else.
    `statistics` are the running means and variances that are stored and not trained; `params` leaves them out."""

    params: int
    mult_adds: int
    activations: int
    statistics: int
    weights: int
    biases: int
    peak_values: int
    """The values that are held at the worst moment while one image goes through the network: see `memory`."""
    rows: tuple[Row, ...]
    architecture: AnyArchitecture = field(compare=False, repr=False)
    """What is counted: networks that are written otherwise may come to the same."""

    def peak_memory(self, precision: Precision = "float32") -> int:
        """The bytes of those values."""
        return self.peak_values * VALUE_BYTES[precision]

    def arena(self, precision: Precision = "float32") -> int:
        """The bytes that TFLite Micro plans for the values of one image: see `arena`. Computed when it is asked for."""
        return arena_bytes(self.architecture, VALUE_BYTES[precision])

    def model_bytes(self, precision: Precision = "float32") -> int:
        """The bytes of what is stored of a network in use: its weights and biases."""
        return self.weights * VALUE_BYTES[precision] + self.biases * BIAS_BYTES

    def cost(self, name: str, precision: Precision = "float32") -> float:
        """The value of the cost of that name, which is none that is measured."""
        if name in ("peak_memory", "model_bytes"):
            return float(getattr(self, name)(precision))
        return float(getattr(self, name))


class _Counted(NamedTuple):
    row: Row
    peak_values: int


def counts(architecture: AnyArchitecture) -> Counts:
    """Sizes of the network that `architecture` describes, equal to those of the network built from it."""
    rows, peak_values = _staged(architecture) if isinstance(architecture, Architecture) else _walked(architecture)
    return Counts(
        params=sum(row.params for row in rows),
        mult_adds=sum(row.mult_adds for row in rows),
        activations=sum(row.activations for row in rows),
        statistics=sum(row.statistics for row in rows),
        weights=sum(row.weights for row in rows),
        biases=sum(row.biases for row in rows),
        peak_values=peak_values,
        rows=tuple(rows),
        architecture=architecture,
    )


def _walked(architecture: AnyArchitecture) -> tuple[list[Row], int]:
    rows: list[Row] = []
    met: dict[object, Row] = {}  # cells and blocks repeat, as the same objects

    def count(part: Part, *entering: Shape) -> Shape:
        key = (part.name, entering, *map(id, part.blocks))
        if key not in met:
            met[key] = _row(part, *entering)
        rows.append(met[key])
        return Shape(rows[-1].channels, rows[-1].resolution, rows[-1].resolution)

    parts, images = lowered(architecture), architecture.images
    for _ in walk(parts, images, count):
        pass
    return rows, memory.held_by(parts, Shape(images.channels, images.resolution, images.resolution))


def _staged(architecture: Architecture) -> tuple[list[Row], int]:
    """As `_walked`, but a stage that was met before behind the same channels and pixels is looked up: searchers count
    thousands of networks of few different stages."""
    images = architecture.images
    counted = [_stem(architecture.stem, architecture.stem_stride, images.channels, images.resolution)]
    for stage in architecture.stages:
        last = counted[-1].row
        counted.append(_stage(stage, last.channels, last.resolution))
    last = counted[-1].row
    counted += _last(architecture.head, images.classes, last.channels, last.resolution)
    return [each.row for each in counted], max(each.peak_values for each in counted)


@lru_cache(maxsize=1024)
def _stem(channels: int, stride: int, entering: int, size: int) -> _Counted:
    return _in_turn(stem_part(channels, stride), Shape(entering, size, size))


@lru_cache(maxsize=65536)
def _stage(stage: Stage, entering: int, size: int) -> _Counted:
    return _in_turn(stage_part(stage, entering), Shape(entering, size, size))


@lru_cache(maxsize=1024)
def _last(head: int, classes: int, entering: int, size: int) -> tuple[_Counted, ...]:
    counted, shape = [], Shape(entering, size, size)
    for part in last_parts(head, classes):
        counted.append(_in_turn(part, shape))
        shape = shape._replace(channels=counted[-1].row.channels)
    return tuple(counted)


def _in_turn(part: Part, entering: Shape) -> _Counted:
    return _Counted(_row(part, entering), memory.held_in_turn(part.blocks, entering))


def forget() -> None:
    """Empty the look-up tables, as in a process that has counted nothing yet."""
    for table in (_stem, _stage, _last):
        table.cache_clear()
    _operations.clear()
    memory.forget()


def _row(part: Part, *entering: Shape) -> Row:
    tallies: list[_Tally] = []
    met: tuple[Layer, tuple[Shape, ...]] | None = None
    for block in part.blocks:
        if met is None or block is not met[0] or entering != met[1]:  # a stage repeats the same block
            met = block, entering
            tally = _Tally()
            leaving = tally.add(block, *entering)
        tallies.append(tally)
        entering = (leaving,)
    return Row(
        name=part.name,
        resolution=entering[0].height,
        channels=entering[0].channels,
        repeats=len(part.blocks),
        params=sum(tally.params for tally in tallies),
        mult_adds=0 if part.auxiliary else sum(tally.mult_adds for tally in tallies),
        activations=0 if part.auxiliary else sum(tally.activations for tally in tallies),
        statistics=sum(tally.statistics for tally in tallies),
        weights=0 if part.auxiliary else sum(tally.weights for tally in tallies),
        biases=0 if part.auxiliary else sum(tally.biases for tally in tallies),
    )


class _Tally:
    """Adds up layers at the shapes they run on."""

    def __init__(self) -> None:
        self.params = self.mult_adds = self.activations = self.statistics = self.weights = self.biases = 0

    def add(self, layer: Layer, *entering: Shape) -> Shape:
        """Count `layer`; returns the shape that leaves it."""
        shape = entering[0]
        match layer:
            case Conv():
                leaving = after(layer, shape)
                tall, wide = pair(layer.kernel)
                weights = shape.channels // layer.groups * tall * wide * layer.out
                pixels = leaving.height * leaving.width
                self.params += weights + layer.out * (layer.bias + 2 * layer.norm)
                self.weights += weights
                self.biases += layer.out * (layer.bias or layer.norm)
                self.mult_adds += weights * pixels
                self.activations += layer.out * pixels
                self.statistics += 2 * layer.out * layer.norm
                return leaving
            case Linear():
                weights = shape.channels * shape.height * shape.width * layer.out
                self.params += weights + layer.out * layer.bias
                self.weights += weights
                self.biases += layer.out * layer.bias
                self.mult_adds += weights
                self.activations += layer.out
            case Norm():
                normed = 2 * shape.channels if layer.kind == "batch" else 0
                self.params += normed
                self.statistics += normed
                self.biases += normed
            case Sequence():
                for inner in layer.layers:
                    shape = self.add(inner, shape)
                return shape
            case Branches():
                return joined([self.add(branch, shape) for branch in layer.branches], layer.join)
            case Graph():
                states = [self._applied(adapter, state) for adapter, state in zip(layer.adapters, entering)]
                for node in layer.nodes:
                    states.append(self._made(node, states))
                return self._made(layer.output, states)
        return after(layer, shape)

    def _made(self, node: Node, states: list[Shape]) -> Shape:
        return joined([self._applied(step.applied, states[step.state]) for step in node.steps], node.join)

    def _applied(self, layer: Layer, entering: Shape) -> Shape:
        """As `add`, but looked up where the same object was met before: cells are made of few different operations."""
        key = id(layer), entering
        entry = _operations.get(key)
        if entry is None:
            if len(_operations) >= MOST_OPERATIONS:
                _operations.clear()
            tally = _Tally()
            entry = _operations[key] = layer, tally, tally.add(layer, entering)
        _, tally, leaving = entry
        self.params += tally.params
        self.mult_adds += tally.mult_adds
        self.activations += tally.activations
        self.statistics += tally.statistics
        self.weights += tally.weights
        self.biases += tally.biases
        return leaving


# With each its layer, as a number that tells objects apart may be given again to another once the object is gone.
_operations: dict[tuple[int, Shape], tuple[Layer, _Tally, Shape]] = {}
