"""TikTok: https://developers.tiktok.com/doc/webhooks-verification"""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from app.domain.events import Event
from app.platforms.kit.callback import Forged, Malformed, Reading
from tests.platforms.callbacks import NOW, adapter_of, callback, only_event, reading, signed

AT = int(NOW.timestamp())


def told(event: str, content: object, **more: Any) -> Reading:
    written = content if isinstance(content, str) else json.dumps(content)
    body = {"client_key": "k", "event": event, "create_time": AT, "user_openid": "act.ann"}
    return reading(adapter_of("tiktok"), {**body, "content": written, **more})


def test_a_published_video_is_a_post_by_whoever_authorised_the_app() -> None:
    event = only_event(told("video.publish.completed", {"share_id": "video.6974245311675353080"}))

    assert (event.action, event.actor) == ("post", "act.ann")
    assert event.target == "video.6974245311675353080"
    assert event.occurred_at == NOW


def test_a_post_that_is_no_longer_public_is_undone() -> None:
    content = {"publish_id": "p", "post_id": 7300000000000000001}

    public = only_event(told("post.publish.publicly_available", content))
    hidden = only_event(told("post.publish.no_longer_publicaly_available", content))

    assert (public.target, public.undone) == ("7300000000000000001", False)
    assert (hidden.target, hidden.undone) == ("7300000000000000001", True)
    assert hidden.undoes == public.key


def test_a_post_that_is_hidden_and_shown_again_is_the_same_post() -> None:
    content = {"publish_id": "p", "post_id": 7300000000000000001}

    keys = {
        only_event(told("post.publish.publicly_available", content, create_time=at)).key
        for at in (AT, AT + 86_400)
    }

    assert len(keys) == 1


def test_a_comment_is_by_its_writer_and_not_by_the_brand_that_is_told() -> None:
    content = {"comment_id": 1, "video_id": 9, "unique_identifier": "u1", "timestamp": AT}
    content |= {"text": "Nice! \u200d\n"}

    written = only_event(told("comment.update", {**content, "comment_action": "insert"}))
    deleted = only_event(told("comment.update", {**content, "comment_action": "delete"}))

    assert (written.action, written.actor, written.target) == ("comment", "u1", "9")
    assert (deleted.undoes, deleted.undone) == (written.key, True)


def test_a_comment_that_is_hidden_and_shown_again_is_the_same_comment() -> None:
    content = {"comment_id": 1, "video_id": 9, "unique_identifier": "u1", "timestamp": AT - 60}

    def at(seconds: int, action: str) -> Event:
        body = {**content, "comment_action": action}
        return only_event(told("comment.update", body, create_time=AT + seconds))

    written, hidden, shown = at(0, "insert"), at(10, "set_to_hidden"), at(20, "set_to_public")

    assert (hidden.undone, hidden.undoes) == (True, written.key)
    assert (shown.undone, shown.key) == (False, written.key)
    assert written.occurred_at < hidden.occurred_at < shown.occurred_at


def test_a_deletion_without_its_writer_names_the_comment() -> None:
    content = {"comment_id": 1, "comment_action": "delete", "timestamp": AT}

    undone = only_event(told("comment.update", content))

    assert (undone.actor, undone.target) == (None, None)
    assert undone.undoes == "comment.update.insert:1"


def test_what_the_brand_comments_itself_is_no_customers() -> None:
    content = {"comment_id": 1, "video_id": 9, "unique_identifier": "act.ann", "timestamp": AT}

    result = told("comment.update", {**content, "comment_action": "insert"})

    assert result.ignored == ("comment.update.insert is by the account itself",)


def test_the_word_for_hiding_may_be_spelt_right() -> None:
    words = (
        "post.publish.no_longer_publicaly_available",
        "post.publish.no_longer_publicly_available",
    )

    undone = {only_event(told(word, {"post_id": 7})).undoes for word in words}

    assert undone == {"post.publish.publicly_available:7"}


def test_a_content_that_is_an_object_already_is_read() -> None:
    body = {"event": "video.publish.completed", "create_time": AT, "user_openid": "act.ann"}

    event = only_event(reading(adapter_of("tiktok"), {**body, "content": {"share_id": "s-1"}}))

    assert event.target == "s-1"


@pytest.mark.parametrize("event", ["authorization.removed", "video.upload.failed"])
@pytest.mark.parametrize("content", [{"reason": 1}, "", "user revoked", "[]", "\ud800"], ids=repr)
def test_what_earns_nothing_is_said_so_whatever_its_content(event: str, content: object) -> None:
    assert told(event, content).ignored == (f"{event} earns nothing",)


@pytest.mark.parametrize("body", [{}, {"events": []}, {"event": "x", "content": None}], ids=str)
def test_a_callback_of_another_kind_is_left_out(body: dict[str, Any]) -> None:
    assert len(reading(adapter_of("tiktok"), body).ignored) == 1


@pytest.mark.parametrize("content", ["", "[]", "{", '"{}"', "\ud800"])
def test_a_content_that_is_no_object_is_malformed(content: str) -> None:
    with pytest.raises(Malformed):
        told("video.publish.completed", content)


# printf %s '1633174587.{"event":"x"}' | openssl dgst -sha256 -hmac example-client-secret-new
DIGEST = "181974f5d34878f8620bdb76f1d26905227f5f3ae6a7aafe7ebcb455c72ad3d2"


def test_the_time_and_the_body_are_signed_with_a_full_stop_between() -> None:
    at = datetime.fromtimestamp(1633174587, UTC)
    sent = callback(b'{"event":"x"}', {"TikTok-Signature": f"t=1633174587,s={DIGEST}"}, at=at)

    adapter_of("tiktok").verify(sent)


def test_of_several_signatures_one_that_matches_suffices() -> None:
    adapter = adapter_of("tiktok")
    honest = signed(adapter, {"event": "x"})
    header = honest.headers["tiktok-signature"]

    for items in (f"{header},s={'0' * 64}", header.replace("s=", f"s={'0' * 64},s=")):
        adapter.verify(callback(honest.body, {"TikTok-Signature": items}))


@pytest.mark.parametrize("change", ["t=1,", "t=,", "t=abc,"])
def test_a_second_time_is_no_choice(change: str) -> None:
    adapter = adapter_of("tiktok")
    honest = signed(adapter, {"event": "x"})
    header = change + honest.headers["tiktok-signature"]

    with pytest.raises(Forged):
        adapter.verify(callback(honest.body, {"TikTok-Signature": header}))


def test_a_signature_is_old_after_five_minutes() -> None:
    adapter = adapter_of("tiktok")
    honest = signed(adapter, {"event": "x"})
    late = callback(honest.body, honest.headers, at=NOW + timedelta(seconds=301))

    with pytest.raises(Forged):
        adapter.verify(late)
