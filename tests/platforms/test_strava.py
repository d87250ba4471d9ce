"""Strava: https://developers.strava.com/docs/webhooks/"""

import hashlib
import hmac
import json
from typing import Any

import pytest

from app.platforms.kit.callback import Callback, Forged, Reading
from tests.platforms.callbacks import NOW, adapter_of, callback, only_event, reading

AT = int(NOW.timestamp())
TOKENS = {"address_tokens": ["an-address-token"]}


def activity(aspect: str, **more: Any) -> dict[str, Any]:
    told = {"object_type": "activity", "aspect_type": aspect, "event_time": AT, "object_id": 7}
    return {**told, "owner_id": 42, "subscription_id": 120475, "updates": {}, **more}


def told(body: dict[str, Any], **options: Any) -> Reading:
    return reading(adapter_of("strava", **options), body)


def unsigned(token: str | None, headers: dict[str, str] | None = None) -> Callback:
    query = {} if token is None else {"token": token}
    return callback(json.dumps(activity("create")).encode(), headers, query=query)


def test_an_activity_is_a_post_of_its_athlete() -> None:
    event = only_event(told(activity("create")))

    assert (event.action, event.actor, event.target) == ("post", "42", "7")
    assert event.occurred_at == NOW


def test_deleting_it_undoes_that_very_post() -> None:
    posted, deleted = only_event(told(activity("create"))), only_event(told(activity("delete")))

    assert (deleted.undone, deleted.undoes) == (True, posted.key)


def test_an_edit_earns_nothing() -> None:
    result = told(activity("update", updates={"title": "Messy"}))

    assert result.ignored == ("activity.update earns nothing",)


@pytest.mark.parametrize("word", ["false", False])
def test_taking_the_authorisation_back_is_told(word: object) -> None:
    event = only_event(
        told(activity("update", object_type="athlete", updates={"authorized": word}))
    )

    assert (event.action, event.actor, event.undone) == ("authorize", "42", True)


def test_an_event_of_another_subscription_is_left_out() -> None:
    assert told(activity("create"), subscription_id="9").events == ()
    assert told(activity("create"), subscription_id="120475").events


@pytest.mark.parametrize("body", [{}, {"object_type": "club", "aspect_type": "update"}], ids=str)
def test_a_callback_of_another_kind_is_left_out(body: dict[str, Any]) -> None:
    assert len(told(body).ignored) == 1
    assert len(told(body, subscription_id="9").ignored) == 1


@pytest.mark.parametrize("private", ["true", "false"])
def test_an_activity_that_is_hidden_or_shown_is_an_edit(private: str) -> None:
    result = told(activity("update", updates={"private": private}))

    assert result.ignored == ("activity.update earns nothing",)


def test_the_signature_covers_the_time_and_the_body() -> None:
    body = json.dumps(activity("create")).encode()
    key, content = b"example-signing-secret-new", f"{AT}.".encode() + body
    digest = hmac.new(key, content, hashlib.sha256).hexdigest()

    sent = callback(body, {"X-Strava-Signature": f"t={AT},v1={digest}"})

    adapter_of("strava").verify(sent)


def test_an_unsigned_callback_is_believed_by_the_token_of_its_address() -> None:
    adapter_of("strava", **TOKENS).verify(unsigned("an-address-token"))


@pytest.mark.parametrize("token", [None, "", "another"])
def test_an_unsigned_callback_without_the_token_is_forged(token: str | None) -> None:
    with pytest.raises(Forged):
        adapter_of("strava", **TOKENS).verify(unsigned(token))


def test_without_address_tokens_no_unsigned_callback_is_believed() -> None:
    with pytest.raises(Forged):
        adapter_of("strava").verify(unsigned("an-address-token"))


def test_a_signature_that_is_wrong_is_not_made_good_by_the_token() -> None:
    sent = unsigned("an-address-token", {"X-Strava-Signature": f"t={AT},v1=00"})

    with pytest.raises(Forged):
        adapter_of("strava", **TOKENS).verify(sent)


def test_a_signature_that_no_key_is_known_for_costs_no_callback_with_the_token() -> None:
    adapter = adapter_of("strava", secrets=[], **TOKENS)
    signature = {"X-Strava-Signature": f"t={AT},v1=00"}

    adapter.verify(unsigned("an-address-token", signature))

    for token in (None, "another"):
        with pytest.raises(Forged):
            adapter.verify(unsigned(token, signature))


def test_a_source_needs_one_of_the_two_secrets() -> None:
    adapter_of("strava", secrets=[], **TOKENS)

    with pytest.raises(ValueError, match="needs secrets"):
        adapter_of("strava", secrets=[])
