"""Seal coupon codes that an older version stored in clear."""

from sqlalchemy import Connection, select, update

from app.storage.tables import GRANTS, GrantRow
from app.storage.vault import vault_of

_LEFT = select(GrantRow.attempt_id, GrantRow.coupon).where(GrantRow.coupon.is_not(None))


def is_any_left(connection: Connection) -> bool:
    return connection.execute(_LEFT.limit(1)).first() is not None


def seal_some(connection: Connection, limit: int) -> int:
    """Seal at most ``limit`` coupon codes that are stored in clear; return how many."""
    vault = vault_of(connection)
    found = connection.execute(_LEFT.limit(limit).with_for_update(skip_locked=True)).all()
    for attempt_id, coupon in found:
        sealed = vault.seal_row(GRANTS, {"attempt_id": attempt_id, "coupon_code": coupon})
        row = update(GrantRow).where(GrantRow.attempt_id == attempt_id)
        connection.execute(row.values(coupon=None, coupon_code=sealed["coupon_code"]))
    return len(found)
