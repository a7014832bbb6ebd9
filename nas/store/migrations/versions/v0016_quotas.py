"""What owners of tokens may use, and what they have spent on runs that are gone."""

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"


def upgrade() -> None:
    op.create_table(
        "quota",
        sa.Column("owner", sa.String(), nullable=False),
        sa.Column("running_trials", sa.Integer()),
        sa.Column("compute_hours", sa.Double()),
        sa.Column("disk_bytes", sa.BigInteger()),
        sa.Column("deleted_seconds", sa.Double(), nullable=False, server_default="0"),
        sa.PrimaryKeyConstraint("owner", name="pk_quota"),
    )
