"""What several transactions do alike."""

from typing import Any

from sqlalchemy import Connection, Row, func, insert, select

from nas.records import Sending
from nas.refusal import Refusal
from nas.store.errors import NotFound
from nas.store.tables import EVENT, MODEL, OUTLINE, RUN, TRIAL
from nas.store.text import plain

_LARGEST = 2**31 - 1  # integer of a column


def run_row(connection: Connection, run: str, lock: bool = False) -> Row[Any]:
    """Raises NotFound."""
    query = select(RUN).where(RUN.c.id == plain(run))
    row = connection.execute(query.with_for_update() if lock else query).one_or_none()
    if row is None:
        raise NotFound(f"there is no run {run!r}")
    return row


def sent_row(connection: Connection, sending: Sending) -> Row[Any] | None:
    """The run that this request has submitted before. Raises Refusal where that asked for something else."""
    row = connection.execute(select(RUN).where(RUN.c.sent_as == sending.key)).one_or_none()
    if row is not None and row.sent != sending.body:
        raise Refusal(f"another request had this Idempotency-Key, for run {row.id}: give each its own")
    return row


def idle(connection: Connection, row: Row[Any], now: float) -> bool:
    """Whether nobody works on the run, and nothing of it is left to be cleaned up."""
    running = select(func.count()).where(OUTLINE.c.run == row.id, OUTLINE.c.state == "running")
    return not held(row, now) and not connection.scalars(running).one()


def held(row: Row[Any], now: float) -> bool:
    """Whether a coordinator has claimed the run."""
    return row.owner is not None and row.expires_at > now


def trial_row(connection: Connection, run: str, number: int) -> Row[Any]:
    """Raises NotFound."""
    query = select(TRIAL).where(TRIAL.c.run == plain(run), TRIAL.c.number == bounded(number, -1))
    row = connection.execute(query).one_or_none()
    if row is None:
        run_row(connection, run)
        raise NotFound(f"run {run} has no trial {number}")
    return row


def model_row(connection: Connection, model: str, lock: bool = False) -> Row[Any]:
    """Raises NotFound."""
    query = select(MODEL).where(MODEL.c.id == plain(model))
    row = connection.execute(query.with_for_update() if lock else query).one_or_none()
    if row is None:
        raise NotFound(f"there is no model {model!r}")
    return row


def write_event(connection: Connection, at: float, run: str, kind: str, text: str, by: str | None = None) -> None:
    """An event, and whose doing it was, if anybody's. Only ever with the run's row locked, so that a run's events
    appear in the order of their ids."""
    connection.execute(insert(EVENT).values(run=run, at=at, kind=plain(kind), text=plain(text), by=by))


def bounded(number: int, low: int = 0) -> int:
    """`number`, or the nearest that a database takes; nothing is ever numbered as high."""
    return max(low, min(number, _LARGEST))
