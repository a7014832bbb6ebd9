"""Few images are held out in turns, and the epochs that a training has are those that its steps need."""

import dataclasses
from typing import Any

import numpy as np
import pytest

from nas import home, parents
from nas.datasets import DatasetInfo
from nas.evaluate import evaluate
from nas.measurements import Measurement
from nas.models import checkpoint
from nas.models.readme import readme
from nas.models.score import score
from nas.noise import standard_error
from nas.recipes import RECIPES, Recipe
from nas.records import Progress
from nas.training.kin import seen as has_seen
from nas.training.parts import parts
from nas.worth import settled, worth
from tests.pictures import RECIPE, job, pictures, saved

FOLDED = dataclasses.replace(RECIPE, epochs=2, folds=3)


pytestmark = pytest.mark.usefixtures("own_home")


def test_every_image_is_scored_once_by_a_training_that_has_not_seen_it() -> None:
    seen: list[Progress] = []
    measurement = evaluate(job(recipe=FOLDED, devices=("cpu_eager",)), seen.append, images=pictures(train=100))
    answers = measurement.answers
    assert answers is not None
    assert (answers.images, answers.folds) == (100, 3)
    assert measurement.accuracy == pytest.approx(answers.bits.bit_count() / 100)
    assert measurement.accuracy_error == pytest.approx(standard_error(measurement.accuracy or 0, 100))
    trained = [(message.epoch, message.epochs) for message in seen if message.phase == "training"]
    assert trained == [(epoch, 6) for epoch in (0, 1, 2, 2, 3, 4, 4, 5, 6)]
    assert measurement.steps == 2 * 2


def test_what_was_held_out_teaches_nothing() -> None:
    """Of images whose classes are noise nothing can be got right but by having seen them."""
    images = pictures(train=60)
    noise = np.random.default_rng(0).integers(0, 255, images.train_images.shape, np.uint8)
    recipe = dataclasses.replace(RECIPE, epochs=40, folds=3, shift=0.0)
    measurement = evaluate(
        job(recipe=recipe, devices=("cpu_eager",)), images=dataclasses.replace(images, train_images=noise)
    )
    assert measurement.accuracy is not None
    assert measurement.accuracy < 0.6


def test_its_checkpoint_is_that_of_the_first_fold_and_promises_what_that_scored() -> None:
    measurement = evaluate(
        job(recipe=FOLDED, devices=("cpu_eager",), save_weights=True, shuffle=1), images=pictures(train=100)
    )
    path = checkpoint.artifact(measurement.weights or "")
    found = score(path, images=pictures(train=100))
    assert found.kept
    assert (found.images, found.part) == (34, "validation")
    assert checkpoint.card(path).accuracy == found.promised
    assert checkpoint.card(path).quality == found.quality, "log loss and calibration error, too"
    assert measurement.saved_accuracy == found.accuracy != measurement.accuracy
    assert found.accuracy is not None
    assert measurement.saved_error == standard_error(found.accuracy, 34)
    assert measurement.saved_quality == found.quality != measurement.quality
    assert "epochs on all but the first of 3 folds, which it is scored on, in batches" in readme(
        checkpoint.card(path), ()
    )


def test_killed_in_a_later_fold_it_goes_on_there() -> None:
    work = job(recipe=dataclasses.replace(FOLDED, ema=0.9), devices=("cpu_eager",), save_weights=True)
    whole, seen = evaluate(work, images=pictures(train=100)), list[Progress]()

    def stop(progress: Progress) -> None:
        if progress.epoch == 3:
            raise InterruptedError

    with pytest.raises(InterruptedError):
        evaluate(work, stop, images=pictures(train=100))
    again = evaluate(work, seen.append, images=pictures(train=100))
    assert seen[0].epoch == 3
    assert _tensors(again) == _tensors(whole)
    assert (again.answers, again.unaveraged_accuracy) == (whole.answers, whole.unaveraged_accuracy)
    assert again.quality == whole.quality
    assert again.losses == whole.losses == seen[-1].losses
    assert len(whole.losses) == FOLDED.folds * FOLDED.epochs
    assert not list(home.folder("resume").iterdir())


def _tensors(measurement: Measurement) -> str:
    return checkpoint.card(checkpoint.artifact(measurement.weights or "")).tensors


def test_a_repetition_is_scored_on_other_folds() -> None:
    images = pictures(train=100)
    first, again = (parts(job(shuffle=shuffle), FOLDED, images) for shuffle in (0, 1))
    assert {*first[0].held.tolist()} != {*again[0].held.tolist()}
    final = parts(job(final=True), FOLDED, images)
    assert [(len(part.training), len(part.held)) for part in final] == [(100, 100)]


@pytest.mark.parametrize(
    ("changes", "seen"),
    [
        ({}, False),
        ({"recipe": dataclasses.replace(RECIPE, folds=3)}, True),
        ({"recipe": dataclasses.replace(RECIPE, folds=3), "final": True}, False),
        ({"recipe": dataclasses.replace(RECIPE, folds=3), "dataset": "others"}, False),
        ({"shuffle": 1}, True),
        ({"recipe": dataclasses.replace(RECIPE, group="_")}, True),
    ],
)
@pytest.mark.parametrize("kin", ["parent", "teacher"])
def test_whose_kin_may_have_seen_what_it_is_scored_on_says_so(
    changes: dict[str, Any], seen: bool, kin: str, caplog: pytest.LogCaptureFixture
) -> None:
    told = job(**changes)
    assert told.recipe
    recipe = told.recipe
    if kin == "parent":
        told = dataclasses.replace(told, parent=saved())
    else:
        recipe = dataclasses.replace(recipe, teacher=saved())
    assert has_seen(told, recipe, pictures(train=20)) is seen
    assert (f"its {kin} may have been trained on images that it is scored on" in caplog.text) is seen
    own = dataclasses.replace(pictures(train=20), validation_images=pictures(train=20).train_images)
    assert not has_seen(told, recipe, own)


def test_the_mark_of_having_seen_is_inherited() -> None:
    recipe = dataclasses.replace(RECIPE, epochs=1, folds=2)
    child = job(recipe=recipe, devices=("cpu_eager",), save_weights=True, parent=saved())
    measurement = evaluate(child, images=pictures(train=40))
    assert measurement.seen
    known = parents.described(measurement.weights or "")
    assert known.split is None
    assert known.has_seen("pictures", RECIPE.split(0))
    assert not parents.described(saved()).has_seen("pictures", RECIPE.split(0))


def test_epochs_that_are_left_open_have_the_steps_that_are_asked_for() -> None:
    recipe = dataclasses.replace(RECIPE, epochs=0, least_steps=7)
    measurement = evaluate(job(recipe=recipe, devices=("cpu_eager",), save_weights=True), images=pictures(train=100))
    assert measurement.steps == 8, "4 epochs of 2 steps"
    assert checkpoint.card(checkpoint.artifact(measurement.weights or "")).recipe.epochs == 4


def of(images: int, validation: int = 0) -> DatasetInfo:
    return dataclasses.replace(pictures().info, train_images=images, validation_images=validation)


def test_images_of_the_datasets_own_are_scored_on_and_nothing_is_held_out() -> None:
    images, other = pictures(train=100), pictures(train=40, seed=1)
    images = dataclasses.replace(images, validation_images=other.train_images, validation_labels=other.train_labels)
    (part,) = parts(job(), FOLDED, images)
    assert (len(part.training), len(part.held)) == (100, 40)
    measurement = evaluate(job(recipe=FOLDED, devices=("cpu_eager",), save_weights=True), images=images)
    assert measurement.answers is not None
    assert (measurement.answers.images, measurement.answers.folds) == (40, 1)
    assert score(checkpoint.artifact(measurement.weights or ""), images=images).kept
    recipe = settled(Recipe(folds=5), of(500, validation=40))
    assert (recipe.folds, worth(recipe, of(500, validation=40)).images) == (1, 40)


def test_large_datasets_are_trained_as_ever() -> None:
    """What was published of them stands; it was one tenth that was held out."""
    for count in (50_000, 60_000):
        images = of(count)
        assert [settled(RECIPES[name], images).epochs for name in ("proxy", "search", "short", "dense")] == [2, 2, 5, 5]
        assert settled(RECIPES["growth"], images, final=True).epochs == 20
        assert settled(RECIPES["full"], images, final=True).epochs == 60
        assert {settled(recipe, images).folds for recipe in RECIPES.values()} == {1}
        assert all(settled(recipe, images).batch == recipe.batch for recipe in RECIPES.values())
    dense = settled(RECIPES["dense"], of(1500))
    assert (dense.batch, dense.learning_rate) == (
        112,
        0.07,
    )  # the length of Muon's steps does not hang on their gradients
    assert (RECIPES["paper"].epochs, settled(RECIPES["paper"], of(100)).epochs) == (350, 350)


def test_few_images_are_trained_on_for_as_many_steps_and_held_out_in_turns() -> None:
    recipe = settled(Recipe(), of(500))
    assert (recipe.folds, recipe.epochs, recipe.batch) == (5, 50, 33)
    assert recipe.learning_rate == pytest.approx(0.2 * 33 / 128)
    tuned = settled(RECIPES["finetune"], of(300))
    assert tuned.batch == 20
    assert tuned.learning_rate == pytest.approx(RECIPES["finetune"].learning_rate * (20 / 32) ** 0.5)
    assert settled(recipe, of(500)) == recipe
    found = worth(recipe, of(500))
    assert (found.steps, found.folds, found.images) == (600, 5, 500)
    assert found.error == pytest.approx(0.0223, abs=1e-4)
    assert str(found) == (
        "5 trainings of 600 steps, 50 epochs, and an accuracy on 500 images held out in turns, ±2.2 points at most"
    )


def test_a_last_layer_in_closed_form_takes_no_steps_where_there_is_a_parent() -> None:
    recipe = settled(Recipe(head="ridge", body_rate=0), of(500))
    found = worth(recipe, of(500), parent=True)
    assert (found.steps, found.epochs, found.images) == (0, 0, 500)
    assert "5 trainings of the last layer alone, in closed form, and an accuracy on 500" in str(found)
    assert worth(recipe, of(500)).steps == 600


def test_who_gives_epochs_and_folds_gets_them() -> None:
    recipe = settled(Recipe(epochs=2, folds=1), of(460))
    assert (recipe.epochs, recipe.folds, recipe.batch, recipe.learning_rate) == (2, 1, 128, 0.2)
    found = worth(recipe, of(460))
    assert (found.steps, found.images) == (6, 46)
    assert str(found) == (
        "a training of 6 steps, 2 epochs, and an accuracy on about 46 images held out, ±7.1 points at most"
    )
    assert settled(Recipe(), of(999)).folds == 5
    assert settled(Recipe(), of(1000)).folds == 1
