"""When a worker last said that it lives, also where it has nothing to do."""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column(
        "forwarding", sa.Column("worker_alive_at", sa.DateTime(timezone=True), nullable=True)
    )
