"""The networks of a search that compare, and which of them is evaluated again before it is believed: trained, where its
lead is in doubt, or only measured, where its latency is."""

import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from nas.confirmation import Measured, confirmation
from nas.limits import ERRORS, near_limit
from nas.measurements import Latency, Measurement
from nas.networks.architecture import Choices
from nas.objective import Objective
from nas.pareto import front
from nas.records import Job
from nas.searchers import Costed, Outcome
from nas.specs import Limits
from nas.standings import revised

SHARE = 20  # of so many trials one measures again, at most
ROUGH = 0.01  # relative error; a latency that is known better is known well enough
QUIETER = 0.5  # times that error, which the last that was measured has at most: the host is quieter now


class Tried(NamedTuple):
    """What is kept of a job that may be trained again: a search may have 100,000."""

    number: int
    choices: Choices
    rung: int | None


@dataclass(frozen=True, kw_only=True)
class Rough:
    """A training of a network whose latency is not well known."""

    job: Job
    measurement: Measurement


class Leads:
    """Networks by the numbers of their first trials; latency is the one on `device`. All that it knows is what it was
    told."""

    def __init__(self, objective: Objective, limits: Limits, device: str) -> None:
        self._objective, self._limits, self._device = objective, limits, device
        self._tried: dict[int, Tried] = {}
        self._outcomes: dict[int, dict[int, Outcome]] = {}  # of each of its trainings
        self._repeats: dict[int, int] = {}  # a trial, and which one's network it trained once more
        self._rough: dict[int, list[Rough]] = {}
        self._again: set[int] = set()  # measured again, or about to be
        self._later: dict[int, Measurement] = {}  # what came of that
        self._error = math.inf  # of the latency that was measured last

    @property
    def repeated(self) -> int:
        """How many trials trained a network once more."""
        return len(self._repeats)

    @property
    def comparable(self) -> bool:
        """Whether one can lead before another."""
        return len(self._known()) > 1

    def begin(self, job: Job) -> None:
        if job.repeats is not None:
            self._repeats[job.number] = job.repeats
        if job.measures is not None:
            self._again.add(job.measures)

    def hear(self, job: Job, measurement: Measurement | None) -> None:
        """What came of a trial of any kind, whose latency says how quiet the host is."""
        if job.measures is not None and measurement:
            before = self._later.get(job.measures)
            if before is None or measurement.latency_error(self._device) <= before.latency_error(self._device):
                self._later[job.measures] = measurement
        latency = measurement.latencies.get(self._device) if measurement else None
        if measurement is None or latency is None or latency.error_ms is None:
            return
        self._error = latency.error
        own_scales = measurement.rounding is not None and measurement.rounding.per_channel  # which a training has found
        if job.measures is None and job.compared is None and latency.error > ROUGH and not own_scales:
            rough = Rough(job=job, measurement=replace(measurement, answers=None))  # which take room
            self._rough.setdefault(_first(job), []).append(rough)

    def revised(self, job: Job, measurement: Measurement | None) -> Measurement | None:
        """What a training measured, by what is known of its network since: with the latency that is known better, and
        refused where that is over the limit."""
        again = self._later.get(_first(job))
        return revised(measurement, again) if measurement and again else measurement

    def tell(self, job: Job, told: Costed | None) -> None:
        """What came of a training on the highest rung, or is known of it since: an outcome, or that it is none."""
        first = _first(job)
        self._tried.setdefault(first, Tried(job.number, job.choices, job.rung))
        outcomes = self._outcomes.setdefault(first, {})
        if isinstance(told, Outcome):
            outcomes[job.number] = told
        else:
            outcomes.pop(job.number, None)

    def doubtful(self, running: Iterable[Job]) -> tuple[Tried, int] | None:
        """The network to train again, and how often that was done before; None where no lead is in doubt."""
        known, again = self._known(), [job.repeats for job in running]
        measured = [
            Measured(
                costs=tuple(map(statistics.fmean, zip(*(outcome.costs for outcome in outcomes)))),
                accuracies=tuple(outcome.accuracy for outcome in outcomes),
                error=statistics.fmean(outcome.error for outcome in outcomes),
                cost_error=statistics.fmean(outcome.cost_error for outcome in outcomes) / math.sqrt(len(outcomes)),
                pending=again.count(first),
            )
            for first, outcomes in known.items()
        ]
        place = confirmation(measured, self._objective)
        if place is None:
            return None
        first = list(known)[place]
        return self._tried[first], list(self._repeats.values()).count(first)

    def trainings(self, first: int) -> Sequence[Rough]:
        """Those of that network whose latencies are rough."""
        return self._rough.get(first, ())

    def rough(self, number: int) -> Job | None:
        """Trial `number`, where it is to measure a latency again that is rough, once the host has become quieter: that
        of a leader, of a rival within the errors of both, or of one near its limit."""
        if SHARE * (len(self._again) + 1) > number + 1:
            return None
        waiting = {
            first: its
            for first in self._rough
            if self._outcomes.get(first)
            and first not in self._again
            and self._error <= QUIETER * (its := self._latency(first)).error
        }
        if not waiting:
            return None
        decisive = waiting.keys() & self._close({first: its[0] for first, its in self._known().items()})
        decisive = decisive or {first for first, its in waiting.items() if near_limit(self._limits, its)}
        first = max(decisive, key=lambda each: (waiting[each].error, -each), default=None)
        if first is None:
            return None
        job = self._rough[first][0].job
        return replace(measuring(number, job, (self._device,)), measures=self._tried[first].number)

    def _known(self) -> dict[int, list[Outcome]]:
        return {first: [*outcomes.values()] for first, outcomes in self._outcomes.items() if outcomes}

    def _latency(self, first: int) -> Latency:
        return self._rough[first][0].measurement.latencies[self._device]

    def _close(self, known: Mapping[int, Outcome]) -> set[int]:
        """The leader and those that it leads by less than the errors of both; of a front those on it whose latencies
        are so close."""
        if "latency_ms" not in self._objective.costs:
            return set()
        if self._objective.form == "front":
            place, numbers = self._objective.costs.index("latency_ms"), list(known)
            best = [numbers[each] for each in front([(*one.costs, one.accuracy) for one in known.values()])]
            values = {first: math.log(known[first].costs[place]) for first in best}
            errors = {first: known[first].cost_error for first in best}
            pairs = [(one, other) for one in best for other in best if one < other]
        else:
            values = {first: self._objective.reward(one.accuracy, one.cost) for first, one in known.items()}
            errors = {
                first: self._objective.reward_error(one.accuracy, one.cost, one.cost_error)
                for first, one in known.items()
            }
            leader = max(values, key=values.__getitem__)
            pairs = [(leader, other) for other in known if other != leader]
        close = (
            (one, other)
            for one, other in pairs
            if abs(values[one] - values[other]) <= ERRORS * math.hypot(errors[one], errors[other])
        )
        return {first for pair in close for first in pair}


def measuring(number: int, job: Job, devices: tuple[str, ...]) -> Job:
    """Trial `number`, which measures the latencies of that job's network again."""
    return Job(
        run=job.run,
        number=number,
        space=job.space,
        architecture=job.architecture,
        choices=job.choices,
        devices=devices,
        precision=job.precision,
        limits=job.limits,
        measures=job.number,
        rung=job.rung,
    )


def _first(job: Job) -> int:
    return job.number if job.repeats is None else job.repeats
