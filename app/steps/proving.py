"""Which claims wait for a proof, and what must they wait for once they have it?"""

from collections.abc import Iterable
from typing import Any

from sqlalchemy import Connection, Row, bindparam, select

from app.domain.attempts import State
from app.storage.tables import AttemptRow

# Made once: SQLAlchemy takes as long to prepare a statement as SQLite to run it.
_CHECKING = (
    select(AttemptRow.__table__)
    .where(
        AttemptRow.customer_id.in_(bindparam("customers", expanding=True)),
        AttemptRow.state == State.CHECKING,
    )
    .order_by(AttemptRow.id)
    .with_for_update()
)


def stricter(claim: Row[Any], proven_by: Any) -> dict[str, Any]:
    """What a claim that is proven must wait for: nobody shortens a rule's hold by claiming under
    another of the same challenge.
    """
    return {
        "hold_seconds": max(claim.hold_seconds, proven_by.hold_seconds),
        "bar_after_undo": claim.bar_after_undo or proven_by.bar_after_undo,
    }


def checking_claims(connection: Connection, customers: Iterable[str]) -> list[Row[Any]]:
    """The claims of these customers that wait for a proof, oldest first.

    Nobody else moves them before this transaction ends.
    """
    wanted = list(customers)
    if not wanted:
        return []
    return list(connection.execute(_CHECKING, {"customers": wanted}))
