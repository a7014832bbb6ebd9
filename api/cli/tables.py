"""What the command line prints: tables of the API's JSON objects."""

import time
from collections.abc import Iterable, Sequence
from typing import Any

from rich.console import Group, RenderableType
from rich.text import Text

from api.cli import numbers
from api.cli.table import Fitted
from nas.objective import COST_WORDS, METRIC_WORDS

Json = dict[str, Any]
COLOURS = {
    "running": "cyan",
    "done": "green",
    "finished": "green",
    "failed": "red",
    "refused": "yellow",
    "skipped": "yellow",
    "cancelled": "yellow",
    "paused": "yellow",
}


def state(name: str) -> Text:
    return Text(name, style=COLOURS.get(name, ""))


MEDIAN = "Latency: on the device's machine at its best"
KNOWN = " ± its standard error"
MEMORY = {"peak_memory": ">Memory", "model_bytes": ">Weights"}  # with a column where they are ranked by


def objective(spec: Json) -> str:
    cost, goal = spec["cost"], f"{_amount(spec['cost'], spec['target'])} {COST_WORDS[spec['cost']]}"
    metric = METRIC_WORDS[spec.get("metric", "accuracy")] + (" in 8 bits" if spec.get("precision") == "int8" else "")
    under, over = spec["w_under"], spec["w_over"]
    exponent = f"w = {under:g}" if under == over else f"w = {under:g} up to it, {over:g} above"
    if spec["form"] == "absolute":
        return f"{metric} + w · |cost / target - 1|, target {goal}, {exponent}"
    factor = ", which does not choose" if under == over else ""
    reward = f"{metric} × (cost / target)^w, target {goal}{factor}, {exponent}"
    if spec["form"] != "front":
        return reward
    aims = [metric, *(COST_WORDS[name] for name in (cost, spec.get("also")) if name)]
    return f"the front of {', '.join(aims[:-1])} and {aims[-1]}; reward {reward}"


def _amount(cost: str, value: float) -> str:
    if cost == "latency_ms":
        return f"{value:g} ms"
    return numbers.size(value) if cost in MEMORY else numbers.short(value)


def _far(front: Json) -> list[Text]:
    """That the target, where it chooses, is ten times beyond all that there are: it may be meant of another cost."""
    aim, costs = front["objective"], [row["cost"] for row in front["front"]]
    cost, target, least, most = aim["cost"], aim["target"], min(costs), max(costs)
    bound = aim["form"] == "absolute" or aim["w_under"] != aim["w_over"]
    if not bound or least / 10 <= target <= 10 * most:
        return []
    shown = " to ".join(dict.fromkeys(_amount(cost, float(f"{value:.3g}")) for value in (least, most)))
    words = f"Target {_amount(cost, target)} is far from all ({shown} {COST_WORDS[cost]}): --cost names another cost"
    return [Text(words, style="yellow")]


def pareto(front: Json) -> RenderableType:
    if not front["front"]:
        if front["unrecorded"]:
            return Text(unrecorded(front))
        return Text(f"Search {front['search']} has measured no network: nas show {front['search']} says how it stands")
    best = front["best"] and front["best"]["number"]
    several = any(row["trainings"] > 1 for row in front["front"])
    measured_on = [device for row in front["front"] for device in row["latencies_ms"]]
    devices = latency_columns(measured_on or [front["device"]])
    metric = front["objective"]["metric"]
    values = [] if metric == "accuracy" else [heading(metric)]
    memory = {name: MEMORY[name] for name in (front["objective"]["cost"], front["objective"]["also"]) if name in MEMORY}
    sizes = [*devices.values(), ">Params", *memory.values()]
    single = single_precision(front["front"])
    headings = ["", ">Trial", *values, ">Accuracy", *single, ">Mult-adds", *sizes, ">Reward"]
    on = f", latency on {front['device']}" if front["objective"]["cost"] == "latency_ms" and len(devices) > 1 else ""
    rows = [
        (
            "★" if row["number"] == best else "",
            str(row["number"]),
            *(numbers.percent(row["value"], row["value_error"]) for _ in values),
            numbers.percent(row["accuracy"], row["accuracy_error"]),
            *(unrounded(row) for _ in single),
            numbers.short(row["mult_adds"]),
            *(
                numbers.latency(row["latencies_ms"].get(device), row["latency_errors_ms"].get(device))
                for device in devices
            ),
            numbers.short(row["params"]),
            *(numbers.size(row[name]) for name in memory),
            numbers.reward(row["reward"]),
            *((trainings(row),) if several else ()),
        )
        for row in front["front"]
    ]
    rung = front["front"][0]["rung"]
    where = f" on rung {rung + 1}" if rung is not None else ""
    return Group(
        Text(f"Pareto front of search {front['search']}: {len(rows)} of {front['measured']} measured networks{where}"),
        Fitted([*headings, ">Trained"] if several else headings, rows),
        Text(MEDIAN + (KNOWN if any(row["latency_errors_ms"] for row in front["front"]) else ""), style="dim"),
        Text(f"★ highest reward: {objective(front['objective'])}{tied(front['front'], 'number')}{on}", style="dim"),
        *([Text(unrecorded(front), style="yellow")] if front["unrecorded"] else []),
        *_far(front),
    )


def single_precision(rows: Sequence[Json]) -> list[str]:
    """The heading of the accuracies in single precision, where the others are in 8 bits."""
    return [">float32"] if any(row.get("rounding") for row in rows) else []


def unrounded(row: Json) -> str:
    return numbers.percent((row.get("rounding") or {}).get("float32"))


def heading(metric: str) -> str:
    """Of the column of a metric."""
    return {"balanced_accuracy": ">Balanced", "macro_f1": ">Macro-F1", "worst_recall": ">Worst class"}[metric]


def unrecorded(front: Json) -> str:
    """What is not on it, and why."""
    words = METRIC_WORDS[front["objective"]["metric"]]
    return f"{front['unrecorded']} trials are left out: their version of the service did not record {words}"


def latency_columns(devices: Iterable[str]) -> dict[str, str]:
    """Each of the devices once, with the heading of its column."""
    return {device: f">on {device}" if place else ">Latency" for place, device in enumerate(dict.fromkeys(devices))}


def trainings(row: Json) -> str:
    return "once" if row["trainings"] == 1 else f"{row['trainings']} times"


def metric_of(run: Json) -> str:
    """By what its networks are compared."""
    spec = run["spec"]
    return str(spec.get("objective", spec).get("metric", "accuracy"))


def trials(rows: Sequence[Json], metric: str) -> RenderableType:
    """Of a run whose networks are compared by that metric."""
    if not rows:
        return Text("No trial yet.")
    values = [] if metric == "accuracy" else [metric]
    cells: list[tuple[str | Text, ...]] = []
    devices = latency_columns(device for trial in rows for device in trial["job"]["devices"])
    single = single_precision([trial["measurement"] or {} for trial in rows])
    params = [] if single or values else [">Params"]  # or a terminal is too narrow
    for trial in rows:
        measured = trial["measurement"] or {}
        took = trial["ended_at"] and trial["ended_at"] - trial["started_at"]
        cells.append(
            (
                str(trial["number"]),
                state(trial["state"]),
                *(numbers.percent((measured.get("quality") or {}).get(value)) for value in values),
                numbers.percent(accuracy(measured)),
                *(unrounded(measured) for _ in single),
                numbers.short(measured.get("mult_adds")),
                *(median(measured.get("latencies", {}).get(device)) for device in devices),
                *(numbers.short(measured.get("params")) for _ in params),
                numbers.reward(trial["reward"]),
                numbers.duration(took),
                why(trial) or how_far(trial) or purpose(trial) or trial["job"]["member"] or "",
            )
        )
    told = [*map(heading, values), ">Accuracy", *single, ">Mult-adds", *devices.values(), *params, ">Reward", ">Took"]
    measured = [trial["measurement"] or {} for trial in rows]
    known = any(latency["error_ms"] for row in measured for latency in row.get("latencies", {}).values())
    return Group(
        Fitted([">Trial", "State", *told, ""], cells, flexible=[""]),
        Text(MEDIAN + (KNOWN if known else ""), style="dim"),
    )


def accuracy(measured: Json) -> float | None:
    """On the test images of what is final, else on the validation images."""
    test_accuracy: float | None = measured.get("test_accuracy")
    return measured.get("accuracy") if test_accuracy is None else test_accuracy


def median(latency: Json | None) -> str:
    """The latency with its standard error, where that is known."""
    if latency is None:
        return numbers.milliseconds(None)
    return numbers.latency(latency["median_ms"], latency["error_ms"])


def why(trial: Json) -> str:
    """Why nothing came of a trial, in a line."""
    reason = trial.get("error") or (trial.get("measurement") or {}).get("refused") or ""
    return " ".join(reason.split())


def purpose(trial: Json) -> str:
    """Which training of its network a trial is, where there are several, the learning rate where it is not that of its
    recipe, the share of its weights that it had from a parent, and whether that has seen what it is scored on."""
    rate = _slowed_to(trial)
    inherited = (trial["measurement"] or {}).get("inherited")
    begun = "" if inherited is None else f"{100 * inherited:.0f} % inherited"
    seen = "scored on images seen before" if (trial["measurement"] or {}).get("seen") else ""
    return ", ".join(filter(None, (_which(trial["job"]), f"at rate {rate:g}" if rate else "", begun, seen)))


def _which(job: Json) -> str:
    if job.get("children"):
        return "supernet"
    if job.get("calibrated"):
        return "shared weights"
    if job["repeats"] is not None:
        return f"trial {job['repeats']} again"
    if job.get("measures") is not None:
        return f"latency of {job['measures']} again"
    if job["promotes"] is not None:
        return f"rung {job['rung'] + 1} after {job['promotes']}"
    return "" if job["rung"] is None else f"rung {job['rung'] + 1}"


def _slowed_to(trial: Json) -> float | None:
    """The learning rate that a trial was trained at, where it diverged at that of its recipe."""
    rate: float | None = (trial["measurement"] or {}).get("learning_rate")
    return None if rate in (None, (trial["job"]["recipe"] or {}).get("learning_rate")) else rate


def how_far(trial: Json) -> str:
    """Of a trial that is running."""
    progress = trial.get("progress")
    if progress is None or trial["state"] != "running":
        return ""
    return f"epoch {progress['epoch']}/{progress['epochs']}" if progress["phase"] == "training" else progress["phase"]


def tied(rows: Sequence[Json], name: str) -> str:
    """Which of the rows, called by `name`, noise alone may have put in this order, once each pair."""
    pairs = [f"{row[name]} = {other}" for row in rows for other in row["tied_with"] if row[name] < other]
    return f"; tied: {', '.join(pairs)}" if pairs else ""


def settled(run: Json) -> int:
    """Its trials that came to something: those that were cancelled did not."""
    return sum(count for name, count in run["counts"].items() if name not in ("running", "cancelled"))


def runs(rows: Sequence[Json]) -> RenderableType:
    if not rows:
        return Text("No run yet: nas search --dataset fashion_mnist")
    cells = []
    for run in rows:
        cells.append(
            (
                run["id"],
                run["kind"],
                state(run["state"]),
                f"{settled(run)}/{run['trials']}",
                numbers.percent(_best(run)),
                numbers.duration(time.time() - run["created_at"]),
                run["submitted_by"] or "–",
                run["spec"].get("dataset") or "–",
                run["name"],
            )
        )
    headings = ["Run", "Kind", "State", ">Trials", ">Best", ">Age", "By", "Dataset", "Name"]
    return Fitted(headings, cells, flexible=["By", "Dataset", "Name"])


def _best(run: Json) -> float | None:
    """By what a search's networks, or a growth's members, are compared, on one kind of images for all."""
    if run.get("best"):
        best: float = run["best"]["value"]
        return best
    return max((row["value"] for row in run.get("family", ()) if row["value"] is not None), default=None)


def latencies(networks: Sequence[Json]) -> RenderableType:
    """A line for each network and device."""
    if not networks:
        return Text("Nothing is measured yet.")
    several = len(networks) > 1
    rows = []
    for number, network in enumerate(networks):
        size = [str(number), numbers.short(network["params"]), numbers.short(network["mult_adds"])] if several else []
        for reading in network["readings"]:
            latency = reading["latency"] or {}
            rows.append(
                (
                    *size,
                    reading["device"],
                    median(reading["latency"]),
                    *(numbers.milliseconds(latency.get(name)) for name in ("p95_ms", "minimum_ms")),
                    f"{latency['ratio']:.3g}" if latency.get("ratio") else "–",
                    f"{latency['slowdown']:.2f}" if latency.get("slowdown") else "–",
                    " ".join((reading["error"] or "").split()),
                )
            )
    sizes = [">Network", ">Params", ">Mult-adds"] if several else []
    headings = [*sizes, "Device", ">Latency", ">95 %", ">Minimum", ">Ratio", ">Slowdown", ""]
    params, mult_adds = (numbers.short(networks[0][name]) for name in ("params", "mult_adds"))
    return Group(
        *([] if several else [Text(f"{params} parameters, {mult_adds} multiply-adds")]),
        Fitted(headings, rows, flexible=[""]),
        Text(f"{MEDIAN}{KNOWN}; 95 % and minimum: of all runs, as they were", style="dim"),
        Text("Ratio: to the yardstick; slowdown: of that, beside its best", style="dim"),
    )


def events(rows: Sequence[Json]) -> RenderableType:
    cells = [(time.strftime("%H:%M:%S", time.localtime(row["at"])), row["by"] or "", row["text"]) for row in rows]
    return Fitted(["At", "By", "What"], cells, flexible=["By", "What"])


def fidelity(view: Json) -> RenderableType:
    """A row for each way to order candidates without the dear training."""
    spec, report = view["spec"], view["report"]
    if report["orderings"] is None:
        return Text(f"{len(report['candidates'])} candidates are compared yet: 4 and more have an order")
    rows = [
        (
            row["name"],
            *(numbers.between(row[name], row[f"{name}_interval"]) for name in ("kendall", "spearman")),
            f"{row['seconds']:.3g} s",
        )
        for row in report["orderings"]
    ]
    size = len(report["candidates"])
    dear, failed = report["dear_seconds"], len(report["failed"])
    return Group(
        Text(f"{size} candidates of {spec['space']} on {spec['dataset']}, in the order of the dear"),
        Text(f"recipe (validation accuracy; {dear:.3g} s a candidate)" + (f"; {failed} failed" if failed else "")),
        Fitted(["Ordered by", ">Kendall", ">Spearman", ">Cost"], rows),
        Text("1: the same order, 0: no relation; in brackets 95 % of bootstrap draws of the candidates", style="dim"),
    )
