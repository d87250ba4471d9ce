"""What does a verified event, a link or a claim make of an attempt? The one path to `due`."""

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Row

from app.domain.attempts import State
from app.steps.ledger import Award, earned_state, enter, is_barred
from app.steps.moves import move

ALREADY_AWARDED = "the award ledger already holds this award"
BARRED = "barred: the account undid this action after it was paid for"


def earn(
    connection: Connection,
    attempt: Row[Any],
    *,
    customer_id: str,
    reason: str,
    caused_by: str,
    now: datetime,
    **changes: Any,
) -> State:
    """Move a waiting attempt to `due` or `held`, or to `duplicate` when it was awarded before, or
    to `refused` when its rule bars the account.

    ``changes`` are what the proof taught us about it: its event, account, evidence, contacts, and
    what the rule asks for that the proof fulfils.
    """
    hold_seconds = changes.get("hold_seconds", attempt.hold_seconds)
    award = Award(
        attempt.id,
        attempt.challenge_id,
        customer_id,
        attempt.platform,
        changes.get("account_id", attempt.account_id),
        changes.get("occurrence", attempt.occurrence),
        changes.get("bar_after_undo", attempt.bar_after_undo),
    )
    won = bool(enter(connection, [award], now))
    to_state, told = earned_state(hold_seconds), reason
    if not won:
        is_out = is_barred(connection, award)
        to_state, told = (State.REFUSED, BARRED) if is_out else (State.DUPLICATE, ALREADY_AWARDED)
    move(
        connection,
        attempt.id,
        State(attempt.state),
        to_state,
        reason=told,
        caused_by=caused_by,
        now=now,
        customer_id=customer_id,
        next_at=now + timedelta(seconds=hold_seconds) if won else None,
        **changes,
    )
    return to_state
