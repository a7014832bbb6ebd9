"""One meaning a word: a run that only measures is a benchmark, networks of the literature are published, and latencies
are compared with a yardstick."""

import json
from collections.abc import Callable
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"

ROWS = 500  # that are rewritten at a time
RUN = sa.table("run", sa.column("serial"), sa.column("kind"), sa.column("spec"))
TRIAL = sa.table("trial", sa.column("run"), sa.column("number"), sa.column("measurement"))


def upgrade() -> None:
    op.execute(sa.text("DELETE FROM errand"))  # of evaluations that ended with the version before
    op.execute(sa.update(RUN).where(RUN.c.kind == "measurement").values(kind="benchmark"))
    _rewrite(RUN, ["serial"], "spec", _spec, RUN.c.kind == "benchmark")
    _rewrite(TRIAL, ["run", "number"], "measurement", _measurement, TRIAL.c.measurement.is_not(None))


def _spec(spec: dict[str, Any]) -> dict[str, Any]:
    return _renamed(spec, reference="published")


def _measurement(measurement: dict[str, Any]) -> dict[str, Any]:
    if measurement.get("latency"):
        measurement["latency"] = _renamed(measurement["latency"], reference_ms="yardstick_ms")
    further = measurement.get("further_latencies", {})
    measurement["further_latencies"] = {
        device: _renamed(latency, reference_ms="yardstick_ms") for device, latency in further.items()
    }
    return measurement


def _renamed(record: dict[str, Any], **names: str) -> dict[str, Any]:
    return {names.get(name, name): value for name, value in record.items()}


def _rewrite(
    table: sa.TableClause, key: list[str], column: str, change: Callable[[Any], Any], where: sa.ColumnElement[bool]
) -> None:
    """Every value of a column of JSON, a part at a time: a database may be larger than the memory."""
    columns, connection = [table.c[name] for name in key], op.get_bind()
    after: sa.ColumnElement[bool] = sa.true()
    while rows := connection.execute(
        sa.select(*columns, table.c[column]).where(where, after).order_by(*columns).limit(ROWS)
    ).all():
        for *place, text in rows:
            same = [own == value for own, value in zip(columns, place)]
            connection.execute(
                sa.update(table)
                .where(*same)
                .values({column: json.dumps(change(json.loads(text)), separators=(",", ":"))})
            )
        after = sa.tuple_(*columns) > sa.tuple_(*rows[-1][:-1])
