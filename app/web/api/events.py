"""Search the events that platforms sent, with their rewards or the reason for none."""

from uuid import UUID

from flask import Blueprint, Response

from app.domain.roles import Role
from app.schemas.attempts import EventInFull, EventPage
from app.schemas.events import EventQuery, in_full, page
from app.web.api.openapi import operation
from app.web.auth import caller, requires
from app.web.context import service
from app.web.parsing import query_as
from app.web.problems import Problem
from app.web.reading_slots import takes_slot
from app.web.responses import reply

blueprint = Blueprint("events", __name__)


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
