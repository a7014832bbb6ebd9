"""What a search will take, told before it is submitted."""

import dataclasses
from pathlib import Path

import pytest

from api.cli import summaries
from nas.measurements import Measurement
from nas.networks.counts import counts
from nas.plans import plan_for
from nas.recipes import Recipe
from nas.roots import Roots
from nas.specs import SearchSpec
from nas.training_time import Training, pace
from tests.dataset_files import fill
from tests.pictures import saved
from tests.service import GREY, OWNER, Service, service_over


def training(mult_adds: int, images: int, factor: float = 1.0) -> Training:
    """Two seconds besides, 1e-4 an image and 1e-10 a multiply-add."""
    took = images * (1e-4 + 1e-10 * mult_adds) * factor
    return Training(mult_adds=mult_adds, images=images, train_seconds=took, seconds=took + 2, compute_seconds=took + 2)


class TestPace:
    def test_time_by_multiply_adds_and_images_is_learnt_whole(self) -> None:
        found = pace([training(1_000_000, 5000), training(4_000_000, 5000), training(9_000_000, 20_000)])
        assert found.error == pytest.approx(0, abs=1e-9)
        assert found.seconds(20_000_000, 60_000) == pytest.approx(training(20_000_000, 60_000).seconds)

    def test_one_training_is_in_proportion_and_has_no_error(self) -> None:
        found = pace([training(1_000_000, 5000)])
        assert found.error is None
        assert found.seconds(1_000_000, 10_000) == pytest.approx(training(1_000_000, 10_000).seconds)

    def test_neither_part_is_negative(self) -> None:
        found = pace([training(1_000_000, 5000, 3.0), training(9_000_000, 5000, 1.0)])
        assert min(found.line) >= 0

    def test_its_error_is_that_of_what_it_has_not_seen(self) -> None:
        found = pace([training(m * 1_000_000, 50_000, 1.2 if m % 2 else 0.8) for m in range(1, 21)])
        assert 0.1 < (found.error or 0) < 0.4

    def test_a_part_of_a_gpu_is_a_part_of_the_compute(self) -> None:
        one = training(1_000_000, 5000)
        assert pace([dataclasses.replace(one, compute_seconds=one.seconds / 4)]).share == 0.25

    def test_nothing_is_learnt_from_nothing(self) -> None:
        with pytest.raises(ValueError, match="no training to learn from"):
            pace([])


SPEC = SearchSpec(dataset="fashion_mnist", searcher="random", trials=40, parallel=1, recipe=Recipe(epochs=1))
BODY = {"dataset": "fashion_mnist", "trials": 40, "parallel": 1, "recipe": {"epochs": 3}}


def trained(running: Service, machine: str, seconds_an_image: float, space: str = "mbconv", trainings: int = 4) -> None:
    """A search whose trainings see 54,000 images each, all at one pace."""
    run = running.claimed(running.store.add_run("search", dataclasses.replace(SPEC, space=space)))
    plan = plan_for(run, GREY)
    took = 54_000 * seconds_an_image
    for number in range(trainings):
        job = plan.ask(number)
        assert job is not None
        running.store.claims.begin(OWNER, job)
        found = Measurement(
            params=1,
            mult_adds=counts(job.architecture).mult_adds,
            accuracy=0.9,
            train_seconds=took,
            seconds=took + 2,
            trained_on=machine,
        )
        running.store.claims.end(OWNER, number, run.id, "done", found, compute_seconds=found.seconds)


def test_one_training_does_not_say_how_far_others_are_off(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NAS_HOME", str(tmp_path))
    with service_over(f"sqlite:///{tmp_path}/nas.db") as running:
        trained(running, "this machine", 1e-3, trainings=1)
        found = running.post("/v1/forecasts", BODY, status=200)
        low, high = found["seconds_range"]
        assert (found["trainings"], found["error"]) == (1, None)
        assert low <= found["seconds"] / 2 < 2 * found["seconds"] <= high


def test_a_forecast_rests_on_what_was_measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NAS_HOME", str(tmp_path))
    with service_over(f"sqlite:///{tmp_path}/nas.db") as running:
        nothing = running.post("/v1/forecasts", BODY, status=200)
        assert (nothing["trainings"], nothing["trained_on"], nothing["reason"]) == (0, None, None)
        low, high = nothing["seconds_range"]
        assert [4 * low, high / 4] == pytest.approx([nothing["seconds"]] * 2)
        said = summaries.forecast(nothing, shared=False)
        assert said.startswith(
            "Each candidate has a training of 1,263 steps, 3 epochs, and an accuracy on about 6,000 images held out, "
            "±0.65 points at most\nForecast: 40 trials of about "
        )
        assert summaries.BY_ARITHMETIC in said
        little = running.post("/v1/forecasts", {**BODY, "hours": 1e-3}, status=200)
        assert little["remark"].startswith("hours 0.001 have no room for two trials of about ")
        assert "Budget: hours 0.001 have no room" in summaries.forecast(little, shared=False)
        trained(running, "an older machine", 1.0)
        trained(running, "this machine", 1e-3)
        trained(running, "this machine", 1e-3, space="nasbench201")
        found = running.post("/v1/forecasts", BODY, status=200)
        each = 2 + 3 * 54_000 * 1e-3
        assert (found["trainings"], found["trained_on"], found["reason"]) == (4, "this machine", None)
        assert found["trial_seconds"] == pytest.approx(each)
        assert found["seconds"] == found["compute_seconds"] == pytest.approx(40 * each)
        assert found["seconds_range"] == pytest.approx([40 * each] * 2)  # all at one pace, whatever their size
        assert found["error"] == pytest.approx(0, abs=1e-9)
        assert (found["dataset"], found["price"], found["currency"]) == (None, None, None)
        assert "by 4 trainings on this machine, each 0.0 % off on average" in summaries.forecast(found, shared=False)
        short = running.post("/v1/forecasts", {**BODY, "hours": 0.5}, status=200)
        assert short["seconds"] == short["compute_seconds"] == pytest.approx(1800 + each)
        assert (found["trials"], short["trials"]) == (40, 12)
        cheap = running.post("/v1/forecasts", {**BODY, "compute_hours": 0.5}, status=200)
        assert cheap["compute_seconds"] == cheap["seconds"] == pytest.approx(1800 + each)
        climb = running.post("/v1/forecasts", {**BODY, "fidelity": {}, "recipe": {"epochs": 9}}, status=200)
        # Of 13 trainings 9 take an epoch, 3 take 3 and one takes 9.
        assert climb["trial_seconds"] == pytest.approx(2 + 27 / 13 * 54_000 * 1e-3, rel=1e-4)
        large = running.post("/v1/forecasts", {**BODY, "limits": {"params": 6_500}}, status=200)
        assert large["reason"] == "200 networks are all over the limits"
        tuned = running.post("/v1/forecasts", {**BODY, "parent": saved()}, status=200)
        assert tuned["trainings"] == 0, "trainings without a parent say nothing of those with one"
        compared = running.post("/v1/forecasts", {**BODY, "baselines": ["ResNet-18"]}, status=200)
        assert compared["baseline_seconds"] == {"ResNet-18": pytest.approx(each)}
        assert compared["seconds"] == pytest.approx(40 * each), "a baseline is one of the trials"
        trained(running, "this machine", 4e-3)
        rough = running.post("/v1/forecasts", BODY, status=200)
        low, high = rough["seconds_range"]
        assert rough["error"] > 0.1
        assert low <= 1.001 * rough["seconds"] / (1 + rough["error"])
        assert high >= 0.999 * rough["seconds"] * (1 + rough["error"])
        running.post("/v1/forecasts", {**BODY, "trials": 0}, status=422)
        assert len(running.get("/v1/runs")["runs"]) == 4


def test_images_that_nothing_was_trained_on_are_foretold_from_others_and_in_money(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NAS_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("NAS_PRICE", "3600 EUR")
    images = fill(tmp_path / "images")
    with service_over(f"sqlite:///{tmp_path}/nas.db", roots=Roots.named([str(images)])) as running:
        trained(running, "this machine", 1e-3)
        found = running.post("/v1/forecasts", {"dataset": f"folder:{images}", "parallel": 1}, status=200)
        assert (found["dataset"], found["trainings"]) == ("fashion_mnist", 4)
        assert (found["price"], found["currency"]) == (pytest.approx(3600 / 3600 * found["compute_seconds"]), "EUR")
        said = summaries.forecast(found, shared=False)
        assert f"{found['price']:,.2f} EUR" in said
        assert "on fashion_mnist, as nothing was trained on these images yet" in said
