"""The page of a search of thousands of trials: what it paints, what it ranks by itself, and what it asks for."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest
from playwright.sync_api import Route, expect

from bench._long import OBJECTIVE, long
from nas.objective import HARD, Objective
from nas.records import Run
from nas.store import Store
from tests.browser import View, served, small
from tests.past import OWNER
from tests.waiting import eventually

COUNT = 2500


@dataclass
class Long:
    address: str
    run: Run
    points: dict[int, tuple[float, float]]
    """Trial number to (cost, accuracy)."""

    def best(self, target: float) -> int:
        strict = Objective(target=target, w_under=HARD[0], w_over=HARD[1])
        value = {number: strict.reward(accuracy, cost) for number, (cost, accuracy) in self.points.items()}
        return max(value, key=lambda number: (value[number], -self.points[number][0], -number))


@pytest.fixture(scope="module")
def searched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Long]:
    url = f"sqlite:///{tmp_path_factory.mktemp('long')}/nas.db"
    store = Store(url)
    run = long(store, COUNT)
    store.claims.claim(OWNER, 1e6)
    store.claims.release(run.id, OWNER, "finished")
    rows = store.outlines(run.id, ("number", "mult_adds", "accuracy"), accuracy=...)
    for address in served(url):
        yield Long(address, run, {number: (cost, accuracy) for number, cost, accuracy in rows})


# The lowest pixel that is painted, in pixels of the page from the corner of the canvas, and its colour.
LOWEST = """canvas => {
  const pen = new OffscreenCanvas(canvas.width, canvas.height).getContext("2d");
  pen.drawImage(canvas, 0, 0);
  const { data } = pen.getImageData(0, 0, canvas.width, canvas.height);
  let at = data.length - 1;
  while (at > 0 && data[at] < 200) at -= 4;
  const [x, y] = [((at - 3) / 4) % canvas.width, Math.floor((at - 3) / 4 / canvas.width)];
  return [x / devicePixelRatio, y / devicePixelRatio, data[at - 3]];
}"""


def test_thousands_of_points_are_painted_and_picked_like_others(look: Callable[..., View], searched: Long) -> None:
    page = look(address=searched.address).search(searched.run)
    expect(page.locator(".pager")).to_contain_text("1 to 25 of 2,500")
    canvas = page.locator(".chart canvas")
    expect(canvas).to_be_visible()
    assert 0 < page.locator("circle.point").count() < 100  # those of the front, which are to be seen above the others
    x, y, red = canvas.evaluate(LOWEST)
    page.get_by_role("application").click(position={"x": x, "y": y})
    picked = page.locator("circle.point.selected")
    expect(picked).to_have_count(1)
    number = int(picked.get_attribute("data-key") or "")
    assert abs(float(picked.get_attribute("cx") or 0) - x) < 6
    assert abs(float(picked.get_attribute("cy") or 0) - y) < 6
    assert number == min(searched.points, key=lambda each: searched.points[each][1])
    expect(page.get_by_role("heading", name=f"Trial {number}", exact=True)).to_be_visible()
    expect(page.locator(".trial")).to_contain_text(f"{100 * searched.points[number][1]:.2f} ± 0.30 %")
    expect(page.get_by_role("table", name="Architecture")).to_contain_text("Stem")
    circles = page.locator("circle.point").count()
    listed = page.locator("tr[data-key]").evaluate_all("rows => rows.map(row => Number(row.dataset.key))")
    other = next(each for each in listed if each in searched.points and each != number)
    page.locator(f"tr[data-key='{other}']").click()
    expect(picked).to_have_attribute("data-key", str(other))
    expect(picked).to_have_count(1)
    assert page.locator("circle.point").count() <= circles  # what was painted before is painted again
    page.emulate_media(color_scheme="dark")
    page.wait_for_function(f"red => ({LOWEST})(document.querySelector('.chart canvas'))[2] !== red", arg=red)
    width = canvas.evaluate("canvas => canvas.width")
    page.set_viewport_size({"width": 700, "height": 900})
    painted = f"canvas => canvas.width !== {width} && ({LOWEST})(canvas)[1] > 0"
    page.wait_for_function(f"() => ({painted})(document.querySelector('.chart canvas'))")
    cheapest = min(searched.points, key=lambda each: (searched.points[each][0], each))
    page.get_by_role("application").focus()
    page.keyboard.press("Escape")
    page.keyboard.press("ArrowRight")
    expect(page.locator(".tip")).to_contain_text(f"Trial {cheapest}")


def test_another_target_is_ranked_by_before_the_service_answers(look: Callable[..., View], searched: Long) -> None:
    page = look(address=searched.address).search(searched.run)
    expect(page.locator(".badge")).to_be_visible()
    held: list[Route] = []
    page.route("**/pareto?*", lambda route: held.append(route))
    page.get_by_label("only over the target").check()
    page.get_by_label("Exponent w", exact=True).fill("-1")
    page.keyboard.press("Tab")
    expect(page.locator(".badge")).to_have_text(f"★ {searched.best(OBJECTIVE.target)}")
    stars = set()
    for step in (150, 700, 400):
        page.get_by_label("Target, by slider").fill(str(step))
        target = float(page.get_by_label("Target", exact=True).input_value())
        best = searched.best(target)
        stars.add(best)
        expect(page.locator(".badge")).to_have_text(f"★ {best}")
        row = page.locator("tr[data-key]").first
        cost, accuracy = searched.points[int(row.get_attribute("data-key") or "")]
        strict = Objective(target=target, w_under=HARD[0], w_over=HARD[1])
        expect(row).to_contain_text(f"{strict.reward(accuracy, cost):.4f}")
    assert len(stars) == 3
    # What the service says in the end is what stays: here that another is the best.
    eventually(lambda: page.evaluate("0") or any(f"target={target:.0f}&" in each.request.url for each in held))
    answer = held[-1].fetch()
    said = answer.json()
    other = next(each for each in said["front"] if each["number"] != said["best"]["number"])
    held[-1].fulfill(response=answer, body=json.dumps(said | {"best": other}))
    expect(page.locator(".badge")).to_have_text(f"★ {other['number']}")


def test_what_is_being_read_is_said_and_what_is_overtaken_is_dropped(look: Callable[..., View], searched: Long) -> None:
    view = look(address=searched.address)
    page = view.page
    columns: list[Route] = []
    trials: list[Route] = []
    dropped: list[str] = []
    page.route("**/columns?*", lambda route: columns.append(route))
    page.on("requestfailed", lambda request: dropped.append(request.url))
    view.search(searched.run)
    expect(page.get_by_text("Reading the trials…").and_(page.locator(":visible"))).to_have_count(3)
    expect(page.locator(".heading .counts")).to_contain_text("2,500 of 2,500 trials")
    for words in ("No trial has", "Nothing has happened", "appears here", "Running now"):
        expect(page.get_by_text(words).and_(page.locator(":visible"))).to_have_count(0)
    columns[0].continue_()
    expect(page.locator(".pager")).to_contain_text("1 to 25 of 2,500")
    expect(page.get_by_role("table", name="Architecture")).to_be_visible()
    page.route("**/trials?*", lambda route: trials.append(route))
    shown, later = sorted(searched.points)[-2:]
    for number in (shown, later):
        page.get_by_role("button", name=f"Show trial {number}").click()
        expect(page.locator(".trial[aria-busy=true]")).to_contain_text(f"Reading trial {number}…")
        expect(page.locator(".trial")).to_contain_text(f"{100 * searched.points[number][1]:.2f} %")
        expect(page.get_by_role("table", name="Architecture")).to_be_hidden()
    eventually(lambda: page.evaluate("0") or any(f"after={shown - 1}&" in each for each in dropped))
    trials[-1].continue_()
    expect(page.get_by_role("table", name="Architecture")).to_contain_text("Stem")


def test_a_search_that_has_ended_is_looked_at_rarely_until_it_goes_on(view: View) -> None:
    store, asked = view.service.store, list[str]()
    run = small(view.service)
    view.service.past.end(store.trial(run.id, 5).job)
    store.claims.release(run.id, OWNER, "finished")
    clock = view.page.clock
    clock.install(time=0)
    clock.pause_at(1)  # from now on the page's time passes only as it is told to here
    page = view.search(run)
    page.on("request", lambda request: asked.append(request.url))

    def asks(what: str, times: int) -> bool:
        clock.run_for(1500)
        return sum(address.endswith(what) for address in asked) >= times

    def read() -> bool:
        clock.run_for(200)
        return page.locator(".log li").count() > 0

    eventually(read)
    expect(page.locator("circle.point").first).to_be_visible()
    asked.clear()
    eventually(lambda: asks(f"/searches/{run.id}", 3))
    assert not any("/columns" in address or "/pareto" in address for address in asked)
    store.raise_budget(run.id, 12)
    eventually(lambda: asks("/columns?after=6", 2))
    expect(page.locator(".counts")).to_contain_text("6 of 12 trials")
