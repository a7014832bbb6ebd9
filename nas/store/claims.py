"""What the owner of a run does: it claims it, works on its trials, and lets go of it."""

from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, and_, case, func, insert, or_, select, update
from sqlalchemy.exc import IntegrityError

from nas.records import ENDED, Job, Measurement, Progress, Run, RunState, Trial, TrialState
from nas.specs import Spec
from nas.store.errors import Conflict, LostRun
from nas.store.queries import run_row, trial_row, write_event
from nas.store.reader import Reader
from nas.store.rows import run_of, trial_of
from nas.store.tables import MODEL, RUN, TRIAL
from nas.store.text import plain, written

_LIVE = ("queued", "running", "paused")


class Claims(Reader):
    """All but `claim` raise LostRun, and change nothing, unless the run is claimed by that owner and the claim has not
    run out."""

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
            write_event(connection, self._clock(), run, "claimed", f"claimed by {owner}")
            row = run_row(connection, run)
        return run_of(row)

    def renew(self, run: str, owner: str, seconds: float) -> Run:
        """The run as it is now, with its claim running out so many seconds from now."""
        with self._database.writing() as connection:
            held, now = self._hold(connection, run, owner), self._clock()
            values = {"expires_at": now + seconds, **_worked(held, now)}
            connection.execute(update(RUN).where(RUN.c.id == run).values(values))
            row = run_row(connection, run)
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
            write_event(connection, self._clock(), run, state, f"{state}: {why}" if why else state)
            row = run_row(connection, run)
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
            row = trial_row(connection, job.run, job.number)
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
            row = trial_row(connection, run, number)
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
                write_event(connection, self._clock(), run, "trial failed", f"trial {number} failed: {error}")
        return trial_of(row)

    def _hold(self, connection: Connection, run: str, owner: str) -> Row[Any]:
        """The run's row, which nobody else can change before the transaction ends. Raises LostRun."""
        held = and_(RUN.c.id == plain(run), RUN.c.owner == owner, RUN.c.expires_at > self._clock())
        row = connection.execute(select(RUN).where(held).with_for_update()).one_or_none()
        if row is None:
            raise LostRun(f"run {run} is not claimed by {owner}, or the claim has run out: leave it to its next owner")
        return row


def _budgets(run: Run) -> tuple[int, Spec]:
    return run.trials, run.spec


def _worked(held: Row[Any], now: float) -> dict[str, float]:
    """What a run's owner adds to its row: the time since it was last heard of."""
    return {"worked_seconds": held.worked_seconds + max(0.0, now - held.renewed_at), "renewed_at": now}


def _running(run: str, number: int) -> ColumnElement[bool]:
    return and_(TRIAL.c.run == run, TRIAL.c.number == number, TRIAL.c.state == "running")
