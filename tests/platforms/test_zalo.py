"""Zalo: https://developers.zalo.me/docs/official-account/webhook/tong-quan"""

import hashlib
import hmac
import json

import pytest

from app.platforms.kit.callback import Forged, Reading
from tests.platforms.callbacks import NOW, adapter_of, callback, only_event, reading

AT = str(int(NOW.timestamp() * 1000))
ENVELOPE = {"app_id": "360846524940903967", "timestamp": AT}
SECRET = "example-oa-secret-key-new"


def told(event: str, **more: object) -> Reading:
    return reading(adapter_of("zalo"), {**ENVELOPE, "event_name": event, **more})


def followed(event: str) -> Reading:
    return told(event, oa_id="388613280878808645", follower={"id": "246845883529197922"})


def test_a_follow_is_of_the_official_account() -> None:
    event = only_event(followed("follow"))

    assert (event.action, event.actor) == ("follow", "246845883529197922")
    assert (event.target, event.occurred_at) == ("388613280878808645", NOW)


def test_the_id_that_the_app_knows_is_one_of_the_same_account() -> None:
    ids = {"follower": {"id": "246"}, "user_id_by_app": "913"}

    event = only_event(told("follow", oa_id="388", **ids))

    assert (event.actor, event.aliases) == ("246", ("913",))


def test_an_unfollow_undoes_it() -> None:
    event = only_event(followed("unfollow"))

    assert (event.action, event.undone) == ("follow", True)


@pytest.mark.parametrize("sort", ["text", "image", "sticker", "link"])
def test_whatever_is_sent_to_the_account_is_a_message(sort: str) -> None:
    people = {"sender": {"id": "42"}, "recipient": {"id": "1337"}}

    event = only_event(told(f"user_send_{sort}", message={"msg_id": "m-1"}, **people))

    assert (event.action, event.actor, event.target) == ("message", "42", "1337")
    assert event.key == "user_send:m-1"


@pytest.mark.parametrize("event", ["oa_send_text", "user_seen_message", "user_submit_info"])
def test_anything_else_earns_nothing(event: str) -> None:
    assert told(event, sender={"id": "42"}).ignored == (f"{event} earns nothing",)


def test_the_signature_is_a_plain_hash_of_app_body_time_and_key() -> None:
    body = json.dumps({**ENVELOPE, "event_name": "follow"})
    content = ENVELOPE["app_id"] + body + AT + SECRET
    mac = hashlib.sha256(content.encode()).hexdigest()

    adapter_of("zalo").verify(callback(body.encode(), {"X-ZEvent-Signature": f"mac={mac}"}))


def test_a_callback_of_hours_ago_is_believed_because_it_is_sent_again_as_it_was() -> None:
    body = json.dumps({**ENVELOPE, "timestamp": str(int(AT) - 12 * 3_600_000)})
    content = ENVELOPE["app_id"] + body + str(int(AT) - 12 * 3_600_000) + SECRET
    mac = hashlib.sha256(content.encode()).hexdigest()

    adapter_of("zalo").verify(callback(body.encode(), {"X-ZEvent-Signature": f"mac={mac}"}))


def test_an_hmac_under_the_same_key_is_forged() -> None:
    body = json.dumps({**ENVELOPE, "event_name": "follow"}).encode()
    mac = hmac.new(SECRET.encode(), body, hashlib.sha256).hexdigest()

    with pytest.raises(Forged):
        adapter_of("zalo").verify(callback(body, {"X-ZEvent-Signature": f"mac={mac}"}))
