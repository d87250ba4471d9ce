"""Search what platforms sent, with what it earned or why it earned nothing."""

from typing import Annotated
from uuid import UUID

from flask import Blueprint, Response
from pydantic import Field

from app.schemas.attempts import (
    EventInFull,
    EventPage,
    event_in_full,
    listed_event,
    sees_personal,
)
from app.schemas.fields import (
    AccountId,
    ActionName,
    Line,
    PlatformName,
    Schema,
    Target,
    Whole,
)
from app.schemas.filters import MAX_LIMIT, Cursor, Moment, cursor_after
from app.steps import events
from app.steps.events import EventFilter
from app.steps.keys import Role
from app.storage.database import Database
from app.storage.reading import PeoplesReads
from app.web.api.openapi import operation
from app.web.auth import caller, requires
from app.web.context import service
from app.web.parsing import query_as
from app.web.problems import Problem
from app.web.reading_slots import takes_slot
from app.web.responses import reply

blueprint = Blueprint("events", __name__)


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


@blueprint.get("/v1/events")
@requires(Role.VIEWER)
@operation(
    operation_id="listEvents",
    summary="Search what platforms sent, newest first",
    description="Also what fitted no rule, with the reason. Kinds of events that no rule can name "
    "are counted in `GET /v1/sources` and not kept.",
    query=EventQuery,
    answers={200: EventPage},
    tag="events",
)
@takes_slot
def listing() -> Response:
    return reply(page(service().people, query_as(EventQuery), caller().role))


@blueprint.get("/v1/events/<uuid:event_id>")
@requires(Role.VIEWER)
@operation(
    operation_id="getEvent",
    summary="Read one event",
    description="The event with what the platform sent, as long as that is kept.",
    answers={200: EventInFull},
    problems=("unknown",),
    tag="events",
)
@takes_slot
def whole_event(event_id: UUID) -> Response:
    found = in_full(service().people, str(event_id), caller().role)
    if found is None:
        raise Problem("unknown", "No event has this id.")
    return reply(found)


def page(database: Database | PeoplesReads, query: EventQuery, role: Role) -> EventPage:
    """A page of events, as a role may see them."""
    with database.read() as connection:
        found = events.page(connection, query.wanted(role), query.limit + 1, query.cursor)
        kept = found[: query.limit]
        attempts = events.attempts_of(connection, [row.id for row in kept])
    items = [listed_event(row, attempts[row.id], role) for row in kept]
    has_more = len(found) > query.limit
    return EventPage(items=items, next_cursor=cursor_after(items[-1].id) if has_more else None)


def in_full(database: Database | PeoplesReads, event_id: str, role: Role) -> EventInFull | None:
    """One event, as a role may see it; None: there is none with this id."""
    with database.read_at_one_moment() as connection:
        row = events.find(connection, event_id)
        attempts = events.attempts_of(connection, [event_id])
    return row and event_in_full(row, attempts[event_id], role)
