"""Latencies have a standard error, where they were called noisy in words."""

from typing import Any

import sqlalchemy as sa
from alembic import op

from nas.metering.earlier import with_errors
from nas.store.migrations.rewriting import rewrite

revision = "0012"
down_revision = "0011"

TRIAL = sa.table("trial", sa.column("run"), sa.column("number"), sa.column("measurement"))

Json = dict[str, Any]


def upgrade() -> None:
    op.execute(sa.text("DELETE FROM errand"))  # of evaluations that ended with the version before
    rewrite(TRIAL, ["run", "number"], ["measurement"], _measurement)


def _measurement(measurement: Json | None) -> list[Json | None]:
    if measurement is None:
        return [None]
    return [measurement | {"latencies": with_errors(measurement["latencies"])}]
