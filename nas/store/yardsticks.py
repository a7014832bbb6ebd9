"""How fast kinds of machines were, day by day, as all workers know it."""

import json
from collections.abc import Callable, Iterable

from sqlalchemy import Connection, insert, select, update
from sqlalchemy.exc import IntegrityError

from nas.measurements import Latency
from nas.metering import history
from nas.metering.history import History
from nas.store.database import Database
from nas.store.tables import YARDSTICK
from nas.store.text import plain


class Yardsticks:
    """What the yardstick took at best on every kind of machine.

    Promises:
    - What was kept is known to all at once, whoever kept it; to keep it twice changes nothing.
    - Days are this database's clock's: those that a machine's clock was ahead by are forgotten.
    """

    def __init__(self, database: Database, clock: Callable[[], float]) -> None:
        self._database, self._clock = database, clock

    def known(self, devices: Iterable[str] | None = None) -> tuple[History, ...]:
        """All that is known of yardsticks on these devices; of all where none are named."""
        query = select(YARDSTICK).order_by(YARDSTICK.c.device, YARDSTICK.c.digest)
        if devices is not None:
            query = query.where(YARDSTICK.c.device.in_([*devices]))
        with self._database.reading() as connection:
            rows = connection.execute(query).all()
        return tuple(History(way=json.loads(row.way), days=history.days_of(row.days)) for row in rows)

    def keep(self, latencies: Iterable[Latency]) -> None:
        """What the yardstick took when these were measured, as today's; and the best that was known where they were, if
        it is better than any that was ever known here."""
        for latency in latencies:
            if (way := history.way(latency)) is None or latency.yardstick_ms is None:
                continue
            way = {plain(name): plain(text) for name, text in way.items()}
            seen_ms = (latency.yardstick_ms * (latency.slowdown or 1.0), latency.yardstick_ms)
            with self._database.reading() as connection:
                if _after(_days(connection, way), *seen_ms, self._clock()) is None:
                    continue
            with self._database.writing() as connection:
                self._write(connection, way, *seen_ms)

    def _write(self, connection: Connection, way: dict[str, str], took_ms: float, best_ms: float) -> None:
        digest = history.digest(way)
        after = _after(_days(connection, way, lock=True), took_ms, best_ms, self._clock())
        if after is None:
            return
        if not connection.execute(update(YARDSTICK).where(YARDSTICK.c.digest == digest).values(days=after)).rowcount:
            try:
                with connection.begin_nested():
                    values = {"digest": digest, "device": way["device"], "way": json.dumps(way), "days": after}
                    connection.execute(insert(YARDSTICK).values(values))
            except IntegrityError:  # another one was faster, with the first of this kind
                self._write(connection, way, took_ms, best_ms)


def _days(connection: Connection, way: dict[str, str], *, lock: bool = False) -> str:
    query = select(YARDSTICK.c.days).where(YARDSTICK.c.digest == history.digest(way))
    return connection.scalars(query.with_for_update() if lock else query).one_or_none() or "[]"


def _after(text: str, took_ms: float, best_ms: float, now: float) -> str | None:
    """The days with what was seen today; None: that changes nothing."""
    before, today = history.days_of(text), history.today(now)
    after = history.noted(before, today, took_ms)
    if best_ms < min(each.best_ms for each in after):  # ever: what was given up as lost is not begun with again
        after = history.noted(after, today, best_ms)
    return history.text(after) if after != before else None
