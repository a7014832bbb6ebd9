"""A model whose images have changed since: no accuracy is told that may be of images it was trained on, its files are
handed over all the same, and what is said with them says so."""

import dataclasses
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import PIL.Image
import pytest

from nas import exporters, spaces
from nas.datasets import DatasetError
from nas.evaluate import evaluate
from nas.models import archive, checkpoint, readme, score
from nas.models.checkpoint import BadCheckpoint
from nas.models.manifest import FileScore, Way
from tests.pictures import CLASSES, RECIPE, job, pictures
from tests.test_checkpoint import with_card

pytestmark = pytest.mark.usefixtures("modules_home")
CHANGED = "the images of folder:{} have changed since it was trained: its accuracy cannot be checked again"


def draw(root: Path, *, images: int, seed: int = 0, parts: tuple[str, ...] = ("",)) -> None:
    """That many pictures for each part, in a folder a class."""
    for number, part in enumerate(parts):
        drawn = pictures(train=images, test=4, seed=seed + number)
        for index, (image, label) in enumerate(zip(drawn.train_images, drawn.train_labels)):
            place = root / part / CLASSES[label]
            place.mkdir(parents=True, exist_ok=True)
            PIL.Image.fromarray(image[0]).save(place / f"{seed}-{index}.png")


def trained(root: Path) -> Path:
    measurement = evaluate(
        job(
            dataset=f"folder:{root}",
            devices=("cpu_eager",),
            save_weights=True,
            recipe=dataclasses.replace(RECIPE, epochs=8),
        )
    )
    return checkpoint.artifact(measurement.weights or "")


@pytest.fixture(scope="module")
def flowers(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Without folders of its own for tests or validation."""
    root = tmp_path_factory.mktemp("flowers") / "whole"
    draw(root, images=320)
    return root


@pytest.fixture(scope="module")
def model(flowers: Path) -> Path:
    return trained(flowers)


def more(root: Path) -> None:
    draw(root, images=20, seed=7)


def fewer(root: Path) -> None:
    for name in CLASSES:
        next((root / name).iterdir()).unlink()


def relabelled(root: Path) -> None:
    for one, other in (("left", "right"), ("right", "left")):
        file = sorted((root / one).glob("0-*"))[0]
        file.rename(root / other / f"moved-{file.name}")


def another_class(root: Path) -> None:
    shutil.copytree(root / "left", root / "middle")


@pytest.fixture
def later(flowers: Path, tmp_path: Path) -> Path:
    """A copy of the images, to be changed."""
    return Path(shutil.copytree(flowers, tmp_path / "later"))


@pytest.mark.parametrize("change", [more, fewer, relabelled, another_class])
def test_images_that_have_changed_are_not_scored(
    model: Path, later: Path, change: Callable[[Path], None], capsys: pytest.CaptureFixture[str]
) -> None:
    place = f"folder:{later}"
    assert score.main([str(model), "--dataset", place]) == 0
    assert "promised" in capsys.readouterr().out
    change(later)
    assert score.main([str(model), "--dataset", place]) == 1
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err == f"{CHANGED.format(later)} here: put them back as they were, or name a copy with --dataset\n"


def test_files_are_handed_over_unscored_where_images_have_changed(model: Path, later: Path, tmp_path: Path) -> None:
    more(later)
    whole = archive.build(model, tmp_path / "model", f"folder:{later}")
    ways = {way.exporter: way for way in whole.ways if not exporters.missing(way.exporter)}
    assert {name: way.refused for name, way in ways.items()} == dict.fromkeys(ways)
    for name, way in ways.items():
        assert way.score is not None
        assert (way.score.accuracy, way.score.unchecked) == (None, CHANGED.format(later)), name
        assert way.score.alike is not None
        assert way.score.alike == 1 or name == "int8", name
    assert ways["int8"].latency
    assert ways["int8"].save_as == f"trial0_{ways['int8'].latency.median_ms:.3g}ms_int8.onnx", "no accuracy of its own"
    text = (tmp_path / "model" / "card.md").read_text()
    assert f"Not checked again: {CHANGED.format(later)}." in text
    assert "| `model.int8.onnx` | not checked |" in text
    assert "scored what was promised" not in text
    files = json.loads((tmp_path / "model" / "metrics.json").read_text())["files"]
    assert {row["accuracy"] for row in files.values()} == {None}


def test_files_are_handed_over_where_there_are_no_images_any_more(model: Path, later: Path, tmp_path: Path) -> None:
    shutil.rmtree(later)
    whole = archive.build(model, tmp_path / "model", f"folder:{later}")
    ways = {way.exporter: way for way in whole.ways if not exporters.missing(way.exporter)}
    gone = f"its accuracy cannot be checked again, as its images are not there: {later} does not exist"
    assert {name for name, way in ways.items() if way.refused} == {"int8"}, "which is calibrated on them"
    for name in ways.keys() - {"int8"}:
        own = ways[name].score
        assert own is not None
        assert (own.accuracy, own.alike) == (None, 1), name
        assert (own.unchecked or "").startswith(gone), name
    assert f"Not checked again: {gone}" in (tmp_path / "model" / "card.md").read_text()
    with pytest.raises(DatasetError, match="does not exist"):
        score.score(model, f"folder:{later}")


def test_an_archive_without_a_network_is_none(model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive, "_scored", lambda *_: (_ for _ in ()).throw(BadCheckpoint("it answers NaN")))
    with pytest.raises(BadCheckpoint, match="no form that it could be handed out in: it answers NaN"):
        archive.build(model, tmp_path / "model")
    assert not (tmp_path / "model").exists()


def test_another_network_under_a_files_name_is_found_out_without_a_score(
    model: Path, later: Path, tmp_path: Path
) -> None:
    more(later)
    archive.build(model, tmp_path / "model", f"folder:{later}")
    _, card = checkpoint.load(model)
    fresh = spaces.load(card.space).build(card.architecture).eval()
    source = exporters.Source(checkpoint=model, network=fresh, card=card, dataset=f"folder:{later}")
    for name in ("onnx", "pt2", "int8"):
        exporter = exporters.load(name)
        path = tmp_path / "model" / exporter.FILE
        assert score.score(path, source.dataset).kept
        exporter.export(source, path)
        assert not score.score(path, source.dataset).kept, name


def test_images_of_its_own_to_be_scored_on_are_compared_alone(tmp_path: Path) -> None:
    root = tmp_path / "parted"
    draw(root, images=120, parts=("train", "val", "test"))
    path = trained(root)
    before = score.score(path)
    draw(root, images=20, seed=9, parts=("train",))
    assert score.score(path) == before, "what it is scored on is as it was"
    draw(root, images=20, seed=9, parts=("val",))
    assert score.score(path).unchecked == CHANGED.format(root)


def test_a_card_that_does_not_know_its_images_is_believed_as_long_as_it_keeps_its_promise(
    model: Path, tmp_path: Path
) -> None:
    (tmp_path / "early").mkdir()
    copy = Path(shutil.copy(model, tmp_path / "early" / "model.safetensors"))
    early = with_card(copy, "contents", "scored_images")
    assert checkpoint.card(early).contents is None
    assert score.score(early).kept
    off = with_card(copy, "contents", "scored_images", accuracy=0.3)
    whole = archive.build(off, tmp_path / "model")
    ways = [way for way in whole.ways if not exporters.missing(way.exporter)]
    assert [way.refused for way in ways] == [None] * len(ways)
    words = "and 0.3000 was promised: its images, which an earlier version did not write down, have changed"
    assert all(way.score and words in (way.score.unchecked or "") for way in ways)


@pytest.mark.parametrize(
    ("there", "line"),
    [
        (("onnx", "int8"), "    python classify.py photo.jpg\n"),
        (("int8",), "    python classify.py photo.jpg --model model.int8.onnx\n"),
        ((), None),
    ],
)
def test_a_card_names_no_file_that_is_not_there(model: Path, there: tuple[str, ...], line: str | None) -> None:
    ways = [
        Way(exporter=name, file=exporters.load(name).FILE, refused=None if name in there else "it is broken")
        for name in ("safetensors", "onnx", "int8")
    ]
    text = readme.readme(checkpoint.card(model), ways)
    assert (line in text) if line else ("python classify.py" not in text)
    assert "nas.load" not in text
    assert ('"onnx"' in text) == ("onnx" in there)


@pytest.mark.parametrize("seen", [True, False])
def test_a_card_says_that_its_images_were_seen_before(model: Path, seen: bool) -> None:
    text = readme.readme(dataclasses.replace(checkpoint.card(model), seen=seen), [])
    said = "What it began with, or its teacher, may have been trained on these: that flatters it."
    assert (said in text) is seen


@pytest.mark.parametrize(("alike", "loses", "kept"), [(1.0, 0.0, True), (0.99, 0.0, False), (0.91, 0.05, True)])
def test_what_cannot_be_scored_has_to_answer_as_torch_does(alike: float, loses: float, kept: bool) -> None:
    found = FileScore(
        accuracy=None, promised=0.9, images=100, part="any", loses=loses, unchecked="changed", alike=alike
    )
    assert found.kept is kept
    assert not dataclasses.replace(found, alike=0.89).kept
