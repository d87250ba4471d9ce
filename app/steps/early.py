"""What can an intake find out in one trip to PostgreSQL, before it decides anything?"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

from sqlalchemy import Connection

from app.steps.locks import LOCK_KEYS, account_keys
from app.storage.bulk import insert_statements
from app.storage.pipeline import in_one_trip
from app.storage.tables import EventRow, IdentityRow

_COLUMNS = tuple(column.name for column in IdentityRow.__table__.columns)
_LINKS = (
    f"SELECT {', '.join(_COLUMNS)} FROM identities"  # noqa: S608 -- names of ours
    " WHERE account_id = ANY(%s) AND platform = ANY(%s)"
)
_HAS_CLAIMS = (
    "SELECT EXISTS (SELECT 1 FROM attempts WHERE state = 'checking' AND customer_id IN"
    " (SELECT customer_id FROM identities WHERE account_id = ANY(%s) AND platform = ANY(%s)))"
)


@dataclass(frozen=True, slots=True)
class Early:
    """The events written, their accounts locked; the links of these, and whether a claim waits."""

    new_events: int
    links: Sequence[Any]
    has_claims: bool


def look_early(
    connection: Connection,
    event_rows: Sequence[dict[str, Any]],
    accounts: Iterable[tuple[str, str]],
) -> Early:
    """Write events, lock accounts, and look at what is known of these, in this order."""
    wanted = set(accounts)
    inserts = insert_statements(connection, EventRow, event_rows)
    names = [account for _, account in wanted], list({platform for platform, _ in wanted})
    *written, _locked, links, claims = in_one_trip(
        connection,
        [*inserts, (LOCK_KEYS, (account_keys(wanted),)), (_LINKS, names), (_HAS_CLAIMS, names)],
    )
    rows = [dict(zip(_COLUMNS, row, strict=True)) for row in links.rows]
    return Early(
        sum(reply.count for reply in written),
        [SimpleNamespace(_mapping=row, **row) for row in rows],
        bool(claims.rows[0][0]),
    )
