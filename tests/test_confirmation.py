"""Which network is trained again before its lead is believed."""

import dataclasses
import math
import random
import statistics

import pytest

from nas.confirmation import Measured, confirmation
from nas.objective import Objective

PLAIN = Objective(w_under=0, w_over=0)


def rows(*accuracies: tuple[float, ...]) -> list[Measured]:
    return [Measured(costs=(1.0,), accuracies=each) for each in accuracies]


def test_what_leads_by_one_training_is_trained_again() -> None:
    assert confirmation([], PLAIN) is None
    assert confirmation(rows((0.9,), (0.93,), (0.91,)), PLAIN) == 1
    assert confirmation(rows((0.9,), (0.93, 0.91), (0.925,)), PLAIN) == 2, "of the mean it is behind"


def test_the_reward_says_what_leads() -> None:
    measured = [Measured(costs=(1.0,), accuracies=(0.9,)), Measured(costs=(8.0,), accuracies=(0.91,))]
    assert confirmation(measured, PLAIN) == 1
    assert confirmation(measured, Objective(target=1.0)) == 0


def test_a_rival_that_chance_may_have_kept_back_is_trained_until_it_is_behind() -> None:
    assert confirmation(rows((0.92, 0.93), (0.924,)), PLAIN) == 1
    assert confirmation(rows((0.92, 0.93), (0.80,)), PLAIN) is None
    assert confirmation(rows((0.92, 0.93), (0.923, 0.923, 0.923)), PLAIN) == 0, "the one that was trained less"


def test_what_is_under_way_counts() -> None:
    once = Measured(costs=(1.0,), accuracies=(0.93,), pending=1)
    assert confirmation([once, *rows((0.92,))], PLAIN) is None, "nothing is known yet of chance"
    assert confirmation([once, *rows((0.90, 0.91), (0.92,))], PLAIN) == 2


def test_one_network_has_no_rival() -> None:
    assert confirmation(rows((0.9, 0.91)), PLAIN) is None


def test_equal_accuracies_say_that_chance_is_small_and_not_that_it_is_none() -> None:
    assert confirmation(rows((0.9, 0.9), (0.9,)), PLAIN) == 1
    assert confirmation(rows((0.9, 0.9), (0.8,)), PLAIN) is None


def test_what_few_trainings_say_of_chance_is_uncertain_itself() -> None:
    """With one degree of freedom 95 % lie within 12.7 standard errors, with four within 2.8."""
    apart = 5 * math.hypot(0.005 / math.sqrt(2), 0.005)
    once = rows((0.92 + 0.0025 * math.sqrt(2), 0.92 - 0.0025 * math.sqrt(2)), (0.92 - apart,))
    assert confirmation(once, PLAIN) == 1
    often = rows(*[(0.5 + 0.0025 * math.sqrt(2), 0.5 - 0.0025 * math.sqrt(2))] * 3)
    assert confirmation([*once, *often], PLAIN) is None


def test_where_all_trainings_are_alike_the_images_leave_something_open() -> None:
    def measured(error: float) -> list[Measured]:
        return [dataclasses.replace(one, error=error) for one in rows((0.9, 0.9), (0.88,))]

    assert confirmation(measured(0.01), PLAIN) == 1
    assert confirmation(measured(0.005), PLAIN) is None


def test_every_network_of_a_front_is_trained_twice() -> None:
    costs = {1.0: (0.8,), 2.0: (0.9,), 3.0: (0.85,), 4.0: (0.95, 0.94)}
    measured = [Measured(costs=(cost,), accuracies=accuracies) for cost, accuracies in costs.items()]
    front = Objective(form="front", w_under=0, w_over=0)
    assert confirmation(measured, front) == 1
    measured[1] = Measured(costs=(2.0,), accuracies=(0.9,), pending=1)
    assert confirmation(measured, front) == 0
    measured[0] = Measured(costs=(1.0,), accuracies=(0.8, 0.81))
    assert confirmation(measured, front) is None, "the third is beaten"


def test_leads_that_were_confirmed_are_better_than_lucky_ones() -> None:
    """Of fifty networks that differ by as much as their trainings do, on average over many such searches."""
    blind, careful = [], []
    for seed in range(200):
        draw = random.Random(seed)
        truth = [draw.gauss(0.9, 0.01) for _ in range(50)]
        measured = rows(*((draw.gauss(one, 0.01),) for one in truth))

        def believed() -> float:
            return truth[max(range(50), key=lambda one: statistics.fmean(measured[one].accuracies))]  # noqa: B023

        blind.append(believed())
        for _ in range(10):
            again = confirmation(measured, PLAIN)
            if again is None:
                break
            more = (*measured[again].accuracies, draw.gauss(truth[again], 0.01))
            measured[again] = Measured(costs=(1.0,), accuracies=more)
        careful.append(believed())
    assert statistics.fmean(careful) > statistics.fmean(blind) + 0.002


def test_a_lead_by_a_latency_that_is_not_well_known_is_in_doubt() -> None:
    """Of 1 % of accuracy, where the cost of the rival may be a tenth less than was measured."""
    by_latency = Objective(cost="latency_ms", target=1.0, w_under=-0.2, w_over=-0.2)
    steady = [(0.920, 0.921), (0.910, 0.911)]
    for cost_error, again in ((0.001, None), (0.1, 0)):
        measured = [Measured(costs=(1.0,), accuracies=each, cost_error=cost_error) for each in steady]
        assert confirmation(measured, by_latency) == again
        assert confirmation(measured, dataclasses.replace(by_latency, cost="params")) is None


def test_what_an_error_of_the_cost_leaves_open_of_the_reward() -> None:
    assert Objective(w_under=-0.2, w_over=-0.2, target=1.0).reward_error(0.5, 1.0, 0.05) == pytest.approx(
        0.5 * 0.2 * 0.05, rel=1e-3
    )
    assert Objective(w_under=0.0, w_over=-1.0, target=1.0).reward_error(0.5, 0.8, 0.05) == 0.0
    absolute = Objective(form="absolute", w_under=-0.1, w_over=-0.1, target=1.0)
    assert absolute.reward_error(0.5, 2.0, 0.05) == pytest.approx(0.1 * 2 * 0.05, rel=1e-2)
