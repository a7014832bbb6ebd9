"""Stacking cells that read the two states before them, and the auxiliary classifier between them."""

from collections.abc import Callable
from typing import TypeAlias

from nas.networks.cells import Cell, CellArchitecture
from nas.networks.layers import Activate, Conv, Graph, Layer, Linear, Pool, Sequence
from nas.networks.network import Part
from nas.networks.shapes import Shape, after
from nas.networks.units import classifier

# From a cell, the shapes of the last state and of the one before it (None: there is none), filters, stride and drop
# path to the cell's layers and the shape that they give.
MakeGraph: TypeAlias = Callable[[Cell, Shape, Shape | None, int, int, float], tuple[Graph, Shape]]


class Stack:
    """A network in the making. `before` is the state before the last one; None: there is none."""

    def __init__(self, architecture: CellArchitecture, graph: MakeGraph, *, older_first: bool = False) -> None:
        self._architecture, self._graph, self._older_first = architecture, graph, older_first
        self._parts: list[Part] = []
        images = architecture.images
        self._shapes = [Shape(images.channels, images.resolution, images.resolution)]
        self._cells = 0
        self._total = 3 * architecture.cells + (2 if architecture.stem == "small" else 4)
        self.last = 0
        self.before: int | None = None

    def stem(self, *layers: Layer) -> None:
        self._add(Part(name="stem", blocks=layers), after(Sequence(layers), self._shapes[self.last]))
        self.before, self.last = self.last or None, len(self._shapes) - 1

    def cell(self, name: str, cell: Cell, filters: int, stride: int, before: int | None = None) -> None:
        """Put `cell` on top; it reads the last state and `before`, or the one before the last."""
        before = self.before if before is None else before
        self._cells += 1
        previous = None if before is None else self._shapes[before]
        drop = self._architecture.drop_path * self._cells / self._total
        graph, shape = self._graph(cell, self._shapes[self.last], previous, filters, stride, drop)
        inputs = (self.last, self.last if before is None else before)
        inputs = inputs[::-1] if self._older_first else inputs
        self._add(Part(name=name, blocks=(graph,), inputs=inputs), shape)
        self.before, self.last = self.last, len(self._shapes) - 1

    def auxiliary(self) -> None:
        """A second classifier over the last state."""
        shape = self._shapes[self.last]
        pool = Pool("average", min(5, shape.height), stride=3, padding="valid")
        pooled = after(pool, shape)
        whole = Conv(768, (pooled.height, pooled.width), padding="valid")
        blocks = (Activate(), pool, Conv(128), whole, Linear(self._architecture.images.classes))
        part = Part(name="auxiliary classifier", blocks=blocks, inputs=(self.last,), auxiliary=True)
        self._add(part, Shape(self._architecture.images.classes, 1, 1))

    def finished(self, *last: Layer) -> tuple[Part, ...]:
        """All parts; `last` comes before the pooling and the classifier."""
        architecture = self._architecture
        answer = (*last, *classifier(architecture.images.classes, architecture.dropout))
        return (*self._parts, Part(name="classifier", blocks=(Sequence(answer),), inputs=(self.last,)))

    def _add(self, part: Part, leaving: Shape) -> None:
        self._parts.append(part)
        self._shapes.append(leaving)
