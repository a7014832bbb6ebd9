"""What is sent to cost memory, processors or an error of the service's own is refused, in bounded work."""

import json
import tracemalloc
from typing import Any

import pytest

from api.admission import MOST_BYTES
from api.bodies import MOST_DEPTH, MOST_VALUES, parsed
from api.problems import Problem
from api.requests import BenchmarkRequest
from nas import devices, limits, zoo
from nas.codec import decode, encode
from nas.networks.architecture import Architecture, Images, Stage
from nas.networks.counts import counts
from nas.networks.lowering import lowered
from nas.networks.network import Network
from nas.refusal import MOST_FAULTS
from nas.specs import MOST_BASELINES, MOST_DEVICES
from tests.service import POINTS, SMALLEST, Service

MOST_ANSWERED = 25_000  # bytes
MOST_TAKEN = 20_000_000  # bytes of memory, for a body of up to a million
IMAGES = {"resolution": 28, "channels": 1, "classes": 10}
CONV = {"op": "conv", "kernel": 3, "stride": 1, "expand": 1, "channels": 8, "repeats": 1}
ROWS = {"images": IMAGES, "stem": 8, "stem_stride": 1, "stages": [CONV], "head": 0}
CELL: dict[str, Any] = {"nodes": [{"inputs": [["identity", 0]]}], "outputs": [2]}
CELLS = {"images": IMAGES, "family": "nasnet", "normal": CELL, "reduction": CELL, "cells": 1, "filters": 8}
CELLS |= {"stem_filters": 8}
LONG = "x" * 900_000


def stages(**changes: Any) -> dict[str, Any]:
    return {"architecture": ROWS | {"stages": [CONV | changes]}}


def layers(*blocks: Any) -> dict[str, Any]:
    last = [{"layer": "global pool"}, {"layer": "linear", "out": 10}]
    parts = [{"name": "a", "blocks": list(blocks)}, {"name": "b", "blocks": last}]
    return {"architecture": {"images": IMAGES, "parts": parts}}


def nest(depth: int, inner: Any = 1) -> Any:
    for _ in range(depth):
        inner = {"layers": [inner], "layer": "sequence"}
    return inner


def doubling(count: int) -> dict[str, Any]:
    """A layer that gives its input twice over, so many times."""
    twice: dict[str, Any] = {"layer": "branches", "branches": [{"layer": "sequence"}] * 2, "join": "concat"}
    return layers(*[twice] * count)


NETWORKS: dict[str, tuple[dict[str, Any], str]] = {
    "a billion blocks": (stages(repeats=10**9), "repeats 1000000000 is not between 1 and 2000"),
    "a million blocks": (stages(repeats=10**6), "repeats 1000000 is not between 1 and 2000"),
    "many stages of many blocks": (
        {"architecture": ROWS | {"stages": [CONV | {"repeats": 2000}] * 100}},
        "stages have 200,000 blocks in all",
    ),
    "a stem of 10^30": ({"architecture": ROWS | {"stem": 10**30}}, "stem 1000"),
    "a stem of 10^18": ({"architecture": ROWS | {"stem": 10**18}}, "stem 1000000000000000000 is not between 1 and"),
    "a head of 10^18": ({"architecture": ROWS | {"head": 10**18}}, "head 1000000000000000000 is not between 0 and"),
    "a billion classes": ({"architecture": ROWS | {"images": IMAGES | {"classes": 10**9}}}, "classes 1000000000"),
    "a kernel of 10^9 + 1": (stages(kernel=10**9 + 1), "kernel 1000000001 is not between 1 and 2048"),
    "channels of 10^9": (stages(channels=10**9), "channels 1000000000 is not between"),
    "an expansion of 10^9": (stages(op="mbconv", expand=10**9), "expand 1000000000 is not between"),
    "more weights than memory": (
        {"architecture": ROWS | {"stages": [CONV | {"kernel": 2047, "channels": 131_072}] * 2}},
        "does not fit into the memory",
    ),
    "more channels than memory": (
        {"architecture": ROWS | {"stages": [CONV | {"channels": 131_072}] * 50}},
        "does not fit into the memory",
    ),
    "a billion cells": ({"architecture": CELLS | {"cells": 10**9}}, "cells 1000000000 is not between 1 and 100"),
    "a billion filters": ({"architecture": CELLS | {"filters": 10**9}}, "filters 1000000000 is not between 1"),
    "many nodes": (
        {"architecture": CELLS | {"normal": CELL | {"nodes": CELL["nodes"] * 101}}},
        "nodes has 101 entries: 100 are the most",
    ),
    "a convolution of a billion": (layers({"layer": "conv", "out": 10**9}), "out 1000000000 is not between 1"),
    "no groups": (layers({"layer": "conv", "out": 4, "groups": 0}), "groups 0 is not between 1"),
    "no stride": (layers({"layer": "conv", "out": 4, "stride": 0}), "stride 0 is not between 1"),
    "no stride of a pool": (layers({"layer": "pool", "kind": "max", "kernel": 2, "stride": 0}), "stride 0 is not"),
    "no groups to shuffle": (layers({"layer": "shuffle", "groups": 0}), "groups 0 is not between 1"),
    "a billion padded": (layers({"layer": "conv", "out": 4, "padding": 10**9}), "padding 1000000000 is not between"),
    "channels that double": (doubling(60), "branches of 262,144 channels cannot be concatenated"),
    "a deep nest": (layers(nest((MOST_DEPTH - 8) // 2)), "1 is not"),
    "a deeper nest": (layers(nest(MOST_DEPTH)), "lists and objects in each other"),
    "a network's name of 900 kB": ({"published": LONG}, "unknown published network"),
    "a part's name of 900 kB": (
        {"architecture": {"images": IMAGES, "parts": [{"name": LONG, "blocks": [{"layer": "linear", "out": 10}]}]}},
        "is not a line of up to 100 characters",
    ),
    "a billion networks": ({"networks": 10**9, "images": IMAGES}, "networks 1000000000 is not between 1 and 1000"),
    "a model of 900 kB": ({"model": LONG}, "there is no model"),
}
LISTS: dict[str, tuple[dict[str, Any], str]] = {
    "300,000 baselines": ({"baselines": [1] * 300_000}, "more than 50,000 values"),
    "40,000 baselines": ({"baselines": [f"{n}" for n in range(40_000)]}, "baselines has 40,000 entries: 200 are"),
    "40,000 numbers for baselines": ({"baselines": [1] * 40_000}, "and 39,990 more"),
    "20,000 devices": ({"devices": [f"cpu:threads={n}" for n in range(20_000)]}, "devices has 20,000 entries: 32 are"),
    "10,000 unknown keys": ({f"key{n}": n for n in range(10_000)}, "and 9,990 more"),
    "10,000 unknown knobs": ({"knobs": {f"key{n}": [n] for n in range(10_000)}}, "unknown knob 'key0'"),
    "a choice 40,000 times": ({"knobs": {"stage1.op": ["conv"] * 40_000}}, "has a choice twice"),
    "10,000 options": ({"options": {f"key{n}": n for n in range(10_000)}}, "no option 'key0'"),
    "a key of 900 kB": ({LONG: 1}, "unknown field"),
    "a name of 900 kB": ({"name": LONG}, "has 900,000 characters: give at most 200"),
    "a space of 900 kB": ({"space": LONG}, "unknown search space"),
    "a searcher of 900 kB": ({"searcher": LONG}, "unknown searcher"),
    "a device of 900 kB": ({"devices": [LONG]}, "unknown device"),
    "a device's option of 5,000 digits": ({"devices": ["cpu:threads=" + "9" * 5000]}, "is not a whole number between"),
    "a baseline of 900 kB": ({"baselines": [LONG]}, "unknown published network"),
    "a knob of 900 kB": ({"knobs": {"stage1.op": [LONG]}}, "has no choice"),
    "a dataset of 900 kB": ({"dataset": LONG}, "unknown dataset"),
    "a path of 6,000 characters": (
        {"dataset": "folder:/" + "a" * 6000},
        "outside of the folders that this service reads",
    ),
    "half a character in a path": ({"dataset": "folder:/\ud800"}, "half a character"),
    "half a character in a name": ({"name": "\udfff"}, "half a character"),
    "half a character in a key": ({"\ud800": 1}, "half a character"),
    "trials of 400 digits": ({"trials": 10**400}, "trials 1000"),
    "a target of 400 digits": ({"objective": {"target": 10**400}}, "target 1000"),
    "a limit of 400 digits": ({"limits": {"params": 10**400}}, "params 1000"),
    "knobs of 400 digits": ({"knobs": {"stage1.kernel": [10**400]}}, "1000"),
    "900 lists in each other": ({"knobs": json.loads("[" * 900 + "]" * 900)}, "lists and objects in each other"),
}


def refused(service: Service, address: str, body: bytes | dict[str, Any], status: int = 422) -> Any:
    """The problem; nothing large is answered, and nothing is submitted."""
    sent = body if isinstance(body, bytes) else json.dumps(body).encode()
    before = service.store.runs(limit=1)
    response = service.http.post(address, content=sent, headers={"content-type": "application/json"})
    assert response.status_code == status, response.text[:2000]
    assert response.headers["content-type"] == "application/problem+json"
    assert len(response.content) < MOST_ANSWERED
    assert service.store.runs(limit=1) == before
    problem = response.json()
    assert len(problem["errors"]) <= MOST_FAULTS
    return problem


@pytest.mark.parametrize("attack", NETWORKS)
def test_a_network_that_would_take_all_memory_is_refused(service: Service, attack: str) -> None:
    body, words = NETWORKS[attack]
    tracemalloc.start()
    try:
        assert words in refused(service, "/v1/benchmarks", body)["detail"]
        assert tracemalloc.get_traced_memory()[1] < MOST_TAKEN
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("attack", LISTS)
def test_a_search_that_would_cost_more_than_it_is_worth_is_refused(service: Service, attack: str) -> None:
    body, words = LISTS[attack]
    assert words in refused(service, "/v1/searches", SMALLEST | body)["detail"]


def test_how_many_more_values_are_wrong_is_told(service: Service) -> None:
    problem = refused(service, "/v1/searches", SMALLEST | {f"key{n}": n for n in range(30)})
    assert [fault["pointer"] for fault in problem["errors"]] == [f"/key{n}" for n in range(10)]
    assert problem["more"] == 20
    assert problem["detail"].endswith("; and 20 more")


def test_long_lists_are_refused_before_anything_is_looked_up(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    run = service.search(POINTS)

    def unasked(*_: Any) -> Any:
        raise AssertionError

    monkeypatch.setattr(devices, "find", unasked)
    monkeypatch.setattr(zoo, "architecture", unasked)
    several = [f"cpu:threads={n}" for n in range(MOST_DEVICES + 1)]
    for address, body in (
        ("searches", SMALLEST),
        ("proxies", SMALLEST),
        ("growths", {"search": run.id}),
        ("benchmarks", {"published": "LeNet-5"}),
    ):
        (fault,) = refused(service, f"/v1/{address}", body | {"devices": several})["errors"]
        assert (fault["pointer"], fault["detail"]) == ("/devices", "devices has 33 entries: 32 are the most")
    names = [f"{n}" for n in range(MOST_BASELINES + 1)]
    assert refused(service, "/v1/searches", SMALLEST | {"baselines": names})["errors"][0]["pointer"] == "/baselines"


@pytest.mark.parametrize(
    ("body", "status", "place", "words"),
    [
        (
            b'{"dataset": "x", "trials": 2, "trials": 3000}',
            422,
            "/trials",
            "is there twice, as 2 and as 3000",
        ),
        (b'{"dataset": "x", "recipe": {"epochs": 1, "epochs": 1}}', 422, "/recipe/epochs", '"epochs" is there twice'),
        (b'{"dataset": "x", "knobs": {"a/b": [1], "a/b": [2]}}', 422, "/knobs/a~1b", "as [1] and as [2]: give it once"),
        (b"{" + b'"a": 1, ' * 40_000 + b'"a": 1}', 422, "/a", "is there twice"),
        (b"[" * 900 + b"]" * 900, 422, "/0" * (MOST_DEPTH + 1), "lists and objects in each other"),
        (b'{"a":' * 900 + b"1" + b"}" * 900, 422, "/a" * (MOST_DEPTH + 1), "lists and objects in each other"),
        (b"[" * 20_000, 400, None, "not JSON"),
        (b"[" * 900_000, 422, "", "more than 50,000 values"),
        (b"[" + b"{}," * 300_000 + b"{}]", 422, "", "more than 50,000 values"),
    ],
)
def test_json_that_no_request_needs_is_refused(
    service: Service, body: bytes, status: int, place: str | None, words: str
) -> None:
    problem = refused(service, "/v1/searches", body, status)
    assert words in problem["detail"]
    assert [fault["pointer"] for fault in problem["errors"]] == ([] if place is None else [place])


def test_what_is_refused_is_what_is_over_the_bounds() -> None:
    depth: Any = 1
    for _ in range(MOST_DEPTH):
        depth = [depth]
    assert parsed(json.dumps(depth).encode()) == depth
    with pytest.raises(Problem, match="in each other"):
        parsed(json.dumps([depth]).encode())
    many = [0] * MOST_VALUES
    assert parsed(json.dumps(many).encode()) == many
    with pytest.raises(Problem, match="more than"):
        parsed(json.dumps([*many, 0]).encode())


@pytest.mark.parametrize("name", ["ResNet-1202 (CIFAR)", "Inception ResNet V2", "NASNet-A (7 @ 1920)"])
def test_the_longest_and_deepest_networks_of_the_zoo_are_within_the_bounds(name: str) -> None:
    network = zoo.architecture(name)
    whole = Network(images=network.images, parts=lowered(network))
    body = parsed(json.dumps({"architecture": encode(whole)}).encode())
    assert decode(BenchmarkRequest, body).architecture == whole


@pytest.mark.parametrize("room", ["machine", "container"])
def test_a_network_has_to_fit_into_the_memory_of_the_workers(
    service: Service, monkeypatch: pytest.MonkeyPatch, tmp_path: Any, room: str
) -> None:
    monkeypatch.setattr(limits, "CONTAINER", tmp_path / "memory.max")
    machine = limits.memory_bytes()
    assert machine > 2**28
    body = {"published": "VGG-19 (E)"}
    service.post("/v1/benchmarks", body)
    if room == "machine":
        monkeypatch.setattr(limits, "memory_bytes", lambda: 500_000_000)
    else:
        (tmp_path / "memory.max").write_text("max\n")
        assert limits.memory_bytes() == machine
        (tmp_path / "memory.max").write_text("500000000\n")
        assert limits.memory_bytes() == 500_000_000
    (fault,) = refused(service, "/v1/benchmarks", body)["errors"]
    assert fault["pointer"] == "/published"
    assert "143,667,240 parameters" in fault["detail"]
    assert "there are 500,000,000" in fault["detail"]


def test_how_much_memory_a_network_takes_at_least() -> None:
    small = Architecture(
        images=Images(resolution=8, channels=1, classes=2),
        stem=4,
        stem_stride=1,
        stages=(Stage(op="conv", kernel=1, stride=1, expand=1, channels=8, repeats=2),),
        head=0,
    )
    counted = counts(small)
    needed = 4 * (counted.params + counted.statistics + 8 * 8 * 8)
    assert limits.over_memory(counted, needed) is None
    assert limits.over_memory(counted, needed - 1) is not None
    assert needed < MOST_BYTES
