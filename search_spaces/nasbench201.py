"""NAS-Bench-201's cell (Dong & Yang 2020): four nodes, one of five operations on each of the six edges, 15,625 choices.

The benchmark stacks three times five cells behind a stem of 16 filters, with residual blocks between. So do images of
128 pixels and more here, behind a stem that strides; others get three times one cell.
"""

import functools
import itertools
from typing import TYPE_CHECKING, TypeAlias

from nas.networks.architecture import TORCH_EPSILON, Choices, Images, Knobs
from nas.networks.cells import Cell, CellArchitecture, Node
from nas.networks.cells.nasbench201 import OPERATIONS
from nas.wiring import Wire, Wiring

if TYPE_CHECKING:
    from torch import nn

    import search_spaces.nasbench201
    from nas.networks.lowering import AnyArchitecture
    from nas.spaces import SearchSpace

    _satisfied: SearchSpace = search_spaces.nasbench201

Edge: TypeAlias = tuple[int, int]

NODES = 4
EDGES: tuple[Edge, ...] = tuple((source, node) for node in range(NODES) for source in range(node))
CHOICES = ("none", *OPERATIONS)
SMALL_BELOW = 128  # pixels


def knobs(images: Images) -> Knobs:
    """One knob an edge, named "node1.from0" and so on."""
    return {_knob(edge): CHOICES for edge in EDGES}


def architecture(choices: Choices, images: Images) -> CellArchitecture:
    """Edges that come from nothing or lead nowhere are left out."""
    live = _alive(_edges(choices))
    states, nodes = {0: 0}, []
    for node in range(1, NODES):
        inputs = tuple((live[edge], states[edge[0]]) for edge in EDGES if edge[1] == node and live[edge] != "none")
        if inputs or node == NODES - 1:
            states[node] = len(states)
            nodes.append(Node(inputs=inputs))
    large = images.resolution >= SMALL_BELOW
    return CellArchitecture(
        images=images,
        family="nasbench201",
        normal=Cell(nodes=tuple(nodes), outputs=(len(nodes),)),
        cells=5 if large else 1,
        filters=16,
        stem="large" if large else "small",
        stem_filters=16,
        norm_epsilon=TORCH_EPSILON,
    )


def canonical(choices: Choices, images: Images) -> Choices:
    """The first of all cells that compute the same function of their weights."""
    return {_knob(edge): op for edge, op in zip(EDGES, _first()[_function(_alive(_edges(choices)))])}


def wirings(images: Images) -> tuple[Wiring, ...]:
    """The cell, whose knobs are its operations."""
    wires = tuple(Wire(source=edge[0], node=edge[1], operation=_knob(edge)) for edge in EDGES)
    return (Wiring(inputs=1, wires=wires, outputs=(NODES - 1,), identity="skip_connect", none="none"),)


def build(architecture: "AnyArchitecture") -> "nn.Module":
    from nas.networks.blocks import network

    return network(architecture)


def _knob(edge: Edge) -> str:
    return f"node{edge[1]}.from{edge[0]}"


def _edges(choices: Choices) -> dict[Edge, str]:
    return {edge: str(choices[_knob(edge)]) for edge in EDGES}


def _alive(edges: dict[Edge, str]) -> dict[Edge, str]:
    """The cell without edges that come from nothing or lead nowhere."""
    fed, read = {0}, {NODES - 1}
    for source, node in EDGES:
        if source in fed and edges[source, node] != "none":
            fed.add(node)
    for source, node in reversed(EDGES):
        if node in read and edges[source, node] != "none":
            read.add(source)
    return {(a, b): op if a in fed and b in read else "none" for (a, b), op in edges.items()}


@functools.cache
def _first() -> dict[str, tuple[str, ...]]:
    """Every function that a cell can be, with the first cell that is it; takes a second."""
    table: dict[str, tuple[str, ...]] = {}
    for operations in itertools.product(CHOICES, repeat=len(EDGES)):
        table.setdefault(_function(_alive(dict(zip(EDGES, operations)))), operations)
    return table


def _function(edges: dict[Edge, str]) -> str:
    """What a live cell computes: sums of the input, of poolings, which are linear, and of convolutions, each of which
    is a number of its own. Of all ways to number convolutions of equal kind and input it is the first in the
    alphabet."""
    trees = {edge: _sums(edges, None)[edge] for edge in EDGES if edges[edge].startswith("nor_conv")}
    alike = [list(group) for _, group in itertools.groupby(sorted(trees, key=trees.__getitem__), trees.__getitem__)]
    functions = []
    for orders in itertools.product(*map(itertools.permutations, alike)):
        numbers = {edge: str(number) for number, edge in enumerate(itertools.chain(*orders))}
        sums = _sums(edges, numbers)
        functions.append(" ".join([*(sums[edge] for edge in numbers), sums[NODES - 1, NODES]]))
    return min(functions)


def _sums(edges: dict[Edge, str], numbers: dict[Edge, str] | None) -> dict[Edge, str]:
    """What each convolution does to what, and behind the last node the output; convolutions are written by their
    `numbers`, or in full."""
    terms: dict[int, list[str]] = {0: ["x"]}
    sums = {}
    for node in range(1, NODES):
        terms[node] = []
        for source in range(node):
            operation = edges[source, node]
            if operation.startswith("nor_conv"):
                sums[source, node] = f"{operation}({'+'.join(terms[source])})"
                terms[node].append(numbers[source, node] if numbers else sums[source, node])
            elif operation == "avg_pool_3x3":
                terms[node] += [f"pool({term})" for term in terms[source]]
            elif operation == "skip_connect":
                terms[node] += terms[source]
        terms[node].sort()
    return sums | {(NODES - 1, NODES): "+".join(terms[NODES - 1])}
