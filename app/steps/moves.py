"""How does an attempt change its state, and how is that remembered?"""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, bindparam, update

from app.domain.attempts import State, may_move
from app.storage.bulk import insert_rows
from app.storage.errors import Overtaken
from app.storage.tables import AttemptRow, TransitionRow

MAX_REASON = 500
# Made once. What is set are the parameters that are named like columns.
_MOVE = update(AttemptRow).where(
    AttemptRow.id == bindparam("this"), AttemptRow.state == bindparam("expected")
)


class Moved(Overtaken):
    """The attempt is no longer in the state it was thought to be in; nothing was changed."""


def move(
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
    """Move an attempt by one conditional UPDATE and write the change into its timeline.

    Its clock stops unless ``next_at`` is among ``changes``. Raises `Moved` when somebody else
    moved it first.
    """
    if not may_move(from_state, to_state):
        raise ValueError(f"an attempt cannot go from {from_state} to {to_state}")
    values: dict[str, Any] = {"next_at": None, **changes}
    values.update(state=to_state, reason=reason[:MAX_REASON], updated_at=now)
    wanted = {"this": attempt_id, "expected": from_state, **values}
    if connection.execute(_MOVE, wanted).rowcount != 1:
        raise Moved(attempt_id)
    remember(connection, [transition(attempt_id, from_state, to_state, reason, caused_by, now)])


def transition(
    attempt_id: str,
    from_state: State | None,
    to_state: State,
    reason: str | None,
    caused_by: str,
    now: datetime,
) -> dict[str, Any]:
    return {
        "attempt_id": attempt_id,
        "at": now,
        "from_state": from_state,
        "to_state": to_state,
        "reason": reason and reason[:MAX_REASON],
        "caused_by": caused_by[:200],
    }


def remember(connection: Connection, transitions: Iterable[Mapping[str, Any]]) -> None:
    insert_rows(connection, TransitionRow, list(transitions))
