"""Learning rates, weight decay and the optimizers."""

import copy
import dataclasses
import itertools
import math
from typing import Any

import pytest
import torch

from bench._parallel import Parallel
from nas import zoo
from nas.networks import units
from nas.networks.architecture import Images
from nas.networks.blocks import network
from nas.networks.layers import Activate, Conv, Layer, Norm
from nas.networks.lowering import AnyArchitecture
from nas.networks.network import Network, Part
from nas.networks.units import chain, classifier, linear
from nas.recipes import Recipe
from nas.training.muon import normalised, orthogonal
from nas.training.optimizer import factor, made, momentum
from search_spaces import nasbench201
from tests.pictures import RECIPE, TINY

CIFAR = Images(resolution=32, classes=10)

pytestmark = pytest.mark.usefixtures("one_thread")


def test_the_learning_rate_rises_falls_and_ends_at_nothing() -> None:
    rates = [factor(Recipe(warmup=0.2), step / 100) for step in range(1, 101)]
    assert max(rates) == pytest.approx(1.0)
    assert rates.index(max(rates)) == 19
    assert rates[-1] == pytest.approx(0.0, abs=1e-9)
    assert all(later < earlier for earlier, later in itertools.pairwise(rates[20:]))


def test_weight_decay_leaves_biases_and_norms_alone() -> None:
    """One step without gradients' help: what is decayed shrinks, what is not stays."""

    built = network(TINY)
    optimizer = made(built, dataclasses.replace(RECIPE, weight_decay=0.1))
    before = {name: value.clone() for name, value in built.named_parameters()}
    for parameter in built.parameters():
        parameter.grad = torch.zeros_like(parameter)
    optimizer.step()
    for name, value in built.named_parameters():
        changed = not torch.equal(before[name], value)
        assert changed == (value.ndim > 1), name


class TestSchedules:
    def test_a_cycle_falls_in_a_line_and_momentum_goes_against_it(self) -> None:
        recipe = Recipe(schedule="one-cycle", warmup=0.25, momentum=0.95)
        points = (0.125, 0.25, 0.625, 1.0)
        assert [factor(recipe, point) for point in points] == pytest.approx([0.5, 1.0, 0.5, 0.0])
        assert [momentum(recipe, point) for point in points] == pytest.approx([0.9, 0.85, 0.9, 0.95])

    def test_other_schedules_leave_momentum_alone(self) -> None:
        assert {momentum(Recipe(schedule="steps"), step / 10) for step in range(11)} == {0.9}

    def test_steps_fall_by_a_factor_every_so_many_epochs(self) -> None:
        recipe = Recipe(epochs=12, schedule="steps", warmup=1 / 12, decay=0.5, decay_epochs=4)
        epochs = (0.5, 1, 3.9, 4.1, 7.9, 8.1)
        assert [factor(recipe, epoch / 12) for epoch in epochs] == pytest.approx([0.5, 1, 1, 0.5, 0.5, 0.25])

    @pytest.mark.parametrize("schedule", ["cosine", "one-cycle", "steps"])
    def test_warming_up_throughout_ends_at_the_peak(self, schedule: Any) -> None:
        recipe = Recipe(schedule=schedule, warmup=1.0, decay=1.0)
        assert [factor(recipe, point) for point in (0.5, 1.0)] == [0.5, 1.0]


@pytest.mark.parametrize("inertia", [0.0, 0.9])
def test_rmsprop_is_tensorflows(inertia: float) -> None:
    """By hand, as tf.train.RMSPropOptimizer documents it: squares begin at one, epsilon is under the root, and momentum
    adds what was stepped, at the rates that held then."""
    weight = torch.nn.Linear(1, 1, bias=False)
    recipe = Recipe(optimizer="rmsprop", learning_rate=0.1, momentum=inertia, weight_decay=0.01)
    optimizer = made(weight, recipe)
    value, square, moving = float(weight.weight.detach()), 1.0, 0.0
    for gradient, rate in ((2.0, 0.1), (-1.0, 0.05), (0.0, 0.01), (0.5, 0.2)):
        weight.weight.grad = torch.full((1, 1), gradient)
        optimizer.param_groups[0]["lr"] = rate
        optimizer.step()
        gradient += 0.01 * value
        square = 0.9 * square + 0.1 * gradient**2
        moving = inertia * moving + rate * gradient / math.sqrt(square + 0.001)
        value -= moving
        assert float(weight.weight.detach()) == pytest.approx(value, rel=1e-5)


def test_adamw_steps_by_directions_and_decays_by_the_rate_alone() -> None:
    """By hand, after Loshchilov & Hutter 2019, with the momentum that a schedule sets."""
    weight = torch.nn.Linear(1, 1, bias=False)
    optimizer = made(weight, Recipe(optimizer="adamw", learning_rate=0.01, momentum=0.9, weight_decay=0.1))
    value, mean, square = float(weight.weight.detach()), 0.0, 0.0
    for number, (gradient, rate, kept) in enumerate(((1e-3, 0.01, 0.9), (-5.0, 0.02, 0.8), (0.5, 0.005, 0.8)), 1):
        weight.weight.grad = torch.full((1, 1), gradient)
        optimizer.param_groups[0].update(lr=rate, momentum=kept)
        optimizer.step()
        mean, square = kept * mean + (1 - kept) * gradient, 0.99 * square + 0.01 * gradient**2
        value *= 1 - rate * 0.1
        value -= rate * mean / (1 - kept**number) / (math.sqrt(square / (1 - 0.99**number)) + 1e-8)
        assert float(weight.weight.detach()) == pytest.approx(value, rel=1e-5)


@pytest.mark.parametrize("optimizer", ["rmsprop", "adamw"])
def test_an_optimizer_goes_on_where_it_was(optimizer: Any) -> None:
    ours, again = network(TINY), network(TINY)
    again.load_state_dict(ours.state_dict())
    recipe = Recipe(optimizer=optimizer, learning_rate=0.1)
    first, second = made(ours, recipe), made(again, recipe)
    gradients = [[torch.randn_like(parameter) for parameter in ours.parameters()] for _ in range(3)]
    for number, drawn in enumerate(gradients):
        if number == 2:
            second = made(again, recipe)
            second.load_state_dict(copy.deepcopy(first.state_dict()))
        for built, optimizer in ((ours, first), (again, second)):
            for parameter, gradient in zip(built.parameters(), drawn):
                parameter.grad = gradient.clone()
            optimizer.step()
    assert all(torch.equal(mine, its) for mine, its in zip(ours.parameters(), again.parameters()))


def test_an_orthogonal_matrix_points_as_the_matrix_does_and_alike_in_every_direction() -> None:
    left, right = (torch.linalg.qr(torch.randn(size, 4))[0] for size in (6, 9))
    for lengths in (torch.tensor([1.0, 0.5, 0.2, 0.1]), torch.tensor([7e-4, 7e-4, 5e-4, 1e-4])):
        found = orthogonal(left @ lengths.diag() @ right.T)
        turned = left.T @ found @ right
        assert torch.allclose(found, left @ turned @ right.T, atol=1e-5)
        assert torch.allclose(turned, turned.diag().diag(), atol=1e-5)
        assert ((turned.diag() > 0.3) & (turned.diag() < 1.4)).all()


def test_muon_turns_dense_convolutions_and_descends_with_momentum_elsewhere() -> None:
    """By hand; depthwise convolutions, those with a bias, norms and the classifier move as SGD has it at ten times the
    rate."""
    recipe = Recipe(optimizer="muon", learning_rate=0.02, momentum=0.6, weight_decay=0.1)
    ours, plain = network(TINY), network(TINY)
    plain.load_state_dict(ours.state_dict())
    dense = {
        f"{name}.weight"
        for name, module in ours.named_modules()
        if isinstance(module, torch.nn.Conv2d) and module.groups == 1 and module.bias is None
    }
    assert len(dense) == 6
    expected = {name: value.detach().clone() for name, value in ours.named_parameters() if name in dense}
    inertia = {name: torch.zeros_like(value) for name, value in expected.items()}
    muon, sgd = made(ours, recipe), made(plain, dataclasses.replace(recipe, optimizer="sgd", learning_rate=0.2))
    for _ in range(2):
        for (name, mine), its in zip(ours.named_parameters(), plain.parameters()):
            gradient = torch.randn_like(mine)
            mine.grad, its.grad = gradient.clone(), gradient.clone()
            if name in dense:
                inertia[name] = 0.6 * inertia[name] + gradient
                step = orthogonal((gradient + 0.6 * inertia[name]).flatten(1)).view(gradient.shape)
                kept = expected[name] * math.sqrt(len(gradient)) / expected[name].norm()
                expected[name] = kept - 0.02 * step
        muon.step()
        sgd.step()
    for (name, mine), its in zip(ours.named_parameters(), plain.parameters()):
        assert torch.allclose(mine, expected[name] if name in dense else its, atol=1e-5), name


def turned(architecture: AnyArchitecture) -> set[str]:
    """The parameters of its network that Muon turns."""
    with torch.device("meta"):
        built = network(architecture)
    ids = set(map(id, normalised(built)))
    return {name for name, parameter in built.named_parameters() if id(parameter) in ids}


def chained(*layers: Layer) -> Network:
    parts = (Part(name="body", blocks=layers), Part(name="classifier", blocks=classifier(10)))
    return Network(images=CIFAR, parts=parts)


@pytest.mark.parametrize(
    ("layers", "expected"),
    [
        ((Conv(8, 3),), 1),
        ((Conv(8, 3, bias=True),), 1),
        ((Conv(8, 3, norm=False),), 0),
        ((linear(8, 3, norm=False), Norm()), 1),
        ((linear(8, 3, norm=False), Norm("local")), 0),
        ((linear(8, 3, norm=False), Activate(), Norm()), 0),
        ((linear(8, 3, norm=False), chain(Norm(), Activate())), 1),
        (units.factorized_reduction(8), 2),
        ((units.dense(3, 4),), 1),
        ((Conv(8, 3, groups=1), units.preactivated(8, 8, Conv(8, 3), linear(8, 3, norm=False))), 2),
        ((units.residual(linear(3, 3, norm=False)), Norm()), 0),
        ((units.squeeze_excite(3, 1), Norm()), 0),
    ],
    ids=str,
)
def test_muon_turns_what_a_normalisation_follows(layers: tuple[Layer, ...], expected: int) -> None:
    assert len(turned(chained(*layers))) == expected


def test_of_whole_networks_muon_turns_what_is_normalised() -> None:
    resnet = turned(zoo.architecture("ResNet-18"))
    assert len(resnet) == 20  # all convolutions
    assert len(turned(zoo.architecture("DenseNet-121"))) == 1 + 58 + 4  # stem, narrow ones, each block's last
    cell = nasbench201.architecture(dict.fromkeys(nasbench201.knobs(CIFAR), "nor_conv_3x3"), CIFAR)
    with torch.device("meta"):
        convolutions = sum(isinstance(module, torch.nn.Conv2d) for module in network(cell).modules())
    assert len(turned(cell)) == convolutions - 2  # projections behind the poolings of both residual blocks


def test_copies_side_by_side_find_the_gradients_of_the_whole_batch() -> None:
    whole, images = network(TINY).eval(), torch.randn(6, 1, 12, 12)
    parallel = Parallel(copy.deepcopy(whole), 2)
    for one in (whole, parallel):
        one(images).square().sum().backward()
    for mine, its in zip(parallel.parameters(), whole.parameters(), strict=True):
        assert mine.grad is not None
        assert its.grad is not None
        assert torch.allclose(mine.grad, its.grad, rtol=1e-4, atol=1e-5)
