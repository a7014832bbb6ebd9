"""Marks of runs, which are others as soon as anything that is shown of them is: some look-ups in indices each, however
many trials there are, so that a process may look several times a second."""

import hashlib
from collections.abc import Collection
from typing import Any

from sqlalchemy import Connection, Select, func, select

from nas.store import agents
from nas.store.tables import AGENT, EVENT, OUTLINE, RUN, TRIAL, YARDSTICK
from nas.store.text import plain

DEVICES = "devices"  # in place of a run's id: agents, and how fast machines were
ALL = ""  # in place of a run's id: the list of runs, with the counts of those that have not ended
_LIVE = ("queued", "running", "paused")
_MOST_RUNNING = 10_000


def read(connection: Connection, names: Collection[str], now: float) -> dict[str, str]:
    """The marks of those names that there is something of: each is a run, `ALL`, `DEVICES`, or several with commas
    between."""
    marks = _read(connection, {part for name in names for part in name.split(",")}, now)
    whole = {}
    for name in names:
        parts = [marks.get(part) for part in name.split(",")]
        if all(parts):
            whole[name] = marks[name] if len(parts) == 1 else _mark(parts)
    return whole


def _read(connection: Connection, runs: Collection[str], now: float) -> dict[str, str]:
    which = [plain(run) for run in runs if run not in (ALL, DEVICES)]
    counts = connection.execute(_counts().where(RUN.c.id.in_(which))) if which else ()
    facts: dict[str, list[tuple[Any, ...]]] = {row.id: [tuple(row)] for row in counts}
    if facts:
        own = (TRIAL.c.run == OUTLINE.c.run) & (TRIAL.c.number == OUTLINE.c.number)
        progress = select(OUTLINE.c.run, OUTLINE.c.number, TRIAL.c.progress).join_from(OUTLINE, TRIAL, own)
        progress = progress.where(OUTLINE.c.run.in_(facts), OUTLINE.c.state == "running")
        for run, *how_far in connection.execute(
            progress.order_by(OUTLINE.c.run, OUTLINE.c.number).limit(_MOST_RUNNING)
        ):
            facts[run].append(tuple(how_far))
    if ALL in runs:
        live = connection.execute(_counts().where(RUN.c.state.in_(_LIVE)).order_by(RUN.c.serial))
        there = select(func.count()).select_from(RUN).scalar_subquery()
        facts[ALL] = [tuple(connection.execute(select(func.max(EVENT.c.id), there)).one()), *map(tuple, live)]
    if DEVICES in runs:
        online = AGENT.c.heard_at > now - agents.ONLINE_SECONDS
        known = select(AGENT.c.name, AGENT.c.fingerprint, online).order_by(AGENT.c.name)
        speeds = select(YARDSTICK.c.digest, YARDSTICK.c.days).order_by(YARDSTICK.c.digest)
        facts[DEVICES] = [tuple(row) for query in (known, speeds) for row in connection.execute(query)]
    return {run: _mark(its) for run, its in facts.items()}


def _mark(facts: Any) -> str:
    return hashlib.sha256(repr(facts).encode()).hexdigest()[:16]


def _counts() -> Select[Any]:
    """Of a run what changes with wishes, budgets, events, and trials that begin or end."""
    last = (
        select(func.max(column)).where(column.table.c.run == RUN.c.id).scalar_subquery()
        for column in (EVENT.c.id, OUTLINE.c.number, OUTLINE.c.finished)
    )
    return select(RUN.c.id, RUN.c.state, RUN.c.wish, RUN.c.trials, *last)
