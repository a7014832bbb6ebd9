"""Slices of a parent: copied they are a child, and what is learnt through them the parent learns."""

import dataclasses
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.func import functional_call

from nas.inheritance import inherited, sliced
from nas.inheritance.streams import chosen, first
from nas.networks.architecture import Architecture, Images
from nas.networks.blocks import network
from nas.networks.lowering import AnyArchitecture
from tests.test_inheritance import CELLS, DRAWS, ROWS, drawn, lively
from tests.test_inheritance import PARENT as RECTIFIED

PARENT = dataclasses.replace(RECTIFIED, activation="swish")  # no channel is dead, so that each has a gradient


def with_stage(**changes: Any) -> Architecture:
    return dataclasses.replace(PARENT, stages=(PARENT.stages[0], dataclasses.replace(PARENT.stages[1], **changes)))


CHILD = with_stage(kernel=1, channels=24, repeats=1, expand=2)
PICTURES = torch.randn(4, 3, 16, 16, generator=torch.Generator().manual_seed(0))


def answers_of(parent: nn.Module, of: AnyArchitecture, child: AnyArchitecture) -> Tensor:
    """Through slices of the parent: a weight of the child's own, which is nowhere, would raise."""
    with torch.device("meta"):
        empty = network(child).eval()
    answers: Tensor = functional_call(empty, sliced(parent, of, empty, child).weights(), (PICTURES,))
    return answers


@pytest.mark.parametrize("seed", range(DRAWS))
@pytest.mark.parametrize("space", ROWS)
def test_a_child_answers_the_same_through_slices_as_with_copies_of_them(space: str, seed: int) -> None:
    of = drawn(space, seed)
    assert isinstance(of, Architecture)
    stages = tuple(dataclasses.replace(stage, channels=8, repeats=1) for stage in of.stages)
    shrunk = dataclasses.replace(of, stages=stages)
    parent = lively(of)
    copied = inherited(parent, of, shrunk, choose=first)
    assert copied.share == 1
    with torch.no_grad():
        assert torch.allclose(answers_of(parent, of, shrunk), copied.network(PICTURES), atol=1e-5)


@pytest.mark.parametrize("space", [*CELLS, *ROWS])
def test_a_network_is_all_slices_of_itself(space: str) -> None:
    of = drawn(space, 0)
    parent = lively(of)
    with torch.no_grad():
        assert torch.equal(answers_of(parent, of, of), parent(PICTURES))


def test_gradients_land_in_the_slices_that_they_come_from() -> None:
    parent = lively(PARENT).double()
    weights = parent.get_parameter("2.0.1.0.weight")  # the second stage's depthwise kernels, of which one pixel is used
    assert weights.shape == (48, 1, 3, 3)
    with torch.device("meta"):
        empty = network(CHILD).eval()
    slices = sliced(parent, PARENT, empty, CHILD)

    def loss() -> Tensor:
        answers: Tensor = functional_call(empty, slices.weights(), (PICTURES.double(),))
        return answers.square().mean()

    (gradient,) = torch.autograd.grad(loss(), weights)
    used = torch.zeros_like(weights, dtype=torch.bool)
    used[:32, :, 1, 1] = True  # twice the channels that enter, as the child expands them
    assert gradient[used].abs().min() > 0
    assert not gradient[~used].any()
    for place in ((0, 0, 1, 1), (31, 0, 1, 1), (32, 0, 1, 1), (0, 0, 0, 1)):
        values = []
        for step in (1e-5, -1e-5):
            with torch.no_grad():
                weights[place] += step
                values.append(float(loss()))
                weights[place] -= step
        assert float(gradient[place]) == pytest.approx((values[0] - values[1]) / 2e-5, rel=1e-4, abs=1e-8)


def test_a_step_of_a_child_is_one_of_the_parent() -> None:
    parent = lively(PARENT)
    before = inherited(parent, PARENT, CHILD, choose=first).network.state_dict()
    steps = torch.optim.SGD(parent.parameters(), lr=0.1)
    answers_of(parent, PARENT, CHILD).square().mean().backward()  # type: ignore[no-untyped-call]
    steps.step()
    after = inherited(parent, PARENT, CHILD, choose=first).network.state_dict()
    moved = [name for name, value in before.items() if not torch.equal(value, after[name])]
    assert {name for name, _ in network(CHILD).named_parameters()} == set(moved)


def test_the_same_slices_are_good_for_weights_that_have_changed() -> None:
    parent = lively(PARENT)
    child = network(CHILD).eval()
    slices = sliced(parent, PARENT, child, CHILD)
    with torch.no_grad():
        for weights in parent.parameters():
            weights.mul_(1.5)
    slices.copy()
    with torch.no_grad():
        assert torch.equal(child(PICTURES), inherited(parent, PARENT, CHILD, choose=first).network(PICTURES))


def test_first_channels_of_fewer_are_among_those_of_more() -> None:
    importance = torch.tensor([1.0, 3.0, 2.0, 5.0])
    assert first(importance, 2).kept.tolist() == [0, 1]
    assert chosen(importance, 2).kept.tolist() == [1, 3]
    assert first(importance, 6).kept.tolist() == chosen(importance, 6).kept.tolist() == [0, 1, 2, 3, -1, -1]


def test_what_the_parent_lacks_has_no_weights_to_learn_with() -> None:
    deeper = with_stage(repeats=3)
    with torch.device("meta"):
        empty = network(deeper)
    assert sliced(lively(PARENT), PARENT, empty, deeper).share < 1


def test_grey_images_are_cut_from_a_parent_that_is_left_as_it_is() -> None:
    parent = lively(PARENT)
    before = {name: value.clone() for name, value in parent.state_dict().items()}
    inherited(parent, PARENT, dataclasses.replace(PARENT, images=Images(resolution=16, channels=1, classes=5)))
    assert all(torch.equal(value, before[name]) for name, value in parent.state_dict().items())
