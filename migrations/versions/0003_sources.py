"""What was seen of each source, and its subscriptions."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "sources",
        sa.Column("source", sa.String(length=64), nullable=False),
        sa.Column("callback_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("handshake_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("refused_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("refusal_kind", sa.String(length=16), nullable=True),
        sa.Column("refusal_reason", sa.String(length=255), nullable=True),
        sa.Column("refusals_in_a_row", sa.Integer(), nullable=False),
        sa.Column("notice_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("notice", sa.String(length=255), nullable=True),
        sa.PrimaryKeyConstraint("source", name="pk_sources"),
    )
    op.create_table(
        "subscriptions",
        sa.Column("source", sa.String(length=64), nullable=False),
        sa.Column("topic", sa.String(length=255), nullable=False),
        sa.Column("granted_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("lapses_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("asked_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("answer", sa.String(length=255), nullable=True),
        sa.PrimaryKeyConstraint("source", "topic", name="pk_subscriptions"),
    )
