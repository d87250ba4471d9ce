"""Meta: Facebook Pages and Instagram; payloads after Meta's documentation and restfb's fixtures."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from app.domain.events import Event
from app.platforms.kit.callback import Forged, Malformed, Reading
from tests.platforms.callbacks import adapter_of, callback, only_event, reading

PAGE, POST, PERSON = "1234567890321", "1234567890321_98735342324352", "4242"
REACTION = {
    "created_time": 1475578854,
    "item": "reaction",
    "post_id": POST,
    "parent_id": "1234567890321_901097836652708",
    "verb": "add",
    "reaction_type": "love",
    "from": {"name": "John Doe", "id": PERSON},
}
COMMENT = {
    "created_time": 1448633038,
    "item": "comment",
    "comment_id": "98735342324352_1",
    "post_id": POST,
    "parent_id": POST,
    "verb": "add",
    "message": "This is an example.",
    "from": {"name": "John Doe", "id": PERSON},
}
SHARE = {
    "created_time": 1448633038,
    "item": "share",
    "share_id": "1000000",
    "post_id": POST,
    "verb": "add",
    "link": "https://www.example.com/",
    "from": {"name": "John Doe", "id": PERSON},
}
ON_INSTAGRAM = {
    "id": "123456789",
    "text": "This is an example.",
    "from": {"id": "1234536447", "username": "testuser"},
    "parent_id": "987654321",
    "media": {"id": "76543987", "media_product_type": "FEED"},
}


def change(value: object, field: str = "feed") -> dict[str, Any]:
    return {"field": field, "value": value}


def batch(*changes: object, entry: str = PAGE, sort: str = "page") -> dict[str, Any]:
    return {"object": sort, "entry": [{"id": entry, "time": 1449135003, "changes": [*changes]}]}


def read(body: object) -> Reading:
    return reading(adapter_of("meta"), body)


def feed(value: dict[str, Any], **changed: Any) -> Event:
    return only_event(read(batch(change({**value, **changed}))))


def get(**query: str) -> Any:
    asked = {f"hub.{name}": value for name, value in query.items()}
    return adapter_of("meta").handshake(callback(method="GET", query=asked))


def test_the_handshake_echoes_the_challenge_as_plain_text() -> None:
    reply = get(mode="subscribe", challenge="1158201444", verify_token="example-verify-token")

    assert (reply.status, reply.body) == (200, "1158201444")
    assert reply.content_type == "text/plain; charset=utf-8"


@pytest.mark.parametrize(
    "query",
    [
        {},
        {"mode": "subscribe", "challenge": "1"},
        {"mode": "subscribe", "challenge": "1", "verify_token": ""},
        {"mode": "subscribe", "challenge": "1", "verify_token": "another"},
        {"mode": "subscribe", "challenge": "1", "verify_token": "example-verify-tokeN"},
        {"mode": "unsubscribe", "challenge": "1", "verify_token": "example-verify-token"},
        {"challenge": "1", "verify_token": "example-verify-token"},
        {"mode": "subscribe", "challenge": "1", "verify_token": "\ud800✓"},
    ],
    ids=str,
)
def test_a_handshake_without_our_token_is_forged(query: dict[str, str]) -> None:
    with pytest.raises(Forged):
        get(**query)


@pytest.mark.parametrize("challenge", [None, "", "a\r\nb", "x" * 256])
def test_a_handshake_without_a_challenge_is_malformed(challenge: str | None) -> None:
    given = {} if challenge is None else {"challenge": challenge}

    with pytest.raises(Malformed):
        get(mode="subscribe", verify_token="example-verify-token", **given)


def test_a_post_is_never_a_handshake() -> None:
    query = {"hub.mode": "subscribe", "hub.challenge": "1", "hub.verify_token": "wrong"}

    assert adapter_of("meta").handshake(callback(query=query)) is None


@pytest.mark.parametrize("missing", ["verify_token", "secrets"])
def test_a_source_needs_its_secrets_and_its_token(missing: str) -> None:
    with pytest.raises(ValueError, match=missing):
        adapter_of("meta", **{missing: "" if missing == "verify_token" else []})


@pytest.mark.parametrize("reaction", ["like", "love", "wow", "haha", "sorry", "anger", "care"])
def test_every_reaction_is_a_like(reaction: str) -> None:
    event = feed(REACTION, reaction_type=reaction)

    assert (event.action, event.actor, event.target) == ("like", PERSON, POST)
    assert (event.actor_handle, event.undone) == ("John Doe", False)
    assert event.occurred_at == datetime(2016, 10, 4, 11, 0, 54, tzinfo=UTC)
    assert event.key == f"page.feed.reaction.add:{POST}::{PERSON}:{reaction}:1475578854"


def test_a_reaction_that_names_a_comment_is_to_that_comment() -> None:
    event = feed(REACTION, comment_id="98735342324352_1")

    assert event.target == "98735342324352_1"
    assert event.key != feed(REACTION).key


def test_a_comment_is_on_its_post() -> None:
    event = feed(COMMENT)

    assert (event.action, event.actor, event.target) == ("comment", PERSON, POST)
    assert event.key == "page.feed.comment.add:98735342324352_1"


def test_a_share_is_of_its_post() -> None:
    event = feed(SHARE)

    assert (event.action, event.actor, event.target) == ("share", PERSON, POST)
    assert event.key == "page.feed.share.add:1000000"


@pytest.mark.parametrize("value", [REACTION, COMMENT, SHARE], ids=lambda value: value["item"])
def test_what_is_removed_is_undone_under_another_key(value: dict[str, Any]) -> None:
    done, undone = feed(value), feed(value, verb="remove")

    assert (done.action, done.undone) == (undone.action, False)
    assert undone.undone
    assert done.key != undone.key


@pytest.mark.parametrize("value", [COMMENT, SHARE], ids=lambda value: value["item"])
def test_what_is_removed_names_what_it_was(value: dict[str, Any]) -> None:
    assert feed(value, verb="remove").undoes == feed(value).key


def test_a_like_taken_back_is_any_like_of_the_post_before() -> None:
    assert feed(REACTION, verb="remove").undoes is None


def test_a_like_taken_back_and_given_again_is_a_new_event() -> None:
    first, again = feed(REACTION), feed(REACTION, created_time=1475578999)

    assert first.key != again.key


@pytest.mark.parametrize(
    "value",
    [
        {**REACTION, "verb": "edit"},
        {**COMMENT, "verb": "edited"},
        {**COMMENT, "verb": "hide"},
        {**SHARE, "item": "status"},
        {**SHARE, "item": "like"},
        {"item": "album", "verb": "add"},
        {"message": "no item"},
    ],
    ids=lambda value: f"{value.get('item')} {value.get('verb')}",
)
def test_other_items_and_verbs_of_the_feed_earn_nothing(value: dict[str, Any]) -> None:
    result = read(batch(change(value)))

    assert not result.events
    assert "earns nothing" in result.ignored[0]


@pytest.mark.parametrize("nobody", [None, {}, {"name": "John Doe"}])
def test_an_action_without_an_actor_is_ignored(nobody: object) -> None:
    result = read(batch(change({**REACTION, "from": nobody})))

    assert result.ignored == ("page.feed.reaction.add names no actor",)


def test_what_the_page_does_itself_is_ignored() -> None:
    result = read(batch(change({**REACTION, "from": {"id": PAGE}})))

    assert result.ignored == ("page.feed.reaction.add is by the account itself",)


@pytest.mark.parametrize("name", ["\u200b", "a\nb" * 200, {"odd": 1}, 7])
def test_an_odd_name_costs_no_event(name: object) -> None:
    assert feed(REACTION, **{"from": {"id": PERSON, "name": name}}).actor == PERSON


def test_a_mention_of_a_page_or_an_account_names_nobody_and_is_ignored() -> None:
    on_facebook = {"message": "@us", "post_id": POST, "item": "post", "verb": "add"}
    on_instagram = {"media_id": "17918195224117851", "comment_id": "17894227972186120"}

    page = read(batch(change(on_facebook, "mention")))
    instagram = read(batch(change(on_instagram, "mentions"), sort="instagram"))

    assert page.ignored == ("page.mention.post.add earns nothing",)
    assert instagram.ignored == ("instagram.mentions earns nothing",)


@pytest.mark.parametrize("value", ["a new name", None, 5, ["x"], {}])
def test_other_fields_earn_nothing_whatever_their_value_is(value: object) -> None:
    assert read(batch(change(value, "name"))).ignored == ("page.name earns nothing",)


@pytest.mark.parametrize("sort", ["user", "whatsapp_business_account", "permissions"])
def test_other_objects_earn_nothing(sort: str) -> None:
    result = read(batch(change(COMMENT), sort=sort))

    assert not result.events
    assert len(result.ignored) == 1


def instagram_shapes() -> dict[str, dict[str, Any]]:
    renamed = {**ON_INSTAGRAM, "comment_id": ON_INSTAGRAM["id"]}
    del renamed["id"]
    flat = {"id": "17841405793187218", "time": 1519399307, **change(ON_INSTAGRAM, "comments")}
    return {
        "id": batch(change(ON_INSTAGRAM, "comments"), sort="instagram"),
        "comment_id": batch(change(renamed, "comments"), sort="instagram"),
        "flat": {"object": "instagram", "entry": [flat]},
    }


@pytest.mark.parametrize("shape", instagram_shapes())
def test_an_instagram_comment_is_read_in_each_of_its_three_shapes(shape: str) -> None:
    body = instagram_shapes()[shape]

    event = only_event(read(body))

    assert (event.action, event.actor, event.target) == ("comment", "1234536447", "76543987")
    assert (event.actor_handle, event.key) == ("testuser", "instagram.comments:123456789")
    assert event.occurred_at == datetime.fromtimestamp(body["entry"][0]["time"], UTC)
    assert json.loads(event.payload) == body


def test_an_instagram_comment_by_the_account_itself_is_ignored() -> None:
    body = batch(change(ON_INSTAGRAM, "comments"), entry="1234536447", sort="instagram")

    assert read(body).ignored == ("instagram.comments is by the account itself",)


def message(attachments: object, sender: str = "1234536447") -> dict[str, Any]:
    return {
        "sender": {"id": sender},
        "recipient": {"id": "17841405793187218"},
        "timestamp": 1569262485349,
        "message": {"mid": "aWdGGiblWZ", "attachments": attachments},
    }


def messages(*items: object) -> dict[str, Any]:
    entry = {"id": "17841405793187218", "time": 1569262486134, "messaging": [*items]}
    return {"object": "instagram", "entry": [entry]}


STORY = [
    {"type": "story_mention", "payload": {"url": "https://lookaside.fbsbx.com/ig/?asset_id=1"}}
]


def test_a_story_mention_is_a_mention_by_its_sender() -> None:
    event = only_event(read(messages(message(STORY))))

    assert (event.action, event.actor) == ("mention", "1234536447")
    assert event.target == "17841405793187218"
    assert event.key == "instagram.messaging.story_mention:aWdGGiblWZ"
    assert event.occurred_at == datetime(2019, 9, 23, 18, 14, 45, 349000, tzinfo=UTC)


@pytest.mark.parametrize("attachments", [None, [], [{"type": "image"}], "story_mention", {}])
def test_another_message_earns_nothing(attachments: object) -> None:
    result = read(messages(message(attachments)))

    assert result.ignored == ("instagram.messaging earns nothing",)


def test_an_echo_of_our_own_message_is_ignored() -> None:
    result = read(messages(message(STORY, sender="17841405793187218")))

    assert result.ignored == ("instagram.messaging.story_mention is by the account itself",)


def test_a_thousand_updates_are_as_many_events_each_with_its_own_payload() -> None:
    changes = [change({**COMMENT, "comment_id": f"1_{number}"}) for number in range(500)]
    body = batch(*changes)
    body["entry"] *= 2
    body["entry"][1] = {**body["entry"][1], "id": "77"}

    events = read(body).events

    assert len(events) == 1000
    assert len({event.key for event in events}) == 500
    assert json.loads(events[-1].payload) == {
        "object": "page",
        "entry": [{"id": "77", "time": 1449135003, "changes": [changes[-1]]}],
    }


@pytest.mark.parametrize(
    "bad",
    [
        None,
        5,
        {},
        change("not an object"),
        change({**COMMENT, "from": {"id": ["4242"]}}),
        change({**COMMENT, "comment_id": None}),
        change({**COMMENT, "created_time": "yesterday"}),
        change({**SHARE, "share_id": {}}),
    ],
    ids=str,
)
def test_one_bad_update_does_not_cost_the_others(bad: object) -> None:
    result = read(batch(change(REACTION), bad, change(SHARE)))

    assert [event.action for event in result.events] == ["like", "share"]
    assert len(result.ignored) == 1


@pytest.mark.parametrize(
    "bad", [None, 5, "entry", {}, {"changes": 5}, {"id": PAGE, "changes": [5]}]
)
def test_one_bad_entry_does_not_cost_the_others(bad: object) -> None:
    body = batch(change(REACTION))
    body["entry"] = [bad, *body["entry"], bad]

    assert only_event(read(body)).action == "like"


@pytest.mark.parametrize("bad", [None, {}, "x", [5], [None]])
def test_a_batch_of_which_nothing_can_be_read_is_malformed(bad: object) -> None:
    with pytest.raises(Malformed):
        read({"object": "page", "entry": bad})


def test_an_update_without_an_entry_id_is_malformed_for_it_may_be_our_own() -> None:
    body = batch(change(REACTION))
    del body["entry"][0]["id"]

    with pytest.raises(Malformed, match=r"entry\.id"):
        read(body)


def test_the_signature_is_made_over_the_escaped_bytes_as_they_came() -> None:
    body = rb'{"object":"page","entry":[{"id":"1","changes":[{"field":"\u00e4\/","value":1}]}]}'

    assert read(body).ignored == ("page.ä/ earns nothing",)


def boosted(number: str) -> dict[str, Any]:
    return {"id": number, "ad_id": "120", "original_media_id": "1800", "ad_title": "An ad"}


def test_a_comment_on_an_ad_is_on_the_post_that_was_boosted() -> None:
    value = {"id": "1", "from": {"id": "9001", "username": "ann"}, "media": boosted("1790")}

    event = only_event(read(of_instagram(value)))

    assert (event.target, event.target_aliases) == ("1800", ("1790",))


def test_a_comment_on_a_post_names_it_once() -> None:
    value = {"id": "1", "from": {"id": "9001", "username": "ann"}, "media": {"id": "1800"}}

    event = only_event(read(of_instagram(value)))

    assert (event.target, event.target_aliases) == ("1800", ())


@pytest.mark.parametrize("by", [None, {"id": "1234567890321", "name": "The Page"}])
def test_a_comment_that_is_removed_by_anybody_is_the_one_that_is_named(by: Any) -> None:
    value = {"item": "comment", "verb": "remove", "comment_id": "p_11", "post_id": "p_1"}
    value |= {"from": by} if by else {}
    changes = [{"field": "feed", "value": value}]

    entry = {"id": "1234567890321", "time": 1, "changes": changes}
    event = only_event(read({"object": "page", "entry": [entry]}))

    assert (event.actor, event.undone) == (None, True)
    assert event.undoes == "page.feed.comment.add:p_11"


def of_instagram(value: dict[str, Any]) -> dict[str, Any]:
    changes = [{"field": "comments", "value": value}]
    return {"object": "instagram", "entry": [{"id": "17", "time": 1519399307, "changes": changes}]}


@pytest.mark.parametrize(
    ("sort", "change"),
    [
        ("page", {"field": "feed", "value": COMMENT}),
        ("page", {"field": "feed", "value": {**COMMENT, "verb": "remove"}}),
        ("page", {"field": "feed", "value": SHARE}),
        (
            "instagram",
            {"field": "comments", "value": {"id": "1", "from": {"id": "2"}, "media": {"id": "3"}}},
        ),
    ],
)
def test_what_happens_on_another_page_earns_nothing_where_pages_are_named(
    sort: str, change: Any
) -> None:
    body = {"object": sort, "entry": [{"id": PAGE, "time": 1475578854, "changes": [change]}]}

    assert reading(adapter_of("meta", pages=[PAGE]), body).events
    assert reading(adapter_of("meta"), body).events
    elsewhere = reading(adapter_of("meta", pages=["7"]), body)
    assert not elsewhere.events
    assert elsewhere.ignored[0].endswith("on a page that is not configured")
