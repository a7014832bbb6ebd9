"""The training loop: what it learns, repeats, averages, and how it fits into memory."""

import copy
import dataclasses
import math
from contextlib import ExitStack, nullcontext
from typing import Any

import numpy as np
import pytest
import torch

from nas.networks.blocks import Branches, network
from nas.recipes import RECIPES, Recipe
from nas.training import TrainingFailed
from nas.training.accuracy import accuracy, answers, judged
from nas.training.data import View
from nas.training.ema import Average
from nas.training.gradients import Gradients
from nas.training.optimizer import factor, made
from nas.training.regularisation import regularised
from nas.training.train import Diverged, Epoch, train
from tests.pictures import CLASSES, RECIPE, TINY, pictures
from tests.trainings import CPU, PLAIN, batches, ignore, trained

pytestmark = pytest.mark.usefixtures("one_thread")


def test_a_network_learns_what_it_is_shown() -> None:
    built, epochs = trained(dataclasses.replace(RECIPE, epochs=6))
    data = pictures()
    view = View(12, PLAIN, CPU)
    assert accuracy(built, data.test_images, data.test_labels, view, CPU) >= 0.95
    assert [epoch.number for epoch in epochs] == [1, 2, 3, 4, 5, 6]
    assert epochs[-1].loss < epochs[0].loss


def test_a_single_step_trains() -> None:
    recipe = dataclasses.replace(RECIPE, epochs=1, batch=4096)
    assert len(batches(recipe)) == 1
    torch.manual_seed(0)
    untrained = network(TINY)
    after, _ = trained(recipe)
    assert any(not torch.equal(one, other) for one, other in zip(untrained.parameters(), after.parameters()))


def test_each_step_has_the_rate_of_its_middle(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not that of its end, or the last one teaches nothing."""
    recipe, rates = dataclasses.replace(RECIPE, epochs=2, batch=100, warmup=0.25), list[float]()

    def watched(trained: torch.nn.Module, its: Recipe) -> torch.optim.Optimizer:
        optimizer = made(trained, its)
        optimizer.register_step_pre_hook(lambda *_: rates.append(optimizer.param_groups[0]["lr"]))
        return optimizer

    monkeypatch.setattr("nas.training.train.made", watched)
    trained(recipe)
    assert rates == pytest.approx([recipe.learning_rate * factor(recipe, (step + 0.5) / 8) for step in range(8)])
    assert rates[-1] > 0.01 * recipe.learning_rate


def test_the_same_seed_gives_the_same_weights_and_another_gives_others() -> None:
    first, again, other = (trained(RECIPE, seed)[0].state_dict() for seed in (1, 1, 2))
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not all(torch.equal(first[name], other[name]) for name in first)


@pytest.mark.parametrize(
    "recipe",
    [
        RECIPE,
        dataclasses.replace(RECIPE, optimizer="rmsprop", learning_rate=0.01, ema=0.9, drop_path=0.2),
        dataclasses.replace(RECIPE, optimizer="muon", learning_rate=0.05, momentum=0.6, schedule="one-cycle"),
    ],
    ids=["sgd", "rmsprop, averaged", "muon, cycled"],
)
def test_a_training_that_is_taken_up_again_ends_with_the_same_weights(recipe: Recipe) -> None:
    torch.manual_seed(0)
    whole, epochs = network(TINY), list[Epoch]()
    average = train(whole, batches(recipe), recipe, seed=0, device=CPU, after_epoch=epochs.append) or {}
    states: list[Epoch] = []

    class Killed(Exception):
        pass

    def until_the_first(epoch: Epoch) -> None:
        states.append(dataclasses.replace(epoch, state=copy.deepcopy(epoch.state)))
        raise Killed

    torch.manual_seed(0)
    built = network(TINY)
    with pytest.raises(Killed):
        train(built, batches(recipe), recipe, seed=0, device=CPU, after_epoch=until_the_first)
    torch.manual_seed(99)
    built, start = network(TINY), states[0].state
    again = train(built, batches(recipe), recipe, seed=0, device=CPU, start=start, after_epoch=states.append) or {}
    assert average.keys() == again.keys()
    assert all(torch.equal(again[name], value) for name, value in average.items())
    assert all(torch.equal(built.state_dict()[name], value) for name, value in whole.state_dict().items())
    assert len(epochs) == 3


def test_a_loss_that_is_not_a_number_ends_the_training_and_says_at_which_rate() -> None:
    with pytest.raises(Diverged, match="at learning rate 1e"):
        trained(dataclasses.replace(RECIPE, learning_rate=1e18))


class Small(torch.nn.Module):
    """A network on a device whose memory takes so many images; it counts those that went through."""

    def __init__(self, most: int) -> None:
        super().__init__()
        self.inner, self.most = network(dataclasses.replace(TINY, dropout=0.0)), most
        self.passed: list[int] = []

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        if len(images) > self.most:
            raise torch.OutOfMemoryError("the device is full")
        self.passed.append(len(images))
        logits: torch.Tensor = self.inner(images)
        return logits


def test_a_batch_too_large_for_the_memory_goes_through_it_in_parts() -> None:
    recipe = dataclasses.replace(RECIPE, epochs=1, batch=100, shift=0.0)
    torch.manual_seed(0)
    small = Small(most=30)
    epochs: list[Epoch] = []
    train(small, batches(recipe), recipe, seed=0, device=CPU, after_epoch=epochs.append)
    assert small.passed == [25] * 16
    assert epochs[0].loss < 1.5


def test_gradients_of_parts_are_those_of_the_whole_batch() -> None:
    torch.manual_seed(0)
    linear = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(144, 4))
    loader = batches(dataclasses.replace(RECIPE, batch=64))
    images, labels = loader.batch(torch.arange(64), torch.Generator().manual_seed(0))
    found = []
    for parts in (1, 4):
        linear.zero_grad()
        gradients = Gradients(linear, Recipe(label_smoothing=0.1), nullcontext())
        gradients._parts = parts
        loss = gradients(images, labels)
        found.append([loss] + [parameter.grad for parameter in linear.parameters() if parameter.grad is not None])
    assert [len(tensors) for tensors in found] == [3, 3]
    assert all(torch.allclose(whole, part, atol=1e-6) for whole, part in zip(*found))


def test_a_memory_too_small_for_two_images_fails_with_the_reason() -> None:
    recipe = dataclasses.replace(RECIPE, epochs=1)
    epochs: list[Epoch] = []
    with pytest.raises(TrainingFailed, match="out of memory even with 2 images at a time: take a smaller network"):
        train(Small(most=1), batches(recipe), recipe, seed=0, device=CPU, after_epoch=epochs.append)


def test_answers_that_are_not_numbers_are_no_accuracy() -> None:
    built = network(TINY)
    with torch.no_grad():
        next(iter(built.parameters())).fill_(torch.nan)
    data = pictures()
    with pytest.raises(TrainingFailed, match="NaN"):
        accuracy(built, data.test_images, data.test_labels, View(12, PLAIN, CPU), CPU)


def test_what_a_network_says_of_images_is_the_same_in_any_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    built, data, only = network(TINY).eval(), pictures(), np.arange(7, 97, 2)
    view = View(12, PLAIN, CPU)
    with torch.no_grad():
        logits = built(view(torch.from_numpy(data.test_images[only])))
    labels = torch.from_numpy(data.test_labels[only])
    for size in (500, 8):
        monkeypatch.setattr("nas.training.accuracy.BATCH", size)
        found = answers(built, data.test_images, data.test_labels, view, CPU, only=only)
        assert torch.equal(found.taken_for, logits.argmax(1))
        assert torch.allclose(found.confidence, logits.softmax(1).amax(1))
        assert torch.allclose(found.loss, torch.nn.functional.cross_entropy(logits, labels, reduction="none"))
    own = judged(found, data.test_labels[only], CLASSES)
    assert own.log_loss == pytest.approx(float(found.loss.double().mean()))
    assert sum(map(sum, own.confusion)) == len(only)


def test_averaged_weights_follow_the_network_and_forget_how_it_began() -> None:
    """By hand: a step keeps (1 + n) / (10 + n) of the average, and never more than asked for."""
    network = torch.nn.BatchNorm1d(1)
    average = Average(network, 0.15)
    expected, first = 1.0, average.weights["weight"].data_ptr()
    for step, value in enumerate((5.0, 3.0, 2.0)):
        torch.nn.init.constant_(network.weight, value)
        assert network.num_batches_tracked is not None
        network.num_batches_tracked.add_(1)
        average.update(step)
        kept = min(0.15, (1 + step) / (10 + step))
        expected = kept * expected + (1 - kept) * value
        assert float(average.weights["weight"]) == pytest.approx(expected)
    assert average.weights["num_batches_tracked"] == 3
    assert average.weights["weight"].data_ptr() == first  # in place
    assert float(network.weight.detach()) == 2.0


@pytest.mark.parametrize("optimizer", ["sgd", "rmsprop", "muon", "adamw"])
def test_the_tensors_that_are_averaged_are_those_that_train(optimizer: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """They are looked up once: a training that put others in their place would go unseen."""
    looked_up: list[tuple[torch.nn.Module, dict[str, int]]] = []

    class Seen(Average):
        def __init__(self, network: torch.nn.Module, decay: float, weights: Any = None) -> None:
            super().__init__(network, decay, weights)
            looked_up.append((network, places(network)))

    def places(network: torch.nn.Module) -> dict[str, int]:
        return {name: value.data_ptr() for name, value in network.state_dict().items()}

    monkeypatch.setattr("nas.training.train.Average", Seen)
    trained(dataclasses.replace(RECIPE, optimizer=optimizer, ema=0.9, drop_path=0.2, learning_rate=0.01))
    ((network, before),) = looked_up
    assert places(network) == before


def test_without_averaging_there_are_no_averaged_weights() -> None:
    torch.manual_seed(0)
    assert train(network(TINY), batches(RECIPE), RECIPE, seed=0, device=CPU, after_epoch=ignore) is None


def test_averaging_leaves_the_training_itself_as_it_was() -> None:
    plain = trained(RECIPE)[0].state_dict()
    averaging = trained(dataclasses.replace(RECIPE, ema=0.9))[0].state_dict()
    assert all(torch.equal(plain[name], averaging[name]) for name in plain)


def test_gradients_are_shortened_to_the_length_asked_for() -> None:
    """One step of plain SGD moves the weights by the learning rate times the gradient's length at most."""
    recipe = dataclasses.replace(
        RECIPE, epochs=1, batch=400, momentum=0.0, weight_decay=0.0, warmup=0.0, schedule="steps", decay=1.0
    )
    lengths = []
    for clip in (None, 0.01):
        torch.manual_seed(0)
        built = network(TINY)
        before = [parameter.detach().clone() for parameter in built.parameters()]
        chosen = dataclasses.replace(recipe, clip_norm=clip)
        train(built, batches(chosen), chosen, seed=0, device=CPU, after_epoch=ignore)
        moved = sum(float((new.detach() - old).square().sum()) for new, old in zip(built.parameters(), before))
        lengths.append(math.sqrt(moved))
    assert lengths[0] > 0.01
    assert lengths[1] == pytest.approx(recipe.learning_rate * 0.01, rel=1e-3)


class TestStochasticDepth:
    DEEP = dataclasses.replace(TINY, stages=(dataclasses.replace(TINY.stages[0], repeats=5),), drop_connect=0.5)

    def dropped(self, built: torch.nn.Module) -> list[float]:
        """How often each residual branch adds nothing to an image, in the order of depth."""
        branches = [module for module in built.modules() if isinstance(module, Branches) and module.join == "add"]
        found = []
        with ExitStack() as hooks:

            def look(module: torch.nn.Module, entering: tuple[torch.Tensor], leaving: torch.Tensor) -> None:
                found.append(float(((leaving - entering[0]) == 0).flatten(1).all(1).float().mean()))

            for module in branches:
                hooks.enter_context(module.register_forward_hook(look))
            with torch.no_grad():
                built(torch.randn(1000, 1, 12, 12))
        return found

    def test_the_recipe_overrules_the_architecture_for_the_training_only(self) -> None:
        built = network(self.DEEP).train()
        names = list(built.state_dict())
        own = self.dropped(built)
        with regularised(built, Recipe(drop_path=0.4)):
            assert list(built.state_dict()) == names
            assert self.dropped(built) == pytest.approx([0.08, 0.16, 0.24, 0.32, 0.4], abs=0.04)
        with regularised(built, Recipe(drop_path=0.0)):
            assert self.dropped(built) == [0.0] * 5
        assert self.dropped(built) == pytest.approx(own, abs=0.06)
        assert own[-1] == pytest.approx(0.4, abs=0.06)

    def test_nothing_is_dropped_when_the_network_is_used(self) -> None:
        built = network(self.DEEP).eval()
        with regularised(built, Recipe(drop_path=0.4)):
            assert self.dropped(built) == [0.0] * 5


def test_norms_remember_as_the_recipe_says() -> None:
    built = network(TINY)
    norms = [module for module in built.modules() if isinstance(module, torch.nn.BatchNorm2d)]
    with regularised(built, Recipe()):
        assert {norm.momentum for norm in norms} == {0.1}
    with regularised(built, Recipe(norm_decay=0.99)):
        assert {norm.momentum for norm in norms} == {0.01}


def test_the_papers_recipe_trains() -> None:
    recipe = dataclasses.replace(RECIPES["paper"], epochs=6, batch=32, warmup=0.1, ema=0.9, shift=0.08, flip=False)
    recipe = dataclasses.replace(recipe, norm_decay=0.9, drop_path=0.1)  # for so few steps
    torch.manual_seed(0)
    built = network(TINY)
    averaged = train(built, batches(recipe), recipe, seed=0, device=CPU, after_epoch=ignore)
    assert averaged is not None
    built.load_state_dict(averaged)
    data = pictures()
    assert accuracy(built, data.test_images, data.test_labels, View(12, PLAIN, CPU), CPU) >= 0.8
