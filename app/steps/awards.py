"""Moves an attempt to `due`, `held`, `duplicate` or `refused` by the award ledger."""
# Every event, link and claim takes this path to `due`.

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Row

from app.domain.attempts import State
from app.steps.ledger import Award, earned_state, enter, is_barred
from app.steps.transitions import StateChange, change_state, change_states
from app.storage.jobs import MOST_ITEMS

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
    """Enter the award of a waiting attempt into the ledger and return the new state.

    - `due` or `held`: the award is new.
    - `duplicate`: the ledger already has it.
    - `refused`: the rule bars the account.

    ``changes`` are columns that the proof adds: event, account, evidence, contacts, and the
    values of the rule that the proof fulfils.
    """
    award = _award(attempt, customer_id, changes)
    won = bool(enter(connection, [award], now))
    hold_seconds = changes.get("hold_seconds", attempt.hold_seconds)
    end = _end(connection, award, hold_seconds, reason, now, won=won)
    change_state(
        connection,
        attempt.id,
        State(attempt.state),
        end.to_state,
        reason=end.reason,
        caused_by=caused_by,
        now=now,
        customer_id=customer_id,
        **end.changes,
        **changes,
    )
    return end.to_state


def earn_all(
    connection: Connection,
    attempts: Sequence[Row[Any]],
    changes: Mapping[str, Mapping[str, Any]],
    *,
    customer_id: str,
    reason: str,
    caused_by: str,
    now: datetime,
) -> None:
    """Do the same as `earn` for many attempts of one state, which are locked and oldest first.

    ``changes``: the columns for each attempt id. It takes few statements: an account that waited
    for its link may have thousands of attempts, and SQLite blocks all writers meanwhile.
    """
    for start in range(0, len(attempts), MOST_ITEMS):
        some = attempts[start : start + MOST_ITEMS]
        awards = {one.id: _award(one, customer_id, changes[one.id]) for one in some}
        won = enter(connection, list(awards.values()), now)
        moves = []
        for one in some:
            end = _end(connection, awards[one.id], one.hold_seconds, reason, now, won=one.id in won)
            also = {"customer_id": customer_id, **end.changes, **changes[one.id]}
            moves.append(replace(end, changes=also))
        change_states(connection, State(some[0].state), moves, caused_by, now)


def _award(attempt: Row[Any], customer_id: str, changes: Mapping[str, Any]) -> Award:
    return Award(
        attempt_id=attempt.id,
        challenge_id=attempt.challenge_id,
        customer_id=customer_id,
        platform=attempt.platform,
        account_id=changes.get("account_id", attempt.account_id),
        occurrence=changes.get("occurrence", attempt.occurrence),
        bar_after_undo=changes.get("bar_after_undo", attempt.bar_after_undo),
    )


def _end(
    connection: Connection,
    award: Award,
    hold_seconds: float,
    reason: str,
    now: datetime,
    *,
    won: bool,
) -> StateChange:
    if won:
        next_at = now + timedelta(seconds=hold_seconds)
        return StateChange(
            attempt_id=award.attempt_id,
            to_state=earned_state(hold_seconds),
            reason=reason,
            changes={"next_at": next_at},
        )
    if is_barred(connection, award):
        return StateChange(
            attempt_id=award.attempt_id,
            to_state=State.REFUSED,
            reason=BARRED,
            changes={"next_at": None},
        )
    return StateChange(
        attempt_id=award.attempt_id,
        to_state=State.DUPLICATE,
        reason=ALREADY_AWARDED,
        changes={"next_at": None},
    )
