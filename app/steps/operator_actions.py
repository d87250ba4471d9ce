"""The actions of people on attempts: replay, cancel, lift a bar."""

from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import Connection, Row, delete, exists, select

from app.domain.attempts import CANCELLABLE, REPLAYABLE, State
from app.steps.audit import Change, record
from app.steps.ledger import award_of, enter
from app.steps.transitions import change_state
from app.steps.undo import is_void
from app.steps.withdrawal import withdraw
from app.storage.tables import AttemptRow, AwardRow, BarRow


class NotAllowed(Exception):  # noqa: N818 -- reads as the claim it makes
    """The attempt's state does not allow the action. The text is for the caller."""


class OperatorAction(StrEnum):
    """An action on one attempt or, as a bulk job, on many."""

    REPLAY = "replay"
    CANCEL = "cancel"


# The states in which each action is allowed.
BEGINS_IN: Mapping[OperatorAction, frozenset[State]] = {
    OperatorAction.REPLAY: REPLAYABLE,
    OperatorAction.CANCEL: CANCELLABLE,
}


def replay(connection: Connection, attempt_id: str, caused_by: str, now: datetime) -> State | None:
    """Make a dead, ungranted or unconfirmed attempt due again, with new retries. None: no such.

    Raises `NotAllowed` in other states, if another attempt has the award, if the action was
    undone inside its hold, or if the customer was erased.
    """
    attempt = _locked(connection, attempt_id)
    if attempt is None:
        return None
    _replay(connection, attempt, "replayed by a person", caused_by, now)
    _record(connection, Change.ATTEMPT_REPLAYED, attempt, caused_by, now)
    return State.DUE


def cancel(connection: Connection, attempt_id: str, caused_by: str, now: datetime) -> State | None:
    """Withdraw an attempt that is not paid. None: there is no such attempt. Raises `NotAllowed`.

    Its award is free again unless a submission may have landed.
    """
    attempt = _locked(connection, attempt_id)
    if attempt is None:
        return None
    _cancel(connection, attempt, "cancelled by a person", caused_by, now)
    _record(connection, Change.ATTEMPT_CANCELLED, attempt, caused_by, now)
    return State.WITHDRAWN


def lift_bar(
    connection: Connection, attempt_id: str, caused_by: str, now: datetime
) -> State | None:
    """Let the account of this attempt earn the challenge again. None: there is no such attempt.

    Refused attempts stay refused; only later ones can earn. Raises `NotAllowed` without a bar.
    """
    attempt = _locked(connection, attempt_id)
    if attempt is None:
        return None
    if connection.execute(delete(BarRow).where(BarRow.attempt_id == attempt_id)).rowcount == 0:
        raise NotAllowed("no bar came of this attempt")
    _record(connection, Change.BAR_LIFTED, attempt, caused_by, now)
    return State(attempt.state)


def act_on_each(
    connection: Connection,
    act: OperatorAction,
    attempt_ids: Iterable[str],
    is_meant: Callable[[Row[Any]], bool],
    reason: str,
    caused_by: str,
    now: datetime,
) -> int:
    """Act on those of these attempts that allow it; return their number. The others stay.

    ``is_meant`` checks each attempt after it is locked, because it may have changed since the
    search. This writes timelines only; the caller writes one entry for all to the audit log.
    """
    done = 0
    for attempt_id in attempt_ids:
        attempt = _locked(connection, attempt_id)
        with suppress(NotAllowed):
            if attempt is not None and is_meant(attempt):
                _ACTIONS[act](connection, attempt, reason, caused_by, now)
                done += 1
    return done


def _replay(
    connection: Connection, attempt: Row[Any], reason: str, caused_by: str, now: datetime
) -> None:
    if attempt.state not in REPLAYABLE:
        raise NotAllowed(f"an attempt that is {attempt.state} cannot be replayed")
    if attempt.erased_at is not None:
        raise NotAllowed("the customer was erased")
    if is_void(connection, attempt):
        raise NotAllowed("the action was undone inside its hold")
    _hold_award(connection, attempt, now)
    change_state(
        connection,
        attempt.id,
        State(attempt.state),
        State.DUE,
        reason=reason,
        caused_by=caused_by,
        now=now,
        next_at=now,
        round=attempt.round + 1,
    )


def _cancel(
    connection: Connection, attempt: Row[Any], reason: str, caused_by: str, now: datetime
) -> None:
    if attempt.state not in CANCELLABLE:
        raise NotAllowed(f"an attempt that is {attempt.state} cannot be cancelled")
    if attempt.lease_until is not None:
        raise NotAllowed("a submission is in flight; try again in a moment")
    withdraw(connection, attempt, reason=reason, caused_by=caused_by, now=now)


_ACTIONS: Mapping[OperatorAction, Callable[[Connection, Row[Any], str, str, datetime], None]] = {
    OperatorAction.REPLAY: _replay,
    OperatorAction.CANCEL: _cancel,
}


def _record(
    connection: Connection, change: Change, attempt: Row[Any], by: str, now: datetime
) -> None:
    record(
        connection,
        change,
        by=by,
        now=now,
        subject=attempt.id,
        customer_id=attempt.customer_id,
        challengeId=attempt.challenge_id,
        was=attempt.state,
    )


def _locked(connection: Connection, attempt_id: str) -> Row[Any] | None:
    """Return the attempt, locked: no worker can lease it before the transaction ends."""
    statement = select(AttemptRow.__table__).where(AttemptRow.id == attempt_id)
    return connection.execute(statement.with_for_update()).one_or_none()


def _hold_award(connection: Connection, attempt: Row[Any], now: datetime) -> None:
    held = select(exists().where(AwardRow.attempt_id == attempt.id))
    if connection.execute(held).scalar_one():
        return
    award = award_of(attempt)
    if not enter(connection, [award], now):
        raise NotAllowed("the award ledger already holds this award for another attempt")
