"""What can an intake find out in one trip to PostgreSQL, before it decides anything?"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from types import SimpleNamespace
from typing import Any

from sqlalchemy import Connection

from app.domain.attempts import EARNED, State
from app.steps.accounts import MEMBER, Id, Known, known_from
from app.steps.locks import LOCK_KEYS, account_keys
from app.storage.bulk import insert_statements
from app.storage.pipeline import in_one_trip
from app.storage.tables import EventRow, IdentityRow

_COLUMNS = tuple(column.name for column in IdentityRow.__table__.columns)
_PAID = ", ".join(f"'{state}'" for state in sorted(EARNED))
_MEMBERS = tuple(name for name, _ in MEMBER)
_IDENTITY = ", ".join(f"i.{name}" for name in _COLUMNS)
_MEMBER = ", ".join(f"m.{column}" for _, column in MEMBER)
_HAS_CLAIM = (
    "EXISTS (SELECT 1 FROM attempts a WHERE a.customer_id = i.customer_id"  # noqa: S608 -- words of ours
    " AND a.token_id IS NOT NULL AND a.event_id IS NULL"
    f" AND (a.state = '{State.CHECKING}' OR (a.state IN ({_PAID})"
    " AND a.created_at >= CAST($3 AS timestamptz))))"
)
# What `app.steps.accounts.look` asks, and whether a claim of whoever is linked is unproven.
_KNOWN = (
    f"SELECT {_IDENTITY}, {', '.join('NULL' for _ in _MEMBERS)}, {_HAS_CLAIM}"  # noqa: S608 -- names of ours
    " FROM identities i WHERE i.account_id = ANY($1) AND i.platform = ANY($2)"
    f" UNION ALL SELECT {_IDENTITY}, {_MEMBER}, {_HAS_CLAIM}"
    " FROM account_keys w JOIN account_keys m"
    " ON m.platform = w.platform AND m.account_key = w.account_key"
    " LEFT JOIN identities i ON i.platform = m.platform AND i.account_id = m.account_id"
    " WHERE w.account_id = ANY($1) AND w.platform = ANY($2)"
)


@dataclass(frozen=True, slots=True)
class Prefetched:
    """Events written, their accounts locked; what is known of these, and whether any of their
    customers has a claim that no event proves yet.
    """

    new_events: int
    known: Known
    has_claims: bool


def prefetch(
    connection: Connection,
    event_rows: Sequence[dict[str, Any]],
    accounts: Iterable[Id],
    claims_since: datetime,
    others: Iterable[Id] = (),
) -> Prefetched:
    """Write events, lock accounts and others, and look at what is known of these accounts."""
    wanted = set(accounts)
    inserts = insert_statements(connection, EventRow, event_rows)
    names = [account for _, account in wanted], list({platform for platform, _ in wanted})
    locks, looked_up = account_keys(wanted.union(others)), (*names, claims_since)
    *written, _locked, known = in_one_trip(
        connection, [*inserts, (LOCK_KEYS, (locks,)), (_KNOWN, looked_up)]
    )
    found = [dict(zip(_COLUMNS + _MEMBERS, row, strict=False)) for row in known.rows]
    return Prefetched(
        sum(reply.count for reply in written),
        known_from(SimpleNamespace(_mapping=row, **row) for row in found),
        any(row[-1] for row in known.rows),
    )
