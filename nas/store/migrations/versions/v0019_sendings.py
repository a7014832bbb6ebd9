"""Requests that may be sent again: whose key a run was submitted under, and a digest of what was asked for."""

import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision = "0018"


def upgrade() -> None:
    op.add_column("run", sa.Column("sent_as", sa.String()))
    op.add_column("run", sa.Column("sent", sa.String()))
    op.create_index("ix_run_sent_as", "run", ["sent_as"], unique=True)
