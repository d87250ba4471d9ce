"""The audit log, which only grows: triggers refuse every other change while its door is shut."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

SERIAL = sa.BigInteger().with_variant(sa.Integer(), "sqlite")

SQLITE = """CREATE TRIGGER audit_no_{name} BEFORE {name} ON audit
WHEN NOT EXISTS (SELECT 1 FROM audit_door)
BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END"""

POSTGRES = (
    """CREATE FUNCTION audit_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF NOT EXISTS (SELECT 1 FROM audit_door) THEN
    RAISE EXCEPTION 'the audit log is append-only';
  END IF;
  IF TG_OP = 'UPDATE' THEN RETURN NEW; END IF;
  IF TG_OP = 'DELETE' THEN RETURN OLD; END IF;
  RETURN NULL;
END $$""",
    """CREATE TRIGGER audit_no_change BEFORE UPDATE OR DELETE ON audit
FOR EACH ROW EXECUTE FUNCTION audit_append_only()""",
    """CREATE TRIGGER audit_no_truncate BEFORE TRUNCATE ON audit
FOR EACH STATEMENT EXECUTE FUNCTION audit_append_only()""",
)


def upgrade() -> None:
    op.create_table(
        "audit",
        sa.Column("id", SERIAL, nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("caused_by", sa.String(length=200), nullable=False),
        sa.Column("change", sa.String(length=64), nullable=False),
        sa.Column("subject", sa.String(length=330), nullable=True),
        sa.Column("customer_id", sa.String(length=100), nullable=True),
        sa.Column("details", sa.String(length=4_000), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_audit"),
    )
    op.create_index("ix_audit_at", "audit", ["at"], unique=False)
    op.create_index("ix_audit_customer_id_id", "audit", ["customer_id", "id"], unique=False)
    op.create_index("ix_audit_subject_id", "audit", ["subject", "id"], unique=False)
    op.create_table(
        "audit_door",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_audit_door"),
    )
    if op.get_bind().dialect.name == "postgresql":
        for statement in POSTGRES:
            op.execute(statement)
    else:
        for name in ("update", "delete"):
            op.execute(SQLITE.format(name=name))
