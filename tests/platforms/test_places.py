"""Places: where a proof, a time or a signed part stands, and what is made of junk there."""

import hashlib
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.platforms.kit.callback import Example, Forged
from app.platforms.kit.places import (
    Body,
    Field,
    Header,
    Item,
    Key,
    Place,
    Query,
    SignedTime,
    read,
)
from app.platforms.kit.schemes import HashScheme, HmacScheme, TokenScheme
from app.platforms.kit.xml import xml_object
from tests.platforms.callbacks import NOW, arrived, callback

PLACES: list[Place] = [Header("X-Sign"), Item("X-Sign", "s"), Query("sign"), Field("sign")]
any_place = pytest.mark.parametrize("place", PLACES, ids=str)
EMPTY = Example(b"{}")
KEY = b"a key"


@any_place
def test_what_is_written_is_read_back_and_is_there_only_then(place: Place) -> None:
    written = place.write(EMPTY, "abc=/+")

    assert read(place, written) == "abc=/+"
    assert place.found(EMPTY) == ()
    with pytest.raises(Forged, match="is missing or empty"):
        read(place, EMPTY)


@any_place
def test_an_empty_text_is_as_good_as_none(place: Place) -> None:
    with pytest.raises(Forged, match="is missing or empty"):
        read(place, place.write(EMPTY, ""))


@given(st.text(), st.text(), st.binary())
def test_junk_in_any_place_is_a_text_or_nothing(header: str, query: str, body: bytes) -> None:
    sent = callback(body, {"X-Sign": header}, query={"sign": query})

    for place in (*PLACES, Field("a.b"), Field("xml.a", xml_object)):
        assert all(isinstance(place.raw(one), bytes) for one in place.found(sent))


def test_an_item_stands_among_others_in_any_order_and_with_spaces() -> None:
    header = {"x-sign": "t=5, s=abc,v0=x ,t2=6"}

    assert read(Item("X-Sign", "t"), Example(b"", header)) == "5"
    assert read(Item("X-Sign", "s"), Example(b"", header)) == "abc"
    assert read(Item("X-Sign", "v0"), Example(b"", header)) == "x"


def test_an_item_may_be_repeated_but_then_it_is_no_single_text() -> None:
    sent = Example(b"", {"x-sign": "s=a,s=b"})

    assert Item("X-Sign", "s").found(sent) == ("a", "b")
    with pytest.raises(Forged, match="more than once"):
        read(Item("X-Sign", "s"), sent)


def test_any_of_several_proofs_is_believed_but_a_repeated_time_is_not() -> None:
    time = Item("X-Sign", "t")
    scheme = HmacScheme(
        proof=Item("X-Sign", "s"), signed=(time, b".", Body()), time=SignedTime(time, "unix")
    )
    signed = scheme.sign(EMPTY, KEY, NOW)
    rotated = Example(b"{}", {"x-sign": f"s=00,{signed.headers['x-sign']}"})
    twice = Example(b"{}", {"x-sign": f"{signed.headers['x-sign']},t=1"})

    scheme.verify(arrived(rotated), [KEY], 300)

    assert signed.headers["x-sign"].startswith("t=1795435200,s=")
    with pytest.raises(Forged):
        scheme.verify(arrived(twice), [KEY], 300)


def test_a_number_in_the_body_is_read_as_it_is_written() -> None:
    sent = Example(b'{"time": 1700000000000, "flag": true, "deep": {"er": "x"}, "no": null}')

    assert read(Field("time"), sent) == "1700000000000"
    assert read(Field("deep.er"), sent) == "x"
    assert Field("flag").found(sent) == Field("no").found(sent) == Field("deep").found(sent) == ()


@pytest.mark.parametrize(
    ("written_as", "text"),
    [("iso", "2026-11-23T12:00:00.000000Z"), ("unix", "1795435200"), ("unix_ms", "1795435200000")],
)
def test_a_time_is_written_and_read_in_the_platforms_way(written_as: Any, text: str) -> None:
    time = SignedTime(Header("X-Time"), written_as)

    written = time.write(EMPTY, NOW)

    assert written.headers["x-time"] == text
    assert time.parse(written) == NOW == datetime(2026, 11, 23, 12, tzinfo=UTC)


def test_a_plain_hash_has_the_secret_among_its_parts() -> None:
    parts: Any = (Field("app_id"), Body(), Field("timestamp"), Key())
    scheme = HashScheme(proof=Header("X-Mac"), signed=parts, prefix="mac=")
    body = b'{"app_id": "7", "timestamp": "1"}'

    signed = scheme.sign(Example(body), KEY, NOW)

    expected = hashlib.sha256(b"7" + body + b"1" + KEY).hexdigest()
    assert signed.headers["x-mac"] == f"mac={expected}"
    scheme.verify(arrived(signed), [b"another", KEY], 300)
    with pytest.raises(Forged, match="does not match the body"):
        scheme.verify(arrived(signed), [b"another"], 300)


def test_sorted_parts_are_sorted_by_what_they_hold() -> None:
    parts: Any = (Key(), Query("timestamp"), Query("nonce"))
    scheme = HashScheme(proof=Query("signature"), signed=parts, digest="sha1", sorts=True)
    sent = Example(b"", {}, {"timestamp": "1410685589", "nonce": "test"})

    signed = scheme.sign(sent, b"test", NOW)

    # Published: wechatpy's tests/test_utils.py
    assert signed.query["signature"] == "f21891de399b4e33a1a93c9a7b8a8fffb5a443ff"
    assert not scheme.covers_body


@pytest.mark.parametrize("place", [Header("X-Token"), Field("secret")], ids=str)
def test_a_token_is_the_secret_itself_and_covers_nothing(place: Place) -> None:
    scheme = TokenScheme(proof=place, prefix="Key ")
    signed = scheme.sign(EMPTY, "gehëim".encode(), NOW)

    scheme.verify(arrived(signed), ["gehëim".encode()], 300)

    assert not scheme.covers_body
    assert scheme.reads == (place,)
    for keys in ([b"gehim"], [b""], [b"Key"]):
        with pytest.raises(Forged, match="does not match its secret"):
            scheme.verify(arrived(signed), keys, 300)
