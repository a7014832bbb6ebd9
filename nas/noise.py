"""How far an accuracy can be trusted: its standard error, and when two of them cannot be told apart."""

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

# Of Student's distribution for 1, 2, … degrees of freedom: 95 % lie within so many standard errors.
_STUDENT = (12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228)
_NORMAL = 1.960


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """An accuracy as the mean over `seeds` trainings. `error` is its standard error: over the seeds where there are
    several, otherwise that of the number of images it was measured on; None where that is not known."""

    mean: float
    error: float | None
    seeds: int


def estimate(accuracies: Sequence[float], error: float | None) -> Estimate:
    """Of one or more trainings by different seeds; `error` is the standard error of a single one."""
    if len(accuracies) > 1:
        error = statistics.stdev(accuracies) / math.sqrt(len(accuracies))
    return Estimate(mean=statistics.fmean(accuracies), error=error, seeds=len(accuracies))


def tied(one: Estimate, other: Estimate) -> bool:
    """Whether chance alone would often (more than once in 20 times) bring the two as far apart as they are."""
    if one.error is None or other.error is None:
        return False
    freedom = sum(each.seeds - 1 for each in (one, other))
    return abs(one.mean - other.mean) <= _quantile(freedom) * math.hypot(one.error, other.error)


def _quantile(freedom: int) -> float:
    """Two errors over few seeds are themselves uncertain; that of many images is not (`freedom` 0)."""
    if freedom == 0:
        return _NORMAL
    return _STUDENT[freedom - 1] if freedom <= len(_STUDENT) else _NORMAL + 2.6 / freedom
