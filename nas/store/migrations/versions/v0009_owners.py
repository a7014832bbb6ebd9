"""Runs keep who submitted them, and events who did what they tell of."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    op.add_column("run", sa.Column("submitted_by", sa.String()))
    op.add_column("event", sa.Column("by", sa.String()))
