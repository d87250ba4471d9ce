"""Which claims no event proves yet, which event a claim is about, and when we were restored."""

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None

IS_UNPROVEN = sa.text("token_id IS NOT NULL AND event_id IS NULL")
IS_ABOUT_AN_EVENT = sa.text("event_attempt_id IS NOT NULL")


def upgrade() -> None:
    op.add_column("attempts", sa.Column("event_attempt_id", sa.Uuid(as_uuid=False), nullable=True))
    op.create_index(
        "uq_attempts_event_attempt_id",
        "attempts",
        ["event_attempt_id"],
        unique=True,
        sqlite_where=IS_ABOUT_AN_EVENT,
        postgresql_where=IS_ABOUT_AN_EVENT,
    )
    op.create_index(
        "ix_attempts_unproven",
        "attempts",
        ["customer_id"],
        sqlite_where=IS_UNPROVEN,
        postgresql_where=IS_UNPROVEN,
    )
    # The version before finds the claims that wait by the index of its customers' attempts.
    op.drop_index("ix_attempts_checking", table_name="attempts")
    op.add_column("forwarding", sa.Column("restored_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("forwarding", sa.Column("restored_to", sa.DateTime(timezone=True), nullable=True))
