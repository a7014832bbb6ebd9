"""The last part of a training, in 8 bits: that it works as the quantised network does, and what is mended by it."""

import dataclasses
from itertools import pairwise
from typing import Any

import onnxruntime
import pytest
import torch
from torch import nn

from nas.evaluate import evaluate
from nas.metering.onnx import exported
from nas.models import checkpoint, score
from nas.networks.architecture import Architecture
from nas.networks.blocks import network
from nas.objective import Objective
from nas.quantisation import Quantised, in_torch, quantised
from nas.recipes import Recipe
from nas.records import Progress
from nas.refusal import Refusal
from nas.specs import GrowthSpec, SearchSpec
from nas.training.accuracy import accuracy
from nas.training.data import Batches, View, everything, tensor
from nas.training.rounding import rounded
from nas.training.train import train
from nas.worth import worth
from tests.pictures import RECIPE, TINY, job, pictures
from tests.trainings import CPU, PLAIN, ignore

pytestmark = pytest.mark.usefixtures("one_thread")
VIEW, IMAGES = View(12, PLAIN, CPU), pictures()
SEEN = VIEW(tensor(IMAGES.train_images[:64])).contiguous()


def swish(**changes: Any) -> Architecture:
    return dataclasses.replace(TINY, activation="swish", dropout=0.0, **changes)


def used(architecture: Architecture) -> nn.Module:
    """A network whose norms have seen images."""
    torch.manual_seed(0)
    built = network(architecture).train()
    with torch.no_grad():
        for _ in range(20):
            built(SEEN)
    return built.eval()


@pytest.mark.parametrize("per_channel", [False, True])
@pytest.mark.parametrize("activation", ["relu", "relu6", "hswish", "swish"])
def test_it_works_as_the_quantised_network_does(activation: str, *, per_channel: bool) -> None:
    """Nearly: its ranges are of values that were rounded before."""
    built = used(dataclasses.replace(TINY, activation=activation))  # type: ignore[arg-type]
    found = quantised(exported(built, SEEN[:1], any_number=True), [SEEN.numpy()], per_channel=per_channel)
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    answer = torch.from_numpy(onnxruntime.InferenceSession(found, options).run(None, {"images": SEEN.numpy()})[0])
    with torch.no_grad():
        plain = built(SEEN)
        with rounded(built, per_channel=per_channel):
            fake = built(SEEN)
    assert (fake - answer).norm() < (0.5 if "relu" in activation else 0.8) * (plain - answer).norm()


def test_weights_are_of_seven_bits_with_their_norm() -> None:
    built = used(TINY)
    convolution, norm = next(pair for pair in pairwise(built.modules()) if isinstance(pair[1], nn.BatchNorm2d))
    assert isinstance(convolution, nn.Conv2d)
    assert isinstance(norm, nn.BatchNorm2d)
    assert norm.running_var is not None
    factor = (norm.weight / (norm.running_var + norm.eps).sqrt()).reshape(-1, 1, 1, 1)
    for per_channel in (False, True):
        with torch.no_grad(), rounded(built, per_channel=per_channel):
            folded = convolution.weight * factor
        largest = folded.abs().amax((1, 2, 3), keepdim=True) if per_channel else folded.abs().max()
        steps = 64 * folded / largest
        assert torch.allclose(steps, steps.round(), atol=1e-3)
        assert len(set(steps.round().flatten().tolist())) > 20


def test_a_network_is_afterwards_what_it_was_but_for_its_weights() -> None:
    built = used(swish()).train()
    before = {name: value.clone() for name, value in built.state_dict().items()}
    parameters = {name: (id(each), each.requires_grad) for name, each in built.named_parameters()}
    with rounded(built, per_channel=True):
        built(SEEN).sum().backward()
    after = built.state_dict()
    assert all(torch.equal(value, after[name]) for name, value in before.items())
    assert parameters == {name: (id(each), each.requires_grad) for name, each in built.named_parameters()}
    assert all(module.training for module in built.modules())
    moved = {name for name, each in built.named_parameters() if each.grad is not None}
    assert moved == {name for name, each in built.named_parameters() if not _is_factor(built, name)}
    built.eval()
    with torch.no_grad():
        answer = built(SEEN)
        built.load_state_dict(before)
        assert torch.equal(answer, built(SEEN))  # nothing is rounded any more


def _is_factor(built: nn.Module, name: str) -> bool:
    module, _, kind = name.rpartition(".")
    return kind == "weight" and isinstance(built.get_submodule(module), nn.BatchNorm2d)


def test_what_collapses_in_8_bits_is_mended() -> None:
    """Of four channels of the head the values are 300 times as large, and what reads them takes them 300 times less."""
    torch.manual_seed(0)
    built, recipe = network(swish()), dataclasses.replace(RECIPE, int8_epochs=4)
    labels = IMAGES.train_labels

    def batches(recipe: Recipe) -> Batches:
        return Batches(IMAGES.train_images, labels, everything(labels), recipe, VIEW, CPU)

    def in_8_bits() -> float:
        graph = exported(built.eval(), SEEN[:1], any_number=True)
        found = Quantised(graph=quantised(graph, [SEEN.numpy()]), per_channel=False)
        return accuracy(in_torch(found), IMAGES.test_images, IMAGES.test_labels, VIEW, CPU)

    train(built, batches(recipe), recipe, seed=0, device=CPU, after_epoch=ignore)
    norm = [module for module in built.modules() if isinstance(module, nn.BatchNorm2d)][-1]
    last = [module for module in built.modules() if isinstance(module, nn.Linear)][-1]
    with torch.no_grad():
        norm.weight[:4] *= 300
        norm.bias[:4] *= 300
        last.weight[:, :4] /= 300
    collapsed = in_8_bits()
    train(
        built, batches(recipe.in_int8), recipe.in_int8, seed=0, device=CPU, per_channel=False, after_epoch=ignore
    )  # fmt: skip
    mended = in_8_bits()
    assert collapsed < 0.5
    assert mended > 0.9
    with rounded(built, per_channel=False):
        fake = accuracy(built, IMAGES.test_images, IMAGES.test_labels, VIEW, CPU)
    assert fake == pytest.approx(mended, abs=0.03)


@pytest.mark.usefixtures("own_quiet")
def test_the_last_part_of_a_recipe_is_of_networks_that_are_judged_in_8_bits() -> None:
    recipe, reports = dataclasses.replace(RECIPE, int8_epochs=2), list[Progress]()
    asked = {"devices": ("cpu:dtype=int8",), "recipe": recipe, "save_weights": True}
    found = evaluate(job(precision="int8", **asked), reports.append, images=IMAGES)
    assert found.steps == 5 * (360 // 32)
    assert [each.epoch for each in reports if each.phase == "training"] == [0, 1, 2, 3, 4, 5]
    assert {each.epochs for each in reports if each.phase == "training"} == {5}
    path = checkpoint.artifact(found.weights or "")
    assert score.score(path, images=IMAGES).kept  # in single precision, of the weights as they are now
    plain = evaluate(job(number=1, **asked), images=IMAGES)
    assert plain.steps == 3 * (360 // 32)
    assert checkpoint.card(path).recipe.int8_epochs == 2
    assert checkpoint.card(checkpoint.artifact(plain.weights or "")).recipe.int8_epochs == 0


def test_it_is_refused_where_nothing_is_judged_in_8_bits() -> None:
    recipe = dataclasses.replace(RECIPE, int8_epochs=2)
    with pytest.raises(Refusal, match="int8_epochs 2 is for networks that are judged in 8 bits") as refusal:
        SearchSpec(dataset="x", recipe=recipe)
    assert refusal.value.field == "recipe"
    with pytest.raises(Refusal, match="int8_epochs"):
        GrowthSpec(dataset="x", space="mbconv", architecture=TINY, recipe=recipe)
    SearchSpec(dataset="x", recipe=recipe, objective=Objective(precision="int8"))
    GrowthSpec(dataset="x", space="mbconv", architecture=TINY, recipe=recipe, precision="int8")
    assert worth(recipe, IMAGES.info).epochs == recipe.all_epochs == 5
