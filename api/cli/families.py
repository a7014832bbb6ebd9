"""What the command line prints of a growth: its family, the candidates of a fit, or dimensions compared."""

from rich.console import Group, RenderableType
from rich.text import Text

from api.cli import numbers
from api.cli.table import Fitted
from api.cli.tables import (
    MEDIAN,
    Json,
    heading,
    how_far,
    latency_columns,
    single_precision,
    state,
    tied,
    unrounded,
    why,
)
from nas.networks.members import factors
from nas.networks.scaling import WAYS


def scaling(spec: Json) -> str:
    """How members grow."""
    factors = spec["scaling"]
    if factors is None:
        return "the published family's, B0 to B7"
    parts = [f"depth {factors['alpha']:g}", f"width {factors['beta']:g}", f"resolution {factors['gamma']:g}"]
    parts += [f"{name} +{factors[name]:g}" for name in ("dropout", "drop_connect", "augment") if factors[name]]
    by = f", as growth {spec['fitted_by']} fitted them" if spec["fitted_by"] else ""
    return f"{', '.join(parts)} a step{by}"


def growth(view: Json) -> RenderableType:
    """The table that says most of it."""
    if view["spec"]["fit"]:
        return fit(view)
    return compared(view) if any(row["way"] in WAYS for row in view["family"]) else family(view)


def family(growth: Json) -> RenderableType:
    devices, metric = latency_columns(growth["spec"]["devices"]), growth["spec"]["metric"]
    inherits = growth["spec"]["inherit"] or growth["spec"]["parent"]
    values, single = [] if metric == "accuracy" else [heading(metric)], single_precision(growth["family"])
    scored_on = growth["spec"]["scored_on"]
    brief = scored_on == "both"  # two accuracies leave room for little else
    validated = [">Validation"] if scored_on != "test" else []
    tested = [">Test"] if scored_on != "validation" else []
    rows = [
        (
            row["member"],
            state(row["state"]),
            *(() if brief else (f"{row['resolution'] or '–'} px", numbers.short(row["params"]))),
            numbers.short(row["mult_adds"]),
            *(_latency(row, device) for device in devices),
            *(numbers.percent(row["value"], row["value_error"]) for _ in values),
            *(numbers.percent(row["accuracy"], row["accuracy_error"]) for _ in validated),
            *(numbers.percent(row["test_accuracy"], row["test_error"]) for _ in tested),
            *(unrounded(row) for _ in single),
            *([numbers.percent(row["inherited"])] if inherits else []),
            *(() if brief else (numbers.duration(row["seconds"]),)),
            row["model"] or why(row) or how_far(row) or _worse(row),
        )
        for row in growth["family"]
    ]
    headings = ["", "State", *([] if brief else [">Pixels", ">Params"]), ">Mult-adds", *devices.values(), *values]
    headings += [*validated, *tested, *single, *([">Inherited"] if inherits else [])]
    headings += [*([] if brief else [">Took"]), "Model"]
    images = {
        "test": "tested on images that no training and no search has seen",
        "validation": "scored on the images that the search ranked its candidates on",
        "both": "compared on the images of the search, and what is worth its cost tested on others",
    }[scored_on]
    search, number = growth["spec"]["source"] or ("?", "?")
    seeds = growth["spec"]["seeds"]
    parts: list[RenderableType] = [
        Text(f"Family of trial {number} of search {search}, {images}"),
        Fitted(headings, rows, flexible=["Model"]),
        *_skipped(growth["family"]),
        Text(MEDIAN, style="dim"),
    ]
    if any(row["accuracy_error"] is not None for row in growth["family"]):
        several = (
            f"mean of {seeds} seeds ± its standard error" if seeds > 1 else "± the standard error of so many images"
        )
        what = "Test" if scored_on == "test" else "Validation"
        parts.append(Text(f"{what} accuracy: {several}{tied(growth['family'], 'member')}", style="dim"))
    if any(_latency(row, device).startswith(numbers.ABOUT) for row in growth["family"] for device in devices):
        parts.append(Text(f"{numbers.ABOUT} a latency that is noisy", style="dim"))
    return Group(*parts)


def _skipped(rows: list[Json]) -> list[Text]:
    """A line for each reason why members are not trained: a column of them would leave no room for the others."""
    reasons = dict.fromkeys(row["skipped"] for row in rows if row["skipped"])
    named = {why: ", ".join(row["member"] for row in rows if row["skipped"] == why) for why in reasons}
    return [Text(f"Skipped: {members}, as {why}", style="yellow") for why, members in named.items()]


def _latency(row: Json, device: str) -> str:
    return numbers.latency(row["latencies_ms"].get(device), row["latency_errors_ms"].get(device), brief=True)


def _worse(row: Json) -> str:
    """Of what has no model, since a cheaper member is as good."""
    return f"no better than {row['dominated_by']}" if row["dominated_by"] else ""


def compared(growth: Json) -> RenderableType:
    """Members by the dimensions that they are scaled in, where these are compared."""
    device = growth["spec"]["devices"][0]
    rows = [
        (
            row["member"],
            _factors(row),
            f"{row['times']:.2f}" if row["times"] else "–",
            _latency(row, device),
            numbers.percent(row["value"], row["value_error"]),
            why(row) or how_far(row) or (row["state"] if row["value"] is None else ""),
        )
        for row in growth["family"]
    ]
    search, number = growth["spec"]["source"] or ("?", "?")
    return Group(
        Text(f"Members of trial {number} of search {search}, scored on {growth['spec']['scored_on']} images"),
        Fitted(["", "Scaled by", ">×", ">Latency", ">Score", ""], rows),
        *_skipped(growth["family"]),
        Text("Scaled by: depth, width, resolution, where these are not 1; ×: multiply-adds", style="dim"),
    )


def _factors(row: Json) -> str:
    scale = row["scale"] or {}
    parts = (f"{name[0]} {scale[name]:.3g}" for name in ("depth", "width", "resolution") if scale.get(name, 1) != 1)
    return ", ".join(parts) or "–"


def fit(growth: Json) -> RenderableType:
    """The candidates of a fit, the best first, and what is compared with them, as in the paper's table."""
    taken = (growth["fitted"] or {}).get("member")
    scored = sorted(growth["family"], key=lambda row: (row["value"] is None, -(row["value"] or 0)))
    wanted, device = growth["spec"]["fit"]["cost"], growth["spec"]["devices"][0]
    timed = [">× Latency"] if wanted == "latency_ms" else []
    cost = {
        "formula": "at α·β²·γ² of about 2",
        "mult_adds": "at about twice the multiply-adds",
        "latency_ms": f"at about twice the latency on {device}",
    }[wanted]
    rows = []
    for row in scored:
        own = factors(row["member"])
        each = (f"{own.alpha:g}", f"{own.beta:g}", f"{own.gamma:g}", f"{own.growth:.2f}") if own else ("–",) * 4
        rows.append(
            (
                "★" if row["member"] == taken else "",
                "" if own else row["member"],
                *each,
                f"{row['times']:.2f}",
                *(f"{row['latency_times']:.2f}" if row["latency_times"] else "–" for _ in timed),
                numbers.percent(row["value"], row["value_error"]),
                why(row) or how_far(row) or _passed_over(row) or ", ".join(row["also"]),
            )
        )
    search, number = growth["spec"]["source"] or ("?", "?")
    headings = ["", "", ">α", ">β", ">γ", ">α·β²·γ²", ">× Mult-adds", *timed, ">Score", "Also"]
    return Group(
        Text(f"Fit to trial {number} of search {search} {cost}, scored on validation images"),
        Fitted(headings, rows, flexible=["Also"]),
        Text("★ what is taken; also: candidates that come out as the same network", style="dim"),
    )


def _passed_over(row: Json) -> str:
    """Why a candidate has no score."""
    return f"skipped: {row['skipped']}" if row["skipped"] else row["state"] if row["value"] is None else ""
