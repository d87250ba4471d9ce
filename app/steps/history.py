"""Searches the attempts, newest first."""

import re
import uuid
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Protocol

from sqlalchemy import (
    ColumnElement,
    Connection,
    Row,
    Select,
    exists,
    func,
    outerjoin,
    select,
    union,
)

from app.domain.attempts import State
from app.domain.clock import least_id
from app.domain.evidence import Evidence
from app.steps.holders import Holder, holder_of_duplicate
from app.storage.hashes import Hashes, hashes_if_any
from app.storage.tables import (
    ATTEMPTS,
    EVENTS,
    GRANTS,
    AttemptRow,
    BarRow,
    BaselineRow,
    EventRow,
    GrantRow,
    SubmissionRow,
    TransitionRow,
)
from app.storage.vault import Vault, vault_of

SHORTEST_PREFIX = 3
_SHORTEST_ID_PREFIX = 8
# The last code point. A text with a prefix sorts before the prefix followed by this.
_LAST = "\U0010ffff"
_ID = re.compile(r"[0-9a-f-]+", re.IGNORECASE)


class Readable(Protocol):
    """A provider of connections for reading."""

    def read(self) -> AbstractContextManager[Connection]: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Filter:
    """A filter for attempts. An attempt must fulfil all criteria that are given.

    ``from_at`` is included, ``to_at`` is not; both apply to the creation of the attempt. ``q``
    searches as `_found_by` describes. It searches handles only with ``finds_handles``: a search
    must not reveal what the caller may not see.
    """

    customer_id: str | None = None
    challenge_id: int | None = None
    source: str | None = None
    platform: str | None = None
    action: str | None = None
    states: tuple[State, ...] = ()
    evidence: Evidence | None = None
    account_id: str | None = None
    from_at: datetime | None = None
    to_at: datetime | None = None
    q: str | None = None
    undone: bool | None = None
    finds_handles: bool = False

    @property
    def is_empty(self) -> bool:
        """Whether there are no criteria."""
        return replace(self, finds_handles=False) == Filter()


@dataclass(frozen=True, slots=True, kw_only=True)
class Whole:
    """Everything known of one attempt. Timeline and submissions are oldest first."""

    attempt: Any
    event: Any
    baseline: Row[Any] | None
    grant: Any
    timeline: Sequence[Row[Any]]
    submissions: Sequence[Row[Any]]
    is_barring: bool = False
    holder: Holder | None = None


# Contacts are only for Gameball. The history shows only whether email and mobile exist.
_SHOWN = (
    *(c for c in AttemptRow.__table__.columns if c.name not in ("email", "mobile", "token_id")),
    AttemptRow.email.is_not(None).label("has_email"),
    AttemptRow.mobile.is_not(None).label("has_mobile"),
    GrantRow.points.label("granted_points"),
    GrantRow.coupon_code.label("granted_coupon"),
)
_GRANTS = outerjoin(AttemptRow, GrantRow, GrantRow.attempt_id == AttemptRow.id)


def page(
    connection: Connection, wanted: Filter, limit: int, before: str | None = None
) -> list[Any]:
    """Return at most ``limit`` attempts, newest first. ``before``: only attempts with a smaller id.

    Ids sort by time, so new attempts do not shift the position.
    """
    statement = _where(select(*_SHOWN).select_from(_GRANTS), connection, wanted)
    if before is not None:
        statement = statement.where(AttemptRow.id < before)
    vault = vault_of(connection)
    rows = connection.execute(statement.order_by(AttemptRow.id.desc()).limit(limit))
    return [_opened(vault, row) for row in rows]


def pages(database: Readable, wanted: Filter, size: int = 500) -> Iterator[list[Any]]:
    """Yield every matching attempt in pages. Each page is a transaction of its own."""
    before: str | None = None
    while True:
        with database.read() as connection:
            found = page(connection, wanted, size, before)
        if found:
            yield found
        if len(found) < size:
            return
        before = found[-1].id


def rows(database: Readable, wanted: Filter) -> Iterator[Any]:
    """Yield every matching attempt, newest first, without a long transaction."""
    return (row for found in pages(database, wanted) for row in found)


def count(connection: Connection, wanted: Filter, before: str | None = None) -> int:
    """Count the matching attempts. ``before``: only attempts with a smaller id."""
    statement = _where(select(func.count()).select_from(AttemptRow), connection, wanted)
    if before is not None:
        statement = statement.where(AttemptRow.id < before)
    matched: int = connection.execute(statement).scalar_one()
    return matched


def count_by_state(connection: Connection, wanted: Filter) -> dict[State, int]:
    """Count the matching attempts by state. States without attempts are absent."""
    columns: tuple[Any, ...] = (AttemptRow.state, func.count())
    counted = _where(select(*columns).group_by(AttemptRow.state), connection, wanted)
    found = connection.execute(counted.order_by(AttemptRow.state))
    return {State(state): number for state, number in found}


def find(connection: Connection, attempt_id: str) -> Any:
    """Return one attempt in the form of `page`, or None."""
    statement = select(*_SHOWN).select_from(_GRANTS).where(AttemptRow.id == attempt_id)
    row = connection.execute(statement).one_or_none()
    return row and _opened(vault_of(connection), row)


def in_full(connection: Connection, attempt_id: str) -> Whole | None:
    """Return everything known of one attempt, or None. Call it in one consistent read."""
    attempt = find(connection, attempt_id)
    if attempt is None:
        return None
    found = select(EventRow.__table__).where(EventRow.id == attempt.event_id)
    event = connection.execute(found).one_or_none()
    grant = _one_of(connection, attempt_id, GrantRow)
    vault = vault_of(connection)
    return Whole(
        attempt=attempt,
        event=event and vault.open_row(EVENTS, event),
        baseline=_one_of(connection, attempt_id, BaselineRow),
        grant=grant and vault.open_row(GRANTS, grant),
        timeline=_of(connection, attempt_id, TransitionRow),
        submissions=_of(connection, attempt_id, SubmissionRow),
        is_barring=connection.execute(
            select(exists().where(BarRow.attempt_id == attempt_id))
        ).scalar_one(),
        holder=holder_of_duplicate(connection, attempt),
    )


def _opened(vault: Vault, row: Row[Any]) -> Any:
    """Open the sealed values of an attempt and of its grant."""
    shown = vault.open_row(ATTEMPTS, row)
    grant = {"attempt_id": row.id, "coupon_code": row.granted_coupon}
    shown.granted_coupon = vault.open_values(GRANTS, grant)["coupon_code"]
    return shown


def _one_of(
    connection: Connection, attempt_id: str, table: type[BaselineRow] | type[GrantRow]
) -> Row[Any] | None:
    statement = select(table.__table__).where(table.attempt_id == attempt_id)
    return next(iter(connection.execute(statement)), None)


def _of(
    connection: Connection, attempt_id: str, table: type[TransitionRow] | type[SubmissionRow]
) -> list[Row[Any]]:
    statement = select(table.__table__).where(table.attempt_id == attempt_id).order_by(table.id)
    return list(connection.execute(statement))


def _where(statement: Select[Any], connection: Connection, wanted: Filter) -> Select[Any]:
    equal = {
        AttemptRow.customer_id: wanted.customer_id,
        AttemptRow.challenge_id: wanted.challenge_id,
        AttemptRow.source: wanted.source,
        AttemptRow.platform: wanted.platform,
        AttemptRow.action: wanted.action,
        AttemptRow.evidence: wanted.evidence,
        AttemptRow.account_id: wanted.account_id,
    }
    statement = statement.where(*(c == value for c, value in equal.items() if value is not None))
    if wanted.states:
        # With a customer or account few rows match, so the state's index would be slower. SQLite
        # keeps no statistics by default and would use it; the concatenation prevents that.
        is_few = wanted.customer_id or wanted.account_id
        state = AttemptRow.state.concat("") if is_few else AttemptRow.state
        statement = statement.where(state.in_(wanted.states))
    if wanted.undone is not None:
        is_undone = AttemptRow.undone_at.is_not(None)
        statement = statement.where(is_undone if wanted.undone else ~is_undone)
    if wanted.q is not None:
        statement = statement.where(_found_by(connection, wanted.q, wanted.finds_handles))
    return statement.where(*made_between(wanted.from_at, wanted.to_at))


def made_between(from_at: datetime | None, to_at: datetime | None) -> list[ColumnElement[bool]]:
    """Match attempts that were created from ``from_at`` until before ``to_at``.

    An id begins with the milliseconds of `created_at`, so the primary key serves as the index.
    """
    bounds: list[ColumnElement[bool]] = []
    if from_at is not None:
        bounds += [AttemptRow.id >= least_id(from_at), AttemptRow.created_at >= from_at]
    if to_at is not None:
        next_id = least_id(to_at + timedelta(milliseconds=1))
        bounds += [AttemptRow.id < next_id, AttemptRow.created_at < to_at]
    return bounds


def _found_by(connection: Connection, text: str, finds_handles: bool) -> ColumnElement[bool]:
    """Match the customer, account, event key, id or actor's handle in ``text``.

    - Customer and account: by prefix, with regard to case. Texts with fewer than
      `SHORTEST_PREFIX` characters must match completely.
    - The attempt's id: by its first 8 digits or more.
    - Event key and handle: completely, by keyed hashes. A handle may be typed in any form.

    Each search uses an index. Targets are not searched: many attempts share one, and there is
    no index.
    """
    found = [
        select(AttemptRow.id).where(begins(connection, AttemptRow.customer_id, text)),
        select(AttemptRow.id).where(begins(connection, AttemptRow.account_id, text)),
    ]
    hashes = hashes_if_any(connection)
    if hashes is not None:
        events = union(*_events_found_by(hashes, text, finds_handles))
        found.append(select(AttemptRow.id).where(AttemptRow.event_id.in_(events)))
    span = ids_beginning(text)
    if span is not None:
        found.append(select(AttemptRow.id).where(AttemptRow.id.between(*span)))
    return AttemptRow.id.in_(union(*found))


def _events_found_by(hashes: Hashes, text: str, finds_handles: bool) -> Iterator[Select[Any]]:
    sources = event_sources()
    yield select(EventRow.id).where(
        EventRow.source.in_(select(sources.c.source)), EventRow.key_hash == hashes.event_key(text)
    )
    if finds_handles:
        yield select(EventRow.id).where(EventRow.handle_hash.in_(hashes.handles(text)))


def event_sources() -> Any:
    """Each source once. A recursive query jumps through the index instead of reading all of it."""
    first = select(func.min(EventRow.source).label("source")).cte("sources", recursive=True)
    following = select(func.min(EventRow.source)).where(EventRow.source > first.c.source)
    return first.union_all(select(following.scalar_subquery()).where(first.c.source.is_not(None)))


def begins(connection: Connection, column: Any, text: str) -> ColumnElement[bool]:
    """Whether a text begins with another, as a range that an index can serve.

    PostgreSQL's usual comparison follows its collation; these operators compare bytes.
    https://www.postgresql.org/docs/current/indexes-opclass.html
    """
    if len(text) < SHORTEST_PREFIX:
        equals: ColumnElement[bool] = column == text
        return equals
    is_postgres = connection.dialect.name == "postgresql"
    at_least, below = ("~>=~", "~<~") if is_postgres else (">=", "<")
    bounds = column.op(at_least, is_comparison=True)(text)
    result: ColumnElement[bool] = bounds & column.op(below, is_comparison=True)(text + _LAST)
    return result


def ids_beginning(text: str) -> tuple[str, str] | None:
    """Return the first and last id with this prefix; None if it is no prefix of an id."""
    digits = text.replace("-", "").lower()
    if not _ID.fullmatch(text) or not _SHORTEST_ID_PREFIX <= len(digits) <= 32:
        return None
    return str(uuid.UUID(digits.ljust(32, "0"))), str(uuid.UUID(digits.ljust(32, "f")))
