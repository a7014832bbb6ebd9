"""The page of a search, in a real browser against the real service on a real store."""

import dataclasses
import random
import re

from playwright.sync_api import Route, expect

from nas import spaces
from nas.networks.architecture import random_choices
from nas.networks.counts import counts
from nas.objective import HARD, Objective
from nas.pareto import front
from nas.specs import Limits
from tests.browser import View, best, excused, keys, measured, small, unbeaten
from tests.past import OWNER, SEARCH
from tests.pictures import saved
from tests.service import GREY, latency


def test_the_scatter_plots_what_was_measured_and_marks_the_front(view: View) -> None:
    run = view.service.runs["running"]
    page = view.search(run)
    points = measured(view.service, run)
    expect(page.locator("circle.point")).to_have_count(len(points))
    assert keys(page, "circle.point") == {str(number) for number in points}
    assert keys(page, "circle.point.front") == unbeaten(points)
    states = [trial.state for trial in view.service.store.trials(run.id)]
    left_out = f"Not plotted: 3 running, {states.count('refused')} refused, 1 failed."
    expect(page.locator(".left-out.muted")).to_have_text(left_out)
    chosen = best(points, SEARCH.objective)
    expect(page.locator(".badge")).to_have_text(f"★ {chosen}")
    circle = page.locator(f"circle.point[data-key='{chosen}']")
    place = f"translate({circle.get_attribute('cx')} {circle.get_attribute('cy')})"
    expect(page.locator(".star")).to_have_attribute("transform", place)
    expect(page.locator(".target")).to_be_hidden()  # it does not choose
    steps = page.locator(".front-line").get_attribute("d")
    assert steps is not None
    assert steps.count("V") == len(unbeaten(points))
    # Cheaper is more to the left, better is higher up, larger has the larger circle.
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
    page.wait_for_load_state("networkidle")  # after which nothing is drawn anew
    point = page.locator("circle.point[data-key='0']").bounding_box()
    name = page.locator(".names text").bounding_box()
    assert point
    assert name
    assert point["y"] < name["y"] + name["height"] / 2 < point["y"] + point["height"]


def test_a_parent_is_named_on_the_page_and_where_it_is_a_baseline_beside_its_point(view: View) -> None:
    space = spaces.load("mbconv")
    parent = saved(space.architecture(random_choices(space.knobs(GREY), random.Random(0)), GREY))
    page = view.search(small(view.service, parent=parent, baselines=("parent",), limits=Limits()))
    expect(page.locator(".heading")).to_contain_text(f"begins with checkpoint {parent[:12]} ·")
    expect(page.locator(".names text")).to_have_text(["parent"])


def test_another_objective_ranks_what_was_measured_again(view: View) -> None:
    run = view.service.runs["running"]
    page = view.search(run)
    points = measured(view.service, run)
    before = best(points, SEARCH.objective)
    expect(page.locator(".badge")).to_have_text(f"★ {before}")
    strict = Objective(target=2e6, w_under=HARD[0], w_over=HARD[1])
    assert best(points, strict) != before
    page.get_by_label("Target", exact=True).fill("2000000")
    expect(page.get_by_label("only over the target")).to_be_checked()
    page.keyboard.press("Tab")
    expect(page.locator(".badge")).to_have_text(f"★ {best(points, strict)}")
    cost, accuracy = points[43]
    expect(page.locator("tr[data-key='43']")).to_contain_text(f"{strict.reward(accuracy, cost):.4f}")
    exponent, over = page.get_by_role("spinbutton", name="Exponent w"), page.get_by_label("only over the target")
    for w in ("0", "-0.5"):
        exponent.fill(w)
        page.keyboard.press("Tab")
        expect(over).to_be_checked()
    page.get_by_role("button", name="As searched").click()
    expect(page.locator(".badge")).to_have_text(f"★ {before}")
    page.get_by_role("radio", name="Parameters").check()
    expect(page.locator(".axis-title").first).to_have_text("Parameters")
    size = view.service.store.trial(run.id, before).measurement
    assert size
    aim = float(page.get_by_label("Target", exact=True).input_value())
    assert size.params <= aim <= 1.1 * size.params
    page.get_by_role("radio", name="Latency").check()
    expect(page.locator(".axis-title").first).to_have_text("Latency")
    expect(page.locator("circle.point.front").first).to_be_visible()
    assert keys(page, "circle.point.front") == unbeaten(measured(view.service, run, "latency_ms"))
    page.get_by_role("button", name="As searched").click()
    expect(page.locator(".badge")).to_have_text(f"★ {before}")
    page.get_by_label("Target", exact=True).fill("-5")
    page.keyboard.press("Tab")
    expect(page.locator(".ranking .error")).to_contain_text("-5")
    page.get_by_role("button", name="As searched").click()
    expect(page.locator(".ranking .error")).to_be_empty()
    page.get_by_label("Exponent w", exact=True).fill("5")
    page.keyboard.press("Tab")
    expect(page.locator(".ranking .error")).to_have_text(
        "w 5.0 is not between -10 and 0: a higher cost must not be a gain"
    )
    excused(view)


def test_the_target_is_dragged_in_the_plot(view: View) -> None:
    run = view.service.runs["running"]
    page = view.search(run)
    points = measured(view.service, run)
    expect(page.locator(".badge")).to_have_text(f"★ {best(points, SEARCH.objective)}")
    handle, beyond = page.get_by_role("slider", name="Target, in the plot"), page.locator(".beyond")
    expect(beyond).to_be_hidden()
    expect(handle).to_be_hidden()
    target = page.get_by_label("Target", exact=True)
    target.fill("4000000")
    target.press("Tab")
    expect(beyond).to_be_visible()
    expect(page.locator(".target-text")).to_have_text("target 4 M")
    handle.scroll_into_view_if_needed()
    box = page.locator(".hold").bounding_box()
    assert box
    x, y = box["x"] + box["width"] / 2, box["y"] + 90
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x - 120, y, steps=3)
    page.mouse.up()

    def ranked() -> float:
        target = float(page.get_by_label("Target", exact=True).input_value())
        strict = Objective(target=target, w_under=HARD[0], w_over=HARD[1])
        expect(page.locator(".badge")).to_have_text(f"★ {best(points, strict)}")
        expect(handle).to_have_attribute("aria-valuenow", f"{target:.0f}")
        return target

    dragged = ranked()
    assert dragged < 4e6
    expect(beyond).to_be_visible()
    handle.press("ArrowLeft")
    expect(handle).not_to_have_attribute("aria-valuenow", f"{dragged:.0f}")
    assert ranked() < dragged


def test_a_latency_says_what_it_is_and_how_well_it_is_known(view: View) -> None:
    run = small(view.service, limits=Limits())
    page = view.search(run)
    hint = page.locator(".figures [title]").filter(has_text="Latency")
    expect(hint).to_have_attribute("title", "on cpu: on its machine at its best, ± its standard error")
    expect(page.get_by_role("columnheader", name="Latency")).to_have_attribute("title", re.compile("at its best"))
    past, job = view.service.past, view.service.store.trial(run.id, 5).job
    measured = past.measured(job)
    busy = {name: dataclasses.replace(each, error_ms=each.median_ms / 20) for name, each in measured.latencies.items()}
    past.store.claims.end(OWNER, 5, run.id, "done", dataclasses.replace(measured, latencies=busy))
    row = page.locator("tr[data-key='5']")
    expect(row).to_contain_text("ms ± 5.0 %")
    row.get_by_role("button").click()
    expect(page.locator(".figures")).to_contain_text("ms ± 5.0 %")


def test_a_noisy_latency_is_seen_decides_nothing_and_is_measured_again(view: View) -> None:
    hard = Objective(cost="latency_ms", target=1.0, w_under=HARD[0], w_over=HARD[1])
    run = small(view.service, objective=hard, limits=Limits())
    past, store = view.service.past, view.service.store
    job = store.trial(run.id, 5).job
    busy = dataclasses.replace(latency(0.01, error_ms=0.0128), slowdown=2.3, shared=True)
    highest = dataclasses.replace(past.measured(job), accuracy=0.99, latencies={"cpu": busy})
    store.claims.end(OWNER, 5, run.id, "done", highest)
    page = view.search(run)
    points = {number: its for number, its in measured(view.service, run, "latency_ms").items() if number != 5}
    expect(page.locator(".badge")).to_have_text(f"★ {best(points, hard)}")
    expect(page.locator(".verdict")).to_contain_text("Trial 5 may be better, but its latency is known to ± 128 % only")
    row = page.locator("tr[data-key='5']")
    expect(row.locator(".noisy")).to_have_attribute("title", "known to ± 128 % only")
    expect(row).to_contain_text("latency known to ± 128 % only")
    expect(page.locator("circle.point.rough")).to_have_attribute("data-key", "5")
    expect(page.locator(".key.rough")).to_be_visible()
    # The browser's own ranking has the same rule: where none that is well known fits, the noisy one is the best.
    held: list[Route] = []
    page.route("**/pareto?*", lambda route: held.append(route))
    page.get_by_label("Target", exact=True).fill("0.9")
    page.keyboard.press("Tab")
    expect(page.locator(".badge")).to_have_text(f"★ {best(points, dataclasses.replace(hard, target=0.9))}")
    page.get_by_label("Target", exact=True).fill("0.02")
    page.keyboard.press("Tab")
    expect(page.locator(".badge")).to_have_text("★ 5")
    page.unroute("**/pareto?*")
    page.get_by_role("button", name="As searched").click()
    row.get_by_role("button").click()
    expect(page.locator(".roughly")).to_contain_text(
        "Latency is known to ± 128 % only, as the machine took 2.3 times as long as at best and other programs kept "
        "its processors busy. It decides no star while others can."
    )
    page.locator(".roughly").get_by_role("button", name="Measure again").press("Enter")
    waits = page.get_by_role("button", name="Waits to be measured again")
    expect(waits).to_be_disabled()
    expect(waits).to_be_focused()
    page.keyboard.press("Enter")
    assert store.run(run.id).again == (5,)
    again = dataclasses.replace(job, number=6, measures=5, dataset=None, recipe=None)
    store.claims.begin(OWNER, again)
    known = dataclasses.replace(highest, accuracy=None, latencies={"cpu": latency(0.5, error_ms=0.001)})
    store.claims.end(OWNER, 6, run.id, "done", known)
    expect(page.locator(".badge")).to_have_text("★ 5")
    expect(page.locator(".roughly")).to_be_hidden()
    expect(page.locator(".trial h2")).to_be_focused()
    expect(page.locator(".noisy")).to_have_count(0)
    page = view.open(f"#/searches/{run.id}/trials/5")
    expect(page.locator(".figures")).to_contain_text("0.500 ms ± 0.2 %")


def test_every_device_has_a_column_and_a_front(view: View) -> None:
    objective = Objective(cost="latency_ms", target=1.0, w_under=HARD[0], w_over=HARD[1])
    run = small(view.service, objective=objective, devices=("cpu", "cpu_eager", "cpu:threads=2"), limits=Limits())
    page = view.search(run)
    headings = page.get_by_role("table", name="trials").locator("thead th")
    expect(headings.filter(has_text="On ")).to_have_text(["On cpu_eager", "On cpu:threads=2"])
    expect(page.locator(".figures")).to_contain_text("On cpu:threads=2")
    done = {trial.number: trial.measurement for trial in view.service.store.trials(run.id) if trial.measurement}

    def shown(device: str) -> set[str]:
        points = [(row.cost("latency_ms", device) or 0.0, row.accuracy or 0.0) for row in done.values()]
        return {str(list(done)[index]) for index in front(points)}

    def drawn(numbers: set[str]) -> None:
        for number in map(str, done):
            expect(page.locator(f"circle.point.front[data-key='{number}']")).to_have_count(int(number in numbers))

    assert shown("cpu") != shown("cpu_eager")
    expect(page.locator("circle.point")).to_have_count(len(done))
    drawn(shown("cpu"))
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
    store.note(run.id, "note", "something happened", by="Zoë")
    expect(page.locator(".log li").first).to_contain_text("something happened, by Zoë")
    # None of it took the focus away.
    expect(page.get_by_role("button", name="Show trial 2")).to_be_focused()


def test_a_failed_trial_says_where_in_the_code_when_asked(view: View) -> None:
    store = view.service.store
    run = small(view.service)
    trace = 'Traceback (most recent call last):\n  File "~/mine.py", line 3, in build\nKeyError: <b>9</b>'
    store.claims.end(OWNER, 5, run.id, "failed", error="KeyError: 9", traceback=trace)
    page = view.search(run)
    page.get_by_role("button", name="Show trial 5").click()
    expect(page.locator(".trial > .error")).to_have_text("KeyError: 9")
    expect(page.locator(".trial pre")).not_to_be_visible()
    page.get_by_text("Where in the code").click()
    expect(page.locator(".trial pre")).to_be_visible()
    assert page.locator(".trial pre").text_content() == trace
    page.get_by_role("button", name="Show trial 2").click()
    expect(page.get_by_text("Where in the code")).not_to_be_visible()


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
    # The plot is drawn again for the choice: a point of before would be gone under the pointer.
    expect(page.get_by_role("heading", name="Best trial", exact=True)).to_be_visible()
    page.locator(f"circle.point[data-key='{chosen}']").hover(force=True)
    expect(page.locator(".tip")).to_contain_text(f"Trial {chosen}")


def test_a_long_search_is_read_once_and_shown_in_part(view: View) -> None:
    count = 260
    run = small(view.service, trials=count, limits=Limits())
    job = view.service.store.trial(run.id, 0).job
    for number in range(6, count):
        view.service.store.claims.begin(OWNER, dataclasses.replace(job, number=number))
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
    # The events of an earlier look may still be on their way: meant are those of the look that asks for columns.
    with page.expect_response(lambda its: "/events?after" in its.url and any("/columns" in url for url in asked)):
        view.service.store.note(run.id, "note", "so that it is asked")
    again = [url for url in asked if "/columns" in url]
    assert again
    assert all(url.endswith(f"after={count - 1}") for url in again)  # one is running
    assert not any("/trials" in url for url in asked)
