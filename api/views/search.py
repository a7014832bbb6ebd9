"""The networks that a search has measured: what they are worth by an objective, and the front of them."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, TypeAlias

from api.views.run import Shown, common
from api.views.verdict import advised, of_search
from nas import noise
from nas.measurements import MOST_ERROR, Latency, Measurement
from nas.metrics import Quality
from nas.networks.architecture import Choices
from nas.objective import Metric, Objective
from nas.outlines import Summary, total
from nas.pareto import Point, front
from nas.records import Job, Run, Trial
from nas.rounding import Rounding
from nas.specs import SearchSpec
from nas.standings import decisive, estimate, highest_rung, trained, values


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
    peak_memory: int | None
    model_bytes: int | None
    latencies_ms: dict[str, float]
    """Its latency on each of the search's devices, in milliseconds; of several trainings the mean, in which each
    measurement counts by its error."""
    latency_errors_ms: dict[str, float]
    """The standard errors of these that are known, in milliseconds."""
    noisy: bool
    """Whether the latency that it is ranked by is known too roughly to decide: it is the best one only where no other
    fits."""
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
    rounding: Rounding | None = None
    """What quantising did to the accuracy of its first training, where networks are judged in 8 bits; null where they
    are not."""
    seen: bool = False


@dataclass(frozen=True, kw_only=True)
class Search(Shown):
    """A search, and its best candidate so far."""

    spec: SearchSpec
    """What was asked for, as stored."""
    expected_gain: float | None
    """What its searcher expected of the last network that it proposed, where it says so: of reward, or of a front, as a
    share of its area."""
    again: tuple[int, ...]
    saved_seconds: float | None
    """Seconds of training that were not spent on candidates that were refused, at the mean of those that were trained;
    null before there is one of each."""
    best: Candidate | None
    """The candidate with the highest reward."""
    advised: int | None
    """The trial to grow: the cheapest that is about as good, by one standard error, or where the best may be guessing
    one that is not; null where there is no best."""
    verdict: str | None
    """What it has come to, in words, and what to do next; null before there is anything to say."""


@dataclass(frozen=True, kw_only=True)
class Standing:
    """What a search's own objective makes of it: the front and the best of it, over all trainings of each; and of each
    of the searcher's networks that ever led how many had been measured with it, and its reward."""

    front: tuple[Candidate, ...] = ()
    best: Candidate | None = None
    rewards: tuple[tuple[int, float], ...] = ()
    noisy: bool = False
    """Whether one of those that lead does by a latency that is known too roughly: the best may be none of them."""


def view(run: Run, summary: Summary, stands: Standing, why: str = "") -> Search:
    """`why` is what came of the last trial that failed or was refused, where nothing was trained."""
    assert isinstance(run.spec, SearchSpec)
    return Search(
        **common(run, summary, f"/v1/searches/{run.id}", "pareto", "columns"),
        spec=run.spec,
        expected_gain=summary.expected_gain,
        again=run.again,
        saved_seconds=saved_seconds(summary),
        best=stands.best,
        advised=advised(stands.best, stands.front, run.spec.objective.metric).number if stands.best else None,
        verdict=of_search(run, summary, stands, why),
    )


Led: TypeAlias = tuple[int, int, float]
"""Of a network of the searcher's own that ever led: its number, how many had been measured with it, and its reward."""


def stand(spec: SearchSpec, leading: Iterable[Trial], led: Iterable[Led]) -> Standing:
    """From all trainings of the networks that lead now."""
    estimated = among(leading, spec.objective, spec.devices[0])
    unbeaten, leader = standing(estimated, spec.objective)
    means = {row.number: row.reward for row, _ in estimated}
    rewards = tuple((place, means.get(number, reward)) for number, place, reward in led)
    noisy = any(row.noisy for row, _ in estimated)
    return Standing(front=unbeaten, best=leader, rewards=rewards, noisy=noisy)


def saved_seconds(summary: Summary) -> float | None:
    """What training the refused candidates would have taken, at the mean of the others; None without one of each."""
    own = [tally for tally in summary.ended if tally.role not in ("supernet", "measured")]
    refused = total(own, "trials", "refused") - total(own, "trained", "refused")
    trained = total(own, "trained")
    return refused * total(own, "train_seconds") / trained if refused and trained else None


Estimated: TypeAlias = tuple[Candidate, noise.Estimate]
"""A candidate, and what the metric is of it as it is compared with others."""


def among(trials: Iterable[Trial], objective: Objective, device: str) -> list[Estimated]:
    """The networks among `trials` that have a value of the metric and the objective's cost, or both its costs, each
    once; latency is the one on `device`. Where there are rungs, they are of the highest alone that one of the search's
    own has reached: others do not compare with it."""
    tried = trained(trials, objective, device)
    highest = highest_rung(tried)
    compared = {number: its for number, its in tried.items() if highest in (its.job.rung, None)}
    metrics = dict.fromkeys(("accuracy", objective.metric))
    of_one = {metric: noise.spread(values(its.measured, metric) for its in compared.values()) for metric in metrics}
    return [_candidate(number, its.job, its.measured, objective, device, of_one) for number, its in compared.items()]


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
    first, taken = measured[0], latencies(measured)
    error = taken[device][1] if objective.cost == "latency_ms" and device in taken else None
    latencies_ms = medians(taken)
    known = {name: first.cost(name, device) or 0.0 for name in objective.costs}
    known |= {"latency_ms": latencies_ms.get(device, 0.0)}
    cost, *also = (known[name] for name in objective.costs)
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
        peak_memory=first.peak_memory,
        model_bytes=first.model_bytes,
        latencies_ms=latencies_ms,
        latency_errors_ms=errors(taken),
        noisy=(error or 0.0) > MOST_ERROR * cost,
        choices=job.choices,
        baseline=job.compared,
        model=f"{job.run}-{job.number}" if first.weights and not job.handed_on else None,
        trainings=accuracy.seeds,
        accuracy_freedom=accuracy.freedom,
        rung=job.rung,
        rounding=first.rounding,
        seen=any(its.seen for its in measured),
        quality=first.quality and replace(first.quality, classes=(), recalls=(), confusion=()),
    )
    return candidate, value


def best(estimated: Iterable[Estimated], objective: Objective) -> Candidate | None:
    """The highest reward that the search itself found, of those whose cost decides; of equal ones the cheapest, then
    the earliest."""
    own = [row for row, _ in estimated if row.baseline is None]
    decides = decisive([(row.cost, math.inf if row.noisy else 0.0) for row in own], objective)
    among = (row for row, its in zip(own, decides) if its)
    return max(among, key=lambda row: (row.reward, -row.cost, -row.number), default=None)


def standing(estimated: Sequence[Estimated], objective: Objective) -> tuple[tuple[Candidate, ...], Candidate | None]:
    """The front of the candidates and the best of them, each with what it is tied with."""
    candidates = [row for row, _ in estimated]
    unbeaten = [candidates[index] for index in front(list(map(point, candidates)))]
    values = {row.number: value for row, value in estimated}

    def with_ties(row: Candidate) -> Candidate:
        others = (other.number for other in unbeaten if other.number != row.number)
        return replace(row, tied_with=tuple(o for o in others if noise.tied(values[row.number], values[o])))

    leader = best(estimated, objective)
    return tuple(map(with_ties, unbeaten)), with_ties(leader) if leader else None


def point(row: Candidate) -> Point:
    return (row.cost, row.value) if row.also is None else (row.cost, row.also, row.value)


Latencies = dict[str, tuple[float, float | None]]


def medians(taken: Latencies) -> dict[str, float]:
    return {device: median_ms for device, (median_ms, _) in taken.items()}


def errors(taken: Latencies) -> dict[str, float]:
    return {device: error_ms for device, (_, error_ms) in taken.items() if error_ms is not None}


def latencies(measured: Iterable[Measurement]) -> Latencies:
    """The latency of a network on each device, in milliseconds, of several trainings the mean, and its standard error;
    None where that is not known."""
    taken: dict[str, list[Latency]] = {}
    for row in measured:
        for device, latency in row.latencies.items():
            taken.setdefault(device, []).append(latency)
    return {
        device: noise.surest([each.median_ms for each in its], [each.error_ms for each in its])
        for device, its in taken.items()
    }
