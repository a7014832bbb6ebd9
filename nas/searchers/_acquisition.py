"""How much a candidate is expected to improve on what is known, when accuracy is uncertain and cost is not.

Accuracy is modelled through -log(CEILING - accuracy): its error is then multiplicative, as that of networks is, and
expectations of accuracy over a level have the closed form of an option's price. Expected improvement: Mockus 1975,
Jones et al. 1998; expected hypervolume improvement: Emmerich 2005, exact here because all objectives but one are known.
"""

import numpy as np

from nas.searchers._gaussian_process import Floats

CEILING = 1.005  # just over the largest accuracy, so that 1 is finite


def warp(accuracy: Floats) -> Floats:
    return -np.log(CEILING - np.minimum(accuracy, 1.0))


def warped_error(accuracy: Floats, error: Floats) -> Floats:
    """Of the warped accuracy, by its slope."""
    return error / (CEILING - np.minimum(accuracy, 1.0))


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
    mean: Floats, deviation: Floats, costs: Floats, front: tuple[Floats, Floats], corner: tuple[Floats, float]
) -> Floats:
    """Expected growth of the area (with two costs, the volume) under a front, given as costs and accuracies, a row and
    a number for each of its networks.

    The front's costs cut the plane into cells, and in each the front is level: a candidate adds, over the cells or
    parts of them where both its costs are no larger, what it exceeds that level by. Cells of one level are taken
    together.
    """
    worst, floor = corner
    grid = [np.concatenate([[-np.inf], np.unique(own), [most]]) for own, most in zip(front[0].T, worst)]
    if len(grid) == 1:  # a second cost that all have is as good as none
        grid, costs = [*grid, np.array([-np.inf, 1.0])], np.column_stack([costs, np.zeros(len(costs))])
    wide, deep = (
        np.maximum(edges[1:] - np.maximum(edges[:-1], own[:, None]), 0.0) for edges, own in zip(grid, costs.T)
    )
    within = [own[:, None] <= edges[:-1] for edges, own in zip(grid, front[0].T)]
    below = within[0][:, :, None] & (within[1][:, None, :] if len(within) == 2 else True)
    heights = np.where(below, front[1][:, None, None], floor).max(axis=0, initial=floor)
    gain = np.zeros_like(mean)
    for level in np.unique(heights):
        size = ((wide @ (heights == level)) * deep).sum(axis=1)
        reached = np.flatnonzero((size > 0) & (mean + 4 * deviation > -np.log(max(CEILING - level, 1e-12))))
        if len(reached):
            gain[reached] += size[reached] * excess(mean[reached], deviation[reached], np.full(len(reached), level))
    return gain
