"""How much a candidate is expected to improve on what is known, when accuracy is uncertain and cost is not.

Accuracy is modelled through -log(CEILING - accuracy): its error is then multiplicative, as that of networks is, and
expectations of accuracy over a level have the closed form of an option's price. Expected improvement: Mockus 1975,
Jones et al. 1998; expected hypervolume improvement: Emmerich 2005, exact here because one of both objectives is known.
"""

import numpy as np

from nas.searchers._gaussian_process import Floats

CEILING = 1.005  # just over the largest accuracy, so that 1 is finite


def warp(accuracy: Floats) -> Floats:
    return -np.log(CEILING - np.minimum(accuracy, 1.0))


def unwarp(value: Floats) -> Floats:
    return CEILING - np.exp(-value)


def normal_cdf(x: Floats) -> Floats:
    """Within 1.2e-7 of the value, relatively, so that far tails still rank (Numerical Recipes' erfcc)."""
    z = np.abs(x) * np.sqrt(0.5)
    t = 1 / (1 + 0.5 * z)
    series = np.zeros_like(t)
    for coefficient in (
        0.17087277, -0.82215223, 1.48851587, -1.13520398, 0.27886807, -0.18628806, 0.09678418, 0.37409196, 1.00002368,
    ):  # fmt: skip
        series = series * t + coefficient
    tail = 0.5 * t * np.exp(-z * z - 1.26551223 + t * series)
    return np.asarray(np.where(x < 0, tail, 1 - tail))


def excess(mean: Floats, deviation: Floats, level: Floats) -> Floats:
    """Expected accuracy over `level`, counted as 0 where it falls short; `mean` and `deviation` are of the warped."""
    room = np.maximum(CEILING - level, 1e-12)
    away = (mean + np.log(room)) / deviation
    gain = room * normal_cdf(away) - np.exp(deviation**2 / 2 - mean) * normal_cdf(away - deviation)
    return np.asarray(np.where(level < CEILING, np.maximum(gain, 0.0), 0.0))


def improvement(mean: Floats, deviation: Floats, factor: Floats, offset: Floats, best: float) -> Floats:
    """Expected reward over `best`, where reward is accuracy × `factor` + `offset`."""
    return factor * excess(mean, deviation, (best - offset) / np.maximum(factor, 1e-300))


def hypervolume_improvement(
    mean: Floats, deviation: Floats, cost: Floats, front: tuple[Floats, Floats], reference: tuple[float, float]
) -> Floats:
    """Expected growth of the area under a front, given as (costs, accuracies), both rising.

    A candidate adds, between every two costs of the front that are not below its own, what it exceeds the front by.
    """
    worst_cost, floor = reference
    edges = np.concatenate([[-np.inf], front[0], [worst_cost]])
    levels = np.concatenate([[floor], np.maximum(front[1], floor)])
    gain = np.zeros_like(mean)
    for start, end, level in zip(edges[:-1], edges[1:], levels):
        width = end - np.maximum(start, cost)
        reached = np.flatnonzero((width > 0) & (mean + 4 * deviation > -np.log(max(CEILING - level, 1e-12))))
        if len(reached):
            gain[reached] += width[reached] * excess(mean[reached], deviation[reached], np.full(len(reached), level))
    return gain
