"""The dashboard in a real browser, against the real service on a store with a past."""

import dataclasses
import os
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Literal
from urllib.parse import urlsplit

import pytest
import uvicorn
from playwright.sync_api import Browser, ConsoleMessage, Page, expect, sync_playwright

from api.app import NOWHERE, create_app
from nas.measurements import Measurement, Score
from nas.objective import Objective
from nas.pareto import front
from nas.records import Run
from nas.roots import Roots
from nas.specs import BenchmarkSpec, ProxySpec
from nas.store import Store
from tests.past import GREY, SEARCH, Past, seeded
from tests.service import OPEN, latency

PATIENCE_MS = 60_000
PROXIED = "nas.example.com"  # a name that the browser looks for on this machine
expect.set_options(timeout=PATIENCE_MS)


@dataclass
class Service:
    """The service at `address`, over the store that `past` writes to."""

    address: str
    store: Store
    past: Past
    runs: dict[str, Run]


@dataclass
class View:
    """A page under watch: what it complained of, and where it went for anything."""

    page: Page
    address: str
    service: Service
    complaints: list[str] = field(default_factory=list)
    excuses: set[str] = field(default_factory=set)
    """What it complained of as it should; the same may come once more, late."""
    hosts: set[str] = field(default_factory=set)

    def open(self, place: str) -> Page:
        self.page.goto(f"{self.address}/{place}")
        return self.page

    def search(self, run: Run) -> Page:
        return self.open(f"#/searches/{run.id}")

    def growth(self, run: Run) -> Page:
        return self.open(f"#/growths/{run.id}")


def served(url: str, roots: Roots = NOWHERE) -> Iterator[str]:
    app = create_app(Store(url), OPEN, roots)
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="warning"))
    app.state.leaving = lambda: server.should_exit
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        assert thread.is_alive()
        time.sleep(0.02)
    port = server.servers[0].sockets[0].getsockname()[1]
    yield f"http://127.0.0.1:{port}"
    server.should_exit = True
    thread.join()


@pytest.fixture(scope="module")
def seeded_service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    folder = tmp_path_factory.mktemp("service")
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("NAS_HOME", str(folder))
        url = f"sqlite:///{folder / 'nas.db'}"
        past, runs = seeded(url)
        for address in served(url, Roots.named([str(folder.parent)])):
            yield Service(address, past.store, past, runs)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    program = next(filter(None, map(shutil.which, ("chromium", "google-chrome"))), None)
    if program is None:
        say = pytest.fail if os.environ.get("CI") == "true" else pytest.skip
        say("no chromium and no google-chrome here: see tests/programs")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=program,
            args=[
                "--no-sandbox",
                "--disable-gpu",
                "--disable-background-networking",
                "--disable-component-update",
                "--no-first-run",
                f"--host-resolver-rules=MAP {PROXIED} 127.0.0.1",
            ],
        )
        yield browser
        browser.close()


@pytest.fixture
def look(browser: Browser, seeded_service: Service) -> Iterator[Callable[..., View]]:
    """Opens pages of the service, and in the end makes sure that none complained or left the host."""
    views = []

    def opened(
        width: int = 1280, scheme: Literal["light", "dark"] = "light", address: str = seeded_service.address
    ) -> View:
        context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
        view = View(context.new_page(), address, seeded_service)
        view.page.set_default_timeout(PATIENCE_MS)
        views.append(view)

        def hear(message: ConsoleMessage) -> None:
            if message.type in ("error", "warning"):
                view.complaints.append(message.text)

        view.page.on("console", hear)
        view.page.on("pageerror", lambda error: view.complaints.append(str(error)))
        view.page.on("request", lambda request: view.hosts.add(urlsplit(request.url).netloc))
        return view

    yield opened
    for view in views:
        view.page.context.close()
        assert not set(view.complaints) - view.excuses
        assert view.hosts - {""} == {urlsplit(view.address).netloc}


@pytest.fixture
def view(look: Callable[..., View]) -> View:
    return look()


def measured(service: Service, run: Run, cost: str = "mult_adds") -> dict[int, tuple[float, float]]:
    """Trial number to (cost, accuracy)."""
    found = {}
    for trial in service.store.trials(run.id):
        if trial.measurement and trial.measurement.accuracy is not None:
            value = trial.measurement.cost(cost, "cpu")
            assert value is not None
            found[trial.number] = (value, trial.measurement.accuracy)
    return found


def unbeaten(points: dict[int, tuple[float, float]]) -> set[str]:
    return {str(list(points)[index]) for index in front(list(points.values()))}


def best(points: dict[int, tuple[float, float]], objective: Objective) -> int:
    return max(points, key=lambda number: objective.reward(points[number][1], points[number][0]))


def keys(page: Page, selector: str) -> set[str]:
    return set(page.locator(selector).evaluate_all("all => all.map(each => each.dataset.key)"))


def small(service: Service, **changes: object) -> Run:
    """A run of its own for a test that changes it."""
    spec = dataclasses.replace(SEARCH, **{"trials": 8} | changes)  # type: ignore[arg-type]
    return service.past.search(spec, 5, running=1)


def sampled(past: Past) -> Run:
    spec = BenchmarkSpec(name="Sample", images=GREY, networks=2, devices=("cpu", "cuda"))
    measured = Measurement(params=61_706, mult_adds=416_520, latencies={"cpu": latency(0.25)})
    rough = dataclasses.replace(latency(0.25, error_ms=0.1), slowdown=1.8)
    noisy = dataclasses.replace(measured, latencies={"cpu": rough})
    return past.other("benchmark", spec, [measured, "DeviceError: no GPU here", noisy])


def compared(past: Past, at_both: int) -> tuple[Run, list[Measurement]]:
    """Five networks trained cheaply, so many of them dearly: what these measured, and the others will."""
    spec = ProxySpec(name="Worth it?", dataset="fashion_mnist", candidates=5)
    scores = {"zen": Score(value=1.5, seconds=0.25), "naswot": Score(value=None, seconds=0.25)}
    cheap = [
        Measurement(params=1000 + n, mult_adds=5000 - n, accuracy=0.5 + n / 100, train_seconds=10, scores=scores)
        for n in range(5)
    ]
    dear = [dataclasses.replace(each, train_seconds=60) for each in cheap]
    return past.other("proxy", spec, [*cheap, *dear[:at_both]], running=min(2, 5 - at_both)), dear


def excused(view: View) -> None:
    """The browser's own note of a request that failed, which was the point, is no complaint."""
    assert view.complaints
    assert all(complaint.startswith("Failed to load resource") for complaint in view.complaints)
    view.excuses.update(view.complaints)
    view.complaints.clear()
