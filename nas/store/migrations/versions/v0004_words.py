"""One meaning a word: a run that only measures is a benchmark, networks of the literature are published, latencies are
compared with a yardstick, and all devices of a run are its devices."""

import json
from collections.abc import Callable
from typing import Any

import sqlalchemy as sa
from alembic import op
from alembic.util import CommandError

revision = "0004"
down_revision = "0003"

ROWS = 500  # that are rewritten at a time
RUN = sa.table("run", sa.column("serial"), sa.column("kind"), sa.column("spec"))
TRIAL = sa.table("trial", sa.column("run"), sa.column("number"), sa.column("job"), sa.column("measurement"))

Json = dict[str, Any]


def upgrade() -> None:
    op.execute(sa.text("DELETE FROM errand"))  # of evaluations that ended with the version before
    op.execute(sa.update(RUN).where(RUN.c.kind == "measurement").values(kind="benchmark"))
    _rewrite(RUN, ["serial"], ["spec"], _spec)
    _rewrite(TRIAL, ["run", "number"], ["job", "measurement"], _trial)


def _spec(spec: Json) -> list[Json]:
    if "devices" in spec:  # of a benchmark
        return [_renamed(spec, reference="published")]
    return [_on_devices(spec)]


def _trial(job: Json, measurement: Json | None) -> list[Json | None]:
    job = _on_devices(job)
    if measurement is None:
        return [job, None]
    first, others = measurement.pop("latency", None), measurement.pop("further_latencies", {})
    latencies = ({job["devices"][0]: first} if first else {}) | others
    measurement["latencies"] = {
        device: _renamed(latency, reference_ms="yardstick_ms") for device, latency in latencies.items()
    }
    return [job, measurement]


def _on_devices(record: Json) -> Json:
    """The device that the objective looks at is the first of all."""
    record["devices"] = [record.pop("device"), *record.pop("further_devices", ())]
    return record


def _renamed(record: Json, **names: str) -> Json:
    return {names.get(name, name): value for name, value in record.items()}


def _rewrite(table: sa.TableClause, key: list[str], columns: list[str], change: Callable[..., list[Any]]) -> None:
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
