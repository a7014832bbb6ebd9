"""What a searcher is told of cells beside their knobs, against every path of them written out."""

import random
from collections import Counter
from typing import Any

import numpy as np
import pytest

from nas import plugins, spaces
from nas.networks.architecture import Choices, Images, Knobs, random_choices
from nas.networks.cells import Cell
from nas.networks.lowering import AnyArchitecture
from nas.objective import Objective
from nas.searchers import Outcome, Problem
from nas.searchers._features import Features, _Cell
from nas.wiring import Chosen, Wire, Wiring

IMAGES = Images(resolution=32, channels=3, classes=10)
WIRED = [name for name in plugins.names("search_spaces") if spaces.wirings(spaces.load(name), IMAGES)]


def codes(knobs: Knobs, many: list[Choices]) -> Any:
    return np.array([[options.index(choices[knob]) for knob, options in knobs.items()] for choices in many])


def cell_of(network: AnyArchitecture, which: str = "normal") -> Cell:
    cell: Cell = getattr(network, which)
    return cell


def paths(cell: Cell, inputs: int) -> list[tuple[str, ...]]:
    """The operations on each path from an input to an output."""
    reached: list[list[tuple[str, ...]]] = [[()] for _ in range(inputs)]
    for node in cell.nodes:
        reached.append([(*path, operation) for operation, state in node.inputs for path in reached[state]])
    return [path for state in cell.outputs for path in reached[state]]


def described(cell: Cell, inputs: int, identity: str, operations: list[str]) -> list[int]:
    every = paths(cell, inputs)
    lengths = [sum(operation != identity for operation in path) for path in every]
    fed = set(range(inputs)) | {
        inputs + number
        for number in range(len(cell.nodes))
        if paths(Cell(nodes=cell.nodes, outputs=(inputs + number,)), inputs)
    }
    read = set(cell.outputs)
    for number in reversed(range(len(cell.nodes))):
        if inputs + number in read:
            read |= {state for _, state in cell.nodes[number].inputs}
    living = Counter(
        operation
        for number, node in enumerate(cell.nodes)
        for operation, state in node.inputs
        if inputs + number in read and state in fed
    )
    numbers = [len(every), max(lengths, default=-1000), -min(lengths, default=1000)]
    numbers += [living[operation] for operation in (identity, *operations)]
    for own in operations:
        numbers.append(sum(set(path) <= {own, identity} for path in every))
        numbers.append(max((path.count(own) for path in every), default=-1000))
    return numbers


@pytest.mark.parametrize("name", WIRED)
def test_cells_are_described_by_their_paths(name: str) -> None:
    space = spaces.load(name)
    knobs, wirings = space.knobs(IMAGES), spaces.wirings(space, IMAGES)
    many = [random_choices(knobs, random.Random(seed)) for seed in range(40)]
    for wiring, which in zip(wirings, ("normal", "reduction")):
        found = _Cell(knobs, wiring).numbers(codes(knobs, many))
        every = dict.fromkeys(str(choice) for wire in wiring.wires for choice in knobs[wire.operation])
        operations = [one for one in every if one not in (wiring.identity, wiring.none)]
        for choices, row in zip(many, found.tolist()):
            cell = cell_of(space.architecture(choices, IMAGES), which)
            assert row == described(cell, wiring.inputs, wiring.identity, operations), choices


def test_the_spaces_of_cells_say_how_they_are_wired() -> None:
    assert WIRED == ["darts", "nasbench201", "nasnet"]


def test_a_cell_that_leads_nowhere_has_no_path() -> None:
    space = spaces.load("nasbench201")
    knobs = space.knobs(IMAGES)
    nothing: Choices = dict.fromkeys(knobs, "none")
    nothing |= {"node1.from0": "nor_conv_3x3", "node3.from2": "nor_conv_3x3"}
    row = _Cell(knobs, spaces.wirings(space, IMAGES)[0]).numbers(codes(knobs, [nothing]))[0].tolist()
    assert row == [0, -1000, -1000, 0, 0, 0, 0, 0, -1000, 0, -1000, 0, -1000]


def test_numbers_that_are_not_in_the_sample_take_the_nearest_place() -> None:
    knobs: Knobs = {f"op{number}": ("skip", "conv") for number in range(1, 40)}
    wires = tuple(Wire(source=number - 1, node=number, operation=f"op{number}") for number in range(1, 40))
    wiring = Wiring(inputs=1, wires=wires, outputs=None, identity="skip")
    sample = np.array([[1] * number + [0] * (39 - number) for number in range(0, 40, 2)])
    features = Features(knobs, [wiring], sample)
    assert {len(table) for table in features.tables} <= {2, 16}  # whether there is a path of it alone; the others
    places = features.beside(np.array([[1] * number + [0] * (39 - number) for number in range(40)]))[:, 39:]
    assert all(np.all(np.diff(column) >= 0) or np.all(np.diff(column) <= 0) for column in places.T)
    assert (places.min(), places.max()) == (0, 15)


def test_a_search_learns_from_paths_what_knobs_hardly_say() -> None:
    space = spaces.load("nasbench201")
    knobs, wirings = space.knobs(IMAGES), spaces.wirings(space, IMAGES)

    def accuracy(choices: Choices) -> float:
        every = paths(cell_of(space.architecture(choices, IMAGES)), 1)
        deepest = max((path.count("nor_conv_3x3") for path in every), default=0)
        return 0.6 + 0.05 * deepest + 0.1 * any(set(path) <= {"skip_connect"} for path in every)

    def missed(seed: int, **facts: Any) -> float:
        """How far its model is off, on the mean over networks that it was not told of."""
        draw = random.Random(seed)
        networks = [random_choices(knobs, draw) for _ in range(160)]
        problem = Problem(knobs=knobs, objective=Objective(target=1.0), cost=lambda _: 1.0, trials=60, **facts)
        searcher = plugins.load("nas.searchers", "surrogate").Searcher(problem, seed=seed)
        for choices in networks[:60]:
            searcher.tell(choices, Outcome(accuracy=accuracy(choices), cost=1.0))
        believed = searcher.believed(networks[60:])
        return float(np.mean([abs(one - accuracy(choices)) for one, choices in zip(believed, networks[60:])]))

    assert sum(missed(seed, wirings=wirings) for seed in range(3)) < 0.6 * sum(missed(seed) for seed in range(3))


def test_a_source_that_a_knob_chooses_is_where_a_wire_begins() -> None:
    knobs: Knobs = {"from": ("input", "first"), "one": ("conv", "skip"), "other": ("conv", "skip")}
    wires = (
        Wire(source=0, node=1, operation="one"),
        Wire(source=Chosen(knob="from", states={"input": 0, "first": 1}), node=2, operation="other"),
    )
    cell = _Cell(knobs, Wiring(inputs=1, wires=wires, outputs=None, identity="skip"))
    found = cell.numbers(np.array([[0, 0, 0], [1, 0, 0], [1, 1, 0]]))
    # Paths, the longest and the shortest; skips and convolutions; paths of convolutions alone, most on one path.
    assert found.tolist() == [[2, 1, -1, 0, 2, 2, 1], [1, 2, -2, 0, 2, 1, 2], [1, 1, -1, 1, 1, 1, 1]]
    turned = _Cell(knobs, Wiring(inputs=1, wires=wires[::-1], outputs=None, identity="skip"))
    assert turned.numbers(np.array([[1, 0, 0]])).tolist() == found[1:2].tolist(), "in whatever order they are said"
