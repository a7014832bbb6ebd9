"""The service on a port of its own, over a store that a test fills by hand."""

import contextlib
import functools
import hashlib
import json
import re
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import httpx
import pytest
import uvicorn
from fastapi import FastAPI
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]

from api.app import NOWHERE, create_app
from api.connections import Configuration
from api.edge import Edge
from nas.client import Client
from nas.codec import encode
from nas.measurements import Latency, Measurement
from nas.metrics import Quality
from nas.models.checkpoint import KEY, Card, artifact
from nas.networks.architecture import Images
from nas.objective import Objective
from nas.plans import plan_for
from nas.records import Job, Progress, Run, Trial
from nas.roots import Roots
from nas.specs import GrowthSpec, SearchSpec
from nas.store import Store
from tests.waiting import PATIENCE_SECONDS

OWNER = "a test"
OPEN = Edge(login=False)  # nobody signs in, unless that is what a test is about
GREY = Images(resolution=28, channels=1, classes=10)
SMALLEST = {"dataset": "fashion_mnist"}
UNKNOWN = "f00f00f00f00"
# Accuracy and multiply-adds: the third is beaten by the second.
POINTS = [(0.8, 1_000_000), (0.9, 4_000_000), (0.85, 5_000_000), (0.95, 16_000_000)]
PLAIN = Objective(w_under=0, w_over=0)
HARD = Objective(target=4e6, w_under=0.0, w_over=-1.0)


@contextlib.contextmanager
def serving(app: FastAPI, port: int = 0) -> Iterator[str]:
    """The address at which `app` is served."""
    server = uvicorn.Server(Configuration(app, app.state.access.edge, port=port, timeout_graceful_shutdown=1))
    app.state.leaving = lambda: server.should_exit
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        assert thread.is_alive()
        time.sleep(0.01)
    try:
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join()


@dataclass
class Service:
    """A store, and a client of the service over it that compares every answer with what OpenAPI says of it."""

    store: Store
    http: httpx.Client

    @property
    def url(self) -> str:
        return str(self.http.base_url).rstrip("/")

    def get(self, path: str, status: int = 200, **more: Any) -> Any:
        return self.ask("GET", path, status, **more)

    def post(self, path: str, body: Any = None, status: int = 201) -> Any:
        return self.ask("POST", path, status, json=body)

    def ask(self, method: str, path: str, status: int, **more: Any) -> Any:
        response = self.http.request(method, path, **more)
        assert response.status_code == status, response.text
        return response.json()

    def search(
        self,
        points: list[tuple[float, int]],
        *,
        running: int = 0,
        error: float | None = None,
        qualities: Sequence[Quality | None] = (),
        **spec: Any,
    ) -> Run:
        """A claimed search whose trials have these accuracies, each with that `error`, and multiply-adds, the first
        also these qualities; so many more have begun."""
        wanted = SearchSpec(dataset="fashion_mnist", searcher="random", **spec)
        run = self.claimed(self.store.add_run("search", wanted))
        plan = plan_for(run, GREY)
        for number in range(len(points) + running):
            job = plan.ask(number)
            assert job is not None
            self.store.claims.begin(OWNER, job)
            if number < len(points):
                self.store.claims.progress(OWNER, Progress(run=run.id, number=number, phase="scoring"))
                accuracy, mult_adds = points[number]
                measured = Measurement(params=mult_adds // 10, mult_adds=mult_adds, accuracy=accuracy)
                its = qualities[number] if number < len(qualities) else None
                measured = replace(measured, accuracy_error=error, quality=its)
                self.end(job, measured)
                plan.tell(job, measured)
        return run

    def growth(
        self,
        search: Run,
        members: tuple[str, ...] = ("B0", "B1"),
        ended: int = 99,
        tested: Sequence[float] = (),
        qualities: Sequence[Quality] = (),
        error_ms: float | None = None,
        **spec: Any,
    ) -> Run:
        """A claimed growth of a search's trial 0, of which so many trainings have ended, each with a checkpoint;
        `tested` gives their test accuracies, `qualities` what else, `error_ms` is that of their latencies."""
        architecture = self.store.trial(search.id, 0).job.architecture
        wanted = GrowthSpec(
            dataset="fashion_mnist",
            space="mbconv",
            architecture=architecture,
            source=(search.id, 0),
            members=members,
            **spec,
        )
        run = self.claimed(self.store.add_run("growth", wanted))
        plan = plan_for(run, GREY)
        for number in range(min(ended, wanted.trials)):
            job = plan.ask(number)
            assert job is not None
            self.store.claims.begin(OWNER, job)
            measured = Measurement(
                params=1000,
                mult_adds=5000,
                latencies={
                    device: latency(0.5 + place / 5, device, error_ms) for place, device in enumerate(job.devices)
                },
                accuracy=0.9,
                test_accuracy=tested[number] if tested else 0.91,
                accuracy_error=0.002 if tested else None,
                quality=qualities[number] if qualities else None,
                seconds=30,
            )
            sha256, size = checkpoint(job, measured)
            self.end(job, Measurement(**{**vars(measured), "weights": sha256}), size)
        return run

    def on_two_devices(self) -> Run:
        """A search of two trials: what is faster on the one is slower on the other."""
        objective = Objective(cost="latency_ms", target=2.0, w_under=0.0, w_over=-1.0)
        run = self.search([], running=2, objective=objective, devices=("cpu", "cpu_eager"))
        for number, accuracy, here, there in ((0, 0.8, 1.0, 4.0), (1, 0.9, 4.0, 1.0)):
            measured = Measurement(
                params=1,
                mult_adds=1,
                accuracy=accuracy,
                latencies={"cpu": latency(here), "cpu_eager": latency(there, "cpu_eager")},
            )
            self.end(self.store.trial(run.id, number).job, measured)
        return run

    def claimed(self, run: Run) -> Run:
        while (claimed := self.store.claims.claim(OWNER, 1e6)) and claimed.id != run.id:
            pass
        assert claimed
        return claimed

    def end(self, job: Job, measurement: Measurement, size: int | None = None) -> Trial:
        return self.store.claims.end(OWNER, job.number, job.run, "done", measurement, checkpoint_bytes=size)


@contextlib.contextmanager
def service_over(url: str, edge: Edge = OPEN, roots: Roots = NOWHERE) -> Iterator[Service]:
    """The service over the database at `url`."""
    store = Store(url)
    app = create_app(store, edge, roots)
    with (
        serving(app) as address,
        httpx.Client(base_url=address, timeout=PATIENCE_SECONDS, event_hooks={"response": [contract().check]}) as http,
    ):
        yield Service(store, http)
    store.close()


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service of a module's own, which the client and the command line find, and which reads tests' images."""
    home, roots = tmp_path_factory.mktemp("home"), Roots.named([str(tmp_path_factory.getbasetemp())])
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("NAS_HOME", str(home))
        environment.setenv("COLUMNS", "80")
        with service_over(f"sqlite:///{home}/nas.db", roots=roots) as running:
            environment.setenv("NAS_URL", running.url)
            yield running


@pytest.fixture(scope="module")
def client(service: Service) -> Iterator[Client]:
    with Client() as client:
        yield client


@pytest.fixture(scope="module")
def search(service: Service) -> str:
    """A search that has finished."""
    run = service.search(POINTS, name="clothes", trials=4, objective=HARD)
    service.store.claims.release(run.id, OWNER, "finished")
    return run.id


@pytest.fixture(scope="module")
def growth(service: Service, search: str) -> str:
    """A growth that has finished, with a checkpoint for each member."""
    run = service.growth(service.store.run(search), name="clothes family")
    service.store.claims.release(run.id, OWNER, "finished")
    return run.id


class Contract:
    """What the OpenAPI document promises, held against real answers."""

    def __init__(self, document: Any) -> None:
        self._document = document
        self._operations = [
            (re.compile(re.sub(r"{(\w+)(:path)?}", lambda name: ".+" if name[2] else "[^/]+", path)), method, operation)
            for path, operations in self._document["paths"].items()
            for method, operation in operations.items()
        ]

    def check(self, response: httpx.Response) -> None:
        request = response.request
        for pattern, method, operation in self._operations:
            if method.upper() == request.method and pattern.fullmatch(request.url.path):
                kind = response.headers.get("content-type", "").partition(";")[0]
                if response.status_code == 204:  # which has no body, whatever it is declared as
                    assert "204" in operation["responses"]
                elif kind.endswith("json"):
                    response.read()
                    self.conforms(operation["responses"], response.status_code, kind, response.json())
                return

    def conforms(self, responses: Any, status: int, kind: str, body: Any) -> None:
        assert str(status) in responses, f"status {status} is not documented"
        schema = responses[str(status)]["content"][kind]["schema"]
        self.valid(schema, body)

    def valid(self, schema: Any, body: Any) -> None:
        Draft202012Validator({**schema, "components": self._document["components"]}).validate(body)


@functools.cache
def contract() -> Contract:
    """That of every service: its document takes a second to be made, and is the same whatever the store."""
    with tempfile.TemporaryDirectory() as folder, contextlib.closing(Store(f"sqlite:///{folder}/nas.db")) as store:
        return Contract(create_app(store, OPEN).openapi())


def ended(store: Store, owner: str, run: Run, came: Sequence[Measurement | str]) -> None:
    """Begin and end the first trials of a claimed run: with measurements, or as failed for these reasons."""
    plan = plan_for(run, GREY)
    for number, each in enumerate(came):
        job = plan.ask(number)
        assert job is not None
        store.claims.begin(owner, job)
        if isinstance(each, str):
            store.claims.end(owner, number, run.id, "failed", error=each)
        else:
            store.claims.end(owner, number, run.id, "done", each)


def latency(median_ms: float, device: str = "cpu", error_ms: float | None = None) -> Latency:
    return Latency(
        device=device,
        median_ms=median_ms,
        error_ms=error_ms,
        p95_ms=1.2 * median_ms,
        minimum_ms=0.9 * median_ms,
        spread=0.05,
        runs=100,
        fingerprint={"threads": "1"},
    )


def checkpoint(job: Job, measured: Measurement) -> tuple[str, int]:
    """The name and size of a file in the artifact folder: a real card over weights that are only bytes."""
    assert job.dataset is not None
    assert job.recipe is not None
    weights = job.architecture.digest().encode() * 5000
    card = Card(
        space=job.space,
        architecture=job.architecture,
        choices=job.choices,
        run=job.run,
        number=job.number,
        member=job.member,
        dataset=job.dataset,
        classes=("a", "b"),
        mean=(0.5,),
        std=(0.25,),
        accuracy=measured.accuracy,
        test_accuracy=measured.test_accuracy,
        params=measured.params,
        mult_adds=measured.mult_adds,
        latencies=measured.latencies,
        recipe=job.recipe,
        seed=job.seed,
        tensors="0" * 64,
    )
    header = json.dumps(
        {
            "__metadata__": {KEY: json.dumps(encode(card))},
            "weights": {"dtype": "U8", "shape": [len(weights)], "data_offsets": [0, len(weights)]},
        }
    ).encode()
    data = len(header).to_bytes(8, "little") + header + weights
    sha256 = hashlib.sha256(data).hexdigest()
    artifact(sha256).write_bytes(data)
    return sha256, len(data)
