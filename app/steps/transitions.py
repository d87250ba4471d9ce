"""Changes the state of attempts and records each change in the timeline."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, bindparam, update

from app.domain.attempts import State, may_change
from app.storage.bulk import insert_rows
from app.storage.errors import Conflict
from app.storage.tables import AttemptRow, TransitionRow

MAX_REASON = 500
# Built once. Parameters with the names of columns are the values to set.
_CHANGE_STATE = update(AttemptRow).where(
    AttemptRow.id == bindparam("this"), AttemptRow.state == bindparam("expected")
)


class StateChanged(Conflict):
    """The attempt is no longer in the expected state. This attempt was not changed."""


def change_state(
    connection: Connection,
    attempt_id: str,
    from_state: State,
    to_state: State,
    *,
    reason: str,
    caused_by: str,
    now: datetime,
    **changes: Any,
) -> None:
    """Move an attempt by one conditional UPDATE and record the change in its timeline.

    The timer stops unless ``changes`` has ``next_at``. Raises `StateChanged` if the attempt is
    not in ``from_state`` any more, and `ValueError` if the change is not allowed.
    """
    _require_way(from_state, to_state)
    values = _written(to_state, reason, now, changes)
    wanted = {"this": attempt_id, "expected": from_state, **values}
    if connection.execute(_CHANGE_STATE, wanted).rowcount != 1:
        raise StateChanged(attempt_id)
    record_transitions(
        connection, [transition(attempt_id, from_state, to_state, reason, caused_by, now)]
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class StateChange:
    """One of many changes. ``changes`` has the same columns in all of them."""

    attempt_id: str
    to_state: State
    reason: str
    changes: Mapping[str, Any] = field(default_factory=dict)


def change_states(
    connection: Connection,
    from_state: State,
    moves: Sequence[StateChange],
    caused_by: str,
    now: datetime,
) -> None:
    """Do the same as `change_state` for many attempts, in two statements.

    Raises `StateChanged` if one is not in ``from_state``; others may be changed by then.
    """
    if not moves:
        return
    for one in moves:
        _require_way(from_state, one.to_state)
    rows = [
        {
            "this": one.attempt_id,
            "expected": from_state,
            **_written(one.to_state, one.reason, now, one.changes),
        }
        for one in moves
    ]
    if connection.execute(_CHANGE_STATE, rows).rowcount != len(rows):
        raise StateChanged(f"one of {len(rows)}")
    record_transitions(
        connection,
        [
            transition(one.attempt_id, from_state, one.to_state, one.reason, caused_by, now)
            for one in moves
        ],
    )


def _require_way(from_state: State, to_state: State) -> None:
    if not may_change(from_state, to_state):
        raise ValueError(f"an attempt cannot go from {from_state} to {to_state}")


def _written(
    to_state: State, reason: str, now: datetime, changes: Mapping[str, Any]
) -> dict[str, Any]:
    told = {"state": to_state, "reason": reason[:MAX_REASON], "updated_at": now}
    return {"next_at": None, **changes, **told}


def transition(
    attempt_id: str,
    from_state: State | None,
    to_state: State,
    reason: str | None,
    caused_by: str,
    now: datetime,
) -> dict[str, Any]:
    """Return the row of a timeline entry. A long reason is cut."""
    return {
        "attempt_id": attempt_id,
        "at": now,
        "from_state": from_state,
        "to_state": to_state,
        "reason": reason and reason[:MAX_REASON],
        "caused_by": caused_by[:200],
    }


def record_transitions(connection: Connection, transitions: Iterable[Mapping[str, Any]]) -> None:
    """Insert timeline entries."""
    insert_rows(connection, TransitionRow, list(transitions))
