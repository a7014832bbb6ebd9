"""Trained networks as files, and whether they keep their promises."""

import dataclasses
import hashlib
import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from nas import datasets, home
from nas.codec import encode
from nas.evaluate import evaluate
from nas.measurements import Measurement
from nas.models import checkpoint
from nas.models.checkpoint import BadCheckpoint
from nas.models.score import main, score
from nas.networks.counts import counts
from tests.pictures import CLASSES, RECIPE, TINY, job, pictures

pytestmark = pytest.mark.usefixtures("own_home")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Measurement]:
    """One checkpoint of a final network, to be copied."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NAS_HOME", str(tmp_path_factory.mktemp("made")))
        measurement = evaluate(job(final=True, save_weights=True, member="B0"), images=pictures())
        assert measurement.weights is not None
        return checkpoint.artifact(measurement.weights), measurement


@pytest.fixture
def path(made: tuple[Path, Measurement], tmp_path: Path) -> Path:
    return Path(shutil.copy(made[0], tmp_path))


def with_card(path: Path, *left_out: str, **changes: object) -> Path:
    """A copy of the checkpoint with an altered card."""
    data = path.read_bytes()
    end = 8 + int.from_bytes(data[:8], "little")
    header = json.loads(data[8:end])
    card = json.loads(header["__metadata__"]["nas"]) | changes
    header["__metadata__"]["nas"] = json.dumps({name: card[name] for name in card if name not in left_out})
    text = json.dumps(header).encode()
    altered = path.with_name("altered.safetensors")
    altered.write_bytes(len(text).to_bytes(8, "little") + text + data[end:])
    return altered


def test_its_name_is_its_hash_and_its_card_says_what_it_is(made: tuple[Path, Measurement], path: Path) -> None:
    measurement = made[1]
    assert hashlib.sha256(path.read_bytes()).hexdigest() == path.stem == measurement.weights
    card = checkpoint.card(path)
    assert card.architecture == TINY
    assert card.recipe == RECIPE
    assert (card.params, card.mult_adds) == (counts(TINY).params, counts(TINY).mult_adds)
    assert (card.run, card.number, card.member, card.classes) == ("run", 0, "B0", CLASSES)
    assert (card.accuracy, card.test_accuracy) == (None, measurement.test_accuracy)
    assert card.latencies == measurement.latencies
    assert 0 < card.mean[0] < 1
    assert 0 < card.std[0] < 1


def test_its_card_is_read_by_the_standard_library_alone(path: Path) -> None:
    code = (
        "import sys; sys.modules |= dict.fromkeys(('torch', 'numpy', 'safetensors'))\n"
        "from pathlib import Path; from nas.models import checkpoint; print(checkpoint.card(Path(sys.argv[1])).member)"
    )
    ran = subprocess.run([sys.executable, "-c", code, path], capture_output=True, text=True)
    assert (ran.stdout, ran.stderr) == ("B0\n", "")


def test_it_reloads_with_the_accuracy_that_was_promised(made: tuple[Path, Measurement], path: Path) -> None:
    network, _ = checkpoint.load(path)
    assert not network.training
    assert {value.dtype for value in network.parameters()} == {torch.float32}
    found = score(path, images=pictures())
    assert found.kept
    assert (found.part, found.images, found.accuracy) == ("test", 100, made[1].test_accuracy)


def test_that_of_a_candidate_is_scored_on_the_validation_images() -> None:
    measurement = evaluate(job(save_weights=True), images=pictures())
    assert measurement.weights is not None
    found = score(checkpoint.artifact(measurement.weights), images=pictures())
    assert (found.part, found.images, found.accuracy) == ("validation", 40, measurement.accuracy)


def test_the_same_weights_and_card_make_the_same_file(path: Path) -> None:
    assert checkpoint.save(*checkpoint.load(path)) == path.stem


def test_half_an_image_is_the_most_that_a_promise_may_be_off(path: Path) -> None:
    promised = checkpoint.card(path).test_accuracy
    assert promised is not None
    for off, kept in ((0.004, True), (0.006, False)):  # of 100 images
        altered = with_card(path, test_accuracy=promised - off)
        assert score(altered, images=pictures()).kept is kept


def test_one_of_the_first_format_is_read_as_if_it_had_been_saved_today(path: Path) -> None:
    """It had the latency on the first device apart from the others, and a reference for a yardstick."""
    card = checkpoint.card(path)
    (latency,) = card.latencies.values()
    other = dataclasses.replace(latency, device="cpu_eager")
    early = dataclasses.replace(latency, ratio=None, yardstick_ms=None)
    first, second = ({**vars(each), "reference_ms": each.yardstick_ms} for each in (latency, other))
    for spelled in (first, second):
        del spelled["yardstick_ms"]
    only = {name: value for name, value in vars(early).items() if name not in ("ratio", "yardstick_ms")}
    for changes, latencies in (
        ({"latency": first, "further_latencies": {"cpu_eager": second}}, {"cpu": latency, "cpu_eager": other}),
        ({"latency": only}, {"cpu": early}),
        ({"latency": None, "further_latencies": {}}, {}),
    ):
        _, read = checkpoint.load(with_card(path, "latencies", format="nas-checkpoint-1", **changes))
        assert read == dataclasses.replace(card, latencies=latencies)


def test_one_of_the_third_format_called_latencies_noisy(path: Path) -> None:
    card = checkpoint.card(path)
    (latency,) = card.latencies.values()
    words = {
        "the 6 fastest of 40 rounds agree to 3.1% only; other programs used 1.2 processors meanwhile": 0.031,
        "the yardstick took 1.25 times what it took before": 0.25,
        "somebody was there": 0.15,
    }
    before = {name: value for name, value in vars(latency).items() if name not in ("error_ms", "slowdown")}
    for noisy, error in (words | {None: None}).items():
        spelled = {"cpu": before | {"noisy": noisy}}
        _, read = checkpoint.load(with_card(path, format="nas-checkpoint-3", latencies=spelled))
        known = error and pytest.approx(error * latency.median_ms)
        assert (read.latencies["cpu"].error_ms, read.latencies["cpu"].slowdown) == (known, None)


def test_one_of_the_second_format_had_pixels_in_its_recipe(path: Path) -> None:
    card = checkpoint.card(path)
    side = TINY.images.resolution
    recipe = {name: value for name, value in encode(card.recipe).items() if name not in ("shift", "cutout")}
    pixels = recipe | {"crop_pixels": 1, "cutout_pixels": 3}
    _, read = checkpoint.load(with_card(path, format="nas-checkpoint-2", recipe=pixels))
    assert read == dataclasses.replace(card, recipe=dataclasses.replace(card.recipe, shift=1 / side, cutout=3 / side))
    with pytest.raises(BadCheckpoint, match="a card that cannot be read"):
        checkpoint.card(with_card(path, "recipe", format="nas-checkpoint-2"))


def test_one_without_an_epsilon_answers_as_it_did(path: Path) -> None:
    described = {name: value for name, value in encode(TINY).items() if name != "norm_epsilon"}
    network, card = checkpoint.load(with_card(path, architecture=described))
    assert card == checkpoint.card(path)
    images = torch.randn(4, 1, 12, 12)
    with torch.no_grad():
        assert torch.equal(network(images), checkpoint.load(path)[0](images))
    assert {module.eps for module in network.modules() if isinstance(module, torch.nn.BatchNorm2d)} == {1e-3}


class TestRefused:
    def test_where_bytes_are_missing_or_changed(self, path: Path) -> None:
        data = path.read_bytes()
        for broken, words in (
            (data[:-100], "cut off"),
            (data + b"more", "cut off"),
            (data[:-4] + b"\0\0\0\1", "other weights than its card says"),
            (data[:20], "not a safetensors file"),
            (b"PK\3\4" + data, "not a safetensors file"),
            (b"", "not a safetensors file"),
        ):
            file = path.with_name("broken.safetensors")
            file.write_bytes(broken)
            with pytest.raises(BadCheckpoint, match=words):
                checkpoint.load(file)

    def test_where_the_file_is_not_what_its_name_promises(self, path: Path) -> None:
        path.write_bytes(with_card(path, test_accuracy=1.0).read_bytes())
        assert checkpoint.card(path).test_accuracy == 1.0
        with pytest.raises(BadCheckpoint, match="not what its name promises"):
            checkpoint.load(path)

    @pytest.mark.parametrize(
        ("changes", "words"),
        [
            ({"params": 7}, "counts are not those of its architecture"),
            ({"format": "nas-checkpoint-99"}, "is of format 'nas-checkpoint-99', and this version reads"),
            ({"seed": "seven"}, "a card that cannot be read: /seed"),
            ({"secret": 1}, "unknown field 'secret'"),
        ],
    )
    def test_where_the_card_is_wrong(self, path: Path, changes: dict[str, object], words: str) -> None:
        with pytest.raises(BadCheckpoint, match=words):
            checkpoint.load(with_card(path, **changes))

    def test_where_somebody_else_saved_it(self, tmp_path: Path) -> None:
        from safetensors.torch import save_file

        save_file({"weight": torch.zeros(2)}, tmp_path / "theirs.safetensors", {"format": "pt"})
        with pytest.raises(BadCheckpoint, match="saved by something else"):
            checkpoint.load(tmp_path / "theirs.safetensors")

    def test_where_it_is_a_pickle_and_the_pickle_is_not_run(self, tmp_path: Path) -> None:
        torch.save({"weight": torch.zeros(2)}, tmp_path / "theirs.safetensors")
        with pytest.raises(BadCheckpoint, match="not a safetensors file"):
            checkpoint.load(tmp_path / "theirs.safetensors")

    def test_where_the_dataset_has_other_classes(self, path: Path) -> None:
        images = pictures()
        info = dataclasses.replace(images.info, classes=("a", "b", "c", "d"))
        with pytest.raises(datasets.DatasetError, match="a, b, c, d, and the network was trained for left, right"):
            score(path, images=dataclasses.replace(images, info=info))


def test_weights_that_cannot_be_written_leave_nothing_behind() -> None:
    folder = home.folder("artifacts")
    folder.rmdir()
    folder.write_text("in the way")  # works for root too, whom permissions do not stop
    with pytest.raises(OSError, match=r"artifacts|File exists"):
        evaluate(job(save_weights=True), images=pictures())
    assert folder.read_text() == "in the way"


class TestTheCommand:
    @pytest.fixture(autouse=True)
    def from_pictures(self, monkeypatch: pytest.MonkeyPatch) -> None:
        shown = {"pictures": pictures(), "others": pictures(seed=1, test=40)}
        monkeypatch.setattr(datasets, "load", lambda name, *_: shown[name])

    def test_says_what_was_found_and_promised(self, path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        promised = checkpoint.card(path).test_accuracy
        assert main([str(path)]) == 0
        line = f"test accuracy {promised:.4f} on 100 images, promised {promised:.4f}\n"
        own = checkpoint.card(path).quality
        assert own is not None
        said, rest = capsys.readouterr().out.splitlines(keepends=True)
        assert said == line
        assert f"log loss {own.log_loss:.4f}, calibration error {own.calibration_error:.4f}" in rest

    def test_fails_where_the_promise_is_not_kept(self, path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        assert main([str(with_card(path, test_accuracy=0.25))]) == 1
        assert "promised 0.2500" in capsys.readouterr().out

    def test_takes_images_from_where_they_are_now(self, path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        main([str(path), "--dataset", "others"])
        assert "on 40 images" in capsys.readouterr().out

    def test_says_what_it_cannot_read(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        (tmp_path / "text").write_text("hello")
        for name, words in (("text", "not a safetensors file"), ("nothing", "No such file")):
            assert main([str(tmp_path / name)]) == 2
            assert words in capsys.readouterr().err
