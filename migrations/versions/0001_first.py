"""The first schema: events, attempts, the award ledger, submissions, identities and keys."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

SERIAL = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "api_keys",
        sa.Column("id", sa.String(length=16), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("role", sa.String(length=16), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_api_keys"),
    )
    op.create_table(
        "events",
        sa.Column("id", sa.Uuid(as_uuid=False), nullable=False),
        sa.Column("source", sa.String(length=64), nullable=False),
        sa.Column("key", sa.String(length=255), nullable=False),
        sa.Column("platform", sa.String(length=64), nullable=False),
        sa.Column("action", sa.String(length=64), nullable=False),
        sa.Column("undone", sa.Boolean(), nullable=False),
        sa.Column("actor", sa.String(length=255), nullable=False),
        sa.Column("actor_handle", sa.String(length=255), nullable=True),
        sa.Column("target", sa.String(length=255), nullable=True),
        sa.Column("occurred_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("payload", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_events"),
        sa.UniqueConstraint("source", "key", name="uq_events_source_key"),
    )
    op.create_index(
        "ix_events_source_received_at", "events", ["source", "received_at"], unique=False
    )
    op.create_index(
        "ix_events_actor_handle",
        "events",
        ["actor_handle"],
        unique=False,
        sqlite_where=sa.text("actor_handle IS NOT NULL"),
        postgresql_where=sa.text("actor_handle IS NOT NULL"),
    )
    op.create_table(
        "forwarding",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("paused_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("pause_reason", sa.String(length=500), nullable=True),
        sa.Column("probe_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("slow_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("slow_count", sa.Integer(), nullable=False),
        sa.Column("worker_seen_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_forwarding"),
    )
    op.create_table(
        "identities",
        sa.Column("platform", sa.String(length=64), nullable=False),
        sa.Column("account_id", sa.String(length=255), nullable=False),
        sa.Column("customer_id", sa.String(length=100), nullable=False),
        sa.Column("handle", sa.String(length=255), nullable=True),
        sa.Column("email", sa.String(length=255), nullable=True),
        sa.Column("mobile", sa.String(length=64), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("platform", "account_id", name="pk_identities"),
    )
    op.create_index(
        "ix_identities_customer_id_platform",
        "identities",
        ["customer_id", "platform"],
        unique=False,
    )
    op.create_table(
        "attempts",
        sa.Column("id", sa.Uuid(as_uuid=False), nullable=False),
        sa.Column("event_id", sa.Uuid(as_uuid=False), nullable=True),
        sa.Column("token_id", sa.Uuid(as_uuid=False), nullable=True),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("reason", sa.String(length=500), nullable=True),
        sa.Column("challenge_id", sa.Integer(), nullable=False),
        sa.Column("customer_id", sa.String(length=100), nullable=True),
        sa.Column("email", sa.String(length=255), nullable=True),
        sa.Column("mobile", sa.String(length=64), nullable=True),
        sa.Column("source", sa.String(length=64), nullable=True),
        sa.Column("platform", sa.String(length=64), nullable=False),
        sa.Column("action", sa.String(length=64), nullable=False),
        sa.Column("account_id", sa.String(length=255), nullable=True),
        sa.Column("target", sa.String(length=255), nullable=True),
        sa.Column("evidence", sa.String(length=16), nullable=False),
        sa.Column("occurrence", sa.String(length=300), nullable=False),
        sa.Column("hold_seconds", sa.Double(), nullable=False),
        sa.Column("claimed", sa.String(length=4096), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("next_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("lease_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("fence", sa.Integer(), nullable=False),
        sa.Column("round", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["event_id"], ["events.id"], name="fk_attempts_event_id"),
        sa.PrimaryKeyConstraint("id", name="pk_attempts"),
        sa.UniqueConstraint("event_id", "challenge_id", name="uq_attempts_event_id_challenge_id"),
        sa.UniqueConstraint("token_id", name="uq_attempts_token_id"),
    )
    op.create_index(
        "ix_attempts_account_id_id",
        "attempts",
        ["account_id", "id"],
        unique=False,
        postgresql_ops={"account_id": "varchar_pattern_ops"},
    )
    op.create_index(
        "ix_attempts_customer_id_challenge_id_id",
        "attempts",
        ["customer_id", "challenge_id", "id"],
        unique=False,
        postgresql_ops={"customer_id": "varchar_pattern_ops"},
    )
    op.create_index(
        "ix_attempts_leased",
        "attempts",
        ["customer_id"],
        unique=False,
        sqlite_where=sa.text("lease_until IS NOT NULL"),
        postgresql_where=sa.text("lease_until IS NOT NULL"),
    )
    op.create_index(
        "ix_attempts_checking",
        "attempts",
        ["customer_id"],
        unique=False,
        sqlite_where=sa.text("state = 'checking'"),
        postgresql_where=sa.text("state = 'checking'"),
    )
    op.create_index("ix_attempts_state_id", "attempts", ["state", "id"], unique=False)
    op.create_index(
        "ix_attempts_timer",
        "attempts",
        ["state", "next_at"],
        unique=False,
        sqlite_where=sa.text("next_at IS NOT NULL"),
        postgresql_where=sa.text("next_at IS NOT NULL"),
    )
    op.create_index(
        "ix_attempts_unlinked",
        "attempts",
        ["platform", "account_id"],
        unique=False,
        sqlite_where=sa.text("state = 'unlinked'"),
        postgresql_where=sa.text("state = 'unlinked'"),
    )
    op.create_table(
        "awards",
        sa.Column("id", SERIAL, nullable=False),
        sa.Column("challenge_id", sa.Integer(), nullable=False),
        sa.Column("customer_id", sa.String(length=100), nullable=False),
        sa.Column("platform", sa.String(length=64), nullable=False),
        sa.Column("account_id", sa.String(length=255), nullable=True),
        sa.Column("occurrence", sa.String(length=300), nullable=False),
        sa.Column("attempt_id", sa.Uuid(as_uuid=False), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["attempt_id"],
            ["attempts.id"],
            name="fk_awards_attempt_id",
            initially="DEFERRED",
            deferrable=True,
        ),
        sa.PrimaryKeyConstraint("id", name="pk_awards"),
        sa.UniqueConstraint("attempt_id", name="uq_awards_attempt_id"),
        sa.UniqueConstraint(
            "challenge_id",
            "customer_id",
            "occurrence",
            name="uq_awards_challenge_id_customer_id_occurrence",
        ),
        sa.UniqueConstraint(
            "challenge_id",
            "platform",
            "account_id",
            "occurrence",
            name="uq_awards_challenge_id_platform_account_id_occurrence",
        ),
    )
    op.create_table(
        "submissions",
        sa.Column("id", SERIAL, nullable=False),
        sa.Column("attempt_id", sa.Uuid(as_uuid=False), nullable=False),
        sa.Column("fence", sa.Integer(), nullable=False),
        sa.Column("round", sa.Integer(), nullable=False),
        sa.Column("worker", sa.String(length=200), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("outcome", sa.String(length=20), nullable=True),
        sa.Column("resolved", sa.Boolean(), nullable=False),
        sa.Column("status", sa.Integer(), nullable=True),
        sa.Column("code", sa.Integer(), nullable=True),
        sa.Column("message", sa.String(length=500), nullable=True),
        sa.Column("request_id", sa.String(length=255), nullable=True),
        sa.ForeignKeyConstraint(["attempt_id"], ["attempts.id"], name="fk_submissions_attempt_id"),
        sa.PrimaryKeyConstraint("id", name="pk_submissions"),
    )
    op.create_index(
        "ix_submissions_attempt_id_id", "submissions", ["attempt_id", "id"], unique=False
    )
    op.create_index("ix_submissions_ended_at", "submissions", ["ended_at"], unique=False)
    op.create_index(
        "ix_submissions_in_flight",
        "submissions",
        ["started_at"],
        unique=False,
        sqlite_where=sa.text("ended_at IS NULL"),
        postgresql_where=sa.text("ended_at IS NULL"),
    )
    op.create_table(
        "transitions",
        sa.Column("id", SERIAL, nullable=False),
        sa.Column("attempt_id", sa.Uuid(as_uuid=False), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("from_state", sa.String(length=16), nullable=True),
        sa.Column("to_state", sa.String(length=16), nullable=False),
        sa.Column("reason", sa.String(length=500), nullable=True),
        sa.Column("caused_by", sa.String(length=200), nullable=False),
        sa.ForeignKeyConstraint(["attempt_id"], ["attempts.id"], name="fk_transitions_attempt_id"),
        sa.PrimaryKeyConstraint("id", name="pk_transitions"),
    )
    op.create_index(
        "ix_transitions_attempt_id_id", "transitions", ["attempt_id", "id"], unique=False
    )
    # The one row whose lock orders the starts of submissions.
    op.execute("INSERT INTO forwarding (id, slow_count) VALUES (1, 0)")
