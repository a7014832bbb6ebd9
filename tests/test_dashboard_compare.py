"""Runs side by side and their addresses, in a real browser against the real service."""

import csv
import dataclasses
import io
import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest
from PIL import Image
from playwright.sync_api import expect

from nas.networks import describe
from nas.specs import GrowthSpec
from tests.browser import View, excused, keys, small
from tests.past import OWNER, SEARCH


def test_runs_are_ticked_and_stand_side_by_side(view: View) -> None:
    past, one = view.service.past, view.service.runs["old"]
    other = past.search(dataclasses.replace(SEARCH, name="<b>Other</b>", seed=3, trials=9), 6)
    page = view.open("")
    for name in ("Fashion, first try", "<b>Other</b>"):
        page.get_by_role("checkbox", name=f"Compare {name}", exact=True).check()
    page.get_by_role("link", name="Compare 2 runs").click()
    page.wait_for_url(f"**/#/compare/{one.id},{other.id}")
    front = page.locator("section", has=page.get_by_role("heading", name="Fronts"))
    expect(front.locator("circle.side-1.chosen")).to_have_count(1)
    expect(front.locator("circle.side-2.chosen")).to_have_count(1)
    expect(page.locator("table[aria-label='requests'] tr", has_text="trials")).to_contain_text("30" + "9")
    expect(page.locator("table[aria-label='knobs'] .apart")).not_to_have_count(0)
    page.get_by_label("Add").fill(f"{other.id}:0")
    page.get_by_role("button", name="Compare", exact=True).click()
    page.wait_for_url(f"**/#/compare/{one.id},{other.id},{other.id}:0")
    page.get_by_label("Add").fill(other.id)  # which is there
    page.get_by_role("button", name="Compare", exact=True).click()
    expect(page.locator(".compared li").nth(2)).to_contain_text("<b>Other</b>, trial 0")
    page.get_by_label("Cost").select_option("latency_ms")
    expect(page.get_by_text(re.compile(r"ʷ, w = \S+\. Latency is that on cpu\.$"))).to_be_visible()
    page.get_by_label("Cost").select_option("params")
    expect(front.locator(".axis-title").first).to_have_text("Parameters")
    page.reload()
    expect(front.locator(".axis-title").first).to_have_text("Parameters")
    page.get_by_role("button", name="Leave out Fashion, first try").click()
    page.wait_for_url(f"**/#/compare/{other.id},{other.id}:0?cost=params&target=*")
    page.get_by_label("Add").fill("nothing")
    page.get_by_role("button", name="Compare", exact=True).click()
    expect(page.get_by_role("alert").filter(has_text="there is no run 'nothing'")).to_be_visible()
    excused(view)
    expect(page.get_by_text("there is no run 'nothing'")).to_be_visible()
    expect(page.locator("circle.point")).to_have_count(0)
    page.get_by_role("button", name="Leave out nothing").click()
    expect(front.locator("circle.side-1.chosen")).to_have_count(1)
    expect(page.locator(".compared li")).to_have_count(2)


def test_of_different_images_it_is_said_that_accuracies_do_not_compare(view: View) -> None:
    past, one = view.service.past, view.service.runs["old"]
    spec = dataclasses.replace(SEARCH, name="Others", dataset="images:others", trials=4)
    for other, apart in ((past.search(spec, 4), True), (past.search(dataclasses.replace(SEARCH, trials=4), 4), False)):
        page = view.open(f"#/compare/{one.id},{other.id}")
        expect(page.get_by_text("All are ranked by the same")).to_be_visible()
        expect(page.get_by_text("They are of different images")).to_have_count(int(apart))


def test_what_is_looked_at_is_in_the_address(view: View) -> None:
    run = view.service.runs["old"]
    page = view.open(f"#/searches/{run.id}?trial=3&cost=params&target=200000&w=-0.5&sort=Accuracy")
    expect(page.get_by_role("heading", name="Trial 3", exact=True)).to_be_visible()
    expect(page.get_by_role("radio", name="Parameters")).to_be_checked()
    expect(page.get_by_role("spinbutton", name="Target")).to_have_value("200000")
    expect(page.get_by_role("spinbutton", name="Exponent w")).to_have_value("-0.5")
    order = page.locator("table[aria-label='trials'] th", has_text="Accuracy")
    expect(order).to_have_attribute("aria-sort", "ascending")
    order.get_by_role("button").click()
    page.get_by_role("button", name="As searched").click()
    page.wait_for_url(f"**/#/searches/{run.id}?trial=3&sort=-Accuracy")
    page.get_by_text("How it grew").click()
    expect(page.locator("details circle.side-1").first).to_be_visible()
    page.get_by_role("link", name="On its own").click()
    page.wait_for_url(f"**/#/searches/{run.id}/trials/3")


def test_a_trial_is_a_page(view: View) -> None:
    run = view.service.runs["old"]
    page = view.open(f"#/searches/{run.id}/trials/29")
    expect(page.get_by_text("loss is not finite at epoch 2")).to_be_visible()
    job = view.service.store.trial(run.id, 29).job
    expect(page.locator("table[aria-label='stages'] tbody tr")).to_have_count(len(describe.table(job.architecture)))
    expect(page.get_by_role("columnheader", name="Latency")).to_have_count(0)  # it failed
    picture = page.get_by_role("img", name="The network of trial 29")
    expect(picture).to_have_attribute("src", re.compile("/drawing$"))  # which comes once the trial is known
    assert picture.evaluate("image => image.decode().then(() => image.naturalWidth > 0)")
    page.locator("table[aria-label='relatives']").get_by_role("link", name="Trial").first.click()
    expect(page.get_by_role("heading", level=1)).not_to_have_text("Trial 29")
    expect(page.locator(".figures")).to_contain_text("%")
    stages = page.locator("table[aria-label='stages']")
    expect(stages.get_by_role("columnheader", name="Latency on cpu")).to_be_visible()
    shares = [int(words.split()[0]) for words in stages.locator("td:last-child").all_inner_texts()]
    assert sum(shares) == pytest.approx(100, abs=len(shares) / 2)


def test_a_run_is_named_tagged_and_found_again(view: View) -> None:
    run = small(view.service, name="before")
    page = view.search(run)
    page.get_by_role("button", name="Edit").click()
    dialog = page.get_by_role("dialog", name="Name and note")
    dialog.get_by_label("Name", exact=True).fill("never")
    dialog.get_by_role("button", name="Discard changes").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("before")
    page.get_by_role("button", name="Edit").click()
    dialog.get_by_label("Name", exact=True).fill("after")
    dialog.get_by_label("Tags").fill("roses, red")
    dialog.get_by_label("Note").fill("first\nsecond")
    dialog.get_by_role("button", name="Save").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("after")
    expect(page.locator(".tags")).to_have_text("rosesred")
    view.open("#/?text=roses")
    expect(page.locator("table[aria-label='runs'] tbody tr")).to_have_count(1)
    view.service.store.write_label(run.id, archived=True)
    page.reload()
    expect(page.get_by_text("No run is like that.")).to_be_visible()
    page.get_by_role("checkbox", name="Archived").check()
    expect(page.get_by_role("link", name="after")).to_be_visible()
    page.wait_for_url("**/#/?text=roses&archived=true")


def test_what_was_predicted_is_drawn_against_what_was_measured(view: View) -> None:
    past, store = view.service.past, view.service.store
    run = small(view.service, trials=20)
    for number in range(6, 9):
        job = dataclasses.replace(store.trial(run.id, 0).job, number=number, predicted_ms=number / 4)
        store.claims.begin(OWNER, job)
        past.end(job)
    page = view.search(run)
    page.get_by_text("Predicted against measured").click()
    card = page.locator("details", has_text="Predicted against measured")
    expect(card.locator("circle.side-1")).to_have_count(3)
    expect(card).to_contain_text(re.compile(r"3 predictions were [\d.]+ % off on average"))
    page.goto(f"{view.address}/#/searches/{run.id}/trials/7")
    expect(page.locator(".figures")).to_contain_text("Predicted latency1.75 ms")


def test_what_a_chart_has_not_is_said_between_its_axes(look: Callable[..., View]) -> None:
    view = look(width=360)
    page = view.search(view.service.runs["old"])
    page.get_by_text("Predicted against measured").click()
    card = page.locator("details", has_text="Predicted against measured")
    note = card.locator(".chart-note")
    expect(note).to_have_text("No latency that was predicted has been measured yet.")
    upwards, words = card.locator(".axis-title", has_text="Measured").bounding_box(), note.bounding_box()
    assert upwards
    assert words
    assert upwards["x"] + upwards["width"] < words["x"]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_picture_of_a_network_is_as_dark_as_its_page_and_large_enough(
    look: Callable[..., View], scheme: str
) -> None:
    view = look(width=360, scheme=scheme)
    page = view.open(f"#/searches/{view.service.runs['old'].id}/trials/15")
    picture = page.get_by_role("img", name="The network of trial 15")
    expect(picture).to_have_attribute("src", re.compile("/drawing$"))  # which comes once the trial is known
    assert picture.evaluate("image => image.decode().then(() => image.clientWidth)") == 960
    assert page.evaluate("document.documentElement.scrollWidth") == 360
    seen = Image.open(io.BytesIO(page.get_by_role("region", name="The network as a picture").screenshot()))
    corner = seen.convert("RGB").getpixel((20, seen.height - 4))
    assert corner == {"light": (255, 255, 255), "dark": (22, 27, 34)}[scheme]


def test_a_latency_of_a_member_that_is_known_roughly_has_a_badge(view: View) -> None:
    past, store = view.service.past, view.service.store
    run = past.growth(view.service.runs["old"], 15, 1)
    job = store.trial(run.id, 1).job
    measured = past.measured(job)
    rough = dataclasses.replace(measured.latencies["cpu"], error_ms=0.4 * measured.latencies["cpu"].median_ms)
    store.claims.end(OWNER, 1, run.id, "done", dataclasses.replace(measured, latencies={"cpu": rough}, weights=None))
    page = view.growth(run)
    expect(page.locator(".noisy")).to_have_count(1)
    expect(page.locator(".noisy")).to_have_attribute("title", "known to ± 40 % only")


def test_the_figure_of_a_family_is_taken_away(view: View) -> None:
    run = view.service.runs["family"]
    page = view.growth(run)
    expect(page.locator(".error-bars")).to_have_attribute("d", re.compile(r"^(M[\d.]+,[\d.]+ V[\d.]+ ?){3}$"))
    shares = page.locator(".chart text").filter(has_text=re.compile(r"^[\d.]+ %$")).all_text_contents()
    assert max(float(share.removesuffix(" %")) for share in shares) == 100, "with an error of ten points, too"
    files = {}
    for kind in ("svg", "png", "csv"):
        with page.expect_download() as download:
            page.get_by_role("button", name=kind.upper(), exact=True).click()
        assert download.value.suggested_filename == f"family-{run.id}.{kind}"
        files[kind] = Path(download.value.path()).read_bytes()
    assert len(ElementTree.fromstring(files["svg"]).findall(".//{*}circle[@data-key]")) == 3
    assert files["png"].startswith(b"\x89PNG")
    rows = list(csv.DictReader(io.StringIO(files["csv"].decode())))
    members = [trial.job.member for trial in view.service.store.trials(run.id)]
    assert {row["member"] for row in rows} == set(members)
    assert sum(bool(row["test_accuracy"]) for row in rows) == 3
    for row, member in zip(rows, httpx.get(f"{view.address}/v1/growths/{run.id}").json()["family"], strict=True):
        plotted = {"latency_ms:cpu": member["latencies_ms"].get("cpu", "")}
        plotted |= {cost: member[cost] for cost in ("mult_adds", "params", "peak_memory", "model_bytes")}
        assert {name: row[name] for name in plotted} == {name: str(value) for name, value in plotted.items()}
    assert "value" not in rows[0], "which is the accuracy"


def test_the_figure_of_a_family_has_the_metric_that_members_are_compared_by(view: View) -> None:
    run = view.service.past.growth(view.service.runs["old"], 15, 1, metric="macro_f1", devices=("cpu", "cpu_eager"))
    page = view.growth(run)
    with page.expect_download() as download:
        page.get_by_role("button", name="CSV", exact=True).click()
    heading = Path(download.value.path()).read_text(encoding="utf-8").splitlines()[0].split(",")
    assert heading[-4:] == ["value", "value_error", "latency_ms:cpu", "latency_ms:cpu_eager"]


def test_a_family_is_drawn_over_any_cost_with_its_search_behind_it(view: View) -> None:
    run = view.service.runs["family"]
    assert isinstance(run.spec, GrowthSpec)
    assert run.spec.source
    page = view.growth(run)
    expect(page.locator("circle.side-1")).to_have_count(3)
    first = page.locator("circle.side-1").first
    before = first.get_attribute("cx")
    page.get_by_label("Over", exact=True).select_option("params")
    expect(page.locator(".chart .axis-title").first).to_have_text("Parameters")
    assert first.get_attribute("cx") != before
    page.get_by_label("Over", exact=True).select_option("latency_ms:cpu")
    expect(page.locator(".chart .axis-title").first).to_have_text("Latency on cpu")
    page.get_by_label("Over", exact=True).select_option("mult_adds")
    page.get_by_label("The search behind it").check()
    front = httpx.get(f"{view.address}/v1/searches/{run.spec.source[0]}/pareto?cost=mult_adds&target=1&w=0").json()[
        "front"
    ]
    own = {f"side-behind {row['number']}" for row in front if not row["baseline"]}
    expect(page.locator("circle.side-behind")).to_have_count(len(own))
    assert keys(page, "circle.side-behind") == own
    expect(page.locator(".legend")).to_contain_text("front of its search, on validation images")
    page.get_by_label("The search behind it").uncheck()
    expect(page.locator("circle.side-behind")).to_have_count(0)


def test_which_knobs_mattered_is_told_and_brushed(view: View) -> None:
    run = view.service.runs["old"]
    page = view.open(f"#/searches/{run.id}")
    page.get_by_text("What mattered").click()
    card = page.locator("details", has_text="What mattered")
    found = httpx.get(f"{view.address}/v1/searches/{run.id}/knobs").json()
    expect(card.locator(".knob")).to_have_count(min(6, len(found["knobs"])))
    expect(card.locator("polyline.kept")).to_have_count(len(found["networks"]))
    first = found["knobs"][0]
    expect(card.locator(".knob h3").first).to_contain_text(first["name"])
    choice = card.locator(".knob").first.locator("button.choice").first
    choice.click()
    expect(choice).to_have_attribute("aria-pressed", "true")
    expect(card.locator("polyline.kept")).to_have_count(first["choices"][0]["networks"])
    expect(card.locator(".left-out")).to_contain_text(f"{first['choices'][0]['networks']} of {len(found['networks'])}")
    card.get_by_role("button", name=f"trial {first['choices'][0]['best']}").click()
    page.wait_for_url(f"**trial={first['choices'][0]['best']}*")
    choice.click()
    hold = card.locator(".brushed-hold").last.bounding_box()
    assert hold
    page.mouse.move(hold["x"] + 16, hold["y"] + 10)
    page.mouse.down()
    page.mouse.move(hold["x"] + 16, hold["y"] + hold["height"] / 2)
    page.mouse.up()
    expect(card.locator(".left-out")).to_contain_text(f"of {len(found['networks'])}")
    kept = card.locator("polyline.kept").count()
    assert 0 < kept < len(found["networks"])
    if len(found["knobs"]) > 6:
        card.get_by_role("button", name=f"All {len(found['knobs'])} knobs").click()
        expect(card.locator(".knob")).to_have_count(len(found["knobs"]))


def test_what_networks_cost_and_are_worth_is_brushed_by_keys(view: View) -> None:
    page = view.search(view.service.runs["old"])
    page.get_by_text("What mattered").click()
    card = page.locator("details", has_text="What mattered")
    lines, kept = card.locator("polyline.network:not(.best)"), card.locator("polyline.kept")
    expect(lines).not_to_have_count(0)
    expect(kept).to_have_count(all_of_them := lines.count())
    least = card.get_by_role("slider", name="Accuracy, at least")
    least.focus()
    before = float(least.get_attribute("aria-valuenow") or 0)
    for _ in range(4):
        page.keyboard.press("PageUp")
        expect(least).to_be_focused()
    assert float(least.get_attribute("aria-valuenow") or 0) > before
    assert 0 < kept.count() < all_of_them
    by_accuracy = kept.count()
    most = card.get_by_role("slider", name="Multiply-adds, at most")
    for _ in range(4):
        most.press("PageDown")
    assert kept.count() < by_accuracy
    for slider in (most, least):
        slider.press("Escape")
    expect(kept).to_have_count(all_of_them)
    expect(least).to_be_focused()


def test_what_runs_that_are_compared_find_is_told_and_not_asked_for(view: View) -> None:
    past, store = view.service.past, view.service.store
    one, other = (small(view.service, seed=seed) for seed in (11, 12))
    for run in (one, other):
        store.claims.renew(run.id, OWNER, 1e6)
    asked: list[str] = []
    with view.page.expect_request(lambda request: f"/v1/events?run={one.id}%2C{other.id}" in request.url):
        page = view.open(f"#/compare/{one.id},{other.id}:0")
    row = page.locator("table[aria-label='networks'] tr, .compared li").filter(has_text="running")
    expect(row.first).to_be_visible()
    page.on("request", lambda request: asked.append(request.url))
    with page.expect_response(lambda response: "/v1/comparison" in response.url):
        past.end(store.trial(other.id, 5).job)
    for run in (one, other):
        store.claims.release(run.id, OWNER, "stopped")
    expect(page.locator(".compared li").filter(has_text="stopped")).to_have_count(2)
    assert not any("/v1/runs" in url for url in asked)
