"""What do we remember?"""

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

# Lets an index serve a search for beginnings whatever the server's collation is.
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
# Of `app.storage.hashes`; and what only `app.storage.vault` opens.
Hash = Annotated[str, mapped_column(String(22))]
Secret = Annotated[Sealed, mapped_column(SealedText)]
SecretBytes = Annotated[Sealed, mapped_column(SealedBytes)]
AttemptId = Annotated[str, mapped_column(Uuid(as_uuid=False), ForeignKey("attempts.id"))]


def _partial(name: str, *columns: str, where: str) -> Index:
    """An index of the few rows that are still to be worked on, however long the history is."""
    return Index(name, *columns, sqlite_where=text(where), postgresql_where=text(where))


class Base(DeclarativeBase):
    metadata = MetaData(naming_convention=NAMING)


class EventRow(Base):
    """One normalised social action. The unique key makes an event ours once, for ever.

    That key is a hash: a row outlives what it tells. One that was stripped keeps only what the
    dedup needs. ``fitted`` is the number of challenges that it fitted when it arrived, and
    ``reason`` says why there were none; both are NULL in rows of a version that kept neither.
    ``retold_at``: the latest time at which the platform says that the same was so again, such as a
    post that was hidden and is shown.
    """

    __tablename__ = "events"
    __table_args__ = (
        UniqueConstraint("source", "key_hash", name="uq_events_source_key"),
        Index(None, "source", "received_at"),
        _partial("ix_events_handle_hash", "handle_hash", where="handle_hash IS NOT NULL"),
        _partial("ix_events_actor", "actor", where="actor IS NOT NULL"),
        _partial("ix_events_unmatched", "id", where="reason IS NOT NULL"),
        # What an undoing names, where it comes without the account that acted.
        _partial("ix_events_thing", "source", "thing", where="thing IS NOT NULL"),
        _partial("ix_events_undoes", "source", "undoes", where="undoes IS NOT NULL"),
        # Few events undo something; each new action that minds asks whether one of them does.
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

    ``next_at`` is when its state's own clock strikes: the next submission of a due one, the end
    of a hold, the expiry of a wait; NULL where only a person or an answer can move it. A row with
    ``lease_until`` in the future is in the hands of the worker that holds ``fence``. ``undone_at``
    is when the account took its action back. ``event_attempt_id``: of a claim, the attempt that the
    platform's event of the same action had made before. ``nudged_at``: when it was last to be
    looked at because Gameball sent a webhook; ``told_at``: when that was proof of its reward.
    """

    __tablename__ = "attempts"
    __table_args__ = (
        UniqueConstraint("event_id", "challenge_id"),
        UniqueConstraint("token_id"),
        _partial("ix_attempts_timer", "state", "next_at", where="next_at IS NOT NULL"),
        _partial("ix_attempts_leased", "customer_id", where="lease_until IS NOT NULL"),
        _partial("ix_attempts_unlinked", "platform", "account_id", where="state = 'unlinked'"),
        _partial("ix_attempts_contacts", "id", where=_HAS_CONTACTS),
        # A claim that no event proves yet. What an event made has no token.
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
    """The award ledger. Two constraints, never a look-up, decide that nothing is paid twice.

    Each hash is of the challenge and the occurrence too, so that awards tell neither whose they
    are nor which belong together. They are for ever; the attempt is not.
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
    # Deferred: the ledger decides first, and the attempt is then written as it decided.
    attempt_id: Mapped[str | None] = mapped_column(
        Uuid(as_uuid=False), ForeignKey("attempts.id", deferrable=True, initially="DEFERRED")
    )
    created_at: Mapped[Moment]


class BarRow(Base):
    """An account that undid an action after it was paid for, where the rule bars it from then on.

    By hashes of the challenge and the account; and of the challenge and the customer whose it was,
    for claims that name no account. They are for ever; the attempt is not.
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
        # How many came to an end lately?
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
    """One HTTP call to Gameball. Written before the call; without ``ended_at`` it is in flight.

    The pace is counted from these rows: a call is in the window from its start until the
    window's length after its end, because it reached Gameball somewhere in between.
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

    ``reference`` tells it from the customer's others of the same proof. ``coupon`` is in clear:
    only the version before writes it, and `app.storage.seal_backfill` makes it a ``coupon_code``.
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
    """Reads of Gameball that one worker makes together. They count for the pace of their kind.

    ``until``: the latest time at which one of them may still arrive. It is the worker's lease, and
    the end of the last one once that is known.
    """

    __tablename__ = "reads"
    __table_args__ = (Index(None, "kind", "until"),)

    id: Mapped[Serial]
    kind: Mapped[str] = mapped_column(String(16))
    count: Mapped[int]
    started_at: Mapped[Moment]
    until: Mapped[Moment]


class ReadingRow(Base):
    """One row for each kind of read, whose lock orders them. ``slow_until``: none before."""

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
    """One of the keys under which the ledger may know an account that has several ids.

    ``account_key`` is the same in all rows of one account. ``account_id`` is the id that the
    platform shows for this key; NULL: the account gave it up, and it may be somebody else's.
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
    """An API key: only its digest is kept."""

    __tablename__ = "api_keys"

    id: Mapped[str] = mapped_column(String(16), primary_key=True)
    name: Mapped[Text]
    role: Mapped[str] = mapped_column(String(16))
    digest: Mapped[str] = mapped_column(String(64))
    created_at: Mapped[Moment]
    revoked_at: Mapped[Moment | None]


class BulkJobRow(Base):
    """One act on many attempts. The next slice begins with those older than ``before_id``.

    ``named``: whom the filter ``wanted`` names, until the job is over.
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
    """What a person or a key changed. Triggers refuse UPDATE and DELETE while the door is shut."""

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
    """While it has a row, the log may be changed: for retention, within one transaction."""

    __tablename__ = "audit_door"

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)


class AlertRow(Base):
    """Something that was wrong. The partial key makes each be raised once until it is cleared."""

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
    """A receiver being told that an alert was raised or cleared; until then ``next_at`` is set."""

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
    """When somebody looks again whether anything is wrong: one process at a time."""

    __tablename__ = "alert_watch"

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    next_look_at: Mapped[Moment]


class ForwardingRow(Base):
    """The one pace and the one pause of the Gameball account, over all processes and machines.

    Its lock orders the starts of submissions. ``probe_at``: while paused, when one may try.
    ``worker_seen_at``: when a worker last took up a submission; ``worker_alive_at``: when one last
    looked for any. ``restored_at``: when the database was last restored, to the moment
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
    """What was last seen of a source, apart from its events, by all processes together."""

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
    """How many callbacks of a source were believed and refused in one minute, by all processes."""

    __tablename__ = "source_minutes"

    source: Mapped[str] = mapped_column(String(64), primary_key=True)
    minute: Mapped[datetime] = mapped_column(UtcDateTime, primary_key=True)
    believed: Mapped[int]
    refused: Mapped[int]


class SourceReasonRow(Base):
    """How many events of a source earned nothing for one reason, by all processes together."""

    __tablename__ = "source_reasons"

    source: Mapped[str] = mapped_column(String(64), primary_key=True)
    reason: Mapped[str] = mapped_column(String(100), primary_key=True)
    count: Mapped[int] = mapped_column(BigInteger)
    first_at: Mapped[Moment]
    last_at: Mapped[Moment]


class SourceSecretRow(Base):
    """When a secret of a source last proved a callback. ``mark``: its hash."""

    __tablename__ = "source_secrets"

    source: Mapped[str] = mapped_column(String(64), primary_key=True)
    mark: Mapped[str] = mapped_column(String(22), primary_key=True)
    fitted_at: Mapped[Moment]


class SourceChangeRow(Base):
    """Something that a source's configuration may name by its old id has another one."""

    __tablename__ = "source_changes"

    source: Mapped[str] = mapped_column(String(64), primary_key=True)
    old_id: Mapped[str] = mapped_column(String(255), primary_key=True)
    new_id: Mapped[Text]
    at: Mapped[Moment]


class SubscriptionRow(Base):
    """A platform's promise to tell a source of a topic, for a time.

    ``asked_at``: when one of us last asked for it, which nobody does again at once; ``answer``:
    what went wrong with that.
    """

    __tablename__ = "subscriptions"

    source: Mapped[str] = mapped_column(String(64), primary_key=True)
    topic: Mapped[str] = mapped_column(String(255), primary_key=True)
    granted_at: Mapped[Moment | None]
    lapses_at: Mapped[Moment | None]
    asked_at: Mapped[Moment | None]
    answer: Mapped[Text | None]


class HashKeyRow(Base):
    """The one key of all keyed hashes, made once. Sealed anew when keys are rotated."""

    __tablename__ = "hash_keys"

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    value: Mapped[SecretBytes]
    created_at: Mapped[Moment]


class PurgeRow(Base):
    """Up to which event a kind of data was let go: none of it is left in that one or before."""

    __tablename__ = "purges"

    kind: Mapped[str] = mapped_column(String(16), primary_key=True)
    until_id: Mapped[str] = mapped_column(Uuid(as_uuid=False))


class ErasureRow(Base):
    """A customer who is to be forgotten, and what was. Whom, it forgets itself at the end."""

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
