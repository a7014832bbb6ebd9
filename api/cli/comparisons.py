"""What runs and trials look like side by side: `nas compare`."""

import json
from collections.abc import Callable, Sequence
from typing import Any

from rich.console import Group, RenderableType
from rich.text import Text

from api.cli import arguments, numbers
from api.cli.session import Session
from api.cli.table import Fitted
from api.cli.tables import MEDIAN, MEMORY, Json, objective
from nas.objective import METRIC_WORDS

SHARE = "share of the front: of the area that all have together, down to a tenth of the front beyond its ends"
APART = "yellow"  # what is not as the first has it


def compare(session: Session) -> int:
    options = session.options
    ranking = arguments.objective(options) | {"device": options.device}
    return session.show(session.client.compare(*options.of, **ranking), comparison)


def comparison(answer: Json) -> RenderableType:
    sides = answer["sides"]
    places = [f">{place}" for place in range(1, len(sides) + 1)]
    aim, metric = answer["objective"], answer["objective"]["metric"]
    rows: list[tuple[str, Callable[[Json], str]]] = [
        *([] if metric == "accuracy" else [(METRIC_WORDS[metric], lambda row: numbers.percent(row["value"]))]),
        ("Accuracy", lambda row: numbers.percent(row["accuracy"])),
        ("± its error", lambda row: numbers.percent(row["accuracy_error"])),
        ("Multiply-adds", lambda row: numbers.short(row["mult_adds"])),
        (f"Latency, {answer['device']}", lambda row: numbers.milliseconds(row["latencies_ms"].get(answer["device"]))),
        ("Parameters", lambda row: numbers.short(row["params"])),
        *((name, _bytes(cost)) for cost, name in MEMORY.items() if cost == aim["cost"]),
        ("Reward", lambda row: numbers.reward(row["reward"])),
        ("Trainings", lambda row: str(row["trainings"])),
    ]
    cells = [
        (name.removeprefix(">"), *(show(side["network"]) if side["network"] else "–" for side in sides))
        for name, show in rows
    ]
    cells += [
        ("Tied with", *(", ".join(str(place + 1) for place in side["tied_with"]) or "–" for side in sides)),
        ("Networks", *(_last(side, lambda step: f"{step['networks']:,}") for side in sides)),
        ("Compute", *(_last(side, lambda step: numbers.duration(step["seconds"])) for side in sides)),
        ("Share of the front", *(_last(side, lambda step: f"{100 * step['share']:.0f} %") for side in sides)),
    ]
    of_one = len({side["dataset"] for side in sides}) == 1
    apart = "" if of_one else "Of different images: accuracies and shares do not say which is the better"
    parts: list[RenderableType] = [Text(f"{place}  {called(side, of_one)}") for place, side in enumerate(sides, 1)]
    parts += [Text(), Fitted(["", *places], cells)]
    alike = f" ({answer['knobs_alike']} are alike)" if answer["knobs_alike"] else ""
    for title, found in (
        (f"Knobs that differ{alike}", answer["knobs"]),
        ("What was asked for differently", answer["requests"]),
    ):
        if found and len(sides) > 1:
            table = [(name, *_tinted(values)) for name, values in found.items()]
            parts += [Text(), Text(title, style="bold"), Fitted(["", *places], table, flexible=["", *_bare(places)])]
    told = f"Ranked by {objective(aim)}" + (f" on {answer['device']}" if aim["cost"] == "latency_ms" else "")
    parts += [Text(apart, style=APART)] if apart else []
    return Group(*parts, Text(f"{told}; {SHARE}", style="dim"), Text(MEDIAN, style="dim"))


def called(side: Json, of_one: bool) -> str:
    """A side in words, with the network that stands for it; whether all are `of_one` dataset."""
    network = side["network"]
    which = side["member"] or (network and f"trial {network['number']}") or "nothing measured"
    name = f"{side['name']} ({side['run']})" if side["name"] else side["run"]
    images = "" if of_one else f", of {side['dataset']}"
    return f"{side['kind']} {name}, {which}{images}" + (", on test images" if side["scored_on"] == "test" else "")


def _bytes(cost: str) -> Callable[[Json], str]:
    return lambda row: "–" if row[cost] is None else numbers.size(row[cost])


def _last(side: Json, words: Callable[[Json], str]) -> str:
    return words(side["progress"][-1]) if side["progress"] else "–"


def _tinted(values: Sequence[Any]) -> list[Text]:
    return [Text(_shown(value), style="" if value == values[0] else APART) for value in values]


def _shown(value: Any) -> str:
    if value is None:
        return "–"
    if isinstance(value, float):
        return numbers.short(value) if abs(value) >= 1000 else f"{value:g}"
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _bare(headings: Sequence[str]) -> list[str]:
    return [heading.removeprefix(">") for heading in headings]
