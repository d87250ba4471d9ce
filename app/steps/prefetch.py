"""Writes events, locks accounts and reads what intake needs: one trip on PostgreSQL."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from types import SimpleNamespace
from typing import Any

from sqlalchemy import Connection

from app.domain.attempts import State
from app.steps.accounts import MEMBER, Id, Known, known_from
from app.steps.former_keys import FormerKeys
from app.steps.locks import LOCK_KEYS, account_keys
from app.steps.proving import PAID_STATES
from app.storage.bulk import insert_rows, insert_statements
from app.storage.pipeline import has_pipeline, in_one_trip, one_by_one
from app.storage.tables import EventRow

# The columns of a link for intake. `created_at` is only compared: on SQLite it is a text.
_COLUMNS = ("platform", "account_id", "customer_id", "email", "mobile", "created_at")
_MEMBERS = tuple(name for name, _ in MEMBER)
_IDENTITY = ", ".join(f"i.{name}" for name in _COLUMNS)
_MEMBER = ", ".join(f"m.{column}" for _, column in MEMBER)
_HAS_CLAIM = (
    "EXISTS (SELECT 1 FROM attempts a WHERE a.customer_id = i.customer_id"  # noqa: S608 -- words of ours
    " AND a.token_id IS NOT NULL AND a.event_id IS NULL"
    f" AND (a.state = '{State.CHECKING}' OR (a.state IN ({PAID_STATES})"
    " AND a.created_at >= CAST($3 AS timestamptz))))"
)
# The query of `app.steps.accounts.look`, and whether the linked customer has unproven claims.
_KNOWN = (
    f"SELECT {_IDENTITY}, {', '.join('NULL' for _ in _MEMBERS)}, {_HAS_CLAIM}"  # noqa: S608 -- names of ours
    " FROM identities i WHERE i.account_id = ANY($1) AND i.platform = ANY($2)"
    f" UNION ALL SELECT {_IDENTITY}, {_MEMBER}, {_HAS_CLAIM}"
    " FROM account_keys w JOIN account_keys m"
    " ON m.platform = w.platform AND m.account_key = w.account_key"
    " LEFT JOIN identities i ON i.platform = m.platform AND i.account_id = m.account_id"
    " WHERE w.account_id = ANY($1) AND w.platform = ANY($2)"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Prefetched:
    """The result of `prefetch`.

    - ``new_events``: the number of events that were new.
    - ``known``: the links and accounts of the ids.
    - ``has_claims``: whether any of the linked customers has a claim without a proving event.
    - ``by_former_key``: the events found under former keys.
    """

    new_events: int
    known: Known
    has_claims: bool
    by_former_key: Sequence[Any]


def prefetch(
    connection: Connection,
    event_rows: Sequence[dict[str, Any]],
    accounts: Collection[Id],
    former: FormerKeys,
    claims_since: datetime,
    others: Iterable[Id] = (),
) -> Prefetched:
    """Write events, lock accounts and others, and read what is known of the accounts.

    SQLite has one writer, so nothing is locked there.
    """
    platforms = {platform for platform, _ in accounts}
    looked_up = [account for _, account in accounts], list(platforms), claims_since
    questions = [(_KNOWN, looked_up), *([former.find()] if former.hashes else [])]
    if has_pipeline(connection):
        inserts = insert_statements(connection, EventRow, event_rows)
        locks = account_keys({*accounts, *others})
        replies = in_one_trip(connection, [*inserts, (LOCK_KEYS, (locks,)), *questions])
        written, answers = replies[: len(inserts)], replies[len(inserts) + 1 :]
        new_events = sum(reply.count for reply in written)
    else:
        new_events = insert_rows(connection, EventRow, event_rows)
        answers = one_by_one(connection, questions)
    known = answers[0].rows
    found = [dict(zip(_COLUMNS + _MEMBERS, row, strict=False)) for row in known]
    return Prefetched(
        new_events=new_events,
        known=known_from(SimpleNamespace(_mapping=row, **row) for row in found),
        has_claims=any(row[-1] for row in known),
        by_former_key=answers[1].rows if former.hashes else (),
    )
