"""Telegram: https://core.telegram.org/bots/api#update"""

from datetime import UTC, datetime
from typing import Any

import pytest

from app.platforms.kit.callback import Change, Reading
from tests.platforms.callbacks import adapter_of, only_event, reading

ANN = {"id": 42, "is_bot": False, "first_name": "Ann", "username": "ann"}
BOSS = {"id": 7, "is_bot": False, "first_name": "Boss"}
GROUP = {"id": -1001234567890, "title": "Brand", "type": "supergroup"}
PRIVATE = {"id": 42, "type": "private", "first_name": "Ann"}
AT = 1718000000
OUT = {"status": "left"}, {"status": "kicked"}, {"status": "restricted", "is_member": False}
IN = (
    {"status": "member"},
    {"status": "administrator"},
    {"status": "creator"},
    {"status": "restricted", "is_member": True},
)


def said(field: str, told: dict[str, Any]) -> Reading:
    return reading(adapter_of("telegram"), {"update_id": 10000, field: {"date": AT, **told}})


def member(old: dict[str, Any], new: dict[str, Any], field: str = "chat_member") -> Reading:
    chat = GROUP if field == "chat_member" else PRIVATE
    told = {"old_chat_member": {**old, "user": ANN}, "new_chat_member": {**new, "user": ANN}}
    return said(field, {"chat": chat, "from": BOSS, **told})


@pytest.mark.parametrize("old", OUT)
@pytest.mark.parametrize("new", IN)
def test_who_was_out_and_is_in_has_joined(old: dict[str, Any], new: dict[str, Any]) -> None:
    event = only_event(member(old, new))

    assert (event.action, event.actor, event.target) == ("join", "42", "-1001234567890")
    assert (event.actor_handle, event.undone) == ("ann", False)
    assert event.occurred_at == datetime.fromtimestamp(AT, UTC)


@pytest.mark.parametrize("old", IN)
@pytest.mark.parametrize("new", OUT)
def test_who_was_in_and_is_out_has_left(old: dict[str, Any], new: dict[str, Any]) -> None:
    event = only_event(member(old, new))

    assert (event.action, event.actor, event.undone) == ("join", "42", True)


@pytest.mark.parametrize(
    ("field", "told"),
    [
        ("message", {"from": ANN, "text": "hello"}),
        ("chat_join_request", {"from": ANN}),
        (
            "chat_member",
            {"old_chat_member": {**OUT[0], "user": ANN}, "new_chat_member": {**IN[0], "user": ANN}},
        ),
        (
            "message_reaction",
            {"user": ANN, "message_id": 1, "old_reaction": [], "new_reaction": [1]},
        ),
    ],
)
def test_what_happens_in_a_strangers_group_earns_nothing_where_chats_are_named(
    field: str, told: dict[str, Any]
) -> None:
    """Anybody can take a bot into a group, and make it an administrator there."""
    adapter = adapter_of("telegram", chats=[str(GROUP["id"])])
    ours = {"date": AT, "chat": GROUP, **told}
    theirs = {**ours, "chat": {**GROUP, "id": -7}}

    assert reading(adapter, {"update_id": 1, field: ours}).events
    assert reading(adapter, {"update_id": 1, field: theirs}).ignored == (
        f"{field} in a chat that is not configured",
    )
    assert said(field, theirs).events


def test_what_is_no_chats_is_read_where_chats_are_named() -> None:
    adapter = adapter_of("telegram", chats=["-7"])
    start = {"chat": PRIVATE, "from": ANN, "text": "/start abc", "date": AT}
    vote = {"user": ANN, "poll_id": "5", "option_ids": [0]}

    assert reading(adapter, {"update_id": 1, "message": start}).events
    assert reading(adapter, {"update_id": 1, "poll_answer": vote}).events


def test_a_number_that_telegram_uses_again_after_a_quiet_week_is_another_event() -> None:
    told = {"chat": GROUP, "from": ANN, "text": "hello"}

    first, again, later = (
        only_event(said("message", {**told, "date": at})) for at in (AT, AT, AT + 8 * 86_400)
    )

    assert first.key == again.key
    assert first.key != later.key


@pytest.mark.parametrize("statuses", [OUT, IN])
def test_a_promotion_or_a_ban_of_somebody_outside_is_neither(statuses: Any) -> None:
    for old in statuses:
        for new in statuses:
            assert member(old, new).ignored == ("chat_member.changed earns nothing",)


def test_blocking_the_bot_undoes_the_subscription_to_it() -> None:
    unblocked = only_event(member({"status": "kicked"}, {"status": "member"}, "my_chat_member"))
    blocked = only_event(member({"status": "member"}, {"status": "kicked"}, "my_chat_member"))

    assert (unblocked.action, unblocked.actor, unblocked.undone) == ("subscribe", "7", False)
    assert (blocked.action, blocked.actor, blocked.undone) == ("subscribe", "7", True)


def test_the_bots_own_admission_to_a_group_is_nobodys() -> None:
    told = {"old_chat_member": {"status": "left"}, "new_chat_member": {"status": "member"}}

    result = said("my_chat_member", {"chat": GROUP, "from": BOSS, **told})

    assert result.ignored == ("my_chat_member.elsewhere earns nothing",)


def test_a_start_with_a_payload_carries_it_as_the_target() -> None:
    event = only_event(said("message", {"chat": PRIVATE, "from": ANN, "text": "/start a_1-B"}))

    assert (event.action, event.actor, event.target) == ("start", "42", "a_1-B")


@pytest.mark.parametrize("text", ["/start", "/start ", "/start a b", "/start " + "x" * 65, "hi", 1])
def test_other_words_to_the_bot_earn_nothing(text: object) -> None:
    result = said("message", {"chat": PRIVATE, "from": ANN, "text": text})

    assert result.ignored == ("message.other earns nothing",)


@pytest.mark.parametrize("words", [{"text": "Great!"}, {"caption": "Look"}])
def test_words_in_a_group_are_a_comment(words: dict[str, str]) -> None:
    event = only_event(said("message", {"chat": GROUP, "from": ANN, **words}))

    assert (event.action, event.actor, event.target) == ("comment", "42", "-1001234567890")


@pytest.mark.parametrize(
    "told",
    [
        {"from": {**ANN, "is_bot": True}, "text": "I am a bot"},
        {"from": ANN, "text": "x", "sender_chat": {"id": -1}},
        {"from": ANN, "new_chat_members": [ANN]},
    ],
)
def test_bots_anonymous_administrators_and_notes_of_the_service_do_not_comment(
    told: dict[str, Any],
) -> None:
    assert not said("message", {"chat": GROUP, **told}).events


THUMB, HEART = {"type": "emoji", "emoji": "👍"}, {"type": "emoji", "emoji": "❤"}


def reaction(old: list[Any], new: list[Any], **who: Any) -> Reading:
    told = {"chat": GROUP, "message_id": 90, "old_reaction": old, "new_reaction": new}
    return said("message_reaction", {**told, **(who or {"user": ANN})})


def test_the_first_reaction_is_a_like_and_taking_back_the_last_undoes_it() -> None:
    added, removed = only_event(reaction([], [THUMB])), only_event(reaction([HEART], []))

    assert (added.action, added.target, added.undone) == ("like", "-1001234567890_90", False)
    assert (removed.action, removed.target, removed.undone) == ("like", added.target, True)


def test_another_reaction_instead_is_no_second_like() -> None:
    assert not reaction([THUMB], [HEART]).events


def test_an_anonymous_reaction_is_nobodys() -> None:
    result = reaction([], [THUMB], actor_chat=GROUP)

    assert result.ignored == ("message_reaction.in names no actor",)


@pytest.mark.parametrize("said_as", ["@Brand rocks", "I like @brand!", "(@BRAND)"])
def test_a_name_that_is_configured_is_mentioned(said_as: str) -> None:
    told = {"date": AT, "chat": GROUP, "from": ANN, "text": said_as}
    adapter = adapter_of("telegram", names=["@other", "@brand"])

    event = only_event(reading(adapter, {"update_id": 1, "message": told}))

    assert (event.action, event.actor, event.target) == ("mention", "42", "@brand")


@pytest.mark.parametrize("said_as", ["brand", "@brands", "a@brand_x"])
def test_another_name_is_no_mention(said_as: str) -> None:
    told = {"date": AT, "chat": GROUP, "from": ANN, "text": said_as}

    result = reading(adapter_of("telegram", names=["@brand"]), {"update_id": 1, "message": told})

    assert only_event(result).action == "comment"


def test_a_vote_can_be_taken_back() -> None:
    given = only_event(said("poll_answer", {"poll_id": "7", "user": ANN, "option_ids": [0]}))
    taken = only_event(said("poll_answer", {"poll_id": "7", "user": ANN, "option_ids": []}))

    assert (given.action, given.target, given.undone) == ("vote", "7", False)
    assert (taken.action, taken.target, taken.undone) == ("vote", "7", True)


def boosted(source: str) -> dict[str, Any]:
    return {"boost_id": "b-1", "source": {"source": source, "user": ANN}}


def test_a_boost_ends_by_its_own_id() -> None:
    begun = {**boosted("premium"), "add_date": AT, "expiration_date": AT + 1}
    done = only_event(said("chat_boost", {"chat": GROUP, "boost": begun}))
    ended = {"chat": GROUP, **boosted("premium"), "remove_date": AT + 5}
    undone = only_event(said("removed_chat_boost", ended))

    assert (done.action, done.actor, done.target) == ("boost", "42", "-1001234567890")
    assert (undone.undone, undone.undoes) == (True, done.key)


def test_a_boost_that_was_given_away_is_not_the_persons_act() -> None:
    result = said("chat_boost", {"chat": GROUP, "boost": {**boosted("giveaway"), "add_date": AT}})

    assert result.ignored == ("chat_boost.gift earns nothing",)


def test_an_update_of_another_kind_is_of_no_interest() -> None:
    assert said("poll", {}).ignored == ("an update of another kind",)


@pytest.mark.parametrize("token", ["a b", "ä", "x" * 257, "a.b", "a/b"])
def test_a_token_is_one_that_telegram_takes(token: str) -> None:
    with pytest.raises(ValueError, match="1 to 256 of the characters"):
        adapter_of("telegram", secrets=[token])


def test_a_bot_that_is_added_has_not_joined() -> None:
    bot = {"user": {"id": 9, "is_bot": True, "first_name": "Helper"}}
    states = {"old_chat_member": {**OUT[0], **bot}, "new_chat_member": {**IN[0], **bot}}

    result = said("chat_member", {"chat": GROUP, "from": BOSS, **states})

    assert result.ignored == ("chat_member.bot earns nothing",)


def test_somebody_who_starts_the_bot_is_a_person_though_the_bot_is_one() -> None:
    bot = {"user": {"id": 9, "is_bot": True, "first_name": "Brand"}}
    states = {"old_chat_member": {**OUT[1], **bot}, "new_chat_member": {**IN[0], **bot}}

    event = only_event(said("my_chat_member", {"chat": PRIVATE, "from": ANN, **states}))

    assert (event.action, event.actor, event.target) == ("subscribe", "42", "9")


def test_a_vote_in_the_name_of_a_channel_is_by_nobody() -> None:
    vote = {
        "poll_id": "5",
        "voter_chat": {"id": -100, "title": "A channel", "type": "channel"},
        "user": {"id": 136817688, "is_bot": True, "first_name": "Channel"},
        "option_ids": [0],
    }

    assert said("poll_answer", vote).ignored == ("poll_answer.channel earns nothing",)


@pytest.mark.parametrize(
    ("chat", "more"),
    [(-5, {"migrate_to_chat_id": -1005}), (-1005, {"migrate_from_chat_id": -5})],
)
def test_a_group_that_became_a_supergroup_is_said_to_have_another_id(
    chat: int, more: dict[str, int]
) -> None:
    result = said("message", {"chat": {"id": chat, "type": "group"}, "from": ANN, **more})

    assert result.change == Change("-5", "-1005")
    assert result.events == ()


def test_what_happens_in_another_chat_is_kept_as_excluded() -> None:
    adapter = adapter_of("telegram", chats=["-5"])
    body = {"chat": GROUP, "from": ANN, "text": "hello", "date": AT}

    result = reading(adapter, {"update_id": 1, "message": body})

    assert result.events == ()
    assert result.ignored == ("message in a chat that is not configured",)
    assert [(one.actor, one.action) for one in result.excluded] == [("42", "comment")]
