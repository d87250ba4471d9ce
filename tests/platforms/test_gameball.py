"""Gameball: its two topics, an automation's webhook, and what neither of them proves."""

import json
from dataclasses import replace
from typing import Any

import pytest

from app.platforms.kit.adapter import Adapter
from app.platforms.kit.callback import Callback, Forged, Malformed, Reading
from app.platforms.kit.examples import templates
from tests.platforms.callbacks import NOW, adapter_of, arrived, callback

SECRET = "example-secret-key-new"
AUTOMATION = "example-automation-secret-new"
ACHIEVED = {"event": "reward_campaign.achieved", "customer_id": "ann", "campaign_id": 11664}


def by_automation(body: object, secret: str = AUTOMATION) -> Callback:
    return callback(json.dumps(body).encode(), {"X-Vouch-Secret": secret})


def told(body: object, **options: Any) -> Reading:
    adapter, sent = adapter_of("gameball", **options), by_automation(body)
    adapter.verify(sent)
    return adapter.read(sent)


def topic(adapter: Adapter, name: str = "profile") -> Callback:
    example = templates("gameball")[name].fill(actor="ann", target="", key="", now=NOW)
    return arrived(adapter.sign(example, NOW))


def test_the_signature_is_a_sha1_of_the_body_a_colon_and_the_secret_key() -> None:
    """Computed with Node.js by the documentation's own sample."""
    body = (
        b'{"event":"customer.profile.updated","client_id":"2155","customer_id":"webhook-test",'
        b'"gb_customer_id":1234,"created_at":"2024-11-19T17:34:42.297Z",'
        b'"data":{"activated_points":90}}'
    )
    headers = {"X-GB-Signature": "c02508d67b79a2a4f9925111ae9577e951ec1840"}
    adapter = adapter_of("gameball", secrets=["test_secret"])

    adapter.verify(callback(body, headers))

    assert adapter.read(callback(body, headers)).nudges[0].customer_id == "webhook-test"


@pytest.mark.parametrize(
    "sent",
    [
        '{ "event": "x",\n "points": 90.0, "name": "J\\u00f6 \\u65e5" }',
        '{"event":"x","points":9e1,"name":"Jö 日"}',
    ],
)
def test_what_javascript_would_write_of_the_body_may_be_what_is_signed(sent: str) -> None:
    adapter = adapter_of("gameball")
    written = callback('{"event":"x","points":90,"name":"Jö 日"}'.encode())
    proof = adapter.schemes[0].made(written, SECRET.encode())

    adapter.verify(callback(sent.encode(), {"X-GB-Signature": proof}))


@pytest.mark.parametrize("name", ["notification", "profile"])
def test_a_topic_changed_by_one_byte_is_forged(name: str) -> None:
    adapter = adapter_of("gameball")
    honest = topic(adapter, name)
    places = range(0, len(honest.body), 7)

    for at in places:
        body = honest.body[:at] + bytes([honest.body[at] ^ 1]) + honest.body[at + 1 :]
        with pytest.raises(Forged):
            adapter.verify(replace(honest, body=body))


def test_no_signature_of_a_body_that_is_no_json_is_made_of_anything_else() -> None:
    adapter = adapter_of("gameball")

    for body in (b"", b"\xff", b"[" * 100_000, b"9" * 5_000, b'{"a": 1e999}', b'{"a":"\\ud800"}'):
        with pytest.raises(Forged):
            adapter.verify(callback(body, {"X-GB-Signature": "c0" * 20}))


@pytest.mark.parametrize("secret", ["", "wrong", SECRET, AUTOMATION.upper(), f"{AUTOMATION} "])
def test_an_automation_without_its_secret_is_forged(secret: str) -> None:
    with pytest.raises(Forged):
        adapter_of("gameball").verify(by_automation(ACHIEVED, secret))


def test_where_no_automation_secret_is_configured_no_header_is_believed() -> None:
    adapter = adapter_of("gameball", automation_secrets=[])

    for secret in (SECRET, AUTOMATION):
        with pytest.raises(Forged):
            adapter.verify(by_automation(ACHIEVED, secret))


def test_a_wrong_signature_is_not_made_good_by_the_header() -> None:
    sent = by_automation(ACHIEVED)
    both = replace(sent, headers={**sent.headers, "x-gb-signature": "c0" * 20})

    with pytest.raises(Forged):
        adapter_of("gameball").verify(both)


def test_both_secrets_of_a_rotation_are_believed() -> None:
    for secret in (AUTOMATION, "example-automation-secret-old"):
        adapter_of("gameball").verify(by_automation(ACHIEVED, secret))


@pytest.mark.parametrize("secret", ["short", "with a space in its middle, see", "ü" * 30])
def test_a_header_secret_is_long_and_can_be_sent(secret: str) -> None:
    with pytest.raises(ValueError, match="24 to 256"):
        adapter_of("gameball", automation_secrets=[secret])


@pytest.mark.parametrize("campaign", [11664, "11664"])
def test_an_automation_names_customer_and_campaign(campaign: object) -> None:
    [nudge] = told({**ACHIEVED, "campaign_id": campaign}).nudges

    assert (nudge.customer_id, nudge.challenge_id) == ("ann", 11664)
    assert nudge.heard_at == NOW


def test_by_itself_it_proves_a_grant_only_where_that_is_configured() -> None:
    assert not told(ACHIEVED).nudges[0].is_proof
    assert told(ACHIEVED, proves_grants=True).nudges[0].is_proof


@pytest.mark.parametrize(
    "campaign", [None, True, 0, -1, 1.5, "", "{campaign}", "²", "1e3", 2**31, "9" * 5_000, [1]]
)
def test_what_is_no_campaigns_number_is_said_and_proves_nothing(campaign: object) -> None:
    reading = told({**ACHIEVED, "campaign_id": campaign}, proves_grants=True)

    [nudge] = reading.nudges
    assert (nudge.challenge_id, nudge.is_proof) == (None, False)
    assert reading.ignored == ("campaign_id is no campaign's number",)


@pytest.mark.parametrize("name", ["notification", "profile"])
def test_a_topic_names_no_campaign_and_never_proves_anything(name: str) -> None:
    adapter = adapter_of("gameball", proves_grants=True)

    [nudge] = adapter.read(topic(adapter, name)).nudges

    assert (nudge.challenge_id, nudge.is_proof) == (None, False)


def test_a_campaign_id_in_a_topic_is_not_gameballs_word() -> None:
    body = {**ACHIEVED, "event": "customer.profile.updated"}

    assert told(body, proves_grants=True).nudges[0].challenge_id is None


def test_of_personal_data_nothing_is_read() -> None:
    adapter = adapter_of("gameball")
    sent = topic(adapter)
    assert b"ann@shop.example" in sent.body

    reading = adapter.read(sent)

    assert "shop.example" not in repr(reading)
    assert "+2010" not in repr(reading)


def test_other_words_tell_of_no_reward() -> None:
    reading = told({"event": "customer.deleted", "customer_id": "ann"})

    assert not reading.nudges
    assert reading.ignored == ("customer.deleted tells of no reward",)


@pytest.mark.parametrize("customer", [None, "", " ", "a" * 101, ["ann"], {"id": 1}, "a\nb"])
def test_a_body_that_names_no_customer_is_malformed(customer: object) -> None:
    with pytest.raises(Malformed):
        told({**ACHIEVED, "customer_id": customer})


def test_a_number_is_a_customers_id_as_well() -> None:
    assert told({**ACHIEVED, "customer_id": 42}).nudges[0].customer_id == "42"


def test_its_accounts_are_nobodys() -> None:
    with pytest.raises(ValueError, match="accounts"):
        adapter_of("gameball", accounts="elsewhere")
