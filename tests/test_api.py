"""The HTTP service, on a real port over a real store; every answer is held against the OpenAPI document."""

import base64
import dataclasses
import hashlib
import importlib
import inspect
import io
import json
import math
import os
import re
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from rich.console import Console

import nas.searchers
import search_spaces
from api.app import DASHBOARD, create_app
from api.cli import summaries
from api.gate import MOST_BYTES
from api.views.run import remaining_seconds
from nas import plugins
from nas.models.checkpoint import artifact
from nas.networks.counts import counts
from nas.objective import Objective
from nas.plans import plan_for
from nas.plans.growth import member
from nas.recipes import Recipe
from nas.records import Measurement, Progress
from nas.specs import Fidelity, GrowthSpec, SearchSpec
from nas.store import Store
from tests.service import GREY, OWNER, Contract, Service, serving
from tests.service import service as service_over

SMALLEST = {"dataset": "fashion_mnist"}
EVOLVED = {"searcher": "evolution"}
UNKNOWN = "f00f00f00f00"
# Accuracy and multiply-adds: the third is beaten by the second.
POINTS = [(0.8, 1_000_000), (0.9, 4_000_000), (0.85, 5_000_000), (0.95, 16_000_000)]


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    home = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("NAS_HOME", str(home))
        with service_over(f"sqlite:///{home}/nas.db") as running:
            yield running


# Searches


def test_a_search_is_taken_with_defaults_and_found_again(service: Service) -> None:
    response = service.http.post("/v1/searches", json=SMALLEST)
    assert response.status_code == 201
    made = response.json()
    assert response.headers["location"] == made["links"]["self"] == f"/v1/searches/{made['id']}"
    assert made["spec"] == json.loads(json.dumps(dataclasses.asdict(SearchSpec(dataset="fashion_mnist"))))
    assert (made["state"], made["wish"], made["trials"], made["best"]) == ("queued", "run", 20, None)
    assert set(made["counts"].values()) == {0}
    assert made["seconds"] is made["remaining_seconds"] is None
    assert service.get(made["links"]["self"]) == made
    assert service.get(f"/v1/runs/{made['id']}") == made
    assert service.store.run(made["id"]).spec == SearchSpec(dataset="fashion_mnist")
    for link in made["links"].values():
        service.get(link)


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
    assert spec["recipe"] == dataclasses.asdict(Recipe(epochs=3))
    assert spec["objective"] == dataclasses.asdict(Objective(target=1.0))
    assert spec["knobs"] == body["knobs"]
    assert spec["options"] == body["options"]
    assert spec["limits"]["latency_ms"] == 2.0


RECIPE_FIELDS = "epochs, train_images, batch"
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
    ({"device": "tpu"}, "/device", "'tpu'.*there are cpu"),
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
    ({"recipe": {"epochs": 0}}, "/recipe/epochs", "epochs 0 is not between 1 and 10000"),
    ({"recipe": {"learning_rate": 0}}, "/recipe/learning_rate", "learning_rate 0.0 is not a positive number"),
    ({"recipe": {"flip": 1}}, "/recipe/flip", "flip 1 is not a valid boolean"),
    ({"recipe": "short"}, "/recipe", f'recipe "short" is not an object with fields of {RECIPE_FIELDS}'),
    ({"objective": {"target": 0}}, "/objective/target", "target 0.0 is not a positive number"),
    ({"objective": {"target": -5}}, "/objective/target", "target -5.0 is not a positive number"),
    ({"objective": {"target": "5M"}}, "/objective/target", '"5M" is not a valid number'),
    ({"objective": {"cost": "flops"}}, "/objective/cost", "\"flops\" is not 'latency_ms', 'mult_adds' or 'params'"),
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
    ({"fidelity": {"eta": 3}}, "/fidelity", "give recipe.epochs 9 or more, or fewer rungs"),
    ({"fidelity": {"kind": "thirds"}}, "/fidelity/kind", "'halving' or 'hyperband'"),
    ({"baselines": ["ResNet-9999"]}, "/baselines/0", "'ResNet-9999': there are ResNet"),
    ({"baselines": ["ResNet-20 (CIFAR)", "LeNet-5"]}, "/baselines/1", "baseline 'LeNet-5' does not fit the images"),
    ({"baselines": ["LeNet-5", "LeNet-5"]}, "/baselines", "repeat"),
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
    body = {"space": "x", "searcher": "y", "device": "z", "dataset": "w"}
    problem = service.post("/v1/searches", body, status=422)
    assert {fault["pointer"] for fault in problem["errors"]} == {f"/{name}" for name in body}
    problem = service.post("/v1/searches", {"trials": "8", "recipe": {"x": 1}}, status=422)
    assert {fault["pointer"] for fault in problem["errors"]} == {"/dataset", "/trials", "/recipe/x"}
    assert "dataset is missing" in problem["detail"]


JSON = "application/json"
BODIES: list[tuple[bytes, str | None, int, str]] = [
    (b"", JSON, 422, "the body is empty"),
    (b'{"dataset"', JSON, 400, "not JSON: Expecting ':' delimiter at character 10"),
    (b"\xff", JSON, 400, "JSON"),
    (b"[" * 100_000, JSON, 400, "JSON|parsing"),
    (b"[]", JSON, 422, "\\[\\] is not an object with fields of name, dataset"),
    (b"null", JSON, 422, "null is not an object"),
    (b'{"dataset": "x", "objective": {"target": NaN}}', JSON, 422, "nan at /objective/target is not a number"),
    (b'{"dataset": "x", "objective": {"target": 1e999}}', JSON, 422, "inf at /objective/target"),
    (b'{"dataset": "x", "options": {"a": -Infinity}}', JSON, 422, "-inf at /options/a"),
    (b'{"dataset": "x", "knobs": {"a": [1, NaN]}}', JSON, 422, "nan at /knobs/a/1"),
    (b'{"dataset": "x", "trials": ' + b"1" * 5000 + b"}", JSON, 400, "JSON|parsing"),
    (b'{"dataset": "fashion_mnist"}', "text/plain", 415, "Content-Type: application/json"),
    (b'{"dataset": "fashion_mnist"}', None, 415, "Content-Type: application/json"),
    (b"dataset=fashion_mnist", "application/x-www-form-urlencoded", 415, "application/json"),
    (b" " * (MOST_BYTES + 1), JSON, 413, "1,000,001 bytes or more: 1,000,000 are taken"),
]


@pytest.mark.parametrize(("body", "kind", "status", "words"), BODIES)
def test_a_body_that_is_no_request_is_refused(
    service: Service, body: bytes, kind: str | None, status: int, words: str
) -> None:
    headers = {"content-type": kind} if kind else {}
    problem = service.ask("POST", "/v1/searches", status, content=body, headers=headers)
    assert re.search(words, problem["detail"]), problem["detail"]


def test_a_large_body_in_pieces_is_not_read_to_its_end(service: Service) -> None:
    sent = 0

    def pieces() -> Iterator[bytes]:
        nonlocal sent
        for _ in range(1000):
            sent += 100_000
            yield b" " * 100_000

    response = service.http.post("/v1/searches", content=pieces(), headers={"content-type": JSON})
    assert response.status_code == 413
    assert response.headers["content-type"] == "application/problem+json"


ELSEWHERE: list[tuple[str, str, int, str]] = [
    ("GET", f"/v1/searches/{UNKNOWN}", 404, f"no run '{UNKNOWN}'"),
    ("GET", f"/v1/growths/{UNKNOWN}/trials", 404, UNKNOWN),
    ("GET", f"/v1/searches/{UNKNOWN}/pareto", 404, UNKNOWN),
    ("POST", f"/v1/searches/{UNKNOWN}/pause", 404, UNKNOWN),
    ("POST", f"/v1/searches/{UNKNOWN}/explode", 404, "explode.*'pause', 'resume', 'stop' or 'cancel'"),
    ("GET", "/v1/runs/%00", 404, "no run"),
    ("GET", f"/v1/runs?before={UNKNOWN}", 404, UNKNOWN),
    ("GET", "/v1/models/nothing-1", 404, "no model 'nothing-1'"),
    ("GET", "/v1/models/nothing-1/checkpoint", 404, "nothing-1"),
    ("GET", f"/v1/models?run={UNKNOWN}", 404, UNKNOWN),
    ("GET", "/v1/spaces/cubes", 404, "'cubes'.*mbconv"),
    ("GET", "/v1/datasets/mnist", 404, "'mnist'.*fashion_mnist"),
    ("GET", "/v2/searches", 404, "/v2/searches.*openapi.json"),
    ("GET", "/nothing.js", 404, "nothing.js"),
    ("GET", "/..%2fapp.py", 404, "app.py"),
    ("GET", "/%2e%2e/app.py", 404, "app.py"),
    ("DELETE", "/v1/searches", 405, "DELETE.*use GET, POST"),
    ("PUT", f"/v1/searches/{UNKNOWN}", 405, "PUT.*use GET, PATCH"),
    ("GET", f"/v1/searches/{UNKNOWN}/pause", 405, "GET.*use POST"),
    ("POST", "/v1/health", 405, "POST.*use GET"),
    ("POST", "/", 405, "POST"),
    ("GET", "/v1/runs?limit=0", 422, 'limit "0" is not greater than or equal to 1'),
    ("GET", "/v1/runs?limit=1001", 422, "1001.*less than or equal to 1000"),
    ("GET", "/v1/runs?limit=x", 422, 'limit "x" is not a valid integer'),
    ("GET", "/v1/runs?limt=5", 422, "unknown parameter 'limt': there are limit, before"),
    ("GET", "/v1/health?verbose=1", 422, "unknown parameter 'verbose': there are none here"),
    ("GET", f"/v1/searches/{UNKNOWN}/trials?after=-2", 422, "-2"),
    ("GET", f"/v1/searches/{UNKNOWN}/trials?state=dead", 422, "dead.*'running', 'done'"),
    ("GET", "/v1/spaces/mbconv?resolution=7", 422, "resolution 7 is not between 8 and 2048"),
    ("GET", "/v1/spaces/mbconv?channels=2", 422, "channels 2 is neither 1"),
]


@pytest.mark.parametrize(("method", "path", "status", "words"), ELSEWHERE)
def test_an_address_that_is_wrong_is_answered_with_the_way_out(
    service: Service, method: str, path: str, status: int, words: str
) -> None:
    problem = service.ask(method, path, status)
    assert problem["status"] == status
    assert re.search(words, problem["detail"]), problem["detail"]


def test_a_method_that_is_not_allowed_is_answered_with_those_that_are(service: Service) -> None:
    assert service.http.delete("/v1/searches").headers["allow"] == "GET, POST"


def test_another_sites_page_can_neither_submit_nor_cancel(service: Service) -> None:
    run = service.search([])
    for headers in ({"origin": "https://evil.example"}, {"origin": "null"}):
        service.ask("POST", f"/v1/searches/{run.id}/cancel", 403, headers=headers)
    assert service.store.run(run.id).wish == "run"
    service.ask("POST", f"/v1/searches/{run.id}/cancel", 200, headers={"origin": service.url})


# Lists


def test_lists_are_paged_newest_first(service: Service) -> None:
    made = [service.post("/v1/searches", SMALLEST)["id"] for _ in range(3)]
    grown = service.growth(service.search([(0.9, 1000)])).id
    later = [service.post("/v1/searches", SMALLEST)["id"] for _ in range(2)]
    first = service.get("/v1/searches?limit=2")
    assert [search["id"] for search in first["searches"]] == later[::-1]
    second = service.get(first["next"])
    assert made[::-1][0] == second["searches"][1]["id"]
    runs = [run["id"] for run in service.get("/v1/runs?limit=3")["runs"]]
    assert runs == [*later[::-1], grown]
    assert service.get("/v1/growths?limit=1")["growths"][0]["id"] == grown

    seen, address = [], "/v1/runs?limit=4"
    while address:
        page = service.get(address)
        seen += [run["id"] for run in page["runs"]]
        address = page["next"]
    assert seen == [run.id for run in service.store.runs(limit=1000)]


def test_trials_and_events_are_paged_by_what_was_seen_last(service: Service) -> None:
    run = service.search(POINTS, running=1)
    address = f"/v1/searches/{run.id}"
    page = service.get(f"{address}/trials?limit=2")
    assert [trial["number"] for trial in page["trials"]] == [0, 1]
    page = service.get(page["next"])
    assert [trial["number"] for trial in page["trials"]] == [2, 3]
    page = service.get(page["next"])
    assert [trial["state"] for trial in page["trials"]] == ["running"]
    assert page["next"] is None
    assert [trial["number"] for trial in service.get(f"{address}/trials?state=running")["trials"]] == [4]
    assert len(service.get(f"{address}/trials?state=done&limit=3")["trials"]) == 3

    events = service.get(f"{address}/events")["events"]
    assert [event["kind"] for event in events] == ["added", "claimed"]
    assert service.get(f"{address}/events?after={events[0]['id']}")["events"] == events[1:]


def test_a_search_shows_counts_best_and_forecast(service: Service) -> None:
    run = service.search(
        POINTS, running=1, trials=10, parallel=2, objective=Objective(target=4e6, w_under=-0.5, w_over=-0.5)
    )
    progress = Progress(run=run.id, number=4, phase="training", epoch=1, epochs=2, loss=0.5)
    service.store.progress(OWNER, progress)
    shown = service.get(f"/v1/searches/{run.id}")
    assert shown["counts"] == {"running": 1, "done": 4, "refused": 0, "failed": 0, "cancelled": 0}
    assert shown["best"]["number"] == 0
    assert shown["best"]["reward"] == pytest.approx(1.6)
    assert shown["best"]["model"] is None
    assert shown["seconds"] == 0  # nobody has renewed its claim
    assert shown["remaining_seconds"] >= 0
    trials = service.get(f"/v1/searches/{run.id}/trials")["trials"]
    assert trials[4]["progress"] == dataclasses.asdict(progress)
    assert [trial["reward"] for trial in trials[:2]] == pytest.approx([1.6, 0.9])
    assert trials[4]["reward"] is None
    service.store.end(OWNER, 4, run.id, "failed", error="boom")
    service.store.release(run.id, OWNER, "finished")
    shown = service.get(f"/v1/searches/{run.id}")
    assert (shown["state"], shown["counts"]["failed"], shown["remaining_seconds"]) == ("finished", 1, None)
    assert shown["seconds"] == pytest.approx(shown["ended_at"] - shown["started_at"])
    spent = [trial.compute_seconds or 0 for trial in service.store.trials(run.id)]
    assert len(spent) == 5
    assert shown["compute_seconds"] == pytest.approx(sum(spent), abs=0)


# Wishes and budgets


@pytest.mark.parametrize(
    ("verb", "wish"), [("pause", "pause"), ("resume", "run"), ("stop", "stop"), ("cancel", "cancel")]
)
def test_wishes_are_written_down(service: Service, verb: str, wish: str) -> None:
    search = service.search([(0.9, 1000)])
    growth = service.growth(search)
    for run, address in ((search, f"/v1/searches/{search.id}"), (growth, f"/v1/growths/{growth.id}")):
        assert service.post(f"{address}/{verb}", status=200)["wish"] == wish
        assert service.store.run(run.id).wish == wish


def test_an_ended_run_takes_no_wish(service: Service) -> None:
    run = service.search([])
    service.store.release(run.id, OWNER, "cancelled")
    problem = service.post(f"/v1/searches/{run.id}/pause", status=409)
    assert problem["detail"] == f"run {run.id} is cancelled: it cannot pause any more"
    problem = service.ask("PATCH", f"/v1/searches/{run.id}", 409, json={"trials": 50})
    assert f"run {run.id} is cancelled" in problem["detail"]


def test_a_budget_is_raised(service: Service) -> None:
    run = service.search(POINTS, trials=4)
    service.store.release(run.id, OWNER, "finished")
    raised = service.ask("PATCH", f"/v1/searches/{run.id}", 200, json={"trials": 6})
    assert (raised["trials"], raised["state"]) == (6, "queued")
    problem = service.ask("PATCH", f"/v1/searches/{run.id}", 409, json={"trials": 3})
    assert "trials 3" in problem["detail"]
    assert "at least 4" in problem["detail"]


def test_hours_are_raised_alone_or_with_trials(service: Service) -> None:
    run = service.search(POINTS, trials=9, hours=1.0)
    raised = service.ask("PATCH", f"/v1/searches/{run.id}", 200, json={"hours": 2, "compute_hours": 3.5})
    assert (raised["trials"], raised["spec"]["hours"], raised["spec"]["compute_hours"]) == (9, 2.0, 3.5)
    events = service.get(f"/v1/searches/{run.id}/events")["events"]
    assert events[-1]["text"] == "2 hours instead of 1, 3.5 compute hours at most"


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"trials": 0}, "trials 0 is not between 1 and 100000"),
        ({"trials": 10**9}, "trials 1000000000"),
        ({"trials": "9"}, '"9" is not a valid integer'),
        ({}, "trials, hours and compute_hours are all left out: give one"),
        ({"trials": 9, "seed": 1}, "unknown field 'seed': there are trials, hours, compute_hours"),
        ({"hours": 0}, "hours 0.0 is not a positive number"),
        ({"compute_hours": -1}, "compute_hours -1.0 is not a positive number"),
    ],
)
def test_a_budget_that_is_none_is_refused(service: Service, body: Any, words: str) -> None:
    run = service.search([])
    assert words in service.ask("PATCH", f"/v1/searches/{run.id}", 422, json=body)["detail"]


def test_a_run_of_the_other_kind_is_not_there(service: Service) -> None:
    search = service.search([(0.9, 1000)])
    growth = service.growth(search)
    problem = service.get(f"/v1/searches/{growth.id}", status=404)
    assert f"/v1/growths/{growth.id}" in problem["detail"]
    assert f"/v1/searches/{search.id}" in service.post(f"/v1/growths/{search.id}/stop", status=404)["detail"]
    service.ask("PATCH", f"/v1/searches/{growth.id}", 404, json={"trials": 5})


# The Pareto front


def test_the_front_is_ranked_by_the_searchs_own_objective(service: Service) -> None:
    run = service.search(POINTS, running=1, objective=Objective(target=4e6, w_under=0.0, w_over=-1.0))
    found = service.get(f"/v1/searches/{run.id}/pareto")
    assert (found["search"], found["measured"]) == (run.id, 4)
    assert [row["number"] for row in found["front"]] == [0, 1, 3]
    assert [row["cost"] for row in found["front"]] == [1e6, 4e6, 16e6]
    # Free up to the target, and a quarter of the accuracy at four times the target.
    assert [row["reward"] for row in found["front"]] == pytest.approx([0.8, 0.9, 0.2375])
    assert found["best"] == found["front"][1]


def test_a_front_may_have_two_costs(service: Service) -> None:
    run = service.search(POINTS, objective=Objective(form="front", also="params"))
    address = f"/v1/searches/{run.id}/pareto"
    both = service.get(address)
    assert [row["number"] for row in both["front"]] == [0, 1, 3]
    assert [row["also"] for row in both["front"]] == [row["params"] for row in both["front"]]
    swapped = service.get(f"{address}?cost=params&target=1e5")
    assert (swapped["objective"]["cost"], swapped["objective"]["also"]) == ("params", "mult_adds")
    assert service.get(f"{address}?form=product")["objective"]["also"] is None
    problem = service.get(f"{address}?form=front&also=mult_adds", status=422)
    assert problem["errors"][0]["pointer"] == "?also"
    latency = service.get(f"{address}?also=latency_ms")
    assert [row["also"] for row in latency["front"]] == [row["latency_ms"] for row in latency["front"]]


@pytest.mark.parametrize(
    ("query", "rewards", "best"),
    [
        # (1/4)^-0.5 = 2, (4/4) = 1, (16/4)^-0.5 = 1/2
        ("target=4e6&w=-0.5", [1.6, 0.9, 0.475], 0),
        ("w=0", [0.8, 0.9, 0.95], 3),
        ("target=1e6&w=-1", [0.8, 0.225, 0.059375], 0),
        ("target=16e6&w=0,-1", [0.8, 0.9, 0.95], 3),
        ("target=4000000&w_under=0&w_over=-0.5", [0.8, 0.9, 0.475], 1),
        ("target=4e6&w=-0.5&w_under=0", [0.8, 0.9, 0.475], 1),
    ],
)
def test_another_objective_ranks_again_what_was_measured(
    service: Service, query: str, rewards: list[float], best: int
) -> None:
    run = service.search(POINTS)
    before = service.get(f"/v1/searches/{run.id}/pareto")
    found = service.get(f"/v1/searches/{run.id}/pareto?{query}")
    assert [row["reward"] for row in found["front"]] == pytest.approx(rewards)
    assert found["best"]["number"] == best
    assert service.get(f"/v1/searches/{run.id}/pareto") == before


def test_a_front_by_latency_needs_a_target_of_its_own_and_measured_latencies(service: Service) -> None:
    run = service.search(POINTS)
    problem = service.get(f"/v1/searches/{run.id}/pareto?cost=latency_ms", status=422)
    assert "latency_ms" in problem["detail"]
    assert problem["errors"][0]["pointer"] == "?target"
    found = service.get(f"/v1/searches/{run.id}/pareto?cost=latency_ms&target=2")
    assert (found["front"], found["best"], found["measured"]) == ([], None, 0)


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("target=0", "target 0.0 is not a positive number"),
        ("target=-1", "target -1.0"),
        ("target=nan", "target nan"),
        ("target=inf", "target inf"),
        ("target=lots", '"lots" is not a valid number'),
        ("w=1", "w_under 1.0 is not between -10 and 0"),
        ("w=nan", "w_under nan"),
        ("w=a", "'a' is neither a number nor two"),
        ("w=0,0,0", "'0,0,0'"),
        ("w_over=-11", "w_over -11.0"),
        ("cost=flops", "\"flops\" is not 'latency_ms', 'mult_adds' or 'params'"),
        ("goal=1", "unknown parameter 'goal': there are cost, target, w, w_under, w_over, form, also, device"),
    ],
)
def test_an_objective_that_is_none_is_refused(service: Service, query: str, words: str) -> None:
    run = service.search([])
    assert words in service.get(f"/v1/searches/{run.id}/pareto?{query}", status=422)["detail"]


PLAIN = Objective(w_under=0, w_over=0)


def test_a_lead_that_was_trained_again_is_judged_by_its_mean(service: Service) -> None:
    """Trial 1 leads, is trained again as trials 2 and 3, and is tied with trial 0 on its mean."""
    points = [(0.90, 1_000_000), (0.94, 4_000_000), (0.88, 4_000_000), (0.91, 1_000_000)]
    run = service.search(points, objective=PLAIN, confirm=2, trials=4, error=0.004)
    trials = service.get(f"/v1/searches/{run.id}/trials")["trials"]
    assert [trial["job"]["repeats"] for trial in trials] == [None, None, 1, 0]
    assert [trial["reward"] for trial in trials] == [0.90, 0.94, 0.88, 0.91]
    found = service.get(f"/v1/searches/{run.id}/pareto")
    assert found["measured"] == 2
    assert [(row["number"], row["trainings"], row["tied_with"]) for row in found["front"]] == [(0, 2, [1]), (1, 2, [0])]
    assert [row["accuracy"] for row in found["front"]] == pytest.approx([0.905, 0.91])
    error = (((0.005**2 + 0.03**2) * 2 / 2) / 2) ** 0.5  # of a mean of two, from the variances of both networks
    assert [row["accuracy_error"] for row in found["front"]] == pytest.approx([error, error])
    assert found["best"] == found["front"][1] == service.get(f"/v1/searches/{run.id}")["best"]


def test_networks_of_a_front_that_chance_may_have_put_in_order_are_tied(service: Service) -> None:
    """By the error of so many images, where each was trained once; and with none, nothing is tied."""
    points = [(0.90, 1_000_000), (0.905, 2_000_000), (0.93, 3_000_000)]
    run = service.search(points, objective=PLAIN, error=0.004)
    front = service.get(f"/v1/searches/{run.id}/pareto")["front"]
    assert [row["tied_with"] for row in front] == [[1], [0], []]
    unknown = service.search(points, objective=PLAIN)
    assert all(not row["tied_with"] for row in service.get(f"/v1/searches/{unknown.id}/pareto")["front"])


def test_a_low_rung_is_never_compared_with_a_high_one(service: Service) -> None:
    """The front and the best are of the highest rung that was reached, though lower ones look better."""
    points = [(0.99, 1_000_000), (0.98, 2_000_000), (0.5, 1_000_000)]
    spec: dict[str, Any] = {
        "objective": PLAIN,
        "fidelity": Fidelity(eta=2, rungs=2),
        "recipe": Recipe(epochs=4),
        "trials": 3,
    }
    below = service.search(points[:2], **spec)
    address = f"/v1/searches/{below.id}"
    assert [row["rung"] for row in service.get(f"{address}/pareto")["front"]] == [0]
    run = service.search(points, **spec)
    address = f"/v1/searches/{run.id}"
    trials = service.get(f"{address}/trials")["trials"]
    assert [(trial["job"]["rung"], trial["job"]["promotes"]) for trial in trials] == [(0, None), (0, None), (1, 0)]
    assert [trial["job"]["recipe"]["epochs"] for trial in trials] == [2, 2, 4]
    front = service.get(f"{address}/pareto")
    assert (front["measured"], [row["number"] for row in front["front"]]) == (1, [2])
    assert service.get(address)["best"]["number"] == 2
    grown = service.post("/v1/growths", {"search": run.id, "members": ["B0"]})
    assert grown["spec"]["source"] == [run.id, 2]


def test_a_baseline_is_compared_once_the_search_has_come_as_high(service: Service) -> None:
    points = [(0.8, 5_000_000), (0.9, 1_000_000), (0.91, 2_000_000), (0.95, 2_000_000)]
    spec: dict[str, Any] = {
        "objective": PLAIN,
        "fidelity": Fidelity(eta=2, rungs=2),
        "recipe": Recipe(epochs=4),
        "trials": 4,
        "baselines": ("ResNet-20 (CIFAR)",),
    }
    early = service.search(points[:3], **spec)
    assert service.get(f"/v1/searches/{early.id}/pareto")["measured"] == 2
    whole = service.search(points, **spec)
    found = service.get(f"/v1/searches/{whole.id}/pareto")
    assert (found["measured"], found["best"]["number"]) == (2, 3)


# Growths


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
    assert [row["accuracy_error"] for row in rows.values()] == pytest.approx([0.002 / 3**0.5] * 3)
    assert {name: (row["seeds"], row["tied_with"]) for name, row in rows.items()} == {
        "B0": (3, ["B2"]),
        "B1": (3, []),
        "B2": (3, ["B0"]),
    }
    assert rows["B1"]["models"] == [f"{run.id}-{number}" for number in (3, 4, 5)]
    assert rows["B1"]["model"] == f"{run.id}-3"  # the first seed's, though its test accuracy is not the best
    assert rows["B1"]["seconds"] == 90
    files = {model["seed"]: model["file"] for model in service.get(f"/v1/models?run={run.id}")["models"]}
    assert all(f"-seed{seed}-" in file for seed, file in files.items())
    assert sorted(files) == [0, 1, 2]


def test_a_member_is_running_while_one_of_its_seeds_is(service: Service) -> None:
    run = service.growth(service.search(POINTS), ("B0",), ended=1, tested=(0.94,), seeds=2)
    (row,) = service.get(f"/v1/growths/{run.id}")["family"]
    assert (row["state"], row["seeds"], row["accuracy_error"]) == ("done", 1, 0.002)
    job = plan_for(run, GREY).ask(1)
    assert job is not None
    service.store.begin(OWNER, job)
    (row,) = service.get(f"/v1/growths/{run.id}")["family"]
    assert (row["state"], row["test_accuracy"]) == ("running", 0.94)


def test_the_best_trial_is_grown_by_default(service: Service) -> None:
    search = service.search(POINTS, objective=Objective(target=4e6, w_under=0.0, w_over=-1.0))
    made = service.post("/v1/growths", {"search": search.id})
    spec = service.store.run(made["id"]).spec
    assert isinstance(spec, GrowthSpec)
    assert spec.source == (search.id, 1)
    assert spec.architecture == service.store.trial(search.id, 1).job.architecture
    assert (spec.dataset, spec.device, spec.members) == ("fashion_mnist", "cpu", ("B0", "B1", "B2", "B3"))
    assert spec.recipe == Recipe(epochs=20)
    assert [row["member"] for row in made["family"]] == ["B0", "B1", "B2", "B3"]
    assert {row["state"] for row in made["family"]} == {"queued"}
    for row in made["family"]:
        counted = counts(member(spec.architecture, row["member"]))
        assert (row["params"], row["mult_adds"]) == (counted.params, counted.mult_adds)


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
    assert made["spec"]["recipe"] == dataclasses.asdict(Recipe(epochs=20, batch=64))
    assert made["spec"]["scaling"] == body["scaling"]
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
        ({"members": ["B9"]}, 422, "/members", "'B9' is none of B0, B1"),
        ({"members": ["B0", "B0"]}, 422, "/members", "repeat"),
        ({"seeds": 0}, 422, "/seeds", "seeds 0 is not between 1 and 100"),
        ({"members": ["B7"], "scaling": {"alpha": 1, "beta": 1, "gamma": 4}}, 422, "/members", "resolution 458752"),
        ({"scaling": {"alpha": 0.5}}, 422, "/scaling/alpha", "alpha 0.5 is not between 1 and 4"),
        ({"scaling": {"delta": 2}}, 422, "/scaling/delta", "unknown field 'delta': there are alpha, beta, gamma"),
        ({"device": "tpu"}, 422, "/device", "'tpu'.*cpu"),
        ({"recipe": {"epochs": 0}}, 422, "/recipe/epochs", "epochs 0"),
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


def test_a_search_without_a_result_cannot_be_grown_yet(service: Service) -> None:
    search = service.search([], running=1)
    assert search.id in service.post("/v1/growths", {"search": search.id}, status=409)["detail"]


def test_a_refused_trial_cannot_be_grown(service: Service) -> None:
    search = service.search([(0.9, 1000)], running=1)
    measured = Measurement(params=1, mult_adds=1, refused="latency_ms 3 over the limit of 2")
    service.store.end(OWNER, 1, search.id, "refused", measured)
    problem = service.post("/v1/growths", {"search": search.id, "trial": 1}, status=422)
    assert "trial 1" in problem["detail"]
    assert "is refused, without an accuracy: choose among 0" in problem["detail"]


def test_what_is_refused_before_training_is_counted_with_what_it_saved(service: Service) -> None:
    search = service.search([], running=5)
    address = f"/v1/searches/{search.id}"
    assert service.get(address)["saved_seconds"] is None
    refused = Measurement(params=1, mult_adds=1, refused="latency_ms 3 over the limit of 2", seconds=0.1)
    for number in (0, 1, 2):
        service.store.end(OWNER, number, search.id, "refused", refused)
    assert service.get(address)["saved_seconds"] is None, "nothing to tell from how long a training takes"
    for number, seconds in ((3, 100.0), (4, 140.0)):
        trained = Measurement(params=1, mult_adds=1, accuracy=0.5, train_seconds=seconds, seconds=seconds + 1)
        service.store.end(OWNER, number, search.id, "done", trained)
    shown = service.get(address)
    assert (shown["counts"]["refused"], shown["saved_seconds"]) == (3, 3 * 120.0)
    out = io.StringIO()
    Console(file=out, width=120).print(summaries.run(shown))
    assert "5 of 20 ended (2 done, 3 refused; about 6 min of training saved)" in out.getvalue()


def test_a_device_is_checked_with_its_options(service: Service) -> None:
    body = {"dataset": "fashion_mnist", "device": "cpu:threads=2,batch=4"}
    assert service.post("/v1/searches", body)["spec"]["device"] == "cpu:threads=2,batch=4"
    problem = service.post("/v1/searches", body | {"device": "cpu:threads=many"}, status=422)
    assert "threads 'many' is not a whole number between 1 and 256" in problem["detail"]
    assert problem["errors"][0]["pointer"] == "/device"
    search = service.search([(0.9, 1000)])
    problem = service.post("/v1/growths", {"search": search.id, "device": "cpu:dtype=int8"}, status=422)
    assert "has option 'dtype'" in problem["detail"]


def test_each_device_has_a_front_and_a_best_network_of_its_own(service: Service) -> None:
    run = service.on_two_devices()
    here = service.get(f"/v1/searches/{run.id}/pareto")
    assert (here["device"], [row["number"] for row in here["front"]], here["best"]["number"]) == ("cpu", [0, 1], 0)
    assert service.get(f"/v1/searches/{run.id}/pareto?device=cpu") == here
    there = service.get(f"/v1/searches/{run.id}/pareto?device=cpu_eager")
    assert (there["device"], [row["number"] for row in there["front"]]) == ("cpu_eager", [1])
    assert (there["best"]["cost"], there["best"]["latency_ms"]) == (1.0, 4.0)
    assert there["best"]["further_latencies_ms"] == {"cpu_eager": 1.0}
    for query, words in (
        ("device=cpu_compile", "was not measured on device 'cpu_compile': there are cpu, cpu_eager"),
        ("device=cpu&cost=mult_adds&target=1e6", "device 'cpu' has no part in cost 'mult_adds'"),
    ):
        problem = service.get(f"/v1/searches/{run.id}/pareto?{query}", status=422)
        assert words in problem["detail"]
        assert problem["errors"][0]["pointer"] == "?device"


def test_further_devices_are_checked_like_the_first(service: Service) -> None:
    body = {"dataset": "fashion_mnist", "further_devices": ["cpu_eager", "cpu:batch=none"]}
    problem = service.post("/v1/searches", body, status=422)
    assert [fault["pointer"] for fault in problem["errors"]] == ["/further_devices/1"]
    problem = service.post("/v1/searches", body | {"further_devices": ["cpu"]}, status=422)
    assert "further_devices cpu beside cpu repeat themselves: name each once" in problem["detail"]
    again = {"device": "cpu:threads=1", "further_devices": ["cpu:batch=2,threads=1", "cpu", "cpu:batch=2"]}
    problem = service.post("/v1/searches", body | again, status=422)
    assert [(fault["pointer"], fault["detail"]) for fault in problem["errors"]] == [
        ("/further_devices/1", "device 'cpu' is 'cpu:threads=1' once more: name each once"),
        ("/further_devices/2", "device 'cpu:batch=2' is 'cpu:batch=2,threads=1' once more: name each once"),
    ]
    search = service.on_two_devices()
    problem = service.post("/v1/growths", {"search": search.id, "further_devices": ["cpu:threads=1"]}, status=422)
    assert "device 'cpu:threads=1' is 'cpu' once more" in problem["detail"]
    problem = service.post("/v1/growths", {"search": search.id} | {"further_devices": ["cpu", "x"]}, status=422)
    assert [fault["pointer"] for fault in problem["errors"]] == ["/further_devices"]
    problem = service.post("/v1/growths", {"search": search.id} | {"further_devices": ["x"]}, status=422)
    assert [fault["pointer"] for fault in problem["errors"]] == ["/further_devices/0"]


@pytest.mark.parametrize(
    ("asked", "devices"),
    [
        ({}, ["cpu", "cpu_eager"]),
        ({"device": "cpu_eager"}, ["cpu_eager", "cpu"]),
        ({"device": "cpu:batch=2"}, ["cpu:batch=2"]),
        ({"further_devices": []}, ["cpu"]),
        ({"further_devices": ["cpu:batch=2"]}, ["cpu", "cpu:batch=2"]),
    ],
)
def test_a_family_is_measured_where_its_search_was(service: Service, asked: Any, devices: list[str]) -> None:
    spec = service.post("/v1/growths", {"search": service.on_two_devices().id} | asked)["spec"]
    assert [spec["device"], *spec["further_devices"]] == devices


def test_a_familys_table_and_its_models_have_the_latency_on_every_device(service: Service) -> None:
    growth = service.growth(service.on_two_devices(), ("B0", "B1"), ended=1, further_devices=("cpu_eager",))
    rows = service.get(f"/v1/growths/{growth.id}")["family"]
    assert [(row["latency_ms"], row["further_latencies_ms"]) for row in rows] == [(None, {}), (0.5, {"cpu_eager": 0.7})]
    (trained,) = service.get(f"/v1/models?run={growth.id}")["models"]
    assert trained["further_latencies_ms"] == {"cpu_eager": 0.7}
    assert service.get(f"/v1/models/{trained['id']}/card")["further_latencies"]["cpu_eager"]["median_ms"] == 0.7


def test_the_familys_table_fills_up(service: Service) -> None:
    growth = service.growth(service.search([(0.9, 1000)]), ("B0", "B1", "B3"), ended=1)
    rows = {row["member"]: row for row in service.get(f"/v1/growths/{growth.id}")["family"]}
    assert [rows[name]["state"] for name in ("B0", "B1", "B3")] == ["queued", "queued", "done"]  # the dearest is first
    assert rows["B3"]["test_accuracy"] == 0.91
    assert rows["B3"]["latency_ms"] == 0.5
    assert rows["B3"]["model"] == f"{growth.id}-0"
    assert rows["B1"]["test_accuracy"] is rows["B1"]["model"] is None


# Models


@pytest.fixture(scope="module")
def model(service: Service) -> dict[str, Any]:
    growth = service.growth(service.search([(0.9, 1000)]), name="Ångström / flowers: v2")
    found: dict[str, Any] = service.get(f"/v1/models?run={growth.id}")["models"][0]
    return found


def test_models_are_listed_newest_first_and_paged(service: Service, model: dict[str, Any]) -> None:
    newest = service.growth(service.search([(0.9, 1000)]))
    page = service.get("/v1/models?limit=1")
    assert page["models"][0]["id"] == f"{newest.id}-1"
    ids, address = [], "/v1/models?limit=1"
    while address:
        page = service.get(address)
        ids += [row["id"] for row in page["models"]]
        address = page["next"]
    assert ids == [row.id for row in service.store.models()]
    assert [row["member"] for row in service.get(f"/v1/models?run={newest.id}&limit=1")["models"]] == ["B0"]
    assert service.get(f"/v1/models/{model['id']}") == model
    assert (model["test_accuracy"], model["latency_ms"]) == (0.91, 0.5)


def test_a_checkpoint_is_downloaded_whole(service: Service, model: dict[str, Any]) -> None:
    address = model["links"]["checkpoint"]
    response = service.http.get(address)
    assert response.status_code == 200
    assert hashlib.sha256(response.content).hexdigest() == model["sha256"]
    assert len(response.content) == model["bytes"] == int(response.headers["content-length"])
    assert response.headers["etag"] == f'"{model["sha256"]}"'
    digest = base64.b64encode(hashlib.sha256(response.content).digest()).decode()
    assert response.headers["repr-digest"] == f"sha-256=:{digest}:"
    assert response.headers["accept-ranges"] == "bytes"
    assert response.headers["content-type"] == "application/vnd.safetensors"
    assert model["file"] == f"ngstr-m-flowers-v2-{model['member']}-{model['sha256'][:8]}.safetensors"
    assert response.headers["content-disposition"] == f'attachment; filename="{model["file"]}"'
    head = service.http.head(address)
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["etag"] == response.headers["etag"]


def test_a_checkpoint_that_is_there_already_is_not_sent_again(service: Service, model: dict[str, Any]) -> None:
    tag = f'"{model["sha256"]}"'
    for tags in (tag, f'"other", {tag}', f"W/{tag}", "*"):
        response = service.http.get(model["links"]["checkpoint"], headers={"if-none-match": tags})
        assert (response.status_code, response.content) == (304, b""), tags
        assert response.headers["etag"] == tag
    response = service.http.get(model["links"]["checkpoint"], headers={"if-none-match": '"other"'})
    assert response.status_code == 200


@pytest.mark.parametrize("wanted", [(0, 9), (10, None), (None, 7), (100, 10**9)])
def test_a_part_of_a_checkpoint_is_sent(
    service: Service, model: dict[str, Any], wanted: tuple[int | None, int | None]
) -> None:
    first, last = wanted
    whole = artifact(model["sha256"]).read_bytes()
    part = whole[-(last or 0) :] if first is None else whole[first : None if last is None else last + 1]
    text = f"bytes={'' if first is None else first}-{'' if last is None else last}"
    response = service.http.get(model["links"]["checkpoint"], headers={"range": text})
    assert response.status_code == 206
    assert response.content == part
    begin = len(whole) - len(part) if first is None else first
    assert response.headers["content-range"] == f"bytes {begin}-{begin + len(part) - 1}/{len(whole)}"
    assert response.headers["etag"] == f'"{model["sha256"]}"'


def test_a_part_of_another_version_is_not_sent(service: Service, model: dict[str, Any]) -> None:
    headers = {"range": "bytes=10-", "if-range": f'"{model["sha256"]}"'}
    assert service.http.get(model["links"]["checkpoint"], headers=headers).status_code == 206
    headers["if-range"] = '"other"'
    response = service.http.get(model["links"]["checkpoint"], headers=headers)
    assert response.status_code == 200
    assert len(response.content) == model["bytes"]


@pytest.mark.parametrize(
    ("wanted", "status"),
    [("bytes=99999999-", 416), ("bytes=0-1,99999999-", 416), ("bytes=9-5", 400), ("bytes=x", 400), ("pages=1-2", 400)],
)
def test_a_part_that_is_not_there_is_refused(service: Service, model: dict[str, Any], wanted: str, status: int) -> None:
    response = service.http.get(model["links"]["checkpoint"], headers={"range": wanted})
    assert response.status_code == status
    assert wanted in response.json()["detail"]
    if status == 416:
        assert response.headers["content-range"] == f"bytes */{model['bytes']}"


def test_a_card_is_read_from_the_checkpoint(service: Service, model: dict[str, Any]) -> None:
    card = service.get(model["links"]["card"])
    assert (card["run"], card["number"], card["member"]) == (model["run"], model["number"], model["member"])
    assert card["test_accuracy"] == 0.91
    assert (
        card["architecture"]
        == service.get(f"/v1/growths/{model['run']}/trials")["trials"][model["number"]]["job"]["architecture"]
    )


def test_a_checkpoint_that_is_gone_or_cut_is_said_to_be(service: Service) -> None:
    growth = service.growth(service.search([(0.9, 1000)], seed=3))
    (one, two) = service.get(f"/v1/models?run={growth.id}")["models"]
    artifact(one["sha256"]).unlink()
    with open(artifact(two["sha256"]), "ab") as file:
        file.truncate(1000)
    for model, words in ((one, "is gone"), (two, "is damaged.* 1,000 of")):
        for link in ("checkpoint", "card"):
            problem = service.get(model["links"][link], status=410)
            assert re.search(f"{model['id']} {words}", problem["detail"])
        assert service.get(f"/v1/models/{model['id']}") == model


# What a search may name


def test_every_plugin_is_in_the_catalogue(service: Service) -> None:
    for package, kind in (
        ("search_spaces", "spaces"),
        ("nas.searchers", "searchers"),
        ("nas.devices", "devices"),
        ("nas.datasets", "datasets"),
    ):
        listed = service.get(f"/v1/{kind}")[kind]
        assert tuple(row["name"] for row in listed) == plugins.names(package)
        for row in listed:
            assert row["description"] == (importlib.import_module(f"{package}.{row['name']}").__doc__ or "").strip()


def test_a_space_shows_its_knobs_for_the_images_at_hand(service: Service) -> None:
    for name in plugins.names("search_spaces"):
        shown = service.get(f"/v1/spaces/{name}?resolution=28&channels=1&classes=10")
        knobs = plugins.load("search_spaces", name).knobs(GREY)
        assert {knob: tuple(choices) for knob, choices in shown["knobs"].items()} == dict(knobs)
        assert shown["networks"] == pytest.approx(math.prod(len(choices) for choices in knobs.values()))
        assert shown["params"][0] < shown["params"][1]


def test_searchers_show_the_options_of_their_signature(service: Service) -> None:
    rows = {row["name"]: row["options"] for row in service.get("/v1/searchers")["searchers"]}
    assert rows["evolution"] == [
        {"name": "population", "type": "int", "default": 0},
        {"name": "sample", "type": "int", "default": 0},
    ]
    for name, options in rows.items():
        signature_ = inspect.signature(plugins.load("nas.searchers", name).Searcher)
        own = [value for value in signature_.parameters.values() if value.name not in GIVEN]
        assert [(option["name"], option["default"]) for option in options] == [(p.name, p.default) for p in own]


GIVEN = ("knobs", "objective", "seed", "cost", "also", "canonical", "allowed", "trials")


def test_a_heavy_searcher_is_checked_without_being_imported(
    service: Service, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = """
import package_that_is_not_here
LIMIT = 4
class Searcher:
    def __init__(self, knobs, objective, *, seed, cost=None, canonical=None, rate: float = 0.5, most: int = LIMIT):
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


def test_devices_say_whether_they_are_here(service: Service) -> None:
    for row in service.get("/v1/devices")["devices"]:
        assert row["problem"] == plugins.load("nas.devices", row["name"]).available()
        assert row["available"] == (row["problem"] is None)


def test_a_device_that_is_not_here_is_refused_unless_the_workers_are_elsewhere(
    service: Service, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plugins.load("nas.devices", "cuda"), "available", lambda: "no GPU in this test")
    body = {**SMALLEST, "device": "cuda"}
    assert "'cuda' cannot measure here: no GPU in this test" in service.post("/v1/searches", body, 422)["detail"]
    store = Store(f"sqlite:///{tmp_path}/nas.db")
    with serving(create_app(store, remote_workers=True)) as url:
        assert httpx.post(f"{url}/v1/searches", json=body).status_code == 201
    store.close()


def test_datasets_are_described(service: Service, tmp_path: Path) -> None:
    rows = {row["name"]: row for row in service.get("/v1/datasets")["datasets"]}
    assert rows["fashion_mnist"]["info"]["train_images"] == 60_000
    assert rows["folder"]["info"] is None
    assert "folder:" in rows["folder"]["problem"]
    missing = service.get(f"/v1/datasets/folder:{tmp_path}/none")
    assert str(tmp_path) in missing["problem"]
    assert missing["name"] == f"folder:{tmp_path}/none"


def test_a_search_is_compared_with_references(service: Service) -> None:
    names = [row["name"] for row in service.get("/v1/references")["references"]]
    assert "LeNet-5" in names
    made = service.post("/v1/searches", {**SMALLEST, "baselines": ["ResNet-20 (CIFAR)"]})
    assert made["spec"]["baselines"] == ["ResNet-20 (CIFAR)"]
    run = service.search([(0.99, 1000), (0.8, 2000)], baselines=("ResNet-20 (CIFAR)",))
    front = service.get(f"/v1/searches/{run.id}/pareto")
    assert [row["baseline"] for row in front["front"]] == ["ResNet-20 (CIFAR)"]
    assert front["best"]["number"] == 1  # what the search found is what is grown
    assert front["best"]["baseline"] is None


def test_recipes_can_be_sent_as_they_are(service: Service) -> None:
    for recipe in service.get("/v1/recipes")["recipes"].values():
        assert service.post("/v1/searches", {**SMALLEST, "recipe": recipe})["spec"]["recipe"] == recipe


# The service itself


def test_health_says_when_nothing_takes_the_work(tmp_path: Path) -> None:
    past = Store(f"sqlite:///{tmp_path}/nas.db", clock=lambda: 1000.0)
    app = create_app(past, coordinator=lambda: "restarting")
    with serving(app) as url:
        health = httpx.get(f"{url}/v1/health").json()
        assert (health["status"], health["waiting_seconds"], health["coordinator"]) == ("ok", None, "restarting")
        past.add_run("search", SearchSpec(dataset="fashion_mnist"))
        health = httpx.get(f"{url}/v1/health").json()
        assert health["status"] == "waiting"
        assert health["waiting_seconds"] > 1e6
    past.close()


def test_a_database_that_fails_is_answered_with_503(tmp_path: Path) -> None:
    store = Store(f"sqlite:///{tmp_path}/nas.db")
    with serving(create_app(store)) as url:
        assert httpx.get(f"{url}/v1/runs").status_code == 200
        with sqlite3.connect(tmp_path / "nas.db") as database:
            for (table,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall():
                database.execute(f"ALTER TABLE {table} RENAME TO lost_{table}")
        database.close()
        response = httpx.get(f"{url}/v1/runs")
    store.close()
    assert response.status_code == 503
    assert response.headers["retry-after"] == "5"
    assert "nas.db" in response.json()["detail"]


def test_an_error_of_the_service_is_answered_without_its_insides(tmp_path: Path) -> None:
    def broken() -> str:
        raise RuntimeError("secret")

    store = Store(f"sqlite:///{tmp_path}/nas.db")
    with serving(create_app(store, coordinator=broken)) as url:
        response = httpx.get(f"{url}/v1/health")
    store.close()
    assert (response.status_code, response.headers["content-type"]) == (500, "application/problem+json")
    assert "secret" not in response.text
    assert "log" in response.json()["detail"]


def test_the_dashboard_is_served_fresh(service: Service) -> None:
    index = service.http.get("/")
    assert index.text == (DASHBOARD / "index.html").read_text()
    assert index.headers["content-type"].startswith("text/html")
    kinds = {".js": "text/javascript", ".css": "text/css", ".html": "text/html"}
    for file in DASHBOARD.iterdir():
        response = service.http.get(f"/{file.name}")
        assert response.status_code == 200
        assert response.headers["content-type"].startswith(kinds[file.suffix])
        assert response.headers["cache-control"] == "no-cache"
        assert response.headers["x-content-type-options"] == "nosniff"
        again = service.http.get(f"/{file.name}", headers={"if-none-match": response.headers["etag"]})
        assert (again.status_code, again.content) == (304, b"")
        assert again.headers["cache-control"] == "no-cache"


def test_openapi_is_complete(service: Service) -> None:
    document = service.get("/v1/openapi.json")
    names = set()
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            where = f"{method} {path}"
            names.add(operation["operationId"])
            assert operation["summary"], where
            assert len(operation["description"]) > 20, where
            assert operation["tags"], where
            assert all(parameter["description"] for parameter in operation.get("parameters", ())), where
            problems = {int(status) for status in operation["responses"] if int(status) >= 400}
            assert {422, 500, 503} <= problems, where
            assert "{" not in path or 404 in problems, where
            for status, response in operation["responses"].items():
                if int(status) >= 400:
                    content = response["content"]["application/problem+json"]
                    assert content["schema"] == {"$ref": "#/components/schemas/ProblemDocument"}, where
                    assert content["example"]["detail"], where
                elif status in ("200", "201"):
                    assert response["content"], where
            for kind, content in operation.get("requestBody", {}).get("content", {}).items():
                assert kind != "application/json" or content["examples"], where
    assert len(names) == sum(map(len, document["paths"].values()))
    for name, schema in document["components"]["schemas"].items():
        assert schema["title"] == name.rpartition("__")[2]  # two modules may have a record of the same name
    assert set(re.findall(r"#/components/schemas/(\w+)", json.dumps(document))) <= set(
        document["components"]["schemas"]
    )


def test_examples_in_openapi_are_what_they_illustrate(service: Service) -> None:
    document = service.get("/v1/openapi.json")
    contract = Contract(create_app(service.store))
    answers, requests = 0, 0
    for operations in document["paths"].values():
        for operation in operations.values():
            for response in operation["responses"].values():
                for content in response.get("content", {}).values():
                    if "example" in content:
                        contract.valid(content["schema"], content["example"])
                        answers += "$ref" in content["schema"] and "Problem" not in content["schema"]["$ref"]
            content = operation.get("requestBody", {}).get("content", {}).get("application/json", {})
            for example in content.get("examples", {}).values():
                contract.valid(content["schema"], example["value"])
                requests += 1
    assert answers >= 8
    assert requests >= 6


def test_the_front_tells_how_it_grew_and_can_be_ranked_by_another_form(service: Service) -> None:
    points = [(0.8, 4_000_000), (0.7, 9_000_000), (0.9, 8_000_000), (0.85, 3_000_000)]
    run = service.search(points, objective=Objective(form="front"))
    shown = service.get(f"/v1/searches/{run.id}/pareto")
    assert shown["objective"]["form"] == "front"
    # Areas above 70 % and up to 9 M: 0.5, 0.5, 0.6 (and a step of 0.1 up to 8 M), 1.
    whole = 6 * 0.15 + 0.05
    expected = [[1, 0.5 / whole], [2, 0.5 / whole], [3, 0.6 / whole], [4, 1.0]]
    assert [[count, pytest.approx(share)] for count, share in expected] == shown["hypervolumes"]
    other = service.get(f"/v1/searches/{run.id}/pareto?form=absolute&w=-0.1&target=8e6")
    assert other["objective"]["form"] == "absolute"
    assert [row["reward"] for row in other["front"]] == pytest.approx([0.85 - 0.1 * 5 / 8, 0.9])
    service.get(f"/v1/searches/{run.id}/pareto?form=sum", status=422)
    assert service.get(f"/v1/searches/{service.search([]).id}/pareto")["hypervolumes"] == []


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


def test_the_forecast_minds_the_hours(service: Service) -> None:
    now = time.time()
    run = service.search([(0.9, 1000)], trials=1000, hours=0.5, parallel=1)
    trial = dataclasses.replace(service.store.trial(run.id, 0), started_at=now - 100, ended_at=now)
    for worked, left in ((1200, 600 + 100), (3600, 100)):
        assert remaining_seconds(dataclasses.replace(run, worked_seconds=worked), [trial], now) == left


def test_the_forecast_minds_the_compute_hours(service: Service) -> None:
    now = time.time()
    run = service.search([(0.9, 1000)], running=1, trials=1000, compute_hours=0.5, parallel=2)
    ended, running = service.store.trials(run.id)
    ended = dataclasses.replace(ended, started_at=now - 500, ended_at=now, compute_seconds=400)
    running = dataclasses.replace(running, started_at=now - 100)
    # 1,400 of 1,800 seconds are left: four more trials, one of which is running, two at once.
    assert remaining_seconds(run, [ended, running], now) == pytest.approx((4 * 500 - 100) / 2)
    dear = dataclasses.replace(ended, compute_seconds=1800)
    assert remaining_seconds(run, [dear, running], now) == pytest.approx(400)  # it still ends


def test_the_forecast_minds_the_rungs(service: Service) -> None:
    """Of twelve trials eight are on the lower rung and four on the higher, which takes twice as long at first."""
    now = time.time()
    spec: dict[str, Any] = {"fidelity": Fidelity(eta=2, rungs=2), "recipe": Recipe(epochs=4), "parallel": 1}
    run = service.search([(0.9, 1000), (0.8, 2000)], objective=PLAIN, trials=12, **spec)
    low = [
        dataclasses.replace(trial, started_at=now - 100, ended_at=now, compute_seconds=100)
        for trial in service.store.trials(run.id)
    ]
    assert [trial.job.rung for trial in low] == [0, 0]
    assert remaining_seconds(run, low, now) == pytest.approx(6 * 100 + 4 * 200)
    high = dataclasses.replace(low[0], number=2, job=dataclasses.replace(low[0].job, rung=1), started_at=now - 500)
    assert remaining_seconds(run, [*low, high], now) == pytest.approx(6 * 100 + 3 * 500)
    assert isinstance(run.spec, SearchSpec)
    limited = dataclasses.replace(run, spec=dataclasses.replace(run.spec, compute_hours=1000 / 3600))
    # 800 of 1,000 seconds are left, and a trial to come takes 140 on the average.
    assert remaining_seconds(limited, low, now) == pytest.approx(6 * 140)
    measured = low[1].measurement
    assert measured
    refused = dataclasses.replace(low[1], started_at=now, measurement=dataclasses.replace(measured, refused="too slow"))
    # That half of them are refused at once says nothing of how long the higher rung takes.
    assert remaining_seconds(run, [low[0], refused], now) == pytest.approx(6 * 50 + 4 * 200)


def test_the_examples_of_searches_can_be_sent(service: Service) -> None:
    document = service.get("/v1/openapi.json")
    body = document["paths"]["/v1/searches"]["post"]["requestBody"]["content"]["application/json"]
    for example in body["examples"].values():
        service.post("/v1/searches", example["value"] | SMALLEST)


def test_torch_and_ray_are_never_imported(tmp_path: Path) -> None:
    code = """
import asyncio, sys
import httpx
from api.app import create_app
from nas import plugins
from nas.home import database_url
from nas.store import Store
async def main():
    app = create_app(Store(database_url()))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://x") as http:
        for path in ("spaces/mbconv", "searchers", "datasets", "devices", "recipes", "health", "openapi.json"):
            response = await http.get(f"/v1/{path}")
            assert response.status_code == 200, response.text
        for name in plugins.names("nas.searchers"):
            response = await http.post("/v1/searches", json={"dataset": "fashion_mnist", "searcher": name})
            assert response.status_code == 201, response.text
asyncio.run(main())
heavy = {"torch", "ray", "optuna", "onnx", "onnxruntime", "safetensors"} & set(sys.modules)
assert not heavy, heavy
"""
    ran = subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, "NAS_HOME": str(tmp_path)}, capture_output=True, text=True
    )
    assert ran.returncode == 0, ran.stderr
