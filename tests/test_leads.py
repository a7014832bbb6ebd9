"""Latencies that something hangs on are measured again where they were rough and the host has become quieter."""

import dataclasses
from collections.abc import Callable

import pytest

from nas.measurements import Measurement
from nas.objective import Objective
from nas.plans.leads import SHARE
from nas.plans.search import SearchPlan
from nas.records import Job, Trial
from nas.rounding import Rounding
from nas.searchers import Costed, Outcome
from nas.specs import Limits, SearchSpec
from nas.standings import trained
from tests.test_plans import HERE, IMAGES, LATENCY, measured, timed

TRIALS = 2 * SHARE
QUIET_FROM = SHARE - 4  # the trial from which on the host is quiet
PER_CHANNEL = Rounding(float32=0.9, int8=0.9, per_channel=True)
SPEC = dataclasses.replace(LATENCY, searcher="random", limits=Limits(), devices=("cpu",), trials=TRIALS)


def told(job: Job, error: float, milliseconds: float | None = None) -> Measurement:
    """With that relative error."""
    its = timed(job)
    cpu = dataclasses.replace(its.latencies["cpu"], median_ms=milliseconds or its.latencies["cpu"].median_ms)
    cpu = dataclasses.replace(cpu, error_ms=error * cpu.median_ms)
    accuracy = its.accuracy if job.recipe else None
    return dataclasses.replace(its, accuracy=accuracy, latencies={"cpu": cpu})


def noisy_at_first(job: Job) -> Measurement:
    return told(job, 0.05 if job.number < QUIET_FROM else 0.003)


def run(spec: SearchSpec, came_of: Callable[[Job], Measurement], until: int = TRIALS) -> tuple[SearchPlan, list[Job]]:
    plan, jobs = SearchPlan("r", spec, spec.trials, IMAGES), list[Job]()
    for number in range(until):
        job = plan.ask(number)
        assert job is not None
        plan.tell(job, came_of(job))
        jobs.append(job)
    return plan, jobs


def test_the_leader_and_its_rivals_are_measured_again_once_the_host_is_quiet() -> None:
    _, jobs = run(SPEC, noisy_at_first)
    again = [job for job in jobs if job.measures is not None]
    assert again[0].number == SHARE - 1, "one of twenty at most"
    assert len({job.measures for job in again}) == len(again), "each once"
    for job in again:
        before = jobs[job.measures or 0]
        assert job.architecture == before.architecture
        assert before.number < QUIET_FROM
        assert (job.recipe, job.dataset, job.devices, job.save_weights) == (None, None, ("cpu",), False)
    reward = SPEC.objective.reward
    worth = {job.number: reward(measured(job).accuracy or 0.0, timed(job).latencies["cpu"].median_ms) for job in jobs}
    first = again[0].measures
    best = max(worth[job.number] for job in jobs[: SHARE - 1])
    assert first is not None
    assert worth[first] > 0.8 * best


@pytest.mark.parametrize(
    ("came_of", "why"),
    [
        (lambda job: told(job, 0.05), "the host is no quieter"),
        (lambda job: told(job, 0.008 if job.number < QUIET_FROM else 0.001), "it was known well enough"),
        (lambda job: dataclasses.replace(noisy_at_first(job), rounding=PER_CHANNEL), "as another graph than before"),
        (lambda job: timed(job), "nobody knows the errors"),
    ],
)
def test_nothing_is_measured_again_where(came_of: Callable[[Job], Measurement], why: str) -> None:
    _, jobs = run(SPEC, came_of)
    assert all(job.measures is None for job in jobs), why


def test_where_latency_is_no_cost_those_near_the_limit_are() -> None:
    """And others are not, however rough."""
    spec = dataclasses.replace(SPEC, objective=Objective(cost="mult_adds", target=5e6))
    assert all(job.measures is None for job in run(spec, noisy_at_first)[1])
    limited = dataclasses.replace(spec, limits=Limits(latency_ms=1.0))
    near = (3, 7)
    _, jobs = run(
        limited, lambda job: told(job, 0.05 if job.number < QUIET_FROM else 0.003, 0.95 if job.number in near else 0.5)
    )
    assert {job.measures for job in jobs if job.measures is not None} == {3, 7}


def test_of_a_front_those_are_whose_order_by_latency_is_open() -> None:
    spec = dataclasses.replace(SPEC, objective=Objective(cost="latency_ms", form="front"))

    def in_order(job: Job) -> Measurement:
        """A front of all, each slower than the one before by a half, but for two."""
        place = job.number if job.measures is None else job.measures
        milliseconds = 1.02 * 1.5**4 if place == 5 else 1.5**place
        its = told(job, 0.05 if job.number < QUIET_FROM else 0.003, milliseconds)
        return dataclasses.replace(its, accuracy=0.5 + place / 1000 if job.recipe else None)

    _, jobs = run(spec, in_order)
    assert {job.measures for job in jobs if job.measures is not None} == {4, 5}


@pytest.mark.parametrize("name", ["random", "surrogate"])
def test_a_new_plan_told_the_past_goes_on_as_the_old_one(name: str) -> None:
    spec = dataclasses.replace(SPEC, searcher=name)
    plan, jobs = run(spec, noisy_at_first, SHARE + 2)
    assert any(job.measures is not None for job in jobs)
    again = SearchPlan("r", spec, spec.trials, IMAGES)
    for job in jobs:
        again.tell(job, noisy_at_first(job))
    assert again.ask(SHARE + 2) == plan.ask(SHARE + 2)


def test_the_searcher_is_told_what_is_known_better() -> None:
    plan, jobs = run(SPEC, noisy_at_first, SHARE - 1)
    again = plan.ask(SHARE - 1)
    assert again is not None
    assert again.measures is not None
    first, before = jobs[again.measures], plan._told[again.measures][1]
    plan.tell(again, told(again, 0.003, 0.7))
    after = plan._told[first.number]
    error = told(again, 0.003, 0.7).latencies["cpu"].error
    assert isinstance(before, Outcome)
    assert after == (first.choices, dataclasses.replace(before, cost=0.7, cost_error=error))
    over = dataclasses.replace(told(again, 0.003, 0.7), refused="latency_ms 0.7 over the limit of 0.6")
    plan.tell(again, over)
    assert plan._told[first.number][1] == Costed(cost=0.7, cost_error=error)
    assert first.number not in plan._leads._known()


def test_a_measurement_that_failed_changes_nothing_and_is_not_tried_again() -> None:
    plan, _ = run(SPEC, noisy_at_first, SHARE - 1)
    again = plan.ask(SHARE - 1)
    assert again is not None
    assert again.measures is not None
    before = dict(plan._told)
    plan.tell(again, None)
    assert plan._told == before
    later = [plan.ask(number) for number in range(SHARE, TRIALS)]
    assert all(job is not None and job.measures != again.measures for job in later)


class TestStandings:
    """What is shown of a network that was measured again."""

    def shown(self, *measurements: Measurement) -> dict[int, float]:
        (job,) = run(SPEC, timed, 1)[1]
        jobs = [job, *(dataclasses.replace(job, number=number, measures=0) for number in range(1, len(measurements)))]
        trials = [
            Trial(run="r", number=each.number, state="done", job=each, measurement=its, started_at=0.0)
            for each, its in zip(jobs, measurements)
        ]
        networks = trained(trials, SPEC.objective, "cpu")
        return {number: its.measured[0].latencies["cpu"].median_ms for number, its in networks.items()}

    def test_the_better_known_counts(self) -> None:
        job = run(SPEC, timed, 1)[1][0]
        rough, sure, worse = told(job, 0.05, 0.5), told(job, 0.003, 0.6), told(job, 0.09, 0.7)
        sure, worse = (dataclasses.replace(each, accuracy=None) for each in (sure, worse))
        assert self.shown(rough, sure) == {0: 0.6}
        assert self.shown(rough, worse) == {0: 0.5}
        assert self.shown(rough, worse, sure, worse) == {0: 0.6}
        elsewhere = dataclasses.replace(sure.latencies["cpu"], fingerprint={**HERE, "threads": "9"})
        assert self.shown(rough, dataclasses.replace(sure, latencies={"cpu": elsewhere})) == {0: 0.5}

    def test_what_is_over_the_limit_by_it_is_no_candidate(self) -> None:
        job = run(SPEC, timed, 1)[1][0]
        over = dataclasses.replace(told(job, 0.003, 0.6), accuracy=None, refused="latency_ms 0.6 over the limit")
        assert self.shown(told(job, 0.05, 0.5), over) == {}
