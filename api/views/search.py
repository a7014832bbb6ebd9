"""The networks that a search has measured: what they are worth by an objective, and the front of them."""

import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, TypeAlias

from api.views.run import Shown, common
from api.views.verdict import of_search
from nas import noise
from nas.metrics import Quality
from nas.networks.architecture import Choices
from nas.objective import Metric, Objective
from nas.pareto import Point, front, hypervolume
from nas.records import Job, Latency, Measurement, Run, Trial
from nas.specs import SearchSpec

MOST_MARKS = 50


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """A measured network of a search."""

    LIKE: ClassVar[tuple[type, ...]] = (Measurement, Job)

    number: int
    """The number of its first trial."""
    reward: float
    """What it is worth by the objective."""
    accuracy: float
    """The accuracy on the validation images, from 0 to 1: the mean over its trainings."""
    accuracy_error: float | None
    """The standard error of that: of the number of images, and of other seeds as far as the spread of all networks that
    were trained several times says something of these."""
    value: float
    """What the objective's metric is of it, which is the accuracy where that is the metric."""
    value_error: float | None
    """The standard error of that. The smallest recall of several is lower than what its class will do."""
    cost: float
    """The cost that the objective names."""
    also: float | None
    """The second cost that it names."""
    params: int
    mult_adds: int
    latencies_ms: dict[str, float]
    """Its latency on each of the search's devices: the median of the fastest runs of six rounds, in milliseconds."""
    choices: Choices
    baseline: str | None
    model: str | None
    """The id of the model that can be downloaded; null where the search saves no weights."""
    trainings: int = 1
    """How often it was trained."""
    accuracy_freedom: int = 0
    """The degrees of freedom of the standard error, where it is from a spread."""
    tied_with: tuple[int, ...] = ()
    """Those on the front that it cannot be told apart from, by accuracy compared on the same images, one by one, by
    another metric by its errors."""
    rung: int | None = None
    quality: Quality | None = None
    """What its answers are worth, in its first training, without what is told of each class."""


@dataclass(frozen=True, kw_only=True)
class Pareto:
    """The candidates of a search that no other beats in the metric and all costs."""

    search: str
    """The id of the search."""
    objective: Objective
    """What they are ranked by."""
    device: str
    """The device whose latency it means."""
    measured: int
    """Candidates that were compared; with a fidelity, those of the highest rung that a network of the search has been
    trained on."""
    unrecorded: int
    """Trials that are left out, as they were scored by an older version, which did not record the metric."""
    front: tuple[Candidate, ...]
    """The candidates, by rising cost."""
    best: Candidate | None
    """The one with the highest reward."""
    hypervolumes: tuple[tuple[int, float], ...]
    """How the front grew: after so many candidates, its share of the area that it has now, down to the largest cost and
    the smallest value of them."""


@dataclass(frozen=True, kw_only=True)
class Scored(Trial):
    """A trial with its reward."""

    reward: float | None = None
    """What it is worth by the search's own objective; null where it was not measured, and in a growth. It is of this
    training alone: a network that was trained several times is judged by its mean, see the front."""


@dataclass(frozen=True, kw_only=True)
class Search(Shown):
    """A search, and its best candidate so far."""

    spec: SearchSpec
    """What was asked for, as stored."""
    expected_gain: float | None
    """What its searcher expected of the last network that it proposed, where it says so: of reward, or of a front, as a
    share of its area."""
    saved_seconds: float | None
    """Seconds of training that were not spent on candidates that were refused, at the mean of those that were trained;
    null before there is one of each."""
    best: Candidate | None
    """The candidate with the highest reward."""
    verdict: str | None
    """What it has come to, in words, and what to do next; null before there is anything to say."""


def view(run: Run, trials: Sequence[Trial]) -> Search:
    assert isinstance(run.spec, SearchSpec)
    estimated = among(trials, run.spec.objective, run.spec.devices[0])
    unbeaten, leader = standing(estimated)
    return Search(
        **common(run, trials, f"/v1/searches/{run.id}", "pareto"),
        spec=run.spec,
        expected_gain=next((gain for trial in reversed(trials) if (gain := trial.job.expected_gain) is not None), None),
        saved_seconds=saved_seconds(trials),
        best=leader,
        verdict=of_search(run, trials, estimated, unbeaten, leader),
    )


def saved_seconds(trials: Iterable[Trial]) -> float | None:
    """What training the refused candidates would have taken, at the mean of the others; None without one of each."""
    measured = [trial.measurement for trial in trials if trial.measurement]
    refused = sum(row.refused is not None and not row.train_seconds for row in measured)
    trained = [row.train_seconds for row in measured if row.train_seconds > 0]
    return refused * sum(trained) / len(trained) if refused and trained else None


Estimated: TypeAlias = tuple[Candidate, noise.Estimate]
"""A candidate, and what the metric is of it as it is compared with others."""


def among(trials: Iterable[Trial], objective: Objective, device: str) -> list[Estimated]:
    """The networks among `trials` that have a value of the metric and the objective's cost, or both its costs, each
    once; latency is the one on `device`. Where there are rungs, they are of the highest alone that one of the search's
    own has reached: others do not compare with it."""
    trainings: dict[int, list[Measurement]] = {}
    jobs: dict[int, Job] = {}
    for trial in trials:
        measured = trial.measurement
        if measured is None or measured.accuracy is None or measured.value(objective.metric) is None:
            continue
        if any(measured.cost(name, device) is None for name in objective.costs):
            continue
        number = trial.number if trial.job.repeats is None else trial.job.repeats
        jobs.setdefault(number, trial.job)
        trainings.setdefault(number, []).append(measured)
    highest = max((job.rung for job in jobs.values() if job.rung is not None and job.baseline is None), default=None)
    compared = {number: same for number, same in trainings.items() if highest in (jobs[number].rung, None)}
    metrics = dict.fromkeys(("accuracy", objective.metric))
    of_one = {metric: noise.spread(_values(same, metric) for same in compared.values()) for metric in metrics}
    return [_candidate(number, jobs[number], same, objective, device, of_one) for number, same in compared.items()]


def _values(measured: Iterable[Measurement], metric: Metric) -> list[float]:
    return [value for row in measured if (value := row.value(metric)) is not None]


def estimate(measured: Sequence[Measurement], metric: Metric, of_one: noise.Spread | None) -> noise.Estimate:
    """Of the metric of one network, which these trained. That answers are compared image by image is for accuracy
    alone: of another metric an image's part is not that it was got right."""
    return noise.estimate(
        _values(measured, metric),
        [row.value_error(metric) for row in measured],
        of_one,
        [row.answers for row in measured] if metric == "accuracy" else (),
    )


def _candidate(
    number: int,
    job: Job,
    measured: Sequence[Measurement],
    objective: Objective,
    device: str,
    of_one: Mapping[Metric, noise.Spread | None],
) -> Estimated:
    """The network of trial `number`, which these trained, each with a value of the metric and the costs."""
    metric = objective.metric
    accuracy = estimate(measured, "accuracy", of_one["accuracy"])
    value = estimate(measured, metric, of_one[metric])
    first, latencies_ms = measured[0], medians(measured)
    known = {"latency_ms": latencies_ms.get(device, 0.0), "params": first.params, "mult_adds": first.mult_adds}
    cost, *also = (float(known[name]) for name in objective.costs)
    candidate = Candidate(
        number=number,
        reward=objective.reward(value.mean, cost),
        accuracy=accuracy.mean,
        accuracy_error=accuracy.error,
        value=value.mean,
        value_error=value.error,
        cost=cost,
        also=also[0] if also else None,
        params=first.params,
        mult_adds=first.mult_adds,
        latencies_ms=latencies_ms,
        choices=job.choices,
        baseline=job.baseline,
        model=f"{job.run}-{job.number}" if first.weights and not job.handed_on else None,
        trainings=accuracy.seeds,
        accuracy_freedom=accuracy.freedom,
        rung=job.rung,
        quality=first.quality and replace(first.quality, classes=(), recalls=(), confusion=()),
    )
    return candidate, value


def best(estimated: Iterable[Estimated]) -> Candidate | None:
    """The highest reward that the search itself found; of equal ones the cheapest, then the earliest."""
    own = (row for row, _ in estimated if row.baseline is None)
    return max(own, key=lambda row: (row.reward, -row.cost, -row.number), default=None)


def standing(estimated: Sequence[Estimated]) -> tuple[tuple[Candidate, ...], Candidate | None]:
    """The front of the candidates and the best of them, each with what it is tied with."""
    candidates = [row for row, _ in estimated]
    unbeaten = [candidates[index] for index in front(list(map(_point, candidates)))]
    values = {row.number: value for row, value in estimated}

    def with_ties(row: Candidate) -> Candidate:
        others = (other.number for other in unbeaten if other.number != row.number)
        return replace(row, tied_with=tuple(o for o in others if noise.tied(values[row.number], values[o])))

    leader = best(estimated)
    return tuple(map(with_ties, unbeaten)), with_ties(leader) if leader else None


def pareto(run: Run, trials: Sequence[Trial], objective: Objective, device: str) -> Pareto:
    """`device` is one of the search's."""
    assert isinstance(run.spec, SearchSpec)
    estimated = among(trials, objective, device)
    unbeaten, leader = standing(estimated)
    return Pareto(
        search=run.id,
        objective=objective,
        device=device,
        measured=len(estimated),
        unrecorded=sum(
            row.accuracy is not None and row.value(objective.metric) is None
            for trial in trials
            if (row := trial.measurement)
        ),
        front=unbeaten,
        best=leader,
        hypervolumes=hypervolumes([_point(row) for row, _ in estimated]),
    )


def hypervolumes(points: Sequence[Point]) -> tuple[tuple[int, float], ...]:
    """(count, share) at most 50 times: of the area or volume of all `points`, what the first `count` of them had;
    nothing where that is none."""
    if not points:
        return ()
    *costs, values = zip(*points)
    corner = (*map(max, costs), min(values))
    whole = hypervolume(points, corner)
    step = -(-len(points) // MOST_MARKS)
    marks = [*range(step, len(points), step), len(points)]
    return tuple((count, hypervolume(points[:count], corner) / whole) for count in marks) if whole else ()


def _point(row: Candidate) -> Point:
    return (row.cost, row.value) if row.also is None else (row.cost, row.also, row.value)


def scored(trial: Trial, objective: Objective | None) -> Scored:
    row = among([trial], objective, trial.job.devices[0]) if objective else []
    return Scored(**vars(trial), reward=row[0][0].reward if row else None)


def medians(measured: Iterable[Measurement]) -> dict[str, float]:
    """The latency of a network on each device, in milliseconds; of several trainings the mean of those that are not
    noisy, if there are any."""
    taken: dict[str, list[Latency]] = {}
    for row in measured:
        for device, latency in row.latencies.items():
            taken.setdefault(device, []).append(latency)
    return {
        device: statistics.fmean(each.median_ms for each in [each for each in its if not each.noisy] or its)
        for device, its in taken.items()
    }
