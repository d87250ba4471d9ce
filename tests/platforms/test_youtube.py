"""YouTube: https://developers.google.com/youtube/v3/guides/push_notifications"""

import hashlib
import hmac
from datetime import datetime, timedelta
from typing import Any

import pytest

from app.platforms.kit.callback import (
    Forged,
    Malformed,
    Reading,
    Reply,
    SubscriptionLease,
)
from app.platforms.youtube import TOPIC
from tests.platforms.callbacks import NOW, adapter_of, callback, only_event, reading

TOKEN = "example-verify-token"
ASKED = {
    "verify_token": TOKEN,
    "hub.mode": "subscribe",
    "hub.topic": f"{TOPIC}UC-example-channel",
    "hub.challenge": "5853847583",
    "hub.lease_seconds": "432000",
}
FEED = """<?xml version="1.0" encoding="UTF-8"?>
<feed xmlns:yt="http://www.youtube.com/xml/schemas/2015" xmlns="http://www.w3.org/2005/Atom"
  xmlns:at="http://purl.org/atompub/tombstones/1.0">{}</feed>"""
DELETED = """<at:deleted-entry ref="yt:video:{}" when="{}">
<at:by><name>Ann</name><uri>https://www.youtube.com/channel/UC-ann</uri></at:by></at:deleted-entry>
"""


def entry(video: str = "v-1", at: datetime = NOW, **more: str) -> str:
    told = {"updated": at.isoformat(), "published": at.isoformat(), **more}
    times = "".join(f"<{name}>{value}</{name}>" for name, value in told.items())
    return (
        f"<entry><id>yt:video:{video}</id><yt:videoId>{video}</yt:videoId>"
        f"<yt:channelId>UC-ann</yt:channelId><author><name>Ann</name></author>{times}</entry>"
    )


def deleted(video: str, at: datetime) -> str:
    return DELETED.format(video, at.isoformat())


def told(*entries: str) -> Reading:
    return reading(adapter_of("youtube"), FEED.format("".join(entries)).encode())


def asked(**change: str | None) -> Reply | None:
    told = {key.replace("__", "."): value for key, value in change.items()}
    query = {key: value for key, value in {**ASKED, **told}.items() if value is not None}
    return adapter_of("youtube").handshake(callback(method="GET", query=query))


def test_an_upload_is_a_post_by_its_channel() -> None:
    event = only_event(told(entry()))

    assert (event.action, event.actor, event.target) == ("post", "UC-ann", "v-1")
    assert (event.actor_handle, event.occurred_at) == ("Ann", NOW)


def test_nanoseconds_are_cut() -> None:
    event = only_event(told(entry(updated="2026-11-23T11:59:59.552394234+00:00")))

    assert event.occurred_at.microsecond == 552394


def test_an_edit_is_the_same_event_as_the_upload() -> None:
    upload = only_event(told(entry()))
    edited = only_event(told(entry(updated=(NOW + timedelta(hours=1)).isoformat())))

    assert edited.key == upload.key


def test_a_video_that_is_shown_again_was_told_of_after_it_was_hidden() -> None:
    """Whichever of its two times the platform changes."""
    hidden_at, shown_at = (NOW + timedelta(minutes=minutes) for minutes in (1, 2))

    upload, hidden = only_event(told(entry())), only_event(told(deleted("v-1", hidden_at)))
    shown = [
        only_event(told(entry(updated=shown_at.isoformat()))),
        only_event(told(entry(at=shown_at))),
    ]

    for one in shown:
        assert one.key == upload.key == hidden.undoes
        assert upload.occurred_at < hidden.occurred_at < one.occurred_at


def test_a_deletion_without_its_channel_names_the_video() -> None:
    gone = f'<at:deleted-entry ref="yt:video:v-1" when="{NOW.isoformat()}"/>'

    undone = only_event(told(gone))

    assert (undone.actor, undone.undoes) == (None, only_event(told(entry())).key)


def test_an_entry_without_an_update_happened_when_it_was_published() -> None:
    assert only_event(told(entry(updated=""))).occurred_at == NOW


def test_an_edit_of_an_old_upload_is_no_upload() -> None:
    new = told(entry(at=NOW - timedelta(days=2)))
    old = told(entry(at=NOW - timedelta(days=2, seconds=1)))

    assert len(new.events) == 1
    assert old.ignored == ("entry is an edit of an old upload",)


def test_a_deleted_video_undoes_its_upload_however_old() -> None:
    upload = only_event(told(entry()))

    undone = only_event(told(DELETED.format("v-1", "2020-01-01T00:00:00+00:00")))

    assert (undone.action, undone.actor, undone.target) == (upload.action, "UC-ann", "v-1")
    assert (undone.undone, undone.undoes) == (True, upload.key)


def test_one_bad_entry_costs_no_other() -> None:
    result = told(entry("v-1"), "<entry>text</entry>", entry("v-2"), entry("v-3", published="now"))

    assert [event.target for event in result.events] == ["v-1", "v-2"]
    assert len(result.ignored) == 2


def of_channel(channel: str) -> str:
    hub = '<link rel="hub" href="https://pubsubhubbub.appspot.com"/>'
    return f'{hub}<link rel="self" href="{TOPIC}{channel}"/>'


def test_the_feed_of_a_channel_that_is_no_longer_configured_earns_nothing() -> None:
    ours = told(of_channel("UC-example-channel"), entry())
    others = told(of_channel("UC-left-us"), entry())

    assert len(ours.events) == 1
    assert others.ignored == ("a feed of a channel that is not configured",)


def test_a_feed_without_entries_says_nothing() -> None:
    assert told() == Reading()


@pytest.mark.parametrize(
    "body",
    [
        b'<!DOCTYPE a [<!ENTITY e "x">]><feed><entry>&e;</entry></feed>',
        b"<feed><entry></feed>",
        b"",
        b"\xff",
    ],
)
def test_xml_that_cannot_be_trusted_is_malformed(body: bytes) -> None:
    with pytest.raises(Malformed):
        reading(adapter_of("youtube"), body)


def test_a_handshake_is_answered_with_the_challenge_and_grants_the_lease() -> None:
    reply = asked()

    assert reply == Reply(status=200, body="5853847583")
    assert reply is not None
    assert reply.grant == SubscriptionLease(ASKED["hub.topic"], 432_000)


ADDRESSES = [
    "https://www.youtube.com/feeds/videos.xml?channel_id=",
    "http://www.youtube.com/xml/feeds/videos.xml?channel_id=",
]


@pytest.mark.parametrize("address", ADDRESSES)
def test_a_topic_has_several_addresses_and_is_one(address: str) -> None:
    reply = asked(hub__topic=f"{address}UC-example-channel")

    assert reply == Reply(status=200, body="5853847583")
    assert reply is not None
    assert reply.grant == SubscriptionLease(ASKED["hub.topic"], 432_000)


@pytest.mark.parametrize("address", [*ADDRESSES, "https://www.youtube.com/other?channel_id="])
def test_no_address_confirms_another_channel(address: str) -> None:
    for channel in ("UC-another", "", "UC-example-channel&x=1"):
        with pytest.raises(Malformed):
            asked(hub__topic=f"{address}{channel}")


@pytest.mark.parametrize("address", ADDRESSES)
def test_the_feed_of_a_channel_is_ours_under_either_address(address: str) -> None:
    link = '<link rel="self" href="{}{}"/>'

    assert told(link.format(address, "UC-example-channel"), entry()).events
    assert not told(link.format(address, "UC-left-us"), entry()).events


@pytest.mark.parametrize("method", ["sha1", "sha256", "sha384", "sha512"])
def test_a_hub_signs_by_any_of_the_four_methods(method: str) -> None:
    adapter, body = adapter_of("youtube"), b"<feed/>"
    digest = hmac.new(b"example-secret-old", body, method).hexdigest()

    for proof in (f"{method}={digest}", f"{method}={digest.upper()}"):
        adapter.verify(callback(body, {"X-Hub-Signature": proof}))


@pytest.mark.parametrize("method", ["md5", "sha224", "sha3_256", "SHA1", "", "sha256 "])
def test_a_hub_signs_by_no_other_method(method: str) -> None:
    body = b"<feed/>"
    known = method.strip() in hashlib.algorithms_available
    digest = hmac.new(b"example-secret-new", body, method.strip() if known else "sha1").hexdigest()

    with pytest.raises(Forged):
        adapter_of("youtube").verify(callback(body, {"X-Hub-Signature": f"{method}={digest}"}))


def test_one_method_s_digest_is_no_other_s() -> None:
    body = b"<feed/>"
    digest = hmac.new(b"example-secret-new", body, "sha256").hexdigest()

    for proof in (f"sha1={digest}", f"sha512={digest}", digest, "sha256=", "sha256"):
        with pytest.raises(Forged):
            adapter_of("youtube").verify(callback(body, {"X-Hub-Signature": proof}))


def test_the_token_may_come_in_the_hubs_own_field() -> None:
    assert asked(verify_token=None, hub__verify_token=TOKEN) == Reply(status=200, body="5853847583")


@pytest.mark.parametrize("change", [{"verify_token": "x"}, {"verify_token": None}])
def test_a_strangers_handshake_is_forged(change: dict[str, Any]) -> None:
    with pytest.raises(Forged):
        asked(**change)


@pytest.mark.parametrize(
    "change",
    [
        {"hub__topic": f"{TOPIC}UC-another"},
        {"hub__topic": None},
        {"hub__mode": "unsubscribe"},
        {"hub__mode": None},
        {"hub__challenge": None},
    ],
)
def test_what_we_never_asked_for_is_not_confirmed(change: dict[str, Any]) -> None:
    with pytest.raises(Malformed):
        asked(**change)


@pytest.mark.parametrize("lease", [None, "", "0", "-1", "soon", "1e9", "9" * 30, "٣"])
def test_a_lease_that_is_no_number_of_seconds_grants_nothing(lease: str | None) -> None:
    reply = asked(hub__lease_seconds=lease)

    assert reply is not None
    assert reply.grant is None


def test_a_denial_is_a_notice_and_no_proof() -> None:
    reply = asked(hub__mode="denied", hub__reason="quota")

    assert reply is not None
    assert "denied" in (reply.notice or "")
    assert "quota" not in (reply.notice or "")


def test_nothing_is_asked_of_the_hub_unless_it_is_configured() -> None:
    adapter = adapter_of("youtube")

    assert [adapter.ask_for(topic) for topic in adapter.topics] == [None]


def test_the_hub_is_asked_for_each_channel_with_the_newest_secret() -> None:
    adapter = adapter_of(
        "youtube",
        channels=["UC-a", "UC-b"],
        callback_url="https://vouch.example/webhooks/youtube",
        verify_token="a token",
    )

    asks = [adapter.ask_for(topic) for topic in adapter.topics]

    assert [ask and ask.url for ask in asks] == ["https://pubsubhubbub.appspot.com/subscribe"] * 2
    assert asks[0] is not None
    assert asks[0].form == {
        "hub.mode": "subscribe",
        "hub.topic": f"{TOPIC}UC-a",
        "hub.callback": "https://vouch.example/webhooks/youtube?verify_token=a+token",
        "hub.verify": "async",
        "hub.secret": "example-secret-new",
        "hub.lease_seconds": "432000",
    }


@pytest.mark.parametrize(
    "options",
    [
        {"channels": []},
        {"channels": ["UC a"]},
        {"callback_url": "http://vouch.example/webhooks/youtube"},
        {"callback_url": "https://vouch.example/webhooks/youtube?x=1"},
        {"lease_seconds": 60},
        {"secrets": ["x" * 200]},
        {"hub_url": "http://hub.example"},
    ],
)
def test_a_configuration_that_cannot_work_is_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(options))):
        adapter_of("youtube", **options)
