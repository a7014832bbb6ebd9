"""The training loop and the images it is given."""

import copy
import dataclasses
import itertools
import json
import math
import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from bench._parallel import Parallel
from nas import home
from nas.codec import decode, encode
from nas.networks.blocks import Branches, network
from nas.recipes import RECIPES, Recipe
from nas.training import TrainingFailed
from nas.training import data as data_module
from nas.training import precision as precision_module
from nas.training import train as train_module
from nas.training.accuracy import accuracy
from nas.training.data import Batches, Normalisation, View, everything, normalisation, split
from nas.training.device import alone
from nas.training.ema import Average
from nas.training.gradients import Gradients, cuda_graphs
from nas.training.muon import orthogonal
from nas.training.optimizer import factor, made, momentum
from nas.training.precision import Precision, precision, probe, reduced
from nas.training.regularisation import regularised
from nas.training.train import Diverged, Epoch, train
from tests.pictures import RECIPE, TINY, pictures
from tests.test_cells import nasnet_a

CPU = torch.device("cpu")
PLAIN = Normalisation(mean=(0.0,), std=(1.0,))


@pytest.fixture(autouse=True)
def one_thread(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """As evaluations train: threads that wait for each other on a busy machine take twenty times as long."""
    monkeypatch.setenv("NAS_HOME", str(tmp_path))
    torch.manual_seed(0)
    with alone(CPU):
        yield


def batches(recipe: Recipe, images: np.ndarray | None = None) -> Batches:
    data = pictures()
    chosen = data.train_images if images is None else images
    labels = data.train_labels[: len(chosen)]
    return Batches(chosen, labels, everything(labels), recipe, View(chosen.shape[-1], PLAIN, CPU), CPU)


def ignore(epoch: Epoch) -> None:
    """For callers that do not care."""


def trained(recipe: Recipe, seed: int = 0) -> tuple[torch.nn.Module, list[Epoch]]:
    epochs: list[Epoch] = []
    torch.manual_seed(seed)
    built = network(TINY)
    train(built, batches(recipe), recipe, seed=seed, device=CPU, after_epoch=epochs.append)
    return built, epochs


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
    recipe = dataclasses.replace(RECIPE, epochs=1, batch=100, crop_pixels=0)
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
        gradients = Gradients(linear, 0.1, nullcontext())
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


class Recorder:
    """Takes work down as a CUDA graph does, on a processor: not done at first, it is done over and over on the same
    memory. `spoil` is what it makes of each gradient."""

    def __init__(self, spoil: float = 1.0) -> None:
        self.taken, self.replayed, self.spoil = 0, 0, spoil

    def __call__(self, built: torch.nn.Module) -> Callable[[Callable[[], None]], Callable[[], None]]:
        def capture(work: Callable[[], None]) -> Callable[[], None]:
            self.taken += 1
            before = [buffer.clone() for buffer in built.buffers()]
            with torch.random.fork_rng():
                work()
            for buffer, value in zip(built.buffers(), before):
                buffer.copy_(value)
            places = [parameter.grad for parameter in built.parameters()]

            def replay() -> None:
                self.replayed += 1
                built.zero_grad()
                work()
                for parameter, place in zip(built.parameters(), places):
                    if place is not None and parameter.grad is not None:
                        place.copy_(parameter.grad).mul_(self.spoil)
                    parameter.grad = None

            return replay

        return capture


class TestCaptured:
    """A GPU's part is played by a recorder."""

    RECIPES = {
        "sgd": dataclasses.replace(RECIPE, clip_norm=1.0),
        "muon, averaged": dataclasses.replace(RECIPE, optimizer="muon", learning_rate=0.05, momentum=0.6, ema=0.9),
        "rmsprop, stochastic depth": dataclasses.replace(
            RECIPE, optimizer="rmsprop", learning_rate=0.01, drop_path=0.3
        ),
        "batches of two sizes": dataclasses.replace(RECIPE, batch=30),
    }

    def train(
        self, recipe: Recipe, recorder: Recorder | None, monkeypatch: pytest.MonkeyPatch, what: Any = TINY
    ) -> dict[str, Any]:
        torch.manual_seed(0)
        built = network(what)
        monkeypatch.setattr(train_module, "cuda_graphs", lambda _: recorder and recorder(built))
        train(built, batches(recipe), recipe, seed=0, device=CPU, after_epoch=ignore)
        return built.state_dict()

    @pytest.mark.parametrize("recipe", RECIPES.values(), ids=RECIPES)
    def test_it_trains_to_the_same_weights(self, recipe: Recipe, monkeypatch: pytest.MonkeyPatch) -> None:
        recorder, steps = Recorder(), recipe.epochs * len(batches(recipe))
        plain, captured = (self.train(recipe, each, monkeypatch) for each in (None, recorder))
        assert all(torch.equal(captured[name], value) for name, value in plain.items())
        sizes = 2 if 400 % recipe.batch and 400 % len(batches(recipe)) else 1
        assert recorder.taken == sizes
        assert recorder.replayed == steps - 3 * sizes + sizes  # three of each size come before, one checks

    def test_a_network_that_changes_is_taken_down_anew(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """NASNet's paths are dropped more often from epoch to epoch; its auxiliary classifier has a loss, too."""
        cells = nasnet_a(images=TINY.images, filters=4, auxiliary=True, drop_path=0.5)
        recorder, recipe = Recorder(), dataclasses.replace(RECIPE, epochs=2, batch=80)
        plain, captured = (self.train(recipe, each, monkeypatch, cells) for each in (None, recorder))
        assert all(torch.equal(captured[name], value) for name, value in plain.items())
        assert recorder.taken == 2

    def test_what_comes_out_otherwise_is_not_used(
        self, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        recorder = Recorder(spoil=1.1)
        plain, captured = (self.train(RECIPE, each, monkeypatch) for each in (None, recorder))
        assert all(torch.equal(captured[name], value) for name, value in plain.items())
        assert (recorder.taken, recorder.replayed) == (1, 1)
        assert (
            "cpu trains layer by layer, as a captured graph cannot be used: its gradients differ by 10.0%"
            in caplog.text
        )

    def test_what_cannot_be_captured_is_trained_layer_by_layer(
        self, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        class Refusing(Recorder):
            def __call__(self, built: torch.nn.Module) -> Callable[[Callable[[], None]], Callable[[], None]]:
                def capture(work: Callable[[], None]) -> Callable[[], None]:
                    self.taken += 1
                    raise RuntimeError("operation not permitted when stream is capturing")

                return capture

        recorder = Refusing()
        plain, captured = (self.train(RECIPE, each, monkeypatch) for each in (None, recorder))
        assert all(torch.equal(captured[name], value) for name, value in plain.items())
        assert recorder.taken == 1
        assert "cannot be used: operation not permitted" in caplog.text


@pytest.mark.skipif(not torch.cuda.is_available(), reason="a GPU's graphs")
class TestCapturedOnGpu:
    GPU = torch.device("cuda")
    NETWORKS = {"TINY": TINY, "dropping paths": nasnet_a(images=TINY.images, filters=4, auxiliary=True, drop_path=0.5)}

    def train(self, what: Any, recipe: Recipe) -> torch.Tensor:
        data = pictures()
        torch.manual_seed(0)
        built = network(what).to(self.GPU)
        chosen, view = everything(data.train_labels), View(12, PLAIN, self.GPU)
        shown = Batches(data.train_images, data.train_labels, chosen, recipe, view, self.GPU)
        train(built, shown, recipe, seed=0, device=self.GPU, after_epoch=ignore)
        return torch.cat([parameter.detach().flatten() for parameter in built.parameters()])

    @pytest.mark.parametrize("what", NETWORKS.values(), ids=NETWORKS)
    @pytest.mark.parametrize("recipe", TestCaptured.RECIPES.values(), ids=TestCaptured.RECIPES)
    def test_it_trains_to_nearly_the_same_weights(
        self, what: Any, recipe: Recipe, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        captured = self.train(what, recipe)
        assert "layer by layer" not in caplog.text
        monkeypatch.setattr(train_module, "cuda_graphs", lambda _: None)
        plain = self.train(what, recipe)
        assert (captured - plain).norm() < 0.05 * plain.norm()

    def test_what_is_not_allowed_in_a_capture_is_left_behind(
        self, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        """TINY has dropout, whose generator is part of a capture."""
        monkeypatch.setattr(train_module, "cuda_graphs", lambda _: None)
        plain = self.train(TINY, RECIPE)

        def asking(device: torch.device) -> Any:
            graphs = cuda_graphs(device)
            assert graphs

            def capture(work: Callable[[], None]) -> Callable[[], None]:
                def asks() -> None:
                    work()
                    torch.ones(1, device=device).item()

                return graphs(asks)

            return capture

        monkeypatch.setattr(train_module, "cuda_graphs", asking)
        refused = self.train(TINY, RECIPE)
        assert "trains layer by layer, as a captured graph cannot be used" in caplog.text
        assert (refused - plain).norm() < 0.05 * plain.norm()
        caplog.clear()
        monkeypatch.setattr(train_module, "cuda_graphs", cuda_graphs)
        again = self.train(TINY, RECIPE)
        assert "layer by layer" not in caplog.text
        assert (again - plain).norm() < 0.05 * plain.norm()


class TestPrecision:
    def test_it_is_for_training_only(self) -> None:
        built = network(TINY).eval()
        image = torch.randn(1, 1, 12, 12)
        before = built(image)
        with reduced(built, CPU, Precision(dense=True, depthwise=())) as how, how:
            assert built(image).shape == before.shape
        assert torch.equal(built(image), before)
        assert not any("forward" in vars(module) for module in built.modules())

    @pytest.mark.parametrize(
        ("how", "expected"),
        [
            (Precision(dense=False, depthwise=((3, 1),)), ["float32"] * 4),
            (Precision(dense=True, depthwise=()), ["bfloat16", "float32", "float32", "float32"]),
            (Precision(dense=True, depthwise=((3, 1),)), ["bfloat16", "bfloat16", "float32", "float32"]),
            (Precision(dense=True, depthwise=((3, 2), (5, 1))), ["bfloat16", "float32", "bfloat16", "bfloat16"]),
        ],
    )
    def test_each_kind_of_convolution_computes_in_what_gains(self, how: Precision, expected: list[str]) -> None:
        """The entering features are what a convolution is computed in; what leaves is for the next layer."""
        kinds = ((3, 1, 1), (3, 1, 4), (3, 2, 4), (5, 1, 4))
        layers = [torch.nn.Conv2d(4, 4, k, s, k // 2, groups=groups) for k, s, groups in kinds]
        found: list[str] = []
        real = torch.nn.functional.conv2d

        def seen(features: torch.Tensor, weight: torch.Tensor, *rest: Any) -> torch.Tensor:
            out = real(features, weight, *rest)
            found.append(str(out.dtype).removeprefix("torch."))
            return out

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(torch.nn.functional, "conv2d", seen)
            with reduced(torch.nn.Sequential(*layers), CPU, how) as context, context:
                leaving = torch.nn.Sequential(*layers)(torch.randn(2, 4, 8, 8))
        assert found == expected
        assert leaving.dtype == (torch.bfloat16 if how.dense else torch.float32)

    def test_the_machine_is_tried_once_and_the_answer_kept(self, monkeypatch: pytest.MonkeyPatch) -> None:
        tried: list[torch.device] = []
        answer = Precision(dense=True, depthwise=((5, 2),))

        def trying(device: torch.device) -> Precision:
            tried.append(device)
            return answer

        monkeypatch.setattr(precision_module, "probe", trying)
        for _ in range(2):
            precision.cache_clear()  # as in another process
            assert precision(CPU) == answer
        assert tried == [CPU]
        (kept,) = (home.home() / "probes").iterdir()
        kept.write_text("{")
        precision.cache_clear()
        assert precision(CPU) == answer
        assert len(tried) == 2
        precision.cache_clear()

    def test_what_is_faster_by_a_little_is_not_worth_it(self, monkeypatch: pytest.MonkeyPatch) -> None:
        seconds = {"float32": 1.0, "bfloat16": 0.0}
        now = 0.0

        def work(features: torch.Tensor) -> torch.Tensor:
            nonlocal now
            now += seconds[str(features.dtype).removeprefix("torch.")]
            return features * 1

        monkeypatch.setattr("nas.training.precision.time.process_time", lambda: now)
        image = torch.zeros(1, 1, 1, 1)
        for half, gains in ((0.9, False), (0.7, True)):
            seconds["bfloat16"] = half
            assert precision_module._gains((work, image), (work, image.bfloat16()), CPU) == gains

    def test_trying_a_real_machine_gives_an_answer(self) -> None:
        found = probe(CPU)
        assert set(found.depthwise) <= set(precision_module.DEPTHWISE)
        assert found == decode(Precision, json.loads(json.dumps(encode(found))))


def test_answers_that_are_not_numbers_are_no_accuracy() -> None:
    built = network(TINY)
    with torch.no_grad():
        next(iter(built.parameters())).fill_(torch.nan)
    data = pictures()
    with pytest.raises(TrainingFailed, match="NaN"):
        accuracy(built, data.test_images, data.test_labels, View(12, PLAIN, CPU), CPU)


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


def test_rmsprop_is_tensorflows() -> None:
    """By hand: squares begin at one, epsilon is near the one under the root, and momentum adds what was stepped."""
    weight = torch.nn.Linear(1, 1, bias=False)
    recipe = Recipe(optimizer="rmsprop", learning_rate=0.1, momentum=0.9, weight_decay=0.0)
    optimizer = made(weight, recipe)
    value, square, inertia = float(weight.weight.detach()), 1.0, 0.0
    for gradient in (2.0, -1.0, 0.5):
        weight.weight.grad = torch.full((1, 1), gradient)
        optimizer.step()
        square = 0.9 * square + 0.1 * gradient**2
        inertia = 0.9 * inertia + gradient / (math.sqrt(square) + math.sqrt(0.001))
        value -= 0.1 * inertia
        assert float(weight.weight.detach()) == pytest.approx(value, rel=1e-5)


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


def test_copies_side_by_side_find_the_gradients_of_the_whole_batch() -> None:
    whole, images = network(TINY).eval(), torch.randn(6, 1, 12, 12)
    parallel = Parallel(copy.deepcopy(whole), 2)
    for one in (whole, parallel):
        one(images).square().sum().backward()
    for mine, its in zip(parallel.parameters(), whole.parameters(), strict=True):
        assert mine.grad is not None
        assert its.grad is not None
        assert torch.allclose(mine.grad, its.grad, rtol=1e-4, atol=1e-5)


def test_averaged_weights_follow_the_network_and_forget_how_it_began() -> None:
    """By hand: a step keeps (1 + n) / (10 + n) of the average, and never more than asked for."""
    network = torch.nn.BatchNorm1d(1)
    average = Average(network, 0.15)
    expected, first = 1.0, average.weights["weight"].data_ptr()
    for step, value in enumerate((5.0, 3.0, 2.0)):
        torch.nn.init.constant_(network.weight, value)
        assert network.num_batches_tracked is not None
        network.num_batches_tracked.add_(1)
        average.update(network, step)
        kept = min(0.15, (1 + step) / (10 + step))
        expected = kept * expected + (1 - kept) * value
        assert float(average.weights["weight"]) == pytest.approx(expected)
    assert average.weights["num_batches_tracked"] == 3
    assert average.weights["weight"].data_ptr() == first  # in place
    assert float(network.weight.detach()) == 2.0


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
    recipe = dataclasses.replace(RECIPES["paper"], epochs=6, batch=32, warmup=0.1, ema=0.9, crop_pixels=1, flip=False)
    recipe = dataclasses.replace(recipe, norm_decay=0.9, drop_path=0.1)  # for so few steps
    torch.manual_seed(0)
    built = network(TINY)
    averaged = train(built, batches(recipe), recipe, seed=0, device=CPU, after_epoch=ignore)
    assert averaged is not None
    built.load_state_dict(averaged)
    data = pictures()
    assert accuracy(built, data.test_images, data.test_labels, View(12, PLAIN, CPU), CPU) >= 0.8


class TestSplit:
    def test_a_balanced_tenth_is_kept_out_and_nothing_is_in_both(self) -> None:
        labels = np.repeat(np.arange(5), 40)
        training, held = split(labels)
        assert sorted([*training, *held]) == list(range(200))
        assert np.bincount(labels[held]).tolist() == [4] * 5

    def test_any_first_part_to_train_on_is_balanced(self) -> None:
        labels = np.repeat(np.arange(5), 40)
        for order in (split(labels)[0], everything(labels)):
            for part in (5, 50, 100):
                assert np.bincount(labels[order[:part]]).tolist() == [part // 5] * 5

    def test_it_is_the_same_tomorrow(self) -> None:
        assert split(np.zeros(100, np.int64))[1].tolist() == [3, 10, 18, 21, 41, 48, 49, 68, 82, 83]

    def test_the_smallest_class_still_has_an_image_to_validate_on(self) -> None:
        labels = np.array([0] * 50 + [1, 1])
        training, held = split(labels)
        assert 1 in labels[training]
        assert 1 in labels[held]


def test_normalisation_is_that_of_the_images_trained_on() -> None:
    data = pictures()
    chosen = np.arange(0, 300)
    how = normalisation(data.train_images, chosen)
    values = data.train_images[chosen].astype(float) / 255
    assert how.mean[0] == pytest.approx(values.mean())
    assert how.std[0] == pytest.approx(values.std())


def test_every_image_is_seen_once_an_epoch() -> None:
    loader = batches(dataclasses.replace(RECIPE, batch=64))
    draw = torch.Generator().manual_seed(0)
    first, second = (torch.cat(list(loader.shuffled(draw))) for _ in range(2))
    assert sorted(first.tolist()) == list(range(400))
    assert sorted(second.tolist()) == list(range(400))
    assert first.tolist() != second.tolist()


def test_mapped_images_are_asked_for_a_batch_ahead(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data, asked = pictures(), list[tuple[int, int]]()
    np.save(tmp_path / "images.npy", data.train_images)
    mapped = np.load(tmp_path / "images.npy", mmap_mode="r")
    loader = batches(dataclasses.replace(RECIPE, batch=100), mapped)
    real = os.posix_fadvise

    def advise(file: int, offset: int, size: int, advice: int) -> None:
        asked.append((offset, size))
        real(file, offset, size, advice)

    monkeypatch.setattr(os, "posix_fadvise", advise)
    shown = loader.shuffled(torch.Generator().manual_seed(0))
    content, taken = (tmp_path / "images.npy").read_bytes(), list[int]()
    for number in range(4):
        taken += next(shown).tolist()
        assert len(asked) == min(400, 100 * (number + 2))
    assert [content[offset : offset + size] for offset, size in asked] == [mapped[index].tobytes() for index in taken]


def test_mapped_images_that_were_copied_to_the_device_are_asked_for_no_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another tensor stands in for one on another device; device "meta" shows that `to` gives one."""
    np.save(tmp_path / "images.npy", pictures().train_images)
    mapped = np.load(tmp_path / "images.npy", mmap_mode="r")
    images = data_module.tensor(mapped)
    assert data_module._placed(images, torch.device("meta")) is not images
    monkeypatch.setattr(data_module, "_placed", lambda images, _: images.clone())
    monkeypatch.setattr(os, "posix_fadvise", lambda *_: pytest.fail("the disk was asked"))
    loader = batches(dataclasses.replace(RECIPE, batch=100), mapped)
    assert len(list(loader.shuffled(torch.Generator().manual_seed(0)))) == 4


class TestAugmentation:
    ramp = np.arange(64 * 36, dtype=np.uint8).reshape(64, 1, 6, 6)

    def shown(self, epoch: int = 0, **recipe: object) -> torch.Tensor:
        plain = Recipe(flip=False, batch=64)
        loader = batches(dataclasses.replace(plain, **recipe), self.ramp)  # type: ignore[arg-type]
        next(loader.shuffled(torch.Generator(), epoch))
        images, labels = loader.batch(torch.arange(64), torch.Generator().manual_seed(0))
        assert labels.tolist() == pictures().train_labels[:64].tolist()
        return images * 255

    def test_none_leaves_images_as_they_are(self) -> None:
        assert torch.allclose(self.shown(), torch.from_numpy(self.ramp).float(), atol=1e-3)

    def test_flip_mirrors_half_of_them_and_the_others_an_epoch_later(self) -> None:
        raw = torch.from_numpy(self.ramp).float()
        seen = []
        for epoch in range(3):
            shown = self.shown(epoch, epochs=3, flip=True)
            kept, mirrored = (
                [torch.allclose(image, its, atol=1e-3) for image, its in zip(shown, either)]
                for either in (raw, raw.flip(-1))
            )
            assert mirrored == [not as_it_is for as_it_is in kept]
            seen.append(mirrored)
        first, second, third = seen
        assert 15 < sum(first) < 50
        assert [not before for before in first] == second
        assert third == first

    def test_crop_shifts_by_no_more_than_asked_for(self) -> None:
        shifted = self.shown(crop_pixels=1)
        moved = 0
        for image, original in zip(shifted, torch.from_numpy(self.ramp).float()):
            padded = torch.nn.functional.pad(original, (1, 1, 1, 1))
            views = [padded[:, y : y + 6, x : x + 6] for y in range(3) for x in range(3)]
            assert any(torch.allclose(image, view, atol=1e-3) for view in views)
            moved += not torch.allclose(image, original, atol=1e-3)
        assert moved > 30

    def test_cutout_blanks_one_square(self) -> None:
        bright = np.full((64, 1, 6, 6), 200, np.uint8)
        loader = batches(Recipe(flip=False, batch=64, cutout_pixels=3), bright)
        images, _ = loader.batch(torch.arange(64), torch.Generator().manual_seed(0))
        blank = (images == 0).flatten(1).sum(1)
        assert blank.min() >= 1
        assert blank.max() == 9

    def test_the_last_epochs_show_images_as_they_are(self) -> None:
        raw, how = torch.from_numpy(self.ramp).float(), {"flip": True, "crop_pixels": 1, "cutout_pixels": 2}
        seen = [self.shown(epoch, epochs=5, clean=0.4, **how) for epoch in range(5)]
        assert [torch.allclose(shown, raw, atol=1e-3) for shown in seen] == [False, False, False, True, True]
        assert not torch.allclose(self.shown(4, epochs=5, **how), raw, atol=1e-3)
        assert torch.allclose(self.shown(0, epochs=5, clean=1.0, **how), raw, atol=1e-3)

    def test_another_resolution_is_resized_to(self) -> None:
        raw = torch.from_numpy(pictures().train_images[:4])
        assert View(18, PLAIN, CPU)(raw).shape == (4, 1, 18, 18)
