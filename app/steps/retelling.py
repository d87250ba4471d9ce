"""Handles known events that a platform sends again because they are true again."""
# Example: a post is hidden, shown, and hidden once more. The platform sends the same key each time.
# The latest of the platform's times decides, not the order of arrival.

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, select, tuple_, update

from app.domain.attempts import State
from app.domain.events import Event
from app.steps import identities
from app.steps.accounts import Known, locked
from app.steps.arrivals import Arrival
from app.steps.awards import earn
from app.steps.transitions import change_state, record_transitions, transition
from app.steps.undo import is_by_undoing, undo, who_acted
from app.steps.withdrawal import may_have_landed
from app.storage.hashes import hashes_of
from app.storage.tables import AttemptRow, EventRow

AGAIN = "the action that was undone is there again"


@dataclass(frozen=True, slots=True)
class _Retold:
    """A known event that arrived again. It is true again since ``at``."""

    event_id: str
    arrival: Arrival
    at: datetime

    @property
    def event(self) -> Event:
        return self.arrival.event


def retell(connection: Connection, arrivals: Sequence[Arrival]) -> None:
    """Redo or undo the actions of known events that arrive with a later time.

    A repeated callback has its old time and changes nothing. If there are no later times, this
    takes at most one statement.
    """
    told = [one for one in arrivals if one.event.told_at is not None]
    if not told:
        return
    for one in _later(connection, told):
        known = locked(connection, [(one.event.platform, i) for i in one.event.ids])
        _note(connection, one)
        if one.event.undone:
            event = replace(one.event, occurred_at=one.at)
            undo(connection, {one.event_id: event}, known)
        else:
            for attempt in _undone_attempts(connection, one):
                _redo(connection, attempt, one, known)


def _later(connection: Connection, arrivals: Sequence[Arrival]) -> list[_Retold]:
    """Return the events that have a later time than before, earliest first."""
    hashes = hashes_of(connection)
    keys = {(a.event.source, hashes.event_key(key)) for a in arrivals for key in _keys(a.event)}
    statement = select(
        EventRow.id,
        EventRow.source,
        EventRow.key_hash,
        EventRow.undone,
        EventRow.occurred_at,
        EventRow.retold_at,
    ).where(tuple_(EventRow.source, EventRow.key_hash).in_(keys))
    rows = {(row.source, row.key_hash, row.undone): row for row in connection.execute(statement)}
    later = []
    for arrival in arrivals:
        event, told_at = arrival.event, arrival.event.told_at
        for key in _keys(event):
            row = rows.get((event.source, hashes.event_key(key), event.undone))
            if row is not None and told_at is not None and told_at > _latest(row):
                later.append(_Retold(row.id, arrival, told_at))
    return sorted(later, key=lambda one: one.at)


def _keys(event: Event) -> Iterable[str]:
    return (event.key, *event.former_keys)


def _latest(row: Any) -> datetime:
    occurred_at: datetime = row.occurred_at
    return max(occurred_at, row.retold_at or occurred_at)


def _note(connection: Connection, one: _Retold) -> None:
    statement = update(EventRow).where(EventRow.id == one.event_id)
    connection.execute(statement.values(retold_at=one.at))


def _undone_attempts(connection: Connection, one: _Retold) -> Sequence[Row[Any]]:
    """Return and lock the attempts of the event that were undone before ``one.at``."""
    statement = (
        select(AttemptRow.__table__)
        .where(
            AttemptRow.event_id == one.event_id,
            AttemptRow.undone_at < one.at,
            AttemptRow.erased_at.is_(None),
        )
        .order_by(AttemptRow.id)
        .with_for_update()
    )
    return connection.execute(statement).all()


def _redo(connection: Connection, attempt: Row[Any], one: _Retold, known: Known) -> None:
    if attempt.state != State.WITHDRAWN:
        _unflag(connection, attempt, one)
    # A person's withdrawal stays. An attempt that may have been paid is not paid again.
    elif is_by_undoing(connection, attempt) and not may_have_landed(connection, attempt.id):
        _reinstate(connection, attempt, one, known)


def _unflag(connection: Connection, attempt: Row[Any], one: _Retold) -> None:
    """Remove the mark that the action was undone. The state and a bar stay."""
    now = one.event.received_at
    statement = update(AttemptRow).where(AttemptRow.id == attempt.id)
    connection.execute(statement.values(undone_at=None, updated_at=now))
    state = State(attempt.state)
    by = f"source:{one.event.source}"
    record_transitions(connection, [transition(attempt.id, state, state, AGAIN, by, now)])


def _reinstate(connection: Connection, attempt: Row[Any], one: _Retold, known: Known) -> None:
    """Let a withdrawn attempt earn again, by the ledger and with a new hold."""
    now, by = one.event.received_at, f"source:{one.event.source}"
    if attempt.customer_id is not None:
        earn(
            connection,
            attempt,
            customer_id=attempt.customer_id,
            reason=AGAIN,
            caused_by=by,
            now=now,
            undone_at=None,
        )
        return
    change_state(
        connection,
        attempt.id,
        State.WITHDRAWN,
        State.UNLINKED,
        reason=AGAIN,
        caused_by=by,
        now=now,
        undone_at=None,
        next_at=one.arrival.unlinked_until,
    )
    identities.release_waiting(connection, who_acted(one.event), known, by, now)
