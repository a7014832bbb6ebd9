"""The networks of a search, each with all its trainings, and the rung on which they compare."""

import functools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from nas import noise
from nas.measurements import MOST_ERROR, Measurement
from nas.objective import Metric, Objective
from nas.records import Job, Trial


@dataclass(frozen=True)
class Trained:
    """A network: the job of its first trial, whose number it goes by, and what each of its trainings measured."""

    job: Job
    measured: tuple[Measurement, ...]


def trained(trials: Iterable[Trial], objective: Objective, device: str) -> dict[int, Trained]:
    """By number the networks among `trials` that have a value of the metric and of each of the objective's costs;
    latency is the one on `device`. One that was measured again counts with what is known better, and not at all where
    that is over the limit."""
    jobs: dict[int, Job] = {}
    measured: dict[int, list[Measurement]] = {}
    again: dict[int, list[Measurement]] = {}
    for trial in trials:
        its = trial.measurement
        if its and trial.job.measures is not None:
            again.setdefault(trial.job.measures, []).append(its)
            continue
        if its is None or its.accuracy is None or its.value(objective.metric) is None:
            continue
        if any(its.cost(name, device) is None for name in objective.costs):
            continue
        number = trial.number if trial.job.repeats is None else trial.job.repeats
        jobs.setdefault(number, trial.job)
        measured.setdefault(number, []).append(its)
    for number, later in again.items():
        revised_ones = [functools.reduce(revised, later, its) for its in measured.get(number, ())]
        measured[number] = [its for its in revised_ones if not its.refused]
    return {number: Trained(job, tuple(measured[number])) for number, job in jobs.items() if measured[number]}


def revised(its: Measurement, again: Measurement) -> Measurement:
    """`its`, with those latencies that were measured `again` on the same kind of machine and are known better since;
    refused, if that was over the limit, and worth nothing then."""
    better = {
        device: latency
        for device, latency in again.latencies.items()
        if (before := its.latencies.get(device))
        and latency.fingerprint == before.fingerprint
        and latency.error < before.error
    }
    its = replace(its, latencies=its.latencies | better)
    return replace(its, refused=again.refused, accuracy=None) if again.refused else its


def highest_rung(networks: Mapping[int, Trained]) -> int | None:
    """The highest that one of the search's own has reached; None where there are no rungs."""
    own = (network.job for network in networks.values() if network.job.compared is None)
    return max((job.rung for job in own if job.rung is not None), default=None)


def decisive(costs: Sequence[tuple[float, float]], objective: Objective) -> list[bool]:
    """Of networks by their cost and its relative standard error, which of them may be the best: those whose cost is not
    well known only where no other fits. In the browser as well: api/dashboard/reward.js."""
    known = [error <= MOST_ERROR for _, error in costs]
    others = any(sure and objective.fits(cost) for sure, (cost, _) in zip(known, costs))
    return known if others else [True] * len(costs)


def values(measured: Iterable[Measurement], metric: Metric) -> list[float]:
    """Of the metric, where it was recorded."""
    return [value for row in measured if (value := row.value(metric)) is not None]


def estimate(measured: Sequence[Measurement], metric: Metric, of_one: noise.Spread | None) -> noise.Estimate:
    """Of the metric of one network, which these trained. That answers are compared image by image is for accuracy
    alone: of another metric an image's part is not that it was got right."""
    return noise.estimate(
        values(measured, metric),
        [row.value_error(metric) for row in measured],
        of_one,
        [row.answers for row in measured] if metric == "accuracy" else (),
    )
