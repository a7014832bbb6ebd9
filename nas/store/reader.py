"""What anybody may read: rows to records."""

import json
from collections.abc import Callable

from sqlalchemy import select, tuple_

from nas.networks.lowering import AnyArchitecture
from nas.records import Event, Latency, Model, Run, Trial, TrialState
from nas.specs import GrowthSpec, Kind
from nas.store.database import Database
from nas.store.queries import bounded, model_row, run_row, trial_row
from nas.store.rows import run_of, trial_of
from nas.store.tables import EVENT, MODEL, RUN, TRIAL
from nas.store.text import plain


class Reader:
    """Runs, trials, models and events as they are; a page of any is asked for by where the last one ended."""

    def __init__(self, database: Database, clock: Callable[[], float]) -> None:
        self._database, self._clock = database, clock

    def run(self, run: str) -> Run:
        with self._database.reading() as connection:
            row = run_row(connection, run)
        return run_of(row)

    def runs(self, limit: int = 50, before: str | None = None, kind: Kind | None = None) -> list[Run]:
        """Runs of that kind (None: any), newest first; `before` is the run that the last page ended with."""
        query = select(RUN).order_by(RUN.c.serial.desc()).limit(bounded(limit))
        if kind is not None:
            query = query.where(RUN.c.kind == kind)
        with self._database.reading() as connection:
            if before is not None:
                query = query.where(RUN.c.serial < run_row(connection, before).serial)
            rows = connection.execute(query).all()
        return [run_of(row) for row in rows]

    def tests(self, search: str) -> int:
        """How many growths of that search score, or scored, their members on the test images."""
        source = f'"source":[{json.dumps(plain(search))},'  # as it is written
        query = select(RUN).where(RUN.c.kind == "growth", RUN.c.spec.contains(source, autoescape=True))
        with self._database.reading() as connection:
            runs = [run_of(row) for row in connection.execute(query)]
        return sum(isinstance(run.spec, GrowthSpec) and run.spec.scored_on == "test" for run in runs)

    def trials(
        self, run: str, after: int = -1, limit: int | None = None, state: TrialState | None = None
    ) -> list[Trial]:
        """Trials of a run by number; `after` is the number that the last page ended with."""
        query = select(TRIAL).where(TRIAL.c.run == plain(run), TRIAL.c.number > bounded(after, -1))
        if state is not None:
            query = query.where(TRIAL.c.state == state)
        query = query.order_by(TRIAL.c.number).limit(None if limit is None else bounded(limit))
        with self._database.reading() as connection:
            rows = connection.execute(query).all()
            if not rows:
                run_row(connection, run)
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
            rows = connection.execute(query.limit(bounded(limit))).all()
        return [
            (trial.job.architecture, latency)
            for trial in map(trial_of, rows)
            if trial.measurement
            for latency in trial.measurement.latencies.values()
            if latency.device == device
        ]

    def trial(self, run: str, number: int) -> Trial:
        with self._database.reading() as connection:
            row = trial_row(connection, run, number)
        return trial_of(row)

    def models(self, run: str | None = None, limit: int | None = None, before: str | None = None) -> list[Model]:
        """All models, or those of a run, newest first; `before` is the model that the last page ended with."""
        place = tuple_(MODEL.c.created_at, MODEL.c.number, MODEL.c.id)
        query = select(MODEL).order_by(*(column.desc() for column in place.clauses))
        query = query.limit(None if limit is None else bounded(limit))
        if run is not None:
            query = query.where(MODEL.c.run == plain(run))
        with self._database.reading() as connection:
            if before is not None:
                last = model_row(connection, before)
                query = query.where(place < tuple_(last.created_at, last.number, last.id))
            rows = connection.execute(query).all()
            if run is not None and not rows:
                run_row(connection, run)
        return [Model(**row._mapping) for row in rows]

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
