"""What events fitted or why not, how often, which ids changed, and which secrets are in use."""

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("events", sa.Column("fitted", sa.Integer(), nullable=True))
    op.add_column("events", sa.Column("reason", sa.String(length=100), nullable=True))
    op.create_index(
        "ix_events_unmatched",
        "events",
        ["id"],
        sqlite_where=sa.text("reason IS NOT NULL"),
        postgresql_where=sa.text("reason IS NOT NULL"),
    )
    op.create_table(
        "source_reasons",
        sa.Column("source", sa.String(length=64), nullable=False),
        sa.Column("reason", sa.String(length=100), nullable=False),
        sa.Column("count", sa.BigInteger(), nullable=False),
        sa.Column("first_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("last_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("source", "reason", name="pk_source_reasons"),
    )
    op.create_table(
        "source_changes",
        sa.Column("source", sa.String(length=64), nullable=False),
        sa.Column("old_id", sa.String(length=255), nullable=False),
        sa.Column("new_id", sa.String(length=255), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("source", "old_id", name="pk_source_changes"),
    )
    op.create_table(
        "source_secrets",
        sa.Column("source", sa.String(length=64), nullable=False),
        sa.Column("mark", sa.String(length=22), nullable=False),
        sa.Column("fitted_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("source", "mark", name="pk_source_secrets"),
    )
