"""The store: rows to records, one short transaction a method."""

import json
import secrets
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, and_, case, func, insert, or_, select, update
from sqlalchemy.exc import IntegrityError

from nas.lowering import AnyArchitecture
from nas.records import ENDED, Event, Job, Latency, Measurement, Model, Progress, Run, RunState, Trial, TrialState, Wish
from nas.refusal import Refusal
from nas.specs import MOST_TRIALS, SPECS, Kind, SearchSpec, Spec
from nas.store.agents import Agents
from nas.store.database import Database
from nas.store.errors import Conflict, LostRun, NotFound
from nas.store.rows import run_of, trial_of
from nas.store.tables import EVENT, MODEL, RUN, TRIAL
from nas.store.text import plain, written

_LARGEST = 2**31 - 1  # integer of a column
_LIVE = ("queued", "running", "paused")


class Store:
    """Runs, trials, models and events in a SQLite file or a PostgreSQL database, which is made and migrated on opening;
    `agents` keeps those who measure elsewhere.

    Promises:
    - Values in, values out: what is returned is a copy, and nothing done to it or to what was handed in reaches the
      database. A run's spec (but for the hours of a search), a trial's job and measurement, models and events never
      change once written.
    - Every method is one transaction: done, or not at all. None waits for anything but the database.
    - A run is held by one owner at a time. `renew`, `release`, `begin`, `progress` and `end` raise LostRun, and change
      nothing, unless the run is claimed by that owner and the claim has not run out.
    - A trial begins once and ends once; `finished` numbers the ended trials of a run 1, 2, 3, … in the order in which
      they ended. What had ended survives a crash of whoever wrote it.
    - A run, trial or model that is asked for by name and is not there raises NotFound.
    - Whatever is wrong with the database itself raises StoreError, which never names the password.

    A store may be used from several threads. `clock` gives seconds since 1970; owners' machines should agree on them
    to well within the seconds of a claim.
    """

    def __init__(self, url: str, clock: Callable[[], float] = time.time) -> None:
        self._database, self._clock = Database(url), clock
        self.agents = Agents(self._database, clock)

    def close(self) -> None:
        """Close the connections; the next use opens new ones."""
        self._database.close()

    # What a user does

    def add_run(self, kind: Kind, spec: Spec) -> Run:
        """A new run, queued."""
        assert isinstance(spec, SPECS[kind])
        run, text = secrets.token_hex(6), written(spec)
        trials = spec.trials
        with self._database.writing() as connection:
            connection.execute(
                insert(RUN).values(
                    id=run, kind=kind, spec=text, state="queued", wish="run", trials=trials, created_at=self._clock()
                )
            )
            self._note(connection, run, "added", f"{kind} added, {trials} trials")
            row = _run(connection, run)
        return run_of(row)

    def wish(self, run: str, wish: Wish) -> Run:
        """What the user wants of the run; the coordinator brings it about. Raises Conflict when the run has ended."""
        with self._database.writing() as connection:
            row = _run(connection, run, lock=True)
            if row.state in ENDED:
                raise Conflict(f"run {run} is {row.state}: it cannot {wish} any more")
            if row.wish != wish:
                connection.execute(update(RUN).where(RUN.c.id == run).values(wish=wish))
                self._note(connection, run, "wish", f"{wish} wished for")
            row = _run(connection, run)
        return run_of(row)

    def raise_budget(
        self, run: str, trials: int | None = None, *, hours: float | None = None, compute_hours: float | None = None
    ) -> Run:
        """Another number of trials or hours for a search; what is None stays. A `finished` search that has some of all
        left then is queued again.

        Raises Refusal for a number out of range, and Conflict for a run of another kind, for a search that was stopped,
        cancelled or failed, for fewer trials than have begun, and for a finished search whose hours are spent.
        """
        if trials is not None and not 1 <= trials <= MOST_TRIALS:
            raise Refusal(f"trials {trials} is not between 1 and {MOST_TRIALS}")
        with self._database.writing() as connection:
            row = _run(connection, run, lock=True)
            if row.kind != "search":
                raise Conflict(
                    f"run {run} is a {row.kind}: its number of trials is fixed, add another {row.kind} for more"
                )
            if row.state in ENDED and row.state != "finished":
                raise Conflict(f"run {run} is {row.state}: it takes no more trials, add another search")
            last = select(func.coalesce(func.max(TRIAL.c.number), -1)).where(TRIAL.c.run == run)
            begun = connection.scalars(last).one() + 1
            if trials is not None and trials < begun:
                raise Conflict(f"trials {trials} is less than run {run} has begun: give at least {begun}")
            before = run_of(row)
            assert isinstance(before.spec, SearchSpec)
            given = {"hours": hours, "compute_hours": compute_hours}
            changed: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
            raised = replace(before, trials=trials or before.trials, spec=replace(before.spec, **changed))
            values: dict[str, Any] = {"trials": raised.trials, "spec": written(raised.spec)}
            compute = select(func.coalesce(func.sum(TRIAL.c.compute_seconds), 0.0)).where(TRIAL.c.run == run)
            spent = raised.spent(connection.scalars(compute).one())
            if row.state == "finished" and spent:
                raise Conflict(f"run {run} takes no more trials, {spent}: give it more of them")
            if row.state == "finished" and raised.trials > begun:
                values |= {"state": "queued", "wish": "run", "ended_at": None, "reason": None}
            connection.execute(update(RUN).where(RUN.c.id == run).values(values))
            news = [f"{raised.trials} trials instead of {before.trials}"] if trials is not None else []
            for name, value in changed.items():
                old = getattr(before.spec, name)
                words = name.replace("_", " ")
                news.append(f"{value:g} {words} instead of {old:g}" if old else f"{value:g} {words} at most")
            self._note(connection, run, "budget", ", ".join(news))
            row = _run(connection, run)
        return run_of(row)

    def note(self, run: str, kind: str, text: str) -> None:
        """Write an event down."""
        with self._database.writing() as connection:
            _run(connection, run, lock=True)
            self._note(connection, run, kind, text)

    # What an owner does

    def claim(self, owner: str, seconds: float) -> Run | None:
        """The oldest run that has something to be done and that nobody holds, claimed for so many seconds; None if
        there is none. Its state becomes `running` unless its wish is another."""
        with self._database.writing() as connection:
            now = self._clock()
            free = and_(
                RUN.c.state.in_(_LIVE),
                or_(RUN.c.state != "paused", RUN.c.wish != "pause"),
                or_(RUN.c.owner.is_(None), RUN.c.expires_at <= now),
            )
            values = {
                "owner": owner,
                "expires_at": now + seconds,
                "state": case((RUN.c.wish == "run", "running"), else_=RUN.c.state),
                "started_at": func.coalesce(RUN.c.started_at, now),
                "renewed_at": now,
            }
            while True:
                oldest = select(RUN.c.id).where(free).order_by(RUN.c.serial).limit(1)
                run = connection.scalars(oldest).one_or_none()
                if run is None:
                    return None
                # Another owner may have been faster since; the condition is checked again where it counts.
                if connection.execute(update(RUN).where(RUN.c.id == run, free).values(values)).rowcount:
                    break
            self._note(connection, run, "claimed", f"claimed by {owner}")
            row = _run(connection, run)
        return run_of(row)

    def renew(self, run: str, owner: str, seconds: float) -> Run:
        """The run as it is now, with its claim running out so many seconds from now."""
        with self._database.writing() as connection:
            held, now = self._hold(connection, run, owner), self._clock()
            values = {"expires_at": now + seconds, **_worked(held, now)}
            connection.execute(update(RUN).where(RUN.c.id == run).values(values))
            row = _run(connection, run)
        return run_of(row)

    def release(
        self,
        run: str,
        owner: str,
        state: RunState,
        error: str | None = None,
        worked_to: Run | None = None,
        reason: str | None = None,
    ) -> Run:
        """The run in its new state, held by nobody; `error` says why it failed, `reason` why it is `finished` early.

        `worked_to` has the budgets that the owner knew: a run that is `finished` by them, and was given others in the
        meantime, is queued again instead.
        """
        with self._database.writing() as connection:
            held = self._hold(connection, run, owner)
            if state == "finished" and worked_to and _budgets(run_of(held)) != _budgets(worked_to):
                state, reason = "queued", None
            now, why = self._clock(), error or reason
            connection.execute(
                update(RUN)
                .where(RUN.c.id == run)
                .values(
                    state=state,
                    error=error and plain(error),
                    reason=reason and plain(reason),
                    ended_at=now if state in ENDED else None,
                    owner=None,
                    expires_at=None,
                    **_worked(held, now),
                )
            )
            self._note(connection, run, state, f"{state}: {why}" if why else state)
            row = _run(connection, run)
        return run_of(row)

    def begin(self, owner: str, job: Job) -> Trial:
        """A new trial, running. Raises Conflict when one of that number has begun before."""
        text = written(job)
        with self._database.writing() as connection:
            self._hold(connection, job.run, owner)
            try:
                connection.execute(
                    insert(TRIAL).values(
                        run=job.run, number=job.number, state="running", job=text, started_at=self._clock()
                    )
                )
            except IntegrityError as error:
                raise Conflict(f"trial {job.number} of run {job.run} has begun before") from error
            row = _trial(connection, job.run, job.number)
        return trial_of(row)

    def progress(self, owner: str, progress: Progress) -> None:
        """Keep how far a running trial is; of one that has ended, nothing is kept."""
        text = written(progress)
        with self._database.writing() as connection:
            self._hold(connection, progress.run, owner)
            connection.execute(update(TRIAL).where(_running(progress.run, progress.number)).values(progress=text))

    def end(
        self,
        owner: str,
        number: int,
        run: str,
        state: TrialState,
        measurement: Measurement | None = None,
        error: str | None = None,
        checkpoint_bytes: int | None = None,
        compute_seconds: float | None = None,
    ) -> Trial:
        """The trial, ended, with all that came of it; its saved weights, `checkpoint_bytes` long, become a model.

        `compute_seconds` None counts all from its beginning to its end.
        Raises Conflict when the trial has ended before.
        """
        weights = measurement.weights if measurement else None
        assert state != "running"
        assert measurement is not None or state in ("failed", "cancelled")
        assert weights is None or checkpoint_bytes is not None
        text, now = measurement and written(measurement), self._clock()
        with self._database.writing() as connection:
            self._hold(connection, run, owner)
            last = select(func.coalesce(func.max(TRIAL.c.finished), 0)).where(TRIAL.c.run == run)
            values = {
                "state": state,
                "measurement": text,
                "error": error and plain(error),
                "finished": connection.scalars(last).one() + 1,
                "ended_at": now,
                "compute_seconds": now - TRIAL.c.started_at if compute_seconds is None else compute_seconds,
            }
            ended = connection.execute(update(TRIAL).where(_running(run, number)).values(values)).rowcount
            row = _trial(connection, run, number)
            if not ended:
                raise Conflict(f"trial {number} of run {run} is {row.state} already: it ends once")
            if weights:
                connection.execute(
                    insert(MODEL).values(
                        id=f"{run}-{number}",
                        run=run,
                        number=number,
                        sha256=weights,
                        bytes=checkpoint_bytes,
                        created_at=now,
                    )
                )
            if state == "failed":
                self._note(connection, run, "trial failed", f"trial {number} failed: {error}")
        return trial_of(row)

    # What there is

    def run(self, run: str) -> Run:
        with self._database.reading() as connection:
            row = _run(connection, run)
        return run_of(row)

    def runs(self, limit: int = 50, before: str | None = None) -> list[Run]:
        """Runs, newest first; `before` is the run that the last page ended with."""
        query = select(RUN).order_by(RUN.c.serial.desc()).limit(_bounded(limit))
        with self._database.reading() as connection:
            if before is not None:
                query = query.where(RUN.c.serial < _run(connection, before).serial)
            rows = connection.execute(query).all()
        return [run_of(row) for row in rows]

    def trials(
        self, run: str, after: int = -1, limit: int | None = None, state: TrialState | None = None
    ) -> list[Trial]:
        """Trials of a run by number; `after` is the number that the last page ended with."""
        query = select(TRIAL).where(TRIAL.c.run == plain(run), TRIAL.c.number > _bounded(after, -1))
        if state is not None:
            query = query.where(TRIAL.c.state == state)
        query = query.order_by(TRIAL.c.number).limit(None if limit is None else _bounded(limit))
        with self._database.reading() as connection:
            rows = connection.execute(query).all()
            if not rows:
                _run(connection, run)
        return [trial_of(row) for row in rows]

    def measured(self, device: str, before: float, limit: int = 1000) -> list[tuple[AnyArchitecture, Latency]]:
        """Networks with their latencies on `device`, of all runs, from trials that had ended before that time, newest
        first; the same ones whenever it is asked."""
        named = f'"device":{json.dumps(device)},"median_ms":'  # as a latency is written
        query = (
            select(TRIAL)
            .where(TRIAL.c.ended_at < before, TRIAL.c.measurement.contains(named, autoescape=True))
            .order_by(TRIAL.c.ended_at.desc(), TRIAL.c.run, TRIAL.c.number)
        )
        with self._database.reading() as connection:
            rows = connection.execute(query.limit(_bounded(limit))).all()
        return [
            (trial.job.architecture, latency)
            for trial in map(trial_of, rows)
            if trial.measurement
            for latency in (trial.measurement.latency, *trial.measurement.further_latencies.values())
            if latency and latency.device == device
        ]

    def trial(self, run: str, number: int) -> Trial:
        with self._database.reading() as connection:
            row = _trial(connection, run, number)
        return trial_of(row)

    def models(self, run: str | None = None) -> list[Model]:
        """All models, or those of a run, newest first."""
        query = select(MODEL).order_by(MODEL.c.created_at.desc(), MODEL.c.number.desc())
        if run is not None:
            query = query.where(MODEL.c.run == plain(run))
        with self._database.reading() as connection:
            rows = connection.execute(query).all()
            if run is not None and not rows:
                _run(connection, run)
        return [Model(**row._mapping) for row in rows]

    def model(self, model: str) -> Model:
        with self._database.reading() as connection:
            row = connection.execute(select(MODEL).where(MODEL.c.id == plain(model))).one_or_none()
        if row is None:
            raise NotFound(f"there is no model {model!r}")
        return Model(**row._mapping)

    def events(self, run: str, after: int = 0, limit: int = 200) -> list[Event]:
        """Events of a run by id; `after` is the id that the last page ended with. None is ever written before that."""
        query = select(EVENT).where(EVENT.c.run == plain(run), EVENT.c.id > _bounded(after))
        with self._database.reading() as connection:
            rows = connection.execute(query.order_by(EVENT.c.id).limit(_bounded(limit))).all()
            if not rows:
                _run(connection, run)
        return [Event(**row._mapping) for row in rows]

    def _hold(self, connection: Connection, run: str, owner: str) -> Row[Any]:
        """The run's row, which nobody else can change before the transaction ends. Raises LostRun."""
        held = and_(RUN.c.id == plain(run), RUN.c.owner == owner, RUN.c.expires_at > self._clock())
        row = connection.execute(select(RUN).where(held).with_for_update()).one_or_none()
        if row is None:
            raise LostRun(f"run {run} is not claimed by {owner}, or the claim has run out: leave it to its next owner")
        return row

    def _note(self, connection: Connection, run: str, kind: str, text: str) -> None:
        # Only ever with the run's row locked, so that a run's events appear in the order of their ids.
        connection.execute(insert(EVENT).values(run=run, at=self._clock(), kind=plain(kind), text=plain(text)))


def _run(connection: Connection, run: str, lock: bool = False) -> Row[Any]:
    query = select(RUN).where(RUN.c.id == plain(run))
    row = connection.execute(query.with_for_update() if lock else query).one_or_none()
    if row is None:
        raise NotFound(f"there is no run {run!r}")
    return row


def _trial(connection: Connection, run: str, number: int) -> Row[Any]:
    query = select(TRIAL).where(TRIAL.c.run == plain(run), TRIAL.c.number == _bounded(number, -1))
    row = connection.execute(query).one_or_none()
    if row is None:
        _run(connection, run)
        raise NotFound(f"run {run} has no trial {number}")
    return row


def _budgets(run: Run) -> tuple[int, Spec]:
    return run.trials, run.spec


def _worked(held: Row[Any], now: float) -> dict[str, float]:
    """What a run's owner adds to its row: the time since it was last heard of."""
    return {"worked_seconds": held.worked_seconds + max(0.0, now - held.renewed_at), "renewed_at": now}


def _running(run: str, number: int) -> ColumnElement[bool]:
    return and_(TRIAL.c.run == run, TRIAL.c.number == number, TRIAL.c.state == "running")


def _bounded(number: int, low: int = 0) -> int:
    """`number`, or the nearest that a database takes; nothing is ever numbered as high."""
    return max(low, min(number, _LARGEST))
