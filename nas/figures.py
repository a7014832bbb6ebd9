"""Runs as Plotly figures, for a notebook: `nas.figures.pareto("0a1b2c3d4e5f")`, asked of the service at NAS_URL.

A run is its id; where a client is given, it is asked instead. The rankings are those of `Client.pareto`.
"""

import contextlib
from collections.abc import Iterable, Sequence
from typing import Any

from nas.client import Client
from nas.extras import NotInstalled
from nas.objective import COST_WORDS, METRIC_WORDS
from nas.service import Json

try:
    from plotly.graph_objects import Figure
except ImportError as error:
    raise NotInstalled("nas.figures needs plotly: pip install 'nas-service[figures]'") from error

UNITS = {"latency_ms": ", ms", "peak_memory": ", bytes", "model_bytes": ", bytes"}
COLOURS = ("#0a66b0", "#c85a00", "#00795c", "#a3327f", "#6a5400", "#4b4f9e")
GREY = "#8a94a3"


def pareto(run: str, client: Client | None = None, **ranking: Any) -> Figure:
    """The front of a search as a line, with standard errors, over all that it has measured; the best is a star."""
    with _asked(client) as service:
        front, columns = service.pareto(run, **ranking), service.columns(run)
        devices = service.run(run)["spec"]["devices"]
    objective, metric = front["objective"], front["objective"]["metric"]
    place = devices.index(front["device"])
    all_of_it = [
        (number, cost, value)
        for number, cost, value in zip(
            columns["number"], _costs(columns, objective["cost"], place), _column(columns, metric)
        )
        if cost is not None and value is not None
    ]
    line = [_spot(row) for row in front["front"]]
    best = [_spot(front["best"])] if front["best"] else []
    traces = [
        {
            **_markers([f"trial {number}" for number, *_ in all_of_it], GREY),
            "x": [cost for _, cost, _ in all_of_it],
            "y": [value for *_, value in all_of_it],
            "name": "measured",
            "mode": "markers",
        },
        _line(line, "Pareto front", COLOURS[0], shape="hv"),
        {**_line(best, "highest reward", COLOURS[1]), "mode": "markers", "marker": {"symbol": "star", "size": 15}},
    ]
    return _figure(traces, objective, f"Search {run}")


def compare(*of: str, client: Client | None = None, **ranking: Any) -> Figure:
    """The fronts of searches, and the members of growths, by the objective of the first search."""
    with _asked(client) as service:
        answer = service.compare(*of, **ranking)
    traces = [
        _line(side["front"], _named(side), COLOURS[place], shape="linear" if side["kind"] == "growth" else "hv")
        for place, side in enumerate(answer["sides"])
    ]
    return _figure(traces, answer["objective"], "Fronts")


def progress(*of: str, client: Client | None = None, **ranking: Any) -> Figure:
    """The best reward of searches over their compute."""
    with _asked(client) as service:
        answer = service.compare(*of, **ranking)
    traces = [
        {
            "type": "scatter",
            "x": [step["seconds"] / 3600 for step in side["progress"]],
            "y": [step["reward"] for step in side["progress"]],
            "text": [f"trial {step['number']}, {step['networks']} networks" for step in side["progress"]],
            "name": _named(side),
            "line": {"shape": "hv", "color": COLOURS[place]},
        }
        for place, side in enumerate(answer["sides"])
        if side["progress"]
    ]
    return Figure({"data": traces, "layout": _layout("Compute, hours", "Best reward", "How they grew")})


def family(run: str, client: Client | None = None, **ranking: Any) -> Figure:
    """The members of a growth with their standard errors, over multiply-adds unless another cost is named."""
    with _asked(client) as service:
        answer = service.compare(run, **ranking)
    (side,) = answer["sides"]
    line = _line(side["front"], f"on {side['scored_on']} images", COLOURS[1], shape="linear")
    named = line | {"mode": "lines+markers+text", "text": [row["member"] for row in side["front"]]}
    return _figure([named | {"textposition": "top center"}], answer["objective"], f"Growth {run}")


def _asked(client: Client | None) -> contextlib.AbstractContextManager[Client]:
    """The client, or one of its own that is closed again."""
    return contextlib.nullcontext(client) if client else Client()


def _line(rows: Sequence[Json], name: str, colour: str, shape: str = "hv") -> Json:
    return {
        **_markers([row.get("member") or f"trial {row['number']}" for row in rows], colour),
        "x": [row["cost"] for row in rows],
        "y": [row["value"] for row in rows],
        "error_y": {"type": "data", "array": [row["value_error"] or 0.0 for row in rows]},
        "name": name,
        "mode": "lines+markers",
        "line": {"shape": shape, "color": colour},
    }


def _markers(text: Sequence[str], colour: str) -> Json:
    return {"type": "scatter", "text": list(text), "marker": {"color": colour}}


def _spot(candidate: Json) -> Json:
    return {name: candidate[name] for name in ("number", "cost", "value", "value_error")}


def _named(side: Json) -> str:
    images = " (test images)" if side["scored_on"] == "test" else ""
    return f"{side['name'] or side['run']}{images}"


def _column(columns: Json, name: str) -> Iterable[Any]:
    """Which is empty where nothing is known of any."""
    return columns[name] or [None] * len(columns["number"])


def _costs(columns: Json, cost: str, place: int) -> Iterable[Any]:
    if cost != "latency_ms":
        return _column(columns, cost)
    return (pairs and pairs[place] and pairs[place][0] for pairs in _column(columns, "latencies"))


def _figure(traces: Sequence[Json], objective: Json, title: str) -> Figure:
    across = COST_WORDS[objective["cost"]].capitalize() + UNITS.get(objective["cost"], "")
    layout = _layout(across, METRIC_WORDS[objective["metric"]].capitalize(), title)
    layout["xaxis"]["type"] = "log"
    layout["yaxis"]["tickformat"] = ".1%"
    return Figure({"data": list(traces), "layout": layout})


def _layout(across: str, upwards: str, title: str) -> Json:
    return {"title": {"text": title}, "xaxis": {"title": {"text": across}}, "yaxis": {"title": {"text": upwards}}}
