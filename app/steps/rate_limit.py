"""The rate limit and the pause of submissions. One for the account, stored in the database."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Row, and_, bindparam, func, or_, select, update

from app.domain.answers import Answer, Outcome
from app.domain.clock import is_still_to_come, latest
from app.storage.tables import ForwardingRow, SubmissionRow

# Seconds added to Gameball's windows, because the clocks of several machines differ a little.
GUARD_SECONDS = 0.05
_SLOW_SECONDS = (1.0, 2.0, 5.0, 10.0, 30.0)
_LONGEST_SLOW_SECONDS = 3_600.0
# Answers that only a working account gets. Each of them ends a pause.
_WORKING = frozenset(
    {
        Outcome.ACCEPTED,
        Outcome.ECHO,
        Outcome.NO_CUSTOMER,
        Outcome.BUSY,
        Outcome.PERMANENT,
    }
)

# Built once: SQLAlchemy takes longer to prepare a statement than the database to run it.
_LOCK = (
    update(ForwardingRow)
    .where(ForwardingRow.id == 1)
    .values(worker_seen_at=bindparam("now"))
    .returning(ForwardingRow.__table__)
)
_IN_FLIGHT = select(func.count()).where(SubmissionRow.ended_at.is_(None))
_ENDED_LATELY = (
    select(SubmissionRow.ended_at)
    .where(
        SubmissionRow.ended_at > bindparam("since"), SubmissionRow.ended_at <= bindparam("latest")
    )
    .order_by(SubmissionRow.ended_at.desc())
    .offset(bindparam("newer"))
    .limit(2)
)
_PAUSED_BEFORE = or_(
    ForwardingRow.paused_at <= bindparam("started"), ForwardingRow.paused_at > bindparam("latest")
)
_SLOW_BEFORE = and_(ForwardingRow.slow_count > 0, ForwardingRow.slow_until <= bindparam("started"))
_TROUBLED_BEFORE = select(ForwardingRow.id).where(or_(_PAUSED_BEFORE, _SLOW_BEFORE))


@dataclass(frozen=True, slots=True)
class RateLimit:
    """At most ``per_second`` calls in any second and ``per_30_seconds`` in any 30 seconds."""

    per_second: int
    per_30_seconds: int
    probe_seconds: float

    @property
    def windows(self) -> tuple[tuple[float, int], ...]:
        """Each window as its length in seconds and its number of calls."""
        return (1.0, self.per_second), (30.0, self.per_30_seconds)


@dataclass(frozen=True, slots=True)
class Slots:
    """The earliest start of the next submission and of the one after it. None: now."""

    next_at: datetime | None = None
    then_at: datetime | None = None


def is_slow_beyond(moment: datetime, slow_until: datetime | None, now: datetime) -> bool:
    """Whether Gameball's request to slow down, for calls or reads, lasts longer than ``moment``."""
    if slow_until is None:
        return False
    return moment < slow_until <= latest(now, _LONGEST_SLOW_SECONDS)


def slow_step(count: int, retry_after_seconds: float | None, now: datetime) -> datetime:
    """The end of a slowdown that Gameball requested ``count`` times in a row.

    A longer ``retry_after_seconds`` extends it, up to one hour.
    """
    step = _SLOW_SECONDS[min(max(count, 1), len(_SLOW_SECONDS)) - 1]
    wanted = min(retry_after_seconds or 0, _LONGEST_SLOW_SECONDS)
    return now + timedelta(seconds=max(step, wanted))


def lock_forwarding(connection: Connection, now: datetime) -> Row[Any]:
    """Lock the account's row for this transaction: submissions start one after another."""
    return connection.execute(_LOCK, {"now": now}).one()


def slots(connection: Connection, forwarding: Row[Any], pace: RateLimit, now: datetime) -> Slots:
    """Return when submissions may start. The caller holds the lock."""
    if is_slow_beyond(now, forwarding.slow_until, now):
        return Slots(forwarding.slow_until, forwarding.slow_until)
    is_paused = forwarding.paused_at is not None
    if is_paused and is_still_to_come(forwarding.probe_at, now, pace.probe_seconds):
        return Slots(forwarding.probe_at, forwarding.probe_at)
    in_flight = connection.execute(_IN_FLIGHT).scalar_one()
    next_probe_at = now + timedelta(seconds=pace.probe_seconds)
    if is_paused and in_flight:
        return Slots(next_probe_at, next_probe_at)
    windows = [
        _slots_within(connection, seconds, most - in_flight, now) for seconds, most in pace.windows
    ]
    next_at = _latest(window.next_at for window in windows)
    if is_paused:
        return Slots(next_at, next_probe_at)
    return Slots(next_at, _latest(window.then_at for window in windows))


def started(connection: Connection, forwarding: Row[Any], pace: RateLimit, now: datetime) -> None:
    """Record the start of a submission. During a pause it is the only probe for a while."""
    if forwarding.paused_at is not None:
        probe_at = now + timedelta(seconds=pace.probe_seconds)
        connection.execute(update(ForwardingRow).values(probe_at=probe_at))


def answered(
    connection: Connection, answer: Answer, pace: RateLimit, started_at: datetime, now: datetime
) -> None:
    """Pause, resume or slow all forwarding by the answer to a call of ``started_at``."""
    if answer.treatment.pauses:
        _pause(connection, answer, pace, now)
    elif answer.treatment.slows:
        _slow(connection, answer.retry_after_seconds, started_at, now)
    elif answer.outcome in _WORKING:
        _resume(connection, started_at, now)


def probe_now(connection: Connection) -> None:
    """Allow a probe of a paused account at once, for example after a start with new credentials."""
    connection.execute(update(ForwardingRow).values(probe_at=None))


def _pause(connection: Connection, answer: Answer, pace: RateLimit, now: datetime) -> None:
    parts = (answer.outcome, answer.status, answer.code, answer.message)
    connection.execute(
        update(ForwardingRow).values(
            paused_at=func.coalesce(ForwardingRow.paused_at, now),
            pause_reason=" ".join(str(part) for part in parts if part is not None)[:500],
            probe_at=now + timedelta(seconds=pace.probe_seconds),
        )
    )


def _resume(connection: Connection, started_at: datetime, now: datetime) -> None:
    """End a pause that began before the call, and reset a slowdown that was over by then.

    A call that started before the pause proves nothing: it may be answered 202 after the
    credentials were refused.
    """
    before = {"started": started_at, "latest": latest(now)}
    if connection.execute(_TROUBLED_BEFORE, before).first() is None:
        return
    resumed = {"paused_at": None, "pause_reason": None, "probe_at": None}
    connection.execute(update(ForwardingRow).where(_PAUSED_BEFORE).values(resumed), before)
    connection.execute(
        update(ForwardingRow).where(_SLOW_BEFORE).values(slow_count=0), {"started": started_at}
    )


def _slow(
    connection: Connection,
    retry_after_seconds: float | None,
    started_at: datetime,
    now: datetime,
) -> None:
    """Slow down by one more step. Calls that were in flight together count as one step."""
    columns = select(ForwardingRow.slow_count, ForwardingRow.slow_until)
    row = connection.execute(columns.with_for_update()).one()
    is_known = is_slow_beyond(started_at, row.slow_until, now)
    count = row.slow_count if is_known else row.slow_count + 1
    until = slow_step(count, retry_after_seconds, now)
    if is_known:
        until = max(until, row.slow_until)
    connection.execute(update(ForwardingRow).values(slow_until=until, slow_count=count))


def _slots_within(connection: Connection, seconds: float, room: int, now: datetime) -> Slots:
    """When a window has room for one call and for another, with ``room`` besides those in flight.

    A call counts from its start until ``seconds`` after its end. It reached Gameball in between,
    so no window of ``seconds`` at Gameball holds more calls than allowed, however long a call
    took.
    """
    soon = now + timedelta(milliseconds=50)  # a call in flight may have ended by then
    if room <= 0:
        return Slots(soon, soon)
    window = timedelta(seconds=seconds + GUARD_SECONDS)
    lately = {
        "since": now - window,
        "latest": latest(now),
        "newer": max(0, room - 2),
    }
    free_at = [row.ended_at + window for row in connection.execute(_ENDED_LATELY, lately)]
    if room == 1:
        return Slots(free_at[0] if free_at else None, soon)
    return Slots(free_at[1] if len(free_at) > 1 else None, free_at[0] if free_at else None)


def _latest(times: Iterable[datetime | None]) -> datetime | None:
    return max((at for at in times if at is not None), default=None)
