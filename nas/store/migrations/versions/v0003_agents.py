"""Agents on other machines, and the errands that they are sent on."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.create_table(
        "agent",
        sa.Column("name", sa.String(), primary_key=True),
        sa.Column("fingerprint", sa.Text(), nullable=False),
        sa.Column("instance", sa.String(), nullable=False),
        sa.Column("registered_at", sa.Double(), nullable=False),
        sa.Column("heard_at", sa.Double(), nullable=False),
    )
    op.create_table(
        "errand",
        sa.Column("serial", sa.Integer(), primary_key=True),
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("agent", sa.String(), sa.ForeignKey("agent.name"), nullable=False),
        sa.Column("parcel", sa.LargeBinary()),
        sa.Column("taken_by", sa.String()),
        sa.Column("takings", sa.Integer(), nullable=False),
        sa.Column("answer", sa.Text()),
        sa.Column("asked_at", sa.Double(), nullable=False),
        sa.UniqueConstraint("id"),
    )
    op.create_index("ix_errand_agent_serial", "errand", ["agent", "serial"])
