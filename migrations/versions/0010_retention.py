"""What is let go in time, and people who are to be forgotten: how far each of it is."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

HAS_CONTACTS = sa.text("email IS NOT NULL OR mobile IS NOT NULL OR claimed IS NOT NULL")
IS_RUNNING = sa.text("completed_at IS NULL")


def upgrade() -> None:
    op.create_table(
        "purges",
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("until_id", sa.Uuid(as_uuid=False), nullable=False),
        sa.PrimaryKeyConstraint("kind", name="pk_purges"),
    )
    op.create_table(
        "erasures",
        sa.Column("id", sa.Uuid(as_uuid=False), nullable=False),
        sa.Column("customer_hash", sa.String(length=22), nullable=False),
        sa.Column("customer_id", sa.LargeBinary(), nullable=True),
        sa.Column("caused_by", sa.String(length=200), nullable=False),
        sa.Column("requested_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("completed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("events", sa.Integer(), nullable=False),
        sa.Column("identities", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_erasures"),
    )
    op.create_index("ix_erasures_customer_hash", "erasures", ["customer_hash"])
    op.create_index(
        "ix_erasures_running",
        "erasures",
        ["id"],
        sqlite_where=IS_RUNNING,
        postgresql_where=IS_RUNNING,
    )
    op.add_column("attempts", sa.Column("erased_at", sa.DateTime(timezone=True), nullable=True))
    op.create_index(
        "ix_attempts_contacts",
        "attempts",
        ["id"],
        sqlite_where=HAS_CONTACTS,
        postgresql_where=HAS_CONTACTS,
    )
