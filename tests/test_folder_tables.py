"""Files of Parquet as Hugging Face keeps images."""

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import pyarrow
import pyarrow.parquet
import pytest

from nas import datasets, extras
from nas.datasets import DatasetError
from tests.dataset_files import load

CLASSES = ["cat", "a/b"]


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "cache"


def png(shade: int) -> bytes:
    data = io.BytesIO()
    PIL.Image.new("RGB", (20, 20), (shade, 0, 255 - shade)).save(data, "png")
    return data.getvalue()


def table(
    path: Path, labels: list[Any], *, first: int = 0, image: str = "image", label: str = "label", named: bool = True
) -> Path:
    """One image for each of the `labels`, each of another shade."""
    cells = [{"bytes": png(first + number), "path": None} for number in range(len(labels))]
    features = {image: {"_type": "Image"}, label: {"_type": "ClassLabel", "names": CLASSES}}
    made = pyarrow.table({image: cells, label: labels})
    if named:
        made = made.replace_schema_metadata({"huggingface": json.dumps({"info": {"features": features}})})
    path.parent.mkdir(parents=True, exist_ok=True)
    pyarrow.parquet.write_table(made, path, row_group_size=3)
    return path


def test_parts_are_told_by_the_names_of_files_and_classes_by_the_schema(tmp_path: Path, cache: Path) -> None:
    root = tmp_path / "set"
    table(root / "data" / "train-00000-of-00002.parquet", [0, 1, 0, 1, 0])
    table(root / "data" / "train-00001-of-00002.parquet", [1, 1], first=50)
    table(root / "data" / "test-00000-of-00001.parquet", [1, 0], first=100)
    (root / "README.md").write_text("a card")
    info = datasets.describe(f"folder:{root}", cache)
    assert (info.classes, info.train_images, info.test_images) == (("a-b", "cat"), 7, 2)
    assert (info.resolution, info.channels) == (20, 3)
    images = load(root, cache)
    assert sorted(zip(images.train_images[:, 0, 0, 0].tolist(), images.train_labels.tolist())) == [
        (0, 1), (1, 0), (2, 1), (3, 0), (4, 1), (50, 0), (51, 0),
    ]  # fmt: skip
    assert np.sort(images.test_images[:, 0, 0, 0]).tolist() == [100, 101]


def test_files_may_lie_in_folders_of_parts(tmp_path: Path, cache: Path) -> None:
    for part, first in (("train", 0), ("validation", 20), ("test", 40)):
        table(tmp_path / "set" / "default" / part / "0000.parquet", [0, 1, 0, 1], first=first)
    info = datasets.describe(f"folder:{tmp_path}/set", cache)
    assert (info.train_images, info.validation_images, info.test_images) == (4, 4, 4)


def test_one_file_alone_with_labels_that_are_words(tmp_path: Path, cache: Path) -> None:
    path = table(tmp_path / "pets.parquet", ["dog", "cat"] * 10, image="img", label="labels", named=False)
    info = datasets.describe(f"folder:{path}", cache)
    assert (info.classes, info.train_images, info.test_images) == (("cat", "dog"), 18, 2)


def test_images_without_a_label_are_left_out_and_named(tmp_path: Path, cache: Path) -> None:
    root = tmp_path / "set"
    table(root / "train-00000-of-00001.parquet", [0, 1] * 5)
    table(root / "test-00000-of-00001.parquet", [-1, -1], first=50)
    info = datasets.describe(f"folder:{root}", cache)
    assert info.train_images + info.test_images == 10
    assert any("unlabelled" in remark.text for remark in info.remarks), info.remarks


def test_the_digest_changes_with_a_label(tmp_path: Path, cache: Path) -> None:
    path = table(tmp_path / "set" / "train.parquet", [0, 1] * 5)
    before = datasets.describe(f"folder:{tmp_path}/set", cache).digest
    table(path, [0, 1] * 4 + [1, 0])
    assert datasets.describe(f"folder:{tmp_path}/set", cache).digest != before


@pytest.mark.parametrize(
    ("columns", "words"),
    [
        ({"image": [b"x"]}, "it needs one of images, such as 'image', and one of labels, such as 'label'"),
        ({"image": [{"bytes": b"x"}] * 4, "label": [0, 0, 1, 1]}, "has no images"),
    ],
)
def test_what_cannot_be_used_is_said(tmp_path: Path, cache: Path, columns: Any, words: str) -> None:
    (tmp_path / "set").mkdir()
    pyarrow.parquet.write_table(pyarrow.table(columns), tmp_path / "set" / "train.parquet")
    with pytest.raises(DatasetError, match=words):
        datasets.describe(f"folder:{tmp_path}/set", cache)


def test_a_damaged_file_is_named(tmp_path: Path, cache: Path) -> None:
    path = table(tmp_path / "set" / "train.parquet", [0, 1])
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(DatasetError, match=r"train\.parquet cannot be read as Parquet"):
        datasets.describe(f"folder:{tmp_path}/set", cache)


def test_without_the_package_the_extra_is_named(tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    table(tmp_path / "set" / "train.parquet", [0, 1])
    monkeypatch.setattr(extras, "find_spec", lambda _: None)
    with pytest.raises(DatasetError, match=r"needs pyarrow: pip install 'nas-service\[parquet\]'"):
        datasets.describe(f"folder:{tmp_path}/set", cache)
