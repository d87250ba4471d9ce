"""Which attempt holds an award, and by which of its two keys? For telling, never for deciding."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

from sqlalchemy import Connection, Row, bindparam, or_, select

from app.steps.ledger import Award, keys_of
from app.storage.tables import AwardRow

# Made once: SQLAlchemy takes as long to prepare a statement as SQLite to run it.
_HOLDING = select(AwardRow.attempt_id, AwardRow.customer_hash, AwardRow.account_hash).where(
    or_(
        AwardRow.customer_hash.in_(bindparam("customers", expanding=True)),
        AwardRow.account_hash.in_(bindparam("accounts", expanding=True)),
    )
)


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
