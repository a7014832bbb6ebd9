"""A network that learns from the answers of another."""

import dataclasses
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from api.admission import admit_recipe
from nas import home, parents
from nas.evaluate import evaluate
from nas.measurements import Measurement
from nas.models import checkpoint
from nas.recipes import Recipe
from nas.records import Progress
from nas.refusal import Faults, Refusal
from nas.roots import Roots
from nas.teaching import order
from nas.training.data import Normalisation, View
from nas.training.teacher import Teacher, distilled
from tests.pictures import CLASSES, RECIPE, TINY, job, pictures
from tests.service import POINTS, Service
from tests.trainings import CPU


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The checkpoint of a network that knows the pictures."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NAS_HOME", str(tmp_path_factory.mktemp("teacher")))
        larger = dataclasses.replace(TINY, images=dataclasses.replace(TINY.images, resolution=16))
        measurement = evaluate(job(architecture=larger, save_weights=True), images=pictures())
        assert (measurement.accuracy or 0) > 0.9
        return checkpoint.artifact(measurement.weights or "")


@pytest.fixture(autouse=True)
def teacher(trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Its hash, in a home of its own."""
    monkeypatch.setenv("NAS_HOME", str(tmp_path))
    shutil.copy(trained, checkpoint.artifact(trained.stem))
    return trained.stem


def taught(teacher: str, **more: float) -> Recipe:
    return dataclasses.replace(RECIPE, teacher=teacher, **more)  # type: ignore[arg-type]


def test_what_a_teacher_knows_is_learnt_where_labels_say_nothing(teacher: str) -> None:
    right = pictures()
    images = dataclasses.replace(right, train_labels=np.random.default_rng(0).permutation(right.train_labels))
    accuracies = [
        evaluate(job(recipe=taught(teacher, teacher_weight=weight, epochs=6), final=True), images=images).test_accuracy
        or 0.0
        for weight in (0.0, 1.0)
    ]
    assert accuracies[0] < 0.5
    assert accuracies[1] > 0.8


def test_a_teacher_sees_what_its_student_does_in_its_own_way(teacher: str) -> None:
    how = Normalisation(mean=(0.1,), std=(3.0,))
    network, card = checkpoint.load(checkpoint.artifact(teacher))
    raw = torch.from_numpy(pictures().test_images)
    own = View(16, Normalisation(mean=card.mean, std=card.std), CPU)
    with torch.no_grad():
        expected = network(own(raw))
    found = Teacher(teacher, CLASSES, 1, how, CPU)(View(12, how, CPU)(raw))
    assert torch.allclose(found, expected, atol=1e-3)
    assert not found.requires_grad
    mixed = Teacher(teacher, CLASSES[::-1], 1, how, CPU)(View(12, how, CPU)(raw))
    assert torch.equal(mixed, found.flip(1))


def test_answers_are_compared_softened_and_of_equals_nothing_is_left() -> None:
    logits = torch.tensor([[2.0, 0.0, -1.0], [0.0, 4.0, 0.0]])
    assert distilled(logits, logits + 1, 3.0).item() == pytest.approx(0, abs=1e-5)
    other = logits.flip(1)
    wanted = torch.softmax(other / 3, 1)
    expected = 9 * (wanted * (wanted.log() - torch.log_softmax(logits / 3, 1))).sum()
    assert distilled(logits, other, 3.0).item() == pytest.approx(expected.item(), rel=1e-5)


def test_with_a_teacher_a_training_that_is_taken_up_again_is_the_same(teacher: str) -> None:
    def stop(progress: Progress) -> None:
        if progress.epoch == 2:
            raise InterruptedError

    work = job(recipe=taught(teacher), save_weights=True)
    whole = evaluate(work, images=pictures())
    with pytest.raises(InterruptedError):
        evaluate(work, stop, images=pictures())
    assert list(home.folder("resume").iterdir())
    again = evaluate(work, images=pictures())
    cards = [checkpoint.card(checkpoint.artifact(each.weights or "")) for each in (whole, again)]
    assert cards[0].tensors == cards[1].tensors
    alone = evaluate(job(save_weights=True), images=pictures())
    assert checkpoint.card(checkpoint.artifact(alone.weights or "")).tensors != cards[0].tensors


def test_a_teacher_of_other_images_is_refused(teacher: str) -> None:
    known = parents.described(teacher)
    for classes, channels, words in (
        (("left", "right", "up", "bottom"), 1, "other classes: 'top', 'up' are known to one alone"),
        (CLASSES[:3], 1, "'bottom' is known to one alone"),
        (CLASSES, 3, "images of 1 channels, and these have 3"),
    ):
        with pytest.raises(Refusal, match=words) as caught:
            order(known, classes, channels)
        assert caught.value.field == "teacher"
    with pytest.raises(Refusal, match="have no names"):
        order(parents.described("efficientnet_lite0"), CLASSES, 3)
    with pytest.raises(parents.UnknownParent):
        evaluate(job(recipe=taught("0" * 64)), images=pictures())


def test_a_teacher_is_looked_for_when_a_run_is_submitted(service: Service, teacher: str) -> None:
    search = service.search([], running=1)
    work = service.store.trial(search.id, 0).job
    service.end(work, Measurement(params=1, mult_adds=1, accuracy=0.5, weights=teacher), size=1)
    model = f"model:{search.id}-0"
    gone = service.search([], running=1)
    work = service.store.trial(gone.id, 0).job
    service.end(work, Measurement(params=1, mult_adds=1, accuracy=0.5, weights="a" * 64), size=1)
    data = {"dataset": "fashion_mnist", "trials": 4}
    proxy = {"dataset": "fashion_mnist", "candidates": 4}
    grown = service.search(POINTS).id
    for wanted, words in (
        ("model:f00f00f00f00-1", "no model"),
        ("f00f00f00f00-1", "unknown parent"),
        (model, "other classes"),
        (teacher, "other classes"),
        (f"model:{gone.id}-0", "no checkpoint"),
    ):
        for path, body, at in (
            ("/v1/searches", data | {"recipe": {"teacher": wanted}}, "/recipe/teacher"),
            ("/v1/growths", {"search": grown, "recipe": {"teacher": wanted}}, "/recipe/teacher"),
            ("/v1/proxies", proxy | {"dear": {"teacher": wanted}}, "/dear/teacher"),
        ):
            problem = service.post(path, body, status=422)
            assert words in problem["detail"]
            assert [fault["pointer"] for fault in problem["errors"]] == [at]


def test_a_model_that_can_teach_is_stored_by_its_hash(service: Service, teacher: str) -> None:
    search = service.search([], running=1)
    work = service.store.trial(search.id, 0).job
    service.end(work, Measurement(params=1, mult_adds=1, accuracy=0.5, weights=teacher), size=1)
    info = pictures().info
    faults = Faults()
    for name, stored in ((f"model:{search.id}-0", teacher), (teacher, teacher), (None, None)):
        recipe = admit_recipe(faults, "recipe", Recipe(teacher=name), info, Roots(()), service.store.model)
        assert recipe == Recipe(teacher=stored)
    assert not faults
