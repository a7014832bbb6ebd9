"""JSON in rows, rewritten by migrations."""

import json
from collections.abc import Callable
from typing import Any

import sqlalchemy as sa
from alembic import op
from alembic.util import CommandError

ROWS = 500  # that are rewritten at a time


def rewrite(table: sa.TableClause, key: list[str], columns: list[str], change: Callable[..., list[Any]]) -> None:
    """Every row's columns of JSON, a part at a time: a database may be larger than the memory."""
    place, connection = [table.c[name] for name in key], op.get_bind()
    after: sa.ColumnElement[bool] = sa.true()
    while rows := connection.execute(
        sa.select(*place, *(table.c[name] for name in columns)).where(after).order_by(*place).limit(ROWS)
    ).all():
        for row in rows:
            own, texts = row[: len(place)], row[len(place) :]
            try:
                changed = change(*(None if text is None else json.loads(text) for text in texts))
            except (ValueError, TypeError, AttributeError, LookupError) as error:
                where = ", ".join(map(str, own))
                raise CommandError(f"the {table.name} {where} is damaged ({error!r}), restore a backup") from error
            values = {name: json.dumps(data, separators=(",", ":")) for name, data in zip(columns, changed) if data}
            connection.execute(sa.update(table).where(sa.tuple_(*place) == sa.tuple_(*own)).values(values))
        after = sa.tuple_(*place) > sa.tuple_(*own)
