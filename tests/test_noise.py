"""Standard errors, and what is tied."""

import math

import pytest

from nas.noise import Estimate, estimate, tied


def test_one_training_has_the_error_of_its_images() -> None:
    assert estimate([0.9], 0.003) == Estimate(mean=0.9, error=0.003, seeds=1)
    assert estimate([0.9], None) == Estimate(mean=0.9, error=None, seeds=1)


def test_several_have_that_of_their_mean() -> None:
    found = estimate([0.90, 0.92, 0.94], 0.003)
    assert found.mean == pytest.approx(0.92)
    assert found.seeds == 3
    assert found.error == pytest.approx(0.02 / math.sqrt(3))  # the deviation of 0.90, 0.92 and 0.94 is 0.02


def at(mean: float, error: float | None, seeds: int = 1) -> Estimate:
    return Estimate(mean=mean, error=error, seeds=seeds)


@pytest.mark.parametrize(
    ("seeds", "quantile"),
    [(1, 1.96), (2, 4.303), (3, 2.776), (5, 2.306), (6, 2.228), (7, 2.179), (16, 2.042), (61, 1.980)],
)
def test_two_are_tied_within_students_95_percent(seeds: int, quantile: float) -> None:
    """Of a difference whose standard error is 0.005: the quantiles are those of tables, for 2 (n - 1) degrees."""
    one = at(0.9, 0.003, seeds)
    assert tied(one, at(0.9 + 0.005 * quantile * 0.99, 0.004, seeds))
    assert tied(at(0.9 + 0.005 * quantile * 0.99, 0.004, seeds), one)
    assert not tied(one, at(0.9 + 0.005 * quantile * 1.01, 0.004, seeds))


def test_nothing_is_said_of_what_has_no_error() -> None:
    assert not tied(at(0.9, None), at(0.9, 0.1))
