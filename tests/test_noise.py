"""Standard errors, and what is tied."""

import math
from dataclasses import replace

import numpy as np
import pytest

from nas.answers import Answers, packed
from nas.noise import Estimate, Spread, estimate, spread, standard_error, tied


def test_the_error_of_so_many_images_is_never_nothing() -> None:
    """Agresti and Coull: two more right and two more wrong."""
    assert standard_error(0.5, 46) == pytest.approx(math.sqrt(0.25 / 50))
    assert standard_error(1.0, 20) == pytest.approx(math.sqrt((22 / 24) * (2 / 24) / 24))
    assert standard_error(0.0, 20) == pytest.approx(standard_error(1.0, 20))
    assert standard_error(0.9, 10_000) == pytest.approx(0.003, rel=1e-3)


def test_one_training_has_the_error_of_its_images_and_of_what_is_known_of_other_seeds() -> None:
    assert estimate([0.9], [0.003], None) == Estimate(mean=0.9, error=0.003, seeds=1)
    found = estimate([0.9], [0.003], Spread(deviation=0.004, freedom=4))
    assert found.error == pytest.approx(0.005)
    assert found.freedom == int(4 * (25 / 16) ** 2)
    for of_one in (None, Spread(deviation=0.02, freedom=4)):
        assert estimate([0.9], [None], of_one).error is None


def test_the_spread_is_taken_from_all_that_were_trained_several_times() -> None:
    assert spread([[0.9], [0.8]]) is None
    found = spread([[0.90, 0.92], [0.70, 0.72, 0.74], [0.5]])
    assert found is not None
    assert found.freedom == 3
    assert found.deviation == pytest.approx((0.001 / 3) ** 0.5)


def test_more_seeds_do_not_make_more_images() -> None:
    one, several = (estimate([0.9] * seeds, [0.0207] * seeds, Spread(deviation=0.005, freedom=7)) for seeds in (1, 3))
    assert several.error == pytest.approx(math.hypot(0.0207, 0.005 / math.sqrt(3)))
    assert 0.0207 < (several.error or 0) < (one.error or 0)
    assert several.seeds == 3
    assert several.mean == pytest.approx(0.9)
    assert several.freedom > one.freedom > 7, "few trainings say little of seeds, which are a small part of it"


def test_without_an_error_of_images_several_have_that_of_their_mean() -> None:
    found = estimate([0.90, 0.92, 0.94], [None] * 3, Spread(deviation=0.03, freedom=7))
    assert (found.seeds, found.freedom) == (3, 7)
    assert found.mean == pytest.approx(0.92)
    assert found.error == pytest.approx(0.03 / math.sqrt(3))


def test_trainings_that_came_out_alike_by_chance_are_not_certain() -> None:
    """Alone they have the error of their images; beside others, the spread of those as well."""
    alone = spread([[0.9, 0.9]])
    assert estimate([0.9, 0.9], [0.003] * 2, alone) == Estimate(mean=0.9, error=0.003, seeds=2)
    beside = spread([[0.9, 0.9], [0.80, 0.82]])
    assert estimate([0.9, 0.9], [0.003] * 2, beside).error == pytest.approx(math.hypot(0.003, 0.01 / math.sqrt(2)))


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


def answered(*trainings: list[int], of_one: Spread | None = None) -> Estimate:
    """A network whose trainings got right the images that are 1."""
    answers = [
        Answers(images=len(right), right=packed(np.packbits(right, bitorder="little").tobytes())) for right in trainings
    ]
    accuracies = [sum(right) / len(right) for right in trainings]
    errors = [standard_error(sum(right) / len(right), len(right)) for right in trainings]
    return estimate(accuracies, errors, of_one, answers)


def test_two_are_compared_on_the_same_images() -> None:
    """What one got right beyond the other counts, and not what both found hard."""
    hard, better = [0] * 400 + [1] * 600, [0] * 380 + [1] * 620
    scattered = [1] * 310 + [0] * 380 + [1] * 310  # as many right as `better` has
    assert not tied(answered(hard), answered(better)), "20 images more, and none less"
    assert tied(answered(hard), answered(scattered)), "as many more by others"
    assert tied(replace(answered(hard), answers=()), answered(better)), "by their errors nothing is seen of it"
    assert tied(answered(hard), answered(hard))
    assert tied(answered(hard), answered(better[:900])) == tied(
        *(replace(row, answers=()) for row in (answered(hard), answered(better[:900])))
    ), "of other images each stands alone"


@pytest.mark.parametrize(("more", "apart"), [(2, False), (3, False), (4, False), (5, True), (6, True)])
def test_few_images_more_are_chance(more: int, apart: bool) -> None:
    """McNemar's test has a mid-p of 0.06 for four images, and of 0.03 for five."""
    ones, others = [0] * more + [1] * (40 - more), [1] * 40
    assert tied(answered(ones), answered(others)) is not apart
    assert tied(answered(others), answered(ones)) is not apart


def test_what_other_seeds_would_have_changed_counts_as_well() -> None:
    hard, better = [0] * 400 + [1] * 600, [0] * 380 + [1] * 620
    chance = Spread(deviation=0.02, freedom=10)
    assert tied(answered(hard, of_one=chance), answered(better, of_one=chance))
    assert not tied(*(answered(*[right] * 40, of_one=chance) for right in (hard, better))), "not of so many"


def test_the_answers_of_several_trainings_are_their_mean() -> None:
    """A network of two trainings that agree in nothing, and one that has half of the images right for certain."""
    halves = answered([1, 0] * 200, [0, 1] * 200)
    same = answered([1] * 200 + [0] * 200, [1] * 200 + [0] * 200)
    assert tied(halves, same)
    assert not tied(halves, answered([1] * 270 + [0] * 130))
    assert tied(halves, answered([1] * 210 + [0] * 190))


def test_answers_are_packed_small() -> None:
    right = np.random.default_rng(0).random(10_000) < 0.93
    text = packed(np.packbits(right, bitorder="little").tobytes())
    assert len(text) < 900
    bits = Answers(images=10_000, right=text).bits
    assert [bits >> place & 1 for place in range(10_000)] == right.tolist()


def test_nothing_is_said_of_what_has_no_error() -> None:
    assert not tied(at(0.9, None), at(0.9, 0.1))
