"""Whom a bulk job's filter names is sealed, beside the rest of it."""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("bulk_jobs", sa.Column("named", sa.LargeBinary(), nullable=True))
