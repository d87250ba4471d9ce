"""Count attempts over time."""

from datetime import datetime
from typing import Annotated

from flask import Blueprint, Response
from pydantic import BeforeValidator, Field

from app.domain.attempts import State
from app.domain.roles import Role
from app.schemas.fields import Schema
from app.schemas.filters import Moment, comma_separated
from app.steps import stats
from app.steps.stats import LENGTHS, By, Per
from app.web.api.openapi import operation
from app.web.auth import requires
from app.web.context import service
from app.web.parsing import query_as
from app.web.problems import Problem
from app.web.reading_slots import takes_slot
from app.web.responses import reply

blueprint = Blueprint("stats", __name__)

MAX_POINTS = 1_000
_USUAL_POINTS = {Per.HOUR: 48, Per.DAY: 30}

_NOT_SPLIT = {"state": None, "challenge_id": None, "source": None}

Dimensions = Annotated[tuple[By, ...], Field(min_length=1), BeforeValidator(comma_separated)]


class StatsQuery(Schema):
    """Which span to count, how finely, and split by what."""

    per: Per = Field(default=Per.DAY, description="How long a point in time is, in UTC.")
    by: Dimensions = Field(default=tuple(By), description="What the counts are split by.")
    from_at: Moment | None = Field(
        default=None, alias="from", description="Made then or later; else 30 days or 48 hours."
    )
    to_at: Moment | None = Field(default=None, alias="to", description="Made before; else now.")

    def span(self, now: datetime) -> tuple[datetime, datetime]:
        """Return the span. Raises a 400 `Problem` if it is empty or has too many points."""
        to_at = self.to_at or now
        from_at = self.from_at or to_at - LENGTHS[self.per] * _USUAL_POINTS[self.per]
        if from_at >= to_at:
            raise _wrong_span("must be earlier than `to`")
        if to_at - from_at > LENGTHS[self.per] * MAX_POINTS:
            raise _wrong_span(f"more than {MAX_POINTS} points from there to `to`")
        return from_at, to_at


class Count(Schema):
    """How many attempts of one kind were made in one hour or on one day."""

    at: datetime = Field(description="When the hour or day begins.")
    state: State | None = Field(description="Null unless `by` has `state`.")
    challenge_id: int | None = Field(description="Null unless `by` has `challenge`.")
    source: str | None = Field(
        description="Null unless `by` has `source`, and for claims that no source confirmed."
    )
    count: int


class Stats(Schema):
    """Counts in order of time. What was not counted is not listed."""

    per: Per
    from_at: datetime = Field(alias="from")
    to_at: datetime = Field(alias="to")
    items: list[Count]


@blueprint.get("/v1/stats")
@requires(Role.VIEWER)
@operation(
    operation_id="getStats",
    summary="Count attempts over time",
    description="By hour or by day, at most 1000 of them. Hours and days without attempts are left "
    "out.",
    query=StatsQuery,
    answers={200: Stats},
    tag="stats",
)
@takes_slot
def counts() -> Response:
    query = query_as(StatsQuery)
    from_at, to_at = query.span(service().now())
    by = tuple(dict.fromkeys(query.by))
    with service().people.read() as connection:
        found = stats.counts(connection, from_at, to_at, query.per, by)
    items = [
        Count(**{**_NOT_SPLIT, **row._asdict(), "at": stats.starts_at(row.at)}) for row in found
    ]
    return reply(Stats(per=query.per, from_at=from_at, to_at=to_at, items=items))


def _wrong_span(problem: str) -> Problem:
    errors = [{"field": "from", "problem": problem}]
    return Problem("invalid", "See errors.", status=400, errors=errors)
