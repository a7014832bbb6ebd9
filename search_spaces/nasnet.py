"""NASNet's cells (Zoph et al. 2018): a normal and a reduction cell of five blocks, each of two hidden states, two of
thirteen operations and a join; states that no block uses are concatenated.

Hidden state 0 is the last cell's output, 1 the one before, 2 the first block's. Images of 128 pixels and more get the
paper's mobile stacking, 4 @ 1056; others three cells and two reductions of few filters.
"""

import dataclasses
import functools
import itertools
from typing import TYPE_CHECKING, Any

from nas.networks.architecture import Choices, Images, Knobs
from nas.networks.cells import Cell, CellArchitecture, Node, unused
from nas.networks.cells.nasnet import OPERATIONS
from nas.wiring import Chosen, Wire, Wiring

if TYPE_CHECKING:
    from torch import nn

    import search_spaces.nasnet
    from nas.networks.lowering import AnyArchitecture
    from nas.spaces import SearchSpace

    _satisfied: SearchSpace = search_spaces.nasnet

BLOCKS = 5
CELLS = ("normal", "reduction")
JOINS = ("add", "concat")
SMALL_BELOW = 128  # pixels


def knobs(images: Images) -> Knobs:
    """Five knobs a block, named "normal.block1.state1" and so on."""
    table: dict[str, tuple[str | int | float | bool, ...]] = {}
    for cell, block in itertools.product(CELLS, range(BLOCKS)):
        name = f"{cell}.block{block + 1}"
        for side in (1, 2):
            table[f"{name}.state{side}"] = tuple(range(block + 2))
            table[f"{name}.op{side}"] = tuple(OPERATIONS)
        table[f"{name}.join"] = JOINS
    return table


def architecture(choices: Choices, images: Images) -> CellArchitecture:
    normal, reduction = (
        Cell(nodes=nodes, outputs=unused(nodes, 2)) for nodes in (_nodes(choices, cell) for cell in CELLS)
    )
    small = images.resolution < SMALL_BELOW
    filters = 8 if small else 44
    return CellArchitecture(
        images=images,
        family="nasnet",
        normal=normal,
        reduction=reduction,
        cells=1 if small else 4,
        filters=filters,
        stem="small" if small else "large",
        stem_filters=3 * filters if small else 32,
        dropout=0.0 if small else 0.5,
    )


def canonical(choices: Choices, images: Images) -> Choices:
    """The two halves of a block are in order, and of all orders of blocks it is the first: networks that differ in
    these alone differ in the order of channels."""
    table: Choices = {}
    for cell in CELLS:
        table |= choices_of(_ordered(_plain(_nodes(choices, cell), cell)), cell)
    return {knob: table[knob] for knob in choices}


def wirings(images: Images) -> tuple[Wiring, ...]:
    """Both cells."""
    return tuple(_wiring(cell) for cell in CELLS)


def build(architecture: "AnyArchitecture") -> "nn.Module":
    from nas.networks.blocks import network

    return network(architecture)


def choices_of(nodes: tuple[Node, ...], cell: str) -> Choices:
    """The knobs of `cell` that make `nodes`; a genotype becomes a point of the space by it."""
    table: Choices = {}
    for block, node in enumerate(nodes, 1):
        for side, (operation, state) in enumerate(node.inputs, 1):
            table |= {f"{cell}.block{block}.state{side}": state, f"{cell}.block{block}.op{side}": operation}
        table[f"{cell}.block{block}.join"] = node.join
    return table


def _nodes(choices: Choices, cell: str) -> tuple[Node, ...]:
    nodes = []
    for block in range(1, BLOCKS + 1):
        values: dict[str, Any] = {
            name: choices[f"{cell}.block{block}.{name}"] for name in ("state1", "op1", "state2", "op2", "join")
        }
        pairs = ((values["op1"], values["state1"]), (values["op2"], values["state2"]))
        nodes.append(Node(inputs=pairs, join=values["join"]))
    return tuple(nodes)


def _plain(nodes: tuple[Node, ...], cell: str) -> tuple[Node, ...]:
    """Where the identity has to stride or to bring concatenated channels together, it is the 1×1 convolution."""
    wide = {block + 2 for block, node in enumerate(nodes) if node.join == "concat"}
    same = wide | ({0, 1} if cell == "reduction" else set())
    return tuple(
        dataclasses.replace(
            node, inputs=tuple(("identity" if (op == "conv1" and at in same) else op, at) for op, at in node.inputs)
        )
        for node in nodes
    )


def _wiring(cell: str) -> Wiring:
    wires = tuple(
        Wire(
            source=Chosen(knob=f"{cell}.block{block}.state{side}", states={state: state for state in range(block + 1)}),
            node=block + 1,
            operation=f"{cell}.block{block}.op{side}",
        )
        for block in range(1, BLOCKS + 1)
        for side in (1, 2)
    )
    return Wiring(inputs=2, wires=wires, outputs=None, identity="identity")


@functools.lru_cache(maxsize=65_536)
def _ordered(nodes: tuple[Node, ...]) -> tuple[Node, ...]:
    orders = (_reordered(nodes, order) for order in itertools.permutations(range(len(nodes))))
    return min((order for order in orders if order), key=lambda order: [(node.inputs, node.join) for node in order])


def _reordered(nodes: tuple[Node, ...], order: tuple[int, ...]) -> tuple[Node, ...] | None:
    """The same cell with its blocks in `order`, halves sorted; None where a block would come before one it reads."""
    number = {0: 0, 1: 1}
    cell = []
    for place, block in enumerate(order):
        if any(state not in number for _, state in nodes[block].inputs):
            return None
        inputs = sorted((operation, number[state]) for operation, state in nodes[block].inputs)
        cell.append(Node(inputs=tuple(inputs), join=nodes[block].join))
        number[block + 2] = place + 2
    return tuple(cell)
