"""Notices to sleeping workers: PostgreSQL says by itself that an attempt's clock strikes soon."""

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

# Later than a worker ever sleeps without looking, so that it hears of everything that it would
# oversleep. No payload: PostgreSQL sends equal notices of one transaction only once.
STRIKES_SOON = "NEW.next_at IS NOT NULL AND NEW.next_at < CURRENT_TIMESTAMP + INTERVAL '15 seconds'"


def upgrade() -> None:
    if op.get_bind().dialect.name != "postgresql":
        return
    op.execute(
        """
        CREATE FUNCTION vouch_notify_due() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            PERFORM pg_notify('vouch_due', '');
            RETURN NULL;
        END
        $$
        """
    )
    op.execute(
        f"""
        CREATE TRIGGER attempts_notify_inserted AFTER INSERT ON attempts
        FOR EACH ROW WHEN ({STRIKES_SOON}) EXECUTE FUNCTION vouch_notify_due()
        """
    )
    op.execute(
        f"""
        CREATE TRIGGER attempts_notify_updated AFTER UPDATE OF next_at ON attempts
        FOR EACH ROW WHEN (NEW.next_at IS DISTINCT FROM OLD.next_at AND {STRIKES_SOON})
        EXECUTE FUNCTION vouch_notify_due()
        """
    )
