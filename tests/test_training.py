"""The training loop and the images it is given."""

import copy
import dataclasses
import itertools
from collections.abc import Iterator
from contextlib import nullcontext

import numpy as np
import pytest
import torch

from nas.blocks import network
from nas.records import Recipe
from nas.training import TrainingFailed
from nas.training.data import Batches, Normalisation, View, everything, normalisation, split
from nas.training.device import alone
from nas.training.precision import reduced
from nas.training.score import accuracy
from nas.training.train import Diverged, Epoch, cycle, train
from tests.pictures import RECIPE, TINY, pictures

CPU = torch.device("cpu")
PLAIN = Normalisation(mean=(0.0,), std=(1.0,))


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """As evaluations train: threads that wait for each other on a busy machine take twenty times as long."""
    with alone(CPU):
        yield


def batches(recipe: Recipe, images: np.ndarray | None = None) -> Batches:
    data = pictures()
    chosen = data.train_images if images is None else images
    labels = data.train_labels[: len(chosen)]
    return Batches(chosen, labels, everything(labels), recipe, View(chosen.shape[-1], PLAIN, CPU), CPU)


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


def test_the_same_seed_gives_the_same_weights_and_another_gives_others() -> None:
    first, again, other = (trained(RECIPE, seed)[0].state_dict() for seed in (1, 1, 2))
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not all(torch.equal(first[name], other[name]) for name in first)


def test_a_training_that_is_taken_up_again_ends_with_the_same_weights() -> None:
    whole, epochs = trained(RECIPE)
    states: list[Epoch] = []

    class Killed(Exception):
        pass

    def until_the_first(epoch: Epoch) -> None:
        states.append(dataclasses.replace(epoch, state=copy.deepcopy(epoch.state)))
        raise Killed

    torch.manual_seed(0)
    built = network(TINY)
    with pytest.raises(Killed):
        train(built, batches(RECIPE), RECIPE, seed=0, device=CPU, after_epoch=until_the_first)
    torch.manual_seed(99)
    built = network(TINY)
    train(built, batches(RECIPE), RECIPE, seed=0, device=CPU, start=states[0].state, after_epoch=states.append)
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
    from nas.training.train import _gradients

    torch.manual_seed(0)
    linear = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(144, 4))
    loader = batches(dataclasses.replace(RECIPE, batch=64))
    images, labels = loader.batch(torch.arange(64), torch.Generator().manual_seed(0))
    found = []
    for parts in (1, 4):
        linear.zero_grad()
        loss, kept = _gradients(linear, images, labels, 0.1, nullcontext(), parts)
        assert kept == parts
        found.append([loss] + [parameter.grad for parameter in linear.parameters() if parameter.grad is not None])
    assert [len(tensors) for tensors in found] == [3, 3]
    assert all(torch.allclose(whole, part, atol=1e-6) for whole, part in zip(*found))


def test_a_memory_too_small_for_two_images_fails_with_the_reason() -> None:
    recipe = dataclasses.replace(RECIPE, epochs=1)
    epochs: list[Epoch] = []
    with pytest.raises(TrainingFailed, match="out of memory even with 2 images at a time: take a smaller network"):
        train(Small(most=1), batches(recipe), recipe, seed=0, device=CPU, after_epoch=epochs.append)


def test_reduced_precision_is_for_training_only() -> None:
    built = network(TINY).eval()
    image = torch.randn(1, 1, 12, 12)
    before = built(image)
    with reduced(built, CPU) as precision, precision:
        assert built(image).shape == before.shape
    assert torch.equal(built(image), before)
    assert not any("forward" in vars(module) for module in built.modules())


def test_answers_that_are_not_numbers_are_no_accuracy() -> None:
    built = network(TINY)
    with torch.no_grad():
        next(iter(built.parameters())).fill_(torch.nan)
    data = pictures()
    with pytest.raises(TrainingFailed, match="NaN"):
        accuracy(built, data.test_images, data.test_labels, View(12, PLAIN, CPU), CPU)


def test_the_learning_rate_rises_falls_and_ends_at_nothing() -> None:
    rates = [cycle(step / 100, 0.2) for step in range(1, 101)]
    assert max(rates) == pytest.approx(1.0)
    assert rates.index(max(rates)) == 19
    assert rates[-1] == pytest.approx(0.0, abs=1e-9)
    assert all(later < earlier for earlier, later in itertools.pairwise(rates[20:]))


def test_weight_decay_leaves_biases_and_norms_alone() -> None:
    """One step without gradients' help: what is decayed shrinks, what is not stays."""
    from nas.training.train import _sgd

    built = network(TINY)
    optimizer = _sgd(built, dataclasses.replace(RECIPE, weight_decay=0.1))
    before = {name: value.clone() for name, value in built.named_parameters()}
    for parameter in built.parameters():
        parameter.grad = torch.zeros_like(parameter)
    optimizer.step()
    for name, value in built.named_parameters():
        changed = not torch.equal(before[name], value)
        assert changed == (value.ndim > 1), name


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


class TestAugmentation:
    ramp = np.arange(64 * 36, dtype=np.uint8).reshape(64, 1, 6, 6)

    def shown(self, **recipe: object) -> torch.Tensor:
        plain = Recipe(flip=False, batch=64)
        loader = batches(dataclasses.replace(plain, **recipe), self.ramp)  # type: ignore[arg-type]
        images, labels = loader.batch(torch.arange(64), torch.Generator().manual_seed(0))
        assert labels.tolist() == pictures().train_labels[:64].tolist()
        return images * 255

    def test_none_leaves_images_as_they_are(self) -> None:
        assert torch.allclose(self.shown(), torch.from_numpy(self.ramp).float(), atol=1e-3)

    def test_flip_mirrors_about_half_of_them(self) -> None:
        raw = torch.from_numpy(self.ramp).float()
        mirrored = [
            torch.allclose(image, original.flip(-1), atol=1e-3) for image, original in zip(self.shown(flip=True), raw)
        ]
        kept = [torch.allclose(image, original, atol=1e-3) for image, original in zip(self.shown(flip=True), raw)]
        assert all(a or b for a, b in zip(mirrored, kept))
        assert 15 < sum(mirrored) < 50

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

    def test_another_resolution_is_resized_to(self) -> None:
        raw = torch.from_numpy(pictures().train_images[:4])
        assert View(18, PLAIN, CPU)(raw).shape == (4, 1, 18, 18)
