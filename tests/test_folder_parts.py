"""Folders that say which images are for what, under the names that people give them; none of them becomes a class."""

import shutil
from pathlib import Path

import pytest

from nas import datasets
from nas.datasets import DatasetError, DatasetInfo
from tests.dataset_files import draw, fill, load


def described(images: Path, cache: Path) -> DatasetInfo:
    return datasets.describe(f"folder:{images}", cache)


@pytest.mark.parametrize(
    ("train", "test"),
    [
        ("Train", "Test"),
        ("TRAIN", "TEST"),
        ("Training", "Testing"),
        ("training_set", "test_set"),
        ("TrainSet", "TestSet"),
        ("trainset", "testset"),
        ("train_images", "test-images"),
        ("train1", "test1"),
        ("train2017", "eval2017"),
        ("seg_train/seg_train", "seg_test/seg_test"),
        ("flowers_train", "flowers_test"),
        ("train/images", "test/images"),
        ("archive/dataset/train", "archive/dataset/test"),
        ("training", "validation"),
        ("train", "val"),
        ("train", "Valid"),
    ],
)
def test_parts_by_their_names(images: Path, cache: Path, train: str, test: str) -> None:
    fill(images / train, images=4)
    fill(images / test, images=2)
    info = described(images, cache)
    assert (info.classes, info.train_images, info.test_images) == (("cat", "dog"), 8, 4)
    assert info.validation_images == 0
    assert info.remarks[0].kind == "parts"
    assert f"train from {train.removeprefix('archive/dataset/').split('/')[0]}" in info.remarks[0].text


@pytest.mark.parametrize("name", ["val", "VALID", "validation", "dev", "val_set"])
def test_validation_images_of_its_own(images: Path, cache: Path, name: str) -> None:
    fill(images / "train", images=4)
    fill(images / "test", images=2)
    fill(images / name, images=3)
    found = load(images, cache)
    assert (found.info.train_images, found.info.validation_images, found.info.test_images) == (8, 6, 4)
    assert found.validation_images is not None
    assert found.validation_labels is not None
    assert found.validation_images.shape == (6, 3, 8, 8)
    assert sorted(found.validation_labels.tolist()) == [0, 0, 0, 1, 1, 1]


def test_the_same_within_each_class(images: Path, cache: Path) -> None:
    for name in ("cat", "dog"):
        fill(images / name, classes=("Train", "Test"), images=3)
    info = described(images, cache)
    assert (info.classes, info.train_images, info.test_images) == (("cat", "dog"), 6, 6)


def test_classes_beside_the_folder_of_those_to_test_on(images: Path, cache: Path) -> None:
    fill(images, images=4)
    fill(images / "test", images=2)
    info = described(images, cache)
    assert (info.classes, info.train_images, info.test_images) == (("cat", "dog"), 8, 4)


def test_pictures_without_labels_are_left_out_and_said(images: Path, cache: Path) -> None:
    fill(images / "seg_train", images=4)
    fill(images / "seg_test", images=2)
    draw(images / "seg_pred" / "seg_pred" / "1.png")
    info = described(images, cache)
    assert (info.train_images, info.test_images) == (8, 4)
    (remark,) = (remark for remark in info.remarks if remark.kind == "left out")
    assert (remark.images, remark.text) == (1, "1 images of seg_pred are left out: they have no labels")


@pytest.mark.parametrize("tops", [("fold_0", "fold_1"), ("lernen", "prüfen"), ("set-a", "set-b", "set-c"), ("1", "2")])
def test_parts_of_unknown_names_are_no_classes(images: Path, cache: Path, tops: tuple[str, ...]) -> None:
    for top in tops:
        fill(images / top, images=4)
    with pytest.raises(DatasetError, match=f"{tops[0]}, {tops[1]}.* all have the folders cat, dog.* called train, "):
        described(images, cache)


def test_what_is_left_of_two_parts_is_refused(images: Path, cache: Path) -> None:
    fill(images / "val")
    fill(images / "test")
    with pytest.raises(DatasetError, match="has test, val and no folder of images to train on: call it train"):
        described(images, cache)


def test_parts_of_folds_are_no_classes(images: Path, cache: Path) -> None:
    for fold in ("fold1", "fold2"):
        fill(images / fold / "train", images=4)
        fill(images / fold / "test", images=2)
    with pytest.raises(DatasetError, match=r"the folders fold1, fold2 all have the folders test, train"):
        described(images, cache)


@pytest.mark.parametrize("within", ["test", "test/test", "test/images"])
def test_test_images_without_classes(images: Path, cache: Path, within: str) -> None:
    fill(images / "train")
    draw(images / within / "1.png")
    with pytest.raises(DatasetError, match=f"{within}/1.png lies in no class: move it"):
        described(images, cache)


@pytest.mark.parametrize("test", ["test", "test1", "Testing"])
def test_images_that_are_not_sorted_into_classes(images: Path, cache: Path, test: str) -> None:
    for index in range(12):
        draw(images / "train" / f"{'cat' if index % 2 else 'dog'}.{index}.png")
        draw(images / test / f"{index}.png")
    with pytest.raises(
        DatasetError, match=r"train/cat.*lies in no class.*one folder for each class, such as train/cat"
    ):
        described(images, cache)


def test_one_part_beside_classes_is_refused(images: Path, cache: Path) -> None:
    fill(images, classes=("cat", "dog", "Test"))
    with pytest.raises(DatasetError, match="folder 'Test' lies beside cat, dog, and is by its name a part"):
        described(images, cache)


def test_parts_of_single_classes_are_refused(images: Path, cache: Path) -> None:
    fill(images, classes=("cat_train", "cat_test", "dog_train", "dog_test"))
    with pytest.raises(DatasetError, match="'cat_test' and 'cat_train' are by their names parts of one class"):
        described(images, cache)


@pytest.mark.parametrize("classes", [("invalid", "valid"), ("boat", "train"), ("blood_test", "eye_test")])
def test_classes_that_only_sound_like_parts(images: Path, cache: Path, classes: tuple[str, ...]) -> None:
    assert described(fill(images, classes=classes), cache).classes == classes


def test_classes_spelled_otherwise_in_another_part(images: Path, cache: Path) -> None:
    fill(images / "train", classes=("Cat", "Entrée"), images=4)
    fill(images / "test", classes=("cat", "entre\u0301e"), images=2)
    info = described(images, cache)
    assert (info.classes, info.train_images, info.test_images) == (("Cat", "Entrée"), 8, 4)


def test_classes_that_differ_by_case_alone_are_told_apart_and_said(images: Path, cache: Path) -> None:
    info = described(fill(images, classes=("A", "a", "b")), cache)
    assert info.classes == ("A", "a", "b")
    assert [remark.kind for remark in info.remarks] == ["classes"]


def test_what_a_system_leaves_is_neither_class_nor_image(images: Path, cache: Path) -> None:
    fill(images)
    for name in ("$RECYCLE.BIN", "System Volume Information", "lost+found", "__pycache__", "@eaDir", ".AppleDouble"):
        draw(images / name / "000.png")
        draw(images / "cat" / name / "000.png", size=(3, 3))
    for name in ("Thumbs.db", "desktop.ini", "._000.png", ".hidden.png"):
        (images / "cat" / name).write_bytes(b"x")
    info = described(images, cache)
    assert (info.classes, info.train_images + info.test_images, info.remarks) == (("cat", "dog"), 20, ())


def test_folders_without_images_are_no_classes_and_said(images: Path, cache: Path) -> None:
    fill(images)
    (images / "eel").mkdir()
    (images / "labels").mkdir()
    (images / "labels" / "1.txt").touch()
    (images / "README.txt").touch()
    info = described(images, cache)
    assert info.classes == ("cat", "dog")
    assert [remark.text for remark in info.remarks] == [
        "eel, labels have no images, and count as no classes",
        "files that are left out, as they are no images that can be opened: 1 .txt",
    ]


def test_the_digest_is_of_names_sizes_and_labels(images: Path, tmp_path: Path, cache: Path) -> None:
    first = described(fill(images), cache)
    moved = Path(shutil.copytree(images, tmp_path / "elsewhere"))
    assert described(moved, cache).digest == first.digest
    (moved / "dog").rename(moved / "hound")
    renamed = described(moved, cache)
    with pytest.raises(
        datasets.Changed, match=r"class 'dog' is gone; class 'hound' is new, .*put the images of folder:"
    ):
        datasets.require_same(first, renamed)
    draw(images / "cat" / "new.png")
    with pytest.raises(datasets.Changed, match="there are 19 train images instead of 18"):
        datasets.require_same(first, described(images, cache))


def test_a_name_means_the_same_from_any_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", "/home/zoe")
    assert datasets.absolute("folder:pets") == f"folder:{tmp_path}/pets"
    assert datasets.absolute("folder:~/pets") == "folder:/home/zoe/pets"
    assert datasets.absolute("folder:/pets") == "folder:/pets"
    assert datasets.absolute("fashion_mnist") == "fashion_mnist"
    assert datasets.absolute("folder:") == "folder:"
