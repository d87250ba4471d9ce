"""What can an intake find out in one trip to PostgreSQL, before it decides anything?"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from types import SimpleNamespace
from typing import Any

from sqlalchemy import Connection

from app.domain.attempts import State
from app.steps.locks import LOCK_KEYS, account_keys
from app.steps.proving import EARNED_STATES
from app.storage.bulk import insert_statements
from app.storage.pipeline import in_one_trip
from app.storage.tables import EventRow, IdentityRow

_COLUMNS = tuple(column.name for column in IdentityRow.__table__.columns)
_PAID = ", ".join(f"'{state}'" for state in EARNED_STATES)
_LINKS = (
    f"SELECT {', '.join(_COLUMNS)}, EXISTS"  # noqa: S608 -- names of ours
    " (SELECT 1 FROM attempts a WHERE a.customer_id = i.customer_id"
    " AND a.token_id IS NOT NULL AND a.event_id IS NULL"
    f" AND (a.state = '{State.CHECKING}' OR (a.state IN ({_PAID})"
    " AND a.created_at >= CAST($3 AS timestamptz))))"
    " FROM identities i WHERE account_id = ANY($1) AND platform = ANY($2)"
)


@dataclass(frozen=True, slots=True)
class Early:
    """The events written, their accounts locked; the links of these, and whether any of their
    customers has a claim that no event proves yet.
    """

    new_events: int
    links: Sequence[Any]
    has_claims: bool


def look_early(
    connection: Connection,
    event_rows: Sequence[dict[str, Any]],
    accounts: Iterable[tuple[str, str]],
    claims_since: datetime,
) -> Early:
    """Write events, lock accounts, and look at what is known of these, in this order."""
    wanted = set(accounts)
    inserts = insert_statements(connection, EventRow, event_rows)
    names = [account for _, account in wanted], list({platform for platform, _ in wanted})
    looked_up = (*names, claims_since)
    *written, _locked, links = in_one_trip(
        connection, [*inserts, (LOCK_KEYS, (account_keys(wanted),)), (_LINKS, looked_up)]
    )
    found = [dict(zip(_COLUMNS, row, strict=False)) for row in links.rows]
    return Early(
        sum(reply.count for reply in written),
        [SimpleNamespace(_mapping=row, **row) for row in found],
        any(row[-1] for row in links.rows),
    )
