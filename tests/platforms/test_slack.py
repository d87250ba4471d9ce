"""Slack: https://docs.slack.dev/reference/events"""

import json
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

import pytest

from app.platforms.kit.callback import Forged, Malformed, Reading, Reply
from tests.platforms.callbacks import adapter_of, callback, only_event, reading

TEAM, ANN, CHANNEL = "T123ABC456", "W123ABC456", "C123ABC456"
AT, TS = 1767225600, "1767225600.000100"
BOT = "U0BOT"
OURS = [{"team_id": TEAM, "user_id": BOT, "is_bot": True}]


def said(event: dict[str, Any], teams: tuple[str, ...] = (), **body: Any) -> Reading:
    outer: dict[str, Any] = {
        "token": "XXYYZZ",
        "team_id": TEAM,
        "type": "event_callback",
        "event": event,
    }
    outer |= {"event_id": "Ev123ABC456", "event_time": AT}
    return reading(adapter_of("slack", teams=teams), {**outer, **body})


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

    told = {"user": ANN, "item": item, "reaction": "tada"}

    added = only_event(said({"type": "reaction_added", **told}))
    removed = only_event(said({"type": "reaction_removed", **told}))

    assert (added.action, added.target) == ("like", f"{CHANNEL}_1.2")
    assert (removed.target, removed.undone) == (added.target, True)
    assert removed.thing == added.thing == "tada"


def test_each_emoji_is_a_thing_of_its_own_and_may_be_put_there_again() -> None:
    def put(emoji: str, at: str, number: str = "Ev1") -> str:
        event: dict[str, Any] = {"type": "reaction_added", "user": ANN, "event_ts": at}
        item = {"type": "message", "channel": CHANNEL, "ts": TS}
        event |= {"item": item, "reaction": emoji}
        return only_event(said(event, event_id=number)).key

    assert len({put("tada", "1.1"), put("thumbsup", "1.1"), put("tada", "2.1")}) == 3
    assert put("tada", "1.1", "Ev1") == put("tada", "1.1", "Ev2")


@pytest.mark.parametrize("sort", ["app_mention", "message"])
def test_an_edit_tells_the_same_message_which_happened_when_it_was_written(sort: str) -> None:
    message = {"type": sort, "user": ANN, "channel": CHANNEL, "ts": TS, "event_ts": TS}
    edited = {**message, "edited": {"user": ANN, "ts": "1767312000.000000"}}

    first = only_event(said(message, event_id="Ev1"))
    again = only_event(said(edited, event_id="Ev2", event_time=AT + 86_400))

    assert again.key == first.key == f"{sort}:{TS}:{CHANNEL}"
    assert again.occurred_at == first.occurred_at == datetime.fromtimestamp(AT, UTC)
    assert first.former_keys == (f"{sort}:Ev1",)


def test_two_messages_are_two() -> None:
    keys = {
        only_event(said({"type": "message", "user": ANN, "channel": place, "ts": ts})).key
        for place, ts in ((CHANNEL, "1767225600.1"), (CHANNEL, "1767225600.2"), ("C2", TS))
    }

    assert len(keys) == 3


@pytest.mark.parametrize(("text", "actions"), [("hi", 1), (f"<@{BOT}> hi", 2)])
def test_deleting_a_message_takes_back_what_it_was(text: str, actions: int) -> None:
    message: dict[str, Any] = {"type": "message", "user": ANN, "ts": TS, "text": text}
    written = only_event(said({**message, "channel": CHANNEL}))
    mentioned = only_event(said({**message, "type": "app_mention", "channel": CHANNEL}))

    gone: dict[str, Any] = {"type": "message", "subtype": "message_deleted", "channel": CHANNEL}
    gone |= {"ts": "1767225700.1", "deleted_ts": TS, "previous_message": message}
    undone = said(gone, authorizations=OURS, event_time=AT + 100).events

    assert [one.undoes for one in undone] == [written.key, mentioned.key][:actions]
    assert {(one.undone, one.actor) for one in undone} == {(True, ANN)}
    assert undone[0].occurred_at == datetime.fromtimestamp(AT + 100, UTC)


SHARED = {"type": "message", "channel": "C0SHARED", "ts": TS}
THEIRS = "T0PARTNER"


def test_in_a_shared_channel_our_own_member_is_told_by_the_team_of_the_user() -> None:
    written = {**SHARED, "user": ANN, "user_team": TEAM, "team": TEAM}

    event = only_event(said(written, (TEAM,), team_id=THEIRS, authorizations=OURS))

    assert (event.actor, event.aliases) == (ANN, (f"{TEAM}:{ANN}",))


@pytest.mark.parametrize("place", ["user_team", "source_team", "team"])
def test_a_member_of_another_workspace_is_none_of_ours(place: str) -> None:
    written = {**SHARED, "user": "U0GUEST", place: THEIRS}

    named = said(written, (TEAM,), authorizations=OURS)
    unnamed = only_event(said(written, authorizations=OURS))

    assert named.ignored == ("message by a member of another workspace",)
    assert (unnamed.actor, unnamed.aliases) == (f"{THEIRS}:U0GUEST", ())


@pytest.mark.parametrize(("team", "pays"), [(TEAM, True), (THEIRS, False)])
def test_an_organization_stands_for_its_workspace_on_its_side(team: str, pays: bool) -> None:
    """As Bolt for Python reads whose member acts in a shared channel."""
    side = {"context_enterprise_id": "E1", "context_team_id": team, "team_id": "T0HOST"}
    written = {**SHARED, "user": ANN, "user_team": "E1"}

    told = said(written, (TEAM,), is_ext_shared_channel=True, **side)

    assert bool(told.events) is pays


def test_in_a_shared_channel_a_reaction_may_not_tell_whose_member_it_is_of() -> None:
    item = {"type": "message", "channel": "C0SHARED", "ts": TS}
    put = {"type": "reaction_added", "user": ANN, "reaction": "tada", "item": item}

    assert not said(put, (TEAM,), is_ext_shared_channel=True).events
    assert said(put, (TEAM,), is_ext_shared_channel=False).events
    assert only_event(said(put, is_ext_shared_channel=True)).actor == ANN


def test_where_no_workspaces_are_named_the_app_s_own_is_ours() -> None:
    event = only_event(said({**SHARED, "user": ANN, "team": TEAM}, authorizations=OURS))

    assert (event.actor, event.aliases) == (ANN, (f"{TEAM}:{ANN}",))


def test_an_app_that_an_organization_installed_has_all_of_its_workspaces() -> None:
    wide = {"enterprise_id": "E1", "team_id": TEAM, "is_enterprise_install": True}
    written = {**SHARED, "user": ANN, "user_team": "E1", "team": "T0SISTER"}

    event = only_event(said(written, authorizations=[wide]))
    named = only_event(said({**written, "team": TEAM}, (TEAM,), authorizations=[wide]))
    by_organization = only_event(said(written, ("E1",), authorizations=[wide]))

    assert (event.actor, named.actor, by_organization.actor) == (ANN, ANN, ANN)


@pytest.mark.parametrize("user", [BOT, "USLACKBOT", {"id": "U7", "is_bot": True}], ids=str)
def test_bots_do_nothing_that_earns(user: object) -> None:
    item = {"type": "message", "channel": CHANNEL, "ts": TS}
    for sort in ("reaction_added", "member_joined_channel", "team_join", "app_mention"):
        event: dict[str, Any] = {"type": sort, "user": user, "channel": CHANNEL, "ts": TS}
        event |= {"item": item, "reaction": "tada"}

        ignored = said(event, authorizations=OURS).ignored

        assert ignored == (f"{sort} by a bot or the service earns nothing",)


def test_who_installed_the_app_is_a_person() -> None:
    person = [{"team_id": TEAM, "user_id": ANN, "is_bot": False}]
    joined = {"type": "member_joined_channel", "user": ANN, "channel": CHANNEL}

    assert only_event(said(joined, authorizations=person)).actor == ANN


@pytest.mark.parametrize("body", [{}, {"a": 1}, {"type": "view_submission", "user": {"id": ANN}}])
def test_a_callback_of_another_kind_is_left_out(body: dict[str, Any]) -> None:
    result = reading(adapter_of("slack"), body)

    assert not result.events
    assert len(result.ignored) == 1


@pytest.mark.parametrize("body", [b"ssl_check=1", b"ssl_check=1&token=x-1", b"token=&ssl_check=1"])
def test_an_unsigned_look_at_our_certificate_is_answered_and_proves_nothing(body: bytes) -> None:
    reply = adapter_of("slack").handshake(callback(body))

    assert reply == Reply(status=200)
    assert reply is not None
    assert not reply.is_proof


@pytest.mark.parametrize(
    "body",
    [
        b"ssl_check=1&command=%2Fclaim&user_id=U1&team_id=T1",
        b"command=/claim&ssl_check=1",
        b"ssl_check=1&ssl_check=1",
        b"ssl_check=0",
        b"ssl_check=1&token=" + b"x" * 100,
        b"ssl_check=1\n",
        b'{"ssl_check": 1}',
        b"",
    ],
    ids=repr,
)
def test_an_unsigned_body_with_anything_else_is_refused(body: bytes) -> None:
    adapter = adapter_of("slack")

    assert adapter.handshake(callback(body)) is None
    with pytest.raises(Forged):
        adapter.verify(callback(body))


def test_a_get_is_no_look_at_our_certificate() -> None:
    assert adapter_of("slack").handshake(callback(b"ssl_check=1", method="GET")) is None


def test_a_look_at_our_certificate_is_a_handshake() -> None:
    assert reading(adapter_of("slack"), filled(ssl_check="1", token="x")) == Reading(handshake=True)


def test_a_reaction_to_a_file_is_to_no_message() -> None:
    told = said({"type": "reaction_added", "user": ANN, "item": {"type": "file", "file": "F1"}})

    assert told.ignored == ("reaction_added to what is no message earns nothing",)


@pytest.mark.parametrize("sort", ["file_share", "thread_broadcast"])
def test_what_is_written_with_a_file_or_told_to_the_channel_is_a_comment(sort: str) -> None:
    told = {
        "type": "message",
        "subtype": sort,
        "user": ANN,
        "channel": CHANNEL,
        "ts": TS,
        "text": "look",
    }

    assert only_event(said(told)).action == "comment"
    assert not said({**told, "bot_id": "B1"}).events


@pytest.mark.parametrize("mark", [{"bot_id": "B1"}, {"subtype": "channel_join"}])
def test_what_bots_and_the_service_write_is_no_comment(mark: dict[str, str]) -> None:
    told = {"type": "message", "user": ANN, "channel": CHANNEL, "ts": TS, "text": "hi"}

    assert only_event(said(told)).action == "comment"
    assert said({**told, **mark}).ignored == ("message by a bot or the service earns nothing",)


def test_another_workspace_earns_nothing_where_ours_are_named() -> None:
    told = {"type": "member_joined_channel", "user": ANN, "channel": CHANNEL}

    assert said(told, teams=(TEAM,)).events
    assert said(told, teams=("T2",)).ignored == (
        "member_joined_channel by a member of another workspace",
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
    told = {
        "type": "message",
        "user": ANN,
        "channel": CHANNEL,
        "ts": TS,
        "text": "hi",
        "blocks": blocks,
    }

    assert only_event(said(told)).action == "comment"
    assert not said(told, teams=("T2",)).events


def test_a_command_elsewhere_earns_nothing_where_ours_are_named() -> None:
    body = filled(team_id="T2", user_id=ANN, command="/claim")

    assert not reading(adapter_of("slack", teams=(TEAM,)), body).events


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
