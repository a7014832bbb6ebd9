"""What an image counts in the loss by its class, and how its gradients follow."""

import dataclasses
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from hypothesis import given
from hypothesis import strategies as st

from nas.codec import decode, encode
from nas.evaluate import evaluate
from nas.recipes import Recipe
from nas.refusal import Refusal
from nas.training.gradients import Gradients
from nas.training.loss import class_weights, summed_loss
from tests.pictures import RECIPE, job, pictures

LOGITS = torch.tensor([[2.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 3.0]])
LABELS = torch.tensor([0, 1, 1])
WEIGHTS = torch.tensor([0.5, 2.0, 7.0])


def weights(given: object, labels: list[int], classes: tuple[str, ...] = ("a", "b")) -> list[float] | None:
    found = class_weights(Recipe(class_weights=given), np.array(labels), classes)  # type: ignore[arg-type]
    return None if found is None else found.tolist()


def test_by_themselves_classes_weigh_alike_and_an_image_one_on_average() -> None:
    assert weights("none", [0, 0, 0, 1]) is None
    assert weights("auto", [0, 0, 0, 1]) == pytest.approx([4 / 6, 2.0])
    assert weights({"b": 3}, [0, 0, 0, 1]) == pytest.approx([4 / 6, 2.0]), "1 and 3, of which the mean is 1.5"
    assert weights({"a": 1, "b": 3}, [0, 0, 0, 1]) == weights({"a": 2, "b": 6}, [0, 0, 0, 1])


@given(
    st.lists(st.integers(0, 3), min_size=1, max_size=50), st.sampled_from(["auto", {"b": 0.1}, {"c": 30.0, "d": 2.0}])
)
def test_an_image_counts_one_on_average_whatever_classes_there_are(labels: list[int], given: object) -> None:
    found = weights(given, labels, ("a", "b", "c", "d"))
    assert found is not None
    assert sum(found[label] for label in labels) / len(labels) == pytest.approx(1, rel=1e-5)
    if given == "auto":
        sums = [found[number] * labels.count(number) for number in set(labels)]
        assert sums == pytest.approx([sums[0]] * len(sums), rel=1e-5)


@pytest.mark.parametrize("weight", [0.0, -1.0, float("inf"), float("nan")])
def test_a_weight_is_a_positive_number(weight: float) -> None:
    with pytest.raises(Refusal, match="for 'rare', which is not a positive number up to 1,000,000") as refusal:
        Recipe(class_weights={"rare": weight})
    assert refusal.value.field == "class_weights"


def test_a_class_that_is_not_there_has_no_weight() -> None:
    with pytest.raises(Refusal, match="names 'dog', and the classes are a, b") as refusal:
        weights({"dog": 2}, [0, 1])
    assert refusal.value.field == "class_weights"


def test_recipes_are_read_as_they_were_written() -> None:
    for recipe in (Recipe(), Recipe(class_weights="auto"), Recipe(class_weights={"a": 2.5})):
        assert decode(Recipe, encode(recipe)) == recipe
    older = {name: value for name, value in encode(Recipe()).items() if name != "class_weights"}
    assert decode(Recipe, older).class_weights == "none"


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_an_image_counts_what_its_class_does(smoothing: float) -> None:
    each = F.cross_entropy(LOGITS, LABELS, label_smoothing=smoothing, reduction="none")
    assert summed_loss(LOGITS, LABELS, smoothing, WEIGHTS) == pytest.approx(
        float(0.5 * each[0] + 2 * (each[1] + each[2]))
    )
    assert torch.equal(
        summed_loss(LOGITS, LABELS, smoothing),
        F.cross_entropy(LOGITS, LABELS, label_smoothing=smoothing, reduction="sum"),
    ), "to the bit what it was before there were weights"
    hard = F.one_hot(LABELS, 3).float()
    assert summed_loss(LOGITS, hard, smoothing, WEIGHTS) == pytest.approx(
        float(summed_loss(LOGITS, LABELS, smoothing, WEIGHTS)), rel=1e-6
    )


def test_an_image_of_two_classes_counts_what_they_do_on_average() -> None:
    shares = torch.tensor([[0.25, 0.75, 0.0]])
    whole = F.cross_entropy(LOGITS[:1], shares)
    assert summed_loss(LOGITS[:1], shares, 0.0, WEIGHTS) == pytest.approx(float((0.25 * 0.5 + 0.75 * 2) * whole))


def test_gradients_are_of_the_weighted_loss_in_any_number_of_parts() -> None:
    torch.manual_seed(0)
    linear, images, labels = torch.nn.Linear(5, 3), torch.randn(8, 5), torch.tensor([0, 1, 2, 0, 1, 1, 1, 1])
    wanted = torch.autograd.grad(summed_loss(linear(images), labels, 0.1, WEIGHTS) / 8, linear.weight)[0]
    for parts in (1, 2):
        linear.zero_grad()
        gradients = Gradients(linear, Recipe(label_smoothing=0.1), nullcontext(), weights=WEIGHTS)
        gradients._parts = parts
        gradients(images, labels)
        assert linear.weight.grad is not None
        assert torch.allclose(linear.weight.grad, wanted, atol=1e-6)


def test_an_evaluation_weighs_by_the_images_that_it_trains_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One class thinned out of 400 images is got right more often where it weighs as much as the others."""
    monkeypatch.setenv("NAS_HOME", str(tmp_path))
    data = pictures(400)
    rare = np.flatnonzero(data.train_labels == 0)
    kept = np.setdiff1d(np.arange(400), rare[10:])
    images = dataclasses.replace(
        data,
        train_images=data.train_images[kept],
        train_labels=data.train_labels[kept],
        validation_images=data.test_images,
        validation_labels=data.test_labels,
    )
    recalls = {}
    for weighted in ("none", "auto"):
        recipe = dataclasses.replace(RECIPE, epochs=4, class_weights=weighted)
        measured = evaluate(job(recipe=recipe, devices=("cpu_eager",)), images=images)
        assert measured.quality is not None
        recalls[weighted] = measured.quality.recalls[0] or 0.0
    assert recalls["auto"] > recalls["none"] + 0.15
