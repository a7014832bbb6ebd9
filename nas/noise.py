"""How far an accuracy can be trusted: its standard error, and when two of them cannot be told apart."""

import math
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

# Of Student's distribution for 1, 2, … degrees of freedom: 95 % lie within so many standard errors.
_STUDENT = (12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228)
_NORMAL = 1.960


@dataclass(frozen=True, kw_only=True)
class Spread:
    """Standard deviation of one training's accuracy around its network's, known by so many degrees of `freedom`."""

    deviation: float
    freedom: int


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """An accuracy as the mean over `seeds` trainings. `error` is its standard error, known by so many degrees of
    `freedom`: 0 where it is that of the number of images the accuracy was measured on; None where it is not known."""

    mean: float
    error: float | None
    seeds: int
    freedom: int = 0


def spread(networks: Iterable[Sequence[float]]) -> Spread | None:
    """From the accuracies of all networks that were trained several times, as two or three of one say little; None
    where there is none."""
    several = [accuracies for accuracies in networks if len(accuracies) > 1]
    if not several:
        return None
    freedom = sum(len(accuracies) - 1 for accuracies in several)
    squares = sum(statistics.variance(accuracies) * (len(accuracies) - 1) for accuracies in several)
    return Spread(deviation=math.sqrt(squares / freedom), freedom=freedom)


def estimate(accuracies: Sequence[float], error: float | None, of_one: Spread | None) -> Estimate:
    """Of one or more trainings by different seeds; `error` is what the number of images leaves open."""
    mean, seeds = statistics.fmean(accuracies), len(accuracies)
    if seeds == 1 or not of_one or not of_one.deviation:  # all alike is chance, too
        return Estimate(mean=mean, error=error, seeds=seeds)
    return Estimate(mean=mean, error=of_one.deviation / math.sqrt(seeds), seeds=seeds, freedom=of_one.freedom)


def tied(one: Estimate, other: Estimate) -> bool:
    """Whether chance alone would often (more than once in 20 times) bring the two as far apart as they are."""
    if one.error is None or other.error is None:
        return False
    return abs(one.mean - other.mean) <= _quantile(max(one.freedom, other.freedom)) * math.hypot(one.error, other.error)


def _quantile(freedom: int) -> float:
    """An error over few trainings is itself uncertain; that of many images is not (`freedom` 0)."""
    if freedom == 0:
        return _NORMAL
    return _STUDENT[freedom - 1] if freedom <= len(_STUDENT) else _NORMAL + 2.6 / freedom
