"""Threads: https://developers.facebook.com/docs/threads/webhooks"""

from datetime import UTC, datetime
from typing import Any

from app.platforms.kit.callback import Reading
from app.platforms.meta import Meta
from tests.platforms.callbacks import adapter_of, only_event, reading

POST = {"id": "123456", "owner_id": "123456", "username": "the_brand"}


def value(**more: Any) -> Any:
    one = {"id": "8901234", "username": "ann", "text": "Reply", "shortcode": "Pp"}
    return {**one, "timestamp": "2025-08-04T10:33:16+0000", **more}


def told(topic: str, field: str, of: Any) -> Reading:
    body = {"app_id": "1", "topic": topic, "target_id": "78901", "time": 1723226877}
    values = [{"value": one, "field": field} for one in of] if isinstance(of, list) else None
    return reading(
        adapter_of("threads"), {**body, "values": values or {"value": of, "field": field}}
    )


def test_a_reply_is_to_the_post_at_the_root() -> None:
    event = only_event(told("moderate", "replies", value(root_post=POST, replied_to={"id": "5"})))

    assert (event.action, event.actor, event.target) == ("reply", "ann", "123456")
    assert event.occurred_at == datetime(2025, 8, 4, 10, 33, 16, tzinfo=UTC)


def test_a_mention_is_of_the_account_that_is_told() -> None:
    event = only_event(told("interaction", "mentions", value(is_quote_post=False)))

    assert (event.action, event.actor, event.target) == ("mention", "ann", "78901")


def test_a_mention_that_quotes_is_a_quote() -> None:
    event = only_event(told("interaction", "mentions", value(is_quote_post=True)))

    assert (event.action, event.target) == ("quote", "78901")


def test_a_reply_that_quotes_is_a_reply() -> None:
    quoting = value(root_post=POST, is_quote_post=True)

    assert only_event(told("moderate", "replies", quoting)).action == "reply"


def test_what_the_brand_replies_itself_is_no_customers() -> None:
    result = told("moderate", "replies", value(username="the_brand", root_post=POST))

    assert result.ignored == ("moderate.replies is by the account itself",)


def test_whoever_mentions_the_brand_under_their_own_post_does_so() -> None:
    own = {**POST, "username": "ann"}

    event = only_event(told("interaction", "mentions", value(root_post=own)))

    assert event.actor == "ann"


def test_several_values_are_several_events() -> None:
    several = [value(id=str(n), root_post=POST) for n in range(3)]

    assert len(told("moderate", "replies", several).events) == 3


def test_what_earns_nothing_is_said_so() -> None:
    assert told("moderate", "hide", value()).ignored == ("moderate.hide earns nothing",)
    assert told("moderate", "replies", None).ignored == ("moderate.replies names no actor",)


def test_a_deletion_names_the_reply_and_perhaps_nobody() -> None:
    reply = only_event(told("moderate", "replies", value(root_post=POST)))

    for deleted in (value(), {key: v for key, v in value().items() if key != "username"}):
        undone = only_event(told("moderate", "delete", deleted))

        assert (undone.action, undone.undone, undone.undoes) == ("reply", True, reply.key)


def test_the_same_terms_hold_as_for_the_rest_of_the_family() -> None:
    assert adapter_of("threads").terms == Meta.terms
