"""Viber: https://developers.viber.com/docs/api/rest-bot-api/#callbacks"""

from typing import Any

import pytest

from app.platforms.kit.callback import Reading
from tests.platforms.callbacks import NOW, adapter_of, only_event, reading

AT = int(NOW.timestamp() * 1000)
ANN = {"id": "01234567890A=", "name": "Ann"}


def said(word: str, **more: Any) -> Reading:
    body = {"event": word, "timestamp": AT, "message_token": 4912661846655238145}
    return reading(adapter_of("viber"), {**body, **more})


def test_a_subscription_is_to_the_bot_whose_token_signs() -> None:
    event = only_event(said("subscribed", user=ANN))

    assert (event.action, event.actor, event.target) == ("subscribe", "01234567890A=", None)
    assert event.key == "subscribed:4912661846655238145"
    assert (event.actor_handle, event.occurred_at) == ("Ann", NOW)


def test_an_unsubscription_undoes_it() -> None:
    event = only_event(said("unsubscribed", user_id=ANN["id"]))

    assert (event.action, event.actor, event.undone) == ("subscribe", ANN["id"], True)


def test_opening_the_chat_by_our_link_is_a_start_and_no_subscription() -> None:
    event = only_event(said("conversation_started", user=ANN, context="a-word-of-ours"))

    assert (event.action, event.target) == ("start", "a-word-of-ours")


@pytest.mark.parametrize("context", [None, ""])
def test_opening_the_chat_otherwise_says_nothing(context: object) -> None:
    result = said("conversation_started", user=ANN, context=context, subscribed=False)

    assert result.events == ()


def test_a_message_is_by_its_sender() -> None:
    event = only_event(said("message", sender=ANN, message={"type": "text", "text": "Hi"}))

    assert (event.action, event.actor) == ("message", ANN["id"])


@pytest.mark.parametrize("word", ["delivered", "seen", "failed"])
def test_what_became_of_our_own_messages_earns_nothing(word: str) -> None:
    assert said(word, user_id=ANN["id"]).ignored == (f"{word} earns nothing",)


def test_the_callback_that_proves_the_address_is_a_handshake_whatever_its_time() -> None:
    # As the official SDK's test has it: a time of 19 digits.
    result = said("webhook", timestamp=4977069964384421269)

    assert result.handshake
    assert result.events == ()
