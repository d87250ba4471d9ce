"""The rate limit of reads from Gameball, shared by all processes through the database."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from functools import cache
from typing import Any

from sqlalchemy import Connection, Row, delete, func, insert, select, update

from app.domain.clock import latest
from app.steps.rate_limit import GUARD_SECONDS, is_slow_beyond, slow_step
from app.storage import dialects
from app.storage.tables import ReadingRow, ReadRow

_WINDOWS = (1.0, 30.0)
# Longer than any reservation.
_LONGEST_LEASE_SECONDS = 3_600.0
# Seconds. A window plus the difference of the clocks of several machines.
_KEPT_SECONDS = 60.0


class ReadKind(StrEnum):
    """Gameball's limits for reads.

    https://docs.gameball.co/api-reference/overview/rate-limiting
    """

    CUSTOMERS = "customers"
    TRANSACTIONS = "transactions"
    OTHERS = "others"


@dataclass(frozen=True, slots=True)
class ReadRateLimit:
    """For each kind: at most so many reads in any second and in any 30 seconds."""

    limits: Mapping[ReadKind, tuple[int, int]]

    def share(self, part: float) -> "ReadRateLimit":
        """Return a part of the limit, which leaves the rest for urgent reads."""
        return ReadRateLimit(
            {
                kind: (max(1, int(second * part)), max(1, int(half_minute * part)))
                for kind, (second, half_minute) in self.limits.items()
            }
        )


DOCUMENTED = ReadRateLimit(
    {ReadKind.CUSTOMERS: (100, 1_200), ReadKind.TRANSACTIONS: (30, 360), ReadKind.OTHERS: (30, 360)}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reserved:
    """A reservation of ``count`` reads, valid until ``until``."""

    id: int
    kind: ReadKind
    count: int
    started_at: datetime
    until: datetime


def reserve(
    connection: Connection,
    kind: ReadKind,
    most: int,
    pace: ReadRateLimit,
    until: datetime,
    now: datetime,
) -> Reserved | None:
    """Reserve at most ``most`` reads until a time. None: no read is possible now.

    A reservation counts until one window after its end, as submissions do (decision 3).
    """
    state = _locked(connection, kind)
    if is_slow_beyond(now, state.slow_until, now):
        return None
    count = min(most, *(_room(connection, kind, pace, number, now) for number in range(2)))
    if count <= 0:
        return None
    _forget_old(connection, kind, now)
    values = {"kind": kind, "count": count, "started_at": now, "until": until}
    made = connection.execute(insert(ReadRow).values(values).returning(ReadRow.id))
    return Reserved(id=made.scalar_one(), kind=kind, count=count, started_at=now, until=until)


def release(connection: Connection, reserved: Reserved, now: datetime) -> None:
    """End the reservation."""
    connection.execute(update(ReadRow).where(ReadRow.id == reserved.id).values(until=now))


def went_well(connection: Connection, reserved: Reserved) -> None:
    """Reset a slowdown that was over before the reads started."""
    connection.execute(
        update(ReadingRow)
        .where(
            ReadingRow.kind == reserved.kind,
            ReadingRow.slow_count > 0,
            ReadingRow.slow_until <= reserved.started_at,
        )
        .values(slow_count=0)
    )


def slow(
    connection: Connection, reserved: Reserved, retry_after_seconds: float | None, now: datetime
) -> None:
    """Stop reads of this kind for a while, longer each time Gameball requests it."""
    state = _locked(connection, reserved.kind)
    if is_slow_beyond(reserved.started_at, state.slow_until, now):
        return  # the same slowdown: the reads were in flight together
    count = state.slow_count + 1
    until = slow_step(count, retry_after_seconds, now)
    statement = update(ReadingRow).where(ReadingRow.kind == reserved.kind)
    connection.execute(statement.values(slow_until=until, slow_count=count))


def is_slow(connection: Connection, kind: ReadKind, now: datetime) -> bool:
    """Whether a slowdown of this kind lasts."""
    statement = select(ReadingRow.slow_until).where(ReadingRow.kind == kind)
    slow_until = connection.execute(statement).scalar_one_or_none()
    return is_slow_beyond(now, slow_until, now)


def in_window(connection: Connection, kind: ReadKind, seconds: float, now: datetime) -> int:
    """Count the reads that Gameball may count in a window that ends now, with those in flight."""
    statement = select(func.coalesce(func.sum(ReadRow.count), 0)).where(
        ReadRow.kind == kind,
        ReadRow.until > now - timedelta(seconds=seconds),
        ReadRow.until <= latest(now, _LONGEST_LEASE_SECONDS),
    )
    return int(connection.execute(statement).scalar_one())


def _room(
    connection: Connection, kind: ReadKind, pace: ReadRateLimit, number: int, now: datetime
) -> int:
    taken = in_window(connection, kind, _WINDOWS[number] + GUARD_SECONDS, now)
    return pace.limits[kind][number] - taken


def _forget_old(connection: Connection, kind: ReadKind, now: datetime) -> None:
    old = now - timedelta(seconds=_KEPT_SECONDS)
    connection.execute(delete(ReadRow).where(ReadRow.kind == kind, ReadRow.until < old))


def _locked(connection: Connection, kind: ReadKind) -> Row[Any]:
    """Lock the kind's row for this transaction. The first time, create it."""
    return connection.execute(_lock(connection.dialect.name), {"kind": kind}).one()


@cache
def _lock(dialect_name: str) -> Any:
    made = dialects.insert(dialect_name, ReadingRow).values(slow_count=0)
    return made.on_conflict_do_update(
        index_elements=[ReadingRow.kind], set_={"slow_count": ReadingRow.slow_count}
    ).returning(ReadingRow.__table__)
