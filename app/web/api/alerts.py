"""Is anything wrong, and does it reach whom it should?"""

from datetime import datetime
from typing import Any

from flask import Blueprint, Response
from pydantic import Field
from sqlalchemy import Connection, Row

from app.domain.alerts import AlertKind
from app.schemas.fields import Schema
from app.steps import alerts, audit
from app.steps.audit import Change
from app.steps.keys import Role
from app.web.api.openapi import operation
from app.web.auth import caller, requires
from app.web.context import service
from app.web.reading_slots import takes_slot
from app.web.responses import reply

blueprint = Blueprint("alerts", __name__)

_MOST_LISTED = 100


class Alert(Schema):
    """Something that is or was wrong."""

    kind: AlertKind
    subject: str | None = Field(description="Of what: a source's name, where it is one.")
    text: str
    raised_at: datetime
    cleared_at: datetime | None = Field(description="Null while it is wrong.")


class Alerts(Schema):
    """What is wrong, then what was; each the newest first."""

    items: list[Alert]


class AlertTest(Schema):
    """A test is on its way."""

    receivers: list[str] = Field(description="Whom the configuration names.")


@blueprint.get("/v1/alerts")
@requires(Role.VIEWER)
@operation(
    operation_id="listAlerts",
    summary="List what is and was wrong",
    description="Nobody looks while the configuration has no `[[receivers]]`.",
    answers={200: Alerts},
    tag="alerts",
)
@takes_slot
def listing() -> Response:
    with service().people.read_at_one_moment() as connection:
        found = alerts.listing(connection, _MOST_LISTED)
    return reply(Alerts(items=[shown(row) for row in found]))


@blueprint.post("/v1/alerts/test")
@requires(Role.OPERATOR)
@operation(
    operation_id="sendTestAlert",
    summary="Send every receiver a test",
    description="Queues one test message for each of the configuration's `[[receivers]]`; a worker "
    "sends them.",
    answers={202: AlertTest},
    tag="alerts",
)
def test() -> Response:
    names = [receiver.name for receiver in service().configuration.receivers]
    by, now = caller().named, service().now()

    def step(connection: Connection) -> None:
        alerts.test(connection, names, now)
        audit.record(connection, Change.ALERTS_TESTED, by=by, now=now, receivers=names)

    service().database.write(step)
    return reply(AlertTest(receivers=names), 202)


def shown(row: Row[Any]) -> Alert:
    return Alert(
        kind=row.kind,
        subject=row.subject or None,
        text=row.text,
        raised_at=row.raised_at,
        cleared_at=row.cleared_at,
    )
