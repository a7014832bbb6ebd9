"""Models whose weights were removed say why, and some are to stay."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    op.add_column("model", sa.Column("removed", sa.Text()))
    op.add_column("model", sa.Column("pinned", sa.Boolean(), nullable=False, server_default=sa.false()))
