"""Rank correlations of two columns of numbers, and how far they can be trusted."""

import math
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

Numbers = Sequence[float]
Statistic = Callable[[Numbers, Numbers], float | None]

RESAMPLES = 2000
PERCENT = 95


def kendall(ones: Numbers, others: Numbers) -> float | None:
    """Kendall's tau-b (1945), between -1 and 1; None where a column is constant and nothing is ranked by it."""
    return _once(_kendall, ones, others)


def spearman(ones: Numbers, others: Numbers) -> float | None:
    """Spearman's rho: the correlation of the ranks, of which equal numbers share the mean; None as `kendall`."""
    return _once(_spearman, ones, others)


def interval(statistic: Statistic, ones: Numbers, others: Numbers, *, seed: int = 0) -> tuple[float, float] | None:
    """Between which values 95 % of `statistic` lie when the pairs are drawn again with replacement (Efron 1979); None
    where it has no value. Draws in which it has none are left out."""
    if statistic(ones, others) is None:
        return None
    return _interval(_COUNTED[statistic], tuple(ones), tuple(others), seed, RESAMPLES)


@lru_cache(maxsize=1024)  # a report that is looked at again has the same columns
def _interval(
    counted: Callable[..., Any], ones: Numbers, others: Numbers, seed: int, resamples: int
) -> tuple[float, float]:
    import numpy as np

    draws = np.random.default_rng(seed).multinomial(len(ones), [1 / len(ones)] * len(ones), resamples).astype(float)
    values = counted(ones, others, draws)
    sample = np.sort(values[np.isfinite(values)])
    outside = round(len(sample) * (100 - PERCENT) / 200)
    return float(sample[outside]), float(sample[-1 - outside])


def _once(counted: Callable[..., Any], ones: Numbers, others: Numbers) -> float | None:
    import numpy as np

    value = float(counted(ones, others, np.ones((1, len(ones))))[0])
    return value if math.isfinite(value) else None


def _kendall(ones: Numbers, others: Numbers, times: Any) -> Any:
    """Of several draws, which have each pair so many `times`: an array (draws, pairs)."""
    import numpy as np

    first, second = (np.greater.outer(column, column) * 1 - np.less.outer(column, column) for column in (ones, others))
    agreeing, ranked_ones, ranked_others = (
        ((times @ table) * times).sum(1) for table in (first * second, abs(first), abs(second))
    )
    with np.errstate(invalid="ignore"):
        return agreeing / np.sqrt(ranked_ones * ranked_others)


def _spearman(ones: Numbers, others: Numbers, times: Any) -> Any:
    """The same of Spearman's."""
    import numpy as np

    first, second = (_ranks(column, times) for column in (ones, others))
    products, one, other = ((times * a * b).sum(1) for a, b in ((first, second), (first, first), (second, second)))
    with np.errstate(invalid="ignore"):
        return products / np.sqrt(one * other)


def _ranks(numbers: Numbers, times: Any) -> Any:
    """Of each pair in each draw, counted from the middle."""
    import numpy as np

    below = np.less.outer(numbers, numbers) + 0.5 * np.equal.outer(numbers, numbers)
    return times @ below - len(numbers) / 2


_COUNTED: dict[Statistic, Callable[..., Any]] = {kendall: _kendall, spearman: _spearman}
