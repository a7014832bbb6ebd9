"""What the command line prints of the catalogue, of what a search may name, and of the service."""

import shlex
import time
from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.text import Text

from api.cli import numbers
from api.cli.table import Fitted
from api.cli.tables import Json
from nas.codec import decode
from nas.proposal import Suggestion


def datasets(rows: Sequence[Json]) -> RenderableType:
    """Of each its shape, or what has to be given for it to have one."""
    parts: list[RenderableType] = []
    for row in rows:
        info = row["info"]
        shape = (
            f"{len(info['classes'])} classes, {_parts(info)} "
            f"{'grey' if info['channels'] == 1 else 'colour'} images of {info['resolution']} pixels"
            if info
            else row["problem"]
        )
        remarks = [_indented(remark["text"], "yellow") for remark in info["remarks"]] if info else []
        parts += [Text(row["name"], style="bold"), _indented(shape), *remarks, _indented(_first(row), "dim"), Text()]
    return Group(*parts[:-1])


def look(answer: Json) -> RenderableType:
    """What there is of each class, remarks, and what is proposed."""
    seen = answer["look"]
    info = seen["info"]
    parts = [part for part in ("train", "validation", "test") if info[f"{part}_images"]]
    rows = [(each["name"], *(f"{each[f'{part}_images']:,}" for part in parts)) for each in seen["classes"]]
    sides = f", shorter sides of {seen['sides'][0]} to {seen['sides'][2]} pixels" if seen["sides"] else ""
    shape = f"{_parts(info)} {'grey' if info['channels'] == 1 else 'colour'} images of {len(rows)} classes{sides}"
    return Group(
        Text.assemble((info["name"], "bold"), f": {shape}"),
        Fitted(["Class", *(f">{part.capitalize()}" for part in parts)], rows, flexible=["Class"]),
        *(Text(remark["text"], style="yellow") for remark in info["remarks"]),
        Text("Proposal", style="bold"),
        *map(_indented, reasons(decode(tuple[Suggestion, ...], answer["proposal"]))),
        Text(
            f"Take it: nas search --dataset {shlex.quote(info['name'])} --auto", "dim", no_wrap=True, overflow="ignore"
        ),
    )


def queue(answer: Json) -> RenderableType:
    """What runs, and what waits, the next one first."""
    running, held_up = f"{len(answer['running'])} running", answer["waiting_trials"]
    if held_up:
        wait = "1 trial waits" if held_up == 1 else f"{held_up:,} trials wait"
        running = f"{running}, {wait} for a processor, a GPU or a quota"
    if not answer["waiting"]:
        return Text(f"{running}, {'no run' if held_up else 'nothing'} waits")
    rows = [
        (str(place), row["name"] or row["run"], row["run"], row["behind_name"] or "–", numbers.duration(row["seconds"]))
        for place, row in enumerate(answer["waiting"], 1)
    ]
    return Group(
        Text(f"{running}, {len(rows)} waiting"),
        Fitted([">", "Run", "Id", "Waits for", ">Begins in"], rows, flexible=["Run", "Waits for"]),
        Text("nas queue RUN first lets one wait before the others, nas queue RUN last behind them", style="dim"),
    )


def reasons(suggestions: Sequence[Suggestion]) -> list[str]:
    """A line for each field that is suggested, with its reason, and for what there is to know besides."""
    return [
        f"{one.field[1:].replace('/', '.')} {one.value}: {one.reason}" if one.field else one.reason
        for one in suggestions
    ]


def _parts(info: Json) -> str:
    """Numbers of images: to train, validate if there are any, and test."""
    numbers = (info["train_images"], info["validation_images"], info["test_images"])
    return " + ".join(f"{number:,}" for number in numbers if number)


def images(answer: Json) -> RenderableType:
    if not answer["images"]:
        return Text("Nothing yet: nas images upload PATH")
    rows = [
        (f"images:{row['name']}" if row["ready"] else row["name"], f"{row['received']:,}", f"{row['bytes']:,}")
        for row in answer["images"]
    ]
    return Fitted(["Dataset", ">Received", ">Bytes"], rows)


def plugins(rows: Sequence[Json]) -> RenderableType:
    """Spaces, searchers or devices with the first line of their descriptions."""
    parts: list[RenderableType] = []
    for row in rows:
        parts += [Text(row["name"], style="bold"), _indented(_first(row), "dim")]
        if row.get("fingerprint"):
            parts.append(_indented(" · ".join(row["fingerprint"].values())))
        if row.get("problem"):
            parts.append(_indented(f"not here: {row['problem']}", "yellow"))
        parts += [_indented(words, "yellow") for words in row.get("unread", ())]
        for option in row.get("options", ()):
            parts.append(_indented(f"--option {option['name']}={option['default']}  ({option['type']})"))
    return Group(*parts)


def knobs(space: Json) -> RenderableType:
    rows = [(name, ", ".join(map(str, choices))) for name, choices in space["knobs"].items()]
    sizes = " to ".join(map(numbers.short, space["params"]))
    title = f"Space {space['name']} for images of {space['images']['resolution']} pixels"
    return Group(
        Text(f"{title}: {_many(space['networks'])} combinations, {sizes} parameters"),
        Fitted(["Knob", "Choices"], rows, flexible=["Choices"]),
    )


def _many(count: float) -> str:
    return f"{count:,.0f}" if count < 1e6 else f"{count:.1e}"


def boards(rows: Sequence[Json]) -> RenderableType:
    table = [
        (
            row["name"],
            row["core"],
            f"{row['clock_mhz']} MHz",
            f"{row['peak_memory'] / 2**10:g} of {row['sram_bytes'] / 2**10:g} kB",
            f"{row['model_bytes'] / 2**20:.3g} of {row['flash_bytes'] / 2**20:.3g} MB",
        )
        for row in rows
    ]
    return Group(
        Fitted(["Board", "Core", ">Clock", ">Memory", ">Flash"], table, flexible=["Core"]),
        Text("What a network in int8 has of them; the rest is for program, runtime and stack", style="dim"),
    )


def space(row: Json) -> RenderableType:
    """The one, and where its knobs are to be seen."""
    how = f"nas spaces {row['name']} --dataset NAME shows its knobs, which depend on the images"
    return Group(plugins([row]), Text(how, style="dim"))


def parents(answer: Json) -> RenderableType:
    rows, others = answer["parents"], answer["others"]
    table = [
        (
            row["name"],
            f"{row['dataset']}, {row['images']['resolution']} px",
            "" if row["accuracy"] is None else f"{100 * row['accuracy']:.1f}%",
            numbers.short(row["params"]),
            numbers.short(row["mult_adds"]),
            row["licence"] or "",
        )
        for row in rows
    ]
    missing = dict.fromkeys(row["missing"] for row in rows if row["missing"])
    return Group(
        Fitted(
            ["Parent", "Trained on", ">Accuracy", ">Params", ">Mult-adds", "Licence"], table, flexible=["Trained on"]
        ),
        *(Text(f"Or {form}") for form in others),
        *(Text(f"not here: {reason}", style="yellow") for reason in (*missing, *answer["problems"])),
    )


def health(answer: Json) -> RenderableType:
    waiting = answer["waiting_seconds"]
    lines = [
        f"nas-service {answer['version']}: {answer['status']}, database {answer['database']}, disk {answer['disk']}"
    ]
    lines.append(f"coordinator: {answer['coordinator'] or 'not started by this service'}")
    if waiting is not None:
        lines.append(f"the oldest run has waited for {numbers.duration(waiting)} and none is worked on")
    return Text("\n".join(lines))


RECIPE_COLUMNS = {
    "epochs": ">Epochs",
    "train_images": ">Images",
    "batch": ">Batch",
    "learning_rate": ">Rate",
    "label_smoothing": ">Smoothing",
    "shift": ">Shift",
    "crop": ">Crop",
    "augment": ">Augment",
    "cutout": ">Cutout",
    "clean": ">Clean",
}


def recipes(named: dict[str, Json]) -> RenderableType:
    def cell(recipe: Json, one: str) -> str:
        if one == "epochs" and not recipe[one]:
            return f"{recipe['least_epochs']}+"
        return "all" if recipe[one] is None else f"{recipe[one]:g}"

    rows = [
        (name, recipe["optimizer"], *(cell(recipe, one) for one in RECIPE_COLUMNS)) for name, recipe in named.items()
    ]
    return Fitted(["Recipe", "Optimizer", *RECIPE_COLUMNS.values()], rows)


def tokens(answer: Json) -> RenderableType:
    def until(expires_at: float | None) -> str:
        return "for ever" if expires_at is None else time.strftime("%Y-%m-%d", time.gmtime(expires_at))

    rows = [(row["id"], row["owner"], row["scope"], until(row["expires_at"])) for row in answer["tokens"]]
    return Fitted(["Token", "Owner", "Scope", "Valid until"], rows)


def settings(answer: Json) -> RenderableType:
    parts: list[RenderableType] = []
    for row in answer["settings"]:
        said = Text.assemble((row["name"], "bold" if row["given"] else ""), "=" if row["given"] else ": ", row["value"])
        parts += [said, _indented(row["words"], "dim")]
    fixed = " ".join(f"{name}={value}" for name, value in answer["evaluators"].items())
    return Group(*parts, Text("Evaluations have whatever else is set, and in any case:"), _indented(fixed))


def _first(row: Json) -> str:
    line: str = row["description"].partition("\n")[0]
    return line


def _indented(text: str, style: str = "") -> RenderableType:
    return Padding(Text(text, style=style), (0, 0, 0, 2))
