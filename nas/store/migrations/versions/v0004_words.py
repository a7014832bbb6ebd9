"""One meaning a word: a run that only measures is a benchmark, networks of the literature are published, latencies are
compared with a yardstick, and all devices of a run are its devices."""

from typing import Any

import sqlalchemy as sa
from alembic import op

from nas.store.migrations.rewriting import rewrite

revision = "0004"
down_revision = "0003"

RUN = sa.table("run", sa.column("serial"), sa.column("kind"), sa.column("spec"))
TRIAL = sa.table("trial", sa.column("run"), sa.column("number"), sa.column("job"), sa.column("measurement"))

Json = dict[str, Any]


def upgrade() -> None:
    op.execute(sa.text("DELETE FROM errand"))  # of evaluations that ended with the version before
    op.execute(sa.update(RUN).where(RUN.c.kind == "measurement").values(kind="benchmark"))
    rewrite(RUN, ["serial"], ["spec"], _spec)
    rewrite(TRIAL, ["run", "number"], ["job", "measurement"], _trial)


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
