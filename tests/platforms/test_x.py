"""X: https://docs.x.com/x-api/activity/event-payloads and .../account-activity/introduction."""

import base64
import hashlib
import hmac
import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.events import Event
from app.platforms.kit.adapter import Adapter
from app.platforms.kit.callback import Forged, Malformed, Reading, Reply
from tests.platforms.callbacks import NOW, adapter_of, callback, only_event, reading, signed

US, THEM, OTHER = "1111111111111111111", "2222222222222222222", "3333333333333333333"
LEGACY, OAUTH2 = "X-Twitter-Webhooks-Signature", "X-Twitter-Webhooks-Signature-OAuth2"
TWO = {"secrets": ["consumer"], "oauth2_secrets": ["client"]}


def hmac_of(key: str, message: bytes) -> str:
    digest = hmac.new(key.encode(), message, hashlib.sha256).digest()
    return "sha256=" + base64.b64encode(digest).decode()


def challenged(token: str, adapter: Adapter | None = None) -> Reply:
    request = callback(method="GET", query={"crc_token": token, "nonce": "MTIz"})
    reply = (adapter or adapter_of("x")).handshake(request)
    assert reply is not None
    return reply


def read(body: object) -> Reading:
    return reading(adapter_of("x"), body)


def activity(kind: str, payload: dict[str, Any], **data: Any) -> dict[str, Any]:
    base = {"event_uuid": "-7953119945885597316", "filter": {"user_id": US}, "tag": "vouch"}
    return {"data": {**base, "event_type": kind, "payload": payload, **data}}


def follow(kind: str = "follow.follow") -> dict[str, Any]:
    source = {"data": {"name": "Other User", "username": "OtherUser", "id": THEM}}
    target = {"data": {"name": "Example User", "username": "ExampleUser", "id": US}}
    return activity(kind, {"source": source, "target": target})


def post(kind: str, *references: tuple[str, str], **payload: Any) -> dict[str, Any]:
    referenced = [{"type": sort, "id": identity} for sort, identity in references]
    base = {
        "created_at": "2026-08-12T18:10:00.000Z",
        "author_id": THEM,
        "id": "2090000000000000003",
    }
    return activity(kind, {**base, "referenced_tweets": referenced, **payload})


def like(**more: Any) -> dict[str, Any]:
    payload = {
        "id": "87719f50ee17bdfa06a3089098a2b9ed",
        "created_at": "2026-07-24T21:12:45.000Z",
        "timestamp_ms": "1784927565236",
        "liked_tweet_author_id": OTHER,
        "liked_tweet_id": "2079814480427442556",
    }
    return activity("like.create", {**payload, **more.pop("payload", {})}, **more)


# The challenge and the signatures


@pytest.mark.parametrize(
    ("options", "key"),
    [
        ({"secrets": ["new", "old"]}, "new"),
        (TWO, "consumer"),
        ({**TWO, "crc_key": "oauth2"}, "client"),
        ({"secrets": [], "oauth2_secrets": ["client"], "crc_key": "oauth2"}, "client"),
    ],
    ids=str,
)
def test_the_challenge_is_answered_under_the_configured_key(
    options: dict[str, Any], key: str
) -> None:
    reply = challenged("challenge_string", adapter_of("x", **options))

    assert (reply.status, reply.content_type) == (200, "application/json")
    assert json.loads(reply.body) == {"response_token": hmac_of(key, b"challenge_string")}


@pytest.mark.parametrize(
    "token",
    ["", "{}", json.dumps(follow()), f" {json.dumps(follow())}", "[]", "a b", "ä", "a" * 256],
)
def test_a_challenge_that_is_no_token_is_malformed(token: str) -> None:
    with pytest.raises(Malformed):
        challenged(token)


@given(st.text() | st.from_regex(r"[A-Za-z0-9._~+/=-]{1,255}", fullmatch=True))
def test_no_answer_to_a_challenge_signs_an_event(token: str) -> None:
    """Anybody can ask for a challenge's answer, which is a valid signature of the challenge."""
    adapter = adapter_of("x")
    try:
        answer = json.loads(challenged(token, adapter).body)["response_token"]
    except Malformed:
        return

    stolen = callback(token.encode(), {LEGACY: answer})
    adapter.verify(stolen)

    with pytest.raises(Malformed):
        adapter.read(stolen)


def test_only_a_get_with_a_token_is_a_challenge() -> None:
    adapter = adapter_of("x")

    assert adapter.handshake(callback(method="GET")) is None
    assert adapter.handshake(callback(query={"crc_token": "challenge_string"})) is None


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"secrets": []}, 'crc_key = "consumer" needs secrets'),
        ({"secrets": [], "oauth2_secrets": ["client"]}, 'crc_key = "consumer" needs secrets'),
        ({"crc_key": "oauth2"}, 'crc_key = "oauth2" needs oauth2_secrets'),
        ({"crc_key": "bearer"}, "crc_key"),
        ({"oauth2_secrets": [""]}, "the secret is empty"),
    ],
    ids=str,
)
def test_a_source_that_cannot_answer_a_challenge_is_refused(
    options: dict[str, Any], complaint: str
) -> None:
    with pytest.raises(ValueError, match=complaint):
        adapter_of("x", **options)


def test_where_both_signatures_come_the_newer_one_decides() -> None:
    adapter, body = adapter_of("x", **TWO), json.dumps(follow()).encode()
    right = {LEGACY: hmac_of("consumer", body), OAUTH2: hmac_of("client", body)}

    adapter.verify(callback(body, right))
    adapter.verify(callback(body, {**right, LEGACY: "sha256=AAAA"}))

    for wrong in ("sha256=AAAA", "", hmac_of("consumer", body)):
        with pytest.raises(Forged):
            adapter.verify(callback(body, {**right, OAUTH2: wrong}))


def test_each_signature_is_believed_under_its_own_secret_alone() -> None:
    adapter, body = adapter_of("x", **TWO), b"{}"

    adapter.verify(callback(body, {LEGACY: hmac_of("consumer", body)}))
    adapter.verify(callback(body, {OAUTH2: hmac_of("client", body)}))

    for header, key in ((LEGACY, "client"), (OAUTH2, "consumer")):
        with pytest.raises(Forged):
            adapter.verify(callback(body, {header: hmac_of(key, body)}))


def test_a_newer_signature_without_a_secret_for_it_is_forged() -> None:
    adapter, body = adapter_of("x", secrets=["consumer"]), b"{}"
    headers = {LEGACY: hmac_of("consumer", body), OAUTH2: hmac_of("client", body)}

    with pytest.raises(Forged, match="no oauth2_secrets are configured"):
        adapter.verify(callback(body, headers))


def test_an_example_is_signed_as_x_would_with_the_secrets_there_are() -> None:
    both = adapter_of("x", **TWO)
    newer = adapter_of("x", secrets=[], oauth2_secrets=["client"], crc_key="oauth2")
    older = adapter_of("x", secrets=["consumer"])

    used = [
        (
            OAUTH2.lower() in signed(adapter, {}).headers,
            LEGACY.lower() in signed(adapter, {}).headers,
        )
        for adapter in (both, newer, older)
    ]

    assert used == [(True, False), (True, False), (False, True)]


# The X Activity API


def test_a_follow_happened_when_we_heard_of_it() -> None:
    event = only_event(read(follow()))

    assert (event.action, event.actor, event.target) == ("follow", THEM, US)
    assert (event.actor_handle, event.undone) == ("OtherUser", False)
    assert event.key == "follow.follow:-7953119945885597316"
    assert event.occurred_at == NOW


def test_an_unfollow_is_a_follow_undone_under_another_key() -> None:
    event = only_event(read(follow("follow.unfollow")))

    assert (event.action, event.undone) == ("follow", True)
    assert event.key != only_event(read(follow())).key


@pytest.mark.parametrize(
    ("action", "sort"), [("repost", "retweeted"), ("quote", "quoted"), ("reply", "replied_to")]
)
def test_a_post_about_a_post_has_that_post_as_its_target(action: str, sort: str) -> None:
    references = [("other", "7"), (sort, "2080761390344937796"), ("another", "8")]

    event = only_event(read(post(f"post.{action}.create", *references)))

    assert (event.action, event.actor) == (action, THEM)
    assert event.target == "2080761390344937796"
    assert event.occurred_at == datetime(2026, 8, 12, 18, 10, tzinfo=UTC)


def test_a_post_about_no_post_is_malformed() -> None:
    for body in (post("post.repost.create"), post("post.repost.create", ("quoted", "7"))):
        with pytest.raises(Malformed, match="retweeted"):
            read(body)


def test_a_mention_is_of_the_subscribed_account() -> None:
    event = only_event(read(post("post.mention.create")))

    assert (event.action, event.actor, event.target) == ("mention", THEM, US)


def test_a_reply_that_mentions_two_of_our_accounts_is_three_events() -> None:
    """X's own sample has the post's id as its event_uuid, so that the three may share it."""
    reply = post("post.reply.create", ("replied_to", "7"))
    mention, of_another = post("post.mention.create"), post("post.mention.create")
    of_another["data"]["filter"] = {"user_id": OTHER}

    keys = {only_event(read(body)).key for body in (reply, mention, of_another)}

    assert len(keys) == 3


def test_a_like_is_by_the_subscribed_account() -> None:
    event = only_event(read(like(filter={"user_id": THEM, "direction": "outbound"})))

    assert (event.action, event.actor, event.target) == ("like", THEM, "2079814480427442556")
    assert event.occurred_at == datetime(2026, 7, 24, 21, 12, 45, 236000, tzinfo=UTC)


@pytest.mark.parametrize(
    "body",
    [
        like(filter={"user_id": OTHER}),
        like(filter={"user_id": THEM, "direction": "inbound"}),
        like(filter={}),
        like(filter={"user_id": THEM}, payload={"liked_tweet_author_id": None}),
    ],
    ids=["its own post", "inbound", "no subscriber", "nobody knows whose post"],
)
def test_a_like_that_does_not_say_whose_it_is_is_ignored(body: dict[str, Any]) -> None:
    assert read(body).ignored == ("like.create names no actor",)


def test_a_like_without_its_time_happened_when_we_heard_of_it() -> None:
    body = like(filter={"user_id": THEM}, payload={"timestamp_ms": None})

    assert only_event(read(body)).occurred_at == NOW


@pytest.mark.parametrize(
    "kind", ["post.create", "post.delete", "dm.received", "profile.update.bio"]
)
def test_other_activities_earn_nothing(kind: str) -> None:
    assert read(activity(kind, {})).ignored == (f"{kind} earns nothing",)


@pytest.mark.parametrize(
    "body",
    [
        activity("oauth.revoke", {"user_id": US}, filter={}),
        {"user_event": {"revoke": {"source": {"user_id": "63046977"}}}},
    ],
    ids=["new", "old"],
)
def test_a_revocation_is_a_notice(body: dict[str, Any]) -> None:
    assert read(body).notice == "an account revoked its permission"


@pytest.mark.parametrize(
    "body",
    [
        {"data": 5},
        activity("follow.follow", {"source": {"data": {"id": THEM}}}),
        {**follow(), "data": {**follow()["data"], "event_uuid": None}},
        post("post.reply.create", ("replied_to", "7"), created_at="yesterday"),
        post("post.reply.create", ("replied_to", "7"), author_id=["x"]),
    ],
    ids=str,
)
def test_an_activity_of_another_shape_is_malformed(body: dict[str, Any]) -> None:
    with pytest.raises(Malformed):
        read(body)


# The Account Activity API


def old(array: str, *items: object) -> dict[str, Any]:
    return {"for_user_id": US, array: [*items]}


def old_follow(sort: str = "follow", source: str = THEM) -> dict[str, Any]:
    return {
        "type": sort,
        "created_timestamp": "1517588749178",
        "target": {"id": US, "screen_name": "ExampleUser"},
        "source": {"id": source, "screen_name": "OtherUser"},
    }


def old_like(user: str = THEM) -> dict[str, Any]:
    return {
        "id": "a7ba59eab0bfcba386f7acedac279542",
        "created_at": "Mon Mar 26 16:33:26 +0000 2018",
        "timestamp_ms": 1522082006140,
        "favorited_status": {"id_str": "7", "user": {"id_str": US}},
        "user": {"id_str": user, "screen_name": "OtherUser"},
    }


def old_post(**more: Any) -> dict[str, Any]:
    return {
        "id_str": "1924465506158878979",
        "created_at": "Mon May 19 14:01:46 +0000 2025",
        "user": {"id_str": THEM, "screen_name": "OtherUser"},
        "entities": {"user_mentions": []},
        **more,
    }


def mentioning(*accounts: str) -> dict[str, Any]:
    return {"user_mentions": [{"id_str": account} for account in accounts]}


def of(account: str) -> dict[str, Any]:
    return {"id_str": "7", "user": {"id_str": account}}


def old_event(**post_fields: Any) -> Event:
    return only_event(read(old("tweet_create_events", old_post(**post_fields))))


def test_an_old_follow_is_read() -> None:
    event = only_event(read(old("follow_events", old_follow())))

    assert (event.action, event.actor, event.target) == ("follow", THEM, US)
    assert (event.actor_handle, event.undone) == ("OtherUser", False)
    assert event.key == f"follow_events.follow:1517588749178:{THEM}:{US}"
    assert event.occurred_at == datetime(2018, 2, 2, 16, 25, 49, 178000, tzinfo=UTC)


def test_an_old_unfollow_is_a_follow_undone_under_another_key() -> None:
    event = only_event(read(old("follow_events", old_follow("unfollow"))))

    assert (event.action, event.undone) == ("follow", True)
    assert event.key == f"follow_events.unfollow:1517588749178:{THEM}:{US}"


def test_an_old_like_names_who_liked() -> None:
    event = only_event(read(old("favorite_events", old_like())))

    assert (event.action, event.actor, event.target) == ("like", THEM, "7")
    assert event.key == "favorite_events:a7ba59eab0bfcba386f7acedac279542"
    assert event.occurred_at == datetime(2018, 3, 26, 16, 33, 26, 140000, tzinfo=UTC)


@pytest.mark.parametrize(
    ("fields", "action", "target"),
    [
        ({"retweeted_status": of(US)}, "repost", "7"),
        ({"retweeted_status": of(US), "quoted_status": of(US)}, "repost", "7"),
        ({"quoted_status": of(US), "is_quote_status": True}, "quote", "7"),
        ({"in_reply_to_status_id_str": "7", "in_reply_to_user_id_str": US}, "reply", "7"),
        ({"in_reply_to_status_id_str": "7"}, "reply", "7"),
        ({"entities": mentioning(OTHER, US)}, "mention", US),
        ({"extended_tweet": {"entities": mentioning(US)}}, "mention", US),
        ({"quoted_status": of(OTHER), "entities": mentioning(US)}, "mention", US),
        (
            {
                "in_reply_to_status_id_str": "7",
                "in_reply_to_user_id_str": OTHER,
                "entities": mentioning(OTHER, US),
            },
            "mention",
            US,
        ),
    ],
    ids=str,
)
def test_an_old_post_is_what_it_does_to_the_subscribed_account(
    fields: dict[str, Any], action: str, target: str
) -> None:
    event = old_event(**fields)

    assert (event.action, event.actor, event.target) == (action, THEM, target)
    assert event.key == f"tweet_create_events.{action}:1924465506158878979:{US}"
    assert event.occurred_at == datetime(2025, 5, 19, 14, 1, 46, tzinfo=UTC)


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"entities": None},
        {"entities": mentioning(OTHER)},
        {"retweeted_status": of(OTHER), "entities": mentioning(US)},
        {"retweeted_status": of(OTHER), "quoted_status": of(US)},
        {"quoted_status": of(OTHER)},
        {"in_reply_to_status_id_str": "7", "in_reply_to_user_id_str": OTHER},
    ],
    ids=str,
)
def test_an_old_post_about_others_earns_nothing(fields: dict[str, Any]) -> None:
    result = read(old("tweet_create_events", old_post(**fields)))

    assert result.ignored == ("tweet_create_events.other earns nothing",)


@pytest.mark.parametrize(
    "body",
    [
        old("follow_events", old_follow(source=US)),
        old("favorite_events", old_like(user=US)),
        old("tweet_create_events", old_post(user={"id_str": US}, retweeted_status=of(US))),
    ],
    ids=["follow", "like", "repost"],
)
def test_what_the_subscribed_account_does_itself_is_ignored(body: dict[str, Any]) -> None:
    result = read(body)

    assert not result.events
    assert "by the account itself" in result.ignored[0]


def test_several_arrays_in_one_callback_are_all_read_each_with_its_own_payload() -> None:
    second = old_follow(source=OTHER)
    body = {
        **old("follow_events", old_follow(), second),
        "favorite_events": [old_like()],
        "block_events": [{"type": "block"}],
    }

    events = read(body).events

    assert [event.action for event in events] == ["follow", "follow", "like"]
    assert json.loads(events[1].payload) == old("follow_events", second)


@pytest.mark.parametrize("bad", [None, 5, {}, {"type": "follow"}, {"type": ["follow"]}], ids=str)
def test_one_bad_item_does_not_cost_the_others(bad: object) -> None:
    result = read(old("follow_events", bad, old_follow()))

    assert only_event(result).actor == THEM
    assert len(result.ignored) == 1


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"for_user_id": US, "follow_events": []},
        {"for_user_id": US, "mute_events": [{"type": "mute"}]},
        {"replay_job_status": {"webhook_id": "1", "job_state": "Complete"}},
        {"data": {}},
        {"data": {"id": "1", "text": "hi"}, "matching_rules": [{"id": "2", "tag": "brand"}]},
        {"data": {"id": "1", "author_id": "42", "referenced_tweets": [{"type": "quoted"}]}},
    ],
    ids=str,
)
def test_a_callback_of_another_kind_earns_nothing(body: dict[str, Any]) -> None:
    """A registered webhook may be sent the posts of a filtered stream, too."""
    assert read(body) == Reading(ignored=("a post or another kind earns nothing",))


@pytest.mark.parametrize("kind", ["post.repost.create", "post.quote.create", "post.reply.create"])
def test_a_post_that_two_subscriptions_tell_of_is_one(kind: str) -> None:
    told = post(kind, ("retweeted", "7"), ("quoted", "7"), ("replied_to", "7"))
    other = {**told["data"], "event_uuid": "5283049576128394756", "filter": {"user_id": OTHER}}

    one, again = only_event(read(told)), only_event(read({"data": other}))

    assert one.key == again.key == f"{kind}:2090000000000000003"
    assert one.former_keys == (f"{kind}:-7953119945885597316:{US}",)


def test_a_post_that_mentions_two_of_us_is_two_mentions() -> None:
    told = post("post.mention.create")
    other = {**told["data"], "filter": {"user_id": OTHER}}

    assert only_event(read(told)).key != only_event(read({"data": other})).key


@pytest.mark.parametrize(("direction", "events"), [("inbound", 0), ("outbound", 1), (None, 1)])
def test_what_the_watched_account_posts_itself_is_no_customer_s(
    direction: str | None, events: int
) -> None:
    told = post("post.reply.create", ("replied_to", "7"), author_id=US)
    told["data"]["filter"] = {"user_id": US, "direction": direction}

    assert len(read(told).events) == events


def test_items_without_the_subscribed_account_are_malformed() -> None:
    with pytest.raises(Malformed, match="for_user_id"):
        read({"follow_events": [old_follow()]})
