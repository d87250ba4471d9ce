"""The award ledger. Unique constraints decide if an award is new, never a look-up."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cache
from typing import Any

from sqlalchemy import ColumnElement, Connection, delete, exists, literal, or_, select, true

from app.domain.attempts import State
from app.steps.accounts import accounts_of
from app.storage import dialects
from app.storage.bulk import insert_rows
from app.storage.hashes import Hashes, hashes_of
from app.storage.tables import AwardRow, BarRow


@dataclass(frozen=True, slots=True, kw_only=True)
class Award:
    """The award of an attempt: unique for the customer and for the platform account.

    ``account_id`` may be any id of the account. ``account_keys`` are the account's keys; new
    awards use the first one, and None means that `enter` looks them up. ``other_occurrences``
    are other names of the occurrence, which an existing award may have.
    """

    attempt_id: str
    challenge_id: int
    customer_id: str
    platform: str
    account_id: str | None
    occurrence: str
    bar_after_undo: bool = False
    account_keys: tuple[str, ...] | None = None
    other_occurrences: tuple[str, ...] = ()

    @property
    def has_other_names(self) -> bool:
        """Whether the ledger may have this award under other hashes than a new one would get."""
        return bool(self.other_occurrences) or len(self.account_keys or ()) > 1


def award_of(attempt: Any) -> Award:
    """Return the award of an attempt's row, for a customer. No bar applies to it."""
    return Award(
        attempt_id=attempt.id,
        challenge_id=attempt.challenge_id,
        customer_id=attempt.customer_id,
        platform=attempt.platform,
        account_id=attempt.account_id,
        occurrence=attempt.occurrence,
    )


def insert_new(connection: Connection, table: Any, *returning: Any) -> Any:
    """Return an INSERT that skips rows which violate a unique constraint."""
    return _insert_new(connection.dialect.name, table, *returning)


@cache
def _insert_new(dialect_name: str, table: Any, *returning: Any) -> Any:
    """Built once each: SQLAlchemy takes as long to prepare a statement as SQLite to run it."""
    return dialects.insert(dialect_name, table).on_conflict_do_nothing().returning(*returning)


def enter(connection: Connection, awards: Sequence[Award], now: datetime) -> set[str]:
    """Enter awards into the ledger. Return the ids of the attempts whose award was new."""
    ordered = _in_order(_not_yet_held(connection, with_keys(connection, awards)))
    if not ordered:
        return set()
    # Awards with a bar take one statement each.
    if any(award.bar_after_undo for award in ordered):
        return {award.attempt_id for award in ordered if _enter_unbarred(connection, award, now)}
    rows = [_row(connection, award, now) for award in ordered]
    wanted = {(row["attempt_id"], row["customer_hash"]) for row in rows}
    if insert_rows(connection, AwardRow, rows) == len(rows):
        return {attempt_id for attempt_id, _ in wanted}
    # Some were not new. Read which ones were inserted.
    held = select(AwardRow.attempt_id, AwardRow.customer_hash).where(
        AwardRow.attempt_id.in_([attempt_id for attempt_id, _ in wanted])
    )
    found = {tuple(row) for row in connection.execute(held)}
    return {attempt_id for attempt_id, customer in wanted if (attempt_id, customer) in found}


def award_rows(
    connection: Connection, awards: Sequence[Award], now: datetime
) -> list[dict[str, Any]] | None:
    """Return the rows that `enter` would insert. None: an INSERT alone cannot decide."""
    if any(award.bar_after_undo for award in awards):
        return None
    known = with_keys(connection, awards)
    if len(_not_yet_held(connection, known)) < len(known):
        return None
    return [_row(connection, award, now) for award in _in_order(known)]


def with_keys(connection: Connection, awards: Sequence[Award]) -> list[Award]:
    """Return the awards with the keys of their accounts. At most one statement."""
    unknown = {
        (award.platform, award.account_id)
        for award in awards
        if award.account_keys is None and award.account_id is not None
    }
    accounts = accounts_of(connection, unknown)
    return [
        replace(award, account_keys=accounts[award.platform, award.account_id].keys)
        if award.account_keys is None and award.account_id is not None
        else award
        for award in awards
    ]


def _not_yet_held(connection: Connection, awards: Sequence[Award]) -> list[Award]:
    """Leave out awards that the ledger has under another of their names.

    A constraint cannot detect these. A look-up is safe here: the account is locked, and new
    awards of an account always use its first key. Awards of the same call are compared too.
    """
    named = [award for award in awards if award.has_other_names]
    if not named:
        return list(awards)
    hashes = hashes_of(connection)
    others = {award.attempt_id: _other_hashes(hashes, award) for award in named}
    wanted = set().union(*others.values())
    found = select(AwardRow.account_hash, AwardRow.customer_hash).where(
        or_(AwardRow.account_hash.in_(wanted), AwardRow.customer_hash.in_(wanted))
    )
    held = {one for row in connection.execute(found) for one in row}
    left = []
    for award in awards:
        if not held & others.get(award.attempt_id, set()):
            left.append(award)
            held |= set(_hashes(hashes, award).values()) - {None}
    return left


@dataclass(frozen=True, slots=True)
class Held:
    """The hashes of an award by its customer and by its account."""

    by_customer: frozenset[str]
    by_account: frozenset[str]


def held_under(connection: Connection, award: Award) -> Held:
    """Return the hashes of an award under all names of its account and its occurrence."""
    (known,) = with_keys(connection, [award])
    hashes, challenge = hashes_of(connection), award.challenge_id
    occurrences = (award.occurrence, *award.other_occurrences)
    return Held(
        frozenset(
            hashes.award_of_customer(challenge, award.customer_id, one) for one in occurrences
        ),
        frozenset(
            hashes.award_of_account(challenge, award.platform, key, one)
            for key in known.account_keys or ()
            for one in occurrences
        ),
    )


def _other_hashes(hashes: Hashes, award: Award) -> set[str]:
    """The hashes of the award under its other names."""
    challenge, keys = award.challenge_id, award.account_keys or ()
    occurrences = (award.occurrence, *award.other_occurrences)
    by_account = {
        hashes.award_of_account(challenge, award.platform, key, occurrence)
        for key in keys
        for occurrence in occurrences
    }
    by_customer = {
        hashes.award_of_customer(challenge, award.customer_id, occurrence)
        for occurrence in award.other_occurrences
    }
    return (by_account | by_customer) - set(_hashes(hashes, award).values())


def _in_order(awards: Sequence[Award]) -> list[Award]:
    """Sort the awards. All transactions use the same order, so they cannot deadlock."""
    return sorted(awards, key=lambda a: (a.challenge_id, a.customer_id, a.occurrence))


def _row(connection: Connection, award: Award, now: datetime) -> dict[str, Any]:
    return {
        "attempt_id": award.attempt_id,
        "challenge_id": award.challenge_id,
        **_hashes(hashes_of(connection), award),
        "created_at": now,
    }


def _hashes(hashes: Hashes, award: Award) -> dict[str, str | None]:
    """The two unique hashes. Neither reveals the customer or the account."""
    challenge, occurrence = award.challenge_id, award.occurrence
    account = award.account_keys[0] if award.account_keys else award.account_id
    return {
        "customer_hash": hashes.award_of_customer(challenge, award.customer_id, occurrence),
        "account_hash": None
        if account is None
        else hashes.award_of_account(challenge, award.platform, account, occurrence),
    }


def _enter_unbarred(connection: Connection, award: Award, now: datetime) -> bool:
    """Enter one award by one statement, unless a bar of its rule applies; return whether."""
    row = _row(connection, award, now)
    columns = [literal(row[name], AwardRow.__table__.c[name].type) for name in row]
    chosen = select(*columns)
    if award.bar_after_undo:
        chosen = chosen.where(~exists().where(barring(connection, award)))
    else:
        # Without WHERE, SQLite reads ON CONFLICT as the ON of a join.
        chosen = chosen.where(true())
    statement = insert_new(connection, AwardRow, AwardRow.attempt_id)
    return connection.execute(statement.from_select(list(row), chosen)).first() is not None


def barring(connection: Connection, award: Award) -> ColumnElement[bool]:
    """Match the bars of the award's account; without an account, those of its customer."""
    hashes = hashes_of(connection)
    challenge, platform = award.challenge_id, award.platform
    (award,) = with_keys(connection, [award])
    if award.account_id is not None:
        keys = award.account_keys or (award.account_id,)
        return BarRow.account_hash.in_(
            [hashes.bar_of_account(challenge, platform, key) for key in keys]
        )
    return BarRow.customer_hash == hashes.bar_of_customer(challenge, platform, award.customer_id)


def is_barred(connection: Connection, award: Award) -> bool:
    """Whether a bar applies to this award. Use it to inform people, not to decide."""
    if not award.bar_after_undo:
        return False
    statement = select(BarRow.id).where(barring(connection, award))
    return connection.execute(statement).first() is not None


def release(connection: Connection, attempt_id: str) -> None:
    """Delete the award of an attempt that has ended and cannot have been paid."""
    connection.execute(delete(AwardRow).where(AwardRow.attempt_id == attempt_id))


def enter_under_every_key(connection: Connection, attempts: Iterable[Any]) -> None:
    """Enter awards and bars under all other keys of their accounts.

    Call it before attempts lose their account. Otherwise, when the ids of an account are
    deleted, the ledger would no longer match its awards.
    """
    of_account = [one for one in attempts if one.account_id is not None]
    accounts = accounts_of(connection, {(one.platform, one.account_id) for one in of_account})
    several = {
        one.id: (one, accounts[one.platform, one.account_id])
        for one in of_account
        if len(accounts[one.platform, one.account_id].keys) > 1
    }
    for kind, under_key in ((AwardRow, _award_under_key), (BarRow, _bar_under_key)):
        found = select(kind.__table__).where(kind.attempt_id.in_(several))
        rows = [
            under_key(hashes_of(connection), row, several[row.attempt_id][0], key)
            for row in (connection.execute(found).all() if several else ())
            for key in several[row.attempt_id][1].keys
        ]
        insert_rows(connection, kind, sorted(rows, key=lambda row: str(row["account_hash"])))


def _award_under_key(hashes: Hashes, award: Any, attempt: Any, key: str) -> dict[str, Any]:
    of_key = award.challenge_id, attempt.platform, key, attempt.occurrence
    return {
        "attempt_id": None,
        "challenge_id": award.challenge_id,
        # Not the customer's hash: the paid award already has it.
        "customer_hash": hashes.award_of_nobody(*of_key),
        "account_hash": hashes.award_of_account(*of_key),
        "created_at": award.created_at,
    }


def _bar_under_key(hashes: Hashes, bar: Any, attempt: Any, key: str) -> dict[str, Any]:
    return {
        "attempt_id": None,
        "challenge_id": bar.challenge_id,
        "platform": attempt.platform,
        "account_hash": hashes.bar_of_account(bar.challenge_id, attempt.platform, key),
        "customer_hash": bar.customer_hash,
        "created_at": bar.created_at,
    }


def holds(connection: Connection, challenge_id: int, customer_id: str, occurrence: str) -> bool:
    """Whether the ledger has this award. Use it to inform people, not to decide."""
    held = hashes_of(connection).award_of_customer(challenge_id, customer_id, occurrence)
    statement = select(AwardRow.id).where(AwardRow.customer_hash == held)
    return connection.execute(statement).first() is not None


def earned_state(hold_seconds: float) -> State:
    """Return `held` for an award with a hold, else `due`."""
    return State.HELD if hold_seconds > 0 else State.DUE
