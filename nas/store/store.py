"""The store: what anybody reads and what a user does, a short transaction a method."""

import secrets
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Literal

from sqlalchemy import Row, func, insert, select, update
from sqlalchemy.exc import IntegrityError

from nas.records import ENDED, Run, RunState, Sending, Wish
from nas.refusal import Refusal
from nas.specs import MOST_TRIALS, SPECS, Kind, SearchSpec, Spec
from nas.store import summaries
from nas.store.agents import Agents
from nas.store.claims import Claims
from nas.store.database import Database
from nas.store.errors import Conflict
from nas.store.owners import Owners
from nas.store.queries import held, idle, run_row, sent_row, trial_row, write_event
from nas.store.reader import Reader
from nas.store.removals import Removals, require_kept
from nas.store.rows import run_of, trial_of
from nas.store.tables import RUN, TRIAL
from nas.store.text import packed, written
from nas.store.tokens import Tokens
from nas.store.yardsticks import Yardsticks

Place = Literal["first", "last"]
ENDING: dict[Wish, RunState] = {"stop": "stopped", "cancel": "cancelled"}


class Store(Reader):
    """Runs, trials, models and events in a SQLite file or a PostgreSQL database, which is made and migrated on opening.
    A coordinator has what it does through `claims`; `agents` keeps those who measure elsewhere, `tokens` those who may
    use the service, `owners` what each of these uses and may use, by `removals` runs and models go, and `yardsticks`
    knows how fast machines were.

    Promises:
    - Values in, values out: what is returned is a copy, and nothing done to it or to what was handed in reaches the
      database. A run's spec (but for the hours of a search), a trial's job and measurement, models (but for whether
      their weights are kept) and events never change once written.
    - Every method is one transaction: done, or not at all. None waits for anything but the database.
    - A run, trial or model that is asked for by name and is not there raises NotFound.
    - Whatever is wrong with the database itself raises StoreError, which never names the password.

    A store may be used from several threads. `clock` gives seconds since 1970; owners' machines should agree on them
    to well within the seconds of a claim.
    """

    def __init__(self, url: str, clock: Callable[[], float] = time.time) -> None:
        super().__init__(Database(url), clock)
        self.claims = Claims(self._database, clock)
        self.agents = Agents(self._database, clock)
        self.tokens = Tokens(self._database, clock)
        self.owners = Owners(self._database, clock)
        self.removals = Removals(self._database, clock)
        self.yardsticks = Yardsticks(self._database, clock)

    @property
    def name(self) -> str:
        """The database's, for messages: no user, no password."""
        return self._database.name

    def close(self) -> None:
        """Close the connections; the next use opens new ones."""
        self._database.close()

    def add_run(
        self, kind: Kind, spec: Spec, by: str | None = None, hint: str | None = None, sending: Sending | None = None
    ) -> Run:
        """A new run, queued, and who submitted it, if that is known. What is to be known of its images is an event
        each, and so are the `hint`, what to bear in mind of it, and what the trainings of a search are worth. Where the
        request was sent before, that run, and no other, as `sent` gives it.

        Raises Conflict where weights that it names were removed a moment ago."""
        assert isinstance(spec, SPECS[kind])
        run = Run(
            id=secrets.token_hex(6),
            kind=kind,
            spec=spec,
            state="queued",
            wish="run",
            trials=spec.trials,
            created_at=self._clock(),
            submitted_by=by,
        )
        with self._database.writing() as connection:
            values = {**vars(run), "spec": written(spec), "label": None, "again": None}
            values |= {"sent_as": sending.key, "sent": sending.body} if sending else {}
            try:
                with connection.begin_nested():
                    connection.execute(insert(RUN).values(values))
            except IntegrityError:
                if sending and (row := sent_row(connection, sending)):
                    return run_of(row)
                raise
            require_kept(connection, written(spec))
            trials = "1 trial" if run.trials == 1 else f"{run.trials} trials"
            write_event(connection, run.created_at, run.id, "added", f"{kind} added, {trials}", by)
            if hint:
                write_event(connection, run.created_at, run.id, "hint", hint)
            for remark in spec.contents.remarks if spec.contents else ():
                write_event(connection, run.created_at, run.id, "images", remark.text)
            if isinstance(spec, SearchSpec) and spec.worth:
                write_event(connection, run.created_at, run.id, "worth", f"{spec.trained} has {spec.worth}")
        return run

    def wish(self, run: str, wish: Wish, by: str | None = None) -> Run:
        """What the user wants of the run. The coordinator brings it about; a run that nobody works on ends at once.
        Raises Conflict when the run has ended."""
        with self._database.writing() as connection:
            row = run_row(connection, run, lock=True)
            if row.state in ENDED:
                raise Conflict(f"run {run} is {row.state}: it cannot {wish} any more")
            now, values = self._clock(), {"wish": wish}
            if row.wish != wish:
                write_event(connection, now, run, "wish", f"{'resume' if wish == 'run' else wish} wished for", by)
            if idle(connection, row, now) or (wish == "run" and not held(row, now)):
                values |= self._come_true(row, wish)
            connection.execute(update(RUN).where(RUN.c.id == run).values(values))
            if state := values.get("state"):
                write_event(connection, now, run, state, state)
        return run_of(row, **values)

    def _come_true(self, row: Row[Any], wish: Wish) -> dict[str, Any]:
        """What is written where no coordinator is needed, which may be busy with other runs for hours."""
        if wish in ENDING:
            return {"state": ENDING[wish], "ended_at": self._clock(), "owner": None}
        return {"state": "queued"} if wish == "run" and row.state == "paused" else {}

    def raise_budget(
        self,
        run: str,
        trials: int | None = None,
        *,
        hours: float | None = None,
        compute_hours: float | None = None,
        by: str | None = None,
    ) -> Run:
        """Another number of trials or hours for a search; what is None stays. A `finished` search that has some of all
        left then is queued again.

        Raises Refusal for a number out of range, and Conflict for a run of another kind, for a search that was stopped,
        cancelled or failed, for fewer trials than have begun, and for a finished search whose hours are spent.
        """
        if trials is not None:
            _check(trials)
        with self._database.writing() as connection:
            row = run_row(connection, run, lock=True)
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
            budgets = {"hours": hours, "compute_hours": compute_hours}
            changed: dict[str, Any] = {name: value for name, value in budgets.items() if value is not None}
            raised = replace(before, trials=trials or before.trials, spec=replace(before.spec, **changed))
            values: dict[str, Any] = {"trials": raised.trials, "spec": written(raised.spec)}
            spent = raised.spent(summaries.read(connection, row).compute_seconds)
            if row.state == "finished" and spent:
                raise Conflict(f"run {run} takes no more trials, {spent}: give it more of them")
            if row.state == "finished" and raised.trials > begun:
                values |= {"state": "queued", "wish": "run", "ended_at": None, "reason": None}
            connection.execute(update(RUN).where(RUN.c.id == run).values(values))
            news = [f"{raised.trials} trials instead of {before.trials}"] if trials is not None else []
            news += [_news(name, getattr(before.spec, name), value) for name, value in changed.items()]
            write_event(connection, self._clock(), run, "budget", ", ".join(news), by)
        return run_of(row, **values)

    def move(self, run: str, place: Place, by: str | None = None) -> Run:
        """A run that waits becomes the first or the last of those that do. Between owners it changes nothing: whoever
        has fewest that are worked on is next. Raises Conflict where it does not wait."""
        with self._database.writing() as connection:
            row = run_row(connection, run, lock=True)
            if row.state != "queued":
                raise Conflict(f"run {run} is {row.state}: only runs that wait have places in the queue")
            others = select(func.min(RUN.c.turn), func.max(RUN.c.turn), func.count())
            least, most, count = connection.execute(others.where(RUN.c.state == "queued", RUN.c.id != run)).one()
            if count:
                turn = least - 1 if place == "first" else most + 1
                connection.execute(update(RUN).where(RUN.c.id == run).values(turn=turn))
                write_event(connection, self._clock(), run, "moved", f"{place} of those that wait", by)
        return run_of(row)

    def measure_again(self, run: str, number: int, by: str | None = None) -> Run:
        """The latency of that trial's network is to be measured again, by a trial of its own, which a search has beyond
        its budget. One that is `finished` is queued again for it.

        Raises Conflict where there is no latency, and for a run that measures none any more.
        """
        with self._database.writing() as connection:
            row = run_row(connection, run, lock=True)
            if row.kind != "search":
                raise Conflict(f"run {run} is a {row.kind}: latencies of a search are measured again")
            if row.state in ENDED and row.state != "finished":
                raise Conflict(f"run {run} is {row.state}: it measures nothing any more, `nas measure` does")
            trial = trial_of(trial_row(connection, run, number))
            if trial.measurement is None or not trial.measurement.latencies:
                raise Conflict(f"trial {number} of run {run} is {trial.state} and has no latency")
            before = run_of(row)
            if spent := before.spent(summaries.read(connection, row).compute_seconds):
                raise Conflict(f"run {run} measures nothing any more, {spent}: give it more of them")
            first = next((its for its in (trial.job.measures, trial.job.repeats) if its is not None), number)
            if first in before.again:
                return before
            _check(before.trials + 1)
            values: dict[str, Any] = {"again": packed((*before.again, first)), "trials": before.trials + 1}
            if row.state == "finished":
                values |= {"state": "queued", "wish": "run", "ended_at": None, "reason": None}
            connection.execute(update(RUN).where(RUN.c.id == run).values(values))
            text = f"the latency of trial {first} is to be measured again"
            write_event(connection, self._clock(), run, "again", text, by)
        return run_of(row, **values)

    def write_label(self, run: str, by: str | None = None, **changes: Any) -> Run:
        """Other `changes` of what is written on a run; the rest of its label stays. Raises Refusal for what it cannot
        be."""
        with self._database.writing() as connection:
            row = run_row(connection, run, lock=True)
            before = run_of(row).label
            label = replace(before, **changes)
            if label != before:
                connection.execute(update(RUN).where(RUN.c.id == run).values(label=written(label)))
                write_event(connection, self._clock(), run, "label", label.changes(before), by)
        return run_of(row, label=written(label))

    def note(self, run: str, kind: str, text: str, by: str | None = None) -> None:
        """Write an event down, and whose doing it was, if anybody's."""
        with self._database.writing() as connection:
            run_row(connection, run, lock=True)
            write_event(connection, self._clock(), run, kind, text, by)


def _check(trials: int) -> None:
    if not 1 <= trials <= MOST_TRIALS:
        raise Refusal(f"trials {trials} is not between 1 and {MOST_TRIALS}", field="trials")


def _news(name: str, old: float | None, new: float) -> str:
    words = name.replace("_", " ")
    return f"{new:g} {words} at most" if old is None else f"{new:g} {words} instead of {old:g}"
