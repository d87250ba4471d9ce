"""Twitch: https://dev.twitch.tv/docs/eventsub/handling-webhook-events/"""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from app.domain.events import Event
from app.platforms.kit.callback import Malformed, Reading
from tests.platforms.callbacks import NOW, adapter_of, callback, only_event, reading, signed

HEADERS = {"Twitch-Eventsub-Message-Id": "e76c6bd4-55c9-4987-8304-da1588d8988b"}
USER = {"user_id": "1234", "user_login": "cool_user", "user_name": "Cool_User"}
CHANNEL = {"broadcaster_user_id": "1337", "broadcaster_user_login": "cooler_user"}


def said(kind: str, event: dict[str, Any], **more: Any) -> Reading:
    subscription = {"id": "f1c2a387", "type": kind, "version": "1", "status": "enabled"}
    body = {"subscription": subscription, "event": event, **more}
    return reading(adapter_of("twitch"), body, HEADERS)


def test_a_follow_is_an_event_with_its_own_time() -> None:
    event = only_event(
        said("channel.follow", {**USER, **CHANNEL, "followed_at": "2020-07-15T18:16:11.17106713Z"})
    )

    assert (event.action, event.actor, event.target) == ("follow", "1234", "1337")
    assert event.actor_handle == "cool_user"
    assert event.target_aliases == ("cooler_user",)
    assert event.key == "channel.follow:1234:1337:2020-07-15T18:16:11.17106713Z"
    assert event.former_keys == (HEADERS["Twitch-Eventsub-Message-Id"],)
    assert event.occurred_at == datetime(2020, 7, 15, 18, 16, 11, 171067, tzinfo=UTC)
    assert not event.undone


@pytest.mark.parametrize(
    ("kind", "action"), [("channel.subscribe", "subscribe"), ("channel.cheer", "cheer")]
)
def test_an_event_without_a_time_happened_when_its_message_was_signed(
    kind: str, action: str
) -> None:
    event = only_event(said(kind, {**USER, **CHANNEL, "is_gift": False, "is_anonymous": False}))

    assert event.action == action
    assert event.occurred_at == NOW


def test_a_gift_is_no_purchase_of_the_one_who_got_it() -> None:
    result = said("channel.subscribe", {**USER, **CHANNEL, "is_gift": True})

    assert result == Reading(ignored=("channel.subscribe was a gift to the account",))


def test_an_anonymous_cheer_is_nobodys() -> None:
    event = {"is_anonymous": True, "user_id": None, "user_login": None, **CHANNEL}

    assert said("channel.cheer", event).ignored == ("channel.cheer by an anonymous account",)


def test_another_subscription_type_earns_nothing() -> None:
    assert said("channel.update", CHANNEL).ignored == ("channel.update earns nothing",)


def test_the_type_is_believed_from_the_body_and_not_from_the_unsigned_header() -> None:
    adapter = adapter_of("twitch")
    body = {"subscription": {"type": "channel.update"}, "event": {**USER, **CHANNEL}}

    result = reading(
        adapter, body, {**HEADERS, "Twitch-Eventsub-Subscription-Type": "channel.follow"}
    )

    assert not result.events


def test_the_challenge_is_answered_as_plain_text_after_the_signature() -> None:
    body = {"challenge": "pogchamp-kappa-360noscope-vohiyo", "subscription": {"id": "1"}}

    result = reading(adapter_of("twitch"), body, HEADERS)

    assert result.handshake
    assert result.reply is not None
    assert result.reply.body == "pogchamp-kappa-360noscope-vohiyo"
    assert (result.reply.status, result.reply.content_type) == (200, "text/plain; charset=utf-8")


def test_a_revocation_is_a_notice() -> None:
    body = {"subscription": {"status": "authorization_revoked", "type": "channel.follow"}}

    assert reading(adapter_of("twitch"), body, HEADERS).notice == "authorization_revoked"


def test_an_odd_name_costs_no_follow() -> None:
    event = {**USER, **CHANNEL, "user_login": {"odd": 1}, "followed_at": None}

    assert only_event(said("channel.follow", event)).actor_handle is None


def test_a_follow_without_its_user_or_channel_earns_nothing() -> None:
    assert said("channel.follow", CHANNEL).ignored == ("channel.follow names no actor",)
    with pytest.raises(Malformed, match=r"event\.broadcaster_user_id"):
        said("channel.follow", USER)


def under(message: str, kind: str, event: dict[str, Any], at: datetime = NOW) -> Event:
    """What one message says that was signed at that time."""
    adapter = adapter_of("twitch")
    body = {"subscription": {"type": kind, "status": "enabled"}, "event": event}
    sent = signed(adapter, body, {"Twitch-Eventsub-Message-Id": message}, at=at)
    return only_event(adapter.read(sent))


@pytest.mark.parametrize("kind", ["channel.follow", "channel.subscribe"])
def test_one_action_under_two_message_ids_is_one(kind: str) -> None:
    event = {**USER, **CHANNEL, "tier": "1000", "followed_at": "2026-11-23T11:59:59Z"}

    one, other = under("m-1", kind, event), under("m-2", kind, event, NOW + timedelta(minutes=1))

    assert one.key == other.key
    assert one.former_keys[-1] == "m-1"


def test_a_subscription_that_is_told_again_after_midnight_is_known() -> None:
    event, midnight = {**USER, **CHANNEL, "tier": "1000"}, datetime(2026, 11, 24, tzinfo=UTC)
    second = timedelta(seconds=1)

    before = under("m-1", "channel.subscribe", event, midnight - second)
    after = under("m-2", "channel.subscribe", event, midnight + second)
    later = under("m-3", "channel.subscribe", event, midnight + timedelta(days=30))

    assert before.key in after.former_keys
    assert before.key not in (after.key, later.key, *later.former_keys)


@pytest.mark.parametrize("change", [{"user_id": "9"}, {"broadcaster_user_id": "9"}, {"tier": "2"}])
def test_subscriptions_of_others_elsewhere_or_of_another_tier_are_others(
    change: dict[str, str],
) -> None:
    event = {**USER, **CHANNEL, "tier": "1000"}

    keys = {under("m", "channel.subscribe", {**event, **one}).key for one in ({}, change)}

    assert len(keys) == 2


def test_two_follows_and_two_cheers_are_two() -> None:
    times = ("2026-11-23T11:00:00Z", "2026-11-23T12:00:00Z")
    follows = [{**USER, **CHANNEL, "followed_at": at} for at in times]
    cheer = {**USER, **CHANNEL, "bits": 100, "message": "hi"}

    assert len({under("m", "channel.follow", one).key for one in follows}) == 2
    assert len({under(message, "channel.cheer", cheer).key for message in ("m-1", "m-2")}) == 2


def test_a_batch_is_of_no_interest_and_no_revocation() -> None:
    subscription = {"type": "drop.entitlement.grant", "status": "enabled"}
    body = {"subscription": subscription, "events": [{"id": "d-1", "data": {"user_id": "1"}}]}

    result = reading(adapter_of("twitch"), body, HEADERS)

    assert result == Reading(ignored=("drop.entitlement.grant earns nothing",))


@pytest.mark.parametrize("status", [None, "enabled", "webhook_callback_verification_pending"])
def test_a_subscription_that_stands_is_not_revoked(status: str | None) -> None:
    body = {"subscription": {"type": "channel.follow", "status": status}}

    result = reading(adapter_of("twitch"), body, HEADERS)

    assert result == Reading(ignored=("channel.follow earns nothing",))


@pytest.mark.parametrize("kind", ["channel.subscription.end", "channel.subscription.message"])
def test_a_subscription_that_ends_or_goes_on_takes_nothing_back(kind: str) -> None:
    assert said(kind, {**USER, **CHANNEL}).events == ()


def test_there_is_no_unsigned_handshake() -> None:
    request = callback(method="GET", query={"challenge": "pogchamp"})

    assert adapter_of("twitch").handshake(request) is None


@pytest.mark.parametrize("secret", ["ninechars", "x" * 101, "ä" * 20])
def test_a_secret_is_as_long_as_twitch_takes_it(secret: str) -> None:
    with pytest.raises(ValueError, match="10 to 100 ASCII characters"):
        adapter_of("twitch", secrets=[secret])
