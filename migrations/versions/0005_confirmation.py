"""Reading rewards back: counts from before, grants credited once, and a pace for reads."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

SERIAL = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "baselines",
        sa.Column("attempt_id", sa.Uuid(as_uuid=False), nullable=False),
        sa.Column("achieved", sa.Integer(), nullable=False),
        sa.Column("read_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["attempt_id"], ["attempts.id"], name="fk_baselines_attempt_id"),
        sa.PrimaryKeyConstraint("attempt_id", name="pk_baselines"),
    )
    op.create_table(
        "grants",
        sa.Column("attempt_id", sa.Uuid(as_uuid=False), nullable=False),
        sa.Column("customer_id", sa.String(length=100), nullable=False),
        sa.Column("proof", sa.String(length=16), nullable=False),
        sa.Column("reference", sa.String(length=120), nullable=False),
        sa.Column("granted_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("points", sa.Double(), nullable=True),
        sa.Column("coupon", sa.String(length=255), nullable=True),
        sa.Column("seen_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["attempt_id"], ["attempts.id"], name="fk_grants_attempt_id"),
        sa.PrimaryKeyConstraint("attempt_id", name="pk_grants"),
        sa.UniqueConstraint(
            "customer_id", "proof", "reference", name="uq_grants_customer_id_proof_reference"
        ),
    )
    op.create_table(
        "reads",
        sa.Column("id", SERIAL, nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("until", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_reads"),
    )
    op.create_index("ix_reads_kind_until", "reads", ["kind", "until"], unique=False)
    op.create_table(
        "reading",
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("slow_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("slow_count", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("kind", name="pk_reading"),
    )
    # What was accepted before anything was read back is looked at, too.
    op.execute("UPDATE attempts SET next_at = updated_at WHERE state = 'accepted'")
