"""DARTS' cells (Liu et al. 2019), stacked as in their official code.

State 0 is the output of the cell before the last, state 1 the last one's, each behind a 1×1 convolution. The large stem
strides by 8.
"""

from functools import lru_cache

from nas.networks import layers
from nas.networks.cells import Cell, CellArchitecture, Operation
from nas.networks.cells._stack import Stack
from nas.networks.layers import Activate, Conv, DropPath, Graph, Layer, Pool, Step
from nas.networks.network import Part
from nas.networks.shapes import Shape, after
from nas.networks.units import chain, factorized_reduction, linear, separable

INPUTS = 2
REDUCES = True
LARGE_STRIDE = 32


def skip(entering: int, filters: int, stride: int) -> tuple[Layer, ...]:
    return () if stride == 1 else (Activate(), *factorized_reduction(filters))


def _separable(kernel: int) -> Operation:
    def twice(entering: int, filters: int, stride: int) -> tuple[Layer, ...]:
        return (*separable(entering, filters, kernel, stride=stride), *separable(filters, filters, kernel))

    return twice


def _dilated(kernel: int) -> Operation:
    def once(entering: int, filters: int, stride: int) -> tuple[Layer, ...]:
        return separable(entering, filters, kernel, stride=stride, dilation=2)

    return once


def max_pool(entering: int, filters: int, stride: int) -> tuple[Layer, ...]:
    return (Pool("max", 3, stride=stride),)


def average_pool(entering: int, filters: int, stride: int) -> tuple[Layer, ...]:
    return (Pool("average", 3, stride=stride),)


OPERATIONS = {
    "max_pool_3x3": max_pool,
    "avg_pool_3x3": average_pool,
    "skip_connect": skip,
    "sep_conv_3x3": _separable(3),
    "sep_conv_5x5": _separable(5),
    "dil_conv_3x3": _dilated(3),
    "dil_conv_5x5": _dilated(5),
}


def parts(architecture: CellArchitecture) -> tuple[Part, ...]:
    stack = Stack(architecture, cell_graph, older_first=True)
    filters, reduction = architecture.filters, architecture.reduction
    assert reduction is not None
    if architecture.stem == "large":
        stem = architecture.stem_filters
        stack.stem(Conv(stem // 2, 3, stride=2), linear(stem, 3, stride=2))
        stack.stem(Activate(), linear(stem, 3, stride=2))
    else:
        stack.stem(linear(architecture.stem_filters, 3))
    for group in range(3):
        if group:
            stack.cell("reduction cell", reduction, filters << group, 2)
        if group == 2 and architecture.auxiliary:
            stack.auxiliary()
        for _ in range(architecture.cells):
            stack.cell("normal cell", architecture.normal, filters << group, 1)
    return stack.finished()


@lru_cache(maxsize=4096)
def cell_graph(
    cell: Cell, last: Shape, before: Shape | None, filters: int, stride: int, drop: float
) -> tuple[Graph, Shape]:
    """`cell` on states of such shapes; the first cell has no state `before` and reads the last one twice."""
    older = last if before is None else before
    shrinking = factorized_reduction(filters) if older.height != last.height else (linear(filters),)
    adapters = (chain(Activate(), *shrinking), chain(Activate(), linear(filters)))
    nodes = tuple(
        layers.Node(
            tuple(
                Step(_applied(operation, filters, stride if state < INPUTS else 1, drop), state)
                for operation, state in node.inputs
            ),
            node.join,
        )
        for node in cell.nodes
    )
    outputs = tuple(Step(layers.IDENTITY, state) for state in cell.outputs)
    graph = Graph(adapters, nodes, layers.Node(outputs, "concat"))
    return graph, after(graph, older, last)


@lru_cache(maxsize=4096)
def _applied(name: str, filters: int, stride: int, drop: float) -> Layer:
    operation = OPERATIONS[name](filters, filters, stride)
    dropping = (DropPath(drop, scheduled=True),) if drop and operation else ()
    return chain(*operation, *dropping)
