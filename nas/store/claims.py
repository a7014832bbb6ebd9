"""What the owner of a run does: it claims it, works on its trials, and lets go of it."""

import json
from collections.abc import Callable
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, and_, case, func, insert, or_, select, update
from sqlalchemy.exc import IntegrityError

from nas.measurements import Measurement
from nas.records import ENDED, Job, Progress, Run, RunState, Trial, TrialState
from nas.specs import Spec
from nas.store import summaries
from nas.store.database import Database
from nas.store.errors import Conflict, LostRun
from nas.store.queries import trial_row, write_event
from nas.store.rows import run_of, spec_of, trial_of
from nas.store.tables import MODEL, QUOTA, RUN, TRIAL
from nas.store.text import packed, plain, written

_LIVE = ("queued", "running", "paused")


class Claims:
    """Runs that are held, each by one owner at a time.

    Promises:
    - A trial begins once and ends once; `finished` numbers the ended trials of a run 1, 2, 3, … in the order in which
      they ended. What had ended survives a crash of whoever wrote it.
    - All but `claim` raise LostRun, and change nothing, unless the run is claimed by that owner and the claim has not
      run out.
    """

    def __init__(self, database: Database, clock: Callable[[], float]) -> None:
        self._database, self._clock = database, clock

    def claim(self, owner: str, seconds: float, *, newcomers: bool = False) -> Run | None:
        """A run that has something to be done and that nobody holds, the next one of whoever has fewest that are held,
        claimed for so many seconds; None if there is none. With `newcomers` only of whoever has none that is held, or
        one that is to end. Its state becomes `running` unless its wish is another.

        Runs of a submitter whose running trials are limited are held by one process alone, which counts them: owners
        "PROCESS:…" are one process."""
        with self._database.writing() as connection:
            now, other = self._clock(), RUN.alias()
            same = func.coalesce(other.c.submitted_by, "") == func.coalesce(RUN.c.submitted_by, "")
            theirs = and_(other.c.state.in_(_LIVE), other.c.expires_at > now, same)
            limited = select(QUOTA.c.owner).where(QUOTA.c.running_trials.is_not(None))
            connection.execute(limited.with_for_update())  # two processes do not both believe to be the first
            elsewhere = select(other.c.id).where(theirs, ~other.c.owner.startswith(_process(owner), autoescape=True))
            free = and_(
                RUN.c.state.in_(_LIVE),
                or_(RUN.c.state != "paused", RUN.c.wish != "pause"),
                or_(RUN.c.owner.is_(None), RUN.c.expires_at <= now),
                or_(func.coalesce(RUN.c.submitted_by, "").not_in(limited), ~elsewhere.exists()),
            )
            values = {
                "owner": owner,
                "expires_at": now + seconds,
                "state": case((RUN.c.wish == "run", "running"), else_=RUN.c.state),
                "started_at": func.coalesce(RUN.c.started_at, now),
                "renewed_at": now,
            }
            held = select(func.count()).select_from(other).where(theirs).scalar_subquery()
            following = select(RUN.c.id, RUN.c.owner, RUN.c.started_at).where(free)
            following = following.order_by(held, RUN.c.turn, RUN.c.serial).limit(1)
            if newcomers:
                following = following.where(or_(held == 0, RUN.c.wish.in_(("stop", "cancel"))))
            while before := connection.execute(following).one_or_none():
                # Another owner may have been faster since; the condition is checked again where it counts.
                taken = update(RUN).where(RUN.c.id == before.id, free).values(values).returning(*RUN.c)
                if row := connection.execute(taken).one_or_none():
                    write_event(connection, now, row.id, *_claimed(owner, before))
                    return run_of(row)
        return None

    def renew(self, run: str, owner: str, seconds: float) -> Run:
        """The run as it is now, with its claim running out so many seconds from now."""
        with self._database.writing() as connection:
            now = self._clock()
            values = {"expires_at": now + seconds, **_worked(now)}
            renewed = update(RUN).where(self._held(run, owner)).values(values).returning(*RUN.c)
            row = connection.execute(renewed).one_or_none()
        if row is None:
            raise _lost(run, owner)
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
            now, held = self._clock(), select(RUN).where(self._held(run, owner)).with_for_update()
            row = connection.execute(held).one_or_none()
            if row is None:
                raise _lost(run, owner)
            if state == "finished" and worked_to and _budgets(run_of(row)) != _budgets(worked_to):
                state, reason = "queued", None
            values = {
                "state": state,
                "error": error and plain(error),
                "reason": reason and plain(reason),
                "ended_at": now if state in ENDED else None,
                "owner": None,
                "expires_at": None,
                **_worked(now),
            }
            row = connection.execute(update(RUN).where(RUN.c.id == run).values(values).returning(*RUN.c)).one()
            why = error or reason
            write_event(connection, now, run, state, f"{state}: {why}" if why else state)
        return run_of(row)

    def begin(self, owner: str, job: Job) -> Trial:
        """A new trial, running. Raises Conflict when one of that number has begun before."""
        text, now = written(job), self._clock()
        trial = Trial(run=job.run, number=job.number, state="running", job=job, started_at=now)
        with self._database.writing() as connection:
            spec = self._hold(connection, job.run, owner)
            values = {"run": job.run, "number": job.number, "state": "running", "job": text, "started_at": now}
            try:
                connection.execute(insert(TRIAL).values(values))
            except IntegrityError as error:
                raise Conflict(f"trial {job.number} of run {job.run} has begun before") from error
            summaries.begin(connection, spec, trial)
            if job.measures is not None:
                self._heed(connection, job.run, job.measures)
        return trial

    def _heed(self, connection: Connection, run: str, number: int) -> None:
        """A latency that was to be measured again is."""
        own = RUN.c.id == run
        wanted: list[int] = json.loads(connection.scalars(select(RUN.c.again).where(own)).one() or "[]")
        if number in wanted:
            wanted.remove(number)
            connection.execute(update(RUN).where(own).values(again=packed(wanted)))

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
        traceback: str | None = None,
    ) -> Trial:
        """The trial, ended, with all that came of it; its saved weights, `checkpoint_bytes` long, become a model unless
        they are handed on.

        `compute_seconds` None counts all from its beginning to its end.
        Raises Conflict when the trial has ended before.
        """
        weights = measurement.weights if measurement else None
        assert state != "running"
        assert measurement is not None or state in ("failed", "cancelled")
        assert weights is None or checkpoint_bytes is not None
        text, now = measurement and written(measurement), self._clock()
        with self._database.writing() as connection:
            spec = self._hold(connection, run, owner)
            row = trial_row(connection, run, number)
            if row.state != "running":
                raise Conflict(f"trial {number} of run {run} is {row.state} already: it ends once")
            last = select(func.coalesce(func.max(TRIAL.c.finished), 0)).where(TRIAL.c.run == run)
            values = {
                "state": state,
                "measurement": text,
                "error": error and plain(error),
                "traceback": traceback and plain(traceback),
                "finished": connection.scalars(last).one() + 1,
                "ended_at": now,
                "compute_seconds": now - row.started_at if compute_seconds is None else compute_seconds,
            }
            connection.execute(update(TRIAL).where(_running(run, number)).values(values))
            trial = trial_of(row, **values)
            summaries.end(connection, spec, trial)
            if weights and not trial.job.handed_on:
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
                write_event(connection, now, run, "trial failed", f"trial {number} failed: {error}")
        return trial

    def _hold(self, connection: Connection, run: str, owner: str) -> Spec:
        """The run's spec; nobody else can change its row before the transaction ends. Raises LostRun."""
        held = select(RUN.c.kind, RUN.c.spec).where(self._held(run, owner)).with_for_update()
        row = connection.execute(held).one_or_none()
        if row is None:
            raise _lost(run, owner)
        return spec_of(row)

    def _held(self, run: str, owner: str) -> ColumnElement[bool]:
        return and_(RUN.c.id == plain(run), RUN.c.owner == owner, RUN.c.expires_at > self._clock())


def _lost(run: str, owner: str) -> LostRun:
    return LostRun(f"run {run} is not claimed by {owner}, or the claim has run out: leave it to its next owner")


def _claimed(owner: str, before: Row[*tuple[Any, ...]]) -> tuple[str, str]:
    """The event: by whom a run is held now, in words, and what became of whoever held it before."""
    if before.started_at is None:
        return "claimed", f"begun by {_coordinator(owner)}"
    if before.owner is None:
        return "claimed", f"taken up again by {_coordinator(owner)}"
    if _process(before.owner) == _process(owner):
        return "claimed again", f"{_coordinator(owner)} could not renew its claim in time, and goes on"
    gone, own = _coordinator(before.owner), _coordinator(owner)
    return "claimed", f"{gone} died or was cut off; {own}{', started anew,' if own == gone else ''} goes on"


def _process(owner: str) -> str:
    """Of an owner, "PROCESS:CLAIM" or a process alone."""
    return owner.rpartition(":")[0] or owner


def _coordinator(owner: str) -> str:
    """As people know it: of the parts of a process its host and its number there."""
    return f"coordinator {':'.join(_process(owner).split(':')[:2])}"


def _budgets(run: Run) -> tuple[int, Spec]:
    return run.trials, run.spec


def _worked(now: float) -> dict[str, Any]:
    """What a run's owner adds to its row: the time since it was last heard of."""
    since = case((RUN.c.renewed_at < now, now - RUN.c.renewed_at), else_=0.0)
    return {"worked_seconds": RUN.c.worked_seconds + since, "renewed_at": now}


def _running(run: str, number: int) -> ColumnElement[bool]:
    return and_(TRIAL.c.run == run, TRIAL.c.number == number, TRIAL.c.state == "running")
