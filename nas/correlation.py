"""Rank correlations of two columns of numbers, and how far they can be trusted."""

import math
import random
from collections.abc import Callable, Sequence
from itertools import combinations

Numbers = Sequence[float]
Statistic = Callable[[Numbers, Numbers], float | None]

RESAMPLES = 2000
PERCENT = 95


def kendall(ones: Numbers, others: Numbers) -> float | None:
    """Kendall's tau-b (1945), between -1 and 1; None where a column is constant and nothing is ranked by it."""
    agreeing = ranked_ones = ranked_others = 0
    for (one, other), (one_too, other_too) in combinations(zip(ones, others, strict=True), 2):
        first, second = _sign(one - one_too), _sign(other - other_too)
        agreeing += first * second
        ranked_ones += first != 0
        ranked_others += second != 0
    return agreeing / math.sqrt(ranked_ones * ranked_others) if ranked_ones and ranked_others else None


def spearman(ones: Numbers, others: Numbers) -> float | None:
    """Spearman's rho: the correlation of the ranks, of which equal numbers share the mean; None as `kendall`."""
    first, second = _ranks(ones), _ranks(others)
    middle = (len(first) - 1) / 2
    products = sum((one - middle) * (other - middle) for one, other in zip(first, second, strict=True))
    squares = [sum((rank - middle) ** 2 for rank in ranks) for ranks in (first, second)]
    return products / math.sqrt(squares[0] * squares[1]) if all(squares) else None


def interval(statistic: Statistic, ones: Numbers, others: Numbers, *, seed: int = 0) -> tuple[float, float] | None:
    """Between which values 95 % of `statistic` lie when the pairs are drawn again with replacement (Efron 1979); None
    where it has no value. Draws in which it has none are left out."""
    pairs, draw = list(zip(ones, others, strict=True)), random.Random(seed)
    if statistic(ones, others) is None:
        return None
    drawn = (zip(*draw.choices(pairs, k=len(pairs))) for _ in range(RESAMPLES))
    found = sorted(value for columns in drawn if (value := statistic(*map(tuple, columns))) is not None)
    outside = round(len(found) * (100 - PERCENT) / 200)
    return found[outside], found[-1 - outside]


def _sign(difference: float) -> int:
    return (difference > 0) - (difference < 0)


def _ranks(numbers: Numbers) -> list[float]:
    order = sorted(range(len(numbers)), key=lambda index: numbers[index])
    ranks, start = [0.0] * len(numbers), 0
    while start < len(order):
        end = start
        while end + 1 < len(order) and numbers[order[end + 1]] == numbers[order[start]]:
            end += 1
        for index in order[start : end + 1]:
            ranks[index] = (start + end) / 2
        start = end + 1
    return ranks
