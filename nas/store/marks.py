"""Marks of runs, which are others as soon as anything that is shown of them is: some look-ups in indices each, however
many trials there are, so that a process may look several times a second."""

import hashlib
from collections.abc import Collection
from typing import Any

from sqlalchemy import Connection, Select, func, select

from nas.store.tables import EVENT, OUTLINE, RUN, TRIAL
from nas.store.text import plain

ALL = ""  # in place of a run's id: the list of runs, with the counts of those that have not ended
_LIVE = ("queued", "running", "paused")
_MOST_RUNNING = 10_000


def read(connection: Connection, runs: Collection[str]) -> dict[str, str]:
    """The marks of those of the runs that there are, and of `ALL` where that is among them."""
    which = [plain(run) for run in runs if run != ALL]
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
    return {run: hashlib.sha256(repr(its).encode()).hexdigest()[:16] for run, its in facts.items()}


def _counts() -> Select[Any]:
    """Of a run what changes with wishes, budgets, events, and trials that begin or end."""
    last = (
        select(func.max(column)).where(column.table.c.run == RUN.c.id).scalar_subquery()
        for column in (EVENT.c.id, OUTLINE.c.number, OUTLINE.c.finished)
    )
    return select(RUN.c.id, RUN.c.state, RUN.c.wish, RUN.c.trials, *last)
