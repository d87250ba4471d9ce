"""Which claim does a platform's event prove? One action, claimed and told, is one award."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Executable, Row, bindparam, or_, select, text, update

from app.domain.attempts import EARNED, State
from app.domain.clock import least_id
from app.domain.evidence import Evidence
from app.steps.awards import earn
from app.steps.holders import holders_of
from app.steps.ledger import Award, award_of, enter, release
from app.steps.transitions import record_transitions, transition
from app.storage.tables import AttemptRow, aliased
from app.storage.types import UtcDateTime

# A claim and an event that are further apart are two actions. Decision 0020 has the reasons.
ONE_ACTION_WITHIN = timedelta(days=7)
# How far back the attempts of a customer are searched for the event that a claim is about: as
# long as an event waits to be linked by default.
_SEARCHED_BACK = timedelta(days=30)

# Their states as SQL writes them.
PAID_STATES = ", ".join(f"'{state}'" for state in sorted(EARNED))

# Made once each: SQLAlchemy takes as long to prepare a statement as SQLite to run it.
_UNPROVEN = (
    select(AttemptRow.__table__)
    .where(
        AttemptRow.customer_id.in_(bindparam("customers", expanding=True)),
        AttemptRow.token_id.is_not(None),
        AttemptRow.event_id.is_(None),
        or_(
            AttemptRow.state == State.CHECKING,
            AttemptRow.state.in_(EARNED) & (AttemptRow.created_at >= bindparam("since")),
        ),
    )
    .order_by(AttemptRow.id)
    .with_for_update()
)
# SQLite has to be told the index. For several customers it would take the one of `event_id`, and
# read every claim that was ever made.
_UNPROVEN_ON_SQLITE = (
    text(
        f"SELECT {', '.join(AttemptRow.__table__.columns.keys())}"  # noqa: S608 -- words of ours
        " FROM attempts INDEXED BY ix_attempts_unproven"
        " WHERE customer_id IN (SELECT value FROM json_each(:customers))"
        " AND token_id IS NOT NULL AND event_id IS NULL"
        f" AND (state = '{State.CHECKING}' OR (created_at >= :since"
        f" AND state IN ({PAID_STATES})))"
        " ORDER BY id"
    )
    .bindparams(bindparam("since", type_=UtcDateTime))
    .columns(*AttemptRow.__table__.columns)
)
_PROVEN = update(AttemptRow).where(AttemptRow.id == bindparam("this"))
_claim = aliased(AttemptRow)
_EVENT_ATTEMPT = (
    select(AttemptRow.id, AttemptRow.occurrence)
    .where(
        AttemptRow.customer_id == bindparam("customer"),
        AttemptRow.challenge_id == bindparam("challenge"),
        AttemptRow.id >= bindparam("searched_since"),
        AttemptRow.platform == bindparam("platform"),
        AttemptRow.action == bindparam("action"),
        AttemptRow.event_id.is_not(None),
        AttemptRow.token_id.is_(None),
        AttemptRow.undone_at.is_(None),
        AttemptRow.state.in_((*EARNED, State.DUPLICATE)),
        # Later than the event: one that waited to be linked is taken for new.
        AttemptRow.updated_at >= bindparam("since"),
        ~select(_claim.id).where(_claim.event_attempt_id == AttemptRow.id).exists(),
    )
    .order_by(AttemptRow.id.desc())
    .limit(1)
)
_EVENT_ATTEMPT_ON_TARGET = _EVENT_ATTEMPT.where(AttemptRow.target == bindparam("target"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Fulfilment:
    """An event of a linked account that fulfils a rule: what it proves, and what it is worth.

    ``targets``: the names of its target, the first of them the one to keep.
    """

    event_id: str
    customer_id: str
    challenge_id: int
    source: str
    platform: str
    action: str
    account_id: str | None
    targets: tuple[str | None, ...]
    happened_at: datetime
    occurrence: str
    hold_seconds: float
    bar_after_undo: bool


def claims_since(happened_at: datetime) -> datetime:
    """Since when a claim must have been made to be one action with an event of this time."""
    return happened_at - ONE_ACTION_WITHIN


def unproven_claims(
    connection: Connection, customers: Iterable[str], since: datetime
) -> list[Row[Any]]:
    """The claims of these customers that no event proves yet, oldest first.

    Those that wait for a proof, and those since that time that were paid without one. Nobody else
    changes them before this transaction ends.
    """
    wanted = list(customers)
    if not wanted:
        return []
    if connection.dialect.name == "sqlite":
        known = {"customers": json.dumps(wanted), "since": since}
        return list(connection.execute(_UNPROVEN_ON_SQLITE, known))
    return list(connection.execute(_UNPROVEN, {"customers": wanted, "since": since}))


def proven_by(
    connection: Connection, claims: Sequence[Row[Any]], event: Fulfilment
) -> Row[Any] | None:
    """The claim that an event proves, of the unproven ones; None: it earns by itself.

    A claim that was paid comes first, or the event would be paid beside it.
    """
    fitting = [claim for claim in claims if _fits(claim, event)]
    paid = [claim for claim in fitting if claim.state != State.CHECKING]
    if paid:
        held_by = holders_of(connection, _award("", event))
        # An award that another has is for another action than these claims.
        free = [claim for claim in paid if held_by <= {claim.id}]
        if free:
            return min(free, key=lambda claim: (claim.id not in held_by, claim.target is None))
    return next((claim for claim in fitting if claim.state == State.CHECKING), None)


def confirm(
    connection: Connection,
    claim: Row[Any],
    event: Fulfilment,
    *,
    reason: str,
    caused_by: str,
    now: datetime,
) -> State:
    """Let an event prove a claim, which then has the event's award; the claim's state then."""
    known = {
        "event_id": event.event_id,
        "source": event.source,
        "account_id": event.account_id,
        "target": event.targets[0],
        "evidence": Evidence.SIGNED,
        "occurrence": event.occurrence,
        "bar_after_undo": claim.bar_after_undo or event.bar_after_undo,
    }
    # Nobody shortens a rule's hold by claiming under another of the same challenge.
    hold_seconds = max(claim.hold_seconds, event.hold_seconds)
    state = State(claim.state)
    if state is State.CHECKING:
        return earn(
            connection,
            claim,
            customer_id=event.customer_id,
            reason=reason,
            caused_by=caused_by,
            now=now,
            hold_seconds=hold_seconds,
            **known,
        )
    if state is State.HELD:
        longer = timedelta(seconds=hold_seconds - claim.hold_seconds)
        known |= {"hold_seconds": hold_seconds, "next_at": claim.next_at + longer}
    if not _exchange_award(connection, claim, event, now):
        known["occurrence"] = claim.occurrence
    connection.execute(_PROVEN, {"this": claim.id, "updated_at": now, **known})
    record_transitions(connection, [transition(claim.id, state, state, reason, caused_by, now)])
    return state


def event_attempt(connection: Connection, claim: Row[Any], now: datetime) -> Row[Any] | None:
    """The attempt of an event that the platform told of before the claim, and that no other claim
    is about; the newest. None: the claim is about an action that we know nothing of.
    """
    known = {
        "customer": claim.customer_id,
        "challenge": claim.challenge_id,
        "platform": claim.platform,
        "action": claim.action,
        "since": now - ONE_ACTION_WITHIN,
        "searched_since": least_id(now - _SEARCHED_BACK),
    }
    statement: Executable = _EVENT_ATTEMPT
    if claim.target is not None:
        statement, known["target"] = _EVENT_ATTEMPT_ON_TARGET, claim.target
    return connection.execute(statement, known).one_or_none()


def _fits(claim: Row[Any], event: Fulfilment) -> bool:
    is_about = (
        claim.customer_id == event.customer_id
        and claim.challenge_id == event.challenge_id
        and (claim.platform, claim.action) == (event.platform, event.action)
        and (claim.target is None or claim.target in event.targets)
    )
    if not is_about or claim.state == State.CHECKING:
        return is_about
    is_undone_before = claim.undone_at is not None and claim.undone_at < event.happened_at
    return claim.created_at >= claims_since(event.happened_at) and not is_undone_before


def _exchange_award(
    connection: Connection, claim: Row[Any], event: Fulfilment, now: datetime
) -> bool:
    """Give a paid claim the event's award for its own; False: another took that meanwhile."""
    if (claim.occurrence, claim.account_id) == (event.occurrence, event.account_id):
        return True
    release(connection, claim.id)
    # No bar may keep it out: it was paid.
    if enter(connection, [_award(claim.id, event)], now):
        return True
    own = award_of(claim)
    enter(connection, [own], now)
    return False


def _award(attempt_id: str, event: Fulfilment) -> Award:
    return Award(
        attempt_id=attempt_id,
        challenge_id=event.challenge_id,
        customer_id=event.customer_id,
        platform=event.platform,
        account_id=event.account_id,
        occurrence=event.occurrence,
    )
