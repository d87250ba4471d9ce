"""Signatures: what is believed, and that junk is refused rather than failed on."""

import base64
import hashlib
import hmac
from datetime import timedelta
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from app.platforms.kit.callback import Example, Forged, Malformed, Mismatch
from app.platforms.kit.encodings import event_key, fingerprint, matches_any, unb64
from app.platforms.kit.fields import json_object
from app.platforms.kit.handshakes import safe_to_answer
from app.platforms.kit.key_pairs import ed25519_signed
from app.platforms.kit.places import Body, Header, Key, SignedTime
from app.platforms.kit.schemes import HashScheme, HmacScheme
from tests.platforms.callbacks import NOW, arrived, callback

KEY, BODY = b"a key", b'{"a": 1}'
PLAIN = HmacScheme(proof=Header("X-Signature"), prefix="sha256=")
TIMED = HmacScheme(
    proof=Header("X-Signature"),
    signed=(b"v0:", Header("X-Time"), b":", Body()),
    time=SignedTime(Header("X-Time"), "unix"),
)


@pytest.mark.parametrize("digest", ["sha1", "sha256", "sha512"])
@pytest.mark.parametrize("encoding", ["hex", "base64"])
def test_the_signature_is_a_plain_hmac_of_the_signed_parts(digest: Any, encoding: Any) -> None:
    scheme = HmacScheme(
        proof=Header("s"),
        signed=(Header("A"), b".", Body()),
        prefix="p=",
        digest=digest,
        encoding=encoding,
    )

    signature = scheme.signature(scheme.content(Example(BODY, {"a": "1"})), KEY)

    raw = hmac.new(KEY, b"1." + BODY, getattr(hashlib, digest)).digest()
    expected = raw.hex() if encoding == "hex" else base64.b64encode(raw).decode()
    assert signature == f"p={expected}"


def test_any_of_several_keys_is_believed() -> None:
    sent = arrived(PLAIN.sign(Example(BODY), KEY, NOW))

    PLAIN.verify(sent, [b"another", KEY], 300)

    with pytest.raises(Forged, match="does not match"):
        PLAIN.verify(sent, [b"another"], 300)


def test_without_a_key_nothing_is_believed() -> None:
    sent = arrived(PLAIN.sign(Example(BODY), b"", NOW))

    with pytest.raises(Forged, match="no secrets are configured"):
        PLAIN.verify(sent, [], 300)


def test_the_prefix_belongs_to_the_signature() -> None:
    signature = PLAIN.signature(BODY, KEY)

    for changed in (signature.removeprefix("sha256="), signature.upper(), f"{signature} "):
        with pytest.raises(Forged):
            PLAIN.verify(callback(BODY, {"X-Signature": changed}), [KEY], 300)


@pytest.mark.parametrize("digest", ["sha1", "sha256", "sha512"])
@pytest.mark.parametrize("prefix", ["", "sha256=", "HMAC "])
@pytest.mark.parametrize("gap", ["", " ", "\t "])
def test_a_digest_is_compared_as_bytes(digest: Any, prefix: str, gap: str) -> None:
    scheme = HmacScheme(proof=Header("X-Signature"), prefix=prefix, digest=digest)
    made = hmac.new(KEY, BODY, digest).hexdigest()
    for digits in (made, made.upper(), made[:7] + made[7:].upper()):
        scheme.verify(callback(BODY, {"X-Signature": f"{prefix}{gap}{digits}"}), [KEY], 300)
        with pytest.raises(Mismatch):
            scheme.verify(callback(BODY, {"X-Signature": f"{prefix}{gap}{digits}"}), [b"x"], 300)


def test_a_hash_is_compared_as_bytes() -> None:
    scheme = HashScheme(proof=Header("X-Signature"), signed=(Key(), Body()))
    made = scheme.made(Example(BODY), KEY).upper()

    scheme.verify(callback(BODY, {"X-Signature": made}), [KEY], 300)

    with pytest.raises(Mismatch):
        scheme.verify(callback(BODY, {"X-Signature": made}), [b"another"], 300)


def test_base64_in_capitals_is_another_signature() -> None:
    scheme = HmacScheme(proof=Header("X-Signature"), encoding="base64")
    made = scheme.signature(BODY, KEY)

    with pytest.raises(Mismatch):
        scheme.verify(callback(BODY, {"X-Signature": made.upper()}), [KEY], 300)


@pytest.mark.parametrize(
    ("claimed", "fault"),
    [
        ("sha1=" + "0" * 40, "does not begin with sha256="),
        ("0" * 64, "does not begin with sha256="),
        ("SHA256=" + "0" * 64, "does not begin with sha256="),
        ("sha256=" + "0" * 40, "has 20 bytes, but sha256 makes 32"),
        ("sha256=", "is not hex"),
        ("sha256=" + "z" * 64, "is not hex"),
        ("sha256=" + "0" * 63, "is not hex"),
        ("sha256=" + "0 " * 64, "is not hex"),
        ("sha256=" + "\u0660" * 64, "is not hex"),
    ],
)
def test_what_no_secret_could_make_is_named(claimed: str, fault: str) -> None:
    with pytest.raises(Forged, match=fault) as refused:
        PLAIN.verify(callback(BODY, {"X-Signature": claimed}), [KEY], 300)

    assert not isinstance(refused.value, Mismatch)


def test_a_scheme_names_every_header_it_reads() -> None:
    assert PLAIN.headers == ("X-Signature",)
    assert TIMED.headers == ("X-Signature", "X-Time")


@pytest.mark.parametrize("seconds", [-300, -299.5, 0, 299.5, 300])
def test_a_signed_time_within_the_tolerance_is_believed(seconds: float) -> None:
    sent = TIMED.sign(Example(BODY), KEY, NOW)

    TIMED.verify(arrived(sent, at=NOW + timedelta(seconds=seconds)), [KEY], 300)


@pytest.mark.parametrize("seconds", [-301, -300.001, 300.001, 301, 1e8])
def test_a_signed_time_outside_the_tolerance_is_forged(seconds: float) -> None:
    sent = TIMED.sign(Example(BODY), KEY, NOW)

    with pytest.raises(Forged, match="from our clock"):
        TIMED.verify(arrived(sent, at=NOW + timedelta(seconds=seconds)), [KEY], 300)


@pytest.mark.parametrize(
    "time", ["NaN", "-1", "1e9", "0", "9" * 19, "9" * 50, "٣", "x", "2026-11-23"]
)
def test_a_signed_time_that_is_none_is_forged_even_under_the_right_key(time: str) -> None:
    signature = TIMED.signature(TIMED.content(Example(BODY, {"x-time": time})), KEY)

    with pytest.raises(Forged):
        TIMED.verify(callback(BODY, {"X-Time": time, "X-Signature": signature}), [KEY], 300)


@given(st.text(), st.text(), st.binary())
def test_no_header_makes_a_scheme_fail_otherwise(time: str, signature: str, body: bytes) -> None:
    with pytest.raises(Forged):
        TIMED.verify(callback(body, {"X-Time": time, "X-Signature": signature}), [KEY], 300)


@given(st.text(), st.text())
def test_texts_match_only_themselves(claimed: str, expected: str) -> None:
    assert matches_any(claimed, [expected, claimed])
    assert matches_any(claimed, [expected]) == (claimed == expected)
    assert not matches_any(claimed, [])


@given(st.binary())
def test_base64_is_read_with_and_without_padding(raw: bytes) -> None:
    encoded = base64.b64encode(raw).decode()

    assert unb64(encoded) == unb64(encoded.rstrip("=")) == raw


@given(st.text())
def test_what_is_no_base64_is_nothing(value: str) -> None:
    decoded = unb64(value)

    assert decoded is None or base64.b64encode(decoded).decode().startswith(value.rstrip("=")[:-1])


@given(st.binary(max_size=80))
def test_only_the_pair_of_the_key_signs(junk: bytes) -> None:
    pair = Ed25519PrivateKey.generate()
    public = pair.public_key()

    assert ed25519_signed(public, pair.sign(BODY), BODY)
    assert not ed25519_signed(public, pair.sign(BODY), BODY + b" ")
    assert not ed25519_signed(public, Ed25519PrivateKey.generate().sign(BODY), BODY)
    assert not ed25519_signed(public, junk, BODY)


@pytest.mark.parametrize(
    "token",
    [
        "challenge_string",
        "9b4507b3-9040-4669-9ca3-6b94edb50553",
        "ZGVhZGJlZWY=",
        "a+b/c",
        "1",
        "x" * 255,
    ],
)
def test_a_token_is_safe_to_answer(token: str) -> None:
    assert safe_to_answer(token) == token


@pytest.mark.parametrize(
    "challenge",
    [None, "", "{}", '{"data":{}}', " {}", "a b", "a\n", "[1]", '"a"', "a=1&b=2", "ä", "x" * 256],
)
def test_anything_else_is_not(challenge: str | None) -> None:
    with pytest.raises(Malformed):
        safe_to_answer(challenge)


@given(st.text() | st.from_regex(r"[A-Za-z0-9._~+/=-]{1,255}", fullmatch=True))
def test_nothing_that_is_answered_can_be_read_as_an_event(challenge: str) -> None:
    try:
        answered = safe_to_answer(challenge)
    except Malformed:
        return
    with pytest.raises(Malformed):
        json_object(answered.encode())


def test_a_key_is_readable_where_it_is_short_and_a_hash_where_it_is_long() -> None:
    assert event_key("comment", "1_2", None, 3) == "comment:1_2::3"
    assert event_key("x" * 255) == "x" * 255
    assert event_key("x" * 255, "y") == fingerprint("x" * 255, "y") != fingerprint("x" * 255, "z")
    assert len(fingerprint("x", None, "\ud800")) == 40
