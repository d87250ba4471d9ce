"""VK: https://dev.vk.com/ru/api/callback/getting-started"""

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from app.platforms.kit.callback import Forged, Malformed, Reading, Reply
from tests.platforms.callbacks import NOW, adapter_of, callback, only_event, reading, signed

GROUP = 123456
AT = 1718000000


def told(sort: str, **object_: Any) -> Reading:
    body = {"type": sort, "group_id": GROUP, "event_id": "e4d5c1b2", "v": "5.199"}
    return reading(adapter_of("vk"), {**body, "object": object_})


@pytest.mark.parametrize("join_type", ["join", "accepted", "approved"])
def test_who_became_a_member_has_joined(join_type: str) -> None:
    event = only_event(told("group_join", user_id=42, join_type=join_type))

    assert (event.action, event.actor, event.target) == ("join", "42", "123456")
    # VK tells no time of it.
    assert event.occurred_at == NOW


@pytest.mark.parametrize("join_type", ["request", "unsure", "another", None, 7])
def test_who_only_asked_to_join_has_not(join_type: object) -> None:
    result = told("group_join", user_id=42, join_type=join_type)

    assert result.ignored == ("group_join without being a member yet",)


def test_leaving_undoes_the_join_of_the_same_community() -> None:
    joined = only_event(told("group_join", user_id=42, join_type="join"))
    left = only_event(told("group_leave", user_id=42, self=1))

    assert (left.action, left.actor, left.target) == (joined.action, joined.actor, joined.target)
    assert (left.undone, joined.undone) == (True, False)
    assert left.key != joined.key


def test_a_like_is_of_what_it_names_and_taken_back_of_the_same() -> None:
    what = {"object_type": "photo", "object_owner_id": -GROUP, "object_id": 77, "post_id": 0}

    given = only_event(told("like_add", liker_id=42, **what))
    taken = only_event(told("like_remove", liker_id=42, **what))

    assert (given.action, given.actor, given.target) == ("like", "42", "photo-123456_77")
    assert (taken.target, taken.undone) == (given.target, True)


def test_a_repost_is_of_the_post_that_it_repeats() -> None:
    history = [{"id": 77, "owner_id": -GROUP}, {"id": 1, "owner_id": 5}]

    event = only_event(told("wall_repost", from_id=42, date=AT, copy_history=history))

    assert (event.action, event.actor, event.target) == ("repost", "42", "post-123456_77")
    assert event.occurred_at == datetime.fromtimestamp(AT, UTC)


@pytest.mark.parametrize(
    "sort", ["wall_reply_new", "photo_comment_new", "video_comment_new", "market_comment_new"]
)
def test_what_a_community_writes_is_by_no_person(sort: str) -> None:
    abouts = ("post", "photo", "video", "market")
    about = {f"{one}_owner_id": -GROUP for one in abouts} | {f"{one}_id": 7 for one in abouts}

    result = told(sort, from_id=-GROUP, date=AT, item_id=7, **about)

    assert result.ignored == (f"{sort} names no actor",)


def test_what_earns_nothing_is_said_so() -> None:
    assert told("photo_new", id=1).ignored == ("photo_new earns nothing",)


def test_the_secret_is_not_kept_with_the_event() -> None:
    event = only_event(told("group_join", user_id=42, join_type="join"))

    assert "secret" not in json.loads(event.payload)
    assert json.loads(event.payload)["object"] == {"user_id": 42, "join_type": "join"}


def test_a_callback_of_another_community_is_forged_even_with_the_secret() -> None:
    adapter = adapter_of("vk")

    for group in (7, "7", None, True, [GROUP]):
        sent = signed(adapter, {"type": "group_join", "group_id": group, "object": {}})
        with pytest.raises(Forged, match="group_id"):
            adapter.verify(sent)


def test_the_answer_is_ok_and_nothing_else() -> None:
    assert adapter_of("vk").accepted == Reply(status=200, body="ok")


@pytest.mark.parametrize(
    "body",
    [
        {"type": "confirmation", "group_id": 7},
        {"type": "confirmation"},
        {"type": "group_join", "group_id": GROUP, "object": {"text": "confirmation"}},
        {"type": ["confirmation"], "group_id": GROUP},
    ],
)
def test_the_confirmation_is_for_our_community_only(body: dict[str, Any]) -> None:
    sent = callback(json.dumps(body).encode())

    assert adapter_of("vk").handshake(sent) is None


def test_a_body_that_only_looks_like_a_confirmation_is_malformed() -> None:
    with pytest.raises(Malformed):
        adapter_of("vk").handshake(callback(b'{"confirmation"'))


def test_a_community_is_named_by_its_digits() -> None:
    with pytest.raises(ValueError, match="group_id"):
        adapter_of("vk", group_id="-123456")


COMMENTS = {
    "wall_reply": {"post_owner_id": -GROUP, "post_id": 7},
    "photo_comment": {"photo_owner_id": -GROUP, "photo_id": 7},
    "video_comment": {"video_owner_id": -GROUP, "video_id": 7},
    "market_comment": {"market_owner_id": -GROUP, "item_id": 7},
    "board_post": {"topic_owner_id": -GROUP, "topic_id": 7},
}


@pytest.mark.parametrize("sort", COMMENTS)
def test_a_comment_is_known_by_its_own_number_and_removed_by_it(sort: str) -> None:
    written = only_event(told(f"{sort}_new", id=5, from_id=42, date=AT, **COMMENTS[sort]))
    owner = {} if sort == "board_post" else {"owner_id": -GROUP}
    gone = told(f"{sort}_delete", id=5, deleter_id=9, **owner, **COMMENTS[sort])
    undone = only_event(gone)

    assert written.key == f"{sort}_new:-{GROUP}_5"
    assert written.former_keys == (f"{sort}_new:e4d5c1b2",)
    assert (undone.actor, undone.undone, undone.undoes) == (None, True, written.key)


def test_a_removal_that_names_only_the_owner_finds_the_comment() -> None:
    written = only_event(
        told("wall_reply_new", id=5, from_id=42, date=AT, **COMMENTS["wall_reply"])
    )

    undone = only_event(told("wall_reply_delete", id=5, owner_id=-GROUP, post_id=7))

    assert undone.undoes == written.key


def test_a_comment_that_is_restored_is_the_same_one_again_and_now() -> None:
    about = COMMENTS["wall_reply"]
    written = only_event(told("wall_reply_new", id=5, from_id=42, date=AT, **about))

    back = only_event(told("wall_reply_restore", id=5, from_id=42, date=AT, **about))

    assert (back.key, back.action, back.actor) == (written.key, "comment", "42")
    assert (back.undone, back.occurred_at) == (False, NOW)


@pytest.mark.parametrize("sort", ["like_add", "group_join", "poll_vote_new"])
def test_a_community_is_no_person(sort: str) -> None:
    what = {"object_type": "post", "object_owner_id": -GROUP, "object_id": 77}
    who = {"liker_id": -5} if sort == "like_add" else {"user_id": -5}
    poll = {"owner_id": -GROUP, "poll_id": 9}

    result = told(sort, **who, **what, **poll)

    assert (result.events, result.ignored) == ((), (f"{sort} names no actor",))
