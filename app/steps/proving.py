"""Matches claims with the platform's events: both for one action are one award."""

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

# A claim and an event further apart than this are two actions. Decision 0020 has the reasons.
ONE_ACTION_WITHIN = timedelta(days=7)
# How far back to search a customer's attempts for the event of a claim. By default an event waits
# as long for its link.
_SEARCHED_BACK = timedelta(days=30)

# The states as SQL text.
PAID_STATES = ", ".join(f"'{state}'" for state in sorted(EARNED))

# Built once each: SQLAlchemy takes as long to prepare a statement as SQLite to run it.
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
# SQLite needs the name of the index. For several customers it would use the one of `event_id` and
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
        # The last change counts, not the event: one that waited for its link is recent.
        AttemptRow.updated_at >= bindparam("since"),
        ~select(_claim.id).where(_claim.event_attempt_id == AttemptRow.id).exists(),
    )
    .order_by(AttemptRow.id.desc())
    .limit(1)
)
_EVENT_ATTEMPT_ON_TARGET = _EVENT_ATTEMPT.where(AttemptRow.target == bindparam("target"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Fulfilment:
    """An event of a linked account that fulfils a rule, with the values of the award.

    ``targets``: the names of the target; the first one is stored.
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
    """The earliest time of a claim that can be the same action as an event of this time."""
    return happened_at - ONE_ACTION_WITHIN


def unproven_claims(
    connection: Connection, customers: Iterable[str], since: datetime
) -> list[Row[Any]]:
    """Return and lock the claims of these customers that no event proves yet, oldest first.

    These are the claims that wait for proof, and those that were earned without proof and were
    made after ``since``.
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
    """Return the unproven claim that an event proves. None: the event earns by itself.

    Claims that have earned come first. Otherwise the event would be paid in addition.
    """
    fitting = [claim for claim in claims if _fits(claim, event)]
    paid = [claim for claim in fitting if claim.state != State.CHECKING]
    if paid:
        held_by = holders_of(connection, _award("", event))
        # If another attempt holds the award, the event is another action than these claims.
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
    """Prove a claim by an event, whose award it then gets; return the claim's new state."""
    known = {
        "event_id": event.event_id,
        "source": event.source,
        "account_id": event.account_id,
        "target": event.targets[0],
        "evidence": Evidence.SIGNED,
        "occurrence": event.occurrence,
        "bar_after_undo": claim.bar_after_undo or event.bar_after_undo,
    }
    # The longer hold applies: a claim under another rule of the challenge must not shorten it.
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
    """Return the newest attempt of an event that was reported before the claim.

    Attempts that belong to another claim do not count. None: nothing is known of the action.
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
    """Exchange a paid claim's award for the event's. False: another attempt has that award."""
    if (claim.occurrence, claim.account_id) == (event.occurrence, event.account_id):
        return True
    release(connection, claim.id)
    # The claim was paid, so no bar applies.
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
