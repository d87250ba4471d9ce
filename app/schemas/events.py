"""Events as the API and the command line list them."""

from contextlib import AbstractContextManager
from typing import Annotated, Protocol

from pydantic import Field
from sqlalchemy import Connection

from app.domain.roles import Role
from app.schemas.attempts import (
    EventInFull,
    EventPage,
    event_in_full,
    listed_event,
    sees_personal,
)
from app.schemas.fields import AccountId, ActionName, Line, PlatformName, Schema, Target, Whole
from app.schemas.filters import MAX_LIMIT, Cursor, Moment, cursor_after
from app.steps import events
from app.steps.events import EventFilter


class Readable(Protocol):
    """Where connections to read from come from."""

    def read(self) -> AbstractContextManager[Connection]: ...

    def read_at_one_moment(self) -> AbstractContextManager[Connection]: ...


class EventQuery(Schema):
    """A page of events. Criteria that are left out leave no event out."""

    source: PlatformName | None = Field(default=None, description="By the name of the source.")
    action: ActionName | None = Field(default=None, description="Our word for the action.")
    account_id: AccountId | None = Field(default=None, description="The account that acted.")
    target: Target | None = Field(default=None, description="What it was done to.")
    matched: bool | None = Field(
        default=None, description="true: only those that fitted a rule; false: none of them."
    )
    from_at: Moment | None = Field(
        default=None, alias="from", description="Received then or later."
    )
    to_at: Moment | None = Field(default=None, alias="to", description="Received before then.")
    q: Annotated[Line, Field(min_length=1, max_length=255)] | None = Field(
        default=None,
        description="What a person typed: the beginning of an account id (fewer than three "
        "characters: the whole), an event's id or its first 8 digits, or a whole event key; to "
        "operators also a whole handle.",
    )
    limit: Whole = Field(default=50, ge=1, le=MAX_LIMIT, description="Events on a page.")
    cursor: Cursor | None = Field(default=None, description="The `nextCursor` of a page.")

    def wanted(self, role: Role) -> EventFilter:
        return EventFilter(
            source=self.source,
            action=self.action,
            account_id=self.account_id,
            target=self.target,
            matched=self.matched,
            from_at=self.from_at,
            to_at=self.to_at,
            q=self.q and self.q.strip(),
            finds_handles=sees_personal(role),
        )


def page(database: Readable, query: EventQuery, role: Role) -> EventPage:
    """A page of events, as a role may see them."""
    with database.read() as connection:
        found = events.page(connection, query.wanted(role), query.limit + 1, query.cursor)
        kept = found[: query.limit]
        attempts = events.attempts_of(connection, [row.id for row in kept])
    items = [listed_event(row, attempts[row.id], role) for row in kept]
    has_more = len(found) > query.limit
    return EventPage(items=items, next_cursor=cursor_after(items[-1].id) if has_more else None)


def in_full(database: Readable, event_id: str, role: Role) -> EventInFull | None:
    """One event, as a role may see it; None: there is none with this id."""
    with database.read_at_one_moment() as connection:
        row = events.find(connection, event_id)
        attempts = events.attempts_of(connection, [event_id])
    return row and event_in_full(row, attempts[event_id], role)
