"""May those who watch see what is wrong, and operators test who is woken?"""

from dataclasses import replace
from typing import Any

import pytest
from pydantic import SecretStr
from sqlalchemy import Connection

from app.domain.alerts import AlertKind, Judgement
from app.service import Service
from app.settings.receivers import Receiver, ReceiverKind
from app.steps import alerts
from app.steps.keys import Role
from app.storage.tables import NoticeRow
from tests.web.history.conftest import Caller
from tests.web.history.test_attempts import problem

CHAT = Receiver(name="chat", kind=ReceiverKind.SLACK, url=SecretStr("https://hooks.example/T0"))


def test_what_is_wrong_is_listed_and_stays_listed_when_it_is_over(
    service: Service, viewer: Caller
) -> None:
    wrong = {(AlertKind.BACKLOG, ""): "late", (AlertKind.SOURCE_SILENT, "x"): "x is silent"}
    judgements = [Judgement(wrong), Judgement({(AlertKind.BACKLOG, ""): "late"})]

    def settle(connection: Connection) -> None:
        for judgement in judgements:
            alerts.settle(connection, judgement, (), service.now())

    service.database.write(settle)

    items = viewer.get("/v1/alerts").json["items"]  # type: ignore[index]

    found = {item["kind"]: (item["subject"], item["clearedAt"] is None) for item in items}
    assert found == {"backlog": (None, True), "source_silent": ("x", False)}


def test_what_comes_and_goes_hides_nothing_that_is_wrong(service: Service, viewer: Caller) -> None:
    paused = {(AlertKind.FORWARDING_PAUSED, ""): "paused"}
    late = {(AlertKind.BACKLOG, ""): "late"}

    def come_and_go(connection: Connection) -> None:
        for _ in range(120):
            alerts.settle(connection, Judgement({**paused, **late}), (), service.now())
            alerts.settle(connection, Judgement(paused), (), service.now())

    service.database.write(come_and_go)

    items = viewer.get("/v1/alerts").json["items"]  # type: ignore[index]

    assert [item["kind"] for item in items] == ["forwarding_paused", *["backlog"] * 99]


def test_a_test_is_sent_to_all_and_audited(service: Service, operator: Caller) -> None:
    service.configuration = replace(service.configuration, receivers=(CHAT,))

    answer = operator.post("/v1/alerts/test")

    assert (answer.status_code, answer.json) == (202, {"receivers": ["chat"]})
    with service.database.read() as connection:
        [notice] = connection.execute(NoticeRow.__table__.select()).all()
    assert notice.receiver == "chat"
    entry = operator.get("/v1/audit").json["items"][0]  # type: ignore[index]
    assert (entry["change"], entry["details"]) == ("alerts.tested", {"receivers": ["chat"]})


@pytest.mark.parametrize("role", [Role.VIEWER, Role.BACKEND])
def test_only_operators_send_tests(call_as: Any, role: Role) -> None:
    assert problem(call_as(role).post("/v1/alerts/test")) == (403, "forbidden")


def test_a_backend_sees_no_alerts(call_as: Any) -> None:
    assert problem(call_as(Role.BACKEND).get("/v1/alerts")) == (403, "forbidden")
