"""Is what Gameball tells over HTTP heard, and does it earn nothing?"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest
from flask.testing import FlaskClient
from structlog.testing import capture_logs

from app.domain.answers import Outcome
from app.metrics import EVENTS
from app.platforms.kit.callback import Example
from app.platforms.kit.examples import templates
from app.service import Service
from app.storage.errors import StorageUnavailable
from tests.clock import Clock
from tests.conftest import MakeService
from tests.steps.world import World
from tests.web.applications import app_over
from tests.web.sources import kept

CONFIG = """
[[sources]]
name = "gameball"
platform = "gameball"
secrets = ["env:GB_KEY"]
automation_secrets = ["env:GB_AUTOMATION"]
"""
SECRETS = {
    "VOUCH_SECRET_KEYS": "newest-key-of-the-tests",
    "GB_KEY": "our-secret-key",
    "GB_AUTOMATION": "an-automation-secret-of-ours",
}


@dataclass(kw_only=True)
class Desk:
    """A service that Gameball tells, and a world over its database with one accepted attempt."""

    service: Service
    client: FlaskClient
    world: World
    attempt_id: str
    woken: list[str] = field(default_factory=list)

    def post(self, body: bytes, headers: Mapping[str, str]) -> int:
        sent = self.client.post("/webhooks/gameball", data=body, headers=dict(headers))
        return sent.status_code

    def tell(self, secret: str = SECRETS["GB_AUTOMATION"], **changes: Any) -> int:
        body = {"event": "reward_campaign.achieved", "customer_id": "ann", "campaign_id": 1}
        return self.post(json.dumps({**body, **changes}).encode(), {"X-Vouch-Secret": secret})

    def topic(self, name: str, customer: str = "ann") -> Example:
        adapter = self.service.configuration.sources["gameball"]
        filled = templates("gameball")[name].fill(
            actor=customer, target="", key="", now=self.world.now
        )
        return adapter.sign(filled, self.world.now)

    @property
    def is_due(self) -> bool:
        return bool(self.world.attempt(self.attempt_id).next_at == self.world.now)


@pytest.fixture
def desk(make_service: MakeService, database_url: str, clock: Clock) -> Desk:
    service = make_service(CONFIG, **SECRETS)
    world = World(database=service.database, clock=clock)
    attempt_id = world.owed()
    world.submit(attempt_id, Outcome.ACCEPTED)
    clock.advance(5)
    made = Desk(
        service=service, client=app_over(service).test_client(), world=world, attempt_id=attempt_id
    )
    service.wake_confirmer = lambda: made.woken.append("woken")
    return made


def counted(outcome: str) -> float:
    return float(EVENTS.labels("gameball", outcome)._value.get())


def test_what_is_achieved_is_looked_at_now_however_often_it_is_told(desk: Desk) -> None:
    before = kept(desk.service)

    answers = [desk.tell() for _ in range(5)]

    assert answers == [204] * 5
    assert desk.is_due
    assert desk.woken
    # No event, no attempt, no award, no entry in a timeline.
    assert kept(desk.service) == before


@pytest.mark.parametrize("name", ["notification", "profile"])
def test_a_topic_is_heard_and_its_personal_data_is_not_logged(desk: Desk, name: str) -> None:
    sent = desk.topic(name)

    with capture_logs() as logs:
        answer = desk.post(sent.body, sent.headers)

    assert answer == 204
    assert desk.is_due
    assert "ann" not in repr(logs)
    assert "shop.example" not in repr(logs)


def test_a_forged_one_is_refused_and_makes_nobody_look(desk: Desk) -> None:
    sent = desk.topic("profile")
    forged = {**sent.headers, "x-gb-signature": "0" * 40}

    answers = [
        desk.tell(secret="somebody-elses-guess-of-it"),
        desk.post(sent.body, forged),
        desk.post(sent.body.replace(b"ann", b"bob"), sent.headers),
        desk.post(sent.body, {}),
    ]

    assert answers == [403] * 4
    assert not desk.is_due
    assert not desk.woken


def test_what_concerns_nobody_who_waits_is_ignored_and_counted(desk: Desk) -> None:
    before = counted("ignored"), counted("nudge")

    answers = [desk.tell(customer_id="nobody"), desk.tell(campaign_id=99), desk.tell()]

    assert answers == [204] * 3
    assert (counted("ignored"), counted("nudge")) == (before[0] + 2, before[1] + 1)


def test_where_it_cannot_be_written_down_gameball_is_asked_to_send_it_again(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise StorageUnavailable("the disk is full")

    monkeypatch.setattr(desk.service.database, "write_each", fail)

    assert desk.tell() == 503
