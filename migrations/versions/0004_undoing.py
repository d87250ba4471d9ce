"""Actions that were undone: which, when, and whom a rule bars for it."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

SERIAL = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.add_column("events", sa.Column("undoes", sa.String(length=255), nullable=True))
    op.create_index(
        "ix_events_undone",
        "events",
        ["actor", "platform"],
        unique=False,
        sqlite_where=sa.text("undone = 1"),
        postgresql_where=sa.text("undone"),
    )
    op.add_column(
        "attempts",
        sa.Column("bar_after_undo", sa.Boolean(), server_default=sa.false(), nullable=False),
    )
    op.add_column("attempts", sa.Column("undone_at", sa.DateTime(timezone=True), nullable=True))
    op.create_index(
        "ix_attempts_undone",
        "attempts",
        ["id"],
        unique=False,
        sqlite_where=sa.text("undone_at IS NOT NULL"),
        postgresql_where=sa.text("undone_at IS NOT NULL"),
    )
    op.create_table(
        "bars",
        sa.Column("id", SERIAL, nullable=False),
        sa.Column("challenge_id", sa.Integer(), nullable=False),
        sa.Column("platform", sa.String(length=64), nullable=False),
        sa.Column("account_id", sa.String(length=255), nullable=False),
        sa.Column("customer_id", sa.String(length=100), nullable=False),
        sa.Column("attempt_id", sa.Uuid(as_uuid=False), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["attempt_id"], ["attempts.id"], name="fk_bars_attempt_id"),
        sa.PrimaryKeyConstraint("id", name="pk_bars"),
        sa.UniqueConstraint(
            "challenge_id",
            "platform",
            "account_id",
            name="uq_bars_challenge_id_platform_account_id",
        ),
    )
    op.create_index(
        "ix_bars_challenge_id_customer_id", "bars", ["challenge_id", "customer_id"], unique=False
    )
