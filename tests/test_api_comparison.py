"""Runs side by side over HTTP. OpenAPI describes every answer."""

from dataclasses import replace

import pytest

from nas.measurements import Measurement
from nas.objective import Objective
from nas.plans import plan_for
from nas.recipes import Recipe
from nas.records import Run
from tests.command_line import climbed
from tests.service import GREY, OWNER, PLAIN, POINTS, UNKNOWN, Service, latency


@pytest.fixture(scope="module")
def one(service: Service) -> Run:
    return service.search(POINTS, error=0.01, name="one", objective=PLAIN)


@pytest.fixture(scope="module")
def other(service: Service) -> Run:
    recipe = Recipe(epochs=3)
    return service.search([(0.7, 2_000_000), (0.94, 8_000_000)], error=0.01, seed=5, recipe=recipe, running=1)


def test_all_are_ranked_by_the_objective_of_the_first_search(service: Service, one: Run, other: Run) -> None:
    found = service.get(f"/v1/comparison?of={one.id},{other.id}")
    assert found["objective"]["w_over"] == 0
    assert [side["name"] for side in found["sides"]] == ["one", ""]
    assert [[spot["number"] for spot in side["front"]] for side in found["sides"]] == [[0, 1, 3], [0, 1]]
    assert [side["network"]["number"] for side in found["sides"]] == [3, 1]
    assert [side["tied_with"] for side in found["sides"]] == [[1], [0]]  # 0.95 and 0.94, each ± 0.01
    asked = service.get(f"/v1/comparison?of={other.id},{one.id}&cost=params&target=1e5&w=-1")
    assert [side["network"]["reward"] for side in asked["sides"]] == pytest.approx([0.7 / 2, 0.8])


def test_what_was_measured_on_other_devices_compares_by_arithmetic(service: Service, one: Run) -> None:
    elsewhere = service.search([(0.9, 4_000_000)], devices=("cpu_eager",), objective=PLAIN)
    for of in (f"{elsewhere.id},{one.id}", f"{one.id},{elsewhere.id}"):
        sides = service.get(f"/v1/comparison?of={of}&cost=mult_adds&target=1e6")["sides"]
        assert {side["run"]: side["network"]["cost"] for side in sides}[elsewhere.id] == 4_000_000


def test_a_trial_stands_for_its_run_where_it_is_named(service: Service, one: Run, other: Run) -> None:
    found = service.get(f"/v1/comparison?of={one.id}:2,{one.id},{other.id}:0")
    assert [side["network"]["number"] for side in found["sides"]] == [2, 3, 0]
    assert [spot["number"] for spot in found["sides"][0]["front"]] == [0, 1, 3]  # it is not on it
    assert found["sides"][0]["tied_with"] == []
    choices = [service.store.trial(run.id, number).job.choices for run, number in ((one, 2), (one, 3), (other, 0))]
    apart = {knob for knob in choices[0] if len({its[knob] for its in choices}) > 1}
    assert set(found["knobs"]) == apart
    assert found["knobs_alike"] == len(choices[0]) - len(apart)
    assert all(found["knobs"][knob] == [its[knob] for its in choices] for knob in apart)


def test_requests_differ_in_what_they_say(service: Service, one: Run, other: Run) -> None:
    found = service.get(f"/v1/comparison?of={one.id},{other.id}")["requests"]
    assert found["recipe.epochs"] == [one.spec.recipe.epochs, 3]  # type: ignore[union-attr]
    assert found["objective.w_over"] == [0, -0.07]
    assert "name" not in found
    assert "dataset" not in found
    grown = service.growth(one)
    three = service.get(f"/v1/comparison?of={one.id},{other.id},{grown.id}")["requests"]
    assert three["objective.w_over"] == [0, -0.07, None]
    assert three["recipe.epochs"] == [one.spec.recipe.epochs, 3, grown.spec.recipe.epochs]  # type: ignore[union-attr]
    assert not any(name.startswith("members") for name in three)


def test_how_searches_grew_is_a_share_of_what_they_have_together(service: Service, one: Run, other: Run) -> None:
    steps = [side["progress"] for side in service.get(f"/v1/comparison?of={one.id},{other.id}")["sides"]]
    assert [step["networks"] for step in steps[0]] == [1, 2, 3, 4]
    assert [step["number"] for step in steps[0]] == [0, 1, 1, 3]
    assert [step["value"] for step in steps[0]] == [0.8, 0.9, 0.9, 0.95]
    # The front of all is from 1 M, 0.8 to 16 M, 0.95: down to 17.5 M and 0.785.
    whole = 0.015 * 16.5 + 0.1 * 13.5 + 0.04 * 9.5 + 0.01 * 1.5
    assert steps[0][1]["share"] == pytest.approx((0.015 * 16.5 + 0.1 * 13.5) / whole)
    assert [step["share"] for step in steps[1]] == pytest.approx([0.0, 0.155 * 9.5 / whole])
    seconds = sum(trial.compute_seconds or 0 for trial in service.store.trials(one.id))
    assert steps[0][-1]["seconds"] == pytest.approx(seconds)
    assert [step["seconds"] for step in steps[0]] == sorted(step["seconds"] for step in steps[0])


def test_the_dearest_network_has_its_share_and_a_search_alone_has_all(service: Service) -> None:
    cheap = service.search([(0.6, 2_000_000), (0.667, 1_000_000)], objective=PLAIN)
    dear = service.search([(0.866, 10_000_000)], objective=PLAIN)

    def shares(*runs: Run) -> list[float]:
        sides = service.get(f"/v1/comparison?of={','.join(run.id for run in runs)}")["sides"]
        return [side["progress"][-1]["share"] for side in sides]

    # From 1 M, 0.667 to 10 M, 0.866: down to 10.9 M and 0.6471.
    areas = (0.0199 * 9.9, 0.2189 * 0.9)
    whole = sum(areas) - 0.0199 * 0.9
    assert shares(cheap, dear) == pytest.approx([area / whole for area in areas])
    assert (shares(dear), shares(cheap)) == ([1.0], [1.0])


def test_resolution_is_told_of_all_and_alike_are_the_knobs_that_all_have(service: Service, one: Run) -> None:
    run = service.search([])
    job = plan_for(run, GREY).ask(0)
    assert job is not None
    job = replace(job, choices={**service.store.trial(one.id, 3).job.choices, "resolution": 64})
    service.store.claims.begin(OWNER, job)
    service.end(job, Measurement(params=1, mult_adds=1, accuracy=0.9))
    grown = service.growth(one)
    two = service.get(f"/v1/comparison?of={one.id},{run.id}")
    assert (two["knobs"], two["knobs_alike"]) == ({"resolution": [28, 64]}, len(job.choices) - 1)
    found = service.get(f"/v1/comparison?of={one.id},{run.id},{grown.id}:0")
    assert (found["knobs"], found["knobs_alike"]) == ({"resolution": [28, 64, 30]}, 0)  # B1 was trained first


def test_a_family_is_compared_on_the_images_that_it_is_scored_on(service: Service, one: Run) -> None:
    growth = service.growth(one, tested=(0.97, 0.95))  # the larger one is trained first
    found = service.get(f"/v1/comparison?of={one.id},{growth.id}")
    searched, grown = found["sides"]
    assert (searched["scored_on"], grown["scored_on"]) == ("validation", "test")
    assert (grown["member"], grown["network"]["accuracy"]) == ("B1", 0.97)
    assert [spot["member"] for spot in grown["front"]] == ["B0", "B1"]
    assert (searched["tied_with"], grown["tied_with"]) == ([], [])  # 0.95 and 0.97, which are of other images
    assert grown["progress"] == []
    alone = service.get(f"/v1/comparison?of={growth.id}:1,{growth.id}:0")
    assert [side["member"] for side in alone["sides"]] == ["B0", "B1"]


def test_what_cannot_be_compared_is_refused_with_a_way_out(service: Service, one: Run) -> None:
    two = service.on_two_devices()
    failed = service.search([], running=1)
    service.store.claims.end("a test", 0, failed.id, "failed", error="it broke")
    rungs = climbed(service)
    for query, field, words in (
        (f"of={one.id}:x", "of", "is neither a run nor RUN:TRIAL"),
        ("", "of", "of is missing"),
        ("of=,", "of", "names 0 runs or trials: give 1 to 6"),
        (f"of={one.id},{two.id},{one.id}", "of", f"names {one.id} twice"),
        (f"of={one.id}:3,{one.id}:03", "of", f"names {one.id}:3 twice"),
        (f"of={','.join(f'{one.id}:{number}' for number in range(7))}", "of", "names 7 runs"),
        (f"of={failed.id}:0", "of", "is failed and has no accuracy: it broke"),
        (f"of={rungs.id}:0", "of", "on rung 1 alone"),
        (f"of={one.id},{two.id}&device=cpu_eager&target=1", "device", "was not measured on device 'cpu_eager'"),
        (f"of={two.id},{one.id}&device=cpu_eager", "cost", "compare by another cost"),
        (f"of={one.id}&also=params", "also", "has one cost"),
    ):
        problem = service.get(f"/v1/comparison?{query}", status=422)
        assert problem["errors"][0]["pointer"] == f"?{field}"
        assert words in problem["detail"], problem["detail"]
    assert UNKNOWN in service.get(f"/v1/comparison?of={UNKNOWN}", status=404)["detail"]


def test_a_latency_that_was_measured_again_counts(service: Service) -> None:
    run = service.search([], running=1, objective=Objective(cost="latency_ms", target=1.0))
    measured = Measurement(params=1, mult_adds=1, accuracy=0.9, latencies={"cpu": latency(2.0)})
    service.end(service.store.trial(run.id, 0).job, replace(measured, accuracy_error=0.02))
    (side,) = service.get(f"/v1/comparison?of={run.id}")["sides"]
    assert (side["network"]["cost"], side["front"][0]["value_error"]) == (2.0, 0.02)
    assert service.get(f"/v1/comparison?of={service.search([]).id}")["sides"][0]["network"] is None
