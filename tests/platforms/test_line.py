"""LINE: https://developers.line.biz/en/reference/messaging-api/#webhook-event-objects"""

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from app.platforms.kit.callback import Reading
from tests.platforms.callbacks import adapter_of, callback, only_event, reading

BOT, ANN, GROUP = "U8e742f61d673b39c7fff3cecb7536ef0", "U206d25c2ea6bd87c17655609a1c37cb8", "Cgroup"
AT = 1462629479859


def event(sort: str, **more: Any) -> dict[str, Any]:
    return {
        "type": sort,
        "timestamp": AT,
        "source": {"type": "user", "userId": ANN},
        "webhookEventId": "01FZ74A0TDDPYRVKNK77XKC3ZR",
        "deliveryContext": {"isRedelivery": False},
        "replyToken": "nHuyWiB7yP5Zw52FIkcQobQuGDXCTA",
        **more,
    }


def said(*events: Any, **options: Any) -> Reading:
    return reading(adapter_of("line", **options), {"destination": BOT, "events": list(events)})


def test_a_new_friend_follows_the_account() -> None:
    told = only_event(said(event("follow", follow={"isUnblocked": False})))

    assert (told.action, told.actor, told.target) == ("follow", ANN, BOT)
    assert told.occurred_at == datetime.fromtimestamp(AT / 1000, UTC)


def test_who_unblocks_has_not_become_a_friend_by_it() -> None:
    told = only_event(said(event("follow", follow={"isUnblocked": True})))

    assert told.action == "unblock"


def test_blocking_undoes_the_follow() -> None:
    told = only_event(said(event("unfollow")))

    assert (told.action, told.target, told.undone) == ("follow", BOT, True)


def test_everybody_who_joins_a_group_at_once_has_an_event_of_their_own() -> None:
    members = {"members": [{"type": "user", "userId": who} for who in ("U1", "U2", "U3")]}
    source = {"type": "group", "groupId": GROUP}

    joined = said(event("memberJoined", source=source, joined=members)).events
    left = said(event("memberLeft", source=source, left=members)).events

    assert [(one.actor, one.target, one.undone) for one in joined] == [
        (who, GROUP, False) for who in ("U1", "U2", "U3")
    ]
    assert [(one.actor, one.target, one.undone) for one in left] == [
        (who, GROUP, True) for who in ("U1", "U2", "U3")
    ]
    assert len({one.key for one in (*joined, *left)}) == 6


def test_a_redelivery_is_the_same_event() -> None:
    first = only_event(said(event("follow")))
    again = only_event(said(event("follow", deliveryContext={"isRedelivery": True})))

    assert first.key == again.key


def test_a_bad_event_of_a_batch_costs_no_other() -> None:
    result = said(event("follow"), event("unfollow", timestamp="soon"), event("join"))

    assert [one.action for one in result.events] == ["follow"]
    assert result.ignored == ("join earns nothing", "malformed: timestamp is not a number")


def test_the_connection_check_is_a_handshake() -> None:
    assert said() == Reading(handshake=True)


def test_who_cannot_be_named_earns_nothing() -> None:
    result = said(event("message", source={"type": "group", "groupId": GROUP}))

    assert result.ignored == ("message.group names no actor",)


@pytest.mark.parametrize("us", [{"userId": BOT}, {"isSelf": True}], ids=["id", "mark"])
def test_words_in_a_group_are_a_comment_and_those_to_the_account_a_mention(us: Any) -> None:
    source = {"type": "room", "roomId": "R1", "userId": ANN}
    to = [{"type": "all"}, {"type": "user", "userId": ANN, "isSelf": False}, {"type": "user", **us}]

    comment = only_event(said(event("message", source=source, message={"text": "hi"})))
    mention = only_event(
        said(event("message", source=source, message={"mention": {"mentionees": to}}))
    )

    others = only_event(
        said(event("message", source=source, message={"mention": {"mentionees": to[:2]}}))
    )
    assert (comment.action, comment.target, others.action) == ("comment", "R1", "comment")
    assert (mention.action, mention.target) == ("mention", BOT)


def test_what_happens_in_a_strangers_group_earns_nothing_where_groups_are_named() -> None:
    """Anybody can invite an account that joins groups into one."""
    members = {"joined": {"members": [{"type": "user", "userId": "U1"}]}}
    told = [
        event("memberJoined", source={"type": "group", "groupId": GROUP}, **members),
        event("message", source={"type": "room", "roomId": GROUP, "userId": ANN}),
    ]

    ours, theirs = said(*told, groups=[GROUP]), said(*told, groups=["Cother"])

    assert [one.action for one in ours.events] == ["join", "comment"]
    assert theirs.events == ()
    assert theirs.ignored == (
        "memberJoined in a group that is not configured",
        "message.group in a group that is not configured",
    )
    assert [one.actor for one in theirs.excluded] == ["U1", ANN]
    assert said(event("follow"), groups=["Cother"]).events


def test_the_reply_token_is_not_kept() -> None:
    told = only_event(said(event("follow")))

    assert "replyToken" not in json.loads(told.payload)["events"][0]


def test_there_is_no_handshake_by_get() -> None:
    assert adapter_of("line").handshake(callback(method="GET")) is None


def test_an_unsent_message_names_the_message_that_is_taken_back() -> None:
    sent = only_event(said(event("message", message={"id": "444", "type": "text", "text": "hi"})))
    undone = only_event(said(event("unsend", unsend={"messageId": "444"})))

    assert (undone.action, undone.actor, undone.undone) == ("message", sent.actor, True)
    assert undone.thing == sent.thing == "444"


def test_a_message_unsent_in_a_group_was_a_comment_or_a_mention() -> None:
    source = {"type": "group", "groupId": GROUP, "userId": ANN}

    events = said(event("unsend", source=source, unsend={"messageId": "444"})).events

    assert [(one.action, one.thing) for one in events] == [("comment", "444"), ("mention", "444")]
    assert len({one.key for one in events}) == 2
