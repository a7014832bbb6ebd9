"""Records, their JSON, the objective and the Pareto front."""

import dataclasses
import functools
import itertools
import math
import operator
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nas import plugins
from nas.codec import Malformed, decode, encode, least
from nas.measurements import Latency, Measurement, Score
from nas.networks.scaling import CompoundScaling
from nas.objective import HARD, SOFT, Objective
from nas.pareto import Point, front, hypervolume, layers
from nas.recipes import RECIPES, Recipe
from nas.records import Job
from nas.refusal import Refusal, one_line
from nas.specs import BenchmarkSpec, Fidelity, GrowthSpec, Limits, ProxySpec, SearchSpec
from tests.test_architecture import b0

SEARCH = SearchSpec(
    dataset="fashion_mnist",
    knobs={"stage1.op": ("conv", "fused"), "stage1.width": (0.75, 1.0)},
    objective=Objective(cost="latency_ms", target=2.5, w_under=HARD[0], w_over=HARD[1]),
    limits=Limits(params=300_000),
    options={"population": 8},
)
GROWTH = GrowthSpec(
    dataset="fashion_mnist", space="mbconv", architecture=b0(), source=("abc", 3), scaling=CompoundScaling()
)
MEASURING = BenchmarkSpec(images=b0().images, architecture=b0(), devices=("cpu", "cpu_eager:threads=2"))
PROXY = ProxySpec(dataset="fashion_mnist", limits=Limits(params=300_000))
JOB = Job(
    run="abc", number=0, space="mbconv", architecture=b0(), dataset="fashion_mnist", devices=("cpu",), recipe=Recipe()
)
LATENCY = Latency(
    device="cpu", median_ms=1.0, p95_ms=2.0, minimum_ms=0.5, spread=0.1, runs=10, fingerprint={"threads": "1"}
)
MEASUREMENT = Measurement(
    params=1,
    mult_adds=2,
    accuracy=0.5,
    scores={"zen": Score(value=1.5, seconds=0.1), "naswot": Score(value=None, seconds=0.1)},
    latencies={"cpu": LATENCY, "cpu:threads=2": dataclasses.replace(LATENCY, device="cpu:threads=2", median_ms=3.0)},
)


@pytest.mark.parametrize(
    "record", [SEARCH, GROWTH, MEASURING, PROXY, JOB, MEASUREMENT], ids=lambda record: type(record).__name__
)
def test_a_record_survives_json(record: Any) -> None:
    assert decode(type(record), encode(record)) == record


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({}, "/dataset: dataset is missing"),
        ({"dataset": "x", "trails": 3}, "unknown field 'trails': there are name, dataset"),
        ({"dataset": "x", "trials": "3"}, '/trials: trials "3" is not a valid integer'),
        ({"dataset": "x", "trials": True}, "/trials: trials true is not a valid integer"),
        ({"dataset": "x", "trials": 0}, "trials 0 is not between 1"),
        ({"dataset": "x", "trials": 10**9}, "trials 1000000000 is not between 1"),
        ({"dataset": "x", "knobs": {"stage1.op": []}}, "knob 'stage1.op' is left without a choice"),
        ({"dataset": "x", "knobs": {"stage1.op": "conv"}}, '/knobs/stage1.op: stage1.op "conv" is not a valid array'),
        (
            {"dataset": "x", "objective": {"cost": "watts"}},
            "/objective/cost: cost \"watts\" is not 'latency_ms', 'mult_adds', 'params', 'peak_memory' or 'model_b",
        ),
        ({"dataset": "x", "recipe": {"epochs": -1}}, "epochs -1 is not between 0"),
        ({"dataset": "x", "recipe": []}, r"/recipe: recipe \[\] is not an object with fields of epochs"),
        ({"dataset": "x", "limits": {"params": -1}}, "params -1 is not a positive number"),
        ({"dataset": "x", "limits": {"params": 1.5}}, "/limits/params: params 1.5 is not a valid integer"),
        ({"dataset": "x", "seed": 2**63}, "/seed: seed 9223372036854775808 is not between"),
        ({"dataset": "x", "objective": {"target": 10**400}}, "/objective/target: target 10000.*0000 is not between"),
        (
            {"dataset": "x", "knobs": {"a/b": [1, None]}},
            r"/knobs/a~1b/1: a/b\[1\] null is not a valid string, a valid int",
        ),
        ({"dataset": "x", "fidelity": 3}, "/fidelity: fidelity 3 is not an object with fields of kind, eta"),
        ([], r"^\[\] is not an object with fields of name, dataset"),
    ],
)
def test_malformed_json_is_refused_with_path_and_value(data: Any, message: str) -> None:
    with pytest.raises(Malformed, match=message):
        decode(SearchSpec, data)


def test_all_that_is_wrong_is_said_at_once_and_what_is_over_ten_is_counted() -> None:
    wrong = {"dataset": 1, "space": 2, "recipe": {"epochs": -1}, "limits": {"params": "x", "cap": 1}}
    with pytest.raises(Malformed) as malformed:
        decode(SearchSpec, wrong)
    places = ["/dataset", "/space", "/recipe/epochs", "/limits/params", "/limits/cap"]
    assert [fault.pointer for fault in malformed.value.faults] == places
    assert [fault.value for fault in malformed.value.faults] == [1, 2, -1, "x", 1]
    of_one_record = {"trials": 0, "confirm": 30, "hours": -1, "objective": {"target": -1, "w_under": 1, "w_over": 2}}
    with pytest.raises(Malformed) as malformed:
        decode(SearchSpec, {"dataset": "x", "baselines": ["a", "a"]} | of_one_record)
    places = ["/objective/target", "/objective/w_under", "/objective/w_over", "/trials", "/hours", "/baselines"]
    assert [fault.pointer for fault in malformed.value.faults] == places  # 30 may be right with other trials
    with pytest.raises(Malformed) as malformed:
        decode(SearchSpec, {"dataset": "x", "confirm": 11, "limits": {"most_drop": 1}, "knobs": {"a": []}})
    assert [fault.pointer for fault in malformed.value.faults] == ["/confirm", "/knobs"]
    with pytest.raises(Malformed, match=r"/key9: unknown field 'key9': .*; and 15 more$") as malformed:
        decode(SearchSpec, {"dataset": "x"} | {f"key{n}": n for n in range(25)})
    assert (len(list(malformed.value.faults)), len(malformed.value.faults)) == (10, 25)


def test_a_record_that_is_given_in_part_has_the_rest_of_its_default() -> None:
    data = {"dataset": "x", "space": "mbconv", "architecture": encode(b0()), "recipe": {"batch": 64}}
    assert decode(GrowthSpec, data).recipe == dataclasses.replace(RECIPES["growth"], batch=64)
    whole = {"dataset": "x", "fidelity": {}, "recipe": {"epochs": 9}}
    assert decode(SearchSpec, whole).fidelity == Fidelity()


def test_a_refusal_names_its_field_wherever_its_message_begins() -> None:
    with pytest.raises(Refusal, match=r"^2 baselines leave none of 2 trials") as refusal:
        dataclasses.replace(SEARCH, baselines=("a", "b"), trials=2, confirm=0)
    assert refusal.value.field == "trials"


@pytest.mark.parametrize(
    "name",
    ["clothes", "नमस्ते", "می‌خواهم", "👩‍👩‍👧 ❤️", "e\u0301te\u0301", "ไทย", "עִבְרִית\u200f!", "\U0001fae8 new"],
)
def test_a_name_of_a_living_language_is_a_name(name: str) -> None:
    assert one_line(name)


@pytest.mark.parametrize(
    "name", ["two\nlines", "\x1b[31mred", "a\0b", "\u2028", "\ud800", "turned \u202e around", "\u2066"]
)
def test_what_ends_a_line_or_turns_it_around_is_no_name(name: str) -> None:
    assert not one_line(name)


def test_a_whole_number_is_taken_where_a_fraction_is_asked_for() -> None:
    spec = decode(SearchSpec, {"dataset": "x", "objective": {"target": 5}, "knobs": {"stage1.width": [1, 0.75]}})
    assert isinstance(spec.objective.target, float)
    assert spec.knobs["stage1.width"] == (1, 0.75)


@pytest.mark.parametrize(
    ("aim", "exponents"),
    [
        ({}, SOFT),
        ({"cost": "params"}, SOFT),
        ({"target": 5e6}, HARD),
        ({"target": 5e6, "form": "front"}, HARD),
        ({"target": 5e6, "form": "absolute"}, SOFT),
        ({"target": 5e6, "w_over": -0.5}, (SOFT[0], -0.5)),
        ({"target": 5e6, "w_under": -0.07, "w_over": -0.07}, SOFT),
    ],
)
def test_a_target_alone_asks_for_the_best_within_it(aim: dict[str, Any], exponents: tuple[float, float]) -> None:
    spec = decode(SearchSpec, {"dataset": "x", "objective": aim})
    assert (spec.objective.w_under, spec.objective.w_over) == exponents
    assert decode(SearchSpec, encode(spec)) == spec, "what is stored says them all"


@pytest.mark.parametrize(
    "data",
    [
        {"dataset": "x"},
        {"dataset": "x", "objective": {"target": 2e6}, "trials": 7, "parent": "lite0", "recipe": {"epochs": 3}},
        {"dataset": "x", "objective": {"target": 2e6, "w_under": -0.07, "w_over": -0.07}, "weights": "shared"},
        {"dataset": "x", "knobs": {"stage1.op": ["conv"]}, "options": {"first": 3}, "fidelity": {"rungs": 2, "eta": 3}},
    ],
)
def test_the_least_that_is_said_of_a_record_makes_it_again(data: dict[str, Any]) -> None:
    spec = decode(SearchSpec, data)
    assert decode(SearchSpec, least(spec)) == spec
    assert set(least(spec)) <= set(data)
    assert set(least(spec).get("recipe", {})) <= {"epochs"}


@pytest.mark.parametrize("target", [0, -1, math.nan, math.inf])
def test_an_objective_without_a_target_is_refused(target: float) -> None:
    with pytest.raises(ValueError, match=f"target {target} is not a positive number"):
        Objective(target=target)


@pytest.mark.parametrize(
    "broken",
    [
        lambda: Objective(w_over=0.1),
        lambda: Objective(w_under=math.nan),
        lambda: Recipe(learning_rate=0),
        lambda: Recipe(learning_rate=math.nan),
        lambda: Recipe(warmup=1.5),
        lambda: Recipe(clean=1.5),
        lambda: dataclasses.replace(GROWTH, members=()),
        lambda: dataclasses.replace(GROWTH, members=("B0", "B9")),
        lambda: dataclasses.replace(GROWTH, members=("B0", "B0")),
        lambda: dataclasses.replace(SEARCH, seed=-1),
        lambda: dataclasses.replace(SEARCH, parallel=0),
        lambda: dataclasses.replace(SEARCH, confirm=SEARCH.trials // 2 + 1),
        lambda: dataclasses.replace(SEARCH, confirm=1, seed=2**31 - 1),
        lambda: Fidelity(eta=1),
        lambda: Fidelity(rungs=1),
        lambda: dataclasses.replace(MEASUREMENT, accuracy=1.5),
        lambda: dataclasses.replace(JOB, recipe=None),
        *(
            functools.partial(dataclasses.replace, record, devices=devices)
            for record in (SEARCH, GROWTH, MEASURING, PROXY, JOB)
            for devices in ((), ("cpu", "cuda", "cpu"))
        ),
        lambda: dataclasses.replace(SEARCH, baselines=("LeNet-5", "LeNet-5")),
        lambda: dataclasses.replace(MEASURING, networks=1001),
        lambda: dataclasses.replace(PROXY, candidates=3),
        lambda: dataclasses.replace(PROXY, dear=PROXY.cheap),
        lambda: dataclasses.replace(LATENCY, median_ms=0.0),
    ],
)
def test_records_check_themselves(broken: Callable[[], object]) -> None:
    with pytest.raises(ValueError, match=r"is not|is none of|is empty|repeat|give both|name two"):
        broken()


def test_rungs_divide_the_recipe() -> None:
    """The highest is the recipe itself; a schedule in steps has as many of them in fewer epochs."""
    recipe = Recipe(epochs=18, schedule="steps", decay_epochs=6.0, train_images=9000)
    rungs = Fidelity().recipes(recipe)
    assert [(rung.epochs, rung.decay_epochs) for rung in rungs] == [(2, pytest.approx(2 / 3)), (6, 2.0), (18, 6.0)]
    assert rungs[-1] == recipe
    images = Fidelity(scaled="train_images", rungs=2).recipes(recipe)
    assert images == (dataclasses.replace(recipe, train_images=3000), recipe)


@pytest.mark.parametrize(
    ("fidelity", "recipe", "trials", "words"),
    [
        (Fidelity(), Recipe(epochs=3), 20, "rungs of 1, 1, 3 epochs.*recipe.epochs 9 or more, or fewer rungs"),
        (Fidelity(scaled="train_images"), Recipe(), 20, "give recipe.train_images"),
        (Fidelity(), Recipe(epochs=9), 12, "trials 12 is less than 13, with which a network reaches the highest rung"),
    ],
)
def test_rungs_that_cannot_be_are_refused(fidelity: Fidelity, recipe: Recipe, trials: int, words: str) -> None:
    with pytest.raises(Refusal, match=words):
        dataclasses.replace(SEARCH, fidelity=fidelity, recipe=recipe, trials=trials, baselines=())


def test_the_soft_objective_prices_a_doubled_cost_at_five_percent() -> None:
    soft = Objective(cost="mult_adds", target=100, w_under=SOFT[0], w_over=SOFT[1])
    assert soft.reward(0.8, 100) == pytest.approx(0.8)
    assert soft.reward(0.8, 200) == pytest.approx(0.8 * 2**-0.07)
    assert soft.reward(0.8, 50) == pytest.approx(0.8 * 2**0.07)


def test_the_hard_objective_is_accuracy_up_to_the_target_and_falls_behind_it() -> None:
    hard = Objective(cost="mult_adds", target=100, w_under=HARD[0], w_over=HARD[1])
    assert hard.reward(0.8, 30) == hard.reward(0.8, 100) == pytest.approx(0.8)
    assert hard.reward(0.8, 200) == pytest.approx(0.4)


def test_a_cost_that_was_never_measured_has_no_reward() -> None:
    with pytest.raises(ValueError, match=r"cost 0\.0 is not positive"):
        Objective().reward(0.8, 0.0)


def test_a_measurement_knows_its_costs() -> None:
    assert MEASUREMENT.cost("latency_ms", "cpu") == 1.0
    assert MEASUREMENT.cost("latency_ms", "cpu:threads=2") == 3.0
    assert MEASUREMENT.cost("latency_ms", "cuda") is None
    assert (MEASUREMENT.cost("params", "cuda"), MEASUREMENT.cost("mult_adds", "cuda")) == (1.0, 2.0)


digits = st.integers(0, 6)
points = st.lists(st.tuples(digits, digits), max_size=12) | st.lists(st.tuples(digits, digits, digits), max_size=12)


@given(points)
def test_the_front_is_what_nothing_beats(drawn: list[Point]) -> None:
    chosen = front(drawn)

    def beaten(index: int) -> bool:
        *costs, accuracy = drawn[index]
        return any(
            (all(map(operator.le, other, costs)) and other[-1] >= accuracy and other != drawn[index])
            or (other == drawn[index] and position < index)
            for position, other in enumerate(drawn)
        )

    assert sorted(chosen) == [index for index in range(len(drawn)) if not beaten(index)]
    assert [drawn[index][0] for index in chosen] == sorted(drawn[index][0] for index in chosen)


@given(points)
def test_layers_are_fronts_of_what_the_fronts_before_leave(drawn: list[Point]) -> None:
    left, ordered = list(range(len(drawn))), layers(drawn)
    assert sorted(ordered) == left
    while left:
        layer = {left[index] for index in front([drawn[index] for index in left])}
        taken, ordered = ordered[: len(layer)], ordered[len(layer) :]
        assert set(taken) == layer
        ends = {min(layer, key=drawn.__getitem__), max(layer, key=drawn.__getitem__)}
        assert len(drawn[0]) > 2 or set(taken[: len(ends)]) == ends
        left = [index for index in left if index not in layer]


def test_within_a_layer_the_lonely_come_first() -> None:
    row = [(1.0, 0.1), (2.0, 0.2), (3.0, 0.3), (7.0, 0.8), (10.0, 0.9), (10.0, 0.05)]
    assert layers(row) == [0, 4, 3, 2, 1, 5]


@given(points)
def test_hypervolume_is_the_area_counted_in_squares(drawn: list[Point]) -> None:
    costs = max(map(len, drawn), default=2) - 1
    squares = sum(
        any(all(map(operator.le, point, place)) and point[-1] > height for point in drawn)
        for place in itertools.product(range(7), repeat=costs)
        for height in range(-1, 6)
    )
    assert hypervolume(drawn, (*itertools.repeat(7, costs), -1)) == squares


@pytest.mark.parametrize(
    ("form", "also", "message"),
    [
        ("front", "mult_adds", "also 'mult_adds' is the cost already"),
        ("product", "params", "also 'params' is for form 'front' alone, not 'product': leave it out"),
        ("front", "watts", "also 'watts' is none of latency_ms, mult_adds, params"),
    ],
)
def test_a_second_cost_is_another_of_a_front(form: Any, also: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Objective(form=form, also=also)


def test_plugins_are_found_by_name_and_a_wrong_name_is_told_which_exist() -> None:
    assert "mbconv" in plugins.names("search_spaces")
    assert {"random", "evolution"} <= set(plugins.names("nas.searchers"))
    with pytest.raises(plugins.UnknownPlugin, match=r"unknown search space 'mbcnv': there are .*mbconv"):
        plugins.load("search_spaces", "mbcnv")
    with pytest.raises(plugins.UnknownPlugin, match="unknown searcher 'os'"):
        plugins.load("nas.searchers", "os")
