"""LinkedIn: https://learn.microsoft.com/linkedin/shared/api-guide/webhook-validation"""

import hashlib
import hmac
import json
from typing import Any

import pytest

from app.platforms.kit.callback import Forged, Malformed, Reading
from tests.platforms.callbacks import NOW, adapter_of, callback, only_event, reading

SECRET = "example-client-secret-new"
PAGE = "urn:li:organization:7"
ANN = "urn:li:person:ann"
COMMENT = "urn:li:comment:(urn:li:activity:6422861848709726123,2)"


def notification(action: str, sort: str = "comment", owner: str = ANN, **more: Any) -> Any:
    return {
        "notificationId": 5603453321,
        "organizationalEntity": PAGE,
        "action": action,
        "sourcePost": "urn:li:share:3",
        "generatedActivity": COMMENT,
        "lastModifiedAt": int(NOW.timestamp() * 1000),
        "decoratedGeneratedActivity": {sort: {"owner": owner, "text": "Great!"}},
        "subscriber": "urn:li:person:the-admin",
        **more,
    }


def told(*notifications: Any) -> Reading:
    sort = "ORGANIZATION_SOCIAL_ACTION_NOTIFICATIONS"
    return reading(adapter_of("linkedin"), {"type": sort, "notifications": [*notifications]})


def digest(text: str) -> str:
    return hmac.new(SECRET.encode(), text.encode(), hashlib.sha256).hexdigest()


@pytest.mark.parametrize(
    ("action", "sort", "expected"),
    [
        ("COMMENT", "comment", ("comment", "urn:li:share:3", False)),
        ("COMMENT_DELETE", "comment", ("comment", "urn:li:share:3", True)),
        ("SHARE", "share", ("share", "urn:li:share:3", False)),
        ("SHARE_MENTION", "share", ("mention", PAGE, False)),
    ],
)
def test_an_action_is_by_its_owner_and_never_by_the_subscribed_admin(
    action: str, sort: str, expected: tuple[str, str, bool]
) -> None:
    event = only_event(told(notification(action, sort)))

    assert (event.action, event.target, event.undone) == expected
    assert event.actor == ANN
    assert event.occurred_at == NOW


@pytest.mark.parametrize("action", ["LIKE", "ADMIN_COMMENT", "COMMENT_EDIT", "ANOTHER"])
def test_what_names_nobody_or_is_no_action_earns_nothing(action: str) -> None:
    assert told(notification(action)).ignored == (f"{action} earns nothing",)


def test_what_the_page_itself_writes_is_no_customers() -> None:
    result = told(notification("COMMENT", owner=PAGE))

    assert result.ignored == ("COMMENT is by the account itself",)


def test_without_the_decoration_there_is_no_actor() -> None:
    result = told(notification("COMMENT", decoratedGeneratedActivity=None))

    assert result.ignored == ("COMMENT names no actor",)


def test_one_comment_that_two_administrators_are_told_of_is_one() -> None:
    one, other = told(notification("COMMENT"), notification("COMMENT", notificationId=2)).events

    assert one.key == other.key
    assert (one.former_keys, other.former_keys) == (("COMMENT:5603453321",), ("COMMENT:2",))


@pytest.mark.parametrize("decoration", [None, {}, {"comment": {"owner": ANN}}], ids=str)
def test_a_deletion_takes_back_the_comment_that_it_names(decoration: object) -> None:
    other = COMMENT.replace(",2)", ",3)")

    done = only_event(told(notification("COMMENT")))
    gone = notification("COMMENT_DELETE", notificationId=9, decoratedGeneratedActivity=decoration)
    undone = only_event(told(gone))
    of_another = only_event(told({**gone, "generatedActivity": other, "sourcePost": None}))

    assert undone.undoes == done.key != of_another.undoes
    assert undone.actor == (ANN if decoration else None)
    assert of_another.target is None


def test_a_deletion_that_names_no_comment_takes_nothing_back() -> None:
    result = told(notification("COMMENT_DELETE", generatedActivity=None))

    assert result.ignored == ("COMMENT_DELETE names no comment",)


def test_a_person_and_a_post_have_other_names_too() -> None:
    event = only_event(told(notification("COMMENT")))
    of_a_share = told(
        notification("COMMENT", generatedActivity="urn:li:comment:(urn:li:share:1,2)")
    )
    by_a_page = told(notification("COMMENT", owner="urn:li:organization:8"))

    assert (event.aliases, event.target_aliases) == (
        ("ann",),
        ("urn:li:activity:6422861848709726123",),
    )
    assert only_event(of_a_share).target_aliases == ()
    assert only_event(by_a_page).aliases == ()


def test_each_of_a_batch_is_an_event_of_its_own_with_its_own_payload() -> None:
    first, broken = notification("COMMENT"), notification("COMMENT", sourcePost=[])
    second = notification("SHARE", "share", generatedActivity="urn:li:share:9")

    result = told(first, broken, 7, second)

    assert [event.key for event in result.events] == [f"COMMENT:{COMMENT}", "SHARE:urn:li:share:9"]
    assert [json.loads(e.payload)["notifications"] for e in result.events] == [[first], [second]]
    assert len(result.ignored) == 2


def test_another_sort_of_notification_earns_nothing() -> None:
    result = reading(adapter_of("linkedin"), {"type": "LEAD_ACTION", "notifications": []})

    assert result.ignored == ("LEAD_ACTION earns nothing",)


def test_the_word_before_the_body_is_signed_and_not_in_the_header() -> None:
    adapter, body = adapter_of("linkedin"), b'{"type": "x"}'
    right = digest(f"hmacsha256={body.decode()}")

    for as_sent in (right, right.upper()):
        adapter.verify(callback(body, {"X-LI-Signature": as_sent}))
    for wrong in (digest(body.decode()), f"hmacsha256={right}"):
        with pytest.raises(Forged):
            adapter.verify(callback(body, {"X-LI-Signature": wrong}))


def test_the_challenge_is_answered_with_its_digest() -> None:
    code = "890e4665-4dfe-4ab1-b689-ed553bceeed0"

    reply = adapter_of("linkedin").handshake(
        callback(method="GET", query={"challengeCode": code, "applicationId": "7"})
    )

    assert reply is not None
    assert json.loads(reply.body) == {"challengeCode": code, "challengeResponse": digest(code)}
    assert (reply.status, reply.content_type) == (200, "application/json")


@pytest.mark.parametrize(
    "code", ['hmacsha256={"type":"x"}', "hmacsha256={}", "", "a b", "a" * 256, "ü"]
)
def test_a_challenge_that_could_be_an_event_is_not_signed(code: str) -> None:
    with pytest.raises(Malformed):
        adapter_of("linkedin").handshake(callback(method="GET", query={"challengeCode": code}))


def test_what_is_no_challenge_is_no_handshake() -> None:
    adapter = adapter_of("linkedin")

    assert adapter.handshake(callback(method="GET")) is None
    assert adapter.handshake(callback(method="POST", query={"challengeCode": "x"})) is None
