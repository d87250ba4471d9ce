"""Does an action earn what the rules say, and once per occurrence?"""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.events import Event
from app.domain.evidence import Evidence
from app.domain.rules import (
    MAX_OCCURRENCE,
    ClaimHints,
    Repeat,
    Rule,
    earned_by,
    occurrence,
    rule_for_claim,
)
from tests.moments import MOMENTS

NOON = datetime(2026, 1, 5, 12, tzinfo=UTC)


def an_event(**changes: object) -> Event:
    values: dict[str, object] = {
        "source": "twitch-eu",
        "key": "m1",
        "platform": "twitch",
        "action": "follow",
        "actor": "99",
        "occurred_at": NOON,
        "received_at": NOON,
        "payload": b"{}",
        "target": "1337",
        **changes,
    }
    return Event(**values)  # type: ignore[arg-type]


FOLLOW = Rule(challenge_id=1, platform="twitch", action="follow")


@pytest.mark.parametrize(
    ("rule", "event", "matches"),
    [
        (FOLLOW, an_event(), True),
        (FOLLOW, an_event(action="like"), False),
        (FOLLOW, an_event(platform="youtube"), False),
        (FOLLOW, an_event(target=None), True),
        (Rule(1, "twitch", "follow", source="twitch-eu"), an_event(), True),
        (Rule(1, "twitch", "follow", source="twitch-us"), an_event(), False),
        (Rule(1, "twitch", "follow", target="1337"), an_event(), True),
        (Rule(1, "twitch", "follow", target="1338"), an_event(), False),
        (Rule(1, "twitch", "follow", target="1337"), an_event(target=None), False),
        # The platform is whose accounts they are, not which adapter read them.
        (Rule(1, "partner", "follow", source="twitch-eu"), an_event(), False),
    ],
)
def test_a_rule_matches_its_action_source_and_target(
    rule: Rule, event: Event, matches: bool
) -> None:
    assert rule.matches(event) is matches


def test_one_event_earns_every_challenge_that_has_a_rule_for_it() -> None:
    rules = (FOLLOW, Rule(2, "twitch", "follow"), Rule(3, "twitch", "like"))

    assert [rule.challenge_id for rule in earned_by(an_event(), rules)] == [1, 2]


def test_the_first_rule_in_the_file_wins_for_each_challenge() -> None:
    strict = Rule(1, "twitch", "follow", target="1337", hold_seconds=60)
    rules = (strict, FOLLOW, Rule(1, "twitch", "follow", hold_seconds=5))

    assert earned_by(an_event(), rules) == [strict]
    assert earned_by(an_event(target="other"), rules) == [FOLLOW]


CLAIMABLE = Rule(1, "instagram", "follow", evidence=Evidence.CLAIMED)


@pytest.mark.parametrize(
    ("hints", "rules", "chosen"),
    [
        pytest.param(ClaimHints(), (), None, id="no rule"),
        pytest.param(ClaimHints(), (Rule(2, "instagram", "follow"),), None, id="another challenge"),
        pytest.param(ClaimHints(), (FOLLOW, CLAIMABLE), CLAIMABLE, id="believes claims"),
        pytest.param(ClaimHints(), (FOLLOW, Rule(1, "x", "post")), FOLLOW, id="first that fits"),
        pytest.param(ClaimHints("twitch"), (CLAIMABLE, FOLLOW), FOLLOW, id="by platform"),
        pytest.param(ClaimHints(action="post"), (FOLLOW, CLAIMABLE), None, id="by action"),
        pytest.param(
            ClaimHints(target="b"),
            (Rule(1, "x", "post", target="a"), Rule(1, "x", "post", target="b")),
            Rule(1, "x", "post", target="b"),
            id="by target",
        ),
        pytest.param(ClaimHints(target="any"), (FOLLOW,), FOLLOW, id="a rule without a target"),
        pytest.param(
            ClaimHints(),
            (Rule(1, "x", "post", evidence=Evidence.CHECKED), FOLLOW),
            Rule(1, "x", "post", evidence=Evidence.CHECKED),
            id="a check does not believe claims",
        ),
    ],
)
def test_a_claim_is_made_under_the_rule_that_fits_it(
    hints: ClaimHints, rules: tuple[Rule, ...], chosen: Rule | None
) -> None:
    assert rule_for_claim(1, hints, rules) == chosen


TOKYO = timezone(timedelta(hours=9))
HONOLULU = timezone(timedelta(hours=-10))


@pytest.mark.parametrize(
    ("repeat", "at", "name"),
    [
        (Repeat.ONCE, NOON, "once"),
        (Repeat.PER_TARGET, NOON, "target:1337"),
        (Repeat.EVERY_EVENT, NOON, "event:twitch:m1"),
        (Repeat.PER_DAY, NOON, "day:2026-01-05"),
        (Repeat.PER_DAY, datetime(2026, 1, 5, 23, 59, 59, 999_999, tzinfo=UTC), "day:2026-01-05"),
        (Repeat.PER_DAY, datetime(2026, 1, 6, tzinfo=UTC), "day:2026-01-06"),
        # Tokyo's morning is still UTC's evening before; Honolulu's evening is UTC's next morning.
        (Repeat.PER_DAY, datetime(2026, 1, 6, 8, tzinfo=TOKYO), "day:2026-01-05"),
        (Repeat.PER_DAY, datetime(2026, 1, 5, 20, tzinfo=HONOLULU), "day:2026-01-06"),
        (Repeat.PER_WEEK, NOON, "week:2026-W02"),
        # ISO weeks begin on Monday and belong to the year of their Thursday.
        (Repeat.PER_WEEK, datetime(2026, 1, 4, 23, 59, tzinfo=UTC), "week:2026-W01"),
        (Repeat.PER_WEEK, datetime(2024, 12, 30, tzinfo=UTC), "week:2025-W01"),
        (Repeat.PER_WEEK, datetime(2024, 12, 29, tzinfo=UTC), "week:2024-W52"),
        (Repeat.PER_WEEK, datetime(2027, 1, 3, tzinfo=UTC), "week:2026-W53"),
        (Repeat.PER_WEEK, datetime(2027, 1, 4, 5, tzinfo=TOKYO), "week:2026-W53"),
        (Repeat.PER_MONTH, NOON, "month:2026-01"),
        (Repeat.PER_MONTH, datetime(2026, 1, 1, 5, tzinfo=TOKYO), "month:2025-12"),
        (Repeat.PER_MONTH, datetime(2026, 12, 31, 23, tzinfo=UTC), "month:2026-12"),
    ],
)
def test_an_occurrence_is_named_by_its_repeat_in_utc(
    repeat: Repeat, at: datetime, name: str
) -> None:
    assert occurrence(repeat, target="1337", at=at, key="twitch:m1") == name


def test_an_action_without_a_target_has_one_occurrence_per_target() -> None:
    assert occurrence(Repeat.PER_TARGET, target=None, at=NOON, key="k") == "target:"


@given(st.sampled_from(list(Repeat)), MOMENTS, st.text(max_size=255), st.text(max_size=320))
def test_an_occurrence_fits_the_ledger_whatever_the_event(
    repeat: Repeat, at: datetime, target: str, key: str
) -> None:
    name = occurrence(repeat, target=target, at=at, key=key)

    assert 0 < len(name) <= MAX_OCCURRENCE


@given(MOMENTS, st.sampled_from([Repeat.PER_DAY, Repeat.PER_WEEK, Repeat.PER_MONTH]))
def test_the_same_instant_is_the_same_occurrence_in_every_zone(
    at: datetime, repeat: Repeat
) -> None:
    names = {
        occurrence(repeat, target=None, at=moment, key="k")
        for moment in (at, at.astimezone(UTC), at.astimezone(TOKYO), at.astimezone(HONOLULU))
    }

    assert len(names) == 1


def test_two_long_keys_that_differ_at_their_end_are_two_occurrences() -> None:
    keys = ["s" * 64 + ":" + "k" * 254 + last for last in "ab"]

    names = {occurrence(Repeat.EVERY_EVENT, target=None, at=NOON, key=key) for key in keys}

    assert len(names) == 2
