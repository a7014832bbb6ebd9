"""A run as one HTML file that needs nothing else: to be mailed, printed and kept."""

import json
import time
from collections.abc import Iterable, Sequence
from dataclasses import replace
from html import escape
from typing import Any

from api.cli import numbers
from api.report.chart import Axis, Dot, Line, Series, chart
from api.report.style import STYLE
from api.views.comparison import Compared, Comparison, flat
from api.views.growth import Growth
from api.views.search import Candidate, Search
from nas.codec import encode
from nas.objective import COST_WORDS, METRIC_WORDS, Cost, Objective
from nas.specs import GrowthSpec, SearchSpec
from nas.version import version

UNASKED = ("name", "contents", "architecture", "worth")  # or too long
TELLING = (  # even where they are the default
    *("dataset", "space", "searcher", "trials", "devices", "members", "scored_on"),
    *("objective.cost", "objective.target", "objective.w_under", "objective.w_over", "recipe.epochs"),
)


def of_search(search: Search, front: Sequence[Candidate], compared: Comparison) -> str:
    """The search with its own front; `compared` is a comparison of it alone."""
    side, objective = compared.sides[0], compared.objective
    reward = f"{METRIC_WORDS[objective.metric].capitalize()} against {_cost(objective, compared.device)}"
    return _page(
        search,
        _section(
            "The Pareto front",
            _plane([_spots(side, "front", side.name or "front", line="front")], objective, compared.device, reward),
            _front(front, search, objective),
        ),
        _section("How it grew", _grown(side)),
    )


def of_growth(growth: Growth, compared: Comparison) -> str:
    """The growth; `compared` begins with it, and may go on with the search that its network is from, whose front is
    drawn behind."""
    own, *others = (replace(side, network=None) for side in compared.sides)
    behind = [
        _spots(side, "behind", f"front of the search, on {side.scored_on} images", line="front") for side in others
    ]
    line: Line | None = None if growth.spec.fit else "straight"
    family = Series(
        name=f"family, on {own.scored_on} images", style="family", line=line, dots=_spots(own, "family", "").dots
    )
    title = f"Accuracy of the family against {_cost(compared.objective, compared.device)}"
    picture = _plane([*behind, family], compared.objective, compared.device, title)
    return _page(growth, _section("The family", picture, _family(growth)))


def _page(run: Search | Growth, *sections: str) -> str:
    name = escape(run.name or run.id)
    counts = ", ".join(f"{count:,} {state}" for state, count in run.counts.items() if count)
    facts = {
        "Run": f"{run.kind} {run.id}, {run.state}",
        "Trials": f"{run.trials:,}: {counts}",
        "Worked for": f"{numbers.duration(run.seconds)}, {numbers.duration(run.compute_seconds)} of compute",
        "Begun": _moment(run.started_at),
        "Ended": _moment(run.ended_at),
        "Submitted by": run.submitted_by or "",
        "Error": run.error or "",
        "Why": run.reason or "",
    }
    contents = run.spec.contents
    remarks = "".join(f"<p>Images: {escape(remark.text)}</p>" for remark in (contents.remarks if contents else ()))
    parts = (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{name}</title>'
        f'<meta name="viewport" content="width=device-width, initial-scale=1"><style>{STYLE}</style></head><body>'
        f"<header><h1>{name}</h1>",
        f'<p class="verdict">{escape(run.verdict)}</p>' if run.verdict else "",
        f"{_list(facts)}{remarks}</header>",
        *sections,
        _section("What was asked for", _list(_asked(run.spec)), _whole(run.spec)),
        f'<footer class="muted"><p>nas-service {escape(version())}, {_moment(time.time())}</p></footer></body></html>',
    )
    return "".join(parts)


def _section(title: str, *parts: str) -> str:
    return f"<section><h2>{escape(title)}</h2>{''.join(parts) or '<p>Nothing was measured.</p>'}</section>"


def _list(facts: dict[str, str]) -> str:
    rows = (f"<dt>{escape(name)}</dt><dd>{escape(value)}</dd>" for name, value in facts.items() if value)
    return f"<dl>{''.join(rows)}</dl>"


def _table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    head = "".join(f'<th scope="col">{escape(heading)}</th>' for heading in headings)
    body = "".join(f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in row)}</tr>" for row in rows)
    return f'<div class="scroll"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'


def _plane(series: Sequence[Series], objective: Objective, device: str, label: str) -> str:
    cost = objective.cost
    across = Axis(title=_cost(objective, device), show=lambda value: _shown(cost, value), spread=True)
    upwards = Axis(title=METRIC_WORDS[objective.metric].capitalize(), show=lambda value: f"{100 * value:.4g} %")
    return chart(series, across, upwards, label)


def _spots(side: Compared, style: str, name: str, line: Line | None = None) -> Series:
    chosen = side.network.number if side.network else None
    return Series(
        name=name,
        style=style,
        line=line,
        dots=tuple(
            Dot(
                x=spot.cost,
                y=spot.value,
                error=None if style == "behind" else spot.value_error,
                name=spot.member or "",
                title=f"{spot.member or f'trial {spot.number}'}: {numbers.percent(spot.value, spot.value_error)}",
                chosen=spot.number == chosen,
            )
            for spot in side.front
        ),
    )


def _grown(side: Compared) -> str:
    dots = tuple(
        Dot(x=step.seconds, y=step.reward, title=f"trial {step.number}, {step.networks} networks")
        for step in side.progress
        if step.reward is not None
    )
    across = Axis(title="Compute", show=numbers.duration)
    upwards = Axis(title="Best reward", show=lambda value: f"{value:.4g}")
    return chart([Series(name="", style="front", dots=dots, line="steps")], across, upwards, "Best reward over compute")


def _front(front: Sequence[Candidate], search: Search, objective: Objective) -> str:
    if not front:
        return ""
    best, devices = search.best and search.best.number, search.spec.devices
    values = [] if objective.metric == "accuracy" else [METRIC_WORDS[objective.metric].capitalize()]
    headings = ["Trial", *values, "Validation accuracy", "Multiply-adds", *(f"On {name}" for name in devices)]
    rows = [
        (
            f"{row.number} ★" if row.number == best else row.baseline or str(row.number),
            *(numbers.percent(row.value, row.value_error) for _ in values),
            numbers.percent(row.accuracy, row.accuracy_error),
            numbers.short(row.mult_adds),
            *(numbers.latency(row.latencies_ms.get(name), row.latency_errors_ms.get(name)) for name in devices),
            numbers.short(row.params),
            numbers.reward(row.reward),
            ", ".join(map(str, row.tied_with)),
        )
        for row in front
    ]
    return _table([*headings, "Parameters", "Reward", "Tied with"], rows)


def _family(growth: Growth) -> str:
    spec = growth.spec
    validated = ["Validation accuracy"] if spec.scored_on != "test" else []
    tested = ["Test accuracy"] if spec.scored_on != "validation" else []
    of_test = None if spec.scored_on == "both" else "accuracy_error"
    rows = [
        (
            row.member,
            row.error or row.skipped or row.state,
            *(numbers.percent(row.accuracy, row.accuracy_error) for _ in validated),
            *(numbers.percent(row.test_accuracy, getattr(row, of_test or "test_error")) for _ in tested),
            "–" if row.resolution is None else f"{row.resolution} px",
            numbers.short(row.mult_adds),
            *(numbers.latency(row.latencies_ms.get(name), row.latency_errors_ms.get(name)) for name in spec.devices),
            numbers.short(row.params),
            str(row.seeds or "–"),
            ", ".join(row.tied_with),
        )
        for row in growth.family
    ]
    headings = ["Member", "State", *validated, *tested, "Images", "Multiply-adds", *(f"On {d}" for d in spec.devices)]
    return _table([*headings, "Parameters", "Seeds", "Tied with"], rows)


def _asked(spec: SearchSpec | GrowthSpec) -> dict[str, str]:
    """What tells the request from one in which everything else is the default."""
    if isinstance(spec, SearchSpec):
        usual: SearchSpec | GrowthSpec = SearchSpec(dataset=spec.dataset)
    else:
        usual = GrowthSpec(dataset=spec.dataset, space=spec.space, architecture=spec.architecture)
    default = flat(encode(usual))
    return {
        name: _said(value) for name, value in flat(_sent(spec)).items() if name in TELLING or value != default.get(name)
    }


def _said(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(map(_said, value))
    if isinstance(value, float):
        return numbers.short(value) if abs(value) >= 1000 else f"{value:g}"
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _whole(spec: SearchSpec | GrowthSpec) -> str:
    text = json.dumps(_sent(spec), indent=2, ensure_ascii=False)
    return f"<details><summary>All of it, as JSON</summary><pre>{escape(text)}</pre></details>"


def _sent(spec: SearchSpec | GrowthSpec) -> dict[str, Any]:
    return {name: value for name, value in encode(spec).items() if name not in UNASKED}


def _cost(objective: Objective, device: str) -> str:
    return f"Latency on {device}, ms" if objective.cost == "latency_ms" else COST_WORDS[objective.cost].capitalize()


def _shown(cost: Cost, value: float) -> str:
    if cost == "latency_ms":
        return f"{value:.3g}"
    text = numbers.short(float(f"{value:.3g}"))
    number, space, unit = text.partition(" ")
    text = f"{float(number):g}{space}{unit}"
    return f"{text}B" if cost in ("peak_memory", "model_bytes") else text


def _moment(at: float | None) -> str:
    return "" if at is None else time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(at))
