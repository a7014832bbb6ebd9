"""A run as it goes: a line for every trial that ends; of those that run bars where a terminal can show them, else a
line for every epoch."""

import contextlib
import time
from collections.abc import Iterator
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn
from rich.table import Column
from rich.text import Text

from api.cli import numbers, summaries, tables
from nas.client import Client

Json = dict[str, Any]
MOST_PAST = 5  # trials that had ended before, of which a line is printed
NOTHING = (0, -1.0)  # less than any reward
LONELY_SECONDS = 20  # in the queue, after which a coordinator seems to be missing


class Bars:
    """One bar for the run and one for each running trial."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._whole = progress.add_task("", total=None, note="")
        self._trials: dict[int, TaskID] = {}

    def show(self, run: Json, trials: list[Json]) -> None:
        note = summaries.spent(run) + summaries.left(run)
        self._progress.update(
            self._whole, description=stated(run), completed=tables.settled(run), total=run["trials"], note=note
        )
        running = {trial["number"]: trial for trial in trials if trial["state"] == "running"}
        for number in [number for number in self._trials if number not in running]:
            self._progress.remove_task(self._trials.pop(number))
        for number, trial in running.items():
            progress = trial["progress"] or {"phase": "waiting", "epoch": 0, "epochs": 0}
            if number not in self._trials:
                self._trials[number] = self._progress.add_task("", total=None, note="")
            self._progress.update(
                self._trials[number],
                description=f"  {called(trial)}",
                completed=progress["epoch"],
                total=progress["epochs"] or (trial["job"]["recipe"] or {"epochs": 1})["epochs"],
                note=noted(progress),
            )


class Lines:
    """A line for each epoch of a running trial, of those that end together the last."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._said: dict[int, int] = {}

    def show(self, run: Json, trials: list[Json]) -> None:
        for trial in trials:
            number, progress = trial["number"], trial["progress"]
            if trial["state"] == "running" and progress and progress["epoch"] > self._said.get(number, 0):
                self._said[number] = progress["epoch"]
                words = f"  {called(trial):<9} epoch {progress['epoch']} of {progress['epochs']}  {noted(progress)}"
                self._console.print(words + summaries.left(run), soft_wrap=True, highlight=False, markup=False)


def watch(client: Client, run: str, console: Console) -> Json:
    """Show the run until it has ended, and give it as it is then. Only lines where `console` is no terminal."""
    history: set[int] | None = None
    best, lonely = NOTHING, False
    began = time.monotonic()
    view: Json = {}
    with _running(console) as running:
        for view, trials in client.watch(run):
            ended = [trial for trial in trials if trial["state"] != "running"]
            if history is None:
                past = ended[:-MOST_PAST]
                history = {trial["number"] for trial in past}
                best = max([best, *map(worth, past)])
                if past:
                    console.print(f"{len(past)} trials ended before", highlight=False)
            for trial in ended:
                if trial["number"] not in history:
                    history.add(trial["number"])
                    better = worth(trial) > best
                    best = max(best, worth(trial))
                    console.print(line(trial, better), soft_wrap=True, highlight=False)
            running.show(view, trials)
            if view["state"] == "queued" and not lonely and time.monotonic() - began > LONELY_SECONDS:
                lonely = True
                if client.health()["coordinator"] != "running":
                    console.print(f"Run {run} waits in the queue: `nas serve` starts a coordinator", soft_wrap=True)
    return view


def worth(trial: Json) -> tuple[int, float]:
    """What trials are told apart by: any on a higher rung counts for more; baselines and repetitions are no news."""
    job = trial["job"]
    compared = job["baseline"] or (job["whole"] and not job["choices"])
    if trial["reward"] is None or compared or job["repeats"] is not None or job["measures"] is not None:
        return NOTHING
    return job["rung"] or 0, trial["reward"]


def line(trial: Json, better: bool) -> Text:
    """What came of a trial, in one line."""
    measured = trial["measurement"] or {}
    accuracy = measured.get("test_accuracy", None)
    accuracy = measured.get("accuracy") if accuracy is None else accuracy
    text = Text.assemble(f"{called(trial):<9} ", tables.state(trial["state"]))
    if trial["state"] != "done":
        return text.append(f"  {tables.why(trial)}")
    device = trial["job"]["devices"][0]
    facts = [device if accuracy is None else numbers.percent(accuracy)]
    facts += [f"{numbers.short(measured['mult_adds'])} mult-adds"]
    facts += [f"{numbers.short(measured['params'])} params", tables.median(measured["latencies"].get(device))]
    facts += [why] if (why := tables.purpose(trial)) else []
    if trial["reward"] is not None:
        facts.append(f"reward {numbers.reward(trial['reward'])}" + (" ★" if better else ""))
    return text.append("  " + "  ".join(facts))


def called(trial: Json) -> str:
    """A member by its seed too, where that is not the usual one."""
    member, seed = trial["job"]["member"], trial["job"]["seed"]
    return f"{member} seed {seed}" if member and seed else member or f"trial {trial['number']}"


def stated(run: Json) -> str:
    state = f"{run['state']}, to {run['wish']}" if summaries.pending(run) else run["state"]
    return f"{run['kind']} {run['id']} {state}"


def noted(progress: Json) -> str:
    parts = [progress["phase"]]
    if progress.get("accuracy") is not None:
        parts.append(numbers.percent(progress["accuracy"]))
    if progress.get("loss") is not None:
        parts.append(f"loss {progress['loss']:.3f}")
    return "  ".join(parts)


@contextlib.contextmanager
def _running(console: Console) -> Iterator[Bars | Lines]:
    if not console.is_terminal:
        yield Lines(console)
        return
    columns = (
        TextColumn("{task.description}", markup=False, table_column=Column(no_wrap=True)),
        BarColumn(bar_width=None, table_column=Column(ratio=1, min_width=8)),
        MofNCompleteColumn(),
        TextColumn("{task.fields[note]}", markup=False, style="dim", table_column=Column(no_wrap=True)),
    )
    with Progress(*columns, console=console, expand=True, transient=True, refresh_per_second=4) as progress:
        yield Bars(progress)
