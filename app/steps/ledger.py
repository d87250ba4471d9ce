"""Is this award the first of its kind? The database's constraints decide, never a look-up."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any

from sqlalchemy import Connection, delete, select
from sqlalchemy.dialects import postgresql, sqlite

from app.domain.attempts import State
from app.storage.tables import AwardRow


@dataclass(frozen=True, slots=True)
class Award:
    """What an attempt would be paid for: one per customer and one per platform account."""

    attempt_id: str
    challenge_id: int
    customer_id: str
    platform: str
    account_id: str | None
    occurrence: str


def insert_new(connection: Connection, table: Any, *returning: Any) -> Any:
    """An INSERT that leaves rows out which a unique constraint already holds."""
    return _insert_new(connection.dialect.name, table, *returning)


@cache
def _insert_new(dialect_name: str, table: Any, *returning: Any) -> Any:
    """Made once each: SQLAlchemy takes as long to prepare a statement as SQLite to run it."""
    dialect = postgresql if dialect_name == "postgresql" else sqlite
    return dialect.insert(table).on_conflict_do_nothing().returning(*returning)


def enter(connection: Connection, awards: Sequence[Award], now: datetime) -> set[str]:
    """Enter awards into the ledger; the attempts whose award was not in it yet."""
    if not awards:
        return set()
    rows = [
        {
            "attempt_id": award.attempt_id,
            "challenge_id": award.challenge_id,
            "customer_id": award.customer_id,
            "platform": award.platform,
            "account_id": award.account_id,
            "occurrence": award.occurrence,
            "created_at": now,
        }
        # In one order everywhere, so that two transactions cannot wait for each other.
        for award in sorted(awards, key=lambda a: (a.challenge_id, a.customer_id, a.occurrence))
    ]
    statement = insert_new(connection, AwardRow, AwardRow.attempt_id)
    return set(connection.execute(statement, rows).scalars())


def release(connection: Connection, attempt_id: str) -> None:
    """Take an award back out: its attempt ended, and nothing of it can have been paid."""
    connection.execute(delete(AwardRow).where(AwardRow.attempt_id == attempt_id))


def holds(connection: Connection, challenge_id: int, customer_id: str, occurrence: str) -> bool:
    """Whether the ledger has this award. For telling people, never for deciding."""
    statement = select(AwardRow.id).where(
        AwardRow.challenge_id == challenge_id,
        AwardRow.customer_id == customer_id,
        AwardRow.occurrence == occurrence,
    )
    return connection.execute(statement).first() is not None


def earned_state(hold_seconds: float) -> State:
    return State.HELD if hold_seconds > 0 else State.DUE
