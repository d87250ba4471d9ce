"""List alerts and send a test to the receivers."""

from flask import Blueprint, Response
from pydantic import Field
from sqlalchemy import Connection

from app.domain.roles import Role
from app.schemas.alerts import MOST_LISTED, Alerts, shown
from app.schemas.fields import Schema
from app.steps import alerts, audit
from app.steps.audit import Change
from app.web.api.openapi import operation
from app.web.auth import caller, requires
from app.web.context import service
from app.web.reading_slots import takes_slot
from app.web.responses import reply

blueprint = Blueprint("alerts", __name__)


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
        found = alerts.listing(connection, MOST_LISTED)
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
