"""Kick: https://docs.kick.com/events/webhook-security"""

import json
from dataclasses import replace
from typing import Any

import pytest

from app.platforms.kit.callback import Example, Forged, KeysUnavailable, Malformed, Reading
from app.platforms.kit.examples import example_source
from tests.platforms.callbacks import NOW, adapter_of, arrived, only_event, reading

HEADERS = {"Kick-Event-Message-Id": "01JB1V2Q3ZK4B8D8Y6S1QYV7W5", "Kick-Event-Type": "anything"}
BROADCASTER = {"user_id": 123456789, "username": "broadcaster_name"}
ANN = {"user_id": 42, "username": "ann", "is_anonymous": False}


def said(**told: Any) -> Reading:
    return reading(adapter_of("kick"), {"broadcaster": BROADCASTER, **told}, HEADERS)


def test_a_follow_happened_when_it_was_signed() -> None:
    event = only_event(said(follower=ANN))

    assert (event.action, event.actor, event.target) == ("follow", "42", "123456789")
    assert (event.actor_handle, event.occurred_at) == ("ann", NOW)
    assert event.key == "follow:01JB1V2Q3ZK4B8D8Y6S1QYV7W5"


def test_the_type_is_believed_from_the_body_and_not_from_the_unsigned_header() -> None:
    headers = {**HEADERS, "Kick-Event-Type": "channel.subscription.new"}

    result = reading(adapter_of("kick"), {"broadcaster": BROADCASTER, "follower": ANN}, headers)

    assert only_event(result).action == "follow"


@pytest.mark.parametrize(("months", "action"), [(1, "subscribe"), (2, "renew"), (None, "renew")])
def test_only_the_first_month_is_a_subscription(months: object, action: str) -> None:
    assert only_event(said(subscriber=ANN, duration=months)).action == action


def test_an_anonymous_gift_is_nobodys() -> None:
    gifter = {"is_anonymous": True, "user_id": None, "username": None}

    assert said(gifter=gifter).ignored == ("gifts names no actor",)


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

    def fetch(url: str, *, anew: bool = False) -> bytes:
        asked.append((url, anew))
        return answers[len(asked) - 1]

    adapter.fetch = fetch
    adapter.verify(arrived(signed))

    url = "https://api.kick.com/public/v1/public-key"
    assert asked == [(url, False), (url, True)]


def test_a_pinned_key_is_the_only_one_believed() -> None:
    new, old = example_source("kick")["secrets"]
    signed = adapter_of("kick", secrets=[new]).sign(Example(b"{}", HEADERS), NOW)
    adapter = adapter_of("kick", secrets=[old])
    adapter.fetch = lambda url, *, anew=False: published(new)

    with pytest.raises(Forged):
        adapter.verify(arrived(signed))


@pytest.mark.parametrize(
    "answer", [b"", b"[]", b"{}", b'{"data": {}}', published(""), published("x"), b'{"data": 1}']
)
def test_an_answer_without_a_key_makes_the_callback_come_again(answer: bytes) -> None:
    signed = adapter_of("kick").sign(Example(b"{}", HEADERS), NOW)
    adapter = adapter_of("kick", secrets=[])
    adapter.fetch = lambda url, *, anew=False: answer

    with pytest.raises(KeysUnavailable, match="answers no keys"):
        adapter.verify(arrived(signed))


def test_a_page_instead_of_the_key_is_asked_for_anew_and_not_remembered() -> None:
    new, _ = example_source("kick")["secrets"]
    signed = adapter_of("kick").sign(Example(b"{}", HEADERS), NOW)
    adapter = adapter_of("kick", secrets=[])
    adapter.fetch = lambda url, *, anew=False: published(new) if anew else b"<html>Sorry</html>"

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


def test_a_body_without_a_broadcaster_is_malformed() -> None:
    with pytest.raises(Malformed, match=r"broadcaster\.user_id"):
        reading(adapter_of("kick"), {"follower": ANN}, HEADERS)
