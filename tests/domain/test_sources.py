"""Is it seen what is wrong with a source, and nothing else?"""

from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.sources import Expected, IssueKind, RefusalLimit, Seen, Subscription, issues
from tests.clock import START as NOW

HOUR = timedelta(hours=1)
TOPIC = "https://hub.example/topic"


def ago(**span: float) -> datetime:
    return NOW - timedelta(**span)


def kinds(seen: Seen, **expected: Any) -> list[IssueKind]:
    return [issue.kind for issue in issues(seen, Expected(**expected), NOW)]


def test_nothing_is_expected_of_a_source_that_nobody_said_anything_about() -> None:
    assert kinds(Seen()) == []
    assert kinds(Seen(event_at=ago(days=900), handshake_at=ago(days=900))) == []


@pytest.mark.parametrize(
    ("seen", "is_silent"),
    [
        (Seen(), True),
        (Seen(event_at=ago(minutes=61)), True),
        (Seen(event_at=ago(minutes=60)), False),
        (Seen(event_at=ago(days=9), callback_at=ago(minutes=1)), False),
        (Seen(event_at=ago(minutes=1), callback_at=ago(days=9)), False),
        # A handshake says that the endpoint is ours, not that anything would still be sent.
        (Seen(event_at=ago(days=9), handshake_at=NOW), True),
    ],
)
def test_a_source_is_silent_when_nothing_was_heard_for_longer_than_expected(
    seen: Seen, is_silent: bool
) -> None:
    found = kinds(seen, silent_after_seconds=3_600)

    assert found == ([IssueKind.SILENT] if is_silent else [])


@pytest.mark.parametrize(
    ("seen", "is_revoked"),
    [
        (Seen(notice_at=NOW, notice="revoked"), True),
        (Seen(notice_at=NOW, notice="revoked", handshake_at=ago(days=1)), True),
        (Seen(notice_at=ago(days=1), notice="revoked", handshake_at=NOW), False),
        # What else is subscribed goes on; only a handshake says that this one is there again.
        (Seen(notice_at=ago(days=1), handshake_at=ago(days=2), event_at=NOW), True),
        (Seen(notice_at=ago(days=1), notice="revoked", event_at=NOW), False),
        (Seen(notice_at=NOW, notice="revoked", callback_at=NOW), True),
    ],
)
def test_a_revocation_stands_until_the_endpoint_is_proved_or_heard_again(
    seen: Seen, is_revoked: bool
) -> None:
    assert kinds(seen) == ([IssueKind.REVOKED] if is_revoked else [])


@pytest.mark.parametrize(
    ("refused", "believed", "is_refusing"),
    [
        (9, 0, False),
        (10, 0, True),
        (5, 5, True),
        (5, 6, False),
        (0, 10, False),
        (500, 501, False),
        (501, 500, True),
    ],
)
def test_it_is_the_share_of_refused_callbacks_that_worries(
    refused: int, believed: int, is_refusing: bool
) -> None:
    seen = Seen(refused=refused, believed=believed, refusals_in_a_row=refused)

    found = kinds(seen, refusals=RefusalLimit(0.5, of_at_least=10, within_seconds=3_600))

    assert found == ([IssueKind.REFUSING] if is_refusing else [])


def test_refusals_are_told_with_how_many_and_the_last_reason() -> None:
    limit = RefusalLimit(0.5, of_at_least=10, within_seconds=3_600)

    [found] = issues(
        Seen(refused=9, believed=3, refusal_reason="no header"), Expected(refusals=limit), NOW
    )

    assert "9 of 12 callbacks within 1:00:00 were refused" in found.text
    assert "no header" in found.text


@pytest.mark.parametrize("refusals", [None, RefusalLimit(0, 1, 3_600)])
def test_refusals_that_nobody_minds_are_none(refusals: RefusalLimit | None) -> None:
    assert kinds(Seen(refused=99), refusals=refusals) == []


def test_a_handshake_that_should_have_come_again_is_missed() -> None:
    within = {"handshake_within_seconds": 3_600}

    assert kinds(Seen(handshake_at=ago(minutes=60)), **within) == []
    assert kinds(Seen(handshake_at=ago(minutes=61)), **within) == [IssueKind.LAPSING]
    # Before the first one nobody knows whether one is missing.
    assert kinds(Seen(), **within) == []


@pytest.mark.parametrize(
    ("subscription", "expected"),
    [
        (None, [IssueKind.LAPSED]),
        (Subscription(topic="another", granted_at=NOW, lapses_at=NOW + HOUR), [IssueKind.LAPSED]),
        (Subscription(topic=TOPIC, granted_at=None, lapses_at=None), [IssueKind.LAPSED]),
        (Subscription(topic=TOPIC, granted_at=NOW - HOUR, lapses_at=NOW), [IssueKind.LAPSED]),
        (
            Subscription(topic=TOPIC, granted_at=NOW - HOUR * 3, lapses_at=NOW + HOUR),
            [IssueKind.LAPSING],
        ),
        (Subscription(topic=TOPIC, granted_at=NOW - HOUR * 2, lapses_at=NOW + HOUR), []),
        (Subscription(topic=TOPIC, granted_at=NOW, lapses_at=NOW + HOUR), []),
    ],
)
def test_a_subscription_is_seen_to_lapse(
    subscription: Subscription | None, expected: list[IssueKind]
) -> None:
    seen = Seen(subscriptions=(subscription,) if subscription else ())

    assert kinds(seen, topics=(TOPIC,)) == expected


def test_why_a_renewal_failed_is_told() -> None:
    failed = Subscription(
        topic=TOPIC, granted_at=NOW - HOUR, lapses_at=NOW, asked_at=NOW, answer="503 from the hub"
    )

    found = issues(Seen(subscriptions=(failed,)), Expected(topics=(TOPIC,)), NOW)

    assert "503 from the hub" in found[0].text


def test_the_first_subscription_to_end_decides_when_a_source_lapses() -> None:
    subscriptions = (
        Subscription(topic="a", granted_at=NOW, lapses_at=NOW + HOUR * 2),
        Subscription(topic="b", granted_at=None, lapses_at=None),
        Subscription(topic="c", granted_at=NOW, lapses_at=NOW + HOUR),
    )

    assert Seen(subscriptions=subscriptions).lapses_at == NOW + HOUR
    assert Seen().lapses_at is None


def test_what_is_no_longer_wanted_may_lapse_unseen() -> None:
    kept, gone = (
        Subscription(topic="kept", granted_at=NOW, lapses_at=NOW + HOUR),
        Subscription(topic="gone", granted_at=NOW - HOUR, lapses_at=NOW),
    )

    seen = Seen(refusals_in_a_row=3, subscriptions=(kept, gone)).within(("kept", "new"))

    assert (seen.subscriptions, seen.lapses_at) == ((kept,), NOW + HOUR)
    assert seen.refusals_in_a_row == 3


moments = st.none() | st.integers(-10_000, 10_000).map(lambda n: NOW + timedelta(minutes=n))


@given(
    st.builds(
        Seen,
        event_at=moments,
        callback_at=moments,
        handshake_at=moments,
        notice_at=moments,
        notice=st.just("revoked"),
    ),
    st.floats(1, 1e7),
)
def test_the_gravest_is_told_first_and_everything_in_words(seen: Seen, seconds: float) -> None:
    expected = Expected(
        silent_after_seconds=seconds, handshake_within_seconds=seconds, topics=(TOPIC,)
    )

    found = issues(seen, expected, NOW)

    order = [list(IssueKind).index(issue.kind) for issue in found]
    assert order == sorted(order)
    assert all(issue.text for issue in found)
