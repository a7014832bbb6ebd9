"""What a run has spent, and why it ended before it had spent it."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.add_column("run", sa.Column("reason", sa.Text()))
    op.add_column("run", sa.Column("worked_seconds", sa.Double(), nullable=False, server_default="0"))
    op.add_column("run", sa.Column("renewed_at", sa.Double()))
    op.add_column("trial", sa.Column("compute_seconds", sa.Double()))
    # Of runs from before this, the time from their start to the last that is known of them, pauses included.
    last = "coalesce(ended_at, (SELECT max(at) FROM event WHERE event.run = run.id), started_at)"
    op.execute(f"UPDATE run SET worked_seconds = {last} - started_at WHERE started_at IS NOT NULL")
    op.execute("UPDATE trial SET compute_seconds = ended_at - started_at WHERE ended_at IS NOT NULL")
