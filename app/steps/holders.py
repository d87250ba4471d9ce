"""Which attempt holds an award, and by which of its two keys? For telling, never for deciding."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

from sqlalchemy import Connection, Row, bindparam, or_, select

from app.domain.attempts import State
from app.steps.ledger import Award, keys_of
from app.storage.tables import AwardRow
from app.storage.vault import vault_of

# Made once: SQLAlchemy takes as long to prepare a statement as SQLite to run it.
_HOLDING = select(AwardRow.attempt_id, AwardRow.customer_hash, AwardRow.account_hash).where(
    or_(
        AwardRow.customer_hash.in_(bindparam("customers", expanding=True)),
        AwardRow.account_hash.in_(bindparam("accounts", expanding=True)),
    )
)


class HeldAs(StrEnum):
    """Whose the award is that a duplicate meets."""

    CUSTOMER = "customer"
    ACCOUNT = "account"


@dataclass(frozen=True, slots=True)
class Holder:
    """The attempt that holds an award; ``attempt_id`` None: it was deleted since."""

    attempt_id: str | None
    by: HeldAs


def holder_of_duplicate(connection: Connection, attempt: Any) -> Holder | None:
    """Which attempt holds the award of a duplicate, by its customer or else by its account.

    None: it is no duplicate, its customer was erased, the award is free again, or we have no
    secret keys to find it by.
    """
    if attempt.state != State.DUPLICATE or attempt.customer_id is None:
        return None
    if not vault_of(connection).has_keys:
        return None
    award = Award(
        attempt.id,
        attempt.challenge_id,
        attempt.customer_id,
        attempt.platform,
        attempt.account_id,
        attempt.occurrence,
    )
    own = keys_of(connection, award)["customer_hash"]
    found = [
        Holder(row.attempt_id, HeldAs.CUSTOMER if row.customer_hash == own else HeldAs.ACCOUNT)
        for row in _holding(connection, [award])
    ]
    return min(found, key=lambda holder: holder.by is not HeldAs.CUSTOMER, default=None)


def holders_of(connection: Connection, award: Award) -> set[str | None]:
    """The attempts that hold this award of the customer or of the account; None: a deleted one."""
    return {row.attempt_id for row in _holding(connection, [award])}


def known_by_other_names(
    connection: Connection, awards: Iterable[tuple[Award, Sequence[str]]]
) -> set[str]:
    """Which of these attempts' awards the ledger already has under another of their names."""
    named = [replace(award, occurrence=name) for award, names in awards for name in names]
    if not named:
        return set()
    rows = _holding(connection, named)
    held = {key for row in rows for key in (row.customer_hash, row.account_hash)}
    return {award.attempt_id for award in named if held & set(_keys(connection, award))}


def _holding(connection: Connection, awards: Sequence[Award]) -> list[Row[Any]]:
    keys = [keys_of(connection, award) for award in awards]
    wanted = {
        "customers": [key["customer_hash"] for key in keys],
        "accounts": [key["account_hash"] for key in keys if key["account_hash"] is not None],
    }
    return list(connection.execute(_HOLDING, wanted))


def _keys(connection: Connection, award: Award) -> Iterable[str]:
    return (key for key in keys_of(connection, award).values() if key is not None)
