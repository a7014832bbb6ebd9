"""What is shown of a run without reading its trials: written in the transactions that begin and end them."""

import json
from typing import Any

from sqlalchemy import Connection, Row, and_, func, insert, select, update

from nas.codec import decode
from nas.outlines import SUMS, Summary, Tally, columns, comparable, judged, tally
from nas.records import Progress, Trial
from nas.specs import Spec
from nas.standings import revised
from nas.store import leads
from nas.store.queries import trial_row
from nas.store.rows import EDITION, trial_of
from nas.store.tables import OUTLINE, RUN, TALLY, TRIAL
from nas.store.text import packed

NO_RUNG = -1
MOST_ASKED = 100  # running trials that say how long one takes


def begin(connection: Connection, spec: Spec, trial: Trial) -> None:
    """Only ever with the run's row locked, as `end`."""
    values = columns(spec, trial)
    connection.execute(insert(OUTLINE).values(run=trial.run, number=trial.number, edition=EDITION, **values))
    _add(connection, trial.run, tally(trial))
    if trial.job.expected_gain is not None:
        gain = {"expected_gain": trial.job.expected_gain}
        connection.execute(update(RUN).where(RUN.c.id == trial.run).values(gain))


def end(connection: Connection, spec: Spec, trial: Trial) -> None:
    """After the trial itself has been written. Its edition stays that of its job."""
    values = columns(spec, trial)
    if "latencies" in values:
        values["latencies"] = packed(values["latencies"])
    own = and_(OUTLINE.c.run == trial.run, OUTLINE.c.number == trial.number)
    connection.execute(update(OUTLINE).where(own).values(values))
    begun = tally(trial)
    less = Tally(state="running", role=begun.role, rung=begun.rung, trials=-1)
    _add(connection, trial.run, less)
    _add(connection, trial.run, tally(trial, comparable(spec, trial.job, trial.measurement)))
    measured_again = trial.job.measures is not None and trial.measurement is not None
    if measured_again:
        _revise(connection, trial)
    if measured_again or judged(spec, trial.job, trial.measurement):
        leads.place(connection, spec, trial, _networks(connection, trial.run, trial.job.rung))


def _revise(connection: Connection, trial: Trial) -> None:
    """What it measured again is shown of that network, where it is known better now."""
    first = trial_of(trial_row(connection, trial.run, trial.job.measures or 0))
    own = and_(OUTLINE.c.run == first.run, OUTLINE.c.number == first.number)
    shown = json.loads(connection.scalars(select(OUTLINE.c.latencies).where(own)).one() or "[]")
    if first.measurement is None or trial.measurement is None:
        return
    later = revised(first.measurement, trial.measurement).latencies
    for place, (device, before) in enumerate(zip(first.job.devices, shown)):
        its = later.get(device)
        if before and its and its.error_ms is not None and its.error < (before[1] or 0.0) / before[0]:
            shown[place] = [its.median_ms, its.error_ms]
    first_ms = shown[0][0] if shown and shown[0] else None
    connection.execute(update(OUTLINE).where(own).values(latencies=packed(shown), latency_ms=first_ms))


def read(connection: Connection, run: Row[Any]) -> Summary:
    tallies = select(TALLY).where(TALLY.c.run == run.id, TALLY.c.trials > 0)
    tallies = tallies.order_by(TALLY.c.rung, TALLY.c.state, TALLY.c.role)
    begun = select(OUTLINE.c.started_at).where(OUTLINE.c.run == run.id, OUTLINE.c.state == "running")
    known = tuple(map(_tally, connection.execute(tallies)))
    # Of one that has ended it is known how long a trial takes.
    only = known and all(each.state == "running" for each in known)
    return Summary(
        tallies=known,
        begun_at=tuple(connection.scalars(begun.order_by(OUTLINE.c.number))),
        shares_done=_shares_done(connection, run.id) if only else (),
        expected_gain=run.expected_gain,
    )


def _shares_done(connection: Connection, run: str) -> tuple[float, ...]:
    own = select(TRIAL.c.progress).where(TRIAL.c.run == run, TRIAL.c.state == "running").order_by(TRIAL.c.number)
    told = connection.scalars(own.limit(MOST_ASKED))
    return tuple(decode(Progress, json.loads(text)).share if text else 0.0 for text in told)


def _networks(connection: Connection, run: str, rung: int | None) -> int:
    own = TALLY.c.run == run, TALLY.c.rung == (NO_RUNG if rung is None else rung)
    return int(connection.scalars(select(func.sum(TALLY.c.networks)).where(*own)).one())


def _add(connection: Connection, run: str, more: Tally) -> None:
    """To the tally of that state, role and rung."""
    rung = NO_RUNG if more.rung is None else more.rung
    key = {"run": run, "state": more.state, "role": more.role, "rung": rung}
    own = and_(*(TALLY.c[name] == value for name, value in key.items()))
    sums = {name: getattr(more, name) for name in SUMS}
    both = {name: TALLY.c[name] + value for name, value in sums.items()}
    if not connection.execute(update(TALLY).where(own).values(both)).rowcount:
        connection.execute(insert(TALLY).values(**key, **sums))


def _tally(row: Row[Any]) -> Tally:
    values = {name: value for name, value in row._mapping.items() if name != "run"}
    return Tally(**{**values, "rung": None if row.rung == NO_RUNG else row.rung})
