"""The verbs of who uses what, and of what they may use."""

import argparse
from collections.abc import Callable, Collection, Iterable, Iterator
from typing import Any

from rich.console import Group, RenderableType
from rich.text import Text

from api.cli import numbers
from api.cli.session import Session
from api.cli.table import Fitted
from api.cli.tables import Json
from nas.codec import encode
from nas.quotas import Usage
from nas.tokens import owner_name

NONE = "none"


def top(session: Session) -> int:
    return session.show({"owners": session.client.usage()}, lambda answer: _table(answer["owners"]))


def quota(session: Session) -> int:
    """What is not named stays as it is; nothing named: shown."""
    options, client = session.options, session.client
    rows = {row["owner"]: row for row in client.usage()}
    known = rows.get(options.owner, _nothing(options.owner))
    named = {name: getattr(options, name) for name in known["quota"] if getattr(options, name) is not None}
    if named:
        wanted = known["quota"] | {name: None if value == NONE else value for name, value in named.items()}
        known = client.set_quota(options.owner, **wanted)
    return session.show(known, lambda row: Group(_table([row]), *_unheard_of(options.owner, rows)))


def name(text: str) -> str:
    """The type of an argument that is an owner's name."""
    try:
        return owner_name(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def limit(kind: Callable[[str], Any]) -> Callable[[str], Any]:
    """The type of an argument that is one of that kind, or "none"."""

    def read(text: str) -> Any:
        try:
            return NONE if text == NONE else kind(text)
        except (ValueError, argparse.ArgumentTypeError) as error:
            raise argparse.ArgumentTypeError(f"{text!r} is neither a number, a size like 50GB, nor {NONE}") from error

    return read


def _unheard_of(owner: str, rows: Collection[str]) -> Iterator[Text]:
    """That it may be a slip of the pen; a quota may all the same be there before its owner."""
    if owner not in rows:
        words = f"Nobody called {owner} has used anything here: nas token list has the names of owners"
        yield Text(words, style="yellow")


def _nothing(owner: str) -> Json:
    usage: Json = encode(Usage(owner=owner))
    return usage


def _table(rows: Iterable[Json]) -> RenderableType:
    shown = [
        (
            row["owner"] or "–",
            str(row["runs"]),
            str(row["queued"]),
            _of(str(row["running_trials"]), row["quota"]["running_trials"]),
            str(row["waiting_trials"]),
            _of(f"{row['compute_hours']:,.2f}", row["quota"]["compute_hours"], "{:,g}".format),
            _of(numbers.size(row["disk_bytes"]), row["quota"]["disk_bytes"], numbers.size),
        )
        for row in rows
    ]
    if not shown:
        return Text("Nobody uses anything yet.")
    return Fitted(["Owner", ">Runs", ">Queued", ">Trials", ">Waiting", ">Hours", ">Disk"], shown, flexible=["Owner"])


def _of(used: str, most: Any, words: Callable[[Any], str] = str) -> str:
    return used if most is None else f"{used} of {words(most)}"
