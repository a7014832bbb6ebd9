"""The dashboard, in a real browser against the real service on a real store."""

import dataclasses
import hashlib
import json
import os
import re
import shlex
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

import httpx
import pytest
import uvicorn
from playwright.sync_api import Browser, ConsoleMessage, Page, expect, sync_playwright

from api.app import create_app
from nas.agents.errands import Introduction
from nas.networks.counts import counts
from nas.objective import HARD, Objective
from nas.pareto import front
from nas.records import Measurement, Run, Score
from nas.specs import GrowthSpec, Limits, MeasurementSpec, ProxySpec, SearchSpec
from nas.store import Store, agents
from tests.past import GREY, OWNER, SEARCH, Past, seeded
from tests.service import latency


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
    hosts: set[str] = field(default_factory=set)

    def open(self, place: str) -> Page:
        self.page.goto(f"{self.address}/{place}")
        return self.page

    def search(self, run: Run) -> Page:
        return self.open(f"#/searches/{run.id}")

    def growth(self, run: Run) -> Page:
        return self.open(f"#/growths/{run.id}")


def served(url: str) -> Iterator[str]:
    server = uvicorn.Server(uvicorn.Config(create_app(Store(url)), port=0, log_level="warning"))
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
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    folder = tmp_path_factory.mktemp("service")
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("NAS_HOME", str(folder))
        url = f"sqlite:///{folder / 'nas.db'}"
        past, runs = seeded(url)
        for address in served(url):
            yield Service(address, past.store, past, runs)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    program = next(filter(None, map(shutil.which, ("chromium", "google-chrome"))), None)
    if program is None:
        say = pytest.fail if os.environ.get("CI") == "true" else pytest.skip
        say("no chromium and no google-chrome here: see tests/chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=program,
            args=[
                "--no-sandbox",
                "--disable-gpu",
                "--disable-background-networking",
                "--disable-component-update",
                "--no-first-run",
            ],
        )
        yield browser
        browser.close()


@pytest.fixture
def look(browser: Browser, service: Service) -> Iterator[Callable[..., View]]:
    """Opens pages of the service, and in the end makes sure that none complained or left the host."""
    views = []

    def opened(width: int = 1280, scheme: Literal["light", "dark"] = "light", address: str = service.address) -> View:
        context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
        view = View(context.new_page(), address, service)
        view.page.set_default_timeout(10_000)
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
        assert not view.complaints
        assert view.hosts - {""} == {urlsplit(view.address).netloc}


@pytest.fixture
def view(look: Callable[..., View]) -> View:
    return look()


def measured(service: Service, run: Run, cost: str = "mult_adds") -> dict[int, tuple[float, float]]:
    """Trial number to (cost, accuracy)."""
    found = {}
    for trial in service.store.trials(run.id):
        if trial.measurement and trial.measurement.accuracy is not None:
            value = trial.measurement.cost(cost)
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


def test_the_list_shows_every_run_with_its_progress_and_best(view: View) -> None:
    page = view.open("")
    run = view.service.runs["running"]
    line = page.locator(f"tr[data-key='{run.id}']")
    expect(line).to_contain_text("Fashion, 5 M multiply-adds")
    expect(line).to_contain_text("44 of 60")
    expect(line).to_contain_text("running")
    points = measured(view.service, run)
    expect(line).to_contain_text(f"{100 * points[best(points, SEARCH.objective)][1]:.2f} %")
    expect(page.locator("tbody tr")).to_have_count(len(view.service.store.runs()))
    expect(page.locator(f"tr[data-key='{view.service.runs['family'].id}']")).to_contain_text("3 of 4")
    page.get_by_role("link", name="Fashion, 5 M multiply-adds").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Fashion, 5 M multiply-adds")


def test_the_scatter_plots_what_was_measured_and_marks_the_front(view: View) -> None:
    run = view.service.runs["running"]
    page = view.search(run)
    points = measured(view.service, run)
    expect(page.locator("circle.point")).to_have_count(len(points))
    assert keys(page, "circle.point") == {str(number) for number in points}
    assert keys(page, "circle.point.front") == unbeaten(points)
    states = [trial.state for trial in view.service.store.trials(run.id)]
    left_out = f"Not plotted: 3 running, {states.count('refused')} refused, 1 failed."
    expect(page.locator(".left-out")).to_have_text(left_out)
    chosen = best(points, SEARCH.objective)
    expect(page.locator(".badge")).to_have_text(f"★ {chosen}")
    circle = page.locator(f"circle.point[data-key='{chosen}']")
    place = f"translate({circle.get_attribute('cx')} {circle.get_attribute('cy')})"
    expect(page.locator(".star")).to_have_attribute("transform", place)
    expect(page.locator(".target-text")).to_have_text("target 5 M")
    steps = page.locator(".front-line").get_attribute("d")
    assert steps is not None
    assert steps.count("V") == len(unbeaten(points))
    # Cheaper is further left, better is further up, larger has the larger circle.
    where = page.locator("circle.point").evaluate_all(
        "all => all.map(each => [each.dataset.key, ...['cx', 'cy', 'r'].map(name => Number(each.getAttribute(name)))])"
    )
    by_cost = sorted(where, key=lambda row: points[int(row[0])][0])
    assert [row[1] for row in by_cost] == sorted(row[1] for row in where)
    by_accuracy = sorted(where, key=lambda row: -points[int(row[0])][1])
    assert [row[2] for row in by_accuracy] == sorted(row[2] for row in where)
    trials = view.service.store.trials(run.id)
    by_size = sorted(where, key=lambda row: counts(trials[int(row[0])].job.architecture).params)
    assert [row[3] for row in by_size] == sorted(row[3] for row in where)
    assert by_size[0][3] < by_size[-1][3]


def test_a_published_network_is_named_beside_its_point(view: View) -> None:
    page = view.search(small(view.service, baselines=("ResNet-20 (CIFAR)",), limits=Limits()))
    expect(page.locator(".names text")).to_have_text(["ResNet-20 (CIFAR)"])
    point = page.locator("circle.point[data-key='0']").bounding_box()
    name = page.locator(".names text").bounding_box()
    assert point
    assert name
    assert point["y"] < name["y"] + name["height"] / 2 < point["y"] + point["height"]


def test_another_objective_ranks_what_was_measured_again(view: View) -> None:
    run = view.service.runs["running"]
    page = view.search(run)
    points = measured(view.service, run)
    before = best(points, SEARCH.objective)
    expect(page.locator(".badge")).to_have_text(f"★ {before}")
    strict = Objective(target=2e6, w_under=HARD[0], w_over=HARD[1])
    assert best(points, strict) != before
    page.get_by_label("Target", exact=True).fill("2000000")
    page.get_by_label("only over the target").check()
    page.get_by_label("Exponent w", exact=True).fill("-1")
    page.keyboard.press("Tab")
    expect(page.locator(".badge")).to_have_text(f"★ {best(points, strict)}")
    cost, accuracy = points[43]
    expect(page.locator("tr[data-key='43']")).to_contain_text(f"{strict.reward(accuracy, cost):.4f}")
    page.get_by_role("radio", name="Latency").check()
    expect(page.locator(".axis-title").first).to_have_text("Latency")
    expect(page.locator("circle.point.front").first).to_be_visible()
    assert keys(page, "circle.point.front") == unbeaten(measured(view.service, run, "latency_ms"))
    page.get_by_role("button", name="As searched").click()
    expect(page.locator(".badge")).to_have_text(f"★ {before}")
    page.get_by_label("Target", exact=True).fill("-5")
    page.keyboard.press("Tab")
    expect(page.locator(".ranking .error")).to_contain_text("-5")
    excused(view)


def test_every_device_has_a_column_and_a_front(view: View) -> None:
    objective = Objective(cost="latency_ms", target=1.0, w_under=HARD[0], w_over=HARD[1])
    run = small(view.service, objective=objective, further_devices=("cpu_eager", "cpu:threads=2"), limits=Limits())
    page = view.search(run)
    headings = page.get_by_role("table", name="trials").locator("thead th")
    expect(headings.filter(has_text="On ")).to_have_text(["On cpu_eager", "On cpu:threads=2"])
    expect(page.locator(".figures")).to_contain_text("On cpu:threads=2")
    done = {trial.number: trial.measurement for trial in view.service.store.trials(run.id) if trial.measurement}

    def shown(device: str | None) -> set[str]:
        points = [(row.cost("latency_ms", device) or 0.0, row.accuracy or 0.0) for row in done.values()]
        return {str(list(done)[index]) for index in front(points)}

    def drawn(numbers: set[str]) -> None:
        for number in map(str, done):
            expect(page.locator(f"circle.point.front[data-key='{number}']")).to_have_count(int(number in numbers))

    assert shown(None) != shown("cpu_eager")
    expect(page.locator("circle.point")).to_have_count(len(done))
    drawn(shown(None))
    page.get_by_label("On", exact=True).select_option("cpu_eager")
    drawn(shown("cpu_eager"))
    page.get_by_role("radio", name="Multiply-adds").check()
    expect(page.get_by_label("On", exact=True)).to_be_hidden()
    page.get_by_role("button", name="As searched").click()
    expect(page.get_by_label("On", exact=True)).to_have_value("cpu")
    search = view.search(view.service.runs["running"])
    expect(search.get_by_role("table", name="trials").locator("tbody tr").first).to_be_visible()
    expect(search.get_by_label("On", exact=True)).to_have_count(0)


def test_progress_and_results_appear_while_they_happen(view: View) -> None:
    past, store = view.service.past, view.service.store
    run = small(view.service)
    page = view.search(run)
    line = page.locator(".lines li").first
    expect(line).to_contain_text("Trial 5")
    expect(line).to_contain_text("epoch 1 of 4")
    expect(page.locator(".counts")).to_contain_text("5 of 8 trials · 1 running")
    before = len(measured(view.service, run))
    expect(page.locator("circle.point")).to_have_count(before)
    page.get_by_role("button", name="Show trial 2").focus()
    page.wait_for_load_state("networkidle")
    page.evaluate(
        "moved = 0; new PerformanceObserver(list => list.getEntries().forEach(entry => moved += entry.value))"
        ".observe({type: 'layout-shift'})"
    )
    past.progress(run, 5, epoch=3)
    expect(line).to_contain_text("training, epoch 3 of 4")
    expect(line.get_by_role("progressbar")).to_have_attribute("aria-valuenow", "75")
    expect(line).to_contain_text("4.32 k images/s")
    past.end(store.trial(run.id, 5).job)
    expect(page.locator(".counts")).to_contain_text("6 of 8 trials")
    expect(page.locator("tr[data-key='5']")).to_contain_text(store.trial(run.id, 5).state)
    expect(page.locator("circle.point")).to_have_count(len(measured(view.service, run)))
    expect(line).to_contain_text("free")
    assert page.evaluate("moved") == 0
    store.note(run.id, "note", "something happened")
    expect(page.locator(".log li").first).to_contain_text("something happened")
    # None of it took the focus away.
    expect(page.get_by_role("button", name="Show trial 2")).to_be_focused()


def sampled(past: Past) -> Run:
    spec = MeasurementSpec(name="Sample", images=GREY, networks=2, devices=("cpu", "cuda"))
    measured = Measurement(params=61_706, mult_adds=416_520, latency=latency(0.25))
    return past.other("measurement", spec, [measured, "DeviceError: no GPU here", measured])


def test_a_measurement_has_a_line_for_each_network_and_device(view: View) -> None:
    run = sampled(view.service.past)
    page = view.open("")
    page.get_by_role("link", name="Sample").click()
    page.wait_for_url(f"**/#/measurements/{run.id}")
    expect(page.locator(".counts")).to_contain_text("3 of 4 measurements · 1 failed")
    expect(page.locator(".objective")).to_contain_text("2 networks of space mbconv")
    rows = page.locator("table[aria-label='latencies'] tbody tr")
    expect(rows).to_have_count(4)
    expect(rows.nth(0)).to_contain_text("0.250 ms")
    expect(rows.nth(1)).to_contain_text("DeviceError: no GPU here")
    expect(rows.nth(3)).to_contain_text("queued")
    expect(page.get_by_role("button", name="Raise budget")).to_be_hidden()
    page.get_by_role("button", name="Stop").click()
    expect(page.locator(".heading .pill")).to_have_text("stopping")


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


def test_a_proxy_shows_its_report_as_it_fills_up(view: View) -> None:
    store = view.service.store
    run, dear = compared(view.service.past, at_both=2)
    page = view.open(f"#/proxies/{run.id}")
    expect(page.locator(".counts")).to_contain_text("7 of 10 trainings · 2 running")
    expect(page.locator(".lines li").first).to_contain_text("Dear 2")
    expect(page.get_by_text("from four candidates on: 2 are compared yet")).to_be_visible()
    for number in (7, 8):
        store.end(OWNER, number, run.id, "done", dear[number - 5])
    expect(page.locator("table[aria-label='orderings'] tbody tr")).to_have_count(5)
    row = page.locator("tr[data-key='cheap recipe']")
    expect(row).to_contain_text("1.00 [1.00, 1.00]")
    expect(page.locator("tr[data-key='zen']")).to_contain_text("–")
    expect(page.locator("tr[data-key='multiply-adds']")).to_contain_text("-1.00")
    expect(page.locator("table[aria-label='candidates'] tbody tr")).to_have_count(4)
    expect(page.locator("table[aria-label='candidates'] tbody tr").first).to_contain_text("50.00 %")


def test_the_hours_of_a_search_that_is_held_to_them_are_raised(view: View) -> None:
    store = view.service.store
    spec = SearchSpec(dataset="fashion_mnist", trials=8, hours=0.5, objective=Objective(target=5))
    run = store.add_run("search", spec)
    page = view.search(run)
    button, hours = page.get_by_role("button", name="Raise budget"), page.get_by_label("Hours", exact=True)
    expect(hours).to_have_value("0.5")
    expect(page.get_by_label("Compute hours")).to_be_hidden()
    expect(button).to_be_disabled()
    hours.fill("0")
    button.click()
    expect(page.locator(".heading .error")).to_contain_text("hours 0")
    assert "422" in view.complaints.pop()
    hours.fill("1.5")
    button.click()
    expect(button).to_be_disabled()
    assert store.run(run.id).spec == dataclasses.replace(spec, hours=1.5)
    assert store.run(run.id).trials == 8
    store.raise_budget(run.id, 12, hours=2)
    expect(hours).to_have_value("2")
    expect(page.get_by_label("Trials", exact=True)).to_have_value("12")


def test_the_buttons_change_what_is_wished(view: View) -> None:
    store = view.service.store
    run = small(view.service)
    page = view.search(run)
    page.get_by_role("button", name="Pause").click()
    expect(page.locator(".heading .pill")).to_have_text("pausing")
    assert store.run(run.id).wish == "pause"
    page.get_by_role("button", name="Resume").click()
    expect(page.locator(".heading .pill")).to_have_text("running")
    assert store.run(run.id).wish == "run"
    page.get_by_label("Trials", exact=True).fill("25")
    page.get_by_role("button", name="Raise budget").click()
    expect(page.locator(".counts")).to_contain_text("of 25 trials")
    assert store.run(run.id).trials == 25
    page.get_by_role("button", name="Stop").click()
    expect(page.locator(".heading .pill")).to_have_text("stopping")
    assert store.run(run.id).wish == "stop"
    page.get_by_role("button", name="Cancel").click()
    page.get_by_role("button", name="Keep it").click()
    assert store.run(run.id).wish == "stop"
    page.get_by_role("button", name="Cancel").click()
    page.get_by_role("button", name="Cancel the search").click()
    expect(page.locator(".heading .pill")).to_have_text("cancelling")
    assert store.run(run.id).wish == "cancel"
    store.release(run.id, OWNER, "cancelled")
    expect(page.locator(".heading .pill")).to_have_text("cancelled")
    for name in ("Pause", "Resume", "Stop", "Cancel"):
        expect(page.get_by_role("button", name=name)).to_be_disabled()


def test_a_name_is_shown_and_never_run(view: View) -> None:
    name = "<script>hacked = 1</script><img src=/nowhere onerror='hacked = 1'>"
    run = small(view.service, name=name)
    view.service.store.note(run.id, "note", name)
    page = view.open("")
    expect(page.locator(f"tr[data-key='{run.id}'] a")).to_have_text(name)
    view.search(run)
    expect(page.get_by_role("heading", level=1)).to_have_text(name)
    expect(page.locator(".log li").first).to_contain_text(name)
    assert page.evaluate("typeof hacked") == "undefined"
    assert page.locator("main img, main script").count() == 0


def test_a_search_is_started_from_the_form_as_by_its_curl(view: View) -> None:
    page = view.open("#/new")
    page.get_by_label("Name").fill("it's from the form")
    page.get_by_label("Trials").fill("7")
    page.get_by_label("Epochs").fill("3")
    page.get_by_label("Cost").select_option("latency_ms")
    page.get_by_label("Target").fill("0.8")
    page.get_by_label("Preset").select_option("hard")
    page.get_by_label("Parameters").fill("300000")
    page.get_by_label("Further devices").fill(" cpu_eager  cpu:threads=2,batch=2 ")
    words = shlex.split(page.locator(".command code").inner_text().replace("\\\n", ""))
    page.get_by_role("button", name="Start the search").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("it's from the form")
    store = view.service.store
    spec = store.run(page.url.rpartition("/")[2]).spec
    assert isinstance(spec, SearchSpec)
    assert spec.further_devices == ("cpu_eager", "cpu:threads=2,batch=2")
    assert spec.objective == Objective(cost="latency_ms", target=0.8, w_under=HARD[0], w_over=HARD[1])
    assert (spec.trials, spec.recipe.epochs, spec.limits) == (7, 3, Limits(params=300_000))
    assert words[:2] == ["curl", f"{view.address}/v1/searches"]
    answer = httpx.post(words[1], json=json.loads(words[words.index("-d") + 1]))
    assert store.run(answer.raise_for_status().json()["id"]).spec == spec


def test_what_a_search_would_take_is_said_as_its_form_is_filled(view: View) -> None:
    page = view.open("#/new")
    told = page.locator(".forecast")
    expect(told).to_have_text("None: no training of space 'mbconv' on dataset 'fashion_mnist' has been measured yet.")
    page.get_by_label("Trials").fill("0")
    expect(told).to_have_text("None yet: something in the form is missing or wrong.")
    excused(view)
    page.get_by_label("Trials").fill("8")
    page.get_by_label("Look for").select_option("front")
    page.get_by_label("Also").select_option("params")
    expect(told).to_have_text(re.compile("has been measured yet"))
    page.get_by_role("button", name="Start the search").click()
    expect(page.get_by_text("the whole front of accuracy, multiply-adds and parameters")).to_be_visible()


@pytest.mark.parametrize(
    ("label", "value", "said"),
    [("Trials", "0", "trials 0"), ("Target", "-1", "target -1"), ("Dataset", "unheard_of", "unheard_of")],
)
def test_a_refused_value_is_said_at_its_field(view: View, label: str, value: str, said: str) -> None:
    page = view.open("#/new")
    count = len(view.service.store.runs())
    page.get_by_label(label).fill(value)
    expect(page.locator(".forecast")).to_have_text("None yet: something in the form is missing or wrong.")
    page.get_by_role("button", name="Start the search").click()
    wrong = page.locator(".field", has=page.locator("[aria-invalid]"))
    expect(wrong.locator(".error")).to_contain_text(said)
    expect(wrong.get_by_label(label)).to_be_focused()
    assert len(view.service.store.runs()) == count
    excused(view)


def test_a_trial_is_grown_into_a_family(view: View) -> None:
    run = view.service.runs["old"]
    page = view.search(run)
    number = max(measured(view.service, run))
    page.get_by_role("button", name=f"Show trial {number}").click()
    expect(page.get_by_role("heading", name=f"Trial {number}", exact=True)).to_be_visible()
    expect(page.locator("circle.point.selected")).to_have_attribute("data-key", str(number))
    rows = counts(view.service.store.trial(run.id, number).job.architecture).rows
    expect(page.locator(".stages tbody tr")).to_have_count(len(rows))
    expect(page.locator(".stages tbody tr").nth(1)).to_contain_text(f"{rows[1].channels}")
    page.get_by_label("B3").uncheck()
    page.get_by_label("Seeds").fill("2")
    page.get_by_role("button", name=f"Grow trial {number}").click()
    expect(page.get_by_role("heading", level=1)).to_have_text(f"Fashion, first try · trial {number}")
    expect(page.get_by_role("table", name="family").locator("tbody tr")).to_have_count(3)
    spec = view.service.store.run(page.url.rpartition("/")[2]).spec
    assert isinstance(spec, GrowthSpec)
    assert (spec.source, spec.members, spec.seeds) == ((run.id, number), ("B0", "B1", "B2"), 2)


def test_a_family_is_a_table_a_chart_and_downloads(view: View) -> None:
    run = view.service.runs["family"]
    page = view.growth(run)
    table = page.get_by_role("table", name="family")
    expect(table.locator("tbody tr")).to_have_count(4)
    expect(table.locator("tr[data-key='B0']")).to_contain_text("epoch 7 of 20")
    expect(table.locator("tr[data-key='B2']")).to_contain_text("± 10.00 %")
    expect(table.locator("tr[data-key='B2']")).to_contain_text("B1, B3")  # with an error so large all are tied
    assert keys(page, "circle.point") == {"B1", "B2", "B3"}
    model = view.service.store.model(f"{run.id}-0")
    with page.expect_download() as download:
        table.locator("tr[data-key='B3']").get_by_role("link", name="Download").click()
    assert hashlib.sha256(Path(download.value.path()).read_bytes()).hexdigest() == model.sha256
    view.open("#/models")
    expect(page.locator("tbody tr")).to_have_count(3)
    expect(page.locator(f"tr[data-key='{model.id}']")).to_contain_text(model.sha256[:12])


def test_devices_tell_what_they_are_and_whether_they_are_there(view: View, monkeypatch: pytest.MonkeyPatch) -> None:
    pi = {"processor": "Raspberry Pi 4 Model B Rev 1.4", "runtime": "onnxruntime 1.20"}
    view.service.store.agents.introduce(Introduction(name="pi4", fingerprint=pi, instance="a" * 16, edition=""))
    # The store's clock of these tests is put forward by hand, so how long the agent was silent is anybody's guess.
    monkeypatch.setattr(agents, "ONLINE_SECONDS", float("-inf"))
    page = view.open("#/devices")
    row = page.locator("tr[data-key='remote:pi4']")
    expect(row).to_contain_text("offline")
    expect(row).to_contain_text("Raspberry Pi 4 Model B Rev 1.4 · onnxruntime 1.20")
    expect(page.locator("tr[data-key='cpu']")).to_contain_text("here")
    expect(page.locator("tr[data-key='remote']")).to_contain_text("absent")
    expect(page.locator(".command")).to_contain_text(f"curl -O {view.address}/v1/agent.pyz")
    monkeypatch.setattr(agents, "ONLINE_SECONDS", float("inf"))
    expect(row).to_contain_text("online")
    view.open("#/new")
    options = page.get_by_label("Device", exact=True).locator("option")
    expect(options.filter(has_text="remote:pi4")).to_have_text("remote:pi4")


def test_points_are_reached_by_keyboard_and_pointer(view: View) -> None:
    run = view.service.runs["running"]
    page = view.search(run)
    points = measured(view.service, run)
    cheapest = min(points, key=lambda number: points[number][0])
    expect(page.locator("circle.point")).to_have_count(len(points))
    chart = page.get_by_role("application")
    chart.focus()
    page.keyboard.press("ArrowRight")
    expect(page.locator(".tip")).to_contain_text(f"Trial {cheapest}")
    expect(page.locator(".tip")).to_contain_text(f"{100 * points[cheapest][1]:.2f} %")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name=f"Trial {cheapest}", exact=True)).to_be_visible()
    page.get_by_role("button", name="Show the best").click()
    chosen = best(points, SEARCH.objective)
    page.locator(f"circle.point[data-key='{chosen}']").hover(force=True)
    expect(page.locator(".tip")).to_contain_text(f"Trial {chosen}")


def test_a_long_search_is_read_in_pages_and_shown_in_part(view: View) -> None:
    count = 260
    run = small(view.service, trials=count, limits=Limits())
    job = view.service.store.trial(run.id, 0).job
    for number in range(6, count):
        view.service.store.begin(OWNER, dataclasses.replace(job, number=number))
        view.service.past.end(dataclasses.replace(job, number=number))
    page = view.search(run)
    expect(page.locator("circle.point")).to_have_count(len(measured(view.service, run)))
    expect(page.get_by_role("table", name="trials").locator("tbody tr")).to_have_count(25)
    expect(page.locator(".pager")).to_contain_text("1 to 25 of 260")
    page.get_by_role("button", name="Accuracy").click()
    points = measured(view.service, run)
    top = max(points, key=lambda number: points[number][1])
    expect(page.locator("tbody tr[data-key]").first).to_have_attribute("data-key", str(top))
    page.get_by_role("button", name="Later").click()
    expect(page.locator(".pager")).to_contain_text("26 to 50 of 260")
    asked = []
    page.on("request", lambda request: asked.append(request.url))
    with page.expect_response(lambda response: "/events" in response.url):
        pass
    again = [url for url in asked if "/trials" in url]
    assert all("after=4&limit=1" in url or f"after={count - 1}" in url for url in again)


def test_an_absent_service_is_said_and_waited_for(view: View) -> None:
    run = small(view.service)
    page = view.search(run)
    expect(page.locator(".lines li").first).to_contain_text("epoch 1 of 4")
    page.context.set_offline(True)
    expect(page.locator("#banner")).to_be_visible()
    expect(page.locator("#banner")).to_contain_text("does not answer")
    expect(page.locator(".lines li").first).to_contain_text("epoch 1 of 4")
    view.service.past.progress(run, 5, epoch=2)
    page.context.set_offline(False)
    expect(page.locator("#banner")).to_be_hidden()
    expect(page.locator(".lines li").first).to_contain_text("epoch 2 of 4")
    excused(view)


def test_nothing_is_asked_while_nobody_looks(view: View) -> None:
    page = view.open("")
    expect(page.locator("tbody tr").first).to_be_visible()
    turn = "hidden => { Object.defineProperty(document, 'hidden', {value: hidden, configurable: true}); \
        document.dispatchEvent(new Event('visibilitychange')) }"
    page.evaluate(turn, True)
    page.wait_for_timeout(1500)  # for the round of questions that was under way
    asked = []
    page.on("request", lambda request: asked.append(request.url))
    page.wait_for_timeout(2000)
    assert asked == []
    with page.expect_request("**/v1/runs*"):
        page.evaluate(turn, False)


def test_what_is_not_there_is_said(view: View) -> None:
    page = view.open("#/searches/unheard_of")
    expect(page.get_by_role("heading", name="Not here")).to_be_visible()
    expect(page.locator("main")).to_contain_text("unheard_of")
    excused(view)


def test_an_empty_service_says_how_to_start(look: Callable[..., View], tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'nas.db'}"
    for address in served(url):
        view = look(address=address)
        page = view.open("")
        expect(page.get_by_role("heading", name="No search yet")).to_be_visible()
        words = shlex.split(page.locator(".command code").inner_text().replace("\\\n", ""))
        answer = httpx.post(words[1], json=json.loads(words[words.index("-d") + 1])).raise_for_status()
        expect(page.locator(f"tr[data-key='{answer.json()['id']}']")).to_contain_text("queued")
        page.context.close()


def places(service: Service) -> dict[str, str]:
    runs = service.runs
    return {
        "runs": "",
        "search": f"#/searches/{runs['running'].id}",
        "growth": f"#/growths/{runs['family'].id}",
        "measurement": f"#/measurements/{sampled(service.past).id}",
        "proxy": f"#/proxies/{compared(service.past, at_both=5)[0].id}",
        "models": "#/models",
        "devices": "#/devices",
        "new": "#/new",
    }


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_page_fits_a_small_screen_and_is_legible(look: Callable[..., View], scheme: str) -> None:
    view = look(width=360, scheme=scheme)
    grounds = set()
    for name, place in places(view.service).items():
        page = view.open(place)
        expect(page.locator("main .card:visible").first).to_be_visible()
        page.wait_for_load_state("networkidle")
        assert page.evaluate("document.documentElement.scrollWidth") == 360, name
        faint = page.evaluate(CONTRAST)
        assert not faint, name
        grounds.add(page.evaluate("getComputedStyle(document.body).backgroundColor"))
        page.goto("about:blank")
    assert grounds == {"rgb(245, 246, 248)" if scheme == "light" else "rgb(14, 18, 23)"}


def excused(view: View) -> None:
    """The browser's own note of a request that failed, which was the point, is no complaint."""
    assert view.complaints
    assert all(complaint.startswith("Failed to load resource") for complaint in view.complaints)
    view.complaints.clear()


# Texts whose contrast with what is behind them is below 4.5 to 1 (WCAG 2.2, AA), disabled controls aside.
CONTRAST = """() => {
  const numbers = (text) => text.match(/[\\d.]+/g).map(Number);
  const part = (value) => (value /= 255) <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
  const light = ([r, g, b]) => 0.2126 * part(r) + 0.7152 * part(g) + 0.0722 * part(b);
  const behind = (node) => {
    for (; node; node = node.parentElement) {
      const colour = numbers(getComputedStyle(node).backgroundColor);
      if (colour.length < 4 || colour[3] === 1) return colour;
    }
    return [255, 255, 255];
  };
  const faint = [];
  const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walk.nextNode()) {
    const node = walk.currentNode.parentElement;
    const said = walk.currentNode.data.trim();
    if (!said || !node.checkVisibility() || node.closest("script, noscript, :disabled")) continue;
    const style = getComputedStyle(node);
    const colour = numbers(node.ownerSVGElement ? style.fill : style.color);
    const [a, b] = [light(colour), light(behind(node))].sort((a, b) => b - a);
    const contrast = (a + 0.05) / (b + 0.05);
    if (contrast < 4.5) faint.push(`${said}: ${contrast.toFixed(2)}`);
  }
  return faint;
}"""
