"""Latencies that somebody wants measured again."""

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"


def upgrade() -> None:
    op.add_column("run", sa.Column("again", sa.Text()))
