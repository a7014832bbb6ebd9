"""What the command line prints of models, and of the files that they are handed out as."""

from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.text import Text

from api.cli import numbers
from api.cli.table import Fitted
from api.cli.tables import Json, accuracy, single_precision, unrounded

IN_8_BITS = "With a float32 beside it an accuracy is in 8 bits; its file is in float32"
SEEN = "{}: its parent or teacher may have seen the images that it is scored on"


def models(rows: Sequence[Json]) -> RenderableType:
    if not rows:
        return Text("No model yet: a growth saves its members, a search its trials with --save-weights")
    single = single_precision(rows)
    params = [] if single else [">Params"]  # or a terminal is too narrow
    cells = [
        (
            row["id"],
            row["member"] or "–",
            numbers.percent(row["accuracy"]),
            numbers.percent(row["test_accuracy"]),
            *(unrounded(row) for _ in single),
            *(numbers.short(row["params"]) for _ in params),
            numbers.milliseconds(next(iter(row["latencies_ms"].values()), None)),
            numbers.size(row["bytes"]),
            row["file"],
        )
        for row in rows
    ]
    headings = ["Model", "", ">Validation", ">Test", *single, *params, ">Latency", ">Size", "File"]
    return Group(
        Fitted(headings, cells, flexible=["File"]),
        *(Text(IN_8_BITS, style="dim") for _ in single),
        *map(_empty, filter(_learnt_nothing, rows)),
        *(Text(SEEN.format(row["id"]), style="yellow") for row in rows if row["seen"]),
    )


def files(answer: Json) -> RenderableType:
    """What a model is handed out as."""
    if answer["state"] != "built":
        words = {"failed": f"could not be made: {answer['reason']}", "building": "are being made"}
        said = words.get(answer["state"], f"are not made yet: nas files {answer['model']} --make")
        return Text(f"The files of model {answer['model']} {said}")
    cells = [
        (
            row["name"],
            numbers.size(row["bytes"]),
            _scored(row["score"]) if row["score"] else "",
            numbers.milliseconds(row["latency"]["median_ms"]) if row["latency"] else "",
            row["sha256"][:12],
            row["save_as"],
        )
        for row in answer["files"]
    ]
    refused = [Text(f"not as {row['exporter']}: {row['reason']}", style="yellow") for row in answer["refused"]]
    headings = ["File", ">Size", ">Accuracy", ">Latency", "SHA-256", "Saved as"]
    reasons = dict.fromkeys(row["score"]["unchecked"] for row in answer["files"] if row["score"])
    unchecked = [Text(f"not checked: {reason}", style="yellow") for reason in reasons if reason]
    return Group(Fitted(headings, cells, flexible=["Saved as"]), *unchecked, *refused)


def _scored(score: Json) -> str:
    if score["accuracy"] is None:
        return "not checked"
    return f"{numbers.percent(score['accuracy'])} on {score['images']:,}"


def _learnt_nothing(model: Json) -> bool:
    """Whether its accuracy may be no more than the share of the largest class."""
    score, error, quality = accuracy(model), model["accuracy_error"] or 0.0, model["quality"]
    return quality is not None and score is not None and score - 2 * error <= quality["majority"]


def _empty(model: Json) -> Text:
    quality = model["quality"]
    alone, balanced = numbers.percent(quality["majority"]), numbers.percent(quality["balanced_accuracy"])
    return Text(f"{model['id']}: the largest class alone gives {alone}; balanced accuracy {balanced}", style="yellow")
