"""WeChat: https://developers.weixin.qq.com/doc/offiaccount/Message_Management/"""

import hashlib
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.platforms.kit.callback import Callback, Forged, Malformed, Reading
from app.platforms.kit.encodings import unb64
from app.platforms.kit.encryption import closed, closed_xml, opened, opened_xml
from app.platforms.kit.xml import xml_object
from tests.platforms.callbacks import NOW, adapter_of, callback, only_event, reading, signed

AT = int(NOW.timestamp())
PLAINTEXT: dict[str, list[str]] = {"aes_keys": []}
KEY = unb64("jWmYm7qr5nMoAUwZRjGtBxmz3KA1tkAj3ykkR6q2B2C") or b""
OTHER_KEY, OTHER = bytes(32), "A" * 43
OURS = b"wx5823bf96d3bd56c7"


def xml(more: str, sort: str = "event") -> bytes:
    return (
        "<xml><ToUserName>gh_b629c48b653e</ToUserName><FromUserName>ollB4jv7LA3t</FromUserName>"
        f"<CreateTime>{AT}</CreateTime><MsgType>{sort}</MsgType>{more}</xml>"
    ).encode()


def event_xml(word: str, key: str = "") -> bytes:
    return xml(f"<Event>{word}</Event><EventKey>{key}</EventKey>")


def told(body: bytes) -> Reading:
    return reading(adapter_of("wechat"), body)


def test_a_subscription_follows_the_account() -> None:
    event = only_event(told(event_xml("subscribe")))

    assert (event.action, event.actor, event.target) == (
        "follow",
        "ollB4jv7LA3t",
        "gh_b629c48b653e",
    )
    assert (event.undone, event.occurred_at) == (False, NOW)


def test_an_unsubscription_undoes_it() -> None:
    event = only_event(told(event_xml("unsubscribe")))

    assert (event.action, event.undone) == ("follow", True)


def test_a_subscription_by_a_code_of_ours_is_a_scan_of_that_code_as_well() -> None:
    events = told(event_xml("subscribe", "qrscene_customer-7")).events

    assert [(one.action, one.target) for one in events] == [
        ("follow", "gh_b629c48b653e"),
        ("scan", "customer-7"),
    ]
    assert events[0].key != events[1].key


def test_a_scan_by_somebody_who_follows_already_is_of_the_same_code() -> None:
    event = only_event(told(event_xml("SCAN", "customer-7")))

    assert (event.action, event.target) == ("scan", "customer-7")


def test_a_message_is_known_by_its_number() -> None:
    event = only_event(told(xml("<Content>Hi</Content><MsgId>1234567890123456</MsgId>", "text")))

    assert (event.action, event.key) == ("message", "message:1234567890123456")


@pytest.mark.parametrize("word", ["VIEW", "LOCATION", "TEMPLATESENDJOBFINISH"])
def test_anything_else_earns_nothing(word: str) -> None:
    assert told(event_xml(word)).ignored == (f"{word} earns nothing",)


def test_what_is_kept_is_what_was_encrypted() -> None:
    assert only_event(told(event_xml("subscribe"))).payload == event_xml("subscribe")


def test_in_plaintext_mode_the_same_is_read() -> None:
    event = only_event(reading(adapter_of("wechat", **PLAINTEXT), event_xml("subscribe")))

    assert (event.action, event.actor) == ("follow", "ollB4jv7LA3t")


def test_the_answer_is_empty() -> None:
    assert (adapter_of("wechat").accepted.status, adapter_of("wechat").accepted.body) == (200, "")


def plain(body: bytes) -> Callback:
    """A callback as plaintext mode signs it, by hand."""
    parts = sorted(["example-token-new", str(AT), "nonce"])
    signature = hashlib.sha1("".join(parts).encode()).hexdigest()
    query = {"signature": signature, "timestamp": str(AT), "nonce": "nonce"}
    return callback(body, query=query)


def test_a_plaintext_signature_is_that_of_the_sorted_parts() -> None:
    adapter_of("wechat", **PLAINTEXT).verify(plain(event_xml("subscribe")))


@pytest.mark.parametrize("body", [event_xml("subscribe"), b"<xml><Encrypt>AAAA</Encrypt></xml>"])
def test_where_encryption_is_configured_nothing_plain_is_believed(body: bytes) -> None:
    with pytest.raises(Forged):
        adapter_of("wechat").verify(plain(body))


def test_what_stands_beside_the_encrypted_part_is_not_read() -> None:
    adapter = adapter_of("wechat")
    honest = signed(adapter, event_xml("subscribe"))
    beside = honest.body.replace(b"<Encrypt>", b"<FromUserName>somebody</FromUserName><Encrypt>")

    event = only_event(adapter.read(replace(honest, body=beside)))

    assert event.actor == "ollB4jv7LA3t"


def test_both_keys_of_a_rotation_open_it() -> None:
    by_old = signed(adapter_of("wechat"), event_xml("subscribe"))
    during = adapter_of("wechat", aes_keys=[OTHER, "jWmYm7qr5nMoAUwZRjGtBxmz3KA1tkAj3ykkR6q2B2C"])

    during.verify(by_old)

    assert only_event(during.read(by_old)).action == "follow"


@pytest.mark.parametrize("options", [{"aes_keys": [OTHER]}, {"app_id": "wx0000000000000000"}])
def test_what_is_encrypted_for_another_account_is_forged(options: dict[str, object]) -> None:
    foreign = signed(adapter_of("wechat", **options), event_xml("subscribe"))

    with pytest.raises(Forged, match="addressee"):
        adapter_of("wechat").verify(foreign)


@pytest.mark.parametrize("key", ["short", "A" * 44, "A" * 42 + "="])
def test_an_encoding_key_has_43_letters_and_digits(key: str) -> None:
    with pytest.raises(ValueError, match="43 letters"):
        adapter_of("wechat", aes_keys=[key])


def test_a_handshake_is_answered_with_its_own_word_in_either_mode() -> None:
    for options in ({}, PLAINTEXT):
        asked = plain(b"")
        query = {**asked.query, "echostr": "5927782489442352469"}

        reply = adapter_of("wechat", **options).handshake(replace(asked, method="GET", query=query))

        assert reply is not None
        assert (reply.status, reply.body) == (200, "5927782489442352469")


def test_a_handshake_that_is_not_signed_is_refused() -> None:
    query = {"signature": "00", "timestamp": str(AT), "nonce": "nonce", "echostr": "x"}

    with pytest.raises(Forged):
        adapter_of("wechat").handshake(callback(method="GET", query=query))


@given(st.binary(max_size=400), st.binary(max_size=40))
@settings(max_examples=50, deadline=None, database=None)
def test_what_is_closed_is_opened(text: bytes, addressee: bytes) -> None:
    assert opened(KEY, closed(KEY, text, addressee)) == (text, addressee)


@given(st.binary(max_size=200))
@settings(max_examples=100, deadline=None, database=None)
def test_no_junk_is_opened_and_none_fails(sealed: bytes) -> None:
    with pytest.raises(Malformed):
        opened_xml([KEY], {"xml": {"Encrypt": sealed.hex()}}, OURS)


def test_an_envelope_that_is_cut_short_or_says_a_false_length_is_malformed() -> None:
    honest = closed_xml(KEY, b"<xml/>", OURS)
    sealed = closed(KEY, b"", b"")

    for body in (honest.replace(b"]]>", b"A]]>"), honest[:40] + b"]]></Encrypt></xml>"):
        with pytest.raises(Malformed):
            opened_xml([KEY], xml_object(body), OURS)
    with pytest.raises(Malformed):
        opened(OTHER_KEY, sealed)
