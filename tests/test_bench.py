"""What the searcher bench says of a search is true of the product's."""

import random
from collections.abc import Sequence

import pytest

from api.views import search
from bench._searcher_runs import Course, best_measured, follow, landscape, objective, true_reward
from bench.demo import OTHER_SECONDS, WORKS, Work, fitting
from nas import plugins
from nas.confirmation import Measured
from nas.networks.architecture import Architecture, Choices, Images, Stage
from nas.objective import Objective
from nas.records import Job, Measurement, Trial
from nas.searchers import Searcher

NETWORK = Architecture(
    images=Images(resolution=28, channels=1, classes=10),
    stem=8,
    stem_stride=2,
    stages=(Stage(op="conv", kernel=3, stride=1, expand=1, channels=8, repeats=1),),
    head=0,
)


def trials(measured: list[Measured]) -> list[Trial]:
    """The first training of each network, then the further ones."""
    rows: list[Trial] = []
    for training in range(max(len(one.accuracies) for one in measured)):
        for network, one in enumerate(measured):
            if training < len(one.accuracies):
                job = Job(
                    run="r", number=len(rows), space="mbconv", architecture=NETWORK, devices=("cpu",),
                    repeats=network if training else None,
                )  # fmt: skip
                result = Measurement(params=1, mult_adds=round(one.costs[0]), accuracy=one.accuracies[training])
                rows.append(
                    Trial(run="r", number=job.number, state="done", job=job, measurement=result, started_at=0.0)
                )
    return rows


def test_the_demo_does_as_much_as_fits_into_its_minutes() -> None:
    fast, slow = (5_000, 2_700, 2_200, 1_200), (500, 270, 220, 120)
    seconds = [work.seconds(slow) for work in WORKS]
    assert seconds == sorted(seconds, reverse=True)
    assert fitting(10, fast) == WORKS[0]
    some = fitting(10, slow)
    assert WORKS.index(some) > 0
    assert some.seconds(slow) <= 600 < WORKS[WORKS.index(some) - 1].seconds(slow)
    assert fitting(0.01, slow) == WORKS[-1]


def test_the_demo_reckons_with_two_trainings_at_once() -> None:
    work = Work(candidates=4, candidate_images=1_000, epochs=2, images=3_000)
    searched = 4 * 2 * 1_000 / 100 / 2
    assert work.seconds((100, 100, 100, 100)) == pytest.approx(OTHER_SECONDS + searched + 4 * 60 / 2)
    assert work.seconds((100, 100, 100, 10)) == pytest.approx(OTHER_SECONDS + searched + 600)


def test_the_bench_hands_over_what_a_search_does() -> None:
    """Among networks with luck, ties and costs over the target."""
    aim = Objective(target=5.0, w_under=0, w_over=-1, cost="mult_adds")
    draw = random.Random(0)
    for _ in range(300):
        measured = [
            Measured(
                costs=(float(draw.randint(2, 6)),),
                accuracies=tuple(draw.choice((0.90, 0.92, 0.94)) for _ in range(draw.choice((1, 1, 2, 3)))),
            )
            for _ in range(8)
        ]
        best = search.best(search.among(trials(measured), aim, "cpu"))
        assert best is not None
        assert best_measured(measured, aim) == best.number


def test_a_belief_is_reported_and_is_not_handed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    course = Course(
        landscape="synthetic 2 stages", searcher="random", goal="accuracy", filtered=False, seed=0, trials=40,
        confirm=10,
    )  # fmt: skip
    plain = follow(course)
    assert len(set(plain.points)) < 40, "no lead was confirmed"
    assert not plain.believed

    def in_the_first(searcher: Searcher, networks: Sequence[Choices]) -> list[float]:
        return [1.0, *[0.0] * (len(networks) - 1)]

    monkeypatch.setattr(plugins.load("nas.searchers", "random").Searcher, "believed", in_the_first, raising=False)
    believing = follow(course)
    cost, accuracy = believing.points[0]
    aim = objective(course.goal, landscape(course.landscape).targets)
    first = true_reward(course.goal, aim, cost, accuracy)
    assert believing.believed == {25: first, 40: first}
    assert believing.handed == plain.handed
    assert first < min(plain.handed.values())
