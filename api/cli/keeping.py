"""The verbs of what is kept and what goes."""

import argparse
import contextlib
import re
from pathlib import Path

from rich.console import Group, RenderableType
from rich.text import Text

from api import own_token
from api.cli import numbers
from api.cli.session import Session
from api.cli.table import Fitted
from api.cli.tables import Json
from nas import home
from nas.client import ServiceError
from nas.extras import require
from nas.home import write

DAYS = {"m": 1 / 1440, "h": 1 / 24, "d": 1.0, "w": 7.0}
MOST_ROWS = 30


def delete(session: Session) -> int:
    what, client = session.options.what, session.client
    if "-" in what or "@" in what:
        what = client.model(what)["id"]  # of a name, what it means now
        client.delete_model(what)
        words = f"The weights of model {what} are deleted; what was measured of it stays."
    else:
        client.delete_run(what)
        words = f"Run {what} is deleted, with its trials and models."
    return session.show({"deleted": what}, lambda _: words)


def pin(session: Session) -> int:
    options = session.options
    model = getattr(session.client, options.pin)(options.model)
    words = "is pinned: its weights stay" if model["pinned"] else "is not pinned: its weights may go like others"
    return session.show(model, lambda row: f"Model {row['id']} {words}.")


def edit(session: Session) -> int:
    options, client = session.options, session.client
    label = {name: getattr(options, name) for name in ("name", "note", "archived")}
    if options.tag or options.untag:
        tags = client.run(options.run)["tags"] + options.tag
        label["tags"] = [tag for tag in dict.fromkeys(tags) if tag not in options.untag]
    view = client.edit(options.run, **{name: value for name, value in label.items() if value is not None})

    def words(run: Json) -> str:
        parts = [run["name"] or "no name", *run["tags"], *(["archived"] if run["archived"] else [])]
        return f"Run {run['id']}: {', '.join(parts)}" + (f"\n{run['note']}" if run["note"] else "")

    return session.show(view, words)


def report(session: Session) -> int:
    run = session.options.run
    file = session.options.out or Path(f"{run}.html")
    write(file, session.client.report(run).encode())
    return session.show({"file": str(file)}, lambda answer: f"The report of run {run} is in {answer['file']}")


def disk(session: Session) -> int:
    return session.show(session.client.disk(), _disk)


def prune(session: Session) -> int:
    options = session.options
    return session.show(session.client.prune(options.older_than, dry_run=options.dry_run), _pruned)


def backup(session: Session) -> int:
    """Of this machine, as is `restore`: no service is asked."""
    return _kept(session, "backup", "is written. It has")


def restore(session: Session) -> int:
    """What is back of tokens are digests, with which nobody signs in: whoever restores is to have one."""
    code = _kept(session, "restore", "is back, and the service can be started. It had")
    from nas.store import Store

    with contextlib.closing(Store(session.options.database or home.database_url())) as store:
        if not own_token.is_known(store):
            own_token.made(store)
    session.say(f"Sign in with the token in {home.token_file()}, which `nas` on this machine uses.")
    return code


def _kept(session: Session, what: str, words: str) -> int:
    require(what, "serve", "alembic", "sqlalchemy")
    from nas import backup
    from nas.store import Conflict, StoreError

    options = session.options
    try:
        contents = getattr(backup, what)(options.database or home.database_url(), options.file)
    except (StoreError, Conflict, backup.BadBackup) as error:
        raise ServiceError(str(error)) from error
    numbers = {
        "runs": contents.dumped.rows["run"],
        "trials": contents.dumped.rows["trial"],
        "checkpoints": len(contents.checkpoints),
        "uploads": len(contents.uploads),
    }
    listed = ", ".join(f"{number:,} {name[:-1] if number == 1 else name}" for name, number in numbers.items())
    return session.show(numbers, lambda _: f"{options.file} {words} {listed}.")


def days(text: str) -> float:
    """An age such as 30d, 12h or 2w."""
    age = re.fullmatch(r"(\d+(?:\.\d+)?)([mhdw])", text)
    if age is None:
        raise argparse.ArgumentTypeError(f"{text!r} is no age: give one like 30d, 12h or 2w")
    return float(age[1]) * DAYS[age[2]]


def _disk(answer: Json) -> RenderableType:
    kinds = [(row["kind"], f"{row['things']:,}", numbers.size(row["bytes"])) for row in answer["kinds"]]
    runs = [
        (row["run"], row["kind"] or "–", row["name"] or "deleted", f"{row['things']:,}", numbers.size(row["bytes"]))
        for row in answer["runs"]
    ]
    whole = f"{numbers.size(answer['bytes'])} in all, {numbers.size(answer['free'])} free"
    parts: list[RenderableType] = [Fitted(["What", ">Things", ">Size"], kinds), Text(whole)]
    if runs:
        parts += [Text(), Fitted(["Run", "Kind", "Name", ">Things", ">Size"], runs, flexible=["Name"])]
    return Group(*parts)


def _pruned(answer: Json) -> RenderableType:
    gone, word = answer["gone"], "would go" if answer["dry_run"] else "went"
    if not gone:
        return Text(f"Nothing {word}: all that is there is in use, or young.")
    rows = [(row["kind"], row["name"], numbers.size(row["bytes"]), row["reason"]) for row in gone[:MOST_ROWS]]
    parts: list[RenderableType] = [Fitted(["What", "Name", ">Size", "Why"], rows, flexible=["Name", "Why"])]
    if len(gone) > MOST_ROWS:
        parts.append(Text(f"and {len(gone) - MOST_ROWS:,} more"))
    things = "1 thing" if len(gone) == 1 else f"{len(gone):,} things"
    return Group(*parts, Text(f"{things} {word}, {numbers.size(answer['bytes'])}"))
