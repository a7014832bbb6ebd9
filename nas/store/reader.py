"""What anybody may read: rows to records."""

import json
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import Any, TypeAlias

from sqlalchemy import ColumnElement, Row, and_, case, func, select, tuple_

from nas.measurements import Latency
from nas.networks.lowering import AnyArchitecture
from nas.outlines import Line, Summary
from nas.records import Event, Model, Run, Sending, Trial, TrialState
from nas.specs import GrowthSpec, Kind
from nas.store import marks, summaries
from nas.store.database import Database
from nas.store.queries import bounded, model_row, run_row, sent_row, trial_row
from nas.store.rows import LINE, line_of, run_of, trial_of
from nas.store.tables import EVENT, MODEL, OUTLINE, RUN, TALLY, TRIAL
from nas.store.text import plain

Timed: TypeAlias = tuple[AnyArchitecture, Latency]

_AT_ONCE = 500  # trials that are read together


@dataclass(frozen=True, kw_only=True)
class Tallies:
    """How much there is."""

    runs: dict[tuple[str, str], int]
    """By kind and state."""
    trials: dict[str, int]
    """By state."""
    events: dict[str, int]
    """By kind."""
    waiting_since: float | None
    """When the run was submitted that waits longest and has not begun."""


class Reader:
    """Runs, trials, models and events as they are; a page of any is asked for by where the last one ended."""

    def __init__(self, database: Database, clock: Callable[[], float]) -> None:
        self._database, self._clock = database, clock

    def run(self, run: str) -> Run:
        with self._database.reading() as connection:
            row = run_row(connection, run)
        return run_of(row)

    def sent(self, sending: Sending) -> Run | None:
        """The run that this request has submitted before. Raises Refusal where that asked for something else."""
        with self._database.reading() as connection:
            row = sent_row(connection, sending)
        return row and run_of(row)

    def runs(
        self,
        limit: int = 50,
        before: str | None = None,
        kind: Kind | None = None,
        *,
        archived: bool | None = None,
        tag: str | None = None,
    ) -> list[Run]:
        """Runs of that kind (None: any), newest first, those that are put away or the others, with that tag in
        whatever case; `before` is the run that the last page ended with."""
        query = select(RUN).order_by(RUN.c.serial.desc()).limit(bounded(limit))
        if kind is not None:
            query = query.where(RUN.c.kind == kind)
        if archived is not None:
            away = func.coalesce(RUN.c.label, "").contains('"archived":true')
            query = query.where(away if archived else ~away)
        if tag is not None:
            query = query.where(RUN.c.label.ilike(f'%"tags":[%{_literal(json.dumps(plain(tag)))}%', escape="/"))
        with self._database.reading() as connection:
            if before is not None:
                query = query.where(RUN.c.serial < run_row(connection, before).serial)
            rows = connection.execute(query).all()
        return [run_of(row) for row in rows]

    def queue(self) -> list[Run]:
        """Runs that are worked on, as they were submitted, and those that wait, the next one first."""
        turn = case((RUN.c.state == "queued", RUN.c.turn), else_=0)
        query = select(RUN).where(RUN.c.state.in_(("queued", "running"))).order_by(turn, RUN.c.serial)
        with self._database.reading() as connection:
            return [run_of(row) for row in connection.execute(query)]

    def waiting_trials(self) -> int:
        """How many trials of runs that are worked on have been handed out and not been heard of since."""
        own = (TRIAL.c.run == OUTLINE.c.run) & (TRIAL.c.number == OUTLINE.c.number)
        begun = select(func.count()).join_from(RUN, OUTLINE, RUN.c.id == OUTLINE.c.run).join(TRIAL, own)
        query = begun.where(RUN.c.state == "running", OUTLINE.c.state == "running", TRIAL.c.progress.is_(None))
        with self._database.reading() as connection:
            return connection.scalars(query).one()

    def tallies(self) -> Tallies:
        number, waiting = func.count(), (RUN.c.state == "queued") & RUN.c.started_at.is_(None)
        with self._database.reading() as connection:
            runs = connection.execute(select(RUN.c.kind, RUN.c.state, number).group_by(RUN.c.kind, RUN.c.state)).all()
            of_state = select(TALLY.c.state, func.sum(TALLY.c.trials)).group_by(TALLY.c.state)
            trials = [(state, count) for state, count in connection.execute(of_state) if count]
            events = connection.execute(select(EVENT.c.kind, number).group_by(EVENT.c.kind)).all()
            since = connection.execute(select(func.min(RUN.c.created_at)).where(waiting)).scalar()
        return Tallies(
            runs={(kind, state): count for kind, state, count in runs},
            trials=dict(map(tuple, trials)),
            events=dict(map(tuple, events)),
            waiting_since=since,
        )

    def marks(self, runs: Collection[str]) -> dict[str, str]:
        """A mark of each of those runs that is there, another as soon as anything that is shown of it is; of `""` one
        of the list of runs, of `devices` one of these, and one of several runs with commas between."""
        with self._database.reading() as connection:
            return marks.read(connection, runs, self._clock())

    def tests(self, search: str) -> int:
        """How many growths of that search score, or scored, their members on the test images."""
        source = f'"source":[{json.dumps(plain(search))},'  # as it is written
        query = select(RUN).where(RUN.c.kind == "growth", RUN.c.spec.contains(source, autoescape=True))
        with self._database.reading() as connection:
            runs = [run_of(row) for row in connection.execute(query)]
        return sum(isinstance(run.spec, GrowthSpec) and run.spec.scored_on != "validation" for run in runs)

    def trials(
        self, run: str, after: int = -1, limit: int | None = None, state: TrialState | None = None
    ) -> list[Trial]:
        """Trials of a run by number; `after` is the number that the last page ended with."""
        return [trial_of(row) for row in self._page((TRIAL,), run, after, limit, state)]

    def lines(self, run: str, after: int, limit: int, state: TrialState | None = None) -> list[Line]:
        """The same as they are stored, which takes a tenth of the time, with the reward of each by its search's own
        objective; what an earlier version wrote as this one would have."""
        return [line_of(row) for row in self._page(LINE, run, after, limit, state)]

    def _page(
        self, columns: Sequence[Any], run: str, after: int, limit: int | None, state: TrialState | None
    ) -> Sequence[Row[Any]]:
        own = and_(TRIAL.c.run == OUTLINE.c.run, TRIAL.c.number == OUTLINE.c.number)
        query = select(*columns).join_from(OUTLINE, TRIAL, own)
        query = query.where(OUTLINE.c.run == plain(run), OUTLINE.c.number > bounded(after, -1))
        if state is not None:
            query = query.where(OUTLINE.c.state == state)
        query = query.order_by(OUTLINE.c.number).limit(None if limit is None else bounded(limit))
        with self._database.reading() as connection:
            rows = connection.execute(query).all()
            if not rows:
                run_row(connection, run)
        return rows

    def these(self, run: str, numbers: Iterable[int]) -> list[Trial]:
        """Those trials of a run, by number."""
        wanted, rows = sorted(numbers), list[Row[Any]]()
        with self._database.reading() as connection:
            for first in range(0, len(wanted), _AT_ONCE):
                which = TRIAL.c.number.in_(wanted[first : first + _AT_ONCE])
                query = select(TRIAL).where(TRIAL.c.run == plain(run), which).order_by(TRIAL.c.number)
                rows += connection.execute(query)
        return [trial_of(row) for row in rows]

    def ended(self, run: str, after: int = 0) -> list[Trial]:
        """The next of the trials that have ended, in that order; `after` is what the last one has as `finished`. None
        are left where there are none."""
        query = select(TRIAL).where(TRIAL.c.run == plain(run), TRIAL.c.finished > after)
        with self._database.reading() as connection:
            rows = connection.execute(query.order_by(TRIAL.c.finished).limit(_AT_ONCE)).all()
        return list(map(trial_of, rows))

    def last(self, run: str, state: TrialState) -> Trial | None:
        """The last trial of a run in that state."""
        query = select(OUTLINE.c.number).where(OUTLINE.c.run == plain(run), OUTLINE.c.state == state)
        with self._database.reading() as connection:
            number = connection.scalars(query.order_by(OUTLINE.c.number.desc()).limit(1)).one_or_none()
        return None if number is None else self.trial(run, number)

    def trained(self, run: str, limit: int) -> list[Trial]:
        """Trials of a run that were trained, the newest first."""
        query = select(OUTLINE.c.number).where(OUTLINE.c.run == plain(run), OUTLINE.c.train_seconds > 0)
        with self._database.reading() as connection:
            numbers = connection.scalars(query.order_by(OUTLINE.c.number.desc()).limit(bounded(limit))).all()
        return self.these(run, numbers)[::-1]

    def summary(self, run: str) -> Summary:
        with self._database.reading() as connection:
            return summaries.read(connection, run_row(connection, run))

    def outlines(self, run: str, names: Sequence[str], **only: Any) -> list[tuple[Any, ...]]:
        """Those columns of a run's trials, by the first of them: of `only` those whose other columns are these, or are
        not null where that is `...`."""
        which = [
            OUTLINE.c[name].is_not(None) if value is ... else OUTLINE.c[name].is_not_distinct_from(value)
            for name, value in only.items()
        ]
        query = select(*(OUTLINE.c[name] for name in names)).where(OUTLINE.c.run == plain(run), *which)
        with self._database.reading() as connection:
            # From the driver itself: a record of SQLAlchemy's for each of 100,000 rows is a fifth of the time.
            cursor = connection.execute(query).cursor
            rows: Sequence[tuple[Any, ...]] = cursor.fetchall() if cursor else ()
        # Sorted here, or SQLite reads all trials in that order for want of another index that has it.
        return sorted(rows, key=itemgetter(0))

    def told(self, run: str, names: Sequence[str], after: int, limit: int) -> list[tuple[Any, ...]]:
        """Those columns of the trials of a run that have ended after so many others had, in that order."""
        query = select(*(OUTLINE.c[name] for name in names))
        query = query.where(OUTLINE.c.run == plain(run), OUTLINE.c.finished > bounded(after))
        with self._database.reading() as connection:
            rows = connection.execute(query.order_by(OUTLINE.c.finished).limit(bounded(limit)))
            return [tuple(row) for row in rows]

    def measured(self, device: str, before: float, limit: int = 1000) -> list[Timed]:
        """Networks with their latencies on `device`, of all runs, from trials that had ended before that time, newest
        first; the same ones whenever it is asked."""
        named = f'"device":{json.dumps(device)},"median_ms":'  # as a latency is written
        found = self._latencies(TRIAL.c.measurement.contains(named, autoescape=True), before, limit)
        return [(architecture, latency) for architecture, latency in found if latency.device == device]

    def measured_elsewhere(self, device: str, before: float) -> dict[str, list[Timed]]:
        """By the device, the same of all other devices, as far as the newest trials with any latency tell."""
        by_device: dict[str, list[Timed]] = {}
        for architecture, latency in self._latencies(TRIAL.c.measurement.contains('"median_ms":'), before, 1000):
            if latency.device != device:
                by_device.setdefault(latency.device, []).append((architecture, latency))
        return by_device

    def _latencies(
        self, which: ColumnElement[bool], before: float, limit: int
    ) -> list[tuple[AnyArchitecture, Latency]]:
        query = select(TRIAL).where(TRIAL.c.ended_at < before, which)
        query = query.order_by(TRIAL.c.ended_at.desc(), TRIAL.c.run, TRIAL.c.number)
        with self._database.reading() as connection:
            rows = connection.execute(query.limit(bounded(limit))).all()
        return [
            (trial.job.architecture, latency)
            for trial in map(trial_of, rows)
            if trial.measurement
            for latency in trial.measurement.latencies.values()
        ]

    def trial(self, run: str, number: int) -> Trial:
        with self._database.reading() as connection:
            row = trial_row(connection, run, number)
        return trial_of(row)

    def models(
        self, run: str | None = None, limit: int | None = None, before: str | None = None, *, removed: bool = False
    ) -> list[Model]:
        """All models whose weights are kept, or those of a run, newest first; `before` is the model that the last page
        ended with. With `removed` the others as well."""
        place = tuple_(MODEL.c.created_at, MODEL.c.number, MODEL.c.id)
        query = select(MODEL).order_by(*(column.desc() for column in place.clauses))
        query = query.limit(None if limit is None else bounded(limit))
        if run is not None:
            query = query.where(MODEL.c.run == plain(run))
        if not removed:
            query = query.where(MODEL.c.removed.is_(None))
        with self._database.reading() as connection:
            if before is not None:
                last = model_row(connection, before)
                query = query.where(place < tuple_(last.created_at, last.number, last.id))
            rows = connection.execute(query).all()
            if run is not None and not rows:
                run_row(connection, run)
        return [Model(**row._mapping) for row in rows]

    def removed(self, run: str) -> frozenset[int]:
        """The numbers of the trials of a run whose models have no weights any more."""
        query = select(MODEL.c.number).where(MODEL.c.run == plain(run), MODEL.c.removed.is_not(None))
        with self._database.reading() as connection:
            return frozenset(connection.scalars(query))

    def model(self, model: str) -> Model:
        with self._database.reading() as connection:
            return Model(**model_row(connection, model)._mapping)

    def events(self, run: str, after: int = 0, limit: int = 200) -> list[Event]:
        """Events of a run by id; `after` is the id that the last page ended with. None is ever written before that."""
        query = select(EVENT).where(EVENT.c.run == plain(run), EVENT.c.id > bounded(after))
        with self._database.reading() as connection:
            rows = connection.execute(query.order_by(EVENT.c.id).limit(bounded(limit))).all()
            if not rows:
                run_row(connection, run)
        return [Event(**row._mapping) for row in rows]


def _literal(text: str) -> str:
    """As a pattern, in which "/" makes the next character mean itself."""
    return "".join(f"/{character}" if character in "/%_" else character for character in text)
