"""Mastodon: https://docs.joinmastodon.org/admin/webhooks/"""

import hashlib
import hmac
import json
from typing import Any

import pytest

from app.platforms.kit.callback import Reading
from tests.platforms.callbacks import NOW, adapter_of, callback, only_event, reading

AT = "2026-11-23T12:00:00.000Z"
ANN = {"id": "42", "username": "ann", "acct": "ann"}
BRAND, BOB = {"id": "109", "acct": "brand"}, {"id": "110", "acct": "bob"}


def told(event: str, thing: dict[str, Any]) -> Reading:
    return reading(adapter_of("mastodon"), {"event": event, "created_at": AT, "object": thing})


def status(**more: Any) -> Reading:
    one = {"id": "7", "created_at": AT, "visibility": "public", "account": ANN, "mentions": []}
    return told("status.created", {**one, **more})


def test_a_status_is_a_post() -> None:
    event = only_event(status())

    assert (event.action, event.actor, event.target) == ("post", "42", "7")
    assert (event.actor_handle, event.occurred_at) == ("ann", NOW)


def test_a_reply_is_on_what_it_answers() -> None:
    event = only_event(status(in_reply_to_id="6", in_reply_to_account_id="109"))

    assert (event.action, event.target) == ("reply", "6")


def test_a_boost_is_a_repost_of_what_it_shows() -> None:
    event = only_event(status(reblog={"id": "6", "account": BRAND}))

    assert (event.action, event.target) == ("repost", "6")


def test_a_mention_of_us_is_one_beside_what_the_status_is() -> None:
    result = status(mentions=[BOB, BRAND])

    assert [(one.action, one.target) for one in result.events] == [
        ("post", "7"),
        ("mention", "brand"),
    ]
    assert len({one.key for one in result.events}) == 2


@pytest.mark.parametrize("visibility", ["private", "direct", "something new"])
def test_what_is_not_public_earns_nothing(visibility: str) -> None:
    assert status(visibility=visibility, mentions=[BRAND]).events == ()


def test_what_we_publish_ourselves_earns_nothing() -> None:
    assert status(account=BRAND).ignored == ("a status of an account of ours",)


@pytest.mark.parametrize("mark", ["bot", "group"])
def test_bots_and_groups_earn_nothing(mark: str) -> None:
    assert status(account={**ANN, mark: True}).ignored == ("a status by a bot or a group",)


@pytest.mark.parametrize(
    ("acct", "alias"), [("ann", "@ann"), ("ann@far.example", "@ann@far.example")]
)
def test_an_account_is_known_by_its_name_too_which_is_no_number(acct: str, alias: str) -> None:
    event = only_event(status(account={**ANN, "acct": acct}))

    assert (event.actor, event.aliases) == ("42", (alias,))


@pytest.mark.parametrize("name", ["brand", "@brand", "Brand"])
def test_our_accounts_may_be_written_in_any_way(name: str) -> None:
    body = {"event": "status.created", "created_at": AT}
    one = {"id": "7", "created_at": AT, "account": ANN, "mentions": [BRAND]}

    _, mention = reading(adapter_of("mastodon", names=[name]), {**body, "object": one}).events

    assert (mention.target, mention.target_aliases) == ("brand", ("109",))


@pytest.mark.parametrize("body", [{}, {"text": "by a template"}, {"event": "x"}], ids=str)
def test_a_body_by_a_template_is_left_out(body: dict[str, Any]) -> None:
    assert len(reading(adapter_of("mastodon"), body).ignored) == 1


def test_an_approved_account_has_joined_the_server() -> None:
    event = only_event(told("account.approved", {"id": "42", "username": "ann"}))

    assert (event.action, event.actor, event.target) == ("join", "42", None)
    assert (event.actor_handle, event.occurred_at) == ("ann", NOW)


@pytest.mark.parametrize("event", ["account.created", "account.updated", "status.updated"])
def test_an_account_that_nobody_confirmed_and_every_edit_earn_nothing(event: str) -> None:
    assert told(event, {"id": "42"}).ignored == (f"{event} earns nothing",)


def test_the_header_is_that_of_another_digest_elsewhere() -> None:
    body = json.dumps({"event": "report.created", "created_at": AT, "object": {}}).encode()
    key = b"example-webhook-secret-new"
    proof = "sha256=" + hmac.new(key, body, hashlib.sha256).hexdigest()

    adapter_of("mastodon").verify(callback(body, {"X-Hub-Signature": proof}))
