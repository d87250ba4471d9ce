"""The tables, as SQLAlchemy models."""

from datetime import datetime
from typing import TYPE_CHECKING, Annotated

from sqlalchemy import (
    BigInteger,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    UniqueConstraint,
    Uuid,
    false,
    text,
)

from app.domain.attempts import OUTCOMES, State
from app.storage.types import Sealed, SealedBytes, SealedText, UtcDateTime

if TYPE_CHECKING:
    from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
    from sqlalchemy.orm import aliased as aliased
else:
    from app.storage.declared import DeclarativeBase, Mapped, mapped_column
    from app.storage.declared import aliased as aliased

NAMING = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    "pk": "pk_%(table_name)s",
}

# Lets an index serve prefix searches whatever the server's collation is.
PREFIX = "varchar_pattern_ops"

# Literal, as an index's condition must be.
_ENDS = ", ".join(f"'{state}'" for state in sorted({State.DEAD, *OUTCOMES}))
_HAS_CONTACTS = "email IS NOT NULL OR mobile IS NOT NULL OR claimed IS NOT NULL"

Id = Annotated[str, mapped_column(Uuid(as_uuid=False), primary_key=True)]
Serial = Annotated[
    int, mapped_column(BigInteger().with_variant(Integer, "sqlite"), primary_key=True)
]
Word = Annotated[str, mapped_column(String(64))]
Text = Annotated[str, mapped_column(String(255))]
Moment = Annotated[datetime, mapped_column(UtcDateTime)]
# A hash by `app.storage.hashes`; and values that only `app.storage.vault` opens.
Hash = Annotated[str, mapped_column(String(22))]
Secret = Annotated[Sealed, mapped_column(SealedText)]
SecretBytes = Annotated[Sealed, mapped_column(SealedBytes)]
AttemptId = Annotated[str, mapped_column(Uuid(as_uuid=False), ForeignKey("attempts.id"))]


def _partial(name: str, *columns: str, where: str) -> Index:
    """Return a partial index of the few rows that still need work, however long the history is."""
    return Index(name, *columns, sqlite_where=text(where), postgresql_where=text(where))


class Base(DeclarativeBase):
    metadata = MetaData(naming_convention=NAMING)


class EventRow(Base):
    """One normalised social action. The unique key stores each event once, for ever.

    That key is a hash, because the row stays after its content is deleted: a stripped row keeps
    only what the dedup needs. ``fitted`` is the number of challenges that it matched when it
    arrived, and ``reason`` says why there were none; both are NULL in rows of older versions.
    ``retold_at``: the latest time at which the platform reported the same action again, such as a
    hidden post that is shown again.
    """

    __tablename__ = "events"
    __table_args__ = (
        UniqueConstraint("source", "key_hash", name="uq_events_source_key"),
        Index(None, "source", "received_at"),
        _partial("ix_events_handle_hash", "handle_hash", where="handle_hash IS NOT NULL"),
        _partial("ix_events_actor", "actor", where="actor IS NOT NULL"),
        _partial("ix_events_unmatched", "id", where="reason IS NOT NULL"),
        # The thing that an undoing names, where it names no actor.
        _partial("ix_events_thing", "source", "thing", where="thing IS NOT NULL"),
        _partial("ix_events_undoes", "source", "undoes", where="undoes IS NOT NULL"),
        # Few events undo something; each new action checks whether one of them undoes it.
        Index(
            "ix_events_undone",
            "actor",
            "platform",
            sqlite_where=text("undone = 1"),
            postgresql_where=text("undone"),
        ),
    )

    id: Mapped[Id]
    source: Mapped[Word]
    key_hash: Mapped[Text]
    key: Mapped[Text | None]
    platform: Mapped[Word]
    action: Mapped[Word]
    undone: Mapped[bool]
    undoes: Mapped[Text | None]
    actor: Mapped[Text | None]
    actor_handle: Mapped[Secret | None]
    handle_hash: Mapped[Hash | None]
    target: Mapped[Text | None]
    thing: Mapped[Text | None]
    occurred_at: Mapped[Moment]
    retold_at: Mapped[Moment | None]
    received_at: Mapped[Moment]
    payload: Mapped[SecretBytes | None]
    fitted: Mapped[int | None]
    reason: Mapped[str | None] = mapped_column(String(100))


class AttemptRow(Base):
    """A customer's attempt at a challenge: one row of the history, and the single truth.

    ``next_at`` is when the timer of its state expires: the next submission of a due attempt, the
    end of a hold, the expiry of a wait; NULL where only a person or an answer can change it. A row
    with ``lease_until`` in the future belongs to the worker that holds ``fence``. ``undone_at`` is
    when the account took its action back. ``event_attempt_id``: for a claim, the attempt that the
    platform's event of the same action had made before. ``nudged_at``: when Gameball's webhook last
    asked for a lookup; ``told_at``: when that webhook proved its reward.
    """

    __tablename__ = "attempts"
    __table_args__ = (
        UniqueConstraint("event_id", "challenge_id"),
        UniqueConstraint("token_id"),
        _partial("ix_attempts_timer", "state", "next_at", where="next_at IS NOT NULL"),
        _partial("ix_attempts_leased", "customer_id", where="lease_until IS NOT NULL"),
        _partial("ix_attempts_unlinked", "platform", "account_id", where="state = 'unlinked'"),
        _partial("ix_attempts_contacts", "id", where=_HAS_CONTACTS),
        # A claim without a proving event. Attempts made by events have no token.
        _partial(
            "ix_attempts_unproven",
            "customer_id",
            where="token_id IS NOT NULL AND event_id IS NULL",
        ),
        Index(
            "uq_attempts_event_attempt_id",
            "event_attempt_id",
            unique=True,
            sqlite_where=text("event_attempt_id IS NOT NULL"),
            postgresql_where=text("event_attempt_id IS NOT NULL"),
        ),
        Index(None, "customer_id", "challenge_id", "id", postgresql_ops={"customer_id": PREFIX}),
        Index(None, "account_id", "id", postgresql_ops={"account_id": PREFIX}),
        Index(None, "state", "id"),
        _partial("ix_attempts_undone", "id", where="undone_at IS NOT NULL"),
    )

    id: Mapped[Id]
    event_id: Mapped[str | None] = mapped_column(Uuid(as_uuid=False), ForeignKey("events.id"))
    token_id: Mapped[str | None] = mapped_column(Uuid(as_uuid=False))
    event_attempt_id: Mapped[str | None] = mapped_column(Uuid(as_uuid=False))
    state: Mapped[str] = mapped_column(String(16))
    reason: Mapped[str | None] = mapped_column(String(500))
    challenge_id: Mapped[int]
    customer_id: Mapped[str | None] = mapped_column(String(100))
    email: Mapped[Secret | None]
    mobile: Mapped[Secret | None]
    source: Mapped[Word | None]
    platform: Mapped[Word]
    action: Mapped[Word]
    account_id: Mapped[Text | None]
    target: Mapped[Text | None]
    evidence: Mapped[str] = mapped_column(String(16))
    occurrence: Mapped[str] = mapped_column(String(300))
    hold_seconds: Mapped[float]
    bar_after_undo: Mapped[bool] = mapped_column(server_default=false())
    undone_at: Mapped[Moment | None]
    claimed: Mapped[Secret | None]
    erased_at: Mapped[Moment | None]
    created_at: Mapped[Moment]
    updated_at: Mapped[Moment]
    next_at: Mapped[Moment | None]
    lease_until: Mapped[Moment | None]
    fence: Mapped[int]
    round: Mapped[int]
    nudged_at: Mapped[Moment | None]
    told_at: Mapped[Moment | None]


class AwardRow(Base):
    """The award ledger. Two constraints, never a lookup, ensure that nothing is paid twice.

    Each hash includes the challenge and the occurrence, so that awards reveal neither their owner
    nor which belong together. They are kept for ever, unlike attempts.
    """

    __tablename__ = "awards"
    __table_args__ = (
        UniqueConstraint("customer_hash"),
        UniqueConstraint("account_hash"),
        UniqueConstraint("attempt_id"),
    )

    id: Mapped[Serial]
    challenge_id: Mapped[int]
    customer_hash: Mapped[Hash]
    account_hash: Mapped[Hash | None]
    # Deferred: the ledger decides first, and the attempt is then written with its decision.
    attempt_id: Mapped[str | None] = mapped_column(
        Uuid(as_uuid=False), ForeignKey("attempts.id", deferrable=True, initially="DEFERRED")
    )
    created_at: Mapped[Moment]


class BarRow(Base):
    """An account that undid a paid action, where the rule bars it from then on.

    Kept as hashes of the challenge and the account; and of the challenge and the account's
    customer, for claims that name no account. They are kept for ever, unlike attempts.
    """

    __tablename__ = "bars"
    __table_args__ = (
        UniqueConstraint("account_hash"),
        Index(None, "customer_hash"),
    )

    id: Mapped[Serial]
    challenge_id: Mapped[int]
    platform: Mapped[Word]
    account_hash: Mapped[Hash]
    customer_hash: Mapped[Hash]
    attempt_id: Mapped[AttemptId | None]
    created_at: Mapped[Moment]


class TransitionRow(Base):
    """One change of an attempt's state: when, why, and who or what caused it."""

    __tablename__ = "transitions"
    __table_args__ = (
        Index(None, "attempt_id", "id"),
        # For the number of attempts that ended lately.
        _partial(
            "ix_transitions_ended",
            "at",
            "to_state",
            "from_state",
            where=f"to_state IN ({_ENDS})",
        ),
    )

    id: Mapped[Serial]
    attempt_id: Mapped[AttemptId]
    at: Mapped[Moment]
    from_state: Mapped[str | None] = mapped_column(String(16))
    to_state: Mapped[str] = mapped_column(String(16))
    reason: Mapped[str | None] = mapped_column(String(500))
    caused_by: Mapped[str] = mapped_column(String(200))


class SubmissionRow(Base):
    """One HTTP call to Gameball, written before the call; in flight until ``ended_at`` is set.

    The rate limit counts these rows: a call counts from its start until the window's length after
    its end, because it reached Gameball somewhere in between.
    """

    __tablename__ = "submissions"
    __table_args__ = (
        Index(None, "attempt_id", "id"),
        Index(None, "ended_at"),
        _partial("ix_submissions_in_flight", "started_at", where="ended_at IS NULL"),
    )

    id: Mapped[Serial]
    attempt_id: Mapped[AttemptId]
    fence: Mapped[int]
    round: Mapped[int]
    worker: Mapped[str] = mapped_column(String(200))
    started_at: Mapped[Moment]
    ended_at: Mapped[Moment | None]
    outcome: Mapped[str | None] = mapped_column(String(20))
    resolved: Mapped[bool]
    status: Mapped[int | None]
    code: Mapped[int | None]
    message: Mapped[str | None] = mapped_column(String(500))
    request_id: Mapped[Text | None]


class BaselineRow(Base):
    """How often the customer had achieved the challenge before the attempt was submitted."""

    __tablename__ = "baselines"

    attempt_id: Mapped[str] = mapped_column(
        Uuid(as_uuid=False), ForeignKey("attempts.id"), primary_key=True
    )
    achieved: Mapped[int]
    read_at: Mapped[Moment]


class GrantRow(Base):
    """One reward that Gameball shows, credited to one attempt and to no other.

    ``reference`` distinguishes it from the customer's other rewards of the same proof. ``coupon``
    is in clear: only the version before writes it, and `app.storage.seal_backfill` moves it to
    ``coupon_code``.
    """

    __tablename__ = "grants"
    __table_args__ = (
        UniqueConstraint("customer_id", "proof", "reference"),
        _partial("ix_grants_unsealed", "attempt_id", where="coupon IS NOT NULL"),
    )

    attempt_id: Mapped[str] = mapped_column(
        Uuid(as_uuid=False), ForeignKey("attempts.id"), primary_key=True
    )
    customer_id: Mapped[str] = mapped_column(String(100))
    proof: Mapped[str] = mapped_column(String(16))
    reference: Mapped[str] = mapped_column(String(120))
    granted_at: Mapped[Moment | None]
    points: Mapped[float | None]
    coupon: Mapped[Text | None]
    coupon_code: Mapped[Secret | None]
    seen_at: Mapped[Moment]


class ReadRow(Base):
    """Reads of Gameball by one worker. They count for the rate limit of their kind.

    ``until``: the latest time at which one of them may still arrive. It is the end of the worker's
    lease, and the end of the last read once that is known.
    """

    __tablename__ = "reads"
    __table_args__ = (Index(None, "kind", "until"),)

    id: Mapped[Serial]
    kind: Mapped[str] = mapped_column(String(16))
    count: Mapped[int]
    started_at: Mapped[Moment]
    until: Mapped[Moment]


class ReadingRow(Base):
    """One row for each kind of read, whose lock orders them. No reads before ``slow_until``."""

    __tablename__ = "reading"

    kind: Mapped[str] = mapped_column(String(16), primary_key=True)
    slow_until: Mapped[Moment | None]
    slow_count: Mapped[int]


class IdentityRow(Base):
    """The link between a platform account and a customer."""

    __tablename__ = "identities"
    __table_args__ = (Index(None, "customer_id", "platform"),)

    platform: Mapped[str] = mapped_column(String(64), primary_key=True)
    account_id: Mapped[str] = mapped_column(String(255), primary_key=True)
    customer_id: Mapped[str] = mapped_column(String(100))
    handle: Mapped[Secret | None]
    email: Mapped[Secret | None]
    mobile: Mapped[Secret | None]
    created_at: Mapped[Moment]
    updated_at: Mapped[Moment]


class AccountKeyRow(Base):
    """One of the ledger's keys for an account that has several ids.

    ``account_key`` is the same in all rows of one account. ``account_id`` is the id that the
    platform shows for this key; NULL when the account gave it up, and it may now belong to another.
    An account with a single id has no row: that id is its key.
    """

    __tablename__ = "account_keys"
    __table_args__ = (
        UniqueConstraint("platform", "key"),
        UniqueConstraint("platform", "account_id"),
        Index(None, "platform", "account_key"),
    )

    id: Mapped[Serial]
    platform: Mapped[Word]
    key: Mapped[str] = mapped_column(String(300))
    account_key: Mapped[str] = mapped_column(String(300))
    account_id: Mapped[Text | None]
    known_at: Mapped[Moment]


class KeyRow(Base):
    """An API key. Only its digest is stored."""

    __tablename__ = "api_keys"

    id: Mapped[str] = mapped_column(String(16), primary_key=True)
    name: Mapped[Text]
    role: Mapped[str] = mapped_column(String(16))
    digest: Mapped[str] = mapped_column(String(64))
    created_at: Mapped[Moment]
    revoked_at: Mapped[Moment | None]


class BulkJobRow(Base):
    """An operator's action on many attempts. The next slice begins below ``before_id``.

    ``named``: the customer that the filter ``wanted`` names, until the job is over.
    """

    __tablename__ = "bulk_jobs"
    __table_args__ = (_partial("ix_bulk_jobs_running", "id", where="ended_at IS NULL"),)

    id: Mapped[Id]
    act: Mapped[str] = mapped_column(String(16))
    wanted: Mapped[str] = mapped_column(String(4_000))
    named: Mapped[Secret | None]
    caused_by: Mapped[str] = mapped_column(String(200))
    created_at: Mapped[Moment]
    before_id: Mapped[str] = mapped_column(Uuid(as_uuid=False))
    matched: Mapped[int]
    visited: Mapped[int]
    done: Mapped[int]
    stopped: Mapped[bool]
    ended_at: Mapped[Moment | None]


class AuditRow(Base):
    """A change by a person or a key. Triggers refuse UPDATE and DELETE unless `AuditDoorRow` has a
    row.
    """

    __tablename__ = "audit"
    __table_args__ = (
        Index(None, "subject", "id"),
        Index(None, "customer_id", "id"),
        Index(None, "at"),
    )

    id: Mapped[Serial]
    at: Mapped[Moment]
    caused_by: Mapped[str] = mapped_column(String(200))
    change: Mapped[Word]
    subject: Mapped[str | None] = mapped_column(String(330))
    customer_id: Mapped[str | None] = mapped_column(String(100))
    details: Mapped[str | None] = mapped_column(String(4_000))


class AuditDoorRow(Base):
    """While it has a row, retention may change the audit log, within one transaction."""

    __tablename__ = "audit_door"

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)


class AlertRow(Base):
    """A condition that was alerted. The partial key raises each once until it is cleared."""

    __tablename__ = "alerts"
    __table_args__ = (
        Index(
            "uq_alerts_open",
            "kind",
            "subject",
            unique=True,
            sqlite_where=text("cleared_at IS NULL"),
            postgresql_where=text("cleared_at IS NULL"),
        ),
    )

    id: Mapped[Serial]
    kind: Mapped[Word]
    subject: Mapped[Word]
    text: Mapped[str] = mapped_column(String(500))
    raised_at: Mapped[Moment]
    cleared_at: Mapped[Moment | None]


class NoticeRow(Base):
    """A notification of one receiver about an alert. ``next_at`` is set until it is sent."""

    __tablename__ = "alert_notices"
    __table_args__ = (_partial("ix_alert_notices_waiting", "next_at", where="next_at IS NOT NULL"),)

    id: Mapped[Id]
    alert_id: Mapped[int] = mapped_column(ForeignKey("alerts.id"))
    what: Mapped[str] = mapped_column(String(16))
    receiver: Mapped[Word]
    made_at: Mapped[Moment]
    next_at: Mapped[Moment | None]
    tries: Mapped[int]
    sent_at: Mapped[Moment | None]
    problem: Mapped[str | None] = mapped_column(String(200))


class AlertWatchRow(Base):
    """When the next check for alerts is due. Only one process checks at a time."""

    __tablename__ = "alert_watch"

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    next_look_at: Mapped[Moment]


class ForwardingRow(Base):
    """The rate limit and the pause of the Gameball account, common to all processes.

    Its lock orders the starts of submissions. ``probe_at``: when one submission may try during a
    pause. ``worker_seen_at``: when a worker last took up a submission; ``worker_alive_at``: when
    one last looked for any. ``restored_at``: when the database was last restored, to the moment
    ``restored_to``.
    """

    __tablename__ = "forwarding"

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    paused_at: Mapped[Moment | None]
    pause_reason: Mapped[str | None] = mapped_column(String(500))
    probe_at: Mapped[Moment | None]
    slow_until: Mapped[Moment | None]
    slow_count: Mapped[int]
    worker_seen_at: Mapped[Moment | None]
    worker_alive_at: Mapped[Moment | None]
    restored_at: Mapped[Moment | None]
    restored_to: Mapped[Moment | None]


class SourceRow(Base):
    """What was last seen of a source, apart from its events, by any process."""

    __tablename__ = "sources"

    source: Mapped[str] = mapped_column(String(64), primary_key=True)
    callback_at: Mapped[Moment | None]
    handshake_at: Mapped[Moment | None]
    refused_at: Mapped[Moment | None]
    refusal_kind: Mapped[str | None] = mapped_column(String(16))
    refusal_reason: Mapped[Text | None]
    refusals_in_a_row: Mapped[int]
    notice_at: Mapped[Moment | None]
    notice: Mapped[Text | None]


class SourceMinuteRow(Base):
    """How many callbacks of a source were accepted and refused in a minute, over all processes."""

    __tablename__ = "source_minutes"

    source: Mapped[str] = mapped_column(String(64), primary_key=True)
    minute: Mapped[datetime] = mapped_column(UtcDateTime, primary_key=True)
    believed: Mapped[int]
    refused: Mapped[int]


class SourceReasonRow(Base):
    """How many events of a source earned nothing for one reason, over all processes."""

    __tablename__ = "source_reasons"

    source: Mapped[str] = mapped_column(String(64), primary_key=True)
    reason: Mapped[str] = mapped_column(String(100), primary_key=True)
    count: Mapped[int] = mapped_column(BigInteger)
    first_at: Mapped[Moment]
    last_at: Mapped[Moment]


class SourceSecretRow(Base):
    """When a secret of a source last verified a callback. ``mark``: its hash."""

    __tablename__ = "source_secrets"

    source: Mapped[str] = mapped_column(String(64), primary_key=True)
    mark: Mapped[str] = mapped_column(String(22), primary_key=True)
    fitted_at: Mapped[Moment]


class SourceChangeRow(Base):
    """An object that a source's configuration may name by its old id now has a new one."""

    __tablename__ = "source_changes"

    source: Mapped[str] = mapped_column(String(64), primary_key=True)
    old_id: Mapped[str] = mapped_column(String(255), primary_key=True)
    new_id: Mapped[Text]
    at: Mapped[Moment]


class SubscriptionRow(Base):
    """A platform's promise to send a topic to a source, for a time.

    ``asked_at``: when a process last requested it, so that no other does so at once; ``answer``:
    why that request failed.
    """

    __tablename__ = "subscriptions"

    source: Mapped[str] = mapped_column(String(64), primary_key=True)
    topic: Mapped[str] = mapped_column(String(255), primary_key=True)
    granted_at: Mapped[Moment | None]
    lapses_at: Mapped[Moment | None]
    asked_at: Mapped[Moment | None]
    answer: Mapped[Text | None]


class HashKeyRow(Base):
    """The root key of all keyed hashes, made once and sealed again when keys are rotated."""

    __tablename__ = "hash_keys"

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    value: Mapped[SecretBytes]
    created_at: Mapped[Moment]


class PurgeRow(Base):
    """The newest event that was purged of a kind of data; older ones have none of it either."""

    __tablename__ = "purges"

    kind: Mapped[str] = mapped_column(String(16), primary_key=True)
    until_id: Mapped[str] = mapped_column(Uuid(as_uuid=False))


class ErasureRow(Base):
    """The erasure of a customer, and what it removed. It clears the customer's id at its end."""

    __tablename__ = "erasures"
    __table_args__ = (
        Index(None, "customer_hash"),
        _partial("ix_erasures_running", "id", where="completed_at IS NULL"),
    )

    id: Mapped[Id]
    customer_hash: Mapped[Hash]
    customer_id: Mapped[Secret | None]
    caused_by: Mapped[str] = mapped_column(String(200))
    requested_at: Mapped[Moment]
    completed_at: Mapped[Moment | None]
    attempts: Mapped[int]
    events: Mapped[int]
    identities: Mapped[int]


def table_of(kind: type[Base]) -> Table:
    return kind.metadata.tables[kind.__tablename__]


EVENTS, ATTEMPTS = table_of(EventRow), table_of(AttemptRow)
IDENTITIES, HASH_KEYS = table_of(IdentityRow), table_of(HashKeyRow)
ERASURES, GRANTS = table_of(ErasureRow), table_of(GrantRow)
BULK_JOBS = table_of(BulkJobRow)
