"""NASNet's cells (Zoph et al. 2018), stacked as in their official code.

State 0 is the last cell's output behind a 1×1 convolution, state 1 the one before. An operation on an input strides in
a reduction cell. The large stem is a convolution of stride 2 and two reduction cells of a quarter and half the filters.
"""

from functools import lru_cache

from nas.networks import layers
from nas.networks.cells import Cell, CellArchitecture, Operation
from nas.networks.cells._stack import Stack
from nas.networks.layers import Activate, Conv, DropPath, Graph, Layer, Pool, Step
from nas.networks.network import Part
from nas.networks.shapes import Shape, after, joined
from nas.networks.units import chain, factorized_reduction, linear, separable

INPUTS = 2
REDUCES = True
LARGE_STRIDE = 32
UNCHANGED: Layer = chain()


def identity(entering: int, filters: int, stride: int) -> tuple[Layer, ...]:
    """Nothing, or a 1×1 convolution where shapes have to change."""
    return () if stride == 1 and entering == filters else (Activate(), linear(filters, stride=stride))


def _separable(kernel: int) -> Operation:
    def twice(entering: int, filters: int, stride: int) -> tuple[Layer, ...]:
        return (*separable(entering, filters, kernel, stride=stride), *separable(filters, filters, kernel))

    return twice


def _narrowed(entering: int, filters: int, narrow: int, *convolutions: Conv) -> tuple[Layer, ...]:
    """The space's dense convolutions work on `narrow` channels between two 1×1 convolutions, if that is any."""
    body = [layer for convolution in convolutions for layer in (Activate(), convolution)]
    if not narrow:
        return tuple(body)
    return (Activate(), linear(narrow), *body, Activate(), linear(filters))


def _convolution(kernel: int, dilation: int = 1) -> Operation:
    def once(entering: int, filters: int, stride: int) -> tuple[Layer, ...]:
        narrow = filters // 4
        convolution = Conv(narrow or filters, kernel, stride=stride, dilation=dilation, activation=None)
        return _narrowed(entering, filters, narrow, convolution)

    return once


def _factorized(kernel: int, eighths: int) -> Operation:
    def wide_then_tall(entering: int, filters: int, stride: int) -> tuple[Layer, ...]:
        narrow = filters * eighths // 8
        wide = Conv(narrow or filters, (1, kernel), stride=(1, stride), activation=None)
        tall = Conv(narrow or filters, (kernel, 1), stride=(stride, 1), activation=None)
        return _narrowed(entering, filters, narrow, wide, tall)

    return wide_then_tall


def pointwise(entering: int, filters: int, stride: int) -> tuple[Layer, ...]:
    return (Activate(), linear(filters, stride=stride))


def _pool(kind: str, kernel: int) -> Operation:
    def pooled(entering: int, filters: int, stride: int) -> tuple[Layer, ...]:
        pool = Pool("max" if kind == "max" else "average", kernel, stride=stride)
        return (pool,) if entering == filters else (pool, linear(filters))

    return pooled


OPERATIONS = {
    "identity": identity,
    "1x3-3x1": _factorized(3, 3),
    "1x7-7x1": _factorized(7, 2),
    "dilated3": _convolution(3, 2),
    "average3": _pool("average", 3),
    "max3": _pool("max", 3),
    "max5": _pool("max", 5),
    "max7": _pool("max", 7),
    "conv1": pointwise,
    "conv3": _convolution(3),
    "separable3": _separable(3),
    "separable5": _separable(5),
    "separable7": _separable(7),
}


def parts(architecture: CellArchitecture) -> tuple[Part, ...]:
    stack = Stack(architecture, cell_graph)
    reduction, filters = architecture.reduction, architecture.filters
    assert reduction is not None
    if architecture.stem == "large":
        stack.stem(Conv(architecture.stem_filters, 3, stride=2, padding="valid", activation=None))
        for divisor in (4, 2):
            stack.cell("stem cell", reduction, max(1, filters // divisor), 2)
    else:
        stack.stem(Conv(architecture.stem_filters, 3, activation=None))
    for group in range(3):
        before = stack.before
        if group:
            if group == 2 and architecture.auxiliary:
                stack.auxiliary()
            stack.cell("reduction cell", reduction, filters << group, 2)
        for number in range(architecture.cells):
            skips = number == 0 and group > 0 and architecture.past_reduction
            stack.cell("normal cell", architecture.normal, filters << group, 1, before if skips else None)
    return stack.finished(Activate())


@lru_cache(maxsize=4096)
def cell_graph(
    cell: Cell, last: Shape, before: Shape | None, filters: int, stride: int, drop: float
) -> tuple[Graph, Shape]:
    """`cell` on states of such shapes; the first cell has no state `before` and reads the last one twice."""
    adapters, entering = _adapters(last, before, filters)
    states, nodes = list(entering), []
    for node in cell.nodes:
        steps = tuple(
            Step(_applied(operation, states[state], filters, stride if state < INPUTS else 1, drop), state)
            for operation, state in node.inputs
        )
        nodes.append(layers.Node(steps, node.join))
        states.append(joined([after(step.applied, states[step.state]) for step in steps], node.join))
    smallest = states[-1]
    outputs = tuple(
        Step(_resized(states[state], smallest, filters) if state < INPUTS else UNCHANGED, state)
        for state in cell.outputs
    )
    leaving = [after(step.applied, states[step.state]) for step in outputs]
    return Graph(adapters, tuple(nodes), layers.Node(outputs, "concat")), joined(leaving, "concat")


@lru_cache(maxsize=4096)
def _applied(name: str, entering: Shape, filters: int, stride: int, drop: float) -> Layer:
    operation = OPERATIONS[name](entering.channels, filters, stride)
    dropping = (DropPath(drop, scheduled=True),) if drop and name != "identity" else ()
    return chain(*operation, *dropping)


@lru_cache(maxsize=4096)
def _adapters(last: Shape, before: Shape | None, filters: int) -> tuple[tuple[Layer, Layer], tuple[Shape, Shape]]:
    """What makes both input states as small and as wide as the cell, and the shapes that they have then."""
    narrowed = chain(Activate(), linear(filters))
    if before is None:
        return (narrowed, UNCHANGED), (after(narrowed, last), last)
    fitted = UNCHANGED
    if before.height != last.height:
        fitted = chain(Activate(), *factorized_reduction(filters))
    elif before.channels != filters:
        fitted = chain(Activate(), linear(filters))
    return (narrowed, fitted), (after(narrowed, last), after(fitted, before))


@lru_cache(maxsize=4096)
def _resized(state: Shape, wanted: Shape, filters: int) -> Layer:
    """What makes an input fit beside the nodes that it is concatenated with."""
    if state.height != wanted.height:
        return chain(*factorized_reduction(filters))
    return UNCHANGED if state.channels == filters else chain(linear(filters))
