"""Which tokens do we believe?"""

import base64
import hashlib
import hmac
import json
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from itsdangerous import URLSafeTimedSerializer

from app.web.api.claim_tokens import ClaimToken, believe, mint
from app.web.problems import Problem
from tests.clock import START

NEW, OLD, FOREIGN = "the-newest-key-of-all", "the-key-of-last-year", "a-key-of-somebody-else"
SALT = b"vouch.claim.v1"
JTI = "019b8e5c-0000-7000-8000-000000000000"
GOOD = {"jti": JTI, "customerId": "ada", "challengeId": 100, "ttl": 3600}


def minted(*keys: str, ttl_seconds: int = 3600) -> str:
    token, _ = mint(keys, customer_id="ada", challenge_id=100, ttl_seconds=ttl_seconds, now=START)
    return token


def refused(token: str, *keys: str) -> str:
    with pytest.raises(Problem) as caught:
        believe(keys or (NEW,), token, START)
    assert caught.value.status == 401
    return caught.value.kind


def signed(said: Any, salt: bytes = SALT, **signer: Any) -> str:
    """A token as `mint` would sign it, whatever it says."""
    kwargs = {"key_derivation": "hmac", "digest_method": hashlib.sha256, **signer}
    serializer = URLSafeTimedSerializer(NEW, salt=salt, signer_kwargs=kwargs)
    return str(serializer.dumps(said))


def test_a_token_says_what_it_was_minted_for() -> None:
    token, expires_at = mint(
        [NEW],
        customer_id="Zoë 李",
        challenge_id=100,
        email="zoe@example.com",
        mobile="+31 6 1234",
        ttl_seconds=90,
        now=START,
    )

    believed = believe([NEW], token, START)

    issued_at = START.replace(microsecond=0)
    assert believed == ClaimToken(
        id=believed.id,
        customer_id="Zoë 李",
        challenge_id=100,
        email="zoe@example.com",
        mobile="+31 6 1234",
        issued_at=issued_at,
        expires_at=expires_at,
    )
    assert expires_at == issued_at + timedelta(seconds=90)
    assert str(UUID(believed.id)) == believed.id


def test_two_tokens_for_the_same_claim_are_two_tokens() -> None:
    first, second = believe([NEW], minted(NEW), START), believe([NEW], minted(NEW), START)

    assert first.id != second.id


def test_a_token_is_signed_with_hmac_sha256_under_a_key_derived_with_our_salt() -> None:
    said, _, signature = minted(NEW).rpartition(".")

    key = hmac.digest(NEW.encode(), SALT, "sha256")
    expected = base64.urlsafe_b64encode(hmac.digest(key, said.encode(), "sha256")).rstrip(b"=")
    assert signature == expected.decode()


def test_the_newest_key_signs_and_the_old_ones_tokens_stay_good() -> None:
    old_token = minted(OLD)
    new_token = minted(NEW, OLD)

    assert believe([NEW, OLD], old_token, START).customer_id == "ada"
    assert believe([NEW], new_token, START).customer_id == "ada"
    assert refused(new_token, OLD) == "token-invalid"


def test_a_token_dies_with_the_key_that_signed_it() -> None:
    assert refused(minted(OLD), NEW, FOREIGN) == "token-invalid"


@pytest.mark.parametrize("position", range(0, 200, 7))
def test_a_token_changed_in_any_place_is_not_believed(position: int) -> None:
    token = minted(NEW)
    position %= len(token) - 1
    other = "A" if token[position] != "A" else "B"

    changed = token[:position] + other + token[position + 1 :]

    assert refused(changed) == "token-invalid"


def test_a_payload_cannot_be_exchanged() -> None:
    _, time, signature = minted(NEW).rsplit(".", 2)
    forged = base64.urlsafe_b64encode(json.dumps(GOOD | {"customerId": "eve"}).encode())

    assert refused(f"{forged.decode().rstrip('=')}.{time}.{signature}") == "token-invalid"


def test_what_the_same_key_signed_for_another_purpose_is_no_token() -> None:
    assert refused(signed(GOOD, b"cookie-session")) == "token-invalid"
    assert refused(signed(GOOD, b"itsdangerous")) == "token-invalid"
    assert refused(signed(GOOD, digest_method=hashlib.sha1)) == "token-invalid"
    assert refused(signed(GOOD, key_derivation="django-concat")) == "token-invalid"


@pytest.mark.parametrize(
    "said",
    [
        None,
        [],
        "text",
        7,
        {},
        GOOD | {"jti": "no uuid"},
        GOOD | {"jti": 5},
        GOOD | {"customerId": ""},
        GOOD | {"customerId": ["ada"]},
        GOOD | {"customerId": "a\x00b"},
        GOOD | {"customerId": "a" * 101},
        GOOD | {"challengeId": 0},
        GOOD | {"challengeId": 2**31},
        GOOD | {"ttl": 0},
        GOOD | {"ttl": 10**18},
        GOOD | {"ttl": "soon"},
        GOOD | {"email": 3},
        GOOD | {"somebody": "else"},
    ],
    ids=lambda said: json.dumps(said)[-40:],
)
def test_a_token_that_is_rightly_signed_yet_says_something_else_is_no_token(said: Any) -> None:
    assert refused(signed(said)) == "token-invalid"


@pytest.mark.parametrize(
    "junk",
    [
        "",
        " ",
        ".",
        "..",
        "...",
        "a.b.c",
        "\x00",
        "é.é.é",
        "\ud800",
        "NaN",
        "A" * 1_000_000,
        "." * 4_000,
        ".eJwrKk.aaaa.aaaa",
        "aaaa.-_-_-_-_-_-_-_-_-_-_-_.aaaa",
    ],
    ids=lambda junk: ascii(junk[:20]),
)
def test_junk_is_no_token(junk: str) -> None:
    assert refused(junk) == "token-invalid"
    assert refused(minted(NEW) + junk if junk else "") == "token-invalid"


@given(st.text() | st.from_regex(r"\.?[A-Za-z0-9_-]*\.[A-Za-z0-9_-]*\.[A-Za-z0-9_-]*"))
def test_no_text_but_ours_is_a_token(text: str) -> None:
    assert refused(text) == "token-invalid"


def test_a_token_is_believed_for_a_week_after_its_issue_though_it_expired() -> None:
    token = minted(NEW, ttl_seconds=60)
    week = timedelta(days=7)

    late = believe([NEW], token, START + week - timedelta(seconds=1))

    assert late.expires_at < START + timedelta(seconds=60)
    with pytest.raises(Problem, match="token-expired"):
        believe([NEW], token, START + week)


def test_a_token_with_a_life_longer_than_a_week_is_believed_to_its_end() -> None:
    token = minted(NEW, ttl_seconds=30 * 86_400)

    late = believe([NEW], token, START + timedelta(days=29))

    assert late.readable_until == late.expires_at


def test_a_token_from_a_machine_whose_clock_is_ahead_is_believed() -> None:
    assert believe([NEW], minted(NEW), START - timedelta(seconds=5)).customer_id == "ada"
