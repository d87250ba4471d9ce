"""May this customer make a claim? The backend asks for the token."""

from datetime import timedelta
from io import BytesIO
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from werkzeug.test import TestResponse

from app.steps import keys
from app.steps.keys import Role
from app.web.api.claim_tokens import believe
from app.web.parsing import MAX_BODY_BYTES
from tests.clock import START
from tests.web.conftest import CONFIG, OpenShop
from tests.web.shop import Shop, problem, wrong_fields

PATH = "/v1/claim-tokens"
TWO_CUSTOMERS = '{"customerId": "ada", "customerId": "bob", "challengeId": 100}'


def test_a_backend_gets_a_token_and_is_told_when_it_expires(shop: Shop) -> None:
    answer = shop.mint(customerId="ada", challengeId=100, email="a@b.c", mobile="+31 6 1234")

    assert answer.status_code == 201
    assert answer.headers["Cache-Control"] == "no-store"
    said = answer.get_json()
    assert set(said) == {"token", "expiresAt"}
    assert said["expiresAt"] == "2026-01-05T13:00:00.000000Z"
    token = believe(shop.service.secret_keys, said["token"], START)
    assert (token.customer_id, token.challenge_id) == ("ada", 100)
    assert (token.email, token.mobile) == ("a@b.c", "+31 6 1234")


def test_a_backend_may_choose_a_life_within_the_settings_bound(shop: Shop) -> None:
    answer = shop.mint(customerId="ada", challengeId=100, ttlSeconds=86_400)

    token = believe(shop.service.secret_keys, answer.get_json()["token"], START)
    assert token.expires_at - token.issued_at == timedelta(days=1)


@pytest.mark.parametrize(
    "ttl_seconds", [86_401, 10**9, 10**30, 0, -1, 1.5, "soon", [], True + 2**40]
)
def test_any_other_life_is_refused(shop: Shop, ttl_seconds: Any) -> None:
    answer = shop.mint(customerId="ada", challengeId=100, ttlSeconds=ttl_seconds)

    assert wrong_fields(answer) == ["ttlSeconds"]


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"customerId": ""}, "customerId"),
        ({"customerId": "a" * 101}, "customerId"),
        ({"customerId": "a\x00"}, "customerId"),
        ({"customerId": "a\u200b"}, "customerId"),
        ({"customerId": None}, "customerId"),
        ({"customerId": 5}, "customerId"),
        ({"challengeId": 0}, "challengeId"),
        ({"challengeId": 2**31}, "challengeId"),
        ({"challengeId": "abc"}, "challengeId"),
        ({"challengeId": "100"}, "challengeId"),
        ({"challengeId": 100.5}, "challengeId"),
        ({"challengeId": True}, "challengeId"),
        ({"ttlSeconds": "60"}, "ttlSeconds"),
        ({"customerId": "  "}, "customerId"),
        ({"email": "nobody"}, "email"),
        ({"mobile": "call me"}, "mobile"),
        ({"customer_id2": "x"}, "customer_id2"),
    ],
)
def test_each_wrong_member_is_named(shop: Shop, wrong: dict[str, Any], field: str) -> None:
    answer = shop.mint(**{"customerId": "ada", "challengeId": 100} | wrong)

    assert answer.status_code == 422
    assert wrong_fields(answer) == [field]


def test_a_challenge_that_no_rule_rewards_gets_no_token(shop: Shop) -> None:
    answer = shop.mint(customerId="ada", challengeId=999)

    assert (answer.status_code, problem(answer)) == (422, "no-rule")


@pytest.mark.parametrize(
    ("more", "kind"),
    [
        ({"data": "{", "content_type": "application/json"}, "malformed"),
        ({"data": b"\xff{}", "content_type": "application/json"}, "malformed"),
        ({"data": b'{"customerId": "\\ud800"}', "content_type": "application/json"}, "malformed"),
        ({"data": "[" * 60_000, "content_type": "application/json"}, "malformed"),
        ({"data": TWO_CUSTOMERS, "content_type": "application/json"}, "malformed"),
        ({"data": "customerId=ada"}, "media-type"),
        ({"json": {"customerId": "a" * 70_000}}, "too-large"),
        ({"json": []}, "invalid"),
        ({"data": "null", "content_type": "application/json"}, "invalid"),
    ],
)
def test_a_body_that_cannot_be_read_is_refused(shop: Shop, more: dict[str, Any], kind: str) -> None:
    assert problem(shop.call("POST", PATH, shop.backend_key, **more)) == kind


def test_no_end_is_cut_off_a_body_that_comes_in_chunks(shop: Shop) -> None:
    wanted = b'{"customerId": "ada", "challengeId": 100}'
    chunked = {"wsgi.input_terminated": True, "CONTENT_LENGTH": ""}

    def minted(body: bytes) -> TestResponse:
        more = {"content_type": "application/json", "environ_overrides": chunked}
        return shop.call("POST", PATH, shop.backend_key, input_stream=BytesIO(body), **more)

    assert minted(wanted).status_code == 201
    assert problem(minted(wanted.ljust(MAX_BODY_BYTES) + b"and no JSON")) == "too-large"


def test_only_backends_mint(shop: Shop) -> None:
    body = {"customerId": "ada", "challengeId": 100}

    assert problem(shop.call("POST", PATH, json=body)) == "unauthenticated"
    assert problem(shop.call("POST", PATH, "vouch_abc", json=body)) == "unauthenticated"
    assert problem(shop.call("POST", PATH, shop.token(), json=body)) == "unauthenticated"
    for role in (Role.VIEWER, Role.OPERATOR):
        assert problem(shop.call("POST", PATH, shop.key(role), json=body)) == "forbidden"
    assert shop.call("POST", PATH, shop.key(Role.ADMIN), json=body).status_code == 201


def test_a_revoked_key_mints_nothing(shop: Shop) -> None:
    key_id = shop.backend_key.split("_")[1]
    shop.service.database.write(lambda c: keys.revoke(c, key_id, START))

    assert problem(shop.mint(customerId="ada", challengeId=100)) == "unauthenticated"


@pytest.mark.usefixtures("database_url")
def test_a_junk_key_is_an_unknown_key(shop: Shop) -> None:
    long = "vouch_" + "a" * 12 + "_" + "b" * 9_999

    for key in ("vouch_aaaa\x00aaaaaaa_x", "vouch_aaaaaaaaaaaé_x", long):
        assert problem(shop.call("POST", PATH, key, json={})) == "unauthenticated"


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(["customerId", "challengeId", "email", "mobile", "ttlSeconds"])
                | st.text(),
                inner,
            )
        ),
    )
)
def test_no_body_makes_it_our_fault(shop: Shop, body: Any) -> None:
    assert shop.call("POST", PATH, shop.backend_key, json=body).status_code < 500


def test_a_default_life_beyond_the_greatest_is_a_mistake_in_the_settings(
    open_shop: OpenShop,
) -> None:
    with pytest.raises(Exception, match="default_ttl must not exceed max_ttl"):
        open_shop(CONFIG.replace('max_ttl = "1d"', 'max_ttl = "10m"'))
