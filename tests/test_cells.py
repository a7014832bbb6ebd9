"""Cells against the papers, and the spaces of cells."""

import copy
import dataclasses
import math
from collections.abc import Callable, Iterator
from itertools import product

import pytest
import torch

from nas import zoo
from nas.networks.architecture import Choices, Images, Scale
from nas.networks.blocks import DropPath, Wired, auxiliary_logits, network, schedule
from nas.networks.cells import Cell, CellArchitecture, Node, family, unused
from nas.networks.counts import counts
from nas.networks.lowering import lowered
from nas.recipes import Recipe
from nas.training.data import Batches, Normalisation, View, everything
from nas.training.device import alone
from nas.training.train import Epoch, train
from nas.zoo.cells import AMOEBANET_A, AMOEBANET_C, NASNET_A
from search_spaces import darts, nasbench201, nasnet
from tests.pictures import pictures

CPU = torch.device("cpu")
CIFAR = Images(resolution=32, classes=10)
SMALL = Images(resolution=28, channels=1, classes=10)
LARGE = Images(resolution=224)
CELLS = ("normal", "reduction")


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Threads that wait for each other on a busy machine take twenty times as long."""
    with alone(CPU):
        yield


def nasnet_a(**changes: object) -> CellArchitecture:
    choices = point(NASNET_A)
    return dataclasses.replace(nasnet.architecture(choices, SMALL), **changes)  # type: ignore[arg-type]


def point(genotype: tuple[Cell, Cell]) -> Choices:
    choices: Choices = {}
    for name, cell in zip(CELLS, genotype):
        choices |= nasnet.choices_of(cell.nodes, name)
    return choices


def size(knobs: object) -> int:
    assert isinstance(knobs, dict)
    return math.prod(len(options) for options in knobs.values())


def test_nasnets_space_has_fifty_decisions_and_the_size_of_the_paper() -> None:
    knobs = nasnet.knobs(LARGE)
    assert len(knobs) == 50
    assert size(knobs) == (math.factorial(6) ** 2 * 338**5) ** 2
    assert size(knobs) == pytest.approx(5.2e36, rel=0.01)
    assert len(family("nasnet").OPERATIONS) == 13


@pytest.mark.parametrize(
    "genotype", [NASNET_A, AMOEBANET_A, AMOEBANET_C], ids=["NASNet-A", "AmoebaNet-A", "AmoebaNet-C"]
)
def test_a_published_genotype_is_a_point_of_the_space(genotype: tuple[Cell, Cell]) -> None:
    choices = point(genotype)
    knobs = nasnet.knobs(LARGE)
    assert choices.keys() == knobs.keys()
    assert all(choices[knob] in knobs[knob] for knob in knobs)
    made = nasnet.architecture(choices, LARGE)
    assert (made.normal.nodes, made.reduction.nodes if made.reduction else ()) == (genotype[0].nodes, genotype[1].nodes)
    # The released cells concatenate every unused state, and some that are used.
    assert set(unused(genotype[0].nodes, 2)) <= set(genotype[0].outputs)
    assert set(unused(genotype[1].nodes, 2)) <= set(genotype[1].outputs)


def test_the_point_is_nasnet_a_mobile_but_for_the_released_concatenation() -> None:
    made = nasnet.architecture(point(NASNET_A), LARGE)
    released = dataclasses.replace(made, normal=NASNET_A[0], reduction=NASNET_A[1])
    assert released == zoo.architecture("NASNet-A (4 @ 1056) mobile")
    assert (counts(released).params, counts(released).mult_adds) == (5_289_978, 563_638_816)
    penultimate = counts(released).rows[-2]
    assert penultimate.channels == 24 * 44 == 1056


def test_cells_that_differ_in_order_alone_are_one_point() -> None:
    choices = point(NASNET_A)
    swapped = dict(choices)
    for name in ("state", "op"):
        for one, other in ((1, 2), (2, 1)):
            swapped[f"normal.block1.{name}{one}"] = choices[f"normal.block1.{name}{other}"]
    # Blocks 1 and 2 of the normal cell read its inputs alone and nobody reads them: they may change places.
    for name in ("state1", "op1", "state2", "op2", "join"):
        swapped[f"normal.block1.{name}"], swapped[f"normal.block2.{name}"] = (
            swapped[f"normal.block2.{name}"],
            swapped[f"normal.block1.{name}"],
        )
    assert swapped != choices
    assert nasnet.canonical(swapped, SMALL) == nasnet.canonical(choices, SMALL)
    changed: Choices = {**choices, "normal.block1.op1": "separable7"}
    assert nasnet.canonical(changed, SMALL) != nasnet.canonical(choices, SMALL)


def test_a_pointwise_convolution_is_the_identity_where_that_has_to_stride() -> None:
    choices = point(NASNET_A) | {"reduction.block1.op1": "conv1", "normal.block1.op1": "conv1"}
    canonical = nasnet.canonical(choices, SMALL)
    operations = {
        cell: [canonical[f"{cell}.block{b}.op{s}"] for b, s in product(range(1, 6), (1, 2))] for cell in CELLS
    }
    assert "conv1" in operations["normal"]
    assert "conv1" not in operations["reduction"]
    assert counts(nasnet.architecture(canonical, SMALL)) == counts(nasnet.architecture(choices, SMALL))


def test_dartss_space_has_its_size() -> None:
    # Nodes choose two of 2, 3, 4, 5 states and an operation for either.
    assert size(darts.knobs(CIFAR)) == (1 * 3 * 6 * 10 * 7**8) ** 2
    assert size(darts.knobs(CIFAR)) == pytest.approx(1.08e18, rel=0.01)


def test_dartss_nodes_may_change_places() -> None:
    knobs = darts.knobs(CIFAR)
    choices = {knob: options[0] for knob, options in knobs.items()} | {"normal.node1.op1": "sep_conv_3x3"}
    moved = {**choices, "normal.node1.op1": choices["normal.node2.op1"], "normal.node2.op1": "sep_conv_3x3"}
    assert choices["normal.node2.states"] == "0 1"
    assert darts.canonical(moved, CIFAR) == darts.canonical(choices, CIFAR)


def test_nasbench201_has_15625_cells_of_5044_functions() -> None:
    knobs = nasbench201.knobs(CIFAR)
    assert size(knobs) == 15_625
    found: dict[tuple[object, ...], list[Choices]] = {}
    for operations in product(nasbench201.CHOICES, repeat=6):
        choices: Choices = dict(zip(knobs, operations))
        found.setdefault(tuple(nasbench201.canonical(choices, CIFAR).values()), []).append(choices)
    assert len(found) == 5_044
    for alike in list(found.values())[::50]:
        counted = (counts(nasbench201.architecture(choices, CIFAR)) for choices in alike)
        assert len({dataclasses.replace(each, peak_values=0) for each in counted}) == 1  # which depends on the order


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        # node1.from0, node2.from0, node2.from1, node3.from0, node3.from1, node3.from2
        ("3 0 0 0 1 0", "0 0 0 3 0 0", True),  # a node that is only skipped on
        ("1 0 0 0 3 0", "0 0 0 3 0 0", True),  # a node that only skips
        ("3 2 0 0 1 1", "2 3 0 0 1 1", True),  # nodes that change places
        ("4 0 0 3 0 0", "0 0 0 3 0 0", True),  # an edge that leads nowhere
        ("0 0 3 3 0 2", "0 0 0 3 0 0", True),  # an edge that comes from nothing
        ("1 4 1 0 0 4", "4 1 1 4 4 0", True),  # pooling is linear
        ("3 0 0 1 1 0", "0 0 0 3 0 0", False),
        ("3 3 0 0 1 1", "3 0 1 0 1 1", False),  # two convolutions, and one twice
        ("2 0 0 0 1 0", "0 0 0 3 0 0", False),
    ],
)
def test_cells_of_nasbench201_that_compute_the_same_are_one(one: str, other: str, same: bool) -> None:
    knobs = nasbench201.knobs(CIFAR)
    cells = [
        nasbench201.canonical(dict(zip(knobs, (nasbench201.CHOICES[int(place)] for place in cell.split()))), CIFAR)
        for cell in (one, other)
    ]
    assert (cells[0] == cells[1]) is same


def test_nasbench201s_densest_cell_has_the_published_counts() -> None:
    choices: Choices = dict.fromkeys(nasbench201.knobs(CIFAR), "nor_conv_3x3")
    counted = counts(dataclasses.replace(nasbench201.architecture(choices, CIFAR), cells=5))
    assert (counted.params, counted.mult_adds) == (1_531_546, 220_119_680)


def test_a_cell_of_nothing_still_is_a_network() -> None:
    choices: Choices = dict.fromkeys(nasbench201.knobs(CIFAR), "none")
    built = network(nasbench201.architecture(choices, CIFAR)).eval()
    one, other = built(torch.randn(1, 3, 32, 32)), built(torch.randn(1, 3, 32, 32))
    assert torch.equal(one, other)


def test_small_images_get_few_cells_of_few_filters() -> None:
    for space in (nasnet, darts, nasbench201):
        choices = {knob: options[-1] for knob, options in space.knobs(SMALL).items()}
        counted = counts(space.architecture(choices, SMALL))
        assert counted.params < 500_000
        assert counted.mult_adds < 60_000_000


def test_drop_paths_grow_with_depth_and_are_scheduled() -> None:
    built = network(nasnet_a(drop_path=0.5))
    rates = [module.rate for module in built.modules() if isinstance(module, DropPath)]
    assert rates == sorted(rates)
    assert sorted(set(rates)) == pytest.approx([0.1, 0.2, 0.3, 0.4, 0.5])  # three normal cells and two reductions
    schedule(built, 0.25)
    assert {module.progress for module in built.modules() if isinstance(module, DropPath)} == {0.25}
    assert not [module for module in network(nasnet_a()).modules() if isinstance(module, DropPath)]


def test_an_auxiliary_classifier_answers_in_training_alone() -> None:
    plain, helped = nasnet_a(), nasnet_a(auxiliary=True)
    built, images = network(helped), torch.randn(4, 1, 28, 28)
    assert isinstance(built, Wired)
    built.eval()(images)
    assert auxiliary_logits(built) is None
    logits = built.train()(images)
    others = auxiliary_logits(built)
    assert others is not None
    assert others.shape == logits.shape
    assert auxiliary_logits(built) is None
    others.sum().backward()  # type: ignore[no-untyped-call]
    auxiliary = next(part for part, spelled in zip(built.parts, lowered(helped)) if spelled.auxiliary)
    assert all(tensor.grad is not None for tensor in auxiliary.parameters())
    built(images)
    assert auxiliary_logits(copy.deepcopy(built)) is None
    added = sum(tensor.numel() for tensor in auxiliary.parameters())
    assert counts(helped).params == counts(plain).params + added == sum(tensor.numel() for tensor in built.parameters())
    assert counts(helped).mult_adds == counts(plain).mult_adds


def test_training_uses_the_auxiliary_loss_and_moves_the_schedule() -> None:
    data = pictures()
    small = Images(resolution=data.info.resolution, channels=data.info.channels, classes=len(data.info.classes))
    helped = nasnet_a(images=small, filters=4, auxiliary=True, drop_path=0.5)
    built = network(helped)
    part = next(part for part, spelled in zip(built.parts, lowered(helped)) if spelled.auxiliary)  # type: ignore[arg-type]
    before = [tensor.detach().clone() for tensor in part.parameters()]
    labels = data.train_labels
    recipe = Recipe(epochs=2, batch=32)
    view = View(small.resolution, Normalisation(mean=(0.0,), std=(1.0,)), CPU)
    batches = Batches(data.train_images, labels, everything(labels), recipe, view, CPU)
    seen = []

    def after_epoch(epoch: Epoch) -> None:
        seen.append({module.progress for module in built.modules() if isinstance(module, DropPath)})

    train(built, batches, recipe, seed=0, device=CPU, after_epoch=after_epoch)
    assert seen == [{0.0}, {0.5}]
    assert not any(torch.equal(old, new) for old, new in zip(before, part.parameters()))


def test_cells_grow_by_depth_width_and_resolution() -> None:
    less = dataclasses.replace(nasnet_a(), dropout=0.1)
    grown = less.scaled(Scale(depth=1.8, width=1.4, resolution=1.5, dropout=0.3))
    assert (grown.cells, grown.filters, grown.stem_filters) == (2, 16, 32)
    assert (grown.images.resolution, grown.dropout) == (42, 0.4)
    assert counts(grown).params > counts(nasnet_a()).params


def cell(*nodes: Node, outputs: tuple[int, ...] = (2,)) -> Cell:
    return Cell(nodes=nodes, outputs=outputs)


@pytest.mark.parametrize(
    ("broken", "message"),
    [
        (
            lambda: nasnet_a(normal=cell(Node(inputs=(("identity", 0), ("max3", 2))))),
            "normal cell, node 0 reads state 2: give one made before it, 0 to 1",
        ),
        (
            lambda: nasnet_a(reduction=cell(Node(inputs=(("sep9", 0),)))),
            "reduction cell, node 0: unknown operation 'sep9': there are identity, 1x3-3x1",
        ),
        (lambda: nasnet_a(normal=cell(outputs=(7,))), r"normal cell: outputs \[7\] are not some of its states, 0 to 1"),
        (lambda: nasnet_a(family="nasnett"), "unknown cell 'nasnett': there are darts, nasbench201, nasnet"),
        (lambda: nasnet_a(reduction=None), "family 'nasnet' needs a reduction cell"),
        (lambda: nasnet_a(cells=0), "cells 0 is not between 1 and 100"),
        (lambda: nasnet_a(drop_path=1.0), "drop_path 1.0 is not between 0 and 0.999"),
        (lambda: nasnet_a(stem="large"), "resolution 28 is too small for total stride 32"),
        (lambda: nasnet_a(version=2), "version 2"),
    ],
)
def test_cells_that_cannot_be_are_refused(broken: Callable[[], object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        broken()
