"""What the command line prints: tables of the API's JSON objects."""

import time
from collections.abc import Iterable, Sequence
from typing import Any

from rich.console import Group, RenderableType
from rich.text import Text

from api.cli import numbers
from api.cli.table import Fitted
from nas.objective import METRIC_WORDS

Json = dict[str, Any]
COLOURS = {
    "running": "cyan",
    "done": "green",
    "finished": "green",
    "failed": "red",
    "refused": "yellow",
    "cancelled": "yellow",
    "paused": "yellow",
}


def state(name: str) -> Text:
    return Text(name, style=COLOURS.get(name, ""))


MEDIAN = "Latency: the median of the fastest runs of six rounds"
COSTS = {"latency_ms": "latency", "mult_adds": "multiply-adds", "params": "parameters"}


def objective(spec: Json) -> str:
    cost, target = spec["cost"], spec["target"]
    goal = f"{target:g} ms latency" if cost == "latency_ms" else f"{numbers.short(target)} {COSTS[cost]}"
    metric = METRIC_WORDS[spec.get("metric", "accuracy")]
    under, over = spec["w_under"], spec["w_over"]
    exponent = f"w = {under:g}" if under == over else f"w = {under:g} up to it, {over:g} above"
    if spec["form"] == "absolute":
        return f"{metric} + w · |cost / target - 1|, target {goal}, {exponent}"
    reward = f"{metric} × (cost / target)^w, target {goal}, {exponent}"
    if spec["form"] != "front":
        return reward
    aims = [metric, *(COSTS[name] for name in (cost, spec.get("also")) if name)]
    return f"the front of {', '.join(aims[:-1])} and {aims[-1]}; reward {reward}"


def pareto(front: Json) -> RenderableType:
    if not front["front"]:
        if front["unrecorded"]:
            return Text(unrecorded(front))
        return Text(f"Search {front['search']} has measured no trial yet: nas watch {front['search']}")
    best = front["best"] and front["best"]["number"]
    several = any(row["trainings"] > 1 for row in front["front"])
    measured_on = [device for row in front["front"] for device in row["latencies_ms"]]
    devices = latency_columns(measured_on or [front["device"]])
    metric = front["objective"]["metric"]
    values = [] if metric == "accuracy" else [heading(metric)]
    headings = ["", ">Trial", *values, ">Accuracy", ">Mult-adds", *devices.values(), ">Params", ">Reward"]
    on = f", latency on {front['device']}" if front["objective"]["cost"] == "latency_ms" and len(devices) > 1 else ""
    rows = [
        (
            "★" if row["number"] == best else "",
            str(row["number"]),
            *(numbers.percent(row["value"], row["value_error"]) for _ in values),
            numbers.percent(row["accuracy"], row["accuracy_error"]),
            numbers.short(row["mult_adds"]),
            *(numbers.milliseconds(row["latencies_ms"].get(device)) for device in devices),
            numbers.short(row["params"]),
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
        Text(MEDIAN, style="dim"),
        Text(f"★ highest reward: {objective(front['objective'])}{tied(front['front'], 'number')}{on}", style="dim"),
        *([Text(unrecorded(front), style="yellow")] if front["unrecorded"] else []),
    )


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


def trials(rows: Sequence[Json]) -> RenderableType:
    if not rows:
        return Text("No trial yet.")
    cells: list[tuple[str | Text, ...]] = []
    devices = latency_columns(device for trial in rows for device in trial["job"]["devices"])
    for trial in rows:
        measured = trial["measurement"] or {}
        took = trial["ended_at"] and trial["ended_at"] - trial["started_at"]
        cells.append(
            (
                str(trial["number"]),
                state(trial["state"]),
                numbers.percent(_accuracy(measured)),
                numbers.short(measured.get("mult_adds")),
                *(median(measured.get("latencies", {}).get(device)) for device in devices),
                numbers.short(measured.get("params")),
                numbers.reward(trial["reward"]),
                numbers.duration(took),
                why(trial) or how_far(trial) or purpose(trial) or trial["job"]["member"] or "",
            )
        )
    measured_in = [">Accuracy", ">Mult-adds", *devices.values(), ">Params", ">Reward", ">Took"]
    measured = [trial["measurement"] or {} for trial in rows]
    noisy = any(latency["noisy"] for row in measured for latency in row.get("latencies", {}).values())
    return Group(
        Fitted([">Trial", "State", *measured_in, ""], cells, flexible=[""]),
        Text(MEDIAN + ("; ~: noisy" if noisy else ""), style="dim"),
    )


def _accuracy(measured: Json) -> float | None:
    """On the test images of what is final, else on the validation images."""
    test_accuracy: float | None = measured.get("test_accuracy")
    return measured.get("accuracy") if test_accuracy is None else test_accuracy


def median(latency: Json | None) -> str:
    """With a mark where the latency is noisy."""
    if latency is None:
        return numbers.milliseconds(None)
    return ("~" if latency["noisy"] else "") + numbers.milliseconds(latency["median_ms"])


def why(trial: Json) -> str:
    """Why nothing came of a trial, in a line."""
    reason = trial.get("error") or (trial.get("measurement") or {}).get("refused") or ""
    return " ".join(reason.split())


def purpose(trial: Json) -> str:
    """Which training of its network a trial is, where there are several, the learning rate where it is not that of its
    recipe, and the share of its weights that it had from a parent."""
    rate = _slowed_to(trial)
    inherited = (trial["measurement"] or {}).get("inherited")
    begun = "" if inherited is None else f"{100 * inherited:.0f} % inherited"
    return ", ".join(filter(None, (_which(trial["job"]), f"at rate {rate:g}" if rate else "", begun)))


def _which(job: Json) -> str:
    if job["repeats"] is not None:
        return f"trial {job['repeats']} again"
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


def family(growth: Json) -> RenderableType:
    devices, inherits = latency_columns(growth["spec"]["devices"]), growth["spec"]["inherit"]
    metric = growth["spec"]["metric"]
    values = [] if metric == "accuracy" else [heading(metric)]
    rows = [
        (
            row["member"],
            state(row["state"]),
            f"{row['resolution']} px",
            numbers.short(row["params"]),
            numbers.short(row["mult_adds"]),
            *(numbers.milliseconds(row["latencies_ms"].get(device)) for device in devices),
            *(numbers.percent(row["value"], row["value_error"]) for _ in values),
            numbers.percent(_accuracy(row), row["accuracy_error"]),
            *([numbers.percent(row["inherited"])] if inherits else []),
            numbers.duration(row["seconds"]),
            row["model"] or why(row) or how_far(row),
        )
        for row in growth["family"]
    ]
    tested = growth["spec"]["scored_on"] == "test"
    accuracy = ">Test" if tested else ">Validation"
    headings = ["", "State", ">Pixels", ">Params", ">Mult-adds", *devices.values(), *values, accuracy]
    headings += [*([">Inherited"] if inherits else []), ">Took", "Model"]
    images = "tested on images that no training and no search has seen"
    if not tested:
        images = "scored on the images that the search ranked its candidates on"
    search, number = growth["spec"]["source"] or ("?", "?")
    seeds = growth["spec"]["seeds"]
    parts: list[RenderableType] = [
        Text(f"Family of trial {number} of search {search}, {images}"),
        Fitted(headings, rows, flexible=["Model"]),
        Text(MEDIAN, style="dim"),
    ]
    if any(row["accuracy_error"] is not None for row in growth["family"]):
        several = (
            f"mean of {seeds} seeds ± its standard error" if seeds > 1 else "± the standard error of so many images"
        )
        what = "Test" if tested else "Validation"
        parts.append(Text(f"{what} accuracy: {several}{tied(growth['family'], 'member')}", style="dim"))
    return Group(*parts)


def tied(rows: Sequence[Json], name: str) -> str:
    """Which of the rows, called by `name`, noise alone may have put in this order, once each pair."""
    pairs = [f"{row[name]} = {other}" for row in rows for other in row["tied_with"] if row[name] < other]
    return f"; tied: {', '.join(pairs)}" if pairs else ""


def runs(rows: Sequence[Json]) -> RenderableType:
    if not rows:
        return Text("No run yet: nas search --dataset fashion_mnist")
    cells = []
    for run in rows:
        over = sum(count for name, count in run["counts"].items() if name != "running")
        cells.append(
            (
                run["id"],
                run["kind"],
                state(run["state"]),
                f"{over}/{run['trials']}",
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
    """A search's or a growth's."""
    if run.get("best"):
        accuracy: float = run["best"]["accuracy"]
        return accuracy
    scored = (_accuracy(row) for row in run.get("family", ()))
    return max((each for each in scored if each is not None), default=None)


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
                    *(numbers.milliseconds(latency.get(name)) for name in ("median_ms", "p95_ms", "minimum_ms")),
                    f"{latency['ratio']:.3g}" if latency.get("ratio") else "–",
                    str(latency.get("rounds") or "–"),
                    " ".join((reading["error"] or latency.get("noisy") or "").split()),
                )
            )
    sizes = [">Network", ">Params", ">Mult-adds"] if several else []
    headings = [*sizes, "Device", ">Median", ">95 %", ">Minimum", ">Ratio", ">Rounds", ""]
    params, mult_adds = (numbers.short(networks[0][name]) for name in ("params", "mult_adds"))
    return Group(
        *([] if several else [Text(f"{params} parameters, {mult_adds} multiply-adds")]),
        Fitted(headings, rows, flexible=[""]),
        Text("Median: of the fastest runs of six rounds; 95 % and minimum: of all runs", style="dim"),
    )


def models(rows: Sequence[Json]) -> RenderableType:
    if not rows:
        return Text("No model yet: a growth saves its members, a search its trials with --save-weights")
    cells = [
        (
            row["id"],
            row["member"] or "–",
            numbers.percent(row["test_accuracy"] if row["test_accuracy"] is not None else row["accuracy"]),
            "test" if row["test_accuracy"] is not None else "validation",
            numbers.short(row["params"]),
            numbers.milliseconds(next(iter(row["latencies_ms"].values()), None)),
            f"{numbers.short(row['bytes'])}B",
            row["file"],
        )
        for row in rows
    ]
    headings = ["Model", "", ">Accuracy", "on", ">Params", ">Latency", ">Size", "File"]
    return Group(Fitted(headings, cells, flexible=["File"]), *map(_empty, filter(_learnt_nothing, rows)))


def files(answer: Json) -> RenderableType:
    """What a model is handed out as."""
    if answer["state"] != "built":
        words = {"failed": f"could not be made: {answer['reason']}", "building": "are being made"}
        said = words.get(answer["state"], f"are not made yet: nas files {answer['model']} --make")
        return Text(f"The files of model {answer['model']} {said}")
    cells = [
        (
            row["name"],
            f"{numbers.short(row['bytes'])}B",
            f"{numbers.percent(row['score']['accuracy'])} on {row['score']['images']:,}" if row["score"] else "",
            row["sha256"][:12],
            row["save_as"],
        )
        for row in answer["files"]
    ]
    refused = [Text(f"not as {row['exporter']}: {row['reason']}", style="yellow") for row in answer["refused"]]
    headings = ["File", ">Size", ">Accuracy", "SHA-256", "Saved as"]
    return Group(Fitted(headings, cells, flexible=["Saved as"]), *refused)


def _learnt_nothing(model: Json) -> bool:
    """Whether its accuracy may be no more than the share of the largest class."""
    accuracy, error, quality = _accuracy(model), model["accuracy_error"] or 0.0, model["quality"]
    return quality is not None and accuracy is not None and accuracy - 2 * error <= quality["majority"]


def _empty(model: Json) -> Text:
    quality = model["quality"]
    alone, balanced = numbers.percent(quality["majority"]), numbers.percent(quality["balanced_accuracy"])
    return Text(f"{model['id']}: the largest class alone gives {alone}; balanced accuracy {balanced}", style="yellow")


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
