"""What answers are worth class by class."""

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nas.metrics import certain, quality
from nas.noise import standard_error


def test_the_share_of_the_largest_class_is_called_by_its_name() -> None:
    """99 % accuracy by always answering one of two."""
    found = quality([[1000, 0], [10, 0]], ("plain", "rare"))
    assert found.majority == pytest.approx(1000 / 1010)
    assert found.balanced_accuracy == 0.5
    assert found.macro_f1 == pytest.approx((2000 / 2010) / 2)
    assert (found.worst_recall, found.worst_class) == (0.0, "rare")
    assert (found.classes, found.recalls) == (("plain", "rare"), (1.0, 0.0))
    assert found.confusion == ((1000, 0), (10, 0))
    both = (standard_error(1.0, 1000), standard_error(0.0, 10))
    assert found.balanced_accuracy_error == pytest.approx(math.hypot(*both) / 2)
    assert found.balanced_accuracy_error > 0.04, "ten images say little"


def test_recall_is_of_the_images_and_precision_of_the_answers() -> None:
    found = quality([[8, 2, 0], [1, 9, 0], [0, 5, 15]], "abc")
    assert found.recalls == (0.8, 0.9, 0.75)
    assert found.macro_f1 == pytest.approx((16 / 19 + 18 / 26 + 30 / 35) / 3)
    assert (found.majority, found.worst_class) == (0.5, "c")


def test_a_class_without_images_is_left_out() -> None:
    found = quality([[8, 1, 1], [0, 10, 0], [0, 0, 0]], "abc")
    assert found.recalls == (0.8, 1.0, None)
    assert found.balanced_accuracy == pytest.approx(0.9)


def test_of_many_classes_only_the_figures_are_kept() -> None:
    confusion = [[5 if column == row else 0 for column in range(60)] for row in range(60)]
    found = quality(confusion, [str(number) for number in range(60)])
    assert (found.classes, found.recalls, found.confusion) == ((), (), ())
    assert (found.balanced_accuracy, found.macro_f1) == (1.0, 1.0)


def test_the_error_of_the_mean_f1_is_what_other_images_would_change_it_by() -> None:
    draw, cells = random.Random(0), [(0, 0, 0.6), (0, 1, 0.1), (1, 0, 0.1), (1, 1, 0.2)]
    found = []
    for _ in range(400):
        confusion = [[0, 0], [0, 0]]
        for true, answer, _ in draw.choices(cells, [share for *_, share in cells], k=300):
            confusion[true][answer] += 1
        found.append(quality(confusion, "ab"))
    mean = sum(one.macro_f1 for one in found) / len(found)
    spread = math.sqrt(sum((one.macro_f1 - mean) ** 2 for one in found) / len(found))
    assert sum(one.macro_f1_error for one in found) / len(found) == pytest.approx(spread, rel=0.1)


PLAIN = quality([[1, 1], [0, 2]], "ab")


def test_probabilities_are_held_against_what_came_of_them() -> None:
    """By hand: bins of 0.6 to 0.667 and of 0.933 to 1."""
    found = certain(PLAIN, [0.0, 1.0, 2.0, 3.0], [0.61, 0.65, 0.95, 1.0], [True, False, True, True])
    assert found.log_loss == 1.5
    assert found.log_loss_error == pytest.approx(math.sqrt(5 / 3) / 2)
    assert found.calibration_error == pytest.approx((abs(0.61 + 0.65 - 1) + abs(0.95 + 1.0 - 2)) / 4)
    assert found.confusion == PLAIN.confusion, "and nothing else changes"


def test_a_probability_between_two_bins_is_of_the_lower_one() -> None:
    apart = certain(PLAIN, [0.0, 0.0], [0.2, 0.25], [True, False])  # 0.2 is the end of the third of 15
    assert apart.calibration_error == pytest.approx((0.8 + 0.25) / 2)
    together = certain(PLAIN, [0.0, 0.0], [0.21, 0.25], [True, False])
    assert together.calibration_error == pytest.approx((1 - 0.46) / 2)


@given(st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=1, max_size=60))
def test_a_calibration_error_is_between_that_of_the_whole_and_that_of_each(answered: list[tuple[float, bool]]) -> None:
    confidences, right = zip(*answered)
    found = certain(PLAIN, [0.0] * len(right), confidences, right).calibration_error
    assert found is not None
    each = [confidence - hit for confidence, hit in answered]
    assert abs(sum(each)) / len(each) - 1e-9 <= found <= sum(map(abs, each)) / len(each) + 1e-9


def test_one_image_has_no_error_of_its_log_loss() -> None:
    found = certain(PLAIN, [0.5], [0.6], [True])
    assert (found.log_loss, found.log_loss_error) == (0.5, None)


def test_the_smallest_recall_is_known_by_the_images_of_its_class() -> None:
    found = quality([[90, 10], [3, 2]], "ab")
    assert (found.worst_recall, found.worst_recall_error) == (0.4, standard_error(0.4, 5))
