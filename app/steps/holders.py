"""Finds the attempt that holds an award."""
# Use it to inform people, not to decide about an award.

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from sqlalchemy import Connection, Row, bindparam, or_, select

from app.domain.attempts import State
from app.steps.ledger import Award, Held, award_of, held_under
from app.storage.tables import AwardRow
from app.storage.vault import vault_of

# Built once: SQLAlchemy takes as long to prepare a statement as SQLite to run it.
_HOLDING = select(AwardRow.attempt_id, AwardRow.customer_hash, AwardRow.account_hash).where(
    or_(
        AwardRow.customer_hash.in_(bindparam("customers", expanding=True)),
        AwardRow.account_hash.in_(bindparam("accounts", expanding=True)),
    )
)


class HeldAs(StrEnum):
    """The key by which a duplicate's award is already held."""

    CUSTOMER = "customer"
    ACCOUNT = "account"


@dataclass(frozen=True, slots=True)
class Holder:
    """The attempt that holds an award. ``attempt_id`` None: the attempt was deleted."""

    attempt_id: str | None
    by: HeldAs


def holder_of_duplicate(connection: Connection, attempt: Any) -> Holder | None:
    """Return the holder of a duplicate's award, by its customer or else by its account.

    None: the attempt is no duplicate, its customer was erased, the award is free again, or the
    secret keys are missing.
    """
    if attempt.state != State.DUPLICATE or attempt.customer_id is None:
        return None
    if not vault_of(connection).has_keys:
        return None
    award = award_of(attempt)
    own = held_under(connection, award)
    found = [
        Holder(
            row.attempt_id,
            HeldAs.CUSTOMER if row.customer_hash in own.by_customer else HeldAs.ACCOUNT,
        )
        for row in _holding(connection, own)
    ]
    return min(found, key=lambda holder: holder.by is not HeldAs.CUSTOMER, default=None)


def holders_of(connection: Connection, award: Award) -> set[str | None]:
    """Return the attempts that hold this award by customer or account; None for a deleted one."""
    return {row.attempt_id for row in _holding(connection, held_under(connection, award))}


def _holding(connection: Connection, held: Held) -> list[Row[Any]]:
    wanted = {"customers": list(held.by_customer), "accounts": list(held.by_account)}
    return list(connection.execute(_HOLDING, wanted))
