"""What people write on runs: names, notes, tags, and which are put away."""

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"


def upgrade() -> None:
    op.add_column("run", sa.Column("label", sa.Text()))
