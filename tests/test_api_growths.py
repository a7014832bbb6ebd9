"""Growths over HTTP: what is grown, and the table of the family; every answer is held against OpenAPI."""

import dataclasses
import math
import re
from typing import Any

import pytest

from nas.measurements import Measurement
from nas.networks.counts import counts
from nas.networks.members import member
from nas.objective import Objective
from nas.plans import plan_for
from nas.recipes import RECIPES, Recipe
from nas.records import RunState
from nas.specs import GrowthSpec
from tests.service import GREY, OWNER, POINTS, UNKNOWN, Service


def test_a_family_of_several_seeds_has_means_errors_and_ties(service: Service) -> None:
    search = service.search(POINTS)
    tested = (0.940, 0.944, 0.942, 0.930, 0.926, 0.928, 0.941, 0.943, 0.945)  # B2, B1, B0
    run = service.growth(search, ("B0", "B1", "B2"), tested=tested, seeds=3)
    shown = service.get(f"/v1/growths/{run.id}")
    assert shown["trials"] == 9
    rows = {row["member"]: row for row in shown["family"]}
    assert {name: row["test_accuracy"] for name, row in rows.items()} == pytest.approx(
        {"B0": 0.943, "B1": 0.928, "B2": 0.942}
    )
    assert [row["accuracy_error"] for row in rows.values()] == pytest.approx(
        [math.hypot(0.002, 0.002 / 3**0.5)] * 3  # of the images, and of three seeds
    )
    assert {name: (row["seeds"], row["tied_with"]) for name, row in rows.items()} == {
        "B0": (3, ["B2"]),
        "B1": (3, []),
        "B2": (3, ["B0"]),
    }
    assert rows["B1"]["models"] == [f"{run.id}-{number}" for number in (3, 4, 5)]
    assert rows["B1"]["model"] == f"{run.id}-3"  # the first seed's, though its test accuracy is not the best
    assert rows["B1"]["seconds"] == 3 * 30  # as each was measured to take, however long it was kept waiting
    files = {model["seed"]: model["file"] for model in service.get(f"/v1/models?run={run.id}")["models"]}
    assert all(f"-seed{seed}-" in file for seed, file in files.items())
    assert sorted(files) == [0, 1, 2]


def test_members_are_scored_on_validation_images_where_that_is_asked_for(service: Service) -> None:
    search = service.search(POINTS)
    made = service.post("/v1/growths", {"search": search.id, "scored_on": "validation"})
    assert (made["spec"]["scored_on"], made["hint"]) == ("validation", None)
    run = service.growth(search, ("B0", "B1"), tested=(0.94, 0.95, 0.96, 0.97), seeds=2, scored_on="validation")
    rows = service.get(f"/v1/growths/{run.id}")["family"]
    assert [(row["accuracy"], row["test_accuracy"], row["seeds"]) for row in rows] == [(0.9, None, 2)] * 2
    rows = service.get(f"/v1/growths/{service.growth(search, tested=(0.94, 0.95)).id}")["family"]
    assert [(row["accuracy"], row["test_accuracy"]) for row in rows] == [(None, 0.95), (None, 0.94)]


def test_who_looks_at_the_test_images_again_is_told_how_often_they_were_looked_at(service: Service) -> None:
    search, other = service.search(POINTS), service.search(POINTS)
    said = []
    for wanted in (search, other, search):
        for scored_on in ("test", "validation"):
            made = service.post("/v1/growths", {"search": wanted.id, "scored_on": scored_on})
            hints = [
                event["text"]
                for event in service.get(f"/v1/growths/{made['id']}/events")["events"]
                if event["kind"] == "hint"
            ]
            assert hints == ([made["hint"]] if made["hint"] else [])
            said.append(made["hint"])
    assert said[:4] + said[5:] == [None] * 5
    assert "test images are looked at 2 times for networks of the same search" in said[4]
    assert "looked at 3 times" in service.post("/v1/growths", {"search": search.id})["hint"]


def test_a_member_is_running_while_one_of_its_seeds_is(service: Service) -> None:
    run = service.growth(service.search(POINTS), ("B0",), ended=1, tested=(0.94,), seeds=2)
    (row,) = service.get(f"/v1/growths/{run.id}")["family"]
    assert (row["state"], row["seeds"], row["accuracy_error"]) == ("done", 1, 0.002)
    job = plan_for(run, GREY).ask(1)
    assert job is not None
    service.store.claims.begin(OWNER, job)
    (row,) = service.get(f"/v1/growths/{run.id}")["family"]
    assert (row["state"], row["test_accuracy"]) == ("running", 0.94)


@pytest.mark.parametrize(
    ("state", "why"),
    [
        ("cancelled", "the growth was cancelled before its turn"),
        ("stopped", "the growth was stopped before its turn"),
        ("failed", "the growth failed before its turn"),
        ("finished", "B1, which was to teach the others, has failed"),
    ],
)
def test_no_member_of_a_growth_that_has_ended_is_still_to_come(service: Service, state: RunState, why: str) -> None:
    run = service.growth(service.search(POINTS), ("B0", "B1"), ended=1)
    rows = service.get(f"/v1/growths/{run.id}")["family"]
    assert [(row["state"], row["skipped"]) for row in rows] == [("queued", None), ("done", None)]
    service.store.claims.release(run.id, OWNER, state, reason=why if state == "finished" else None)
    rows = service.get(f"/v1/growths/{run.id}")["family"]
    assert [(row["state"], row["skipped"]) for row in rows] == [("skipped", why), ("done", None)]
    assert rows[0]["mult_adds"]


def test_the_best_trial_is_grown_by_default(service: Service) -> None:
    search = service.search(POINTS, objective=Objective(target=4e6, w_under=0.0, w_over=-1.0))
    made = service.post("/v1/growths", {"search": search.id})
    spec = service.store.run(made["id"]).spec
    assert isinstance(spec, GrowthSpec)
    assert spec.source == (search.id, 1)
    assert spec.architecture == service.store.trial(search.id, 1).job.architecture
    assert (spec.dataset, spec.devices, spec.members) == ("fashion_mnist", ("cpu",), ("B0", "B1", "B2", "B3"))
    assert spec.recipe == dataclasses.replace(RECIPES["growth"], epochs=20)
    assert [row["member"] for row in made["family"]] == ["B0", "B1", "B2", "B3"]
    assert {row["state"] for row in made["family"]} == {"queued"}
    for row in made["family"]:
        counted = counts(member(spec.architecture, row["member"]))
        assert (row["params"], row["mult_adds"]) == (counted.params, counted.mult_adds)


@pytest.mark.parametrize("inherit", [True, False])
def test_members_may_begin_with_the_weights_of_the_trial_that_is_grown(service: Service, inherit: bool) -> None:
    search = service.search([], running=1)
    job = service.store.trial(search.id, 0).job
    service.end(job, Measurement(params=1, mult_adds=1, accuracy=0.5, weights="a" * 64), size=1)
    made = service.post("/v1/growths", {"search": search.id, "inherit": inherit})
    assert (made["spec"]["inherit"], made["spec"]["parent"]) == (inherit, "a" * 64 if inherit else None)


def test_weights_that_were_removed_are_not_to_be_inherited(service: Service) -> None:
    search = service.search([], running=1)
    job = service.store.trial(search.id, 0).job
    service.end(job, Measurement(params=1, mult_adds=1, accuracy=0.5, weights="c" * 64), size=1)
    service.store.removals.prune({f"{search.id}-0": "the disk was full"})
    asked = {"search": search.id, "inherit": True}
    (fault,) = service.post("/v1/growths", asked, status=422)["errors"]
    assert (fault["pointer"], fault["value"]) == ("/inherit", True)
    assert "trial 0 has no weights to hand on any more: they were removed (the disk was full). Leave" in fault["detail"]
    assert service.post("/v1/growths", asked | {"inherit": False})["spec"]["parent"] is None
    assert service.post("/v1/growths", asked | {"parent": "efficientnet_lite0"}, status=422)["errors"]


@pytest.fixture(scope="module")
def model(service: Service) -> tuple[str, str]:
    """The name of a parent, and its SHA-256."""
    growth = service.growth(service.search([(0.9, 1000)]))
    (kept, *_) = service.get(f"/v1/models?run={growth.id}")["models"]
    return f"model:{kept['id']}", kept["sha256"]


def test_members_begin_with_the_parent_that_is_named_and_are_fine_tuned(
    service: Service, model: tuple[str, str]
) -> None:
    name, sha256 = model
    search = service.search(POINTS)  # whose first network is the parent's, as both were drawn by one seed
    body = {"search": search.id, "trial": 0, "parent": name, "recipe": {"epochs": 3}}
    made = service.post("/v1/growths", body)["spec"]
    assert made["parent"] == sha256
    assert made["recipe"] == dataclasses.asdict(dataclasses.replace(RECIPES["finetune"], epochs=3))
    (fault,) = service.post("/v1/growths", body | {"trial": 1}, status=422)["errors"]
    assert (fault["pointer"], fault["value"]) == ("/parent", name)
    assert f"trial 1 cannot begin with the weights of '{name}': " in fault["detail"]
    for parent, said in (("resnet", "there are efficientnet_lite0"), ("model:f00f00f00f00-1", "no model")):
        (fault,) = service.post("/v1/growths", {"search": search.id, "parent": parent}, status=422)["errors"]
        assert fault["pointer"] == "/parent"
        assert said in fault["detail"]


def test_a_member_teaches_the_others_and_whoever_is_none_is_looked_for(service: Service) -> None:
    search = service.search(POINTS)
    body = {"search": search.id, "members": ["B0", "B3"], "recipe": {"teacher": "b3"}}
    made = service.post("/v1/growths", body)
    assert made["spec"]["recipe"]["teacher"] == "b3"
    for wrong, said in (({"inherit": True}, "teacher B3 would begin with"), ({"members": ["B0", "B1"]}, "'b3'")):
        (fault,) = service.post("/v1/growths", body | wrong, status=422)["errors"]
        assert (fault["pointer"], fault["value"]) == ("/recipe/teacher", "b3")
        assert said in fault["detail"]


def test_what_is_grown_of_a_search_with_a_parent_begins_with_that_and_is_trained_as_there(
    service: Service, model: tuple[str, str]
) -> None:
    sha256 = model[1]
    recipe = dataclasses.replace(RECIPES["finetune"], epochs=7, folds=1, body_rate=0.3)
    search = service.search(
        [(0.9, 1000), (0.8, 1000)], parent=sha256, recipe=recipe, baselines=("NASNet-A (6 @ 768) CIFAR + cutout",)
    )
    made = service.post("/v1/growths", {"search": search.id, "trial": 1, "recipe": {"learning_rate": 0.5}})["spec"]
    assert (made["parent"], made["recipe"]) == (
        sha256,
        dataclasses.asdict(dataclasses.replace(recipe, learning_rate=0.5)),
    )
    other = service.post("/v1/growths", {"search": search.id, "trial": 0})["spec"]
    assert (other["parent"], other["recipe"]["head"]) == (None, "drawn"), "a baseline that is no relative"


def test_weights_that_are_gone_when_the_search_has_ended_are_not_inherited(service: Service) -> None:
    search = service.search([], running=1)
    job = dataclasses.replace(service.store.trial(search.id, 0).job, number=1, handed_on=True)
    service.store.claims.begin(OWNER, job)
    service.end(job, Measurement(params=1, mult_adds=1, accuracy=0.5, weights="a" * 64), size=1)
    made = service.post("/v1/growths", {"search": search.id, "trial": 1, "inherit": True})
    assert made["spec"]["parent"] is None
    assert service.get(f"/v1/searches/{search.id}/pareto")["best"]["model"] is None


def test_members_are_trained_as_the_network_was_when_it_was_found_for_as_long_as_members_are(service: Service) -> None:
    recipe = Recipe(epochs=25, batch=32, learning_rate=0.03, shift=0.1, train_images=5_000, folds=2)
    search = service.search(POINTS, recipe=recipe)
    made = service.post("/v1/growths", {"search": search.id, "recipe": {"shift": 0.2}})["spec"]["recipe"]
    wanted = dataclasses.replace(recipe, shift=0.2, train_images=None, folds=0, least_epochs=25, least_steps=2000)
    assert made == dataclasses.asdict(wanted)
    short = service.search(POINTS, recipe=dataclasses.replace(recipe, epochs=2))
    assert service.post("/v1/growths", {"search": short.id})["spec"]["recipe"]["epochs"] == 20


def test_a_growth_is_taken_as_asked_for(service: Service) -> None:
    search = service.search(POINTS)
    body = {
        "search": search.id,
        "trial": 3,
        "members": ["B2", "B0"],
        "scaling": {"alpha": 1.1, "beta": 1.2, "gamma": 1.0},
        "recipe": {"batch": 64},
        "name": "two",
        "parallel": 1,
        "seed": 5,
    }
    made = service.post("/v1/growths", body)
    assert made["spec"]["source"] == [search.id, 3]
    assert made["spec"]["recipe"] == dataclasses.asdict(dataclasses.replace(RECIPES["growth"], epochs=20, batch=64))
    factors = {"alpha": 1.1, "beta": 1.2, "gamma": 1.0}
    assert made["spec"]["scaling"] == {
        **factors,
        "dropout": 0.0,
        "drop_connect": 0.0,
        "augment": 0.0,
        "tolerance": None,
    }
    assert [row["member"] for row in made["family"]] == ["B0", "B2"]
    assert made["family"][1]["resolution"] == 28
    assert (made["name"], made["spec"]["parallel"], made["spec"]["seed"]) == ("two", 1, 5)


@pytest.mark.parametrize(
    ("wrong", "status", "pointer", "words"),
    [
        ({"search": UNKNOWN}, 422, "/search", UNKNOWN),
        ({"trial": 99}, 422, "/trial", "trial 99 .* does not exist: choose among 0, 1, 2, 3"),
        ({"trial": 4}, 409, None, "trial 4 .* is running.*choose among 0, 1, 2, 3"),
        ({"trial": "best"}, 422, "/trial", '"best" is not a valid integer'),
        ({"members": []}, 422, "/members", "members is empty"),
        ({"members": ["B9"]}, 422, "/members/0", '"B9" is none of B0 to B7, phi'),
        ({"members": ["B0", "B0"]}, 422, "/members", "repeat"),
        ({"scored_on": "train"}, 422, "/scored_on", "\"train\" is not 'validation', 'test' or 'both'"),
        ({"seeds": 0}, 422, "/seeds", "seeds 0 is not between 1 and 100"),
        ({"members": ["B7"], "scaling": {"alpha": 1, "beta": 1, "gamma": 4}}, 422, "/members/0", "resolution 458752"),
        ({"members": ["B0", "params<=9"]}, 422, "/members/1", "no network of this family within 9"),
        ({"scaling": {"alpha": 0.5}}, 422, "/scaling/alpha", "alpha 0.5 is not between 1 and 4"),
        (
            {"scaling": {"alpha": 2, "gamma": 1.5, "tolerance": 0.2}},
            422,
            "/scaling/tolerance",
            "alpha · beta² · gamma² is 5.45, not within 20% of 2",
        ),
        ({"scaling": {"delta": 2}}, 422, "/scaling/delta", "unknown field 'delta': there are alpha, beta, gamma"),
        ({"devices": ["tpu"]}, 422, "/devices/0", "'tpu'.*cpu"),
        ({"recipe": {"epochs": -1}}, 422, "/recipe/epochs", "epochs -1"),
        ({"recipe": {"class_weights": {"dog": 2}}}, 422, "/recipe/class_weights", "names 'dog'"),
        ({"recipe": {"epoch": 1}}, 422, "/recipe/epoch", "unknown field 'epoch'"),
        ({"parallel": 0}, 422, "/parallel", "parallel 0"),
        ({"seed": -1}, 422, "/seed", "seed -1"),
        ({"name": "a\tb"}, 422, "/name", "control characters"),
        ({"dataset": "x"}, 422, "/dataset", "unknown field 'dataset': there are name, search"),
    ],
)
def test_a_growth_of_what_cannot_be_grown_is_refused(
    service: Service, wrong: dict[str, Any], status: int, pointer: str | None, words: str
) -> None:
    search = service.search(POINTS, running=1)
    problem = service.post("/v1/growths", {"search": search.id} | wrong, status=status)
    assert re.search(words, problem["detail"]), problem["detail"]
    assert [fault["pointer"] for fault in problem["errors"]] == ([pointer] if pointer else [])


def test_a_member_that_explodes_is_refused_with_the_largest_that_fits(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nas.limits.memory_bytes", lambda: 10_000_000)
    search = service.search(POINTS)
    problem = service.post("/v1/growths", {"search": search.id, "members": ["B0", "phi=12"]}, status=422)
    assert [fault["pointer"] for fault in problem["errors"]] == ["/members/1"]
    largest = re.search(r"member phi=12: .*does not fit.*: the largest that fits is (phi=[\d.]+)", problem["detail"])
    assert largest is not None
    service.post("/v1/growths", {"search": search.id, "members": [largest[1]]})


def test_members_are_found_by_budgets_and_by_one_dimension_alone(service: Service) -> None:
    search = service.search(POINTS)
    wanted = ["B0", "latency_ms<=5", "width:mult_adds~2x", "mult_adds<=2x"]
    made = service.post("/v1/growths", {"search": search.id, "members": wanted})
    rows = {row["member"]: row for row in made["family"]}
    assert list(rows) == ["B0", "mult_adds<=2x", "width:mult_adds~2x", "latency_ms<=5"]  # that until it is measured
    assert rows["latency_ms<=5"]["mult_adds"] is None
    assert rows["mult_adds<=2x"]["mult_adds"] <= 2 * rows["B0"]["mult_adds"]
    assert rows["mult_adds<=2x"]["phi"] is not None
    scale = rows["width:mult_adds~2x"]["scale"]
    assert (scale["depth"], scale["resolution"]) == (1, 1)
    assert scale["width"] > 1


def test_a_search_without_a_result_cannot_be_grown_yet(service: Service) -> None:
    search = service.search([], running=1)
    detail = f"search {search.id} has measured no network"
    assert service.post("/v1/growths", {"search": search.id}, status=409)["detail"].startswith(f"{detail} yet: wait")
    service.store.claims.release(search.id, OWNER, "finished")
    detail += f", and has ended: nas show {search.id} says why"
    assert service.post("/v1/growths", {"search": search.id}, status=409)["detail"] == detail


def test_a_refused_trial_cannot_be_grown(service: Service) -> None:
    search = service.search([(0.9, 1000)], running=1)
    measured = Measurement(params=1, mult_adds=1, refused="latency_ms 3 over the limit of 2")
    service.store.claims.end(OWNER, 1, search.id, "refused", measured)
    problem = service.post("/v1/growths", {"search": search.id, "trial": 1}, status=422)
    assert "trial 1" in problem["detail"]
    assert "is refused, without an accuracy: choose among 0" in problem["detail"]


@pytest.mark.parametrize(
    ("asked", "devices"),
    [
        ({}, ["cpu", "cpu_eager"]),
        ({"devices": ["cpu_eager", "cpu"]}, ["cpu_eager", "cpu"]),
        ({"devices": ["cpu:batch=2"]}, ["cpu:batch=2"]),
    ],
)
def test_a_family_is_measured_where_its_search_was(service: Service, asked: Any, devices: list[str]) -> None:
    spec = service.post("/v1/growths", {"search": service.on_two_devices().id} | asked)["spec"]
    assert spec["devices"] == devices


def test_a_familys_table_and_its_models_have_the_latency_on_every_device(service: Service) -> None:
    growth = service.growth(service.on_two_devices(), ("B0", "B1"), ended=1, devices=("cpu", "cpu_eager"))
    rows = service.get(f"/v1/growths/{growth.id}")["family"]
    both = {"cpu": 0.5, "cpu_eager": 0.7}
    assert [row["latencies_ms"] for row in rows] == [{}, both]
    (trained,) = service.get(f"/v1/models?run={growth.id}")["models"]
    assert trained["latencies_ms"] == both
    card = service.get(f"/v1/models/{trained['id']}/card")
    assert {device: latency["median_ms"] for device, latency in card["latencies"].items()} == both


def test_the_familys_table_fills_up(service: Service) -> None:
    growth = service.growth(service.search([(0.9, 1000)]), ("B0", "B1", "B3"), ended=1)
    rows = {row["member"]: row for row in service.get(f"/v1/growths/{growth.id}")["family"]}
    assert [rows[name]["state"] for name in ("B0", "B1", "B3")] == ["queued", "queued", "done"]  # the dearest is first
    assert rows["B3"]["test_accuracy"] == 0.91
    assert rows["B3"]["latencies_ms"] == {"cpu": 0.5}
    assert rows["B3"]["model"] == f"{growth.id}-0"
    assert rows["B1"]["test_accuracy"] is rows["B1"]["model"] is None
