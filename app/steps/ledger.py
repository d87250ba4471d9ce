"""Is this award the first of its kind? The database's constraints decide, never a look-up."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any

from sqlalchemy import ColumnElement, Connection, delete, exists, literal, select, true
from sqlalchemy.dialects import postgresql, sqlite

from app.domain.attempts import State
from app.storage.bulk import insert_rows
from app.storage.hashes import Hashes, hashes_of
from app.storage.tables import AwardRow, BarRow


@dataclass(frozen=True, slots=True)
class Award:
    """What an attempt would be paid for: one per customer and one per platform account."""

    attempt_id: str
    challenge_id: int
    customer_id: str
    platform: str
    account_id: str | None
    occurrence: str
    bar_after_undo: bool = False


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
    ordered = _in_order(awards)
    if any(award.bar_after_undo for award in ordered):
        return {award.attempt_id for award in ordered if _enter_unbarred(connection, award, now)}
    rows = [_row(connection, award, now) for award in ordered]
    wanted = {(row["attempt_id"], row["customer_hash"]) for row in rows}
    if insert_rows(connection, AwardRow, rows) == len(rows):
        return {attempt_id for attempt_id, _ in wanted}
    held = select(AwardRow.attempt_id, AwardRow.customer_hash).where(
        AwardRow.attempt_id.in_([attempt_id for attempt_id, _ in wanted])
    )
    found = {tuple(row) for row in connection.execute(held)}
    return {attempt_id for attempt_id, customer in wanted if (attempt_id, customer) in found}


def award_rows(
    connection: Connection, awards: Sequence[Award], now: datetime
) -> list[dict[str, Any]] | None:
    """What `enter` would insert; None: it takes more than an INSERT to decide."""
    if any(award.bar_after_undo for award in awards):
        return None
    return [_row(connection, award, now) for award in _in_order(awards)]


def _in_order(awards: Sequence[Award]) -> list[Award]:
    """In one order everywhere, so that two transactions cannot wait for each other."""
    return sorted(awards, key=lambda a: (a.challenge_id, a.customer_id, a.occurrence))


def _row(connection: Connection, award: Award, now: datetime) -> dict[str, Any]:
    return {
        "attempt_id": award.attempt_id,
        "challenge_id": award.challenge_id,
        **_hashes(hashes_of(connection), award),
        "created_at": now,
    }


def _hashes(hashes: Hashes, award: Award) -> dict[str, str | None]:
    """The two keys that must be new, of which neither tells whose they are."""
    challenge, occurrence = award.challenge_id, award.occurrence
    account = award.account_id
    return {
        "customer_hash": hashes.award_of_customer(challenge, award.customer_id, occurrence),
        "account_hash": None
        if account is None
        else hashes.award_of_account(challenge, award.platform, account, occurrence),
    }


def keys_of(connection: Connection, award: Award) -> dict[str, str | None]:
    """The keys of an award by their columns: the customer's, and the account's if one is known."""
    return _hashes(hashes_of(connection), award)


def _enter_unbarred(connection: Connection, award: Award, now: datetime) -> bool:
    """Enter one award, unless its rule bars those who undid it before: one statement decides."""
    row = _row(connection, award, now)
    columns = [literal(row[name], AwardRow.__table__.c[name].type) for name in row]
    chosen = select(*columns)
    if award.bar_after_undo:
        chosen = chosen.where(~exists().where(barring(connection, award)))
    else:
        # SQLite would read ON CONFLICT as a join's ON.
        chosen = chosen.where(true())
    statement = insert_new(connection, AwardRow, AwardRow.attempt_id)
    return connection.execute(statement.from_select(list(row), chosen)).first() is not None


def barring(connection: Connection, award: Award) -> ColumnElement[bool]:
    """The bar that an award meets: of its account; without one, of any that its customer had."""
    hashes = hashes_of(connection)
    challenge, platform = award.challenge_id, award.platform
    if award.account_id is not None:
        return BarRow.account_hash == hashes.bar_of_account(challenge, platform, award.account_id)
    return BarRow.customer_hash == hashes.bar_of_customer(challenge, platform, award.customer_id)


def is_barred(connection: Connection, award: Award) -> bool:
    """Whether a bar kept this award out. For telling people, never for deciding."""
    statement = select(BarRow.id).where(barring(connection, award))
    return award.bar_after_undo and connection.execute(statement).first() is not None


def release(connection: Connection, attempt_id: str) -> None:
    """Take an award back out: its attempt ended, and nothing of it can have been paid."""
    connection.execute(delete(AwardRow).where(AwardRow.attempt_id == attempt_id))


def holds(connection: Connection, challenge_id: int, customer_id: str, occurrence: str) -> bool:
    """Whether the ledger has this award. For telling people, never for deciding."""
    held = hashes_of(connection).award_of_customer(challenge_id, customer_id, occurrence)
    statement = select(AwardRow.id).where(AwardRow.customer_hash == held)
    return connection.execute(statement).first() is not None


def earned_state(hold_seconds: float) -> State:
    return State.HELD if hold_seconds > 0 else State.DUE
