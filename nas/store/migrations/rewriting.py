"""JSON in rows, rewritten by migrations."""

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import sqlalchemy as sa
from alembic import op
from alembic.util import CommandError

ROWS = 500  # that are rewritten at a time


def rewrite(table: sa.TableClause, key: list[str], columns: list[str], change: Callable[..., list[Any]]) -> None:
    """Every row's columns of JSON, a part at a time: a database may be larger than the memory."""
    place = [table.c[name] for name in key]
    for row in parts(table, key, [*key, *columns]):
        own, texts = row[: len(place)], row[len(place) :]
        with undamaged(table, own):
            changed = change(*(None if text is None else json.loads(text) for text in texts))
        values = {name: json.dumps(data, separators=(",", ":")) for name, data in zip(columns, changed) if data}
        if values:
            op.get_bind().execute(sa.update(table).where(sa.tuple_(*place) == sa.tuple_(*own)).values(values))


def parts(
    table: sa.TableClause, key: list[str], columns: list[str], which: sa.ColumnElement[bool] | None = None
) -> Iterator[Any]:
    """Those columns of every row, or of `which`, in the order of its key."""
    place, after = [table.c[name] for name in key], sa.true() if which is None else which
    query = sa.select(*(table.c[name] for name in columns)).order_by(*place).limit(ROWS)
    rows = op.get_bind().execute(query.where(after)).all()
    while rows:
        yield from rows
        last = sa.tuple_(*(getattr(rows[-1], name) for name in key))
        rows = op.get_bind().execute(query.where(after, sa.tuple_(*place) > last)).all()


@contextmanager
def undamaged(table: sa.TableClause, own: Sequence[Any]) -> Iterator[None]:
    """Whatever is wrong with the row of that key ends the migration in words."""
    try:
        yield
    except (ValueError, TypeError, AttributeError, LookupError) as error:
        where = ", ".join(map(str, own))
        raise CommandError(f"the {table.name} {where} is damaged ({error!r}), restore a backup") from error
