"""NAS-Bench-201's cells (Dong & Yang 2020), stacked as in their official code.

One state enters, a cell gives its last node, and residual blocks of stride 2 stand where other families reduce. What
reaches no output, or comes from nothing, is left out, where the benchmark builds it idle. The large stem strides by 4.
"""

from functools import lru_cache

from nas.networks import layers
from nas.networks.cells import Cell, CellArchitecture
from nas.networks.layers import IDENTITY, Activate, Conv, Graph, Layer, Norm, Pool, Scale, Step
from nas.networks.network import Part
from nas.networks.units import chain, classifier, linear, residual

INPUTS = 1
REDUCES = False
LARGE_STRIDE = 16


def skip(entering: int, filters: int, stride: int) -> tuple[Layer, ...]:
    return ()


def convolution1(entering: int, filters: int, stride: int) -> tuple[Layer, ...]:
    return (Activate(), linear(filters, stride=stride))


def convolution3(entering: int, filters: int, stride: int) -> tuple[Layer, ...]:
    return (Activate(), linear(filters, 3, stride=stride))


def average_pool(entering: int, filters: int, stride: int) -> tuple[Layer, ...]:
    return (Pool("average", 3, stride=stride),)


OPERATIONS = {
    "skip_connect": skip,
    "nor_conv_1x1": convolution1,
    "nor_conv_3x3": convolution3,
    "avg_pool_3x3": average_pool,
}


def parts(architecture: CellArchitecture) -> tuple[Part, ...]:
    filters = architecture.filters
    stem: tuple[Layer, ...] = (linear(architecture.stem_filters, 3),)
    if architecture.stem == "large":
        stem = (Conv(architecture.stem_filters, 3, stride=2), linear(architecture.stem_filters, 3, stride=2))
    sections, channels = [Part(name="stem", blocks=stem)], architecture.stem_filters
    for group in range(3):
        if group:
            sections.append(Part(name="residual block", blocks=(_halving(filters << group),)))
        elif channels != filters:
            sections.append(Part(name="widening", blocks=(Activate(), linear(filters))))
        cells = (cell_graph(architecture.normal, filters << group),) * architecture.cells
        sections.append(Part(name="cell", blocks=cells))
    answer = (Norm(), Activate(), *classifier(architecture.images.classes, architecture.dropout))
    return (*sections, Part(name="classifier", blocks=(chain(*answer),)))


@lru_cache(maxsize=4096)
def cell_graph(cell: Cell, filters: int) -> Graph:
    nodes = tuple(
        layers.Node(
            tuple(Step(chain(*OPERATIONS[operation](filters, filters, 1)), state) for operation, state in node.inputs)
            or (Step(Scale(0.0), 0),)
        )
        for node in cell.nodes
    )
    return Graph((IDENTITY,), nodes, layers.Node(tuple(Step(IDENTITY, state) for state in cell.outputs)))


def _halving(out: int) -> Layer:
    body = (Activate(), linear(out, 3, stride=2), Activate(), linear(out, 3))
    pool = Pool("average", 2, stride=2, padding="valid", ceil=True)
    return residual(*body, shortcut=chain(pool, linear(out, norm=False)))
