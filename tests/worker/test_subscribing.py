"""Is a feed subscribed to, and kept so, from the worker's question to the hub to the event?"""

from collections.abc import Callable
from urllib.parse import parse_qsl, urlsplit

import pytest
from flask.testing import FlaskClient

from app.domain.sources import Seen
from app.platforms.kit.callback import SubscriptionRequest
from app.platforms.kit.examples import templates
from app.service import Service
from app.steps.sources import seen_of
from app.web import create_app
from app.worker import renewals
from app.worker.build import build_renewals
from tests.clock import Clock
from tests.conftest import MakeService

CONFIG = """
[[sources]]
name = "creators"
platform = "youtube"
secrets = ["env:HUB_SECRET"]
channels = ["UC-ann"]
verify_token = "a token that nobody guesses"
callback_url = "https://vouch.example/webhooks/creators"
lease_seconds = 86400
"""


class Hub:
    """Asks back before it subscribes, as hubs do; ``lease`` is all it ever grants."""

    def __init__(self, client: FlaskClient, lease: int) -> None:
        self.client = client
        self.lease = lease
        self.asked: list[SubscriptionRequest] = []
        self.answers: list[tuple[int, str]] = []

    def take(self, ask: SubscriptionRequest) -> None:
        self.asked.append(ask)
        address = urlsplit(ask.form["hub.callback"])
        query = {
            **dict(parse_qsl(address.query)),
            "hub.mode": ask.form["hub.mode"],
            "hub.topic": ask.form["hub.topic"],
            "hub.challenge": "a-challenge",
            "hub.lease_seconds": str(self.lease),
        }
        answer = self.client.get(address.path, query_string=query)
        self.answers.append((answer.status_code, answer.get_data(as_text=True)))


@pytest.fixture
def service(make_service: MakeService, database_url: str) -> Service:
    return make_service(CONFIG, HUB_SECRET="a-secret-for-the-hub", VOUCH_SECRET_KEYS="k" * 20)


@pytest.fixture
def hub(service: Service, monkeypatch: pytest.MonkeyPatch) -> Hub:
    hub = Hub(create_app(service).test_client(), lease=86_400)
    monkeypatch.setattr(renewals, "_asked", hub.take)
    return hub


@pytest.fixture
def seen(service: Service) -> Callable[[], Seen]:
    def look() -> Seen:
        service.watch.flush()
        with service.database.read() as connection:
            return seen_of(connection, ["creators"])["creators"]

    return look


def test_the_worker_subscribes_and_the_hub_is_told_that_it_is_us(
    service: Service, hub: Hub, seen: Callable[[], Seen], clock: Clock
) -> None:
    build_renewals(service).look()

    (subscription,) = seen().subscriptions
    assert hub.answers == [(200, "a-challenge")]
    assert subscription.granted_at == clock.now()
    assert subscription.lapses_at is not None
    assert (subscription.lapses_at - clock.now()).total_seconds() == 86_400


def test_it_renews_at_half_of_the_time_for_ever(
    service: Service, hub: Hub, seen: Callable[[], Seen], clock: Clock
) -> None:
    for _ in range(24 * 4):
        build_renewals(service).look()
        seen()
        clock.advance(3_600)

    assert len(hub.asked) == 4 * 2
    (subscription,) = seen().subscriptions
    assert not subscription.is_lapsed(clock.now())


def test_what_the_hub_then_sends_is_believed(service: Service, hub: Hub, clock: Clock) -> None:
    build_renewals(service).look()
    adapter = service.configuration.sources["creators"]
    example = templates("youtube")["post"].fill(
        actor="UC-ann", target="-", key="video-1", now=clock.now()
    )
    sent = adapter.sign(example, clock.now())

    answer = hub.client.post("/webhooks/creators", data=sent.body, headers=dict(sent.headers))

    assert answer.status_code == 204
    assert hub.asked[0].form["hub.secret"] == "a-secret-for-the-hub"


@pytest.mark.parametrize(
    "change", [{"verify_token": "guessed"}, {"hub.topic": "another"}, {"hub.mode": "unsubscribe"}]
)
def test_a_strangers_handshake_is_not_answered_and_makes_no_subscription_last(
    service: Service, hub: Hub, seen: Callable[[], Seen], change: dict[str, str]
) -> None:
    adapter = service.configuration.sources["creators"]
    told = {
        "verify_token": "a token that nobody guesses",
        "hub.mode": "subscribe",
        "hub.topic": adapter.topics[0],
        "hub.challenge": "<script>",
        "hub.lease_seconds": "9999999",
        **change,
    }

    answer = hub.client.get("/webhooks/creators", query_string=told)

    assert answer.status_code == 404
    assert answer.content_type == "application/problem+json"
    assert "script" not in answer.get_data(as_text=True)
    assert seen().subscriptions == ()
