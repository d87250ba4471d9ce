"""Several ids of one account, what a removal names, and what was shown again."""

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None

SERIAL = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.add_column("events", sa.Column("thing", sa.String(length=255), nullable=True))
    op.add_column("events", sa.Column("retold_at", sa.DateTime(timezone=True), nullable=True))
    for name in ("thing", "undoes"):
        op.create_index(
            f"ix_events_{name}",
            "events",
            ["source", name],
            unique=False,
            sqlite_where=sa.text(f"{name} IS NOT NULL"),
            postgresql_where=sa.text(f"{name} IS NOT NULL"),
        )
    op.create_table(
        "account_keys",
        sa.Column("id", SERIAL, nullable=False),
        sa.Column("platform", sa.String(length=64), nullable=False),
        sa.Column("key", sa.String(length=300), nullable=False),
        sa.Column("account_key", sa.String(length=300), nullable=False),
        sa.Column("account_id", sa.String(length=255), nullable=True),
        sa.Column("known_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_account_keys"),
        sa.UniqueConstraint("platform", "key", name="uq_account_keys_platform_key"),
        sa.UniqueConstraint("platform", "account_id", name="uq_account_keys_platform_account_id"),
    )
    op.create_index(
        "ix_account_keys_platform_account_key",
        "account_keys",
        ["platform", "account_key"],
        unique=False,
    )
