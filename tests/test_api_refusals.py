"""Every field of every request, given a wrong value: the answer names its place and the value."""

import copy
import dataclasses
import json
import re
from collections.abc import Iterator
from typing import Any

import pytest

from api.document import _records
from api.requests import BenchmarkRequest, Budget, GrowthRequest
from api.routes.tokens import SignIn
from nas.agents.errands import Answer, Introduction
from nas.codec import encode, pointer
from nas.datasets import DatasetInfo, Remark
from nas.measurements import Latency
from nas.networks.architecture import Architecture, Stage
from nas.networks.cells import Cell, CellArchitecture, Node
from nas.networks.fit import Fit
from nas.networks.layers import (
    Activate,
    Branches,
    Conv,
    Dropout,
    DropPath,
    GlobalPool,
    Graph,
    Linear,
    Norm,
    Pool,
    Scale,
    Sequence,
    Shift,
    Shuffle,
    Step,
    Widen,
)
from nas.networks.layers import Node as State
from nas.networks.network import Network, Part
from nas.networks.scaling import CompoundScaling
from nas.objective import Objective
from nas.quotas import QuotaRequest
from nas.recipes import Recipe
from nas.specs import Fidelity, Limits, ProxySpec, SearchSpec
from nas.tokens import TokenRequest
from tests.service import GREY, POINTS, Service

WHOLE = Recipe(epochs=9, train_images=1000, clip_norm=1.0, drop_path=0.1)
LATENCY = Latency(
    device="cpu",
    median_ms=1.0,
    p95_ms=1.1,
    minimum_ms=0.9,
    spread=0.1,
    runs=10,
    fingerprint={"threads": "1"},
    rounds=6,
    ratio=1.0,
    yardstick_ms=1.0,
    error_ms=0.01,
    slowdown=1.0,
    shared=False,
    shares=(0.25, 0.75),
)
ROWS = Architecture(
    images=GREY,
    stem=8,
    stem_stride=2,
    stages=(
        Stage(op="conv", kernel=3, stride=1, expand=1, channels=8, repeats=1),
        Stage(op="mbconv", kernel=3, stride=2, expand=3, channels=16, repeats=2, se_ratio=0.25),
    ),
    head=32,
)
CELL = Cell(nodes=(Node(inputs=(("identity", 0), ("max3", 1))),), outputs=(2,))
CELLS = CellArchitecture(images=GREY, family="nasnet", normal=CELL, reduction=CELL, cells=1, filters=8, stem_filters=8)
SAME = (Scale(0.5), Shift(), Norm(), Activate(), Dropout(0.1), DropPath(0.1), Pool("max", 3), Shuffle(2), Widen(4))
GRAPH = Graph(
    (Sequence(), Sequence()), (State((Step(Sequence(), 0), Step(Sequence(), 1))),), State((Step(Sequence(), 2),))
)
LAYERS = Network(
    images=GREY,
    parts=(
        Part(name="stem", blocks=(Conv(4, 3), Branches((Sequence(SAME), Sequence())))),
        Part(name="cell", blocks=(GRAPH,), inputs=(1, 1)),
        Part(name="classifier", blocks=(GlobalPool(), Linear(10))),
    ),
)
CONTENTS = DatasetInfo(
    name="fashion_mnist",
    classes=("bag", "coat"),
    channels=1,
    resolution=28,
    train_images=2,
    test_images=2,
    remarks=(Remark(kind="left out", images=1, text="cat/1.png is left out"),),
)
SEARCH = SearchSpec(
    name="clothes",
    dataset="fashion_mnist",
    contents=CONTENTS,
    resolution=28,
    knobs={"stage1.op": ("conv", "fused")},
    options={"first": 3},
    baselines=("ResNet-20 (CIFAR)",),
    objective=Objective(form="front", also="params"),
    limits=Limits(params=10**6, mult_adds=10**7, latency_ms=5.0),
    devices=("cpu", "cpu_eager"),
    recipe=WHOLE,
    trials=40,
    hours=1.0,
    compute_hours=1.0,
    least_gain=0.001,
    confirm=2,
    fidelity=Fidelity(),
)
PROXY = ProxySpec(
    dataset="fashion_mnist", knobs={"stage1.op": ("conv",)}, limits=SEARCH.limits, cheap=WHOLE, devices=("cpu",)
)
GROWTH = {
    "name": "family",
    "search": "?",
    "trial": 0,
    "members": ["B0", "B1"],
    "scaling": encode(CompoundScaling()),
    "devices": ["cpu"],
    "recipe": encode(WHOLE),
    "parallel": 1,
    "processes": 1,
    "seed": 1,
    "seeds": 2,
    "scored_on": "test",
    "drop_dominated": True,
    "inherit": False,
}
DRAWN = {"networks": 2, "knobs": {"stage1.op": ["conv"]}, "images": encode(GREY)}
MEASURED = {"name": "x", "space": "mbconv", "devices": ["cpu"], "parallel": 1, "seed": 1}
INTRODUCED = {"name": "pi4", "fingerprint": {"processor": "x"}, "instance": "0a1b2c3d", "edition": "0a1b2c3d4e5f"}
ANSWERED = {"latency": encode(LATENCY), "logits": "AAAA", "yardstick_logits": ["AAAA"]}
BODIES: list[tuple[str, str, type, dict[str, Any]]] = [
    ("POST", "searches", SearchSpec, encode(SEARCH)),
    ("POST", "forecasts", SearchSpec, encode(SEARCH)),
    ("PATCH", "searches/?", Budget, {"trials": 50, "hours": 2.0, "compute_hours": 2.0}),
    ("POST", "proxies", ProxySpec, encode(PROXY)),
    ("POST", "growths", GrowthRequest, GROWTH),
    ("POST", "growths", GrowthRequest, {"search": "?", "fit": encode(Fit()), "coefficients": None}),
    ("POST", "growths", GrowthRequest, {"search": "?", "compare": [2.0]}),
    ("POST", "benchmarks", BenchmarkRequest, MEASURED | DRAWN),
    ("POST", "benchmarks", BenchmarkRequest, MEASURED | {"networks": 2, "dataset": "fashion_mnist"}),
    ("POST", "benchmarks", BenchmarkRequest, MEASURED | {"published": "LeNet-5"}),
    ("POST", "benchmarks", BenchmarkRequest, MEASURED | {"model": "?model"}),
    ("POST", "benchmarks", BenchmarkRequest, MEASURED | {"architecture": encode(ROWS)}),
    ("POST", "benchmarks", BenchmarkRequest, MEASURED | {"architecture": encode(CELLS)}),
    ("POST", "benchmarks", BenchmarkRequest, MEASURED | {"architecture": encode(LAYERS)}),
    ("POST", "agents", Introduction, INTRODUCED),
    ("POST", "errands/0a1b2c3d4e5f6a7b/answer?instance=0a1b2c3d", Answer, ANSWERED),
    ("POST", "errands/0a1b2c3d4e5f6a7b/answer?instance=0a1b2c3d", Answer, {"error": "why"}),
    ("POST", "tokens", TokenRequest, {"owner": "ada", "scope": "read", "days": 3.0}),
    ("PUT", "quotas", QuotaRequest, {"owner": "ada", "running_trials": 3, "compute_hours": 2.0, "disk_bytes": 1000}),
    ("POST", "session", SignIn, {"token": "nas_0a1b2c3d4e5f_x"}),
]
# Text that may be anything, and what the answer says of which is no fault of its place: who it is, or whose.
FREE = r"/(.*fingerprint/.*|logits|yardstick_logits/.*|error|latency/device|instance|token|contents/(?!.*kind).*)"


# Parts that are wrong by what they are a part of: entries of lists, names that are looked up, states of a graph.
WITHIN = r".*/\d+|/(knobs|options)/.*|.*/state"


def places(body: Any, at: str = "") -> Iterator[str]:
    """Everything in it."""
    for name, value in body.items() if isinstance(body, dict) else enumerate(body) if isinstance(body, list) else ():
        yield pointer(at, name)
        yield from places(value, pointer(at, name))


def found(body: Any, at: str) -> Any:
    for part in at.split("/")[1:]:
        body = body[int(part)] if isinstance(body, list) else body[part.replace("~1", "/").replace("~0", "~")]
    return body


def changed(body: Any, at: str, value: Any) -> Any:
    body = copy.deepcopy(body)
    within, _, name = at.rpartition("/")
    holder = found(body, within)
    holder[int(name) if isinstance(holder, list) else name] = value
    return body


def wrong(at: str, value: Any) -> Iterator[Any]:
    """What cannot stand where `value` does: another type, and a number, a word or a text that nothing takes."""
    yield 5 if isinstance(value, dict | list | bool) else [[]]
    if isinstance(value, int | float) and not isinstance(value, bool):
        yield -(10**9)
    elif isinstance(value, str) and not re.fullmatch(FREE, at):
        yield "no such\nthing"


@pytest.fixture(scope="module")
def ids(service: Service) -> dict[str, str]:
    """What stands for a question mark in an address, or in a body: a search with trials, and a model."""
    run = service.search(POINTS, trials=60, hours=1.0)
    return {"?": run.id, "?model": f"{service.growth(run).id}-0"}


def test_the_bodies_have_every_field_of_every_request() -> None:
    there = {name for *_, body in BODIES for at in places(body) for name in at.split("/")}
    known: dict[str, Any] = {}
    for *_, record, _ in BODIES:
        _records(record, known)
    missing = {f"{record.__name__}.{field.name}" for record in known.values() for field in dataclasses.fields(record)}
    assert {name for name in missing if name.partition(".")[2] not in there} == set()


@pytest.mark.parametrize(
    ("method", "address", "body"),
    [(method, address, body) for method, address, _, body in BODIES],
    ids=[f"{address.partition('?')[0]}-{number}" for number, (_, address, *_) in enumerate(BODIES)],
)
def test_a_wrong_value_is_named_with_its_place(
    service: Service, ids: dict[str, str], method: str, address: str, body: dict[str, Any]
) -> None:
    body = {name: ids.get(value, value) if isinstance(value, str) else value for name, value in body.items()}
    before = service.store.runs(limit=1)
    for at in places(body):
        for value in wrong(at, found(body, at)):
            sent = changed(body, at, value)
            response = service.http.request(method, f"/v1/{address.replace('/?', '/' + ids['?'])}", json=sent)
            problem = response.json()
            assert response.status_code == 422, (at, value, problem)
            (place,) = {fault["pointer"] for fault in problem["errors"]}
            assert place == at or (re.fullmatch(WITHIN, at) and f"{at}/".startswith(f"{place}/")), (at, value, problem)
            there = found(sent, place)
            assert problem["errors"][0]["value"] == there or len(json.dumps(there)) > 1000, (at, value, problem)
    assert service.store.runs(limit=1) == before
