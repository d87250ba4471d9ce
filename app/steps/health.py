"""The health of forwarding and of the attempts, as the database shows it."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection, func, not_, or_, select, update

from app.domain.attempts import State
from app.steps.rate_limit import is_slow_beyond
from app.storage.tables import AttemptRow, EventRow, ForwardingRow, SubmissionRow

_SAID_LATELY = timedelta(seconds=20)


@dataclass(frozen=True, slots=True, kw_only=True)
class Forwarding:
    """The account's rate limit and pause, the last signs of workers, and the oldest due attempt.

    ``worker_seen_at``: when a worker last tried to start a submission. ``worker_alive_at``: when
    a worker last reported that it runs, with or without work.
    """

    paused_at: datetime | None
    pause_reason: str | None
    slow_until: datetime | None
    worker_seen_at: datetime | None
    worker_alive_at: datetime | None
    oldest_due_at: datetime | None

    def is_slowed(self, now: datetime) -> bool:
        """Whether a slowdown that Gameball requested lasts."""
        return is_slow_beyond(now, self.slow_until, now)

    def is_silent(self, now: datetime, silence: timedelta) -> bool:
        """Whether attempts were due for longer than ``silence`` and no worker tried one meanwhile.

        Idle workers leave no trace in ``worker_seen_at``, and are not called silent.
        """
        seen_at = self.worker_seen_at
        is_owed = self.oldest_due_at is not None and self.oldest_due_at < now - silence
        return is_owed and (seen_at is None or seen_at < now - silence)


def forwarding(connection: Connection) -> Forwarding:
    """Read the state of forwarding."""
    row = connection.execute(select(ForwardingRow.__table__).where(ForwardingRow.id == 1)).one()
    return Forwarding(
        paused_at=row.paused_at,
        pause_reason=row.pause_reason,
        slow_until=row.slow_until,
        worker_seen_at=row.worker_seen_at,
        worker_alive_at=row.worker_alive_at,
        oldest_due_at=oldest_due_at(connection),
    )


def say_alive(connection: Connection, now: datetime) -> None:
    """Report that a worker runs. The row is shared, so it is written every 20 seconds at most."""
    lately = ForwardingRow.worker_alive_at.between(now - _SAID_LATELY, now)
    connection.execute(
        update(ForwardingRow)
        .where(ForwardingRow.id == 1, or_(ForwardingRow.worker_alive_at.is_(None), not_(lately)))
        .values(worker_alive_at=now)
    )


def oldest_due_at(connection: Connection) -> datetime | None:
    """When the oldest due attempt became due, or None."""
    return connection.execute(
        select(AttemptRow.next_at)
        .where(AttemptRow.state == State.DUE, AttemptRow.next_at.is_not(None))
        .order_by(AttemptRow.next_at)
        .limit(1)
    ).scalar_one_or_none()


def oldest_unconfirmed_at(connection: Connection) -> datetime | None:
    """When the oldest unconfirmed attempt was accepted, or None.

    `updated_at` of an accepted attempt changes only by the flag that it was undone.
    """
    statement = select(func.min(AttemptRow.updated_at)).where(AttemptRow.state == State.ACCEPTED)
    return connection.execute(statement).scalar_one()


def oldest_unlinked_at(connection: Connection) -> datetime | None:
    """When the oldest unlinked attempt was created, or None."""
    return connection.execute(
        select(AttemptRow.created_at)
        .where(AttemptRow.state == State.UNLINKED)
        .order_by(AttemptRow.id)
        .limit(1)
    ).scalar_one_or_none()


def attempts_by_state(connection: Connection) -> dict[State, int]:
    """Count the attempts of every state. It reads a whole index: do not call it on each request."""
    statement = select(AttemptRow.state, func.count()).group_by(AttemptRow.state)
    found = {State(state): count for state, count in connection.execute(statement)}
    return {state: found.get(state, 0) for state in State}


def submissions_in_window(connection: Connection, seconds: float, now: datetime) -> int:
    """Count the calls that Gameball may count in a window that ends now, with those in flight."""
    since = now - timedelta(seconds=seconds)
    recent = or_(SubmissionRow.ended_at > since, SubmissionRow.ended_at.is_(None))
    statement = select(func.count()).select_from(SubmissionRow).where(recent)
    count: int = connection.execute(statement).scalar_one()
    return count


def last_event_at(connection: Connection, sources: Iterable[str]) -> dict[str, datetime | None]:
    """When each source last sent a new event."""
    statements = {
        source: select(func.max(EventRow.received_at)).where(EventRow.source == source)
        for source in sources
    }
    return {source: connection.execute(s).scalar_one() for source, s in statements.items()}
