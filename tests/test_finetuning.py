"""What a recipe does with what was inherited: its last layer, its norms and the rate of its body."""

import copy
import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from nas import home
from nas.evaluate import evaluate
from nas.networks.blocks import network
from nas.networks.lowering import AnyArchitecture
from nas.recipes import RECIPES, Recipe
from nas.training import TrainingFailed
from nas.training.accuracy import accuracy
from nas.training.data import View
from nas.training.head import PENALTIES, body, features, fit_head, head, ridge
from nas.training.optimizer import made
from nas.training.train import Epoch, train
from tests.pictures import RECIPE, TINY, job, pictures
from tests.test_cells import nasnet_a
from tests.trainings import CPU, PLAIN, batches, ignore, trained

pytestmark = pytest.mark.usefixtures("one_thread")

VIEW = View(12, PLAIN, CPU)
ALL_OF_IT = dataclasses.replace(
    RECIPE, norms="frozen", body_rate=0.3, ema=0.9, crop=0.6, augment=0.3, mixup=0.2, cutmix=1.0, erase=0.2
)


def state(built: nn.Module) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in built.state_dict().items()}


def norms(built: nn.Module) -> list[nn.BatchNorm2d]:
    return [module for module in built.modules() if isinstance(module, nn.BatchNorm2d)]


class TestRidge:
    seen = torch.randn(60, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    labels = torch.arange(60) % 3
    answers = nn.functional.one_hot(labels, 3).double()

    def regression(self, left_out: int | None, penalty: float) -> np.ndarray:
        """Predictions for all images of the regression on all but one, by the normal equations."""
        kept = np.arange(60) != (-1 if left_out is None else left_out)
        x, y = self.seen.numpy(), self.answers.numpy()
        mean, level = x[kept].mean(0), y[kept].mean(0)
        centred = x[kept] - mean
        weights = np.linalg.solve(centred.T @ centred + penalty * np.eye(8), centred.T @ (y[kept] - level))
        return np.asarray((x - mean) @ weights + level)

    def test_it_is_the_regression_whose_predictions_for_images_left_out_are_best(self) -> None:
        scale = float(((self.seen - self.seen.mean(0)).square().sum()) / 8)
        penalties = [float(penalty) * scale for penalty in PENALTIES]
        errors = [
            sum(
                float(((self.regression(image, penalty) - self.answers.numpy())[image] ** 2).sum())
                for image in range(60)
            )
            for penalty in penalties
        ]
        weights, bias = ridge(self.seen, self.answers)
        logits = (self.seen @ weights.T + bias).numpy()
        expected = self.regression(None, penalties[int(np.argmin(errors))])
        sharpness = float(np.std(logits) / np.std(expected))
        assert np.allclose(logits, sharpness * expected, atol=1e-8)

    def test_logits_are_as_sure_as_they_are_right(self) -> None:
        """Of features that say all, surely; of noise, of no image is much said."""
        for said, sure in ((3.0, (0.95, 1.001)), (0.0, (0.3, 0.5))):
            weights, bias = ridge(self.seen * 0.3 + said * self.answers.repeat(1, 3)[:, :8], self.answers)
            logits = (self.seen * 0.3 + said * self.answers.repeat(1, 3)[:, :8]) @ weights.T + bias
            assert sure[0] < float(logits.softmax(1).amax(1).mean()) < sure[1]
            assert logits.abs().max() < 20, "something is left to learn from"

    def test_features_that_are_all_alike_say_how_often_each_class_is(self) -> None:
        weights, bias = ridge(torch.ones(60, 8, dtype=torch.float64), self.answers)
        assert weights.abs().max() < 1e-9
        assert torch.allclose(bias, bias.mean().expand(3))

    def test_more_features_than_images_are_no_matter(self) -> None:
        seen = torch.randn(10, 50, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
        weights, bias = ridge(seen, nn.functional.one_hot(torch.arange(10) % 2, 2).double())
        assert weights.shape == (2, 50)
        assert torch.isfinite(weights).all()
        assert torch.isfinite(bias).all()


@pytest.mark.parametrize("architecture", [TINY, nasnet_a(images=TINY.images)], ids=["stages", "cells"])
def test_a_head_in_closed_form_beats_a_random_one_and_is_all_that_changes(architecture: AnyArchitecture) -> None:
    data, chosen = pictures(), np.arange(200)
    torch.manual_seed(0)
    built = network(architecture)
    before, drawn = state(built), accuracy(built, data.test_images, data.test_labels, VIEW, CPU)
    fit_head(built, data.train_images, data.train_labels, chosen, VIEW, CPU)
    assert accuracy(built, data.test_images, data.test_labels, VIEW, CPU) > max(0.5, drawn + 0.1)
    its = {id(parameter) for parameter in head(built).parameters()}
    own = {name for name, value in built.named_parameters() if id(value) in its}
    assert len(own) == 2
    for name, value in built.state_dict().items():
        assert torch.equal(value, before[name]) == (name not in own), name


def test_features_are_what_enters_the_last_layer() -> None:
    built, images = network(TINY), pictures().train_images
    seen = features(built, images, np.array([3, 1]), VIEW, CPU)
    logits = built.eval()(VIEW(torch.from_numpy(images[[3, 1]])))
    assert torch.allclose(head(built)(seen.float()), logits, atol=1e-5)


def test_a_network_without_a_linear_layer_has_no_such_head() -> None:
    for built in (nn.Conv2d(1, 4, 1), nn.Linear(4, 2, bias=False)):
        with pytest.raises(TrainingFailed, match=r"take recipe\.head 'drawn'"):
            head(built)


class TestNorms:
    @pytest.mark.parametrize("kept", [True, False])
    def test_frozen_ones_keep_their_statistics_and_train_all_the_same(self, kept: bool) -> None:
        torch.manual_seed(0)
        before = norms(network(TINY))
        after = norms(trained(dataclasses.replace(RECIPE, norms="frozen" if kept else "live"))[0])
        for old, new in zip(before, after, strict=True):
            assert isinstance(old.running_mean, Tensor) and isinstance(new.running_mean, Tensor)  # noqa: PT018
            assert torch.equal(old.running_mean, new.running_mean) == kept
            assert (new.num_batches_tracked == 0) == kept
            assert not torch.equal(old.weight, new.weight)
            assert new.training, "it is as it was before"

    def test_frozen_ones_divide_by_their_statistics_in_training(self) -> None:
        seen: list[tuple[Tensor, Tensor]] = []
        built = network(TINY)

        def look(module: nn.Module, entering: tuple[Tensor, ...], leaving: Tensor) -> None:
            seen.append((entering[0].detach().clone(), leaving.detach().clone()))

        norms(built)[0].register_forward_hook(look)
        recipe = dataclasses.replace(RECIPE, norms="frozen", epochs=1, batch=400)
        train(built, batches(recipe), recipe, seed=0, device=CPU, after_epoch=ignore)
        (entering, leaving), *_ = seen
        assert torch.allclose(leaving, entering / (1 + 1e-3) ** 0.5, atol=1e-5)


class TestRateOfTheBody:
    @pytest.mark.parametrize("optimizer", ["sgd", "rmsprop", "muon", "adamw"])
    def test_of_none_it_stays_bit_for_bit_and_the_head_learns(self, optimizer: Any) -> None:
        torch.manual_seed(0)
        before = state(network(TINY))
        recipe = dataclasses.replace(RECIPE, optimizer=optimizer, body_rate=0.0, ema=0.9, weight_decay=0.01)
        built, epochs = trained(recipe)
        (*_, weight, bias) = before
        for name, value in built.state_dict().items():
            assert torch.equal(value, before[name]) == (name not in (weight, bias)), name
        assert epochs[-1].loss < epochs[0].loss
        assert all(parameter.requires_grad for parameter in built.parameters())

    @pytest.mark.parametrize("optimizer", ["sgd", "rmsprop", "muon", "adamw"])
    def test_a_step_of_it_is_so_much_shorter(self, optimizer: Any) -> None:
        moved = []
        for rate in (1.0, 0.1):
            torch.manual_seed(0)
            built = network(TINY)
            recipe = dataclasses.replace(RECIPE, optimizer=optimizer, body_rate=rate, weight_decay=0.0)
            before = copy.deepcopy(built)
            for parameter in built.parameters():
                parameter.grad = torch.ones_like(parameter)
            made(built, recipe).step()
            norm, last = norms(built)[0].weight, head(built).weight
            moved.append([float((new - old).detach().abs().mean()) for new, old in (
                (norm, norms(before)[0].weight), (last, head(before).weight)
            )])  # fmt: skip
        assert moved[1][0] == pytest.approx(0.1 * moved[0][0], rel=1e-3)
        assert moved[1][1] == pytest.approx(moved[0][1], rel=1e-3)

    def test_of_a_part_of_its_layers_the_first_ones_stay(self) -> None:
        torch.manual_seed(0)
        before = network(TINY)
        layers = [name for name, module in before.named_modules() if [*module.parameters(recurse=False)]][:-1]
        fixed = set(layers[: round(0.5 * len(layers))])
        built, epochs = trained(dataclasses.replace(RECIPE, fixed=0.5, ema=0.9, weight_decay=0.01))
        old = before.state_dict()
        moved = {
            name.rpartition(".")[0] for name, value in built.state_dict().items() if not torch.equal(value, old[name])
        }
        assert moved == {name for name, module in built.named_modules() if [*module.parameters(recurse=False)]} - fixed
        assert epochs[-1].loss < epochs[0].loss
        assert all(parameter.requires_grad for parameter in built.parameters())

    def test_every_parameter_is_in_one_group(self) -> None:
        built = network(TINY)
        for recipe in (RECIPE, dataclasses.replace(RECIPE, body_rate=0.5, optimizer="muon")):
            places = [id(each) for group in made(built, recipe).param_groups for each in group["params"]]
            assert sorted(places) == sorted(id(each) for each in built.parameters())
        assert len(body(built)) == len(list(built.parameters())) - 2


def test_a_training_with_all_of_it_that_is_taken_up_again_ends_with_the_same_weights() -> None:
    recipe = dataclasses.replace(ALL_OF_IT, epochs=4, start_size=0.7)
    epochs: list[Epoch] = []
    torch.manual_seed(0)
    whole = network(TINY)

    def keep(epoch: Epoch) -> None:
        epochs.append(dataclasses.replace(epoch, state=copy.deepcopy(epoch.state)))

    average = train(whole, batches(recipe), recipe, seed=0, device=CPU, after_epoch=keep)
    again = network(TINY)
    start = epochs[1].state
    other = train(again, batches(recipe), recipe, seed=0, device=CPU, start=start, after_epoch=ignore)
    assert average
    assert other
    assert all(torch.equal(value, other[name]) for name, value in average.items())
    assert all(torch.equal(value, again.state_dict()[name]) for name, value in whole.state_dict().items())


class TestEvaluated:
    """A parent that knows the pictures, and children that begin with its weights."""

    @pytest.fixture
    def parent(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
        monkeypatch.setenv("NAS_HOME", str(tmp_path))
        recipe = dataclasses.replace(RECIPE, epochs=6)
        measured = evaluate(job(recipe=recipe, save_weights=True, final=True), images=pictures())
        assert measured.weights
        return measured.weights

    def test_without_a_step_the_head_alone_is_new(self, parent: str) -> None:
        recipe = dataclasses.replace(RECIPE, head="ridge", body_rate=0.0)
        measured = evaluate(job(recipe=recipe, parent=parent, seed=3), images=pictures())
        assert measured.steps == 0
        assert measured.inherited == 1.0
        assert measured.accuracy is not None
        assert measured.accuracy > 0.9
        assert not list(home.folder("resume").iterdir())

    def test_steps_follow_where_the_body_may_move(self, parent: str, monkeypatch: pytest.MonkeyPatch) -> None:
        begun: list[dict[str, Tensor]] = []

        def watched(built: nn.Module, *rest: Any, **more: Any) -> None:
            begun.append(state(built))

        monkeypatch.setattr("nas.training.folds.train", watched)
        recipe = dataclasses.replace(RECIPE, head="ridge", folds=2)
        measured = evaluate(job(recipe=recipe, parent=parent), images=pictures())
        assert measured.steps
        (*_, weight, _), (first, second) = begun[0], begun
        assert not torch.equal(first[weight], second[weight]), "each is fitted to the images that are not held out"

    def test_without_a_parent_it_is_a_training_from_nothing(self) -> None:
        """Norms that nobody has measured cannot be kept, nor can a random body."""
        plain = evaluate(job(), images=pictures())
        recipe = dataclasses.replace(RECIPE, head="ridge", norms="frozen", body_rate=0.0)
        measured = evaluate(job(recipe=recipe), images=pictures())
        assert (measured.accuracy, measured.steps) == (plain.accuracy, plain.steps)
        assert plain.steps


def test_the_recipe_for_it_is_one_of_those_with_names() -> None:
    recipe = RECIPES["finetune"]
    assert (recipe.head, recipe.norms, recipe.epochs) == ("ridge", "frozen", 0)
    assert recipe.from_nothing == dataclasses.replace(recipe, head="drawn", norms="live", body_rate=1.0, fixed=0.0)
    assert Recipe().from_nothing == Recipe()
