"""Images that belong together by their files' names are held out together."""

import dataclasses
import logging
from pathlib import Path

import numpy as np
import pytest

from nas import datasets
from nas.datasets import DatasetError, ImageSet
from nas.evaluate import evaluate
from nas.groups import group, require
from nas.models import checkpoint
from nas.models.score import score
from nas.recipes import Recipe
from nas.refusal import Refusal
from nas.training.data import Indices, split
from nas.training.groups import numbered
from nas.training.parts import parts
from tests.dataset_files import draw, fill, load, pack
from tests.pictures import RECIPE, job, pictures
from tests.service import Service

GROUPED = dataclasses.replace(RECIPE, epochs=1, folds=3, group="_")


def named(count: int = 96, each: int = 4) -> ImageSet:
    """So many pictures, `each` of which, of all four classes, are of one group."""
    names = np.array([f"{number // each}_{number}.png".encode() for number in range(count)])
    return dataclasses.replace(pictures(train=count), train_names=names)


def sides(labels: Indices, groups: Indices, folds: int, shuffle: int = 0) -> list[set[int]]:
    """Whose groups each fold holds out, once it is certain that none of them is trained on, and each image is held
    out once."""
    parts = [split(labels, fold=fold, folds=folds, shuffle=shuffle, groups=groups) for fold in range(folds)]
    for training, held in parts:
        assert not {*groups[training]} & {*groups[held]}
        assert sorted([*training, *held]) == list(range(len(labels)))
    if folds > 1:
        assert sorted(np.concatenate([held for _, held in parts])) == list(range(len(labels)))
    return [{*groups[held].tolist()} for _, held in parts]


@pytest.mark.parametrize("folds", [2, 3, 5])
def test_groups_of_all_sizes_stay_together_and_folds_have_the_classes_in_proportion(folds: int) -> None:
    random = np.random.default_rng(0)
    groups = random.permutation(np.repeat(np.arange(60), random.integers(1, 12, 60)))
    kinds = random.integers(0, 3, 60)  # each group is of one class
    labels = kinds[groups]
    sides(labels, groups, folds)
    for fold in range(folds):
        counted = np.bincount(labels[split(labels, fold=fold, folds=folds, groups=groups)[1]], minlength=3)
        assert np.allclose(counted / np.bincount(labels), 1 / folds, atol=0.04)


def test_a_rare_class_is_spread_over_the_folds() -> None:
    """By sizes alone, groups 0 and 1, which have it, could come together."""
    groups = np.repeat(np.arange(6), [9, 9, 10, 10, 10, 10])
    labels = (np.isin(np.arange(58), [0, 9])).astype(np.int64)
    assert [len(held & {0, 1}) for held in sides(labels, groups, 2)] == [1, 1]


def test_about_a_tenth_is_held_out_where_there_is_one_fold() -> None:
    groups = np.repeat(np.arange(40), 5)
    labels = np.tile(np.arange(2), 100)
    (held,) = sides(labels, groups, 1)
    assert len(held) == 4
    few = np.repeat(np.arange(3), [50, 30, 20])
    assert sides(few % 1, few, 1) == [{2}], "of three groups the one nearest to a tenth"


def test_a_repetition_holds_others_out_together() -> None:
    groups = np.repeat(np.arange(30), np.tile([3, 4, 5], 10))
    labels = np.arange(len(groups)) % 2
    first, again = (sides(labels, groups, 3, shuffle) for shuffle in (0, 1))
    assert all(held not in first for held in again)
    assert sides(labels, groups, 3) == first


def test_file_names_come_with_the_images_and_say_the_group(images: Path, tmp_path: Path, cache: Path) -> None:
    fill(images, images=10)
    draw(images / "cat" / "more" / "rex_1.png", (9, 9, 9))
    draw(images / "dog" / "broken_1.png").write_bytes(b"no image")
    for place in (images, pack(tmp_path / "pets.tar", images)):
        found = load(place, cache)
        assert found.train_names is not None
        assert found.test_names is not None
        assert (len(found.train_names), len(found.test_names)) == (len(found.train_images), len(found.test_images))
        for name, image in zip(found.train_names, found.train_images):
            if name != b"rex_1.png":
                assert image[1, 0, 0] == int(name[:3]), "as `fill` has drawn it"
        listed = datasets.names(f"folder:{place}", cache)
        assert {name.rpartition("/")[2].encode() for name in listed} == {*found.train_names.tolist(), b"broken_1.png"}
        assert {*listed.values()} == {"cat", "dog"}
    assert [group(name, "_") for name in ("cat/rex_1.png", "cat/rex_2_b.png", "a_b/tom.png")] == [
        "rex",
        "rex",
        "tom.png",
    ]


def test_a_checkpoint_is_scored_again_on_the_groups_that_were_held_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NAS_HOME", str(tmp_path))
    images = named()
    divided = parts(job(), GROUPED, images)
    groups = numbered(images, "_")
    assert groups is not None
    assert all(not {*groups[part.training]} & {*groups[part.held]} for part in divided)
    measurement = evaluate(job(recipe=GROUPED, devices=("cpu_eager",), save_weights=True), images=images)
    path = checkpoint.artifact(measurement.weights or "")
    found = score(path, images=images)
    assert found.kept
    assert found.images == len(divided[0].held)
    assert checkpoint.card(path).quality == found.quality
    with pytest.raises(DatasetError, match="no file names"):
        score(path, images=pictures(train=96))


def test_names_that_say_nothing_are_refused_where_images_are_read() -> None:
    alike = np.array([f"IMG_{number}.png".encode() for number in range(96)])
    with pytest.raises(DatasetError, match="one group"):
        parts(job(), GROUPED, dataclasses.replace(named(), train_names=alike))


def test_scored_images_whose_group_is_trained_on_are_told(caplog: pytest.LogCaptureFixture) -> None:
    names = np.array([f"{number}_x.png".encode() for number in range(20, 120)])
    with caplog.at_level(logging.WARNING):
        parts(job(final=True), GROUPED, dataclasses.replace(named(), test_names=names))
    assert [record.getMessage() for record in caplog.records] == [
        "4 of 100 test images belong to groups that are trained on: keep whole groups apart in a folder test"
    ]


def test_what_cannot_be_grouped_is_refused_in_words() -> None:
    pets = {
        f"{own}/{own}{animal}-{number}.jpg": own for own in ("cat", "dog") for animal in "ab" for number in range(3)
    }
    require(pets, "-", 4)
    for classes, separator, folds, said in (
        ({}, "-", 2, "no file names"),
        (pets, "-", 5, "makes 4 of 12 images, 'cata' with 3, 'catb' with 3, 'doga' with 3, and 5 folds"),
        (pets, "a", 2, "class 'cat' into 'c'"),
        (pets, "_", 2, "puts no two of 12 images together"),
    ):
        with pytest.raises(Refusal, match=said) as caught:
            require(classes, separator, folds)
        assert caught.value.field == "group"
    for text in ("a/b", "x" * 51):
        with pytest.raises(Refusal, match="a few characters"):
            Recipe(group=text)


def test_the_service_refuses_it_at_its_field(service: Service, images: Path) -> None:
    for own in ("cat", "dog"):
        for number in range(20):
            draw(images / own / f"{own}{number // 5}_{number}.png", (number, 0, 0))
    dataset = f"folder:{images}"
    made = service.post("/v1/searches", {"dataset": dataset, "recipe": {"group": "_"}})
    assert (made["spec"]["recipe"]["group"], made["spec"]["recipe"]["folds"]) == ("_", 5)
    for body in (
        {"dataset": dataset, "recipe": {"group": "_", "folds": 9}},
        {"dataset": "fashion_mnist", "recipe": {"group": "_"}},
    ):
        problem = service.ask("POST", "/v1/searches", 422, json=body)
        assert [fault["pointer"] for fault in problem["errors"]] == ["/recipe/group"]
    proxy = {"dataset": dataset, "candidates": 4, "cheap": {"group": "_", "folds": 9}}
    problem = service.ask("POST", "/v1/proxies", 422, json=proxy)
    assert [fault["pointer"] for fault in problem["errors"]] == ["/cheap/group"]
