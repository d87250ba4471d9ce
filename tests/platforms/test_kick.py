"""Kick: https://docs.kick.com/events/webhook-security"""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from app.domain.events import Event
from app.platforms.kit.callback import Example, Forged, KeysUnavailable, Malformed, Reading
from app.platforms.kit.examples import example_source
from tests.platforms.callbacks import NOW, adapter_of, arrived, only_event, reading, signed

HEADERS = {"Kick-Event-Message-Id": "01JB1V2Q3ZK4B8D8Y6S1QYV7W5", "Kick-Event-Type": "anything"}
BROADCASTER = {"user_id": 123456789, "username": "broadcaster_name"}
ANN = {"user_id": 42, "username": "ann", "is_anonymous": False}


def said(**told: Any) -> Reading:
    return reading(adapter_of("kick"), {"broadcaster": BROADCASTER, **told}, HEADERS)


def test_a_follow_happened_when_it_was_signed() -> None:
    event = only_event(said(follower=ANN))

    assert (event.action, event.actor, event.target) == ("follow", "42", "123456789")
    assert (event.actor_handle, event.occurred_at) == ("ann", NOW)
    assert event.former_keys[-1] == "follow:01JB1V2Q3ZK4B8D8Y6S1QYV7W5"


def test_the_type_is_believed_from_the_body_and_not_from_the_unsigned_header() -> None:
    headers = {**HEADERS, "Kick-Event-Type": "channel.subscription.new"}

    result = reading(adapter_of("kick"), {"broadcaster": BROADCASTER, "follower": ANN}, headers)

    assert only_event(result).action == "follow"


@pytest.mark.parametrize(("months", "action"), [(1, "subscribe"), (2, "renew"), (None, "renew")])
def test_only_the_first_month_is_a_subscription(months: object, action: str) -> None:
    assert only_event(said(subscriber=ANN, duration=months)).action == action


def test_an_anonymous_gift_is_nobodys() -> None:
    gifter = {"is_anonymous": True, "user_id": None, "username": None}

    assert said(gifter=gifter).ignored == ("gifts by an anonymous account",)


CREATED = "2026-11-23T11:59:59Z"
MONTH = {"subscriber": ANN, "duration": 1, "created_at": CREATED, "expires_at": "2026-12-23"}
GIFT = {"gifter": ANN, "giftees": [{"user_id": 1}, {"user_id": 2}], "created_at": CREATED}
KICKS = {"sender": ANN, "gift": {"name": "Hype", "amount": 5}, "created_at": CREATED}


def under(delivery: str, told: dict[str, Any], at: datetime = NOW) -> Event:
    """What one delivery says that was signed at that time."""
    adapter, headers = adapter_of("kick"), {"Kick-Event-Message-Id": delivery}
    sent = signed(adapter, {"broadcaster": BROADCASTER, **told}, headers, at=at)
    return only_event(adapter.read(sent))


@pytest.mark.parametrize("told", [{"follower": ANN}, MONTH, {**MONTH, "duration": 3}, GIFT, KICKS])
def test_one_action_under_two_delivery_ids_is_one(told: dict[str, Any]) -> None:
    one, other = under("d-1", told), under("d-2", told, NOW + timedelta(seconds=30))

    assert one.key == other.key
    assert one.former_keys[-1].endswith(":d-1")


def test_a_follow_that_is_told_again_after_midnight_is_known() -> None:
    midnight, second = datetime(2026, 11, 24, tzinfo=UTC), timedelta(seconds=1)

    before = under("d-1", {"follower": ANN}, midnight - second)
    after = under("d-2", {"follower": ANN}, midnight + second)
    later = under("d-3", {"follower": ANN}, midnight + timedelta(days=2))

    assert before.key in after.former_keys
    assert before.key not in (after.key, later.key, *later.former_keys)


@pytest.mark.parametrize(
    ("told", "other"),
    [
        ({"follower": ANN}, {"follower": {**ANN, "user_id": 43}}),
        (MONTH, {**MONTH, "created_at": "2026-11-23T12:00:00Z"}),
        ({**MONTH, "duration": 2}, {**MONTH, "duration": 3}),
        (GIFT, {**GIFT, "created_at": "2026-11-23T12:00:00Z"}),
        (GIFT, {**GIFT, "giftees": [{"user_id": 3}]}),
        (KICKS, {**KICKS, "created_at": "2026-11-23T12:00:00Z"}),
        (KICKS, {**KICKS, "gift": {"name": "Rage"}}),
    ],
)
def test_two_actions_are_two(told: dict[str, Any], other: dict[str, Any]) -> None:
    assert under("d-1", told).key != under("d-1", other).key


def test_a_rule_may_name_the_channel_as_its_address_does() -> None:
    channel = {**BROADCASTER, "channel_slug": "shop"}

    event = only_event(said(follower=ANN, broadcaster=channel))

    assert (event.target, event.target_aliases) == ("123456789", ("shop",))


def test_another_broadcasters_event_earns_nothing_though_kick_signed_it() -> None:
    result = reading(adapter_of("kick"), {"broadcaster": {"user_id": 7}, "follower": ANN}, HEADERS)

    assert result.ignored == ("an event of a broadcaster that is not configured",)


def test_what_the_broadcaster_does_itself_is_nobodys() -> None:
    result = said(sender=BROADCASTER, message_id="1", content="hi")

    assert result.ignored == ("chat is by the account itself",)


@pytest.mark.parametrize("status", ["pending", "rejected"])
def test_a_reward_is_redeemed_when_it_is_accepted(status: str) -> None:
    told = {"id": "r-1", "redeemer": ANN, "reward": {"id": "w-1"}}

    assert said(**told, status=status).ignored == (f"redemption.{status} earns nothing",)
    assert only_event(said(**told, status="accepted")).target == "w-1"


def test_a_chat_message_that_another_app_was_sent_as_well_is_the_same_event() -> None:
    told = {"broadcaster": BROADCASTER, "sender": ANN, "message_id": "m-1", "content": "hi"}
    passed_on = {**HEADERS, "Kick-Event-Message-Id": "01ANOTHERAPPSDELIVERY"}

    ours = only_event(reading(adapter_of("kick"), told, HEADERS))
    theirs = only_event(reading(adapter_of("kick"), told, passed_on))

    assert (ours.action, ours.key) == ("comment", "chat:m-1")
    assert theirs.key == ours.key


def test_an_event_of_another_kind_earns_nothing() -> None:
    assert said(is_live=True).ignored == ("an event of another kind earns nothing",)


def published(key: str) -> bytes:
    return json.dumps({"data": {"public_key": key}, "message": "OK"}).encode()


def test_without_a_pinned_key_the_published_one_is_believed() -> None:
    new, old = example_source("kick")["secrets"]
    signed = adapter_of("kick").sign(Example(b"{}", HEADERS), NOW)
    adapter, asked = adapter_of("kick", secrets=[]), []
    answers = [published(old), published(new)]

    def fetch(url: str, *, refresh: bool = False) -> bytes:
        asked.append((url, refresh))
        return answers[len(asked) - 1]

    adapter.fetch = fetch
    adapter.verify(arrived(signed))

    url = "https://api.kick.com/public/v1/public-key"
    assert asked == [(url, False), (url, True)]


def test_a_pinned_key_is_the_only_one_believed() -> None:
    new, old = example_source("kick")["secrets"]
    signed = adapter_of("kick", secrets=[new]).sign(Example(b"{}", HEADERS), NOW)
    adapter = adapter_of("kick", secrets=[old])
    adapter.fetch = lambda url, *, refresh=False: published(new)

    with pytest.raises(Forged):
        adapter.verify(arrived(signed))


@pytest.mark.parametrize(
    "answer", [b"", b"[]", b"{}", b'{"data": {}}', published(""), published("x"), b'{"data": 1}']
)
def test_an_answer_without_a_key_makes_the_callback_come_again(answer: bytes) -> None:
    signed = adapter_of("kick").sign(Example(b"{}", HEADERS), NOW)
    adapter = adapter_of("kick", secrets=[])
    adapter.fetch = lambda url, *, refresh=False: answer

    with pytest.raises(KeysUnavailable, match="answers no keys"):
        adapter.verify(arrived(signed))


def test_a_page_instead_of_the_key_is_asked_for_anew_and_not_remembered() -> None:
    new, _ = example_source("kick")["secrets"]
    signed = adapter_of("kick").sign(Example(b"{}", HEADERS), NOW)
    adapter = adapter_of("kick", secrets=[])
    adapter.fetch = lambda url, *, refresh=False: (
        published(new) if refresh else b"<html>Sorry</html>"
    )

    adapter.verify(arrived(signed))


def test_a_replay_under_another_id_is_forged() -> None:
    adapter = adapter_of("kick")
    signed = arrived(adapter.sign(Example(b"{}", HEADERS), NOW))
    renamed = {**signed.headers, "kick-event-message-id": "another"}

    with pytest.raises(Forged):
        adapter.verify(replace(signed, headers=renamed))


@pytest.mark.parametrize("url", ["http://api.kick.com/key", "ftp://x", "", "http://10.0.0.1/"])
def test_the_key_is_fetched_over_https_only(url: str) -> None:
    with pytest.raises(ValueError, match="key_url"):
        adapter_of("kick", key_url=url)


def test_a_broadcaster_must_be_named() -> None:
    with pytest.raises(ValueError, match="broadcasters"):
        adapter_of("kick", broadcasters=[])


def test_a_body_without_a_broadcaster_earns_nothing() -> None:
    result = reading(adapter_of("kick"), {"follower": ANN}, HEADERS)

    assert result.ignored == ("an event of a broadcaster that is not configured",)


def test_a_follow_without_an_id_in_its_place_is_malformed() -> None:
    with pytest.raises(Malformed, match=r"follower\.user_id"):
        said(follower={"user_id": [42]})
