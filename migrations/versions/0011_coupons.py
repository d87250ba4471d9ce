"""Coupons' codes are sealed. Those that are there are sealed by the service, a few at a time."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

IS_UNSEALED = sa.text("coupon IS NOT NULL")


def upgrade() -> None:
    # Beside the old column, which the version before goes on writing and reading meanwhile.
    op.add_column("grants", sa.Column("coupon_code", sa.LargeBinary(), nullable=True))
    op.create_index(
        "ix_grants_unsealed",
        "grants",
        ["attempt_id"],
        sqlite_where=IS_UNSEALED,
        postgresql_where=IS_UNSEALED,
    )
