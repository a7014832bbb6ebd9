"""What a cheap training is worth: rank correlations, scores that train nothing, and the report of both."""

import dataclasses
import json
import math
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from api.cli import proxy
from nas.codec import encode
from nas.correlation import interval, kendall, spearman
from nas.measurements import Measurement, Score
from nas.networks.architecture import Images
from nas.networks.blocks import network
from nas.plans.proxy import ProxyPlan
from nas.proxy_report import report
from nas.recipes import Recipe
from nas.records import Job
from nas.specs import Limits, ProxySpec
from nas.training import zero_cost
from tests.pictures import TINY, pictures


class TestCorrelation:
    def test_by_hand(self) -> None:
        """Of six pairs two are the other way round, and the ranks differ by one each."""
        assert kendall((1, 2, 3, 4), (2, 1, 4, 3)) == pytest.approx((4 - 2) / 6)
        assert spearman((1, 2, 3, 4), (2, 1, 4, 3)) == pytest.approx(1 - 6 * 4 / (4 * 15))

    def test_equal_numbers(self) -> None:
        """Pairs that either leaves equal count for that one's root alone; ranks are shared."""
        assert kendall((1, 1, 2, 3), (1, 2, 2, 3)) == pytest.approx(4 / math.sqrt(5 * 5))
        assert spearman((1, 1, 2, 3), (1, 2, 2, 3)) == pytest.approx(3.75 / 4.5)

    def test_order_alone_counts(self) -> None:
        for statistic in (kendall, spearman):
            assert statistic((1, 2, 3), (10, 1000, 1e9)) == pytest.approx(1)
            assert statistic((1, 2, 3), (0, -1, -7)) == pytest.approx(-1)
            assert statistic((1, 2, 3), (5, 5, 5)) is None
            assert interval(statistic, (1, 2, 3), (5, 5, 5)) is None

    def test_the_interval_covers_what_is_true_about_as_often_as_it_says(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Of normal pairs correlated by 0.6, Kendall's tau is 2/π arcsin 0.6."""
        monkeypatch.setattr("nas.correlation.RESAMPLES", 200)
        draw, true, covered = random.Random(1), 2 / math.pi * math.asin(0.6), 0
        for attempt in range(20):
            ones = [draw.gauss(0, 1) for _ in range(20)]
            others = [0.6 * one + 0.8 * draw.gauss(0, 1) for one in ones]
            low, high = interval(kendall, ones, others, seed=attempt) or (0, 0)
            covered += low <= true <= high
        assert 16 <= covered <= 20


class TestZeroCost:
    """Against networks so small that the answer can be worked out."""

    def test_naswot(self) -> None:
        """Three images put the two ReLUs into the states ++, +- and --: they agree in 2, 1 or 0 places."""
        states = nn.Sequential(nn.Flatten(), nn.ReLU())
        images = torch.tensor([[1.0, 1.0], [1.0, -1.0], [-1.0, -1.0]]).reshape(3, 1, 1, 2)
        expected = np.linalg.det(np.array([[2, 1, 0], [1, 2, 1], [0, 1, 2]]))
        assert zero_cost.naswot(states, images) == pytest.approx(math.log(expected))

    def test_swap(self) -> None:
        """Five activations are on for images 1, 1 and 2, 1 and 2, none, and 2: four ways of telling two images apart.
        Behind them two are on for 1 and 2, and none."""
        first = torch.tensor([[1.0, 2.0, 3.0, -1.0, -1.0], [-1.0, 1.0, 1.0, -2.0, 4.0]]).reshape(2, 1, 1, 5)
        second = nn.Linear(5, 2, bias=False)
        second.weight.data = torch.tensor([[1.0] * 5, [-1.0] * 5])
        states = nn.Sequential(nn.Flatten(), nn.ReLU())
        assert zero_cost.swap(states, first) == 4
        assert zero_cost.swap(nn.Sequential(states, second, nn.ReLU()), first) == 4
        assert zero_cost.swap(nn.Flatten(), first) == 0

    def test_synflow(self) -> None:
        """Of y = 3 (|-2| x1 + 1 x2) at (1, 1): both layers' products sum to 9."""
        first, second = nn.Linear(2, 1, bias=False), nn.Linear(1, 1, bias=False)
        first.weight.data, second.weight.data = torch.tensor([[-2.0, 1.0]]), torch.tensor([[3.0]])
        layers = nn.Sequential(nn.Flatten(), first, nn.ReLU(), second)
        assert zero_cost.synflow(layers, torch.Size((1, 1, 2))) == pytest.approx(math.log(9 + 9))

    def test_zen(self) -> None:
        """A pixelwise convolution by w and a norm: the norm meets the variance w² and divides by it, so that what is
        moved by 0.01 e moves by 0.01 |e|, of which the mean over normal e is √(2/π) a pixel."""
        layers = nn.Sequential(
            nn.Conv2d(1, 1, 1, bias=False),
            nn.BatchNorm2d(1, eps=1e-12),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            nn.Linear(1, 2),
        )
        torch.manual_seed(3)
        weight = float(nn.init.normal_(torch.empty(1, 1, 1, 1)))
        torch.manual_seed(3)
        pixels = 64 * 64
        found = zero_cost.zen(layers, torch.Size((1, 64, 64)))
        expected = math.log(0.01 * math.sqrt(2 / math.pi) * pixels) + math.log(abs(weight))
        assert found == pytest.approx(expected, abs=0.05)

    @pytest.mark.parametrize("name", zero_cost.SCORES)
    def test_real_networks_have_finite_scores_that_repeat(self, name: str) -> None:
        torch.manual_seed(0)
        built = network(TINY)
        before = {key: value.clone() for key, value in built.state_dict().items()}
        images = torch.randn(8, 1, 12, 12)
        first, again = (zero_cost.score(name, built, images) for _ in range(2))
        assert first == again
        assert math.isfinite(first)
        assert all(torch.equal(before[key], value) for key, value in built.state_dict().items())
        assert all(parameter.grad is None for parameter in built.parameters())

    @pytest.mark.parametrize("name", zero_cost.SCORES)
    def test_what_is_dropped_in_training_is_no_part_of_a_score(self, name: str) -> None:
        stages = (dataclasses.replace(TINY.stages[0], channels=TINY.stem, stride=1, repeats=3),)
        plain = dataclasses.replace(TINY, stages=stages)
        images, scores = torch.randn(8, 1, 12, 12), []
        for dropped in (0.0, 0.9):
            torch.manual_seed(0)
            built = network(dataclasses.replace(plain, dropout=dropped, drop_connect=dropped))
            scores.append(zero_cost.score(name, built, images))
        assert scores[0] == scores[1]

    def test_a_wider_network_scores_higher(self) -> None:
        wide = dataclasses.replace(TINY, stages=(dataclasses.replace(TINY.stages[0], channels=32, expand=6),))
        images = torch.randn(16, 1, 12, 12)
        for name in zero_cost.SCORES:
            torch.manual_seed(0)
            assert zero_cost.score(name, network(wide), images) > zero_cost.score(name, network(TINY), images)


CHEAP = Recipe(epochs=1, batch=32, train_images=60, learning_rate=0.05, flip=False)
DEAR = dataclasses.replace(CHEAP, epochs=2, train_images=None)
SPEC = ProxySpec(dataset="none", cheap=CHEAP, dear=DEAR, candidates=5)
IMAGES = Images(resolution=24, channels=1, classes=4)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("NAS_HOME", str(tmp_path / "home"))
    data = pictures(train=120)
    for index, (image, label) in enumerate(zip(data.train_images, data.train_labels)):
        place = tmp_path / "images" / data.info.classes[label]
        place.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.kron(image[0], np.ones((2, 2), np.uint8))).save(place / f"{index}.png")
    return f"folder:{tmp_path}/images"


def table(job: Job) -> Measurement:
    """Instead of training: the more multiply-adds the better, by both recipes, but the cheap one likes one least."""
    value = 0.5 + job.architecture.images.resolution / 1e3 + math.log(job_cost(job)) / 100
    assert job.recipe is not None
    cheap = job.recipe == CHEAP and job.number == 0
    return Measurement(
        params=1,
        mult_adds=job_cost(job),
        accuracy=0.1 if cheap else value,
        train_seconds=10.0 * job.recipe.epochs,
        scores={"zen": Score(value=-float(job_cost(job)), seconds=0.5)} if job.scores else {},
    )


def job_cost(job: Job) -> int:
    from nas.networks.counts import counts

    return counts(job.architecture).mult_adds


def ended(spec: ProxySpec, came: Callable[[Job], Measurement | str]) -> list[tuple[Job, Measurement | str]]:
    plan = ProxyPlan("run", spec, IMAGES)
    return [(job, came(job)) for number in range(plan.trials) if (job := plan.ask(number))]


def test_a_report_orders_by_the_dear_recipe() -> None:
    found = report(SPEC, ended(SPEC, table))
    assert found.orderings is not None
    rows = {row.name: row for row in found.orderings}
    assert list(rows) == ["cheap recipe", "multiply-adds", "parameters", "zen"]
    assert rows["multiply-adds"].kendall == rows["multiply-adds"].spearman == pytest.approx(1)
    truth = [row.dear for row in found.candidates]
    assert rows["cheap recipe"].kendall == kendall([row.cheap for row in found.candidates], truth)
    assert rows["cheap recipe"].kendall_interval is not None
    assert rows["parameters"].kendall is None  # they are all the same
    assert rows["zen"].kendall == pytest.approx(-1)
    assert (rows["cheap recipe"].seconds, rows["zen"].seconds, found.dear_seconds) == (10, 0.5, 20)
    assert len({json.dumps(encode(row.choices)) for row in found.candidates}) == 5


def test_a_candidate_is_itself_however_later_versions_describe_it() -> None:
    def redescribed(job: Job) -> Job:
        earlier = dataclasses.replace(job.architecture, norm_epsilon=1e-4)
        return dataclasses.replace(job, architecture=earlier) if job.recipe == CHEAP else job

    found = report(SPEC, [(redescribed(job), came) for job, came in ended(SPEC, table)])
    assert [row.number for row in found.candidates] == list(range(5))


def test_a_report_fills_up_as_trials_end() -> None:
    whole = ended(SPEC, table)
    for count, compared in ((0, 0), (5, 0), (6, 1), (8, 3), (9, 4)):
        found = report(SPEC, whole[:count])
        assert len(found.candidates) == compared
        assert (found.orderings is not None) == (compared >= 4)
        assert (found.dear_seconds is not None) == (compared > 0)


def test_a_candidate_that_fails_is_left_out_and_named() -> None:
    found = report(SPEC, ended(SPEC, lambda job: "the loss became nan" if job.number in (2, 7) else table(job)))
    assert len(found.candidates) == 4
    assert found.failed == ("the loss became nan",)
    slow = Measurement(params=1, mult_adds=1, refused="latency_ms 3 over the limit of 1")
    assert report(SPEC, ended(SPEC, lambda _: slow)).failed == ("latency_ms 3 over the limit of 1",) * 5


def test_a_score_that_some_candidates_lack_orders_nothing() -> None:
    def scored(job: Job) -> Measurement:
        measured = table(job)
        newer = {"swap": Score(value=1.0, seconds=0.0)} if job.number == 0 else {}
        return dataclasses.replace(measured, scores=newer | measured.scores)

    orderings = report(SPEC, ended(SPEC, scored)).orderings
    assert orderings is not None
    assert [row.name for row in orderings][3:] == ["zen"]


def test_a_score_that_is_not_finite_is_the_lowest() -> None:
    lowest = min(ended(SPEC, table)[:5], key=lambda pair: job_cost(pair[0]))[0].architecture

    def scored(job: Job) -> Measurement:
        value = None if job.architecture == lowest else float(job_cost(job))
        return dataclasses.replace(table(job), scores={"naswot": Score(value=value, seconds=0.0)})

    orderings = report(SPEC, ended(SPEC, scored)).orderings
    assert orderings is not None
    assert orderings[-1].kendall == pytest.approx(1)


class TestOnThisMachine:
    def test_what_has_been_trained_is_not_trained_again(self, folder: str, monkeypatch: pytest.MonkeyPatch) -> None:
        trained: list[int] = []

        def interrupted(job: Job) -> Measurement | str:
            if job.number == 2:
                raise KeyboardInterrupt
            trained.append(job.number)
            return table(job)

        monkeypatch.setattr(proxy, "_evaluated", interrupted)
        spec = ProxySpec(dataset=folder, cheap=CHEAP, dear=DEAR, candidates=4, parallel=1)
        with pytest.raises(KeyboardInterrupt):
            proxy.found_here(spec, print)
        done = set(trained)
        assert {0, 1} <= done
        del trained[:]

        def rest(job: Job) -> Measurement | str:
            trained.append(job.number)
            return table(job)

        monkeypatch.setattr(proxy, "_evaluated", rest)
        said: list[str] = []
        proxy.found_here(dataclasses.replace(spec, parallel=2), said.append)
        assert sorted(done | set(trained)) == list(range(8))
        assert not done & set(trained)
        assert sum("dear recipe" in line for line in said) == 4

    def test_a_device_that_cannot_measure_is_said_before_anything_is_trained(self, folder: str) -> None:
        for device, words in (("toaster", "unknown device 'toaster'"), ("remote", "needs the name of an agent")):
            spec = ProxySpec(dataset=folder, cheap=CHEAP, dear=DEAR, candidates=4, devices=("cpu", device))
            with pytest.raises(ValueError, match=words):
                proxy.found_here(spec, pytest.fail)

    def test_too_many_failures_are_said(self, folder: str, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(proxy, "_evaluated", lambda job: "no luck" if job.number == 2 else table(job))
        spec = ProxySpec(dataset=folder, cheap=CHEAP, dear=DEAR, candidates=4)
        with pytest.raises(ValueError, match="1 of 4 candidates failed, one with no luck"):
            proxy.found_here(spec, print)

    def test_a_candidate_is_really_trained_in_a_process_of_its_own(self, folder: str) -> None:
        spec = ProxySpec(dataset=folder, cheap=CHEAP, dear=DEAR, candidates=4, limits=Limits(mult_adds=1_500_000))
        job = ProxyPlan("run", spec, Images(resolution=24, channels=1, classes=4)).ask(0)
        assert job is not None
        measured = proxy._evaluated(job)
        assert isinstance(measured, Measurement)
        assert measured.accuracy is not None
        assert measured.mult_adds == job_cost(job) <= 1_500_000
        assert list(measured.scores) == ["naswot", "swap", "synflow", "zen"]
        failed = proxy._evaluated(dataclasses.replace(job, devices=("toaster",)))
        assert "unknown device 'toaster'" in str(failed)

    @pytest.mark.parametrize(
        ("changes", "words"),
        [
            ({"limits": Limits(params=10)}, "no network of mbconv .* is within the limits"),
            ({"space": "outer"}, "unknown search space 'outer'"),
        ],
    )
    def test_what_cannot_be_reported(self, folder: str, changes: dict[str, Any], words: str) -> None:
        with pytest.raises(ValueError, match=words):
            proxy.found_here(dataclasses.replace(SPEC, dataset=folder, candidates=12, **changes), print)
