"""What a long search costs whoever looks at it: `python -m bench.dashboard --trials 10000`, about a minute.

A finished search of so many trials, its page in headless Chromium without a GPU, and the service on the same machine.
Times are what the browser's clock says, up to the frame that shows it: of the page since it was called up, by a browser
that has not seen it; of a move of the slider until the star is elsewhere; of a click on a point until its card is of
that trial, and until it is whole. Medians of some rounds. There is no peer: nobody else's page shows the same.
"""

import argparse
import shutil
import statistics
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import uvicorn
from playwright.sync_api import Browser, sync_playwright

from api.app import create_app
from api.edge import Edge
from bench._long import long
from bench._rows import row
from nas.store import Store

CHROMIUM = "chromium", "google-chrome"
ROUNDS = 5
MOVES = 20  # of a slider, and clicks
SETTLED_MS = 2000  # after the last move
DRAWN_SECONDS, AT_ONCE_MS, LARGE_SECONDS = 1.5, 50.0, 5.0
LARGE = 100_000  # trials

# Resolves with the time at which what makes a condition true has been painted.
PAINTED = """window.painted = (holds) => new Promise((resolve, reject) => {
  const until = performance.now() + 60_000;
  const look = () => {
    if (!holds()) return performance.now() > until ? reject(Error("not painted")) : requestAnimationFrame(look);
    const { port1, port2 } = new MessageChannel();
    port1.onmessage = () => resolve(performance.now());
    requestAnimationFrame(() => port2.postMessage(null));
  };
  look();
});"""
DRAWN = """(count) => painted(() =>
  document.querySelector(".pager")?.textContent.includes(`of ${count.toLocaleString("en")}`) &&
  document.querySelector(".star").getAttribute("visibility") === "visible")"""
MOVED = """async (step) => {
  const slider = document.querySelector("[aria-label='Target, by slider']");
  const star = document.querySelector(".star");
  const before = star.getAttribute("transform");
  const begun = performance.now();
  slider.value = step;
  slider.dispatchEvent(new Event("input"));
  return (await painted(() => star.getAttribute("transform") !== before)) - begun;
}"""
PICKED = """async (key) => {
  const card = document.querySelector(".trial");
  const begun = performance.now();
  document.querySelector(`tr[data-key='${key}']`).click();
  const shown = await painted(() => card.querySelector("h2").textContent === `Trial ${key}`);
  const whole = await painted(() => card.getAttribute("aria-busy") === "false");
  return [shown - begun, whole - begun];
}"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, nargs="+", default=[10_000])
    program = next(filter(None, map(shutil.which, CHROMIUM)), None)
    if program is None:
        parser.error(f"none of {', '.join(CHROMIUM)} is here: install one")
    for count in parser.parse_args().trials:
        with tempfile.TemporaryDirectory() as folder:
            store = Store(f"sqlite:///{folder}/nas.db")
            run = long(store, count).id
            store.claims.claim("bench", 1e6)
            store.claims.release(run, "bench", "finished")
            with serving(store) as address, sync_playwright() as playwright:
                browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox", "--disable-gpu"])
                looked_at(browser, f"{address}/#/searches/{run}", count)
                browser.close()


def looked_at(browser: Browser, address: str, count: int) -> None:
    drawn = []
    for number in range(ROUNDS):
        page = browser.new_context(viewport={"width": 1280, "height": 900}).new_page()
        page.add_init_script(PAINTED)
        page.goto(address, wait_until="commit")
        drawn.append(page.evaluate(DRAWN, count) / 1000)
        if number < ROUNDS - 1:
            page.context.close()
    with page.expect_response(lambda response: "w=0%2C-1" in response.url):
        page.get_by_label("only over the target").check()  # else every target has the same star
        page.get_by_label("Exponent w", exact=True).fill("-1")
        page.keyboard.press("Tab")
    moved = [page.evaluate(MOVED, step) for step in steps()]
    page.wait_for_timeout(SETTLED_MS)
    keys = page.locator("tr[data-key]").evaluate_all("rows => rows.map(row => row.dataset.key)")
    picked, whole = zip(*(page.evaluate(PICKED, key) for key in keys[:MOVES]))
    usable = DRAWN_SECONDS if count < LARGE else LARGE_SECONDS
    told(f"{count:,} trials drawn", drawn, "s", usable)
    told("a slider moved, and its star is there", moved, "ms", AT_ONCE_MS)
    told("a trial picked, and it is marked and its card of it", picked, "ms", AT_ONCE_MS)
    told("a trial picked, and its card is whole", whole, "ms", None)


def steps() -> list[int]:
    """Of the target's slider, each far from the one before: the star is never where it was."""
    return [step for near in range(MOVES // 2) for step in (200 + 10 * near, 700 + 10 * near)]


def told(claim: str, values: Sequence[float], unit: str, most: float | None) -> None:
    value = statistics.median(values)
    target = None if most is None else f"at most {most:g} {unit}"
    row(
        f"{claim} (at worst {max(values):.3g} {unit})",
        value,
        unit,
        target=target,
        holds=None if most is None else value <= most,
    )


@contextmanager
def serving(store: Store) -> Iterator[str]:
    server = uvicorn.Server(uvicorn.Config(create_app(store, Edge(login=False)), port=0, log_level="warning"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    try:
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join()


if __name__ == "__main__":
    main()
