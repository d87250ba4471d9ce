"""Does each source say how it is?"""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from flask.testing import FlaskClient
from pydantic import SecretStr

from app.platforms.kit.callback import Example, SubscriptionLease
from app.service import Service
from app.settings.sections import AlertsSection
from app.steps import health, proxies
from tests.conftest import on_sqlite
from tests.web.history.conftest import Caller, Clock, follow
from tests.web.history.test_history import explain, receive_follow
from tests.web.history.test_metrics import anyone, scraped

__all__ = ["anyone"]

SECONDS = timedelta(seconds=1)
ENOUGH = AlertsSection().refused_of_at_least


def listed(service: Service, viewer: Caller) -> list[Any]:
    service.watch.flush()
    answer: Any = viewer.get("/v1/sources").json
    return list(answer["items"])


@on_sqlite
@pytest.mark.parametrize("header", proxies.HEADERS)
def test_a_proxy_of_which_nobody_told_us_is_told(
    service: Service, viewer: Caller, header: str
) -> None:
    before: Any = viewer.get("/v1/sources").json
    junk = {"token": "a.b.c"}
    viewer.client.post("/v1/claims", json=junk, headers={header: "198.51.100.7"})
    service.watch.flush()

    after: Any = viewer.get("/v1/sources").json

    assert before["notices"] == []
    [notice] = after["notices"]
    assert notice["text"].startswith(f"{header} comes with claims")
    assert "trusted_proxies" in notice["text"]
    assert "198.51.100.7" not in str(after)


def moment(text: str) -> datetime:
    return datetime.fromisoformat(text)


def test_each_source_says_when_it_last_told_us_something(
    service: Service, viewer: Caller, clock: Clock
) -> None:
    for actor in ("a", "b"):
        receive_follow(service, actor)
    last = clock.at
    clock.advance(hours=1)

    spoken, silent = listed(service, viewer)

    assert spoken["silentSeconds"] == pytest.approx(3_600, abs=5)
    assert abs(moment(spoken["lastEventAt"]) - last) < SECONDS
    assert spoken["webhookPath"] == "/webhooks/twitch"
    assert silent == {
        "name": "twitch-eu",
        "platform": "twitch",
        "accounts": "twitch",
        "webhookPath": "/webhooks/twitch-eu",
        "lastEventAt": None,
        "lastCallbackAt": None,
        "lastHandshakeAt": None,
        "lastRefusal": None,
        "lastNotice": None,
        "silentSeconds": None,
        "silentAfterSeconds": None,
        "lapsesAt": None,
        "subscriptions": [],
        "issues": [],
        "troubles": [],
        "secrets": [{"option": "secrets", "position": 0, "lastFittedAt": None}],
        "unrewarded": [],
    }


def test_a_source_is_found_silent_without_reading_its_events(service: Service) -> None:
    plan = explain(service, lambda c: health.last_event_at(c, ["twitch"]))

    assert "ix_events_source_received_at" in str(plan)


def test_a_callback_that_was_known_before_is_a_sign_of_life_and_no_event(
    service: Service, viewer: Caller, clock: Clock
) -> None:
    body, headers = follow(service, "jane")
    viewer.client.post("/webhooks/twitch", data=body, headers=headers)
    clock.advance(minutes=5)
    viewer.client.post("/webhooks/twitch", data=body, headers=headers)

    source = listed(service, viewer)[0]

    lasted = moment(source["lastCallbackAt"]) - moment(source["lastEventAt"])
    assert abs(lasted - timedelta(minutes=5)) < SECONDS


def test_a_refusal_is_shown_with_its_reason_and_makes_no_write(
    service: Service, viewer: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    body, headers = follow(service, "jane")
    with monkeypatch.context() as patched:
        patched.setattr(service.database, "write_each", None)
        for _ in range(ENOUGH):
            forged = viewer.client.post("/webhooks/twitch", data=body + b" ", headers=headers)
            assert forged.status_code == 403

    source = listed(service, viewer)[0]

    refusal = source["lastRefusal"]
    assert (refusal["kind"], refusal["inARow"]) == ("forged", ENOUGH)
    assert refusal["reason"].startswith(
        "the header Twitch-Eventsub-Message-Signature does not match"
    )
    assert [issue["kind"] for issue in source["issues"]] == ["refusing"]


def test_few_refusals_among_many_honest_callbacks_are_no_issue(
    service: Service, viewer: Caller
) -> None:
    body, headers = follow(service, "jane")
    for _ in range(ENOUGH):
        viewer.client.post("/webhooks/twitch", data=body, headers=headers)
    for _ in range(ENOUGH - 1):
        viewer.client.post("/webhooks/twitch", data=b"{}")

    source = listed(service, viewer)[0]

    assert source["lastRefusal"]["inARow"] == ENOUGH - 1
    assert source["issues"] == []


def test_one_honest_callback_ends_the_row_of_refusals(service: Service, viewer: Caller) -> None:
    body, headers = follow(service, "jane")
    for sent in (body + b" ", body + b" ", body):
        viewer.client.post("/webhooks/twitch", data=sent, headers=headers)

    assert listed(service, viewer)[0]["lastRefusal"]["inARow"] == 0


def test_a_handshake_and_a_revocation_are_shown(service: Service, viewer: Caller) -> None:
    signed = service.configuration.sources["twitch"].sign
    for body in (
        b'{"challenge":"c","subscription":{"status":"pending"}}',
        b'{"subscription":{"status":"authorization_revoked"}}',
    ):
        example = Example(body, {"Twitch-Eventsub-Message-Id": "m"})
        headers = signed(example, service.now()).headers
        viewer.client.post("/webhooks/twitch", data=body, headers=headers)

    source = listed(service, viewer)[0]

    assert source["lastHandshakeAt"] < source["lastNotice"]["at"]
    assert source["lastNotice"]["notice"] == "authorization_revoked"
    assert [issue["kind"] for issue in source["issues"]] == ["revoked"]


TOPIC = "https://hub.example/topic"


def wants(service: Service, monkeypatch: pytest.MonkeyPatch, *topics: str) -> None:
    kind = type(service.configuration.sources["twitch"])
    monkeypatch.setattr(kind, "topics", property(lambda _: topics))


def test_a_subscription_is_shown_as_long_as_it_is_wanted(
    service: Service, viewer: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    service.watch.proved("twitch", service.now(), SubscriptionLease(TOPIC, 3_600))
    wants(service, monkeypatch, TOPIC)

    source = listed(service, viewer)[0]

    (subscription,) = source["subscriptions"]
    lasts = moment(subscription["lapsesAt"]) - moment(subscription["grantedAt"])
    assert (subscription["topic"], lasts) == (TOPIC, timedelta(hours=1))
    assert source["lapsesAt"] == subscription["lapsesAt"]
    wants(service, monkeypatch)
    unwanted = listed(service, viewer)[0]
    assert (unwanted["subscriptions"], unwanted["lapsesAt"]) == ([], None)


def test_a_scrape_shows_when_the_first_wanted_subscription_ends(
    service: Service, anyone: Caller, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    for topic, seconds in (("a", 7_200), ("b", 3_600), ("unwanted", 60)):
        service.watch.proved("twitch", clock.at, SubscriptionLease(topic, seconds))
    service.watch.flush()
    wants(service, monkeypatch, "a", "b", "never-granted")

    samples = scraped(anyone)

    ends = samples["vouch_source_lapses_timestamp_seconds", ("twitch",)]
    assert ends - clock.at.timestamp() == pytest.approx(3_600, abs=5)
    assert samples["vouch_source_issue", ("lapsed", "twitch")] == 1


def test_a_scrape_shows_the_same(service: Service, anyone: Caller, clock: Clock) -> None:
    receive_follow(service, "jane")
    heard_at = clock.at
    for _ in range(ENOUGH):
        anyone.client.post("/webhooks/twitch-eu", data=b"{}")
    service.watch.flush()

    samples = scraped(anyone)

    name = "vouch_source_last_event_timestamp_seconds"
    assert samples[name, ("twitch",)] == pytest.approx(heard_at.timestamp(), abs=1)
    assert (name, ("twitch-eu",)) not in samples
    assert samples["vouch_source_refusals_in_a_row", ("twitch-eu",)] == ENOUGH
    assert samples["vouch_source_issue", ("refusing", "twitch-eu")] == 1
    assert samples["vouch_source_issue", ("refusing", "twitch")] == 0


def test_a_configured_id_that_changed_is_an_issue_until_the_new_one_is_named(
    service: Service, viewer: Caller, clock: Clock
) -> None:
    def issues() -> list[Any]:
        [first, _] = listed(service, viewer)
        return list(first["issues"])

    service.watch.changed("twitch", clock(), "-5", "-1005")
    assert issues() == []

    rule = service.configuration.rules[0]
    service.configuration = replace(service.configuration, rules=(replace(rule, target="-5"),))
    [issue] = issues()
    assert issue["kind"] == "changed"
    assert "-1005" in issue["text"]

    both = tuple(replace(rule, target=target) for target in ("-5", "-1005"))
    service.configuration = replace(service.configuration, rules=both)
    assert issues() == []


def test_the_last_change_of_an_id_is_the_one_that_counts(
    service: Service, viewer: Caller, clock: Clock
) -> None:
    rule = service.configuration.rules[0]
    service.configuration = replace(service.configuration, rules=(replace(rule, target="-5"),))
    later = clock() + timedelta(minutes=1)

    service.watch.changed("twitch", later, "-5", "-1007")
    service.watch.flush()
    service.watch.changed("twitch", clock(), "-5", "-1006")

    assert "-1007" in listed(service, viewer)[0]["issues"][0]["text"]


OLD, NEW = "the-secret-of-last-year", "the-secret-of-this-year"


def test_each_secret_says_when_it_last_proved_a_callback(
    service: Service, client: FlaskClient, viewer: Caller, clock: Clock
) -> None:
    [twitch, _] = service.configuration.sources.values()
    both = type(twitch)(twitch.source.model_copy(update={"secrets": as_secrets(NEW, OLD)}))
    service.configuration = replace(
        service.configuration, sources={"twitch": both, "twitch-eu": twitch}
    )

    def fitted() -> list[str | None]:
        return [one["lastFittedAt"] for one in listed(service, viewer)[0]["secrets"]]

    def send(secret: str) -> None:
        alone = type(twitch)(twitch.source.model_copy(update={"secrets": as_secrets(secret)}))
        service.configuration = replace(
            service.configuration, sources={"twitch": alone, "twitch-eu": twitch}
        )
        body, headers = follow(service, secret)
        service.configuration = replace(
            service.configuration, sources={"twitch": both, "twitch-eu": twitch}
        )
        assert client.post("/webhooks/twitch", data=body, headers=headers).status_code == 204

    assert fitted() == [None, None]
    send(OLD)
    [new, old] = fitted()
    assert new is None
    assert old is not None
    send(NEW)
    assert [at is not None for at in fitted()] == [True, True]
    assert fitted()[1] == old


def as_secrets(*secrets: str) -> tuple[SecretStr, ...]:
    return tuple(map(SecretStr, secrets))
