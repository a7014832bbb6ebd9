"""The order in which runs wait may be another than that in which they were submitted."""

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"


def upgrade() -> None:
    op.add_column("run", sa.Column("turn", sa.Integer(), nullable=False, server_default="0"))
