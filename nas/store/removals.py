"""What goes: runs, and the weights of models, whose figures stay.

Rows go here, in one transaction; whoever asked removes files after it. What a crash leaves between the two is a file
that nothing in the database needs, which `needed` tells whoever looks for such.
"""

import json
import re
from collections.abc import Callable, Mapping
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, and_, delete, or_, select, update

from nas.models.checkpoint import artifact
from nas.records import ENDED, Model
from nas.store.database import Database
from nas.store.errors import Conflict
from nas.store.owners import spend
from nas.store.queries import held, idle, model_row, run_row, write_event
from nas.store.tables import EVENT, MODEL, OUTLINE, RUN, TALLY, TRIAL

SHA256 = re.compile(r"[0-9a-f]{64}")
WEIGHTS = re.compile(r'"weights":"([0-9a-f]{64})"')  # as a measurement is written
PARENT = re.compile(r'"parent":"([0-9a-f]{64})"')  # as a job is written
BEGUN_WITH = re.compile(r'"(?:parent|teacher)":"([0-9a-f]{64})"')  # as a spec is written
_OPEN = RUN.c.state.not_in(ENDED)
# A search that has finished goes on where its budget is raised.
_MAY_GO_ON = or_(_OPEN, and_(RUN.c.kind == "search", RUN.c.state == "finished"))


class Removals:
    """Runs and weights that go.

    Promises:
    - What another run begins with, learns from or may go on with does not go, nor what is pinned: that raises Conflict,
      which names who needs it, or is left out where many are asked for at once.
    - A run goes with all its trials, models and events, or not at all.
    - No run is added that names weights which went meanwhile.
    """

    def __init__(self, database: Database, clock: Callable[[], float]) -> None:
        self._database, self._clock = database, clock

    def pin(self, model: str, pinned: bool, by: str | None = None) -> Model:
        """Whether the weights of the model stay whatever else goes. Raises Conflict where they went."""
        with self._database.writing() as connection:
            row = _locked(connection, model)
            if row.removed:
                raise Conflict(f"the weights of model {model} were removed ({row.removed}): they cannot be pinned")
            if row.pinned != pinned:
                connection.execute(update(MODEL).where(MODEL.c.id == row.id).values(pinned=pinned))
                word = "pinned" if pinned else "unpinned"
                write_event(connection, self._clock(), row.run, word, f"model {row.id} {word}", by)
        return Model(**{**row._mapping, "pinned": pinned})

    def delete_model(self, model: str, by: str | None = None) -> Model:
        """Its weights go, for good; what was measured of it stays. Raises Conflict naming who needs them."""
        with self._database.writing() as connection:
            row = _locked(connection, model)
            if row.removed:
                raise Conflict(f"the weights of model {model} were removed before: {row.removed}")
            if row.pinned:
                raise Conflict(f"model {model} is pinned: unpin it first (nas unpin {model})")
            run = run_row(connection, row.run)
            if run.state not in ENDED:
                raise Conflict(
                    f"run {run.id} is {run.state} and may go on with the weights of model {model}: wait for its end, "
                    "or cancel it first"
                )
            _require_unneeded(connection, row.sha256, f"model {model}", row.run)
            reason = f"deleted by {by}" if by else "deleted"
            self._remove(connection, row.run, [row], reason, by)
        return Model(**{**row._mapping, "removed": reason})

    def prune(self, models: Mapping[str, str], by: str | None = None) -> list[Model]:
        """The weights of those models go, each for its reason, which is told with it; without those that are needed,
        are pinned or went meanwhile, whatever was so when they were chosen. Gives those that went."""
        gone = []
        with self._database.writing() as connection:
            query = select(MODEL).where(MODEL.c.id.in_(models)).order_by(MODEL.c.run, MODEL.c.number)
            rows = connection.execute(query).all()
            runs = [run_row(connection, run, lock=True) for run in dict.fromkeys(row.run for row in rows)]
            handed_on = {run.id: _handed_on(connection, run) for run in runs}
            by_reason: dict[tuple[str, str], list[Row[Any]]] = {}
            for row in connection.execute(query.with_for_update()).all():
                own = handed_on[row.run]
                wanted = own is None or row.sha256 in own or _needing(connection, row.sha256, _MAY_GO_ON, row.run)
                if not (row.removed or row.pinned or wanted):
                    by_reason.setdefault((row.run, models[row.id]), []).append(row)
            for (run, reason), its in by_reason.items():
                self._remove(connection, run, its, reason, by)
                gone += [Model(**{**row._mapping, "removed": reason}) for row in its]
        return gone

    def delete_run(self, run: str, by: str | None = None) -> tuple[str, ...]:
        """The run goes with its trials, models and events. Gives the SHA-256 of each checkpoint that nothing needs any
        more. Raises Conflict while it is worked on, or while others need one of its models."""
        with self._database.writing() as connection:
            row = run_row(connection, run, lock=True)
            now = self._clock()
            rests = row.state == "paused" and not held(row, now)  # with whatever trials were set aside
            if not (row.state in ENDED or rests or idle(connection, row, now)):
                raise Conflict(
                    f"run {run} is {row.state}: pause or cancel it first, and wait until that has come about"
                )
            models = connection.execute(select(MODEL).where(MODEL.c.run == row.id).with_for_update()).all()
            pinned = [model.id for model in models if model.pinned]
            if pinned:
                raise Conflict(f"model {pinned[0]} of run {run} is pinned: unpin it first (nas unpin {pinned[0]})")
            for model in models:
                if not model.removed:
                    _require_unneeded(connection, model.sha256, f"model {model.id}", row.id)
            saved = {model.sha256 for model in models} | _weights(connection, TRIAL.c.run == row.id)
            if other := _learning(connection, row.id):
                raise Conflict(
                    f"search {other.id}, which is {other.state}, learns from run {row.id}: wait for its end, or cancel "
                    "it first"
                )
            source = _source(connection, row)
            spend(connection, row)
            for table in (EVENT, MODEL, OUTLINE, TALLY, TRIAL):
                connection.execute(delete(table).where(table.c.run == row.id))
            connection.execute(delete(RUN).where(RUN.c.id == row.id))
            if source:
                write_event(connection, self._clock(), source, "deleted", f"{row.kind} {run} of it deleted", by)
            return tuple(sorted(saved - needed(connection)))

    def needed(self, *, but_models: bool = False) -> frozenset[str]:
        """The SHA-256 of each checkpoint that a model is, or that a run may go on with; `but_models` of the latter
        alone."""
        with self._database.reading() as connection:
            return frozenset(_gone_on_with(connection) if but_models else needed(connection))

    def _remove(self, connection: Connection, run: str, rows: list[Row[Any]], reason: str, by: str | None) -> None:
        ids = [row.id for row in rows]
        connection.execute(update(MODEL).where(MODEL.c.id.in_(ids)).values(removed=reason))
        what = f"model {ids[0]}" if len(ids) == 1 else f"{len(ids)} models"
        write_event(connection, self._clock(), run, "removed", f"weights of {what} removed: {reason}", by)


def require_kept(connection: Connection, spec: str) -> None:
    """Raise Conflict where weights that a run's spec names were removed a moment ago, and let nobody remove them before
    the transaction ends. Those of no model here are of a file that was given, or of a run that was deleted."""
    named = set(SHA256.findall(spec))
    if not named:
        return
    rows = connection.execute(select(MODEL).where(MODEL.c.sha256.in_(named)).with_for_update()).all()
    for row in rows:
        if row.removed:
            raise Conflict(f"the weights of model {row.id} were removed ({row.removed}): name another model")
    for sha256 in set(BEGUN_WITH.findall(spec)) - {row.sha256 for row in rows}:
        if not artifact(sha256).exists():
            raise Conflict(f"the weights {sha256} went with the run that had saved them: name another model")


def _locked(connection: Connection, model: str) -> Row[Any]:
    """The model, and nobody else can change it or write an event of its run before the transaction ends."""
    run_row(connection, model_row(connection, model).run, lock=True)
    return model_row(connection, model, lock=True)


def _needing(connection: Connection, sha256: str, state: ColumnElement[bool], but: str) -> Row[Any] | None:
    """Another run than `but` in such a state that names those weights, if there is one."""
    query = select(RUN).where(state, RUN.c.id != but, RUN.c.spec.contains(f'"{sha256}"', autoescape=True))
    return connection.execute(query.order_by(RUN.c.serial).limit(1)).one_or_none()


def _handed_on(connection: Connection, run: Row[Any]) -> set[str] | None:
    """The weights that trials of the run itself began with, where it may go on; None: it may hand on any."""
    if run.state not in ENDED and (run.kind != "search" or '"inherit":true' in run.spec):
        return None
    if run.state in ENDED and (run.state, run.kind) != ("finished", "search"):
        return set()
    its = TRIAL.c.run == run.id, TRIAL.c.job.contains('"parent":"', autoescape=True)
    jobs = connection.scalars(select(TRIAL.c.job).where(*its))
    return {parent for job in jobs for parent in PARENT.findall(job)}


def _require_unneeded(connection: Connection, sha256: str, what: str, run: str) -> None:
    if other := _needing(connection, sha256, _OPEN, run):
        raise Conflict(
            f"{other.kind} {other.id}, which is {other.state}, needs {what} as its parent or teacher: wait for its "
            "end, or cancel it first"
        )


def _learning(connection: Connection, run: str) -> Row[Any] | None:
    """An open search that learns from that run, if there is one."""
    named = RUN.c.spec.contains(f'"{run}"', autoescape=True)
    rows = connection.execute(select(RUN).where(_OPEN, RUN.c.kind == "search", named).order_by(RUN.c.serial)).all()
    return next((row for row in rows if run in json.loads(row.spec).get("learn_from", ())), None)


def _source(connection: Connection, row: Row[Any]) -> str | None:
    """The search that a growth is of, if it is there, locked."""
    source = re.search(r'"source":\["([0-9a-f]+)",', row.spec) if row.kind == "growth" else None
    return (
        connection.scalars(select(RUN.c.id).where(RUN.c.id == source[1]).with_for_update()).first() if source else None
    )


def needed(connection: Connection) -> set[str]:
    """The SHA-256 of each checkpoint that a model is, or that a run may go on with."""
    return set(connection.scalars(select(MODEL.c.sha256).where(MODEL.c.removed.is_(None)))) | _gone_on_with(connection)


def _gone_on_with(connection: Connection) -> set[str]:
    """What runs name that may go on, and what trials of open ones have handed on."""
    named = {sha for spec in connection.scalars(select(RUN.c.spec).where(_MAY_GO_ON)) for sha in SHA256.findall(spec)}
    gone = set(connection.scalars(select(MODEL.c.sha256).where(MODEL.c.removed.is_not(None))))
    return named | (_weights(connection, TRIAL.c.run.in_(select(RUN.c.id).where(_OPEN))) - gone)


def _weights(connection: Connection, which: ColumnElement[bool]) -> set[str]:
    """What the trials have saved, whether it is a model or handed on."""
    query = select(TRIAL.c.measurement).where(which, TRIAL.c.measurement.contains('"weights":"', autoescape=True))
    return {sha for text in connection.scalars(query) for sha in WEIGHTS.findall(text or "")}
