"""Owners of tokens: what they use of the service, and the quotas that an admin has given them."""

from collections import defaultdict
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, func, insert, or_, select, true, update
from sqlalchemy.exc import IntegrityError

from nas.quotas import Quota, Usage
from nas.store.database import Database
from nas.store.tables import MODEL, OUTLINE, QUOTA, RUN, TALLY, TRIAL
from nas.store.text import plain

_COUNTED = {"running": "runs", "queued": "queued"}
_FIELDS = ("running_trials", "compute_hours", "disk_bytes")
_SOMETHING = or_(QUOTA.c.deleted_seconds > 0, *(QUOTA.c[name].is_not(None) for name in _FIELDS))  # which was not lifted


class Owners:
    """Who submits runs.

    Promises:
    - What is used is added up from the rows as they are; hours that were spent stay spent when a run is deleted.
    - Whoever has no quota may use whatever there is.
    """

    def __init__(self, database: Database, clock: Callable[[], float]) -> None:
        self._database, self._clock = database, clock

    def quota(self, owner: str) -> Quota:
        with self._database.reading() as connection:
            row = connection.execute(select(QUOTA).where(QUOTA.c.owner == plain(owner))).one_or_none()
        return _quota(row)

    def limit(self, owner: str, quota: Quota) -> None:
        """From now on."""
        with self._database.writing() as connection:
            _write(connection, owner, {name: getattr(quota, name) for name in _FIELDS})

    def most_running(self) -> dict[str | None, int]:
        """How many trials of each owner may run at once, where that is limited."""
        query = select(QUOTA.c.owner, QUOTA.c.running_trials).where(QUOTA.c.running_trials.is_not(None))
        with self._database.reading() as connection:
            return {row.owner: row.running_trials for row in connection.execute(query)}

    def usage(self, owner: str | None) -> Usage:
        """Of one of them, whether known or not, without uploads."""
        whose = RUN.c.submitted_by.is_not_distinct_from(owner and plain(owner))
        known = {one.owner: one for one in self._usages(whose, QUOTA.c.owner == owner)}
        return known.get(owner, Usage(owner=owner))

    def usages(self) -> list[Usage]:
        """Of all who have or had runs, or have a quota; without uploads."""
        return self._usages(true(), true())

    def _usages(self, whose: ColumnElement[bool], given: ColumnElement[bool]) -> list[Usage]:
        by, number = RUN.c.submitted_by, func.count()
        own = (TRIAL.c.run == OUTLINE.c.run) & (TRIAL.c.number == OUTLINE.c.number)
        trials = (
            select(by, number, func.count(TRIAL.c.progress))
            .join_from(OUTLINE, RUN, OUTLINE.c.run == RUN.c.id)
            .join(TRIAL, own)
        )
        trials = trials.where(whose, RUN.c.state == "running", OUTLINE.c.state == "running")
        hours = select(by, func.sum(TALLY.c.compute_seconds)).join_from(TALLY, RUN).where(whose)
        weights = select(by.label("by"), MODEL.c.sha256, MODEL.c.bytes).join_from(MODEL, RUN, MODEL.c.run == RUN.c.id)
        kept = weights.where(whose, MODEL.c.removed.is_(None)).distinct().subquery()
        runs = select(by, RUN.c.state, number).where(whose).group_by(by, RUN.c.state)
        seconds, facts = defaultdict[str | None, float](float), defaultdict[str | None, dict[str, Any]](dict)
        with self._database.reading() as connection:
            for owner, state, count in connection.execute(runs):
                facts[owner] |= {_COUNTED[state]: count} if state in _COUNTED else {}
            for owner, begun, heard_of in connection.execute(trials.group_by(by)):
                facts[owner] |= {"running_trials": heard_of, "waiting_trials": begun - heard_of}
            for owner, spent in connection.execute(hours.group_by(by)):
                seconds[owner] += spent
            for owner, size in connection.execute(select(kept.c.by, func.sum(kept.c.bytes)).group_by(kept.c.by)):
                facts[owner]["disk_bytes"] = int(size)
            for row in connection.execute(select(QUOTA).where(given, _SOMETHING)):
                facts[row.owner]["quota"] = _quota(row)
                seconds[row.owner] += row.deleted_seconds
        return [Usage(owner=owner, compute_hours=seconds[owner] / 3600, **facts[owner]) for owner in facts]


def spend(connection: Connection, run: Row[Any]) -> None:
    """What the trials of a run have taken stays spent when it goes."""
    query = select(func.coalesce(func.sum(TALLY.c.compute_seconds), 0.0)).where(TALLY.c.run == run.id)
    if run.submitted_by is not None and (seconds := connection.scalars(query).one()):
        _write(connection, run.submitted_by, {"deleted_seconds": QUOTA.c.deleted_seconds + seconds})


def _write(connection: Connection, owner: str, values: dict[str, Any]) -> None:
    own = QUOTA.c.owner == plain(owner)
    if connection.execute(select(QUOTA.c.owner).where(own)).first() is None:
        with suppress(IntegrityError), connection.begin_nested():  # another was faster
            connection.execute(insert(QUOTA).values(owner=plain(owner)))
    connection.execute(update(QUOTA).where(own).values(values))


def _quota(row: Row[Any] | None) -> Quota:
    return Quota(**{name: getattr(row, name) for name in _FIELDS}) if row else Quota()
