"""Which knobs of a search mattered: `nas knobs`."""

from rich.console import Group, RenderableType
from rich.text import Text

from api.cli import arguments, numbers
from api.cli.session import Session
from api.cli.table import Fitted
from api.cli.tables import MEMORY, Json, heading, objective

COST_HEADINGS = {"mult_adds": ">Mult-adds", "latency_ms": ">Latency", "params": ">Params"} | MEMORY


def knobs(session: Session) -> int:
    options = session.options
    ranking = arguments.objective(options) | {"device": options.device}
    return session.show(session.client.knobs(options.run, **ranking), table)


def table(answer: Json) -> RenderableType:
    if not answer["knobs"]:
        return Text("No two choices of a knob have been compared yet.")
    aim = answer["objective"]
    show = {"latency_ms": numbers.milliseconds, "peak_memory": numbers.size, "model_bytes": numbers.size}
    cost = show.get(aim["cost"], numbers.short)
    rows = [
        (
            "" if place else knob["name"],
            "" if place or knob["importance"] is None else f"{100 * knob['importance']:.0f} %",
            str(its["choice"]),
            str(its["networks"]),
            numbers.percent(its["value"]),
            cost(its["cost"]),
            str(its["best"]),
        )
        for knob in answer["knobs"]
        for place, its in enumerate(knob["choices"])
    ]
    value = ">Accuracy" if aim["metric"] == "accuracy" else heading(aim["metric"])
    headings = ["Knob", ">Importance", "Choice", ">Networks", value, COST_HEADINGS[aim["cost"]], ">Best"]
    looked, measured = len(answer["networks"]), answer["measured"]
    of = f"{looked} of {measured:,}" if looked < measured else f"{measured}"
    ranked = answer["knobs"][0]["importance"] is not None
    said = (
        "Importance: a knob's share in what tells the best quarter from all (PED-ANOVA)."
        if ranked
        else "Importance is told from 20 networks on."
    )
    return Group(
        Fitted(headings, rows, flexible=["Knob", "Choice"]),
        Text(f"Means of {of} networks, and the best of each, by {objective(aim)}", style="dim"),
        Text(said, style="dim"),
    )
