"""Verbs that need no service: the zoo of published networks, networks described, search spaces checked."""

import argparse
import csv
import sys
from pathlib import Path
from typing import Any

from rich.table import Table
from rich.text import Text

from api.cli import terminal
from api.cli.networks import image_arguments, images, network
from nas import arena, codec, extras, plugins, soundness, spaces, zoo
from nas.models import timm_strings
from nas.networks import describe, drawing
from nas.networks.architecture import Architecture, Images
from nas.networks.lowering import AnyArchitecture
from nas.zoo import Entry

CSV_FIELDS = (
    "name",
    "params",
    "mult_adds",
    "input_size",
    "published_params",
    "published_mult_adds",
    "exact_params",
    "exact_mult_adds",
    "exact",
    "top1",
    "source",
)


def add_arguments(verbs: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the verbs; each sets `verb` to a function of what has its arguments as `options`."""

    def add(name: str, words: str) -> argparse.ArgumentParser:
        added = verbs.add_parser(name, help=words, description=words)
        added.set_defaults(verb=lambda session: run(session.options), offline=name, url=None)
        added.add_argument("--json", action="store_true", help="print JSON, and nothing else, on standard output")
        return added

    listed = add("published", "networks of the literature: counted here, and as they were published")
    listed.add_argument("name", nargs="*", help="only these")
    listed.add_argument("--csv", action="store_true", help="print CSV")

    description = add("describe", "a network's stage table: of a published network, an architecture or choices")
    description.add_argument(
        "what", nargs="?", help="a published network's name, or JSON, or a file of it (- is standard input)"
    )
    description.add_argument("--diff", nargs=2, metavar=("A", "B"), help="what leads from A to B instead")
    description.add_argument("--svg", type=Path, metavar="FILE", help="and draw it there")
    description.add_argument(
        "--arena", action="store_true", help="and ask TFLite Micro, in a minute, what it takes of memory"
    )
    description.add_argument("--timm", action="store_true", help="print what timm is told to build it instead")
    description.add_argument("--space", default="mbconv", help="the search space of choices; mbconv if none is named")
    image_arguments(description, "what the network is for")

    checked = add("check-space", "what is wrong with a search space of one's own")
    checked.add_argument("space", help="its name, or its file")
    image_arguments(checked, "images to check it with; grey, colour and large ones if none are given")


def run(arguments: argparse.Namespace) -> int:
    """Do what `arguments` ask for; returns the exit code, 1 where something is wrong."""
    try:
        return {"published": published, "describe": described, "check-space": check_space}[arguments.offline](arguments)
    except (ValueError, OSError) as error:
        print(f"nas: {error}", file=sys.stderr)
        return 1


def published(arguments: argparse.Namespace) -> int:
    entries, problems = list[Entry](), [] if arguments.name else list(zoo.problems())
    for name in arguments.name or zoo.makers():
        try:
            entries.append(zoo.entry(name))
        except plugins.BrokenPlugin as error:
            problems.append(str(error))
    if arguments.json:
        terminal.print_json([codec.encode(entry) | {"exact": entry.exact} for entry in entries])
    elif arguments.csv:
        writer = csv.writer(sys.stdout, lineterminator="\n")
        writer.writerow(CSV_FIELDS)
        writer.writerows(_fields(entry) for entry in entries)
    else:
        terminal.console().print(_zoo(entries))
    for problem in problems:
        print(f"nas: {problem}", file=sys.stderr)
    return 1 if problems else 0


def described(arguments: argparse.Namespace) -> int:
    if bool(arguments.what) == bool(arguments.diff):
        raise ValueError("describe takes one network, or --diff and two")
    if arguments.diff:
        one, other = arguments.diff
        return _difference(one, other, arguments)
    architecture = network(arguments.what, arguments)
    if arguments.svg:
        title = arguments.what if arguments.what in zoo.makers() else f"Network {architecture.digest()}"
        arguments.svg.write_text(drawing.svg(architecture, title), encoding="utf-8")
    if arguments.timm:
        return _timm(architecture)
    lines, facts = describe.table(architecture), describe.facts(architecture)
    if arguments.arena:
        facts["arena measured"] = _arena(architecture)
    if arguments.json:
        described = {"architecture": architecture, "stages": [codec.encode(line) for line in lines], "facts": facts}
        terminal.print_json(codec.encode(described))
        return 0
    console = terminal.console()
    console.print(_stages([("", line) for line in lines]))
    for name, value in facts.items():
        console.print(f"{name:14} {value}", highlight=False)
    return 0


def _arena(architecture: AnyArchitecture) -> str:
    if reason := arena.missing():
        raise extras.NotInstalled(reason)
    from nas.networks.blocks import network as built

    measured = arena.measured(built(architecture).eval(), architecture.images)
    return f"{measured.values:,} bytes of TFLite Micro, and {measured.records:,} of its own"


def _timm(architecture: AnyArchitecture) -> int:
    if not isinstance(architecture, Architecture):
        raise ValueError("timm's strings are for stage rows, and this network has others")
    said = {"arch_def": timm_strings.strings(architecture), **timm_strings.arguments(architecture)}
    terminal.print_json(said)
    return 0


def check_space(arguments: argparse.Namespace) -> int:
    extras.require("check-space", "workers", "torch")
    path = Path(arguments.space)
    space = spaces.from_file(path) if path.suffix == ".py" else spaces.load(arguments.space)
    shape = images(arguments, None)
    kinds = (
        [shape]
        if shape
        else [Images(resolution=28, channels=1, classes=10), Images(resolution=32, classes=10), Images(resolution=224)]
    )
    named = {f"{kind.resolution}×{kind.resolution}×{kind.channels}, {kind.classes:,} classes": kind for kind in kinds}
    found = {name: soundness.faults(space, kind) for name, kind in named.items()}
    unread = _unread(arguments.space, path)
    if arguments.json:
        faults = {
            name: [soundness.told(words, choices) for words, choices in each.items()] for name, each in found.items()
        }
        terminal.print_json(faults | ({"name": unread} if unread else {}))
        return int(bool(unread) or any(found.values()))
    for words in dict.fromkeys(words for each in found.values() for words in each):  # alike for several images: once
        where = [name for name, each in found.items() if words in each]
        print(f"{'; '.join(where)}: {soundness.told(words, found[where[0]][words])}")
    for name, each in found.items():
        if not each:
            print(f"{name}: nothing is wrong")
    for words in unread:
        print(words)
    return int(bool(unread) or any(found.values()))


def _unread(space: str, path: Path) -> list[str]:
    """What is said of files that a search of the space's name would not read."""
    if path.suffix != ".py":
        return list(spaces.unread(space))
    read = plugins.file("search_spaces", path.stem)
    if read is None or Path(read).resolve() == path.resolve():
        return []
    return [f"{path} is not read: there is a search space {path.stem!r} before it, give the file another name"]


def _fields(entry: Entry) -> list[Any]:
    known = entry.published
    return [
        entry.name,
        entry.params,
        entry.mult_adds,
        entry.input_size,
        known.params,
        known.mult_adds,
        known.exact_params,
        known.exact_mult_adds,
        {True: "yes", False: "no", None: ""}[entry.exact],
        known.top1,
        known.source,
    ]


def _zoo(entries: list[Entry]) -> Table:
    table = Table(box=None, pad_edge=False)
    table.add_column("network", no_wrap=True)
    for heading in ("parameters", "published", "off", "multiply-adds", "published", "off", "pixels", "exact"):
        table.add_column(heading, justify="right", no_wrap=True)
    for entry in entries:
        known = entry.published
        table.add_row(
            entry.name,
            f"{entry.params:,}",
            _short(known.params),
            _off(entry.params, known.params),
            f"{entry.mult_adds:,}",
            _short(known.mult_adds),
            _off(entry.mult_adds, known.mult_adds),
            str(entry.input_size),
            {True: Text("yes", "green"), False: Text("no", "red"), None: Text("")}[entry.exact],
        )
    return table


def _short(number: int | None) -> str:
    if number is None:
        return ""
    for size, letter in ((10**9, "G"), (10**6, "M"), (10**3, "K")):
        if number >= size:
            return f"{number / size:.4g}{letter}"
    return str(number)


def _off(counted: int, published: int | None) -> str:
    return "" if published is None else f"{100 * (counted - published) / published:+.1f}%"


def _difference(one: str, other: str, arguments: argparse.Namespace) -> int:
    lines = describe.difference(network(one, arguments), network(other, arguments))
    if arguments.json:
        marked = [{"mark": mark, "line": codec.encode(line)} for mark, line in lines]
        terminal.print_json(marked)
        return 0
    console = terminal.console()
    console.print(_stages([(mark, line) for mark, line in lines if isinstance(line, describe.Line)]))
    for mark, line in lines:
        if isinstance(line, str):
            console.print(f"{mark} {line}", highlight=False)
    return 0


def _stages(lines: list[tuple[str, describe.Line]]) -> Table:
    marked = any(mark for mark, _ in lines)
    table = Table(box=None, pad_edge=False)
    for heading in ((" ",) if marked else ()) + ("stage", "operator"):
        table.add_column(heading, no_wrap=True)
    for heading in ("resolution", "channels", "layers", "parameters", "multiply-adds"):
        table.add_column(heading, justify="right", no_wrap=True)
    stage = {"-": 0, "+": 0}
    for mark, line in lines:
        for side in stage.keys() - {{"-": "+", "+": "-"}.get(mark)}:
            stage[side] += 1
        cells = [
            str(stage["-" if mark == "-" else "+"]),
            line.operator,
            f"{line.resolution}×{line.resolution}",
            f"{line.channels:,}",
            str(line.layers),
            f"{line.params:,}",
            f"{line.mult_adds:,}",
        ]
        table.add_row(*([mark] if marked else []), *cells, style={"-": "red", "+": "green"}.get(mark, ""))
    return table
