"""What is submitted and wished in the dashboard, in a real browser against the real service on a real store."""

import dataclasses
import json
import re
import shlex
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Route, expect

from nas.fields import briefly
from nas.networks.counts import counts
from nas.objective import HARD, Objective
from nas.recipes import Recipe
from nas.specs import GrowthSpec, Limits, SearchSpec
from tests.browser import View, excused, measured, small
from tests.dataset_files import fill, pack
from tests.past import OWNER
from tests.waiting import PATIENCE_SECONDS


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
    expect(page.locator(".heading > .error")).to_contain_text("hours 0")
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
    settled = sum(trial.state not in ("running", "cancelled") for trial in store.trials(run.id))
    going = next(trial for trial in store.trials(run.id) if trial.state == "running")
    store.claims.end(OWNER, going.number, run.id, "cancelled")
    store.claims.release(run.id, OWNER, "cancelled")
    expect(page.locator(".counts")).to_contain_text(f"{settled} of 25 trials")
    expect(page.locator(".counts")).to_contain_text("1 cancelled")
    expect(page.locator(".heading .pill")).to_have_text("cancelled")
    for name in ("Pause", "Resume", "Stop", "Cancel"):
        expect(page.get_by_role("button", name=name)).to_be_hidden()


def test_the_keyboard_goes_on_from_the_button_that_takes_over(view: View) -> None:
    run = small(view.service)
    page = view.search(run)
    pause, resume = (page.get_by_role("button", name=name) for name in ("Pause", "Resume"))
    pause.press("Enter")
    expect(resume).to_be_focused()
    page.keyboard.press("Enter")
    expect(pause).to_be_focused()
    page.get_by_role("button", name="Cancel", exact=True).press("Enter")
    page.get_by_role("button", name="Cancel the search").press("Enter")
    expect(page.locator(".heading .pill")).to_have_text("cancelling")
    expect(resume).to_be_focused()
    view.service.store.claims.release(run.id, OWNER, "cancelled")
    expect(page.get_by_role("button", name="Edit")).to_be_focused()


def test_the_keyboard_stays_where_a_budget_is_raised(view: View) -> None:
    store, run = view.service.store, small(view.service)
    page = view.search(run)
    trials, button = page.get_by_label("Trials", exact=True), page.get_by_role("button", name="Raise budget")
    trials.fill("25")
    button.press("Enter")
    expect(page.locator(".counts")).to_contain_text("of 25 trials")
    expect(button).to_be_disabled()
    expect(button).to_be_focused()
    page.keyboard.press("Enter")  # there is nothing to be raised
    page.keyboard.press("Shift+Tab")
    expect(trials).to_be_focused()
    page.keyboard.type("26")
    page.keyboard.press("Enter")
    expect(page.locator(".counts")).to_contain_text("of 26 trials")
    expect(trials).to_be_focused()
    assert [event.text for event in store.events(run.id) if event.kind == "budget"] == [
        "25 trials instead of 8",
        "26 trials instead of 25",
    ]


def test_what_is_chosen_of_a_list_is_not_cut_off(view: View) -> None:
    page = view.open("#/new")
    page.get_by_text("More", exact=True).click()
    expect(page.get_by_label("Preset")).to_be_visible()
    cut = page.evaluate(
        """() => [...document.querySelectorAll("main select")].filter((list) => {
            const alone = list.cloneNode();
            alone.append(list.selectedOptions[0].cloneNode(true));
            alone.style.width = "auto";
            document.querySelector("main").append(alone);
            alone.style.justifySelf = "start";
            const needed = alone.offsetWidth;
            alone.remove();
            return list.checkVisibility() && needed > list.offsetWidth;
        }).map((list) => list.name)"""
    )
    assert cut == []


def test_models_and_runs_are_deleted_when_somebody_is_sure(view: View) -> None:
    store = view.service.store
    growth = view.service.past.growth(view.service.runs["old"], 15, 4)
    page = view.growth(growth)
    expect(page.get_by_role("button", name="Delete", exact=True)).to_be_hidden()
    store.claims.release(growth.id, OWNER, "finished")
    late: list[Route] = []
    page.route("**/v1/models/*", lambda route: late.append(route))
    with page.expect_request("**/v1/models/*"):
        page.get_by_role("button", name="Use it").first.press("Enter")
    pin = page.get_by_role("button", name="Pin it")
    weights = page.get_by_role("button", name="Delete its weights")
    expect(pin.or_(weights)).to_have_count(2)
    for button in (pin, weights):
        expect(button).to_be_disabled()  # until it is known whether it is pinned
    late.pop().continue_()
    page.unroute("**/v1/models/*")
    expect(pin).to_be_enabled()
    pin.press("Enter")
    expect(weights).to_be_disabled()
    page.get_by_role("button", name="Unpin it").press("Enter")
    expect(weights).to_be_enabled()
    weights.press("Enter")
    page.get_by_role("button", name="Delete the weights").press("Enter")
    expect(page.get_by_role("dialog")).to_be_hidden()
    assert store.removed(growth.id)
    other = store.models(growth.id)[0]
    store.removals.pin(other.id, True)
    erase = page.get_by_role("button", name="Delete", exact=True)
    erase.press("Enter")
    page.get_by_role("button", name="Keep it").press("Enter")
    erase.press("Enter")
    page.get_by_role("button", name="Delete the growth").press("Enter")
    expect(page.locator(".heading > .error")).to_contain_text(f"model {other.id} of run {growth.id} is pinned")
    assert "409" in view.complaints.pop()
    store.removals.pin(other.id, False)
    erase.press("Enter")
    page.get_by_role("button", name="Delete the growth").press("Enter")
    expect(page.get_by_role("heading", name="Runs")).to_be_visible()
    assert growth.id not in {run.id for run in store.runs()}
    view.complaints[:] = [each for each in view.complaints if "404" not in each]  # the page asked once more


def test_a_question_that_is_asked_again_at_once_has_an_answer_of_its_own(view: View) -> None:
    """Browsers say that a dialog closed in a task of its own, when it may be open again."""
    page = view.search(view.service.runs["paused"])
    expect(page.get_by_role("button", name="Cancel", exact=True)).to_be_visible()
    page.evaluate(
        """() => {
            const button = [...document.querySelectorAll("button")].find((each) => each.textContent === "Cancel");
            button.click();
            document.querySelector("dialog[open] button[value=no]").click();
            button.click();
        }"""
    )
    page.wait_for_timeout(100)  # for the first dialog's closing to be told
    page.get_by_role("button", name="Cancel the search").press("Enter")
    expect(page.locator(".heading .pill")).to_have_text("cancelled")


def test_who_holds_the_disk_is_shown_with_the_models(view: View) -> None:
    page = view.open("#/models")
    page.get_by_text("Disk", exact=True).click()
    expect(page.get_by_text("in all")).to_be_visible()
    expect(page.get_by_role("table", name="disk by kind")).to_contain_text("database")


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
    page.get_by_text("More", exact=True).click()
    page.get_by_label("Epochs").fill("3")
    page.get_by_label("Target").fill("0.8")
    page.get_by_label("Cost").select_option("latency_ms")  # which needs a target of its own, or its forecast is refused
    page.get_by_label("Parameters").fill("300000")
    for text in (
        "cpu_eager cpu:threads=2,batch=2",
        "cpu_eager,cpu:threads=2,batch=2",
        ", cpu_eager , cpu:threads=2,batch=2,",
    ):
        page.get_by_label("Devices").fill(text)
        expect(page.locator(".command code")).to_contain_text(
            """"devices": [\n    "cpu_eager",\n    "cpu:threads=2,batch=2"\n  ]""", use_inner_text=True
        )
    words = shlex.split(page.locator(".command code").inner_text().replace("\\\n", ""))
    page.get_by_role("button", name="Start the search").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("it's from the form")
    store = view.service.store
    spec = store.run(page.url.rpartition("/")[2]).spec
    assert isinstance(spec, SearchSpec)
    assert spec.devices == ("cpu_eager", "cpu:threads=2,batch=2")
    assert spec.objective == Objective(cost="latency_ms", target=0.8, w_under=HARD[0], w_over=HARD[1])
    assert (spec.trials, spec.recipe.epochs, spec.limits) == (7, 3, Limits(params=300_000))
    assert words[:2] == ["curl", f"{view.address}/v1/searches"]
    answer = httpx.post(words[1], json=json.loads(words[words.index("-d") + 1]), timeout=PATIENCE_SECONDS)
    assert store.run(answer.raise_for_status().json()["id"]).spec == spec


def test_the_form_begins_with_what_the_document_says(view: View) -> None:
    page = view.open("#/new")
    for name, record, field in (
        ("/trials", SearchSpec, "trials"),
        ("/hours", SearchSpec, "hours"),
        ("/recipe/epochs", Recipe, "epochs"),
        ("/limits/latency_ms", Limits, "latency_ms"),
        ("/limits/peak_memory", Limits, "peak_memory"),
        ("/limits/board", Limits, "board"),
        ("/space", SearchSpec, "space"),
    ):
        expect(page.locator(f"[id='field-{name}-hint']")).to_have_text(briefly(record, field))
        initial, there = getattr(record, field), page.locator(f"[name='{name}']").input_value()
        assert there == ("" if initial in (None, 0) else initial) or float(there) == initial
    page.get_by_role("button", name="Start the search").click()
    expect(page.get_by_role("heading", level=1)).to_be_visible()
    page.wait_for_url(re.compile("#/searches/"))
    spec = view.service.store.run(page.url.rpartition("/")[2]).spec
    assert isinstance(spec, SearchSpec)
    recipe = dataclasses.replace(Recipe(), epochs=2, folds=1)
    assert dataclasses.replace(spec, worth=None) == SearchSpec(dataset="fashion_mnist", recipe=recipe)


def test_what_a_search_would_take_is_said_as_its_form_is_filled(view: View) -> None:
    page = view.open("#/new")
    told = page.locator(".forecast")
    expect(told).to_contain_text("by arithmetic, of a core of a processor, as nothing like it was trained here yet. ")
    expect(told).to_contain_text(
        "A training of 842 steps (epochs: 2) for each candidate, whose accuracy is found on about 6,000 images held "
        "out: ±0.645 points at most."
    )
    page.get_by_label("Trials").fill("0")
    expect(told).to_have_text("None yet: something in the form is missing or wrong.")
    excused(view)
    page.get_by_label("Trials").fill("8")
    page.get_by_text("More", exact=True).click()
    page.get_by_label("Look for").select_option("front")
    page.get_by_label("Also").select_option("params")
    expect(told).to_have_text(re.compile("trained here yet"))
    page.get_by_role("button", name="Start the search").click()
    expect(page.get_by_text("the whole front of accuracy, multiply-adds and parameters")).to_be_visible()


@pytest.mark.parametrize(
    ("label", "value", "said"),
    [
        ("Trials", "0", "Trials 0 is not between"),
        ("Confirm", "-1", "Confirm -1 is not between"),
        ("Target", "-1", "Target -1.0 is not a positive number up to 1e+18"),
        ("Training images", "-1", "Training images -1 is not between"),
        ("Dataset", "unheard_of", "unheard_of"),
        ("Parent", "unheard_of", "efficientnet_lite0"),
    ],
)
def test_a_refused_value_is_said_at_its_field(view: View, label: str, value: str, said: str) -> None:
    page = view.open("#/new")
    count = len(view.service.store.runs())
    page.get_by_text("More", exact=True).click()
    page.get_by_label(label).fill(value)
    page.get_by_text("More", exact=True).click()
    expect(page.locator(".forecast")).to_have_text("None yet: something in the form is missing or wrong.")
    page.get_by_role("button", name="Start the search").click()
    wrong = page.locator(".field", has=page.locator("[aria-invalid]"))
    expect(wrong.locator(".error")).to_contain_text(said)
    expect(wrong.get_by_label(label)).to_be_focused()
    assert len(view.service.store.runs()) == count
    excused(view)


def test_all_refused_values_are_said_at_once(view: View) -> None:
    page = view.open("#/new")
    page.get_by_text("More", exact=True).click()
    for label, value in (("Trials", "0"), ("Target", "-1"), ("Epochs", "-2"), ("Least gain", "-3")):
        page.get_by_label(label).fill(value)
    page.get_by_role("button", name="Start the search").click()
    said = page.locator(".field", has=page.locator("[aria-invalid]"))
    expect(said.locator("label")).to_have_text(["Trials", "Target", "Least gain", "Epochs"])
    expect(page.get_by_label("Trials")).to_be_focused()
    excused(view)


def test_a_search_is_searched_for_again_from_its_page(view: View) -> None:
    asked = SearchSpec(
        dataset="fashion_mnist",
        name="once",
        trials=9,
        devices=("cpu:threads=2,batch=2", "cpu_eager"),
        knobs={"stage1.kernel": (3,)},
        objective=Objective(target=2e6, w_under=HARD[0], w_over=HARD[1]),
        recipe=Recipe(epochs=4, folds=1, batch=64),
    )
    first = view.service.store.add_run("search", asked).id
    view.service.store.raise_budget(first, 11)
    page = view.open(f"#/searches/{first}")
    page.get_by_role("link", name="Search again like this").click()
    expect(page.get_by_label("Trials")).to_have_value("11")
    expect(page.get_by_role("button", name="Start the search")).to_be_visible()  # the search has several targets
    expect(page.get_by_label("Target")).to_have_value("2000000")
    expect(page.get_by_label("Devices")).to_have_value("cpu:threads=2,batch=2, cpu_eager")
    expect(page.get_by_label("Learn from")).to_have_attribute("placeholder", f"none, or such as {first}")
    expect(page.locator(".carried")).to_contain_text("knobs, recipe")
    page.get_by_label("Name").fill("twice")
    page.get_by_role("button", name="Start the search").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("twice")
    spec = view.service.store.run(page.url.rpartition("/")[2]).spec
    assert isinstance(spec, SearchSpec)
    assert dataclasses.replace(spec, worth=None) == dataclasses.replace(asked, name="twice", trials=11)


def test_images_are_uploaded_and_searched_on(view: View, tmp_path: Path) -> None:
    page = view.open("#/new")
    (tmp_path / "no images.tar").write_bytes(b"these are none")
    page.get_by_label("Upload images").set_input_files(tmp_path / "no images.tar")
    wrong = page.locator(".field", has=page.get_by_label("Upload images")).locator(".error")
    expect(wrong).to_contain_text("cannot be used")
    excused(view)
    archive = pack(tmp_path / "My flowers.tar", fill(tmp_path / "flowers"))
    archive.write_bytes(archive.read_bytes() + bytes(9_000_000))
    page.get_by_label("Upload images").set_input_files(archive)
    expect(page.get_by_label("Dataset")).to_have_value("images:My-flowers")
    expect(wrong).to_have_text("")
    look = page.locator(".look")
    expect(look.get_by_text("2 classes, in colour, 20 pixels: 18 to train, 2 to test.")).to_be_visible()
    expect(look.get_by_role("img", name="Images of cat")).to_have_js_property("naturalWidth", 8 * 64)
    hours = page.get_by_label("Hours", exact=True)
    expect(look.get_by_role("button", name="Undo")).to_be_visible()
    expect(hours).to_have_value("1")
    page.get_by_role("button", name="Start the search").click()
    page.wait_for_url(re.compile("#/searches/"))
    spec = view.service.store.run(page.url.rpartition("/")[2]).spec
    assert isinstance(spec, SearchSpec)
    assert (spec.dataset, spec.recipe.folds, spec.hours) == ("images:My-flowers", 5, 1.0)
    page = view.open("#/new")
    expect(page.locator("datalist option[value='images:My-flowers']")).to_have_text("2 classes, 20 pixels")
    page.get_by_label("Upload images").set_input_files(archive)  # of the same, which is there already
    expect(page.get_by_label("Dataset")).to_have_value("images:My-flowers")
    excused(view)


def test_what_fits_the_images_of_a_path_is_taken_and_said_so(view: View, tmp_path: Path) -> None:
    fill(tmp_path / "flowers")
    page = view.open("#/new")
    dataset, hours = page.get_by_label("Dataset"), page.get_by_label("Hours", exact=True)
    dataset.fill(str(tmp_path / "flowers"))
    look = page.locator(".look")
    expect(look.get_by_text("2 classes, in colour")).to_be_visible()
    expect(hours).to_have_value("1")
    taken = look.get_by_text("Taken into the form")
    expect(taken).to_contain_text("hours 1")
    expect(taken).to_contain_text("save_weights true")  # which has no field
    expect(page.locator(".command code")).to_contain_text(f'"dataset": "folder:{tmp_path}/flowers"')
    look.get_by_role("button", name="Undo").click()
    expect(hours).to_have_value("")
    expect(taken).to_be_hidden()
    look.get_by_role("button", name="Take this").click()
    expect(hours).to_have_value("1")
    folds = page.locator("[name='/recipe/folds']")
    expect(folds).to_have_value("5")
    hours.fill("2")
    expect(taken).to_contain_text("recipe.folds 5")
    expect(taken).not_to_contain_text("hours")
    dataset.fill("folder:/nowhere")
    expect(look.get_by_text("'/nowhere'")).to_be_visible()
    expect(folds).to_have_value("")  # it was for other images
    dataset.fill(str(tmp_path / "flowers"))
    expect(look.get_by_role("button", name="Take this")).to_be_visible()
    expect(hours).to_have_value("2")
    excused(view)


def test_what_was_typed_is_there_again_until_it_is_sent(view: View, tmp_path: Path) -> None:
    fill(tmp_path / "flowers")
    page = view.open("#/new")
    page.get_by_label("Dataset").fill(str(tmp_path / "flowers"))
    hours, trials = page.get_by_label("Hours", exact=True), page.get_by_label("Trials")
    expect(hours).to_have_value("1")  # of the proposal
    page.get_by_text("More", exact=True).click()
    page.get_by_label("Epochs").fill("7")
    trials.fill("5")
    view.open("#/devices")
    page.go_back()
    expect(trials).to_have_value("5")
    expect(page.get_by_label("Epochs")).to_have_value("7")
    expect(hours).to_have_value("")  # fields were filled: the proposal is offered
    expect(page.locator(".look").get_by_role("button", name="Take this")).to_be_visible()
    page.reload()
    expect(trials).to_have_value("5")
    page.get_by_role("button", name="Start over").click()
    expect(trials).to_have_value("20")
    expect(page.get_by_role("button", name="Start over")).to_be_hidden()
    trials.fill("3")
    page.get_by_role("button", name="Start the search").click()
    page.wait_for_url(re.compile("#/searches/"))
    view.open("#/new")
    expect(trials).to_have_value("20")


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
    page.get_by_label("Seeds").fill("0")
    page.get_by_role("button", name=f"Grow trial {number}").click()
    complaint = page.locator("form.grow .error")
    expect(complaint).to_contain_text("seeds 0 is not between")
    excused(view)
    page.get_by_label("Seeds").fill("2")
    expect(complaint).to_be_empty()
    page.get_by_label("Scored on").select_option("validation")
    page.get_by_role("button", name=f"Grow trial {number}").click()
    expect(page.get_by_role("heading", level=1)).to_have_text(f"Fashion, first try · trial {number}")
    expect(page.get_by_role("table", name="family").locator("tbody tr")).to_have_count(3)
    spec = view.service.store.run(page.url.rpartition("/")[2]).spec
    assert isinstance(spec, GrowthSpec)
    assert (spec.source, spec.members, spec.seeds) == ((run.id, number), ("B0", "B1", "B2"), 2)
    assert spec.scored_on == "validation"
    expect(page.get_by_role("columnheader", name="Validation accuracy")).to_be_visible()
