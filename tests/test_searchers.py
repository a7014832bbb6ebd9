"""Every searcher by one protocol: on every space, on landscapes whose truth is known, and through failures."""

import dataclasses
import itertools
import math
import random
import statistics
import sys
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pytest

from bench._landscapes import Landscape, synthetic
from nas import plugins, spaces
from nas.networks.architecture import Choices, Images, Knobs, random_choices
from nas.objective import Form, Objective
from nas.pareto import hypervolume
from nas.searchers import Costed, Earlier, Outcome, Problem, Searcher, _belief, surrogate
from nas.searchers._acquisition import excess, hypervolume_improvement, improvement, unwarp, warp
from nas.searchers._candidates import CHECKS, Candidates
from nas.searchers._gaussian_process import PLAIN, GaussianProcess, Rows, distances, plain

NAMES = plugins.names("nas.searchers")
IMAGES = Images(resolution=32, channels=3, classes=10)
LAND = synthetic(2)  # 11,664 choices with interactions, noise and an inert knob
AIM = Objective(target=LAND.targets[1], w_under=0, w_over=-1)
TINY: Knobs = {"op": ("a", "b"), "kernel": (3,), "width": (1.0, 2.0, 3.0)}
FEWER_TRIALS = {"optuna_gp": 12}  # a proposal of its model takes seconds
SINGLE: Knobs = {"op": ("a",), "width": (1.0,)}


def make(name: str, problem: Problem, *, seed: int = 0, **options: Any) -> Searcher:
    searcher: Searcher = plugins.load("nas.searchers", name).Searcher(problem, seed=seed, **options)
    return searcher


KNOWN = Problem(knobs=LAND.knobs, objective=AIM, cost=LAND.cost, canonical=LAND.canonical, trials=60)


def on_land(name: str, objective: Objective = AIM, *, seed: int = 0, **facts: Any) -> Searcher:
    return make(name, dataclasses.replace(KNOWN, objective=objective, **facts), seed=seed)


def measured(choices: Choices, land: Landscape = LAND) -> Outcome:
    return Outcome(accuracy=land.trainings(choices)[0], cost=land.cost(choices))


def proposal(searcher: Searcher, number: int, taken: list[Choices], pending: list[Choices]) -> Choices | None:
    """As a search asks: again, until it is a network that is not `taken`."""
    refused: list[Choices] = []
    for attempt in range(1000):
        choices = searcher.ask(number, [*pending, *refused], attempt=attempt)
        if choices is None:
            return None
        if LAND.canonical(choices) not in taken:
            return choices
        refused.append(choices)
    return None


def trail(searcher: Searcher, trials: int, *, workers: int = 1, past: tuple[Any, ...] = ()) -> Iterator[Any]:
    """(what was proposed, what was told) of a search with so many `workers`, after a `past` that was told already.

    They end in an order of their own; one trial in seven fails.
    """
    taken = [LAND.canonical(choices) for event, choices in past if event == "ask"]
    told = [choices for event, choices in past if event == "tell"]
    running = [choices for event, choices in past if event == "ask" and choices not in told]
    while len(told) < trials:
        while len(running) < min(workers, trials - len(told)):
            choices = proposal(searcher, len(taken), taken, running)
            assert choices is not None
            taken.append(LAND.canonical(choices))
            running.append(choices)
            yield "ask", choices
        choices = running.pop(len(told) % len(running))
        told.append(choices)
        searcher.tell(choices, None if len(told) % 7 == 0 else measured(choices))
        yield "tell", choices


def found(searcher: Searcher, trials: int, aim: Objective = AIM) -> list[tuple[float, float]]:
    """(cost, accuracy without luck) of what it tried."""
    told = [choices for event, choices in trail(searcher, trials) if event == "tell"]
    return [(LAND.cost(one), LAND.accuracy(one)) for one in told]


CAP = sorted(map(LAND.cost, LAND.networks or ()))[len(LAND.networks or ()) // 10]
ACCURATE = Objective(target=CAP, w_under=0, w_over=0)


def capped(searcher: Searcher, trials: int) -> list[tuple[Choices, Costed]]:
    """What comes of a search where cost is capped, and known once it was measured; a refusal takes a trial."""
    history, taken = list[tuple[Choices, Costed]](), list[Choices]()
    for number in range(trials):
        choices = proposal(searcher, number, taken, [])
        assert choices is not None
        taken.append(LAND.canonical(choices))
        outcome: Costed = dataclasses.replace(measured(choices), load=LAND.cost(choices) / CAP)
        if outcome.load and outcome.load > 1:
            outcome = Costed(cost=outcome.cost, load=outcome.load)
        searcher.tell(choices, outcome)
        history.append((choices, outcome))
    return history


def depth(choices: Choices) -> float:
    """A second cost, which the first says little about: layers, those of five pixels counted twice."""
    return sum(float(choices[f"stage{one}.depth"]) * (1.0 + (choices[f"stage{one}.kernel"] == 5)) for one in (1, 2))


REWARDS = [AIM.reward(LAND.accuracy(one), LAND.cost(one)) for one in LAND.networks or ()]
BEST, AVERAGE = max(REWARDS), sum(REWARDS) / len(REWARDS)


@pytest.mark.parametrize("name", NAMES)
class TestEverySearcher:
    @pytest.mark.parametrize("space", plugins.names("search_spaces"))
    def test_it_proposes_choices_of_every_space(self, name: str, space: str) -> None:
        knobs = spaces.load(space).knobs(IMAGES)
        searcher = make(name, Problem(knobs=knobs, objective=AIM, trials=9))
        for number in range(FEWER_TRIALS.get(name, 14) if space == "mbconv" else 8):
            choices = searcher.ask(number)
            assert choices is not None
            assert list(choices) == list(knobs)
            assert all(choices[knob] in options for knob, options in knobs.items())
            assert all(type(choices[knob]) in {type(one) for one in options} for knob, options in knobs.items())
            luck = random.Random(str(choices)).random()
            searcher.tell(choices, Outcome(accuracy=luck, cost=1 + luck) if number % 3 else None)

    def test_randomness_comes_from_the_seed_and_the_number_alone(self, name: str) -> None:
        one, other = on_land(name), on_land(name)
        for number in range(FEWER_TRIALS.get(name, 15) - 1):
            choices = one.ask(number, [])
            assert choices is not None
            one.tell(choices, measured(choices))
            other.tell(choices, measured(choices))
        for number in (40, 16, 99):
            other.ask(number, [])
        random.seed(7)
        np.random.seed(7)  # the old global state is what must not matter
        assert other.ask(15, []) == one.ask(15, [])
        first = [on_land(name, seed=seed).ask(0, []) for seed in range(6)]
        assert len({str(choices) for choices in first}) > 1

    def test_told_the_past_a_new_one_goes_on_as_the_old_one(self, name: str) -> None:
        trials = FEWER_TRIALS.get(name, 24)
        whole = tuple(trail(on_land(name), trials, workers=3))
        cut = len(whole) * 2 // 3
        again = on_land(name)
        told = 0
        for event, choices in whole[:cut]:
            if event == "tell":
                told += 1
                again.tell(choices, None if told % 7 == 0 else measured(choices))
        assert tuple(trail(again, trials, workers=3, past=whole[:cut])) == whole[cut:]

    def test_what_is_asked_for_at_once_is_spread(self, name: str) -> None:
        searcher = on_land(name)
        done = [choices for event, choices in trail(searcher, 10) if event == "tell"]
        taken, pending = [LAND.canonical(choices) for choices in done], list[Choices]()
        for number in range(10, 12 if name in FEWER_TRIALS else 18):
            choices = proposal(searcher, number, taken, pending)
            assert choices is not None
            pending.append(choices)
            taken.append(LAND.canonical(choices))
        assert len({str(choices) for choices in taken}) == number + 1

    def test_a_front_may_have_two_costs(self, name: str) -> None:
        aim = Objective(target=LAND.targets[0], form="front", also="params")
        one, other = (on_land(name, aim, also=depth) for _ in range(2))
        told = list[Choices]()
        for number in range(12):
            choices = proposal(one, number, told, [])
            assert choices is not None
            told.append(LAND.canonical(choices))
            for searcher in (one, other):
                searcher.tell(choices, dataclasses.replace(measured(choices), also=depth(choices)))
        assert one.ask(12, []) == other.ask(12, [])

    def test_networks_that_are_trained_again_are_told_again(self, name: str) -> None:
        """Also by other choices of the same network, and as failed; and a new searcher learns the same of it."""
        searcher, again = on_land(name), on_land(name)
        history: list[tuple[Choices, Outcome | None]] = []
        for number in range(FEWER_TRIALS.get(name, 24)):
            choices = proposal(searcher, number, [LAND.canonical(told) for told, _ in history], [])
            assert choices is not None
            told = [(choices, measured(choices))]
            told += [(LAND.canonical(choices), measured(choices)) for _ in range(2) if number % 3 == 0]
            for outcome in [*told, (choices, None)] if number % 6 == 0 else told:
                searcher.tell(*outcome)
                history.append(outcome)
        for outcome in history:
            again.tell(*outcome)
        assert searcher.ask(99, []) == again.ask(99, [])

    def test_it_goes_on_when_every_trial_fails(self, name: str) -> None:
        searcher, proposed = on_land(name), list[Choices]()
        for number in range(20):
            choices = proposal(searcher, number, proposed, [])
            assert choices is not None
            proposed.append(LAND.canonical(choices))
            searcher.tell(choices, None)

    def test_knobs_of_one_choice_and_few_networks(self, name: str) -> None:
        for knobs in (TINY, SINGLE):
            searcher, seen = make(name, Problem(knobs=knobs, objective=AIM)), list[Choices | None]()
            networks = math.prod(map(len, knobs.values()))
            for number in range(200):
                choices = searcher.ask(number % 50, [], attempt=number // 50 * 100)
                if choices is not None:
                    assert all(choices[knob] in options for knob, options in knobs.items())
                    if choices not in seen:
                        seen.append(choices)
                        searcher.tell(choices, Outcome(accuracy=0.5, cost=1.0))
            assert len(seen) == networks

    def test_it_learns(self, name: str) -> None:
        """What it proposes late is better than what is drawn at random."""
        if name == "random":
            pytest.skip("the baseline itself")
        trials: int
        options: dict[str, Any]
        trials, options = (16, {"startup": 6}) if name == "optuna_gp" else (70, {})
        searcher = make(name, dataclasses.replace(KNOWN, trials=trials), **options)
        late = [AIM.reward(accuracy, cost) for cost, accuracy in found(searcher, trials)[-trials // 2 :]]
        assert np.mean(late) > AVERAGE + 0.02

    def test_it_goes_on_where_some_or_all_are_refused_for_their_cost(self, name: str) -> None:
        trials = FEWER_TRIALS.get(name, 24)
        one, other, hopeless = (on_land(name, ACCURATE, cost=None, trials=trials) for _ in range(3))
        for choices, outcome in capped(one, trials):
            other.tell(choices, outcome)
        assert one.ask(trials, []) == other.ask(trials, [])
        for number in range(8):
            refused = hopeless.ask(number, [])
            assert refused is not None
            hopeless.tell(refused, Costed(cost=LAND.cost(refused), load=2.0))

    def test_options_out_of_range_are_refused(self, name: str) -> None:
        options: dict[str, dict[str, Any]] = {
            "evolution": {"population": 1},
            "optuna_gp": {"startup": 0},
            "optuna_nsga2": {"population": 1},
            "optuna_tpe": {"startup": 0},
            "ppo": {"clip": 2.0},
            "reinforce": {"rate": 0.0},
            "surrogate": {"first": -1},
        }
        for option, value in options.get(name, {}).items():
            with pytest.raises(ValueError, match=f"{option} {value}"):
                make(name, KNOWN, **{option: value})


@pytest.mark.parametrize("name", ["local", "evolution"])
def test_a_lead_that_was_lucky_is_left_once_it_is_trained_again(name: str) -> None:
    """Both stand on what they were told of a few networks: of one that was trained again, the mean counts."""
    networks = LAND.networks or ()
    lucky, steady, others = networks[0], networks[-1], networks[100:106]
    plain = Objective(w_under=0, w_over=0)
    options: dict[str, Any] = {"population": 8, "sample": 8} if name == "evolution" else {}
    searcher = make(name, Problem(knobs=LAND.knobs, objective=plain), **options)
    for choices, accuracy in [(steady, 0.9), (lucky, 0.95), *((other, 0.5) for other in others)]:
        searcher.tell(choices, Outcome(accuracy=accuracy, cost=1.0))
    again = [Outcome(accuracy=0.6, cost=1.0)] * 4

    def near(choices: Choices) -> float:
        """How many of some proposals have most knobs of `choices`."""
        asked = [searcher.ask(number, []) or {} for number in range(40)]
        return sum(sum(one[knob] == choices[knob] for knob in choices) >= len(choices) - 3 for one in asked)

    assert near(lucky) > near(steady)
    for outcome in again:
        searcher.tell(lucky, outcome)
    assert near(lucky) < near(steady)


@pytest.mark.parametrize("name", ["ppo", "reinforce", "optuna_tpe", "optuna_nsga2", "surrogate"])
def test_what_was_refused_for_its_cost_is_avoided(name: str) -> None:
    """Whatever the accuracy of the others, which is the same for all."""
    searcher, draw = (
        make(name, Problem(knobs=LAND.knobs, objective=ACCURATE, canonical=LAND.canonical)),
        random.Random(0),
    )
    for _ in range(60):
        choices = random_choices(LAND.knobs, draw)
        dear = choices["stage1.op"] == "fused"
        searcher.tell(choices, Costed(cost=1.0, load=1.5) if dear else Outcome(accuracy=0.8, cost=1.0, load=0.5))
    asked = [searcher.ask(number, []) or {} for number in range(60, 100)]
    assert sum(choices["stage1.op"] == "fused" for choices in asked) < len(asked) / 4


class TestTheDefault:
    def test_it_is_near_the_best_of_ten_thousand_after_thirty_trials(self) -> None:
        for seed in range(3):
            best = max(AIM.reward(accuracy, cost) for cost, accuracy in found(on_land("surrogate", seed=seed), 30))
            assert best > BEST - 0.003

    def test_it_does_without_the_cost(self) -> None:
        searcher = on_land("surrogate", cost=None)
        assert max(AIM.reward(accuracy, cost) for cost, accuracy in found(searcher, 50)) > BEST - 0.006

    def test_a_front_is_found_in_fewer_trials_than_by_chance(self) -> None:
        aim = Objective(target=LAND.targets[0], form="front")
        corner = (max(map(LAND.cost, LAND.networks or ())), 0.8)
        ours = hypervolume(found(on_land("surrogate", aim), 30), corner)
        assert ours > hypervolume(found(on_land("random", aim), 150), corner)

    def test_so_is_one_of_two_costs_whether_the_second_is_known_or_not(self) -> None:
        aim = Objective(target=LAND.targets[0], form="front", also="params")

        def volume(name: str, trials: int, also: Any) -> float:
            searcher, points = on_land(name, aim, also=also), list[tuple[float, ...]]()
            taken = list[Choices]()
            for number in range(trials):
                choices = proposal(searcher, number, taken, [])
                assert choices is not None
                taken.append(LAND.canonical(choices))
                searcher.tell(choices, dataclasses.replace(measured(choices), also=depth(choices)))
                points.append((LAND.cost(choices), depth(choices), LAND.accuracy(choices)))
            return hypervolume(points, (max(map(LAND.cost, LAND.networks or ())), 10.0, 0.8))

        chance = volume("random", 120, None)
        assert volume("surrogate", 30, depth) > chance
        assert volume("surrogate", 30, None) > chance

    @pytest.mark.parametrize("form", ["product", "absolute", "front"])
    def test_less_and_less_is_expected(self, form: Form) -> None:
        searcher = on_land("surrogate", dataclasses.replace(AIM, form=form), trials=60)
        gains: list[float | None] = []
        for event, _ in trail(searcher, 60):
            if event == "ask":
                gains.append(searcher.expected_gain)  # type: ignore[attr-defined]
        said = [gain for gain in gains if gain is not None]
        assert gains[0] is None  # the first are chosen without a model
        assert len(said) >= 50
        assert 0 < statistics.median(said[-10:]) < statistics.median(said[:10]) / 3 < 1

    @pytest.mark.parametrize(
        ("aim", "opening"),
        [(Objective(target=LAND.targets[1]), 2), (AIM, 4), (dataclasses.replace(AIM, form="front"), 4)],
        ids=["soft", "hard", "front"],
    )
    def test_fewer_trials_are_without_a_model_where_cost_alone_gives_no_hint(
        self, aim: Objective, opening: int
    ) -> None:
        searcher, gains = on_land("surrogate", aim), list[float | None]()
        for event, _ in trail(searcher, 6):
            if event == "ask":
                gains.append(searcher.expected_gain)  # type: ignore[attr-defined]
        assert [gain is None for gain in gains] == [number < opening for number in range(6)]

    def test_as_much_is_expected_as_comes_of_it(self) -> None:
        """On average over proposals and seeds, within what chance does to so few."""
        expected = gained = 0.0
        for seed in range(8):
            searcher = on_land("surrogate", seed=seed, trials=30)
            best = 0.0
            for event, choices in trail(searcher, 30):
                reward = AIM.reward(LAND.accuracy(choices), LAND.cost(choices))
                if event == "ask" and (gain := searcher.expected_gain) is not None:  # type: ignore[attr-defined]
                    expected, gained = expected + gain, gained + max(0.0, reward - best)
                best = max(best, reward)
        assert 1 / 4 < expected / gained < 4

    def test_tunas_reward_leads_to_the_target(self) -> None:
        aim = Objective(target=LAND.targets[0], w_under=-0.1, w_over=-0.1, form="absolute")
        costs = [cost for cost, _ in found(on_land("surrogate", aim), 30)]
        assert np.median(np.abs(np.array(costs[15:]) / aim.target - 1)) < 0.1

    def test_nothing_that_is_not_allowed_is_proposed(self) -> None:
        searcher = on_land("surrogate", allowed=lambda choices: max(0.0, LAND.cost(choices) / LAND.targets[0] - 1))
        assert all(cost <= LAND.targets[0] for cost, _ in found(searcher, 20))

    def test_a_space_too_large_to_be_looked_at_whole_is_searched_around_the_best(self) -> None:
        land = synthetic(7)
        aim = Objective(target=land.targets[1])
        searcher, told = make("surrogate", Problem(knobs=land.knobs, objective=aim, cost=land.cost)), list[Choices]()
        for number in range(40):
            choices = searcher.ask(number)
            assert choices is not None
            told.append(choices)
            searcher.tell(choices, measured(choices, land))
        assert len({str(choices) for choices in told}) == 40
        chance = random.Random(0)
        drawn = [random_choices(land.knobs, chance) for _ in range(1000)]
        rewards, others = ([aim.reward(land.accuracy(one), land.cost(one)) for one in many] for many in (told, drawn))
        assert max(rewards) > max(others)

    def test_of_such_a_space_few_networks_are_counted_for_a_proposal(self) -> None:
        land, counted = synthetic(7), list[Choices]()

        def cost(choices: Choices) -> float:
            counted.append(choices)
            return land.cost(choices)

        problem = Problem(knobs=land.knobs, objective=Objective(target=land.targets[1]), cost=cost)
        searcher, draw = make("surrogate", problem), random.Random(0)
        for _ in range(20):
            choices = random_choices(land.knobs, draw)
            searcher.tell(choices, measured(choices, land))
        for number in range(3):
            counted.clear()
            searcher.ask(number, [])
            assert len(counted) <= 2 * CHECKS or not number, "the first of all looks at a sample of the space"

    def test_what_networks_cost_is_guessed_well_enough_to_say_which_to_count(self) -> None:
        land, draw = synthetic(7), random.Random(0)
        candidates = Candidates(Problem(knobs=land.knobs, objective=AIM, cost=land.cost))
        candidates.learn_costs(candidates.drawn(draw, 300))
        others = candidates.strangers(draw, 200)
        guessed, costs = np.log(candidates.guessed(others)[1][:, 0]), np.log(candidates.rows(others)[1][:, 0])
        assert np.abs(guessed - costs).mean() < costs.std() / 3

    def test_it_leaves_what_keeps_failing(self) -> None:
        """Fused first stages fail, though they look best: it must not spend its trials on them."""
        searcher, failed, taken = on_land("surrogate"), 0, list[Choices]()
        for number in range(40):
            choices = proposal(searcher, number, taken, [])
            assert choices is not None
            taken.append(LAND.canonical(choices))
            fails = choices["stage1.width"] == 1.25
            failed += fails and number >= 20
            searcher.tell(choices, None if fails else measured(choices))
        assert failed <= 5

    def test_a_repetition_that_fails_says_nothing_against_the_network(self) -> None:
        one, two = on_land("surrogate"), on_land("surrogate")
        told = [choices for event, choices in trail(on_land("surrogate"), 12) if event == "tell"]
        for choices in told:
            for searcher in (one, two):
                searcher.tell(choices, measured(choices))
        one.tell(told[0], None)
        assert one.ask(12, []) == two.ask(12, [])
        assert not one._failed  # type: ignore[attr-defined]

    def test_where_cost_is_capped_and_not_known_it_learns_the_cap_from_refusals(self) -> None:
        refused, best = 0, list[float]()
        for seed in range(3):
            history = capped(on_land("surrogate", ACCURATE, seed=seed, cost=None), 30)
            refused += sum(not isinstance(outcome, Outcome) for _, outcome in history[15:])
            best.append(max(LAND.accuracy(one) for one, outcome in history if isinstance(outcome, Outcome)))
        assert refused < 0.7 * 3 * 15, "of those drawn at random nine in ten are"
        within = [LAND.accuracy(one) for one in LAND.networks or () if LAND.cost(one) <= CAP]
        assert statistics.fmean(best) > max(within) - 0.01, "drawn at random 0.035 less"

    @pytest.mark.parametrize("knobs", [12, 21])
    @pytest.mark.parametrize("outcomes", [10, 40])
    def test_of_what_is_noise_by_its_own_error_little_is_believed(self, knobs: int, outcomes: int) -> None:
        draw, error = random.Random(0), 0.004
        free: Knobs = {f"knob{number}": (1, 2, 3) for number in range(knobs)}
        networks = [random_choices(free, draw) for _ in range(outcomes)]
        accuracies = [draw.gauss(0.9, error) for _ in networks]

        def slope(told: float) -> float:
            searcher = make("surrogate", Problem(knobs=free, objective=Objective(w_under=0, w_over=0)))
            for choices, accuracy in zip(networks, accuracies):
                searcher.tell(choices, Outcome(accuracy=accuracy, cost=1.0, error=told))
            return statistics.linear_regression(accuracies, searcher.believed(networks)).slope  # type: ignore[attr-defined]

        assert slope(error) < 0.5 < 0.9 < slope(0.0)

    def test_it_is_as_good_where_errors_are_known(self) -> None:
        for seed in range(3):
            searcher, taken, best = on_land("surrogate", seed=seed), list[Choices](), 0.0
            for number in range(30):
                choices = proposal(searcher, number, taken, [])
                assert choices is not None
                taken.append(LAND.canonical(choices))
                searcher.tell(choices, dataclasses.replace(measured(choices), error=0.0015))
                best = max(best, AIM.reward(LAND.accuracy(choices), LAND.cost(choices)))
            assert best > BEST - 0.003

    @pytest.mark.parametrize(("w", "doubts"), [(-0.07, True), (0.0, False)])
    def test_where_cost_counts_in_the_reward_it_doubts_itself(self, w: float, doubts: bool) -> None:
        objective = Objective(target=LAND.targets[0], w_under=w, w_over=w)
        searcher: Any = on_land("surrogate", objective)
        list(trail(searcher, 12))
        searcher.ask(12, [])
        at_target, mean = np.full((1, 1), LAND.targets[0]), np.array([warp(np.array(searcher._best - 0.02))])
        low, high = (float(searcher._gain(mean, np.array([each]), at_target)[0]) for each in (0.1, 0.15))
        alone = improvement(mean, np.array([0.15]), np.ones(1), np.zeros(1), searcher._best)
        assert low == pytest.approx(float(alone[0])) if doubts else high == pytest.approx(float(alone[0]))
        assert low < high

    def test_a_lucky_measurement_is_not_believed(self) -> None:
        searcher = on_land("surrogate")
        told = [choices for event, choices in trail(searcher, 30) if event == "tell"]
        middling = sorted(told, key=LAND.accuracy)[10]
        searcher.tell(middling, Outcome(accuracy=0.97, cost=LAND.cost(middling)))
        believed = searcher.believed([middling])[0]  # type: ignore[attr-defined]
        assert believed < 0.97 - (0.97 - LAND.accuracy(middling)) / 4

    def test_outcomes_are_learnt_from_up_to_a_number(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(_belief, "MOST_ROWS", 50)
        searcher, draw = on_land("surrogate"), random.Random(0)
        for _ in range(80):
            choices = random_choices(LAND.knobs, draw)
            searcher.tell(choices, measured(choices))
        assert searcher.ask(80) is not None
        assert len(searcher._belief._process._asked._process._z) in range(25, 51)  # type: ignore[attr-defined]


class TestWhatEarlierSearchesFound:
    """100 networks of the land, of which a search for accuracy alone was told."""

    CHOICES = tuple(random_choices(LAND.knobs, random.Random(number)) for number in range(100))
    WORTH = staticmethod(lambda choices: AIM.reward(LAND.accuracy(choices), LAND.cost(choices)))

    def searcher(self, kind: int = 0, accuracies: Sequence[float] = (), objective: Objective = AIM) -> Any:
        accuracies = accuracies or [LAND.trainings(choices)[0] for choices in self.CHOICES]
        earlier = tuple(
            Earlier(choices=choices, accuracy=accuracy, kind=kind)
            for choices, accuracy in zip(self.CHOICES, accuracies)
        )
        return on_land("surrogate", objective, earlier=earlier)

    def seen(self, searcher: Any) -> int:
        """How many outcomes the view that is asked was conditioned on."""
        return len(searcher._belief._process._asked._process._z)

    def test_a_search_begins_where_they_ended(self) -> None:
        searcher = self.searcher()
        best = max(map(self.WORTH, self.CHOICES))
        first = [choices for event, choices in trail(searcher, 3) if event == "ask"]
        assert max(map(self.WORTH, first)) > best - 0.002, "and not with an opening"

    def test_a_front_too(self) -> None:
        searcher = self.searcher(objective=Objective(form="front"))
        for number in range(3):
            choices = searcher.ask(number, [])
            searcher.tell(choices, measured(choices))
        assert searcher.expected_gain is not None

    @pytest.mark.parametrize("worse", [0.0, 0.2])
    def test_another_training_says_which_are_better_and_not_how_good(self, worse: float) -> None:
        searcher = self.searcher(1, [LAND.trainings(choices)[0] - worse for choices in self.CHOICES])
        told = [choices for event, choices in trail(searcher, 6) if event == "tell"]
        ahead = sorted(map(self.WORTH, self.CHOICES), reverse=True)
        assert max(map(self.WORTH, told)) > ahead[5]
        unseen = [choices for choices in self.CHOICES if choices not in told]
        believed = searcher.believed(unseen)
        errors = [abs(one - LAND.accuracy(choices)) for one, choices in zip(believed, unseen)]
        assert statistics.fmean(errors) < 0.03

    @pytest.mark.parametrize("kind", [0, 1])
    def test_what_misleads_is_not_learnt_from(self, kind: int) -> None:
        accuracies = [LAND.trainings(choices)[0] for choices in self.CHOICES]
        searcher = self.searcher(kind, [max(accuracies) + min(accuracies) - accuracy for accuracy in accuracies])
        assert searcher.ask(0, []) is not None
        assert self.seen(searcher) == 100
        list(trail(searcher, 40))
        searcher.ask(40, [])
        common = math.exp(searcher._belief._process._asked._process._logs[6])
        assert self.seen(searcher) < 60 or (kind and common < 0.3)

    def test_longer_trainings_are_asked_for_and_the_shorter_ones_tell_the_rest(self) -> None:
        """40 networks were trained for a part of the time, which gives less accuracy, four of them for all of it."""
        searcher: Any = on_land("surrogate")
        for choices in self.CHOICES[:40]:
            short = dataclasses.replace(measured(choices), accuracy=LAND.accuracy(choices) - 0.2, kind=1)
            searcher.tell(choices, short)
        assert statistics.fmean(searcher.believed(self.CHOICES[40:])) < 0.8, "while there are no others"
        for choices in self.CHOICES[:4]:
            searcher.tell(choices, measured(choices))
        believed = searcher.believed(self.CHOICES[40:])
        errors = [abs(one - LAND.accuracy(choices)) for one, choices in zip(believed, self.CHOICES[40:])]
        assert statistics.fmean(errors) < 0.03

    def test_a_network_that_is_trained_again_is_known_once(self) -> None:
        searcher = self.searcher()
        searcher.tell(self.CHOICES[0], measured(self.CHOICES[0]))
        searcher.ask(1, [])
        assert self.seen(searcher) == 100

    def test_no_more_than_so_many_count(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(surrogate, "MOST_EARLIER", 20)
        searcher = self.searcher()
        assert searcher.ask(0, []) is not None
        assert self.seen(searcher) in range(10, 21)

    def test_a_cost_that_only_measuring_tells_still_wants_an_opening(self) -> None:
        earlier = tuple(Earlier(choices=choices, accuracy=LAND.accuracy(choices)) for choices in self.CHOICES)
        searcher = on_land("surrogate", cost=None, earlier=earlier)
        asked = [choices for event, choices in trail(searcher, 8) if event == "ask"]
        assert len(asked) == 8

    def test_a_searcher_says_whether_it_minds_them(self) -> None:
        assert [name for name in NAMES if plugins.learns(name)] == ["surrogate"]


@pytest.mark.parametrize("worst", [0.8, -0.2])
def test_what_is_refused_earns_less_the_further_it_is_over_the_limit(worst: float) -> None:
    near, far = (Costed(cost=1.0, load=load).instead(worst) for load in (1.1, 3.0))
    assert far < near < worst


def test_an_outcome_is_finite() -> None:
    for accuracy, cost in ((math.nan, 1.0), (1.2, 1.0), (0.5, math.inf), (0.5, 0.0), (0.5, math.nan)):
        with pytest.raises(ValueError, match="tell None for a failed trial"):
            Outcome(accuracy=accuracy, cost=cost)
    for load in (0.0, math.inf, math.nan):
        with pytest.raises(ValueError, match="tell None for a failed trial"):
            Costed(cost=1.0, load=load)
    for error in (-0.1, math.nan):
        with pytest.raises(ValueError, match="is neither 0 nor a positive number"):
            Outcome(accuracy=0.5, cost=1.0, error=error)


@pytest.mark.parametrize(
    ("name", "missing", "message"),
    [
        ("optuna_tpe", "optuna", r"needs Optuna: pip install 'nas-service\[searchers\]'"),
        ("optuna_cmaes", "cmaes", r"this searcher needs cmaes: pip install 'nas-service\[searchers\]'"),
        ("ppo", "torch", r"needs torch: pip install 'nas-service\[searchers\]'"),
    ],
)
def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch, name: str, missing: str, message: str) -> None:
    for module in [module for module in sys.modules if module.startswith("nas.searchers.")]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.setitem(sys.modules, missing, None)
    with pytest.raises(ImportError, match=message):
        make(name, KNOWN)


def test_expected_improvements_agree_with_simulation() -> None:
    draw = np.random.default_rng(0)
    mean, deviation = np.array([2.2, 2.6, 3.2]), np.array([0.3, 0.1, 0.5])
    accuracies = unwarp(mean + deviation * draw.standard_normal((400_000, 3)))
    level = np.array([0.9, 0.93, 0.95])
    assert np.allclose(excess(mean, deviation, level), np.maximum(accuracies - level, 0).mean(axis=0), rtol=0.02)
    factor, offset = np.array([1.0, 0.9, 1.1]), np.array([0.0, 0.1, -0.1])
    gained = np.maximum(accuracies * factor + offset - 0.92, 0).mean(axis=0)
    assert np.allclose(improvement(mean, deviation, factor, offset, 0.92), gained, rtol=0.03)
    reached = np.array([0.85, 0.9, 0.93, 0.88])
    for its, worst, costs in (
        ([[1.0], [2.0], [4.0], [1.5]], [5.0], [[0.5], [2.5], [4.5]]),
        ([[1.0, 3.0], [2.0, 1.0], [4.0, 2.0], [3.0, 0.5]], [5.0, 4.0], [[0.5, 3.5], [2.5, 0.7], [4.5, 2.5]]),
    ):
        points = [(*row, accuracy) for row, accuracy in zip(its, reached.tolist())]
        base = hypervolume(points, (*worst, 0.8))
        grown = [
            np.mean([hypervolume([*points, (*row, value)], (*worst, 0.8)) - base for value in accuracies[:4000, one]])
            for one, row in enumerate(costs)
        ]
        corner = (np.array(worst), 0.8)
        gained = hypervolume_improvement(mean, deviation, np.array(costs), (np.array(its), reached), corner)
        assert np.allclose(gained, grown, rtol=0.1)


def test_warping_is_undone() -> None:
    accuracies = np.array([0.0, 0.1, 0.9, 0.999, 1.0])
    assert np.allclose(unwarp(warp(accuracies)), accuracies)


def test_numbers_are_apart_by_rank_and_names_altogether() -> None:
    assert distances((3, 5, 7)).tolist() == [[0, 0.5, 1], [0.5, 0, 0.5], [1, 0.5, 0]]
    assert distances(("a", "b")).tolist() == distances((False, True)).tolist() == [[0, 1], [1, 0]]


class TestTheProcess:
    def told(self) -> tuple[GaussianProcess, Any, Any, Any]:
        draw = np.random.default_rng(1)
        codes = np.array(list(itertools.product(range(3), range(3), range(3))), dtype=np.intp)
        z = draw.standard_normal(27)
        values = codes[:, 0] - 0.5 * (codes[:, 1] == 1) + 0.3 * z + 0.05 * draw.standard_normal(27)
        values = (values - values.mean()) / values.std()
        process = GaussianProcess([distances((1, 2, 3)), distances(("a", "b", "c")), distances(("x", "y", "z"))])
        rows = plain(codes[:20], z[:20], values[:20], np.zeros(20))
        process.fit(rows, 60)
        process.condition(rows)
        return process, codes, z, values

    def test_it_predicts_what_it_was_not_told(self) -> None:
        process, codes, z, values = self.told()
        mean, deviation = process.predict(codes[20:], z[20:])
        assert np.abs(mean - values[20:]).mean() < 0.35
        assert (np.abs(mean - values[20:]) < 3 * deviation + 0.3).all()

    def test_it_is_surer_of_what_it_was_told(self) -> None:
        process, codes, z, _ = self.told()
        assert process.predict(codes[:20], z[:20])[1].mean() < 0.5 * process.predict(codes[20:], z[20:] + 4)[1].mean()

    def test_a_knob_that_does_nothing_weighs_least(self) -> None:
        process, *_ = self.told()
        weights = process._logs[PLAIN:]
        assert weights[2] < weights[0]


class TestOtherKinds:
    """Values of networks, and of the same networks and others values of another kind."""

    CODES = np.array(list(itertools.product(range(3), range(3), range(3))), dtype=np.intp)
    TABLES = (distances((1, 2, 3)), distances(("a", "b", "c")), distances(("x", "y", "z")))
    FEW = slice(0, 27, 4)

    def values(self, seed: int) -> Any:
        draw = np.random.default_rng(seed)
        effects = draw.standard_normal((3, 3))
        values = sum(effects[knob, self.CODES[:, knob]] for knob in range(3)) + 0.02 * draw.standard_normal(27)
        return (values - values.mean()) / values.std()

    def rows(self, own: Any, other: Any) -> Rows:
        codes, y = np.concatenate([self.CODES[self.FEW], self.CODES]), np.concatenate([own[self.FEW], other])
        kinds = np.repeat([0, 1], [len(own[self.FEW]), len(other)]).astype(np.intp)
        return Rows(codes, np.zeros(len(y)), y, np.zeros(len(y)), kinds)

    def missed(self, own: Any, rows: Rows) -> tuple[float, float]:
        """By how much, and the correlation of the kinds that was learnt."""
        process = GaussianProcess(self.TABLES)
        process.fit(rows, 60)
        process.condition(rows)
        mean = process.mean(self.CODES, np.zeros(27))
        return float(np.sqrt(np.mean((mean - own) ** 2))), float(np.exp(process._logs[6]))

    def test_what_ranks_alike_says_much_whatever_its_level_and_its_spread(self) -> None:
        own = self.values(1)
        rows = self.rows(own, 3 + 0.5 * own)
        alone, _ = self.missed(own, rows.of(rows.kinds == 0))
        beside, common = self.missed(own, rows)
        assert beside < 0.5 * alone
        assert common > 0.8

    def test_what_has_nothing_to_do_with_it_costs_little(self) -> None:
        own = self.values(1)
        rows = self.rows(own, self.values(5))
        alone, _ = self.missed(own, rows.of(rows.kinds == 0))
        beside, common = self.missed(own, rows)
        assert beside < 1.25 * alone
        assert common < 0.5

    def test_its_hyperparameters_are_more_likely_than_those_beside(self) -> None:
        """So the slopes that it goes by are those of the likelihood."""
        rows = self.rows(self.values(1), 3 + 0.5 * self.values(1) + 0.1 * self.values(2))
        process = GaussianProcess(self.TABLES)
        process.fit(rows, 200)

        def likelihood(logs: Any) -> float:
            beside = GaussianProcess(self.TABLES)
            beside._logs = logs
            beside.condition(rows)
            off = (logs - beside._prior) / beside._spread
            return float(np.log(np.diag(beside._root)).sum() - 0.5 * rows.y @ beside._alpha - 0.5 * off @ off)

        best = likelihood(process._logs)
        for place in range(len(process._logs)):
            for step in (-0.3, 0.3):
                logs = process._logs.copy()
                logs[place] += step
                assert likelihood(logs) < best + 1e-3, place


def test_a_latency_that_is_not_well_known_says_little_of_its_networks_costs() -> None:
    """One of twenty was measured as twice as slow, and its meter knew that it may not be."""
    tables = [distances(tuple(range(20)))]
    expected = []
    for error in (0.0, 0.5):
        model = _belief.CostModel(tables)
        for place in range(20):
            doubtful = place == 10
            model.tell((place,), 2.0 if doubtful else 1.0 + place / 1000, error if doubtful else 0.0)
        model.condition()
        expected.append(float(model.expected(np.array([[10]]))[0]))
    assert expected[1] < 1.1 < expected[0]
    with pytest.raises(ValueError, match="cost_error -1 is neither 0 nor a positive number"):
        Costed(cost=1.0, cost_error=-1)
