"""What is a cheap training worth? The report of a proxy's trials: how well the cheap recipe, and scores that train
nothing, put the candidates in the dear recipe's order, and what each costs."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import ClassVar

from nas.correlation import interval, kendall, spearman
from nas.measurements import Measurement, Score
from nas.networks.architecture import Choices
from nas.records import Job
from nas.specs import FEWEST_CANDIDATES, ProxySpec


@dataclass(frozen=True, kw_only=True)
class Compared:
    """A candidate that both recipes have trained."""

    LIKE: ClassVar[tuple[type, ...]] = (Measurement, Job)

    number: int
    """Its number, which is that of the trial that trained it by the cheap recipe."""
    choices: Choices
    params: int
    mult_adds: int
    cheap: float
    """Its accuracy by the cheap recipe, or by the weights of the supernet, from 0 to 1."""
    dear: float
    """Its accuracy by the dear recipe, from 0 to 1."""
    cheap_seconds: float
    """Seconds of training by the cheap recipe."""
    dear_seconds: float
    """Seconds of training by the dear recipe."""
    scores: dict[str, Score]


@dataclass(frozen=True, kw_only=True)
class Ordering:
    """How well something orders the candidates as the dear recipe does."""

    name: str
    """The cheap recipe, or the weights inherited from a supernet that it trained; a score, or a count."""
    kendall: float | None
    """Kendall's rank correlation; null where it gives all the same."""
    kendall_interval: tuple[float, float] | None
    """Between which 95 % of bootstrap draws of the candidates have it."""
    spearman: float | None
    """Spearman's rank correlation; null where it gives all the same."""
    spearman_interval: tuple[float, float] | None
    """Between which 95 % of bootstrap draws of the candidates have it."""
    seconds: float
    """Seconds that it takes for a candidate."""


@dataclass(frozen=True, kw_only=True)
class Report:
    """What a cheap training is worth."""

    orderings: tuple[Ordering, ...] | None
    """Orderings by the cheap recipe and by each score; null while fewer than four candidates are compared."""
    dear_seconds: float | None
    """Seconds of training by the dear recipe, the mean of the candidates."""
    candidates: tuple[Compared, ...]
    """The candidates that both recipes have trained."""
    failed: tuple[str, ...]
    """Why others were left out."""


def report(spec: ProxySpec, ended: Iterable[tuple[Job, Measurement | str]]) -> Report:
    """From the jobs that have ended so far, each with what came of it, or why nothing did."""
    cheap: dict[int, tuple[Job, Measurement]] = {}
    dear: dict[int, Measurement] = {}
    supernet = 0.0
    failed: dict[int, str] = {}
    for job, came in ended:
        candidate = (job.number - spec.first) % spec.candidates
        if job.children:
            supernet = came.train_seconds if isinstance(came, Measurement) else 0.0
        elif isinstance(came, str) or came.refused:
            failed[candidate] = came if isinstance(came, str) else came.refused or ""
        elif job.recipe == spec.dear and not job.calibrated:
            dear[candidate] = came
        else:
            cheap[candidate] = job, came
    candidates = [_compared(*cheap[candidate], dear[candidate]) for candidate in cheap if candidate in dear]
    return Report(
        orderings=_orderings(candidates, spec, supernet / spec.candidates)
        if len(candidates) >= FEWEST_CANDIDATES
        else None,
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


def _orderings(candidates: Sequence[Compared], spec: ProxySpec, besides: float) -> tuple[Ordering, ...]:
    """`besides` are the seconds that each candidate adds to those of its own, as its part of a supernet's training."""
    truth = [row.dear for row in candidates]
    columns: dict[str, tuple[list[float], float]] = {
        "inherited weights" if spec.weights == "shared" else "cheap recipe": (
            [row.cheap for row in candidates],
            besides + _mean([row.cheap_seconds for row in candidates]),
        ),
        "multiply-adds": ([float(row.mult_adds) for row in candidates], 0.0),
        "parameters": ([float(row.params) for row in candidates], 0.0),
    }
    # A run that an earlier version began has candidates that lack a score which others have.
    for name in [name for name in candidates[0].scores if all(name in row.scores for row in candidates)]:
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
