"""What is a cheap training worth? The report of a proxy's trials: how well the cheap recipe, and scores that train
nothing, put the candidates in the dear recipe's order, and what each costs."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from nas.correlation import interval, kendall, spearman
from nas.networks.architecture import Choices
from nas.records import Job, Measurement, Score
from nas.specs import FEWEST_CANDIDATES, ProxySpec


@dataclass(frozen=True, kw_only=True)
class Compared:
    """A candidate that both recipes have trained; accuracies are on validation images. `number` is that of its cheap
    trial."""

    number: int
    choices: Choices
    params: int
    mult_adds: int
    cheap: float
    dear: float
    cheap_seconds: float
    dear_seconds: float
    scores: dict[str, Score]


@dataclass(frozen=True, kw_only=True)
class Ordering:
    """How well something orders the candidates as the dear recipe does, with 95 % bootstrap intervals, and its seconds
    a candidate. Null: it gives all the same."""

    name: str
    kendall: float | None
    kendall_interval: tuple[float, float] | None
    spearman: float | None
    spearman_interval: tuple[float, float] | None
    seconds: float


@dataclass(frozen=True, kw_only=True)
class Report:
    """Orderings by the cheap recipe and by each score; null while fewer than four candidates are compared.
    `dear_seconds` is the mean of these. `failed` says why others were left out."""

    orderings: tuple[Ordering, ...] | None
    dear_seconds: float | None
    candidates: tuple[Compared, ...]
    failed: tuple[str, ...]


def report(spec: ProxySpec, ended: Iterable[tuple[Job, Measurement | str]]) -> Report:
    """From the jobs that have ended so far, each with what came of it, or why nothing did."""
    cheap: dict[str, tuple[Job, Measurement]] = {}
    dear: dict[str, Measurement] = {}
    failed: dict[str, str] = {}
    for job, came in ended:
        network = job.architecture.digest()
        if isinstance(came, str) or came.refused:
            failed[network] = came if isinstance(came, str) else came.refused or ""
        elif job.recipe == spec.dear:
            dear[network] = came
        else:
            cheap[network] = job, came
    candidates = [_compared(*cheap[network], dear[network]) for network in cheap if network in dear]
    return Report(
        orderings=_orderings(candidates) if len(candidates) >= FEWEST_CANDIDATES else None,
        dear_seconds=_mean([row.dear_seconds for row in candidates]) if candidates else None,
        candidates=tuple(candidates),
        failed=tuple(failed.values()),
    )


def _compared(job: Job, cheap: Measurement, dear: Measurement) -> Compared:
    return Compared(
        number=job.number,
        choices=job.choices,
        params=cheap.params,
        mult_adds=cheap.mult_adds,
        cheap=cheap.accuracy or 0.0,
        dear=dear.accuracy or 0.0,
        cheap_seconds=cheap.train_seconds,
        dear_seconds=dear.train_seconds,
        scores=cheap.scores,
    )


def _orderings(candidates: Sequence[Compared]) -> tuple[Ordering, ...]:
    truth = [row.dear for row in candidates]
    columns: dict[str, tuple[list[float], float]] = {
        "cheap recipe": ([row.cheap for row in candidates], _mean([row.cheap_seconds for row in candidates])),
        "multiply-adds": ([float(row.mult_adds) for row in candidates], 0.0),
        "parameters": ([float(row.params) for row in candidates], 0.0),
    }
    for name in candidates[0].scores:
        scores = [row.scores[name] for row in candidates]
        values = [-math.inf if score.value is None else score.value for score in scores]
        columns[name] = values, _mean([score.seconds for score in scores])
    return tuple(
        Ordering(
            name=name,
            kendall=kendall(values, truth),
            kendall_interval=interval(kendall, values, truth),
            spearman=spearman(values, truth),
            spearman_interval=interval(spearman, values, truth),
            seconds=seconds,
        )
        for name, (values, seconds) in columns.items()
    )


def _mean(numbers: Sequence[float]) -> float:
    return sum(numbers) / len(numbers)
