"""The dashboard's other pages and what all have in common, in a real browser against the real service."""

import hashlib
import json
import re
import shlex
import time
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Literal

import httpx
import pytest
from playwright.sync_api import Route, expect

from api.app import create_app
from api.edge import Edge
from nas import classify, home
from nas.agents.errands import Introduction
from nas.client import Client
from nas.metering.history import Day, History
from nas.specs import SearchSpec
from nas.store import Store, agents
from nas.store.yardsticks import Yardsticks
from tests.browser import Service, View, best, compared, excused, keys, measured, sampled, served, small
from tests.dataset_files import draw
from tests.past import OWNER, SEARCH
from tests.pictures import exported
from tests.service import serving
from tests.test_files import fill
from tests.waiting import PATIENCE_SECONDS, eventually


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


def test_a_measurement_has_a_line_for_each_network_and_device(view: View) -> None:
    run = sampled(view.service.past)
    page = view.open("")
    page.get_by_role("link", name="Sample").click()
    page.wait_for_url(f"**/#/benchmarks/{run.id}")
    expect(page.locator(".counts")).to_contain_text("3 of 4 measurements · 1 failed")
    expect(page.locator(".objective")).to_contain_text("2 networks of space mbconv")
    rows = page.locator("table[aria-label='latencies'] tbody tr")
    expect(rows).to_have_count(4)
    expect(rows.nth(0)).to_contain_text("0.250 ms")
    expect(rows.nth(1)).to_contain_text("DeviceError: no GPU here")
    expect(rows.nth(2)).to_contain_text("0.250 ms ± 40.0 %noisy")
    expect(rows.nth(2)).to_contain_text("known to ± 40 % only, as the machine took 1.8 times as long as at best")
    expect(rows.nth(3)).to_contain_text("queued")
    expect(page.get_by_role("button", name="Raise budget")).to_be_hidden()
    page.get_by_role("button", name="Stop").click()
    expect(page.locator(".heading .pill")).to_have_text("stopping")
    view.service.store.claims.release(run.id, OWNER, "stopped")
    expect(rows.nth(3)).to_contain_text("cancelled")


def test_a_proxy_shows_its_report_as_it_fills_up(view: View) -> None:
    store = view.service.store
    run, dear = compared(view.service.past, at_both=2)
    page = view.open(f"#/proxies/{run.id}")
    expect(page.locator(".counts")).to_contain_text("7 of 10 trainings · 2 running")
    expect(page.locator(".lines li").first).to_contain_text("Dear 2")
    expect(page.get_by_text("from four candidates on: 2 are compared yet")).to_be_visible()
    for number in (7, 8):
        store.claims.end(OWNER, number, run.id, "done", dear[number - 5])
    expect(page.locator("table[aria-label='orderings'] tbody tr")).to_have_count(5)
    row = page.locator("tr[data-key='cheap recipe']")
    expect(row).to_contain_text("1.00 [1.00, 1.00]")
    expect(page.locator("tr[data-key='zen']")).to_contain_text("–")
    expect(page.locator("tr[data-key='multiply-adds']")).to_contain_text("-1.00")
    expect(page.locator("table[aria-label='candidates'] tbody tr")).to_have_count(4)
    first = page.locator("table[aria-label='candidates'] tbody tr").first
    expect(first).to_contain_text("50.00 %")
    expect(first.locator("td")).to_have_text(["0", "50.00 %", "50.00 %", "1.00 k", "5.00 k", "−∞", "–", "–", "1.50"])


def test_a_family_is_a_table_a_chart_and_downloads(view: View) -> None:
    run = view.service.runs["family"]
    page = view.growth(run)
    table = page.get_by_role("table", name="family")
    expect(table.locator("tbody tr")).to_have_count(4)
    expect(table.locator("tr[data-key='B0']")).to_contain_text("epoch 7 of 20")
    expect(table.locator("tr[data-key='B2']")).to_contain_text("± 10.00 %")
    expect(table.locator("tr[data-key='B2']")).to_contain_text("B1, B3")  # with an error so large all are tied
    assert keys(page, "circle.point") == {"side-1 B1", "side-1 B2", "side-1 B3"}
    model = view.service.store.model(f"{run.id}-0")
    with page.expect_download() as download:
        table.locator("tr[data-key='B3']").get_by_role("link", name="Download").click()
    assert hashlib.sha256(Path(download.value.path()).read_bytes()).hexdigest() == model.sha256
    whole = fill(model.sha256, refused="model.pt2")
    table.locator("tr[data-key='B3']").get_by_role("button", name="Use it").click()
    dialog = page.get_by_role("dialog")
    expect(dialog.locator("pre")).to_contain_text(f"{view.address}/v1/models/{model.id}/archive?as=zip")
    place = dialog.bounding_box()
    dialog.get_by_role("radio", name="Python").check()
    expect(dialog.locator("pre")).to_contain_text(f'network = nas.load("{view.address}/v1/models/{model.id}")')
    expect(dialog.get_by_role("listitem").filter(has_text="model.onnx")).to_contain_text("90.00 % of 1000 images")
    expect(dialog).to_contain_text("not as pt2: it scores 0.9")
    filled = dialog.bounding_box()
    assert place
    assert filled
    assert {place[side] - filled[side] for side in ("x", "y", "width")} == {0}  # what one is about to click on stays
    with page.expect_download() as download:
        dialog.get_by_role("link", name="all of it as zip").click()
    assert download.value.suggested_filename == f"{whole.name}.zip"
    dialog.get_by_role("radio", name="int8").check()
    expect(dialog.locator("pre")).to_contain_text(f"{view.address}/v1/models/{model.id}/files/model.int8.onnx")
    dialog.get_by_role("radio", name="Archive").check()
    expect(dialog.locator("pre")).to_contain_text(f"unzip model.zip && cd {whole.name} ")
    with page.expect_download() as download:
        dialog.get_by_role("link", name="model.onnx").click()
    named = next(file for file in whole.files if file.name == "model.onnx")
    assert hashlib.sha256(Path(download.value.path()).read_bytes()).hexdigest() == named.sha256
    dialog.get_by_role("button", name="Close").click()
    expect(dialog).to_have_count(0)
    view.open("#/models")
    expect(page.locator("tbody tr")).to_have_count(3)
    expect(page.locator(f"tr[data-key='{model.id}']")).to_contain_text(model.sha256[:12])


def test_models_that_are_called_the_same_are_told_apart_by_their_runs(view: View) -> None:
    past, old = view.service.past, view.service.runs["old"]
    runs = [past.growth(old, 15, 1, running=0, name=name) for name in ("Twins", "Twins", "Alone")]
    page = view.open("#/models")
    for run, told in zip(runs, (True, True, False)):
        row = page.locator(f"tr[data-key='{run.id}-0']")
        expect(row.locator("td").first).to_contain_text(f"of {run.name}{f'{run.id} · ' if told else ''}fashion_mnist")


def test_each_training_of_a_family_is_counted_and_has_a_line(view: View) -> None:
    past, old = view.service.past, view.service.runs["old"]
    run = past.growth(old, 15, 0, running=2, members=("B0", "B1"), seeds=2, scored_on="both")
    page = view.growth(run)
    expect(page.locator(".counts")).to_contain_text("0 of 8 trainings · 2 running")
    expect(page.locator(".lines .who")).to_have_text(["B1 seed 0", "B1 seed 1"])
    past.end(past.store.trial(run.id, 0).job)
    expect(page.locator(".lines .who")).to_have_text(["B1 seed 1", "free"])
    expect(page.locator("tr[data-key='B0']")).to_contain_text("queued")
    past.store.claims.end(OWNER, 1, run.id, "cancelled")
    past.store.claims.release(run.id, OWNER, "cancelled")
    expect(page.locator("tr[data-key='B0']")).to_contain_text("skippedthe growth was cancelled before its turn")
    run = past.growth(old, 15, 0, running=3, members=("B0",), seeds=3, parallel=3)
    view.growth(run)
    expect(page.locator(".counts")).to_contain_text("0 of 3 trainings · 3 running")
    expect(page.locator(".lines .who")).to_have_text([f"B0 seed {seed}" for seed in range(3)])


def test_a_run_that_had_no_need_of_all_its_trainings_is_all_there(view: View) -> None:
    past = view.service.past
    run = past.growth(view.service.runs["old"], 15, 6, running=0, members=("B0", "B1"), seeds=2, scored_on="both")
    page = view.growth(run)
    bar = page.locator(".how-far").get_by_role("progressbar")
    expect(bar).to_have_attribute("aria-valuenow", "75")
    past.store.claims.release(run.id, OWNER, "finished")
    expect(bar).to_have_attribute("aria-valuenow", "100")
    expect(page.locator(".counts")).to_contain_text("6 of at most 8 trainings")
    view.open("")
    row = page.locator(f"tr[data-key='{run.id}']")
    expect(row.get_by_role("progressbar")).to_have_attribute("aria-valuenow", "100")
    expect(row).to_contain_text("6 of at most 8")


@pytest.mark.parametrize("width", [1280, 768, 360])
def test_all_of_a_family_that_is_scored_on_both_is_in_sight(look: Callable[..., View], width: int) -> None:
    view = look(width=width)
    past, old = view.service.past, view.service.runs["old"]
    run = past.growth(old, 15, 12, running=0, members=("B0", "B1", "B2", "B3"), seeds=2, scored_on="both")
    page = view.growth(run)
    table = page.get_by_role("table", name="family")
    expect(table).to_contain_text(re.compile(r"no better than B\d"))
    assert table.evaluate("table => table.parentNode.scrollWidth - table.parentNode.clientWidth") == 0
    row = table.locator("tr[data-key='B0']")
    for title in ("Validation accuracy", "Test accuracy"):
        score = row.locator(f"td[data-title='{title}']")
        expect(score).to_contain_text(re.compile(r"[\d.]+ ± [\d.]+ %"))
        expect(score).to_be_visible()
        said = score.evaluate("cell => getComputedStyle(cell, '::before').content")
        assert said == (f'"{title}"' if width == 360 else "none")
    ties = table.locator("th", has_text="Tied with")
    expect(ties).to_be_visible(visible=width == 1280)
    run = past.growth(old, 15, 0, members=("B0", "B1"), scored_on="both")
    view.growth(run)
    expect(table.locator("tbody tr")).to_have_count(2)
    expect(ties).to_be_hidden()
    expect(table.locator("td[data-title='Tied with']:visible")).to_have_count(0)


def test_a_name_is_not_broken_for_the_tags_behind_it(view: View) -> None:
    run = small(view.service, name="Fashion, 5 M multiply-adds, again")
    view.service.store.write_label(run.id, tags=("roses", "red", "late"))
    page = view.open("")
    name = page.locator(f"tr[data-key='{run.id}']").get_by_role("link")
    expect(name).to_be_visible()
    assert name.evaluate("link => link.getClientRects().length") == 1


def test_a_photo_that_is_dropped_is_shown_to_the_network(view: View, tmp_path: Path) -> None:
    run = view.service.runs["family"]
    model = view.service.store.model(f"{run.id}-1")
    if not (home.folder("archives") / model.sha256).exists():
        fill(model.sha256)
    network = exported(home.folder("archives") / model.sha256 / "model.onnx")
    photo = draw(tmp_path / "rose.png", (200, 30, 60), (90, 60))
    expected = classify.Classifier(network).probabilities(photo)
    page = view.growth(run)
    row = page.get_by_role("table", name="family").locator("tr", has=page.locator(f"a[href*='{model.id}']"))
    row.get_by_role("button", name="Use it").click()
    dialog = page.get_by_role("dialog")
    drop = """(zone, [name, data]) => {
      const files = new DataTransfer();
      files.items.add(new File([Uint8Array.from(data)], name, { type: "image/png" }));
      zone.dispatchEvent(new DragEvent("drop", { dataTransfer: files, bubbles: true, cancelable: true }));
    }"""
    dialog.locator(".drop").evaluate(drop, ["rose.png", list(photo.read_bytes())])
    expect(dialog.locator(".seen")).to_contain_text("rose.png, by model.onnx:")
    answers = dialog.locator(".answers li")
    expect(answers).to_have_text([f"{name}{100 * share:.1f} %" for name, share in expected.items()])
    expect(dialog.locator("canvas")).to_be_visible()
    dialog.get_by_label("Drop a photo here").set_input_files(
        {"name": "text.png", "mimeType": "image/png", "buffer": b"none"}
    )
    expect(dialog.locator(".seen")).to_contain_text("cannot be shown to the network: it is no image of a known kind")
    expect(answers).to_have_count(0)
    excused(view)


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
    expect(page.locator(".command")).to_contain_text(f"curl -f -O {view.address}/v1/agent.pyz\n")
    clock, asked = page.clock, list[str]()
    clock.install()  # the page's time stands still: what it asks for it was told of
    clock.pause_at(datetime.now() + timedelta(seconds=30))
    page.on("request", lambda request: asked.append(request.url))
    monkeypatch.setattr(agents, "ONLINE_SECONDS", float("inf"))

    def told() -> bool:
        clock.run_for(500)
        return any(url.endswith("/v1/devices") for url in asked)

    eventually(told)
    expect(row).to_contain_text("online")
    clock.resume()
    view.open("#/new")
    expect(page.locator(".field", has=page.get_by_label("Devices", exact=True)).locator(".hint")).to_contain_text(
        "remote:pi4"
    )


@pytest.fixture
def guarded(tmp_path: Path) -> Iterator[tuple[Store, str]]:
    """A service at which everybody has to sign in, and where it is."""
    store = Store(f"sqlite:///{tmp_path}/guarded.db")
    with serving(create_app(store, Edge())) as url:
        yield store, url
    store.close()


def test_a_page_knows_from_its_beginning_who_is_signed_in(
    guarded: tuple[Store, str], look: Callable[..., View]
) -> None:
    store, address = guarded
    token = store.tokens.create("Zed", "admin")[1]
    view = look(address=address)
    page = view.open(f"#/sign-in/{token}")
    expect(page.get_by_role("button", name="Sign out Zed")).to_be_visible()

    def late(route: Route) -> None:
        time.sleep(0.5)
        route.continue_()

    page.route("**/v1/session", late)
    view.open("#/devices")
    page.reload()
    expect(page.locator(".command")).to_contain_text(
        f'curl -f -O {address}/v1/agent.pyz \\\n  -H "Authorization: Bearer $NAS_AGENT_TOKEN"\n'
    )
    view.open("#/sign-in")  # which there is no need to
    expect(page.get_by_role("heading", name="Runs")).to_be_visible()
    expect(page.get_by_role("button", name="Sign out Zed")).to_be_visible()
    page.go_back()
    expect(page.locator(".command")).to_be_visible()  # of the devices
    page.get_by_role("button", name="Sign out Zed").click()
    expect(page.get_by_role("button", name="Sign in")).to_be_visible()
    expect(page.locator("#who")).to_be_hidden()
    excused(view)


@pytest.mark.parametrize("address", ["#/nowhere", "#/searches/%E0%A4%A"])
def test_an_address_that_is_none_says_so_to_whoever_is_signed_in(
    guarded: tuple[Store, str], look: Callable[..., View], address: str
) -> None:
    store, service = guarded
    view = look(address=service)
    page = view.open(f"#/sign-in/{store.tokens.create('Zed', 'read')[1]}")
    expect(page.get_by_role("button", name="Sign out Zed")).to_be_visible()
    view.open("")
    page.evaluate("address => { location.hash = address; location.reload(); }", address)
    expect(page.get_by_text("There is no such page.")).to_be_visible()
    expect(page.get_by_role("button", name="Sign out Zed")).to_be_visible()


@pytest.mark.parametrize("then", ["link", "button"])
def test_nobody_is_signed_in_whose_token_was_revoked(
    guarded: tuple[Store, str], look: Callable[..., View], then: Literal["link", "button"]
) -> None:
    store, address = guarded
    (token, text), admin = store.tokens.create("Zed", "write"), store.tokens.create("anna", "admin")[1]
    view = look(address=address)
    page = view.open(f"#/sign-in/{text}")
    expect(page.get_by_role("button", name="Sign out Zed")).to_be_visible()
    view.open("#/nowhere")  # where nothing is asked that would tell
    expect(page.get_by_text("There is no such page.")).to_be_visible()
    with Client(address, admin) as client:
        client.revoke_token(token.id)
    page.get_by_role(then, name={"link": "Models", "button": "Sign out Zed"}[then]).click()
    expect(page.get_by_role("button", name="Sign in")).to_be_visible()
    expect(page.locator("#who")).to_be_hidden()
    eventually(lambda: view.complaints)
    excused(view)


def test_devices_show_how_fast_they_were_day_by_day(view: View, monkeypatch: pytest.MonkeyPatch) -> None:
    way = {"device": "cpu", "processor": "EPYC", "runtime": "onnxruntime 1.20", "yardstick": "3 of ab"}
    days = tuple(Day(day=20_000 + place, best_ms=best_ms) for place, best_ms in enumerate((0.5, 0.52, 1.0, 0.75)))
    seen = (History(way=way, days=days), History(way=way | {"device": "cuda"}, days=days[:1]))
    monkeypatch.setattr(Yardsticks, "known", lambda _: seen)
    page = view.open("#/devices")
    row = page.get_by_role("row", name="EPYC").filter(has_text="cpu")
    expect(row).to_contain_text("EPYC · onnxruntime 1.20")
    expect(row).to_contain_text("1.50 times as long as at best")
    expect(row.get_by_label("4 days, of which it was slower than at best on 2")).to_be_visible()
    assert [float(bar.get_attribute("height") or 0) for bar in row.locator("rect").all()] == pytest.approx(
        [32 * 0.5 / best_ms for best_ms in (0.5, 0.52, 1.0, 0.75)]
    )
    expect(row.locator("rect.slow")).to_have_count(2)
    expect(page.get_by_role("row", name="cuda").filter(has_text="EPYC")).to_contain_text("at its best")


def test_what_waits_is_moved_before_the_others(view: View) -> None:
    store = view.service.store
    waiting = [store.add_run("search", SearchSpec(dataset="fashion_mnist", name=name)).id for name in ("one", "two")]
    page = view.open("")
    queue = page.locator(".queue li")
    expect(queue.get_by_role("link")).to_have_text(["one", "two"])
    expect(queue.first).to_contain_text("behind ")
    queue.last.get_by_role("button", name="First").click()
    expect(queue.get_by_role("link")).to_have_text(["two", "one"])
    expect(queue.first.get_by_role("button", name="First")).to_be_focused()
    page = view.search(store.run(waiting[1]))
    expect(page.locator(".log")).to_contain_text("first of those that wait")
    page.get_by_role("button", name="Later").click()
    expect(page.locator(".log")).to_contain_text("last of those that wait")
    for run in waiting:
        store.wish(run, "cancel")
    expect(page.locator(".turns")).to_be_hidden()


def test_times_have_one_format_whatever_the_browsers_language(view: View) -> None:
    run = small(view.service)
    view.service.store.note(run.id, "note", "once upon a time")
    page = view.search(run)
    entry = page.locator(".log li", has_text="once upon a time").locator("time")
    expect(entry).to_have_text(re.compile(r"^\d{1,2} \w{3,4} \d{4}, \d\d:\d\d$|^\d\d:\d\d:\d\d$"))
    expect(entry).to_have_attribute("title", re.compile(r"^\d{1,2} \w{3,4} \d{4}, \d\d:\d\d$"))
    expect(page.locator(".counts")).to_contain_text(re.compile(r"started \d{1,2} \w{3,4} \d{4}, \d\d:\d\d"))


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


def test_what_was_typed_stays_while_the_service_is_gone(view: View) -> None:
    count = len(view.service.store.runs())
    page = view.open("#/new")
    page.get_by_label("Name").fill("typed with care")
    page.get_by_label("Trials").fill("7")
    page.context.set_offline(True)
    page.get_by_role("button", name="Start the search").click()
    expect(page.locator(".proposal > .error")).to_contain_text("does not answer")
    for label, value in (("Name", "typed with care"), ("Trials", "7")):
        expect(page.get_by_label(label, exact=True)).to_have_value(value)
    page.context.set_offline(False)
    page.get_by_role("button", name="Start the search").click()
    page.wait_for_url("**/#/searches/*")
    expect(page.get_by_role("heading", level=1)).to_have_text("typed with care")
    run = view.service.store.runs()[0]
    assert (len(view.service.store.runs()), run.trials) == (count + 1, 7)
    view.service.store.wish(run.id, "cancel")
    excused(view)


def test_a_form_that_is_opened_while_the_service_is_gone_is_not_blank(view: View) -> None:
    page = view.open("#/devices")
    expect(page.get_by_role("heading", name="Devices")).to_be_visible()
    page.context.set_offline(True)
    page.get_by_role("link", name="New search").click()
    expect(page.locator("main")).to_have_text("Here is a page as soon as the service answers.")
    expect(page.locator("#banner")).to_contain_text("does not answer")
    page.context.set_offline(False)
    expect(page.get_by_role("button", name="Start the search")).to_be_visible()
    expect(page.locator("#banner")).to_be_hidden()
    excused(view)


def test_a_run_that_has_ended_is_not_asked_for_again_until_it_changes(view: View) -> None:
    run, store = small(view.service), view.service.store
    store.claims.release(run.id, OWNER, "finished")
    clock, asked = view.page.clock, list[str]()
    clock.install(time=0)
    clock.pause_at(1)
    with view.page.expect_request(lambda request: "/v1/events" in request.url):
        page = view.search(run)

    def settled() -> bool:
        """Not even as rarely as where nothing is told."""
        asked.clear()
        clock.run_for(16_000)
        page.evaluate("fetch('v1/health')")  # whatever was asked before has been answered before this
        return not asked

    page.on("request", lambda request: asked.append(request.url) if "health" not in request.url else None)
    eventually(settled)
    store.note(run.id, "note", "looked at")

    def heard() -> bool:
        clock.run_for(200)
        return any("/events?after" in url for url in asked)

    eventually(heard)
    expect(page.locator(".log li").first).to_contain_text("looked at")


def test_without_streams_it_is_asked_now_and_then(look: Callable[..., View]) -> None:
    view = look()
    view.page.route("**/v1/events?*", lambda route: route.fulfill(status=429, json={}))
    run = small(view.service)
    page = view.search(run)
    expect(page.locator(".lines li").first).to_contain_text("epoch 1 of 4")
    view.service.past.progress(run, 5, epoch=2)
    expect(page.locator(".lines li").first).to_contain_text("epoch 2 of 4")
    excused(view)


def test_nothing_is_asked_while_nobody_looks(view: View) -> None:
    asked: list[str] = []
    clock = view.page.clock
    clock.install(time=0)
    clock.pause_at(1)  # from now on the page's time passes only as it is told to here
    view.page.on("request", lambda request: asked.append(request.url))
    page = view.open("")
    expect(page.locator("tbody tr").first).to_be_visible()

    def asks() -> bool:
        clock.run_for(200)
        return any("/v1/runs" in address for address in asked)  # with which every round begins

    def turn(hidden: bool) -> None:
        asked.clear()
        code = "hidden => { Object.defineProperty(document, 'hidden', {value: hidden, configurable: true}); \
            document.dispatchEvent(new Event('visibilitychange')) }"
        page.evaluate(code, hidden)

    asked.clear()
    eventually(asks)
    turn(True)
    assert not any(asks() for _ in range(100))
    turn(False)
    eventually(asks)


@pytest.mark.parametrize("of", ["search", "growth", "benchmark", "proxy", "list", "models", "devices", "comparison"])
def test_nothing_breaks_that_is_clicked_before_it_is_known(view: View, of: str) -> None:
    runs, page = view.service.runs, view.page
    places = {
        "search": f"searches/{runs['old'].id}",
        "growth": f"growths/{runs['family'].id}",
        "benchmark": f"benchmarks/{sampled(view.service.past).id}",
        "proxy": f"proxies/{compared(view.service.past, 5)[0].id}",
        "list": "",
        "comparison": f"compare/{runs['old'].id},{runs['running'].id}",
    }
    page.route("**/v1/**", lambda _: None)  # nothing is answered
    page.route("**/v1/session", lambda route: route.continue_())  # but who is looking
    view.open(f"#/{places.get(of, of)}")
    expect(page.locator("main .card").first).to_be_attached()
    for control in page.locator("main :is(button, input):not([inert] *):visible:enabled").all():
        control.click()
        page.keyboard.press("Escape")  # what asks whether somebody is sure
    page.unroute("**/v1/**")


def test_what_is_not_there_is_said(view: View) -> None:
    page = view.open("#/searches/unheard_of")
    expect(page.get_by_role("heading", name="Not here")).to_be_visible()
    expect(page.locator("main")).to_contain_text("unheard_of")
    family = view.service.runs["family"]
    view.open(f"#/searches/{family.id}")
    page.get_by_role("link", name="here it is").click()
    page.wait_for_url(f"**/#/growths/{family.id}")
    excused(view)


def test_what_is_not_to_come_is_not_said_to_be_read(view: View) -> None:
    run = view.service.runs["old"]
    page = view.open(f"#/searches/{run.id}/trials/99")
    expect(page.get_by_role("heading", level=1)).to_have_text("There is no trial 99")
    expect(page.get_by_text("Reading the").locator("visible=true")).to_have_count(0)
    page.get_by_role("link", name="The search, with all its trials").click()
    expect(page.get_by_role("table", name="trials")).to_be_visible()
    view.open(f"#/searches/{run.id}?target=abc")
    expect(page.locator(".ranking .error")).to_contain_text("target")
    expect(page.get_by_text("Reading the").locator("visible=true")).to_have_count(0)
    page.get_by_role("button", name="As searched").click()
    expect(page.get_by_role("table", name="trials")).to_be_visible()
    expect(page.get_by_role("heading", name="Best trial")).to_be_visible()
    expect(page.locator(".chart-note").first).to_be_hidden()
    page.wait_for_url(f"**/#/searches/{run.id}")
    excused(view)


def test_an_empty_service_says_how_to_start(look: Callable[..., View], tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'nas.db'}"
    for address in served(url):
        view = look(address=address)
        page = view.open("")
        expect(page.get_by_role("heading", name="No search yet")).to_be_visible()
        words = shlex.split(page.locator(".command code").inner_text().replace("\\\n", ""))
        answer = httpx.post(words[1], json=json.loads(words[words.index("-d") + 1]), timeout=PATIENCE_SECONDS)
        answer.raise_for_status()
        expect(page.locator(f"tr[data-key='{answer.json()['id']}']")).to_contain_text("queued")
        page.context.close()


def places(service: Service) -> dict[str, str]:
    runs = service.runs
    return {
        "runs": "",
        "search": f"#/searches/{runs['running'].id}",
        "growth": f"#/growths/{runs['family'].id}",
        "benchmark": f"#/benchmarks/{sampled(service.past).id}",
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
