"""Measurements and proxies over HTTP, on a real port over a real store; what came of their trials is put in by hand."""

import dataclasses
from typing import Any

import pytest

from nas import zoo
from nas.client import Client
from nas.codec import encode
from nas.measurements import Measurement, Score
from nas.networks.counts import counts
from nas.plans import plan_for
from nas.records import Job, Run
from nas.specs import ProxySpec
from tests.service import GREY, OWNER, UNKNOWN, Service, ended, latency

GREY_IMAGES = {"resolution": 28, "channels": 1, "classes": 10}
SAMPLE = {"networks": 3, "images": GREY_IMAGES, "devices": ["cpu", "cuda"]}


def claimed(service: Service, run: dict[str, Any]) -> Run:
    return service.claimed(service.store.run(run["id"]))


# Measurements


def test_a_table_of_networks_and_devices_fills_up(service: Service) -> None:
    run = service.post("/v1/benchmarks", SAMPLE)
    assert (run["kind"], run["state"], run["trials"], run["networks"]) == ("benchmark", "queued", 6, [])
    measured = Measurement(params=1, mult_adds=1, latencies={"cpu": latency(0.5)})
    ended(service.store, OWNER, claimed(service, run), [measured, "DeviceError: there is no GPU here", measured])
    seen = service.get(run["links"]["self"])
    assert seen["counts"]["done"] == 2
    first, second = seen["networks"]
    assert [reading["device"] for reading in first["readings"]] == ["cpu", "cuda"]
    assert [reading["state"] for reading in first["readings"]] == ["done", "failed"]
    assert first["readings"][0]["latency"]["median_ms"] == 0.5
    assert first["readings"][1]["error"] == "DeviceError: there is no GPU here"
    assert [(reading["number"], reading["state"]) for reading in second["readings"]] == [(2, "done"), (None, "queued")]
    job = service.store.trial(run["id"], 2).job
    assert (second["params"], second["choices"]) == (counts(job.architecture).params, job.choices)
    listed = service.get("/v1/benchmarks?limit=1")["benchmarks"][0]
    assert (listed["id"], listed["networks"]) == (run["id"], None)


def test_a_measurement_is_a_run_like_any_other(service: Service, client: Client) -> None:
    run = client.measure(published="LeNet-5", devices=["cpu"])
    address = run["links"]["self"]
    assert service.get("/v1/runs?limit=1")["runs"][0]["id"] == run["id"]
    assert service.get(f"/v1/runs/{run['id']}")["spec"] == run["spec"]
    assert client.measurements(1)[0]["id"] == run["id"]
    assert client.trials(run["id"]) == []
    assert [event["text"] for event in service.get(f"{address}/events")["events"]] == ["benchmark added, 1 trial"]
    assert service.post(f"{address}/pause", status=200)["wish"] == "pause"
    assert service.post(f"{address}/cancel", status=200)["wish"] == "cancel"
    assert service.get(f"/v1/proxies/{run['id']}", status=404)["elsewhere"] == f"/v1/benchmarks/{run['id']}"


def test_what_is_measured_is_given_in_one_of_four_ways(service: Service) -> None:
    def spec(**request: Any) -> Any:
        return service.post("/v1/benchmarks", request)["spec"]

    lenet = zoo.architecture("LeNet-5")
    named = spec(published="LeNet-5")
    assert (named["architecture"], named["published"]) == (encode(lenet), "LeNet-5")
    assert spec(architecture=encode(lenet))["architecture"] == encode(lenet)
    resized = spec(published="MnasNet-A1", images={"resolution": 64, "channels": 1, "classes": 4})
    assert resized["images"] == resized["architecture"]["images"] == {"resolution": 64, "channels": 1, "classes": 4}
    growth = service.growth(service.search([(0.9, 1000)]))
    model = spec(model=f"{growth.id}-1")
    job = service.store.trial(growth.id, 1).job
    assert (model["architecture"], model["space"]) == (encode(job.architecture), "mbconv")
    drawn = spec(networks=2, dataset="fashion_mnist", knobs={"stage1.op": ["conv"]})
    assert (drawn["architecture"], drawn["images"]["resolution"]) == (None, 28)
    narrow = plan_for(service.store.run(service.get("/v1/runs?limit=1")["runs"][0]["id"]), GREY)
    assert [one.choices["stage1.op"] for number in range(2) if (one := narrow.ask(number))] == ["conv", "conv"]


@pytest.mark.parametrize(
    ("body", "pointer", "words"),
    [
        ({}, "", "what to measure is missing: give one of architecture, published, model, networks"),
        ({"published": "LeNet-5", "networks": 2}, "/networks", "what to measure is published and networks"),
        ({"published": "LeNet-6"}, "/published", "unknown published network 'LeNet-6': there are LeNet-5"),
        ({"published": "LeNet-5", "images": {"resolution": 4}}, "/images/resolution", "resolution 4 is not between"),
        ({"published": "DenseNet-121", "images": {"resolution": 8}}, "/published", "a network for 8 pixels"),
        ({"model": f"{UNKNOWN}-3"}, "/model", f"there is no model '{UNKNOWN}-3'"),
        ({"model": "x", "images": GREY_IMAGES}, "/images", "images is a part of the model already: leave it out"),
        ({"published": "LeNet-5", "knobs": {"stage1.op": ["conv"]}}, "/knobs", "knobs narrow the space"),
        ({"networks": 2}, "/images", "images is missing: say what the networks are for"),
        ({"networks": 2, "dataset": "x", "images": GREY_IMAGES}, "/dataset", "images and dataset both"),
        ({"networks": 2, "dataset": "nowhere"}, "/dataset", "unknown dataset 'nowhere'"),
        (SAMPLE | {"networks": 1001}, "/networks", "networks 1001 is not between 1 and 1000"),
        (SAMPLE | {"space": "outer"}, "/space", "unknown search space 'outer'"),
        (SAMPLE | {"knobs": {"stage9.op": ["conv"]}}, "/knobs", "unknown knob 'stage9.op'"),
        (SAMPLE | {"devices": ["cpu", "toaster"]}, "/devices/1", "unknown device 'toaster'"),
        (SAMPLE | {"devices": ["cpu", "remote:pi9"]}, "/devices/1", "no agent 'pi9' has registered"),
        (SAMPLE | {"devices": ["cpu:threads=0"]}, "/devices/0", "threads '0' is not a whole number"),
        (SAMPLE | {"devices": ["cpu", "cpu"]}, "/devices", "devices cpu, cpu repeat themselves"),
        (SAMPLE | {"devices": []}, "/devices", "devices is empty"),
        (SAMPLE | {"parallel": 0}, "/parallel", "parallel 0 is not between"),
        (SAMPLE | {"name": "a\nb"}, "/name", "control characters"),
        (SAMPLE | {"trials": 3}, "/trials", "unknown field 'trials'"),
    ],
)
def test_what_cannot_be_measured_is_refused(service: Service, body: Any, pointer: str, words: str) -> None:
    before = service.get("/v1/runs?limit=1")
    problem = service.post("/v1/benchmarks", body, status=422)
    assert words in problem["detail"]
    assert pointer in [fault["pointer"] for fault in problem["errors"]]
    assert service.get("/v1/runs?limit=1") == before


def test_a_space_with_fewer_networks_than_are_to_be_measured_is_refused(service: Service) -> None:
    knobs = service.get("/v1/spaces/mbconv", params=GREY_IMAGES)["knobs"]
    one = {knob: choices[:1] for knob, choices in knobs.items()}
    problem = service.post("/v1/benchmarks", SAMPLE | {"knobs": one}, status=422)
    assert problem["errors"][0]["pointer"] == "/networks"
    assert "there are only 1 networks in reach, not 3" in problem["detail"]


# Proxies


def trained(job: Job) -> Measurement:
    """More multiply-adds, more accuracy; the synflow score has them the other way round."""
    assert job.recipe is not None
    counted = counts(job.architecture)
    return Measurement(
        params=counted.params,
        mult_adds=counted.mult_adds,
        accuracy=1 - 1 / (1 + counted.mult_adds / 1e6),
        train_seconds=10.0 * job.recipe.epochs,
        scores={"synflow": Score(value=-float(counted.mult_adds), seconds=0.5)} if job.scores else {},
    )


def test_the_report_fills_up_while_candidates_are_trained(service: Service, client: Client) -> None:
    run = client.proxy(dataset="fashion_mnist", candidates=5, cheap={"epochs": 1})
    assert (run["kind"], run["trials"], run["spec"]["cheap"]["batch"]) == ("proxy", 10, 128)
    assert run["report"] == {"orderings": None, "dear_seconds": None, "candidates": [], "failed": []}
    taken = claimed(service, run)
    plan = plan_for(taken, GREY)
    jobs = [job for number in range(10) if (job := plan.ask(number))]
    for job in jobs:
        service.store.claims.begin(OWNER, job)
        if job.number == 1:
            service.store.claims.end(OWNER, 1, run["id"], "failed", error="TrainingFailed: loss is nan")
        else:
            service.end(job, trained(job))
        report = service.get(run["links"]["self"])["report"]
        compared = len(report["candidates"])
        assert compared == max(0, job.number - 4 - (job.number > 5))
        assert (report["orderings"] is None) == (compared < 4)
    assert [row["number"] for row in report["candidates"]] == [0, 2, 3, 4]
    assert report["failed"] == ["TrainingFailed: loss is nan"]
    assert report["dear_seconds"] == 50
    rows = {row["name"]: row for row in report["orderings"]}
    assert list(rows) == ["cheap recipe", "multiply-adds", "parameters", "synflow"]
    assert rows["cheap recipe"]["kendall"] == rows["multiply-adds"]["spearman"] == pytest.approx(1)
    assert rows["synflow"]["kendall"] == pytest.approx(-1)
    assert (rows["cheap recipe"]["seconds"], rows["synflow"]["seconds"]) == (10, 0.5)
    assert client.proxies(1)[0]["report"] is None
    assert client.run(run["id"])["report"] == report


@pytest.mark.parametrize(
    ("changes", "pointer", "words"),
    [
        ({"dataset": "nowhere"}, "/dataset", "unknown dataset 'nowhere'"),
        ({"space": "outer"}, "/space", "unknown search space 'outer'"),
        ({"knobs": {"stage1.op": ["fold"]}}, "/knobs", "has no choice 'fold'"),
        ({"devices": ["cpu", "toaster"]}, "/devices/1", "unknown device 'toaster'"),
        ({"candidates": 3}, "/candidates", "candidates 3 is not between 4 and 1000"),
        ({"limits": {"params": 10}}, "/limits/params", "no network of mbconv for images of 28×28×1"),
        ({"dear": dataclasses.asdict(ProxySpec.cheap)}, "/cheap", "cheap and dear are the same recipe"),
        ({"cheap": {"epochs": -1}}, "/cheap/epochs", "epochs -1 is not between"),
    ],
)
def test_a_proxy_that_cannot_be_is_refused(service: Service, changes: Any, pointer: str, words: str) -> None:
    problem = service.post("/v1/proxies", {"dataset": "fashion_mnist"} | changes, status=422)
    assert words in problem["detail"]
    assert pointer in [fault["pointer"] for fault in problem["errors"]]


def test_a_proxys_device_has_to_be_here(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nas.devices.cpu_eager.available", lambda: "there is none")
    body = {"dataset": "fashion_mnist", "devices": ["cpu_eager"]}
    assert "cannot measure here: there is none" in service.post("/v1/proxies", body, status=422)["detail"]
