"""NAS-Bench-201's cell (Dong & Yang 2020): four nodes, one of five operations on each of the six edges, 15,625 choices.

The benchmark stacks three times five cells behind a stem of 16 filters, with residual blocks between. So do images of
128 pixels and more here, behind a stem that strides; others get three times one cell.
"""

import itertools
from typing import TYPE_CHECKING, TypeAlias

from nas.architecture import Choices, Images, Knobs
from nas.cells import Cell, CellArchitecture, Node
from nas.cells.nasbench201 import OPERATIONS

if TYPE_CHECKING:
    from torch import nn

    import search_spaces.nasbench201
    from nas.architecture import SearchSpace
    from nas.lowering import AnyArchitecture

    _satisfied: SearchSpace = search_spaces.nasbench201

Edge: TypeAlias = tuple[int, int]
Cells: TypeAlias = tuple[str, ...]  # the operation of each edge

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
    )


def canonical(choices: Choices, images: Images) -> Choices:
    """The first of all cells that compute the same: dead edges are "none", the middle nodes may change places, and a
    node that only skips another may stand in for it."""
    start = _key(_alive(_edges(choices)))
    known, found = {start}, [start]
    for cell in found:
        for other in _neighbours(cell):
            if other not in known:
                known.add(other)
                found.append(other)
    return {_knob(edge): CHOICES[index] for edge, index in zip(EDGES, min(known))}


def build(architecture: "AnyArchitecture") -> "nn.Module":
    from nas.blocks import network

    return network(architecture)


def _knob(edge: Edge) -> str:
    return f"node{edge[1]}.from{edge[0]}"


def _edges(choices: Choices) -> dict[Edge, str]:
    return {edge: str(choices[_knob(edge)]) for edge in EDGES}


def _key(edges: dict[Edge, str]) -> tuple[int, ...]:
    return tuple(CHOICES.index(edges[edge]) for edge in EDGES)


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


def _neighbours(cell: tuple[int, ...]) -> list[tuple[int, ...]]:
    """Cells that compute the same by one change of place."""
    edges = {edge: CHOICES[index] for edge, index in zip(EDGES, cell)}
    found = []
    if edges[1, 2] == "none":
        places = {(0, 1): (0, 2), (0, 2): (0, 1), (1, 3): (2, 3), (2, 3): (1, 3)}
        found.append({edge: edges[places.get(edge, edge)] for edge in EDGES})
    for source, stand_in in itertools.combinations(range(NODES - 1), 2):
        inputs = [edge for edge in EDGES if edge[1] == stand_in and edges[edge] != "none"]
        outputs = [edge for edge in EDGES if edge[0] == stand_in and edges[edge] != "none"]
        for node in range(stand_in + 1, NODES):
            here, there = (source, node), (stand_in, node)
            if inputs == [(source, stand_in)] and edges[inputs[0]] == "skip_connect" and edges[here] == "none":
                found.append(edges | {here: edges[there], there: "none"})
            if not inputs and not outputs and edges[here] != "none":
                found.append(edges | {(source, stand_in): "skip_connect", there: edges[here], here: "none"})
    return [_key(_alive(each)) for each in found]
