"""Standard errors, and what is tied."""

import math

import pytest

from nas.noise import Estimate, Spread, estimate, spread, tied


def test_one_training_has_the_error_of_its_images() -> None:
    for of_one in (None, Spread(deviation=0.02, freedom=4)):
        assert estimate([0.9], 0.003, of_one) == Estimate(mean=0.9, error=0.003, seeds=1)
        assert estimate([0.9], None, of_one) == Estimate(mean=0.9, error=None, seeds=1)


def test_the_spread_is_taken_from_all_that_were_trained_several_times() -> None:
    assert spread([[0.9], [0.8]]) is None
    found = spread([[0.90, 0.92], [0.70, 0.72, 0.74], [0.5]])
    assert found is not None
    assert found.freedom == 3
    assert found.deviation == pytest.approx((0.001 / 3) ** 0.5)


def test_several_have_that_of_their_mean() -> None:
    found = estimate([0.90, 0.92, 0.94], 0.003, Spread(deviation=0.03, freedom=7))
    assert (found.seeds, found.freedom) == (3, 7)
    assert found.mean == pytest.approx(0.92)
    assert found.error == pytest.approx(0.03 / math.sqrt(3))


def test_trainings_that_came_out_alike_by_chance_are_not_certain() -> None:
    """Alone they have the error of their images; beside others, the spread of those."""
    alone = spread([[0.9, 0.9]])
    assert estimate([0.9, 0.9], 0.003, alone) == Estimate(mean=0.9, error=0.003, seeds=2)
    beside = spread([[0.9, 0.9], [0.80, 0.82]])
    assert estimate([0.9, 0.9], 0.003, beside).error == pytest.approx(0.01 / math.sqrt(2))


def at(mean: float, error: float | None, freedom: int = 0) -> Estimate:
    return Estimate(mean=mean, error=error, seeds=1, freedom=freedom)


@pytest.mark.parametrize(
    ("freedom", "quantile"),
    [(0, 1.96), (1, 12.706), (2, 4.303), (4, 2.776), (8, 2.306), (10, 2.228), (12, 2.179), (30, 2.042), (120, 1.980)],
)
def test_two_are_tied_within_students_95_percent(freedom: int, quantile: float) -> None:
    """Of a difference whose standard error is 0.005: the quantiles are those of tables."""
    one = at(0.9, 0.003, freedom)
    for also in (freedom, 0):
        assert tied(one, at(0.9 + 0.005 * quantile * 0.99, 0.004, also))
        assert tied(at(0.9 + 0.005 * quantile * 0.99, 0.004, also), one)
        assert not tied(one, at(0.9 + 0.005 * quantile * 1.01, 0.004, also))


def test_nothing_is_said_of_what_has_no_error() -> None:
    assert not tied(at(0.9, None), at(0.9, 0.1))
