"""DARTS' cells (Liu et al. 2019): a normal and a reduction cell of four nodes, each with two different earlier states
and one of seven operations on either; all nodes are concatenated. About 10^18 pairs of cells.

State 0 is the output of the cell before the last, 1 the last one's, 2 the first node's. Images of 128 pixels and more
get the paper's ImageNet stacking of 14 cells; others three cells and two reductions of few filters.
"""

import itertools
from typing import TYPE_CHECKING

from nas.networks.architecture import TORCH_EPSILON, Choice, Choices, Images, Knobs
from nas.networks.cells import Cell, CellArchitecture, Node
from nas.networks.cells.darts import OPERATIONS
from nas.wiring import Chosen, Wire, Wiring

if TYPE_CHECKING:
    from torch import nn

    import search_spaces.darts
    from nas.networks.lowering import AnyArchitecture
    from nas.spaces import SearchSpace

    _satisfied: SearchSpace = search_spaces.darts

NODES = 4
CELLS = ("normal", "reduction")
SMALL_BELOW = 128  # pixels


def knobs(images: Images) -> Knobs:
    """Three knobs a node, named "normal.node2.states" and so on; the first node has no choice of states."""
    table: dict[str, tuple[str | int | float | bool, ...]] = {}
    for cell, node in itertools.product(CELLS, range(NODES)):
        name = f"{cell}.node{node + 1}"
        if node:
            table[f"{name}.states"] = tuple(f"{a} {b}" for a, b in itertools.combinations(range(node + 2), 2))
        table |= {f"{name}.op1": tuple(OPERATIONS), f"{name}.op2": tuple(OPERATIONS)}
    return table


def architecture(choices: Choices, images: Images) -> CellArchitecture:
    outputs = tuple(range(2, 2 + NODES))
    normal, reduction = (Cell(nodes=_nodes(choices, cell), outputs=outputs) for cell in CELLS)
    small = images.resolution < SMALL_BELOW
    filters = 8 if small else 48
    return CellArchitecture(
        images=images,
        family="darts",
        normal=normal,
        reduction=reduction,
        cells=1 if small else 4,
        filters=filters,
        stem="small" if small else "large",
        stem_filters=3 * filters if small else filters,
        norm_epsilon=TORCH_EPSILON,
    )


def canonical(choices: Choices, images: Images) -> Choices:
    """Of all orders of nodes it is the first: networks that differ in it alone differ in the order of channels."""
    table: Choices = {}
    for cell in CELLS:
        table |= choices_of(_ordered(_nodes(choices, cell)), cell)
    return {knob: table[knob] for knob in choices}


def wirings(images: Images) -> tuple[Wiring, ...]:
    """Both cells."""
    return tuple(_wiring(cell) for cell in CELLS)


def build(architecture: "AnyArchitecture") -> "nn.Module":
    from nas.networks.blocks import network

    return network(architecture)


def choices_of(nodes: tuple[Node, ...], cell: str) -> Choices:
    """The knobs of `cell` that make `nodes`."""
    table: Choices = {}
    for number, node in enumerate(nodes, 1):
        (first, one), (second, other) = node.inputs
        if number > 1:
            table[f"{cell}.node{number}.states"] = f"{one} {other}"
        table |= {f"{cell}.node{number}.op1": first, f"{cell}.node{number}.op2": second}
    return table


def _nodes(choices: Choices, cell: str) -> tuple[Node, ...]:
    nodes = []
    for number in range(1, NODES + 1):
        states = str(choices.get(f"{cell}.node{number}.states", "0 1")).split()
        operations = (str(choices[f"{cell}.node{number}.op{side}"]) for side in (1, 2))
        nodes.append(Node(inputs=tuple(zip(operations, map(int, states)))))
    return tuple(nodes)


def _wiring(cell: str) -> Wiring:
    wires = []
    for number, side in itertools.product(range(1, NODES + 1), (0, 1)):
        pairs = itertools.combinations(range(number + 1), 2)
        states: dict[Choice, int] = {f"{pair[0]} {pair[1]}": pair[side] for pair in pairs}
        source = Chosen(knob=f"{cell}.node{number}.states", states=states) if number > 1 else side
        wires.append(Wire(source=source, node=number + 1, operation=f"{cell}.node{number}.op{side + 1}"))
    return Wiring(inputs=2, wires=tuple(wires), outputs=tuple(range(2, 2 + NODES)), identity="skip_connect")


def _ordered(nodes: tuple[Node, ...]) -> tuple[Node, ...]:
    orders = (_reordered(nodes, order) for order in itertools.permutations(range(len(nodes))))
    return min((order for order in orders if order), key=lambda order: [node.inputs for node in order])


def _reordered(nodes: tuple[Node, ...], order: tuple[int, ...]) -> tuple[Node, ...] | None:
    """The same cell with its nodes in `order`; None where a node would come before one it reads, or where the first one
    reads another state than 0 and 1."""
    number = {0: 0, 1: 1}
    cell = []
    for place, node in enumerate(order):
        if any(state not in number for _, state in nodes[node].inputs):
            return None
        inputs = sorted(((number[state], operation) for operation, state in nodes[node].inputs))
        cell.append(Node(inputs=tuple((operation, state) for state, operation in inputs)))
        number[node + 2] = place + 2
    return tuple(cell)
