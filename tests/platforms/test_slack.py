"""Slack: https://docs.slack.dev/reference/events"""

import json
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

import pytest

from app.platforms.kit.callback import Malformed, Reading
from tests.platforms.callbacks import adapter_of, only_event, reading

TEAM, ANN, CHANNEL = "T123ABC456", "W123ABC456", "C123ABC456"
AT = 1767225600


def said(event: dict[str, Any], **options: Any) -> Reading:
    body = {"token": "XXYYZZ", "team_id": TEAM, "type": "event_callback", "event": event}
    adapter = adapter_of("slack", **options)
    return reading(adapter, {**body, "event_id": "Ev123ABC456", "event_time": AT})


def filled(**fields: str) -> bytes:
    return urlencode(fields).encode()


def test_joining_and_leaving_a_channel() -> None:
    joined = only_event(said({"type": "member_joined_channel", "user": ANN, "channel": CHANNEL}))
    left = only_event(said({"type": "member_left_channel", "user": ANN, "channel": CHANNEL}))

    assert (joined.action, joined.actor, joined.target) == ("join", ANN, CHANNEL)
    assert (left.action, left.target, left.undone) == ("join", CHANNEL, True)
    assert joined.occurred_at == datetime.fromtimestamp(AT, UTC)


def test_who_joins_the_workspace_is_told_with_a_profile() -> None:
    event = only_event(said({"type": "team_join", "user": {"id": ANN, "profile": {}}}))

    assert (event.action, event.actor, event.target) == ("join", ANN, TEAM)


def test_a_reaction_is_to_a_message() -> None:
    item = {"type": "message", "channel": CHANNEL, "ts": "1.2"}

    added = only_event(said({"type": "reaction_added", "user": ANN, "item": item}))
    removed = only_event(said({"type": "reaction_removed", "user": ANN, "item": item}))

    assert (added.action, added.target) == ("like", f"{CHANNEL}_1.2")
    assert (removed.target, removed.undone) == (added.target, True)


def test_a_look_at_our_certificate_is_a_handshake() -> None:
    assert reading(adapter_of("slack"), filled(ssl_check="1", token="x")) == Reading(handshake=True)


def test_a_reaction_to_a_file_is_to_no_message() -> None:
    told = said({"type": "reaction_added", "user": ANN, "item": {"type": "file", "file": "F1"}})

    assert told.ignored == ("reaction_added to what is no message earns nothing",)


@pytest.mark.parametrize("sort", ["file_share", "thread_broadcast"])
def test_what_is_written_with_a_file_or_told_to_the_channel_is_a_comment(sort: str) -> None:
    told = {"type": "message", "subtype": sort, "user": ANN, "channel": CHANNEL, "text": "look"}

    assert only_event(said(told)).action == "comment"
    assert not said({**told, "bot_id": "B1"}).events


@pytest.mark.parametrize("mark", [{"bot_id": "B1"}, {"subtype": "channel_join"}])
def test_what_bots_and_the_service_write_is_no_comment(mark: dict[str, str]) -> None:
    told = {"type": "message", "user": ANN, "channel": CHANNEL, "text": "hi"}

    assert only_event(said(told)).action == "comment"
    assert said({**told, **mark}).ignored == ("message by a bot or the service earns nothing",)


def test_another_workspace_earns_nothing_where_ours_are_named() -> None:
    told = {"type": "member_joined_channel", "user": ANN, "channel": CHANNEL}

    assert said(told, teams=[TEAM]).events
    assert said(told, teams=["T2"]).ignored == (
        "member_joined_channel in a workspace that is not configured",
    )


def test_a_command_is_a_form_and_its_living_secrets_are_not_kept() -> None:
    body = filled(token="t", team_id=TEAM, user_id=ANN, user_name="ann", command="/claim",
                  response_url="https://hooks.slack.com/1", trigger_id="1.2")  # fmt: skip

    result = reading(adapter_of("slack"), body)

    event = only_event(result)
    assert (event.action, event.actor, event.target) == ("command", ANN, "/claim")
    assert event.actor_handle == "ann"
    assert set(json.loads(event.payload)) == {"team_id", "user_id", "user_name", "command"}


def test_a_button_is_told_by_its_own_id() -> None:
    told = {"type": "block_actions", "user": {"id": ANN}, "actions": [{"action_id": "claim"}]}

    event = only_event(reading(adapter_of("slack"), filled(payload=json.dumps(told))))

    assert (event.action, event.actor, event.target) == ("component", ANN, "claim")


@pytest.mark.parametrize(
    "written", ["command=", f"&command=/claim&user_id=W2&team_id={TEAM}&", "payload={}&command=/x"]
)
def test_what_somebody_writes_is_no_command(written: str) -> None:
    """Whoever has a workspace of his own could else command in the name of anybody in ours."""
    blocks = [{"type": "rich_text", "elements": [{"type": "text", "text": written}]}]
    told = {"type": "message", "user": ANN, "channel": CHANNEL, "text": "hi", "blocks": blocks}

    assert only_event(said(told)).action == "comment"
    assert not said(told, teams=["T2"]).events


def test_a_command_elsewhere_earns_nothing_where_ours_are_named() -> None:
    body = filled(team_id="T2", user_id=ANN, command="/claim")

    assert not reading(adapter_of("slack", teams=[TEAM]), body).events


@pytest.mark.parametrize("word", ["app_uninstalled", "tokens_revoked"])
def test_the_end_of_an_installation_is_a_notice(word: str) -> None:
    assert said({"type": word}).notice == f"Slack says {word}"


def test_being_sent_less_than_happens_is_a_notice() -> None:
    result = reading(adapter_of("slack"), {"type": "app_rate_limited", "team_id": TEAM})

    assert result.notice


def test_the_challenge_is_answered_as_plain_text_after_the_signature() -> None:
    result = reading(adapter_of("slack"), {"type": "url_verification", "challenge": "3eZbrw1aBm"})

    assert result.handshake
    assert result.reply is not None
    assert (result.reply.status, result.reply.body) == (200, "3eZbrw1aBm")


@pytest.mark.parametrize("body", [b"payload=", b"payload=[]", b"a=1", b"payload=%FF", b""])
def test_a_form_without_a_command_or_a_payload_is_malformed(body: bytes) -> None:
    with pytest.raises(Malformed):
        reading(adapter_of("slack"), body)
