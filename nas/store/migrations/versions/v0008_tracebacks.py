"""Trials keep the traceback of what ended them."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    op.add_column("trial", sa.Column("traceback", sa.Text()))
