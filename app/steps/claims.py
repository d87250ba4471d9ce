"""Records a customer's claim as an attempt."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, select

from app.domain.attempts import State
from app.domain.clock import new_id
from app.domain.evidence import Evidence
from app.domain.rules import Repeat, Rule
from app.steps.accounts import locked, one_id_each
from app.steps.awards import ALREADY_AWARDED, earn
from app.steps.intake import new_attempt
from app.steps.ledger import holds, insert_new
from app.steps.locks import lock_customer
from app.steps.proving import event_attempt
from app.steps.transitions import change_state, record_transitions, transition
from app.storage.tables import AttemptRow, IdentityRow
from app.storage.vault import vault_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """The contents of a claim token, the customer's additions, and the rule of the claim."""

    token_id: str
    customer_id: str
    challenge_id: int
    rule: Rule
    email: str | None = None
    mobile: str | None = None
    target: str | None = None
    statement: Mapping[str, Any] | None = None


def by_token(connection: Connection, token_id: str) -> Row[Any] | None:
    """Return the attempt of a claim token; None if the token is unused."""
    statement = select(AttemptRow.__table__).where(AttemptRow.token_id == token_id)
    return connection.execute(statement).one_or_none()


def claim(
    connection: Connection, made: Claim, checking_until: datetime, now: datetime
) -> tuple[str, State]:
    """Record a claim once per token. Return the id and state of its attempt.

    It earns at once if its rule accepts claims as evidence. Otherwise it waits in `checking`.
    """
    # 1. Lock the customer and the customer's accounts.
    attempt_id = new_id(now)
    lock_customer(connection, made.customer_id)
    accounts = _accounts_of(connection, made.rule.platform, made.customer_id)
    # 2. Insert the attempt. For a used token, return its first attempt.
    row = new_attempt(
        vault_of(connection), **_values(made, attempt_id, accounts, checking_until, now)
    )
    # SQLAlchemy keeps no row count of an INSERT on PostgreSQL, so use the returned row.
    insert = insert_new(connection, AttemptRow, AttemptRow.id)
    is_new = connection.execute(insert, row).first() is not None
    attempt = by_token(connection, made.token_id)
    if attempt is None:
        raise LookupError("the claim's attempt is neither new nor known")
    if not is_new:
        return attempt.id, State(attempt.state)
    # 3. Record it. The customer id stays out of the timeline: the attempt has it until an erasure.
    by = "customer"
    record_transitions(
        connection, [transition(attempt_id, None, State.CHECKING, "claimed", by, now)]
    )
    # 4. Decide: duplicate, earned or waiting.
    # With `once`, claim and event have the same occurrence, and the ledger refuses the second one.
    if made.rule.repeat is not Repeat.ONCE and _was_told(connection, attempt, now):
        return attempt_id, State.DUPLICATE
    if Evidence.CLAIMED.suffices_for(made.rule.evidence):
        return attempt_id, earn(
            connection,
            attempt,
            customer_id=made.customer_id,
            reason="the rule believes claims",
            caused_by="rule",
            now=now,
        )
    return attempt_id, _await_proof(connection, attempt, now)


def _values(
    made: Claim, attempt_id: str, accounts: Sequence[str], checking_until: datetime, now: datetime
) -> dict[str, Any]:
    rule = made.rule
    target = rule.target or rule.as_target(made.target)
    return {
        "id": attempt_id,
        "token_id": made.token_id,
        "state": State.CHECKING,
        "reason": "claimed",
        "challenge_id": made.challenge_id,
        "customer_id": made.customer_id,
        "email": made.email,
        "mobile": made.mobile,
        "source": rule.source,
        "platform": rule.platform,
        "action": rule.action,
        # With several accounts it is unknown which one acted.
        "account_id": accounts[0] if len(accounts) == 1 else None,
        "target": target,
        "evidence": Evidence.CLAIMED,
        "occurrence": rule.occurrence_of_claim(made.token_id, target, now),
        "hold_seconds": rule.hold_seconds,
        "bar_after_undo": rule.bar_after_undo,
        "claimed": json.dumps(made.statement, ensure_ascii=False) if made.statement else None,
        "created_at": now,
        "updated_at": now,
        "next_at": checking_until,
    }


def _accounts_of(connection: Connection, platform: str, customer_id: str) -> Sequence[str]:
    """Return one id of each of the customer's accounts.

    The accounts are locked, so an event of one is received before or after this claim, and both
    see each other.
    """
    statement = (
        select(IdentityRow.account_id)
        .where(IdentityRow.platform == platform, IdentityRow.customer_id == customer_id)
        .order_by(IdentityRow.created_at, IdentityRow.account_id)
    )
    linked = [(platform, account_id) for account_id in connection.execute(statement).scalars()]
    accounts = locked(connection, linked).accounts
    return [account_id for _, account_id in one_id_each(accounts, linked)]


def _was_told(connection: Connection, attempt: Row[Any], now: datetime) -> bool:
    """End the claim as a duplicate if the platform reported the action before; return whether.

    A report counts only if no other claim is about it.
    """
    told = event_attempt(connection, attempt, now)
    if told is None:
        return False
    change_state(
        connection,
        attempt.id,
        State.CHECKING,
        State.DUPLICATE,
        reason=f"the platform had reported this action already: attempt {told.id}",
        caused_by="ledger",
        now=now,
        event_attempt_id=told.id,
        occurrence=told.occurrence,
    )
    return True


def _await_proof(connection: Connection, attempt: Row[Any], now: datetime) -> State:
    """Leave the claim in `checking`, or end it as a duplicate if the ledger has its award."""
    if not holds(connection, attempt.challenge_id, attempt.customer_id, attempt.occurrence):
        return State.CHECKING
    change_state(
        connection,
        attempt.id,
        State.CHECKING,
        State.DUPLICATE,
        reason=ALREADY_AWARDED,
        caused_by="ledger",
        now=now,
    )
    return State.DUPLICATE
