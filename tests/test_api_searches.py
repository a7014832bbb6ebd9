"""Searches over HTTP: what is taken, what is filled in, and what is refused with which words; every answer is held
against the OpenAPI document."""

import dataclasses
import json
import re
from pathlib import Path
from typing import Any

import httpx
import pytest

import nas.searchers
import search_spaces
from api.app import create_app
from nas import plugins, quantisation
from nas.codec import encode
from nas.noise import standard_error
from nas.objective import Objective
from nas.recipes import Recipe
from nas.specs import SearchSpec
from nas.store import Store
from nas.worth import Worth
from tests.service import GREY, OPEN, POINTS, SMALLEST, Service, serving
from tests.waiting import PATIENCE_SECONDS

EVOLVED = {"searcher": "evolution"}
SHARED = {"dataset": "fashion_mnist", "weights": "shared"}


def test_a_search_is_taken_with_defaults_and_found_again(service: Service) -> None:
    response = service.http.post("/v1/searches", json=SMALLEST)
    assert response.status_code == 201
    made = response.json()
    assert response.headers["location"] == made["links"]["self"] == f"/v1/searches/{made['id']}"
    recipe = Recipe(epochs=2, folds=1)
    worth = Worth(epochs=2, steps=842, folds=1, images=6000, error=standard_error(0.5, 6000))
    spec = SearchSpec(dataset="fashion_mnist", recipe=recipe, worth=worth)
    assert made["spec"] == json.loads(json.dumps(dataclasses.asdict(spec)))
    assert (made["state"], made["wish"], made["trials"], made["best"]) == ("queued", "run", 20, None)
    assert set(made["counts"].values()) == {0}
    assert made["seconds"] is made["remaining_seconds"] is None
    assert service.get(made["links"]["self"]) == made
    assert service.get(f"/v1/runs/{made['id']}") == made
    assert service.store.run(made["id"]).spec == spec
    assert [event.text for event in service.store.events(made["id"])] == [
        "search added, 20 trials",
        "each candidate has a training of 842 steps, 2 epochs, and an accuracy on about 6,000 images held out, "
        "±0.65 points at most",
    ]
    for link in made["links"].values():
        service.get(link)


def test_a_search_learns_from_another_that_has_something_to_tell(service: Service) -> None:
    first = service.search(POINTS)
    made = service.post("/v1/searches", {**SMALLEST, "learn_from": [first.id]})
    assert made["spec"]["learn_from"] == [first.id]
    assert service.get(f"/v1/searches/{made['id']}/request")["learn_from"] == [first.id]
    nothing = service.search([], running=1).id
    benchmark = service.post("/v1/benchmarks", {"networks": 1, "images": encode(GREY)})["id"]
    other = service.search(POINTS, space="nasbench201").id
    for run, words in {
        nothing: f"no network of search {nothing} was trained yet: it has nothing to tell",
        benchmark: f"run {benchmark} is a benchmark: name a search",
        other: f"search {other} was in space 'nasbench201', this one is in 'mbconv'",
    }.items():
        problem = service.post("/v1/searches", {**SMALLEST, "learn_from": [first.id, run]}, status=422)
        assert [error["pointer"] for error in problem["errors"]] == ["/learn_from/1"]
        assert words in problem["errors"][0]["detail"]


def test_all_that_is_not_here_is_named_at_once(service: Service) -> None:
    body = {"dataset": "unheard_of", "space": "unheard_of", "options": {"cleverness": 9}, "devices": ["abacus"]}
    problem = service.post("/v1/searches", body | {"learn_from": ["a"], "searcher": "random"}, status=422)
    places = {error["pointer"] for error in problem["errors"]}
    assert places == {"/dataset", "/space", "/options", "/devices/0", "/learn_from"}


def test_what_asks_for_a_search_again_has_the_budget_that_it_has_now(service: Service) -> None:
    body = {**SMALLEST, "trials": 12, "hours": 1.5, "fidelity": {"rungs": 2}}
    path = f"/v1/searches/{service.post('/v1/searches', body)['id']}"
    for trials, again in ((30, 30), (2, 12), (20, 20)):  # 2 are fewer than its rungs take, 20 as many as by default
        service.ask("PATCH", path, 200, json={"trials": trials, "hours": 2.5})
        asked = service.get(f"{path}/request")
        assert (asked["trials"], asked["hours"]) == (again, 2.5)
    service.post("/v1/searches", asked)
    service.ask("PATCH", path, 200, json={"trials": 12})
    assert service.get(f"{path}/request") == {**asked, "trials": 12}
    path = f"/v1/searches/{service.post('/v1/searches', {**SMALLEST, 'trials': 20, 'confirm': 8})['id']}"
    service.ask("PATCH", path, 200, json={"trials": 5})
    assert service.get(f"{path}/request").get("trials", 20) == 20, "five are too few for eight that are trained again"


def test_what_is_given_in_part_overrides_the_default(service: Service) -> None:
    body = {
        **SMALLEST,
        "recipe": {"epochs": 3},
        "objective": {"target": 1},
        "knobs": {"stage1.op": ["conv"], "stage2.se_ratio": [0.25]},
        "searcher": "evolution",
        "options": {"population": 4, "sample": 2},
        "limits": {"latency_ms": 2},
    }
    spec = service.post("/v1/searches", body)["spec"]
    assert spec["recipe"] == dataclasses.asdict(Recipe(epochs=3, folds=1))
    assert spec["objective"] == dataclasses.asdict(Objective(target=1.0, w_under=0.0, w_over=-1.0))
    assert spec["knobs"] == body["knobs"]
    assert spec["options"] == body["options"]
    assert spec["limits"]["latency_ms"] == 2.0


RECIPE_FIELDS = "epochs, least_epochs, least_steps, train_images, balanced, folds, group"
REFUSED: list[tuple[dict[str, Any], str, str]] = [
    # what is sent besides the dataset, where it is wrong, what the message says of it
    ({"dataset": "mnist"}, "/dataset", "'mnist'.*there are .*fashion_mnist"),
    ({"dataset": ""}, "/dataset", "''.*there are"),
    ({"dataset": "folder:/no/such"}, "/dataset", "/no/such"),
    ({"dataset": "folder:"}, "/dataset", "folder"),
    ({"dataset": 5}, "/dataset", "dataset 5 is not a valid string"),
    ({"dataset": None}, "/dataset", "null"),
    ({"space": "cubes"}, "/space", "'cubes'.*there are .*mbconv"),
    ({"space": "../api"}, "/space", "there are"),
    ({"searcher": "bayes"}, "/searcher", "'bayes'.*there are evolution"),
    ({"devices": ["tpu"]}, "/devices/0", "'tpu'.*there are cpu"),
    ({"devices": []}, "/devices", "devices is empty: name at least one"),
    ({"device": "cpu"}, "/device", "unknown field 'device': there are .*, devices, "),
    ({"further_devices": ["cpu"]}, "/further_devices", "unknown field 'further_devices': there are .*, devices, "),
    ({"name": "x" * 201}, "/name", "201 characters.*200"),
    ({"name": "two\nlines"}, "/name", "control characters"),
    ({"trials": 0}, "/trials", "trials 0 is not between 1 and 100000"),
    ({"trials": -1}, "/trials", "trials -1"),
    ({"trials": 10**9}, "/trials", "trials 1000000000 is not between 1 and 100000"),
    ({"trials": 1e9}, "/trials", "1000000000.0 is not a valid integer"),
    ({"trials": "8"}, "/trials", 'trials "8" is not a valid integer'),
    ({"trials": True}, "/trials", "true"),
    ({"trials": None}, "/trials", "null"),
    ({"trials": 2.5}, "/trials", "2.5"),
    ({"parallel": 0}, "/parallel", "parallel 0 is not between 1 and 1024"),
    ({"seed": -1}, "/seed", "seed -1"),
    ({"resolution": 7}, "/resolution", "resolution 7 is not between 8 and 2048"),
    ({"resolution": 4096}, "/resolution", "4096"),
    ({"trails": 8}, "/trails", "unknown field 'trails': there are name, dataset.*trials"),
    ({"recipe": {"epoch": 3}}, "/recipe/epoch", f"unknown field 'epoch': there are {RECIPE_FIELDS}"),
    ({"recipe": {"epochs": -1}}, "/recipe/epochs", "epochs -1 is not between 0 and 10000"),
    ({"recipe": {"folds": 21}}, "/recipe/folds", "folds 21 is not between 0 and 20"),
    ({"recipe": {"least_steps": -1}}, "/recipe/least_steps", "least_steps -1 is not between 0 and 1000000"),
    ({"recipe": {"learning_rate": 0}}, "/recipe/learning_rate", "learning_rate 0.0 is not a positive number"),
    ({"recipe": {"class_weights": {"dog": 2}}}, "/recipe/class_weights", "names 'dog', and the classes are"),
    ({"recipe": {"class_weights": {"dog": -2}}}, "/recipe/class_weights", "-2 for 'dog', which is not a positive"),
    ({"recipe": {"class_weights": "rare"}}, "/recipe/class_weights", "'none' or 'auto' or a valid object"),
    ({"recipe": {"flip": 1}}, "/recipe/flip", "flip 1 is not a valid boolean"),
    ({"recipe": "short"}, "/recipe", f'recipe "short" is not an object with fields of {RECIPE_FIELDS}'),
    ({"recipe": {"learning_rate": 1e300}}, "/recipe/learning_rate", "is not a positive number up to 1,000"),
    ({"recipe": {"train_images": 1}}, "/recipe/train_images", "train_images 1 is not between 2 and 2147483647"),
    ({"hours": 1e307}, "/hours", "is not a positive number up to 1,000,000,000"),
    ({"compute_hours": 1e308}, "/compute_hours", "is not a positive number up to 1,000,000,000"),
    ({"objective": {"target": 0}}, "/objective/target", "target 0.0 is not a positive number"),
    ({"objective": {"target": -5}}, "/objective/target", "target -5.0 is not a positive number"),
    ({"objective": {"target": "5M"}}, "/objective/target", '"5M" is not a valid number'),
    (
        {"objective": {"cost": "flops"}},
        "/objective/cost",
        "\"flops\" is not 'latency_ms', 'mult_adds', 'params', 'peak_memory' or 'model_bytes'",
    ),
    ({"objective": {"cost": "latency_ms"}}, "/objective/target", "5e\\+06.*milliseconds"),
    ({"objective": {"cost": "params"}}, "/objective/target", "5e\\+06.*parameters"),
    ({"objective": {"also": "params"}}, "/objective/also", "is for form 'front' alone, not 'product': leave it out"),
    ({"objective": {"w_over": 0.07}}, "/objective/w_over", "w_over 0.07 is not between -10 and 0"),
    ({"objective": {"w": -0.07}}, "/objective/w", "unknown field 'w': there are cost, target, w_under, w_over"),
    ({"objective": []}, "/objective", "\\[\\] is not an object"),
    ({"limits": {"params": 0}}, "/limits/params", "params 0 is not a positive number"),
    ({"limits": {"latency": 1}}, "/limits/latency", "unknown field 'latency': there are params, mult_adds, latency_ms"),
    ({"knobs": {"stage9.op": ["conv"]}}, "/knobs", "unknown knob 'stage9.op': there are stage1.op"),
    ({"knobs": {"stage1.op": ["attention"]}}, "/knobs", "no choice 'attention': there are 'conv', 'fused', 'mbconv'"),
    ({"knobs": {"stage1.op": []}}, "/knobs", "'stage1.op' is left without a choice"),
    ({"knobs": {"stage1.op": "conv"}}, "/knobs/stage1.op", '"conv" is not a valid array'),
    ({"knobs": {"stage1.op": [{}]}}, "/knobs/stage1.op/0", "valid string.*valid integer"),
    ({**EVOLVED, "options": {"populaton": 4}}, "/options", "no option 'populaton': there are population, sample"),
    ({**EVOLVED, "options": {"population": "4"}}, "/options", "option 'population' .* is '4': it takes int"),
    ({**EVOLVED, "options": {"population": True}}, "/options", "is True: it takes int"),
    ({**EVOLVED, "options": {"population": 1}}, "/options", "population 1 is less than 2"),
    ({**EVOLVED, "options": {"population": 4, "sample": 5}}, "/options", "sample 5 is not between 1 and the pop"),
    ({"options": {"first": 1001}}, "/options", "first 1001 is not between 0 and 1000"),
    ({"objective": {"form": "sum"}}, "/objective/form", "'product', 'absolute' or 'front'"),
    ({"searcher": "random", "options": {"sample": 4}}, "/options", "no option 'sample': it has none"),
    ({"confirm": 11}, "/confirm", "confirm 11 is not between 0 and 10"),
    ({"fidelity": {"eta": 3}, "recipe": {"epochs": 2}}, "/fidelity", "give recipe.epochs 9 or more, or fewer rungs"),
    ({"fidelity": {"kind": "thirds"}}, "/fidelity/kind", "'halving' or 'hyperband'"),
    ({"baselines": ["ResNet-9999"]}, "/baselines/0", "'ResNet-9999': there are ResNet"),
    ({"baselines": ["ResNet-20 (CIFAR)", "LeNet-5"]}, "/baselines/1", "baseline 'LeNet-5' does not fit the images"),
    ({"baselines": ["LeNet-5", "LeNet-5"]}, "/baselines", "repeat"),
    ({"learn_from": ["f00f00f00f00"]}, "/learn_from/0", "learn_from names no search: there is no run 'f00f00f00f00'"),
    ({"learn_from": ["f00", "f00"]}, "/learn_from", "repeat"),
    ({"learn_from": "f00"}, "/learn_from", "is not a valid array"),
    ({"learn_from": ["f00"], "searcher": "random"}, "/learn_from", "which 'random' does not: give surrogate"),
    ({"baselines": "LeNet-5"}, "/baselines", "is not a valid array"),
    ({"save_weights": "yes"}, "/save_weights", '"yes" is not a valid boolean'),
]


@pytest.mark.parametrize(("wrong", "pointer", "words"), REFUSED)
def test_a_wrong_value_is_named_with_what_is_allowed(
    service: Service, wrong: dict[str, Any], pointer: str, words: str
) -> None:
    before = service.store.runs(limit=1)
    problem = service.post("/v1/searches", SMALLEST | wrong, status=422)
    (fault,) = problem["errors"]
    assert fault["pointer"] == pointer
    assert re.search(words, fault["detail"], re.DOTALL), fault["detail"]
    assert problem["detail"] == fault["detail"]
    assert (problem["status"], problem["title"], problem["type"]) == (422, "Unprocessable Entity", "about:blank")
    assert problem["instance"] == "/v1/searches"
    if "cost" not in wrong.get("objective", {}):
        assert fault["value"] == at(wrong, pointer)
    assert service.store.runs(limit=1) == before


def at(data: Any, pointer: str) -> Any:
    for part in pointer.split("/")[1:]:
        data = data[int(part)] if isinstance(data, list) else data[part]
    return data


def test_all_wrong_values_are_named_at_once(service: Service) -> None:
    body = {"space": "x", "searcher": "y", "devices": ["z"], "dataset": "w"}
    problem = service.post("/v1/searches", body, status=422)
    assert {fault["pointer"] for fault in problem["errors"]} == {"/space", "/searcher", "/devices/0", "/dataset"}
    problem = service.post("/v1/searches", {"trials": "8", "recipe": {"x": 1}}, status=422)
    assert {fault["pointer"] for fault in problem["errors"]} == {"/dataset", "/trials", "/recipe/x"}
    assert "dataset is missing" in problem["detail"]


def test_a_device_is_checked_with_its_options(service: Service) -> None:
    body = {"dataset": "fashion_mnist", "devices": ["cpu:threads=2,batch=4"]}
    assert service.post("/v1/searches", body)["spec"]["devices"] == ["cpu:threads=2,batch=4"]
    problem = service.post("/v1/searches", body | {"devices": ["cpu:threads=many"]}, status=422)
    assert "threads 'many' is not a whole number between 1 and 256" in problem["detail"]
    assert problem["errors"][0]["pointer"] == "/devices/0"
    search = service.search([(0.9, 1000)])
    problem = service.post("/v1/growths", {"search": search.id, "devices": ["cpu:dtype=int3"]}, status=422)
    assert "dtype 'int3' is none of float32, int8" in problem["detail"]


def test_8_bits_are_of_accuracy_and_latency_alike(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    body: dict[str, Any] = {
        "dataset": "fashion_mnist",
        "objective": {"cost": "latency_ms", "target": 1.0, "precision": "int8"},
        "limits": {"most_drop": 3.0},
    }
    problem = service.post("/v1/searches", body, status=422)
    assert problem["errors"][0]["pointer"] == "/objective/precision"
    assert "device 'cpu' measures in float32: name cpu:dtype=int8 first" in problem["detail"]
    stored = service.post("/v1/searches", body | {"devices": ["cpu:dtype=int8", "cpu"]})["spec"]
    assert (stored["objective"]["precision"], stored["limits"]["most_drop"]) == ("int8", 3.0)
    by_size = service.post("/v1/searches", body | {"objective": {"precision": "int8"}})["spec"]
    assert by_size["devices"] == ["cpu"]  # whose latency has no part in it
    problem = service.post("/v1/searches", {"dataset": "fashion_mnist", "limits": {"most_drop": 3.0}}, status=422)
    assert problem["errors"][0]["pointer"] == "/limits"
    assert "give objective.precision int8" in problem["detail"]
    monkeypatch.setattr(quantisation, "PACKAGES", ("no_such_runtime",))
    problem = service.post("/v1/searches", body | {"devices": ["cpu:dtype=int8"]}, status=422)
    assert "precision 'int8' needs no_such_runtime: pip install 'nas-service[workers]'" in problem["detail"]


def test_every_device_is_checked_and_named_once(service: Service) -> None:
    def refused(path: str, body: dict[str, Any], *devices: str) -> list[tuple[str, str]]:
        problem = service.post(f"/v1/{path}", body | {"devices": devices}, status=422)
        return [(fault["pointer"], fault["detail"]) for fault in problem["errors"]]

    ((pointer, detail),) = refused("searches", SMALLEST, "cpu", "cpu_eager", "cpu:batch=none")
    assert (pointer, "batch 'none' is not a whole number" in detail) == ("/devices/2", True)
    twice = ("/devices", "devices cpu, cpu repeat themselves: name each once")
    assert refused("searches", SMALLEST, "cpu", "cpu") == [twice]
    search = {"search": service.on_two_devices().id}
    assert refused("growths", search, "cpu", "cpu") == [twice]
    again = ("cpu:threads=1", "cpu:batch=2,threads=1", "cpu", "cpu:batch=2")
    for path, body in (
        ("searches", SMALLEST),
        ("growths", search),
        ("proxies", SMALLEST),
        ("benchmarks", {"published": "LeNet-5"}),
    ):
        assert refused(path, body, *again) == [
            ("/devices/2", "device 'cpu' is 'cpu:threads=1' once more: name each once"),
            ("/devices/3", "device 'cpu:batch=2' is 'cpu:batch=2,threads=1' once more: name each once"),
        ]


def test_a_heavy_searcher_is_checked_without_being_imported(
    service: Service, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = """
import torch
raise AssertionError("not imported here")
LIMIT = 4
class Searcher:
    def __init__(self, problem, *, seed, rate: float = 0.5, most: int = LIMIT):
        raise AssertionError("not made here")
"""
    (tmp_path / "heavy.py").write_text(text)
    monkeypatch.setattr(nas.searchers, "__path__", [*nas.searchers.__path__, str(tmp_path)])
    assert [vars(option) for option in plugins.options("heavy")] == [
        {"name": "rate", "type": "float", "default": 0.5},
        {"name": "most", "type": "int", "default": None},
    ]
    service.post("/v1/searches", {**SMALLEST, "searcher": "heavy", "options": {"rate": 1, "most": 2}})
    for options, words in (({"rat": 1}, "no option 'rat': there are rate, most"), ({"most": 0.5}, "takes int")):
        problem = service.post("/v1/searches", {**SMALLEST, "searcher": "heavy", "options": options}, status=422)
        assert words in problem["detail"]


@pytest.mark.parametrize(
    ("text", "words"), [("knobs = (", "SyntaxError: '(' was never"), ("1 / 0", "ZeroDivisionError: division by zero")]
)
def test_a_space_that_cannot_be_imported_is_said(
    service: Service, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, words: str
) -> None:
    name = f"own_{len(text)}"  # what is known of a name is kept
    (tmp_path / f"{name}.py").write_text(text)
    monkeypatch.setattr(search_spaces, "__path__", [*search_spaces.__path__, str(tmp_path)])
    assert name in [row["name"] for row in service.get("/v1/spaces")["spaces"]]
    problem = service.get(f"/v1/spaces/{name}", status=422)
    assert words in problem["detail"]
    assert f"search space '{name}' cannot be imported" in problem["detail"]
    assert words in service.post("/v1/searches", {**SMALLEST, "space": name}, status=422)["detail"]


def test_a_searcher_that_cannot_be_imported_is_said(
    service: Service, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "unclosed.py").write_text("Searcher = (")
    monkeypatch.setattr(nas.searchers, "__path__", [*nas.searchers.__path__, str(tmp_path)])
    (row,) = (row for row in service.get("/v1/searchers")["searchers"] if row["name"] == "unclosed")
    assert (row["options"], "SyntaxError" in row["description"]) == ([], True)
    problem = service.post("/v1/searches", {**SMALLEST, "searcher": "unclosed"}, status=422)
    assert "searcher 'unclosed' cannot be imported: SyntaxError" in problem["detail"]


def test_a_device_that_is_not_here_is_refused_unless_the_workers_are_elsewhere(
    service: Service, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plugins.load("nas.devices", "cuda"), "available", lambda: "no GPU in this test")
    body = {**SMALLEST, "devices": ["cuda"]}
    assert "'cuda' cannot measure here: no GPU in this test" in service.post("/v1/searches", body, 422)["detail"]
    store = Store(f"sqlite:///{tmp_path}/nas.db")
    with serving(create_app(store, OPEN, remote_workers=True)) as url:
        assert httpx.post(f"{url}/v1/searches", json=body, timeout=PATIENCE_SECONDS).status_code == 201
    store.close()


def test_recipes_can_be_sent_as_they_are(service: Service) -> None:
    for recipe in service.get("/v1/recipes")["recipes"].values():
        assert service.post("/v1/searches", {**SMALLEST, "recipe": recipe})["spec"]["recipe"] == {
            **recipe,
            "epochs": recipe["epochs"] or recipe["least_epochs"],
            "folds": 1,
        }


def test_rungs_need_epochs_to_divide_also_where_their_number_is_left_open(service: Service) -> None:
    problem = service.post("/v1/searches", {**SMALLEST, "fidelity": {"eta": 3}}, status=422)
    (fault,) = problem["errors"]
    assert (fault["pointer"], fault["value"]["eta"]) == ("/fidelity", 3)
    assert "rungs of 1, 1, 2 epochs" in fault["detail"]
    spec = service.post("/v1/searches", {**SMALLEST, "fidelity": {}, "recipe": {"least_epochs": 9}})["spec"]
    assert spec["recipe"]["epochs"] == 9


def test_what_is_said_of_a_trainings_worth_is_the_services_own(service: Service) -> None:
    lie = {"epochs": 1, "steps": 1, "folds": 1, "images": 1, "error": 0.0}
    made = service.post("/v1/searches", {**SMALLEST, "recipe": {"epochs": 1, "folds": 5}, "worth": lie})
    assert made["spec"]["worth"] == {
        **lie,
        "steps": 375,
        "folds": 5,
        "images": 60_000,
        "error": pytest.approx(0.002041, rel=1e-3),
    }
    forecast = service.post("/v1/forecasts", SMALLEST, status=200)
    assert forecast["worth"]["steps"] == 842


def test_a_least_gain_needs_a_searcher_that_says_what_it_expects(service: Service) -> None:
    problem = service.post("/v1/searches", {**SMALLEST, "searcher": "optuna_gp", "least_gain": 0.001}, status=422)
    assert problem["errors"] == [
        {
            "pointer": "/least_gain",
            "value": 0.001,
            "detail": "least_gain 0.001 needs a searcher that says what it expects to gain, "
            "which 'optuna_gp' does not: give surrogate",
        }
    ]
    problem = service.post("/v1/searches", {**SMALLEST, "least_gain": 0}, status=422)
    assert problem["detail"] == "least_gain 0.0 is not a positive number"
    made = service.post("/v1/searches", {**SMALLEST, "least_gain": 0.001})
    assert (made["spec"]["least_gain"], made["expected_gain"]) == (0.001, None)


def test_shared_weights_come_with_a_recipe_trials_and_knobs_that_nest(service: Service) -> None:
    made = service.post("/v1/searches", {**SHARED, "knobs": {"stage1.expand": [6]}})
    spec = made["spec"]
    assert (spec["trials"], spec["finals"], spec["recipe"]["epochs"]) == (200, 3, 4)
    assert (spec["knobs"]["stage1.op"], spec["knobs"]["stage1.expand"]) == (["mbconv"], [6])
    assert spec["knobs"]["stage2.expand"] == [3, 6]
    assert "the supernet has a training of" in service.store.events(made["id"])[-1].text


@pytest.mark.parametrize(
    ("changes", "pointer", "words"),
    [
        ({"space": "darts"}, "/weights", "give a space of them, or weights 'own'"),
        ({"knobs": {"stage2.op": ["conv", "mbconv"]}}, "/knobs", "narrow these knobs"),
        ({"fidelity": {}, "trials": 100}, "/fidelity", "leave fidelity out"),
        ({"confirm": 2}, "/confirm", "give more finals"),
    ],
)
def test_what_shares_no_weights_is_refused_where_it_stands(
    service: Service, changes: dict[str, Any], pointer: str, words: str
) -> None:
    answer = service.http.post("/v1/searches", json=SHARED | changes)
    assert answer.status_code == 422
    (fault,) = answer.json()["errors"]
    assert fault["pointer"] == pointer
    assert words in fault["detail"]
