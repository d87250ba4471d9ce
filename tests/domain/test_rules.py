"""Does an action earn what the rules say, and once per occurrence?"""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta, timezone, tzinfo
from zoneinfo import ZoneInfo

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
    may_have_begun_by,
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
        (
            Rule(challenge_id=1, platform="twitch", action="follow", source="twitch-eu"),
            an_event(),
            True,
        ),
        (
            Rule(challenge_id=1, platform="twitch", action="follow", source="twitch-us"),
            an_event(),
            False,
        ),
        (Rule(challenge_id=1, platform="twitch", action="follow", target="1337"), an_event(), True),
        (
            Rule(challenge_id=1, platform="twitch", action="follow", target="1338"),
            an_event(),
            False,
        ),
        (
            Rule(challenge_id=1, platform="twitch", action="follow", target="1337"),
            an_event(target=None),
            False,
        ),
        # The platform is whose accounts they are, not which adapter read them.
        (
            Rule(challenge_id=1, platform="partner", action="follow", source="twitch-eu"),
            an_event(),
            False,
        ),
    ],
)
def test_a_rule_matches_its_action_source_and_target(
    rule: Rule, event: Event, matches: bool
) -> None:
    assert rule.matches(event) is matches


def test_one_event_earns_every_challenge_that_has_a_rule_for_it() -> None:
    rules = (
        FOLLOW,
        Rule(challenge_id=2, platform="twitch", action="follow"),
        Rule(challenge_id=3, platform="twitch", action="like"),
    )

    assert [rule.challenge_id for rule in earned_by(an_event(), rules)] == [1, 2]


def test_the_first_rule_in_the_file_wins_for_each_challenge() -> None:
    strict = Rule(
        challenge_id=1, platform="twitch", action="follow", target="1337", hold_seconds=60
    )
    rules = (
        strict,
        FOLLOW,
        Rule(challenge_id=1, platform="twitch", action="follow", hold_seconds=5),
    )

    assert earned_by(an_event(), rules) == [strict]
    assert earned_by(an_event(target="other"), rules) == [FOLLOW]


CLAIMABLE = Rule(challenge_id=1, platform="instagram", action="follow", evidence=Evidence.CLAIMED)


@pytest.mark.parametrize(
    ("hints", "rules", "chosen"),
    [
        pytest.param(ClaimHints(), (), None, id="no rule"),
        pytest.param(
            ClaimHints(),
            (Rule(challenge_id=2, platform="instagram", action="follow"),),
            None,
            id="another challenge",
        ),
        pytest.param(ClaimHints(), (FOLLOW, CLAIMABLE), CLAIMABLE, id="believes claims"),
        pytest.param(
            ClaimHints(),
            (FOLLOW, Rule(challenge_id=1, platform="x", action="post")),
            FOLLOW,
            id="first that fits",
        ),
        pytest.param(ClaimHints("twitch"), (CLAIMABLE, FOLLOW), FOLLOW, id="by platform"),
        pytest.param(ClaimHints(action="post"), (FOLLOW, CLAIMABLE), None, id="by action"),
        pytest.param(
            ClaimHints(target="b"),
            (
                Rule(challenge_id=1, platform="x", action="post", target="a"),
                Rule(challenge_id=1, platform="x", action="post", target="b"),
            ),
            Rule(challenge_id=1, platform="x", action="post", target="b"),
            id="by target",
        ),
        pytest.param(ClaimHints(target="any"), (FOLLOW,), FOLLOW, id="a rule without a target"),
        pytest.param(
            ClaimHints(),
            (Rule(challenge_id=1, platform="x", action="post", evidence=Evidence.CHECKED), FOLLOW),
            Rule(challenge_id=1, platform="x", action="post", evidence=Evidence.CHECKED),
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


# The zone of the rules.

BERLIN = ZoneInfo("Europe/Berlin")
NEW_YORK = ZoneInfo("America/New_York")
SAMOA = ZoneInfo("Pacific/Apia")
ZONES = [UTC, BERLIN, NEW_YORK, SAMOA, ZoneInfo("Australia/Lord_Howe"), TOKYO, HONOLULU]
FIRST = datetime(1, 1, 1, tzinfo=UTC)
LAST = datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)
CALENDAR = [Repeat.PER_DAY, Repeat.PER_WEEK, Repeat.PER_MONTH]
# Around a time at which summer time begins or ends in one of the zones, to the second.
DAYLIGHT_SAVING = st.builds(
    lambda day, seconds: (
        datetime(day.year, day.month, day.day, tzinfo=UTC) + timedelta(seconds=seconds)
    ),
    st.sampled_from([date(2026, 3, 8), date(2026, 3, 29), date(2026, 10, 25), date(2026, 11, 1)]),
    st.integers(-93_600, 93_600),
)


def in_zone(repeat: Repeat, zone: tzinfo) -> Rule:
    return replace(FOLLOW, repeat=repeat, time_zone=zone)


@pytest.mark.parametrize(
    ("repeat", "zone", "at", "name"),
    [
        # Winter: UTC+1. Summer: UTC+2.
        (Repeat.PER_DAY, BERLIN, datetime(2026, 1, 5, 22, 59, tzinfo=UTC), "day:2026-01-05"),
        (Repeat.PER_DAY, BERLIN, datetime(2026, 1, 5, 23, 0, tzinfo=UTC), "day:2026-01-06"),
        (Repeat.PER_DAY, BERLIN, datetime(2026, 7, 5, 21, 59, tzinfo=UTC), "day:2026-07-05"),
        (Repeat.PER_DAY, BERLIN, datetime(2026, 7, 5, 22, 0, tzinfo=UTC), "day:2026-07-06"),
        # The day on which summer time begins has 23 hours, the one on which it ends has 25.
        (Repeat.PER_DAY, BERLIN, datetime(2026, 3, 28, 23, 0, tzinfo=UTC), "day:2026-03-29"),
        (Repeat.PER_DAY, BERLIN, datetime(2026, 3, 29, 21, 59, tzinfo=UTC), "day:2026-03-29"),
        (Repeat.PER_DAY, BERLIN, datetime(2026, 3, 29, 22, 0, tzinfo=UTC), "day:2026-03-30"),
        (Repeat.PER_DAY, BERLIN, datetime(2026, 10, 24, 22, 0, tzinfo=UTC), "day:2026-10-25"),
        (Repeat.PER_DAY, BERLIN, datetime(2026, 10, 25, 22, 59, tzinfo=UTC), "day:2026-10-25"),
        (Repeat.PER_DAY, BERLIN, datetime(2026, 10, 25, 23, 0, tzinfo=UTC), "day:2026-10-26"),
        (Repeat.PER_DAY, NEW_YORK, datetime(2026, 1, 6, 4, 59, tzinfo=UTC), "day:2026-01-05"),
        (Repeat.PER_WEEK, BERLIN, datetime(2026, 1, 4, 23, 0, tzinfo=UTC), "week:2026-W02"),
        (Repeat.PER_WEEK, NEW_YORK, datetime(2026, 1, 5, 4, 59, tzinfo=UTC), "week:2026-W01"),
        (Repeat.PER_MONTH, BERLIN, datetime(2025, 12, 31, 23, 0, tzinfo=UTC), "month:2026-01"),
        # Samoa left out the 30th of December 2011.
        (Repeat.PER_DAY, SAMOA, datetime(2011, 12, 30, 9, 59, tzinfo=UTC), "day:2011-12-29"),
        (Repeat.PER_DAY, SAMOA, datetime(2011, 12, 30, 10, 0, tzinfo=UTC), "day:2011-12-31"),
    ],
)
def test_a_day_a_week_and_a_month_are_those_of_the_rules_zone(
    repeat: Repeat, zone: tzinfo, at: datetime, name: str
) -> None:
    assert in_zone(repeat, zone).occurrence_of(an_event(occurred_at=at, received_at=at)) == name


@given(DAYLIGHT_SAVING, st.sampled_from(ZONES))
def test_a_day_is_the_date_on_the_zones_own_calendar(at: datetime, zone: tzinfo) -> None:
    name = in_zone(Repeat.PER_DAY, zone).occurrence_of(an_event(occurred_at=at, received_at=at))

    assert name == f"day:{at.astimezone(zone):%Y-%m-%d}"


@given(DAYLIGHT_SAVING, st.integers(0, 86_400), st.sampled_from(ZONES), st.sampled_from(CALENDAR))
def test_time_goes_through_the_occurrences_in_their_order(
    at: datetime, seconds: int, zone: tzinfo, repeat: Repeat
) -> None:
    rule, later = in_zone(repeat, zone), at + timedelta(seconds=seconds)

    first, second = (
        rule.occurrence_of(an_event(occurred_at=one, received_at=one)) for one in (at, later)
    )

    assert first <= second


@given(MOMENTS, MOMENTS, st.sampled_from(ZONES), st.sampled_from(CALENDAR))
def test_no_time_after_the_receipt_is_believed(
    occurred_at: datetime, received_at: datetime, zone: tzinfo, repeat: Repeat
) -> None:
    rule = in_zone(repeat, zone)
    event = an_event(occurred_at=occurred_at, received_at=received_at)

    believed_at = min(occurred_at, received_at)

    assert rule.occurrence_of(event) == rule.occurrence_of(replace(event, occurred_at=believed_at))


@pytest.mark.parametrize("zone", ZONES, ids=str)
@pytest.mark.parametrize("repeat", CALENDAR)
@pytest.mark.parametrize("at", [FIRST, LAST], ids=["first", "last"])
def test_the_ends_of_the_calendar_have_an_occurrence(
    at: datetime, repeat: Repeat, zone: tzinfo
) -> None:
    moment = at.replace(tzinfo=UTC)

    assert (
        in_zone(repeat, zone)
        .occurrence_of(an_event(occurred_at=moment, received_at=moment))
        .startswith(repeat.removeprefix("per_"))
    )


# Sources of one platform.

BOTH = replace(FOLLOW, repeat=Repeat.EVERY_EVENT, sources=frozenset({"twitch-eu", "twitch-us"}))


def test_one_event_through_two_sources_is_one_occurrence() -> None:
    names = {BOTH.occurrence_of(an_event(source=source)) for source in sorted(BOTH.sources)}

    assert len(names) == 1


def test_an_event_of_a_source_that_numbers_apart_is_its_own() -> None:
    rule = replace(BOTH, sources=frozenset())

    assert rule.occurrence_of(an_event()) == "event:twitch-eu:m1"
    assert rule.other_occurrences_of(an_event()) == ()


def test_an_earlier_version_named_the_occurrence_after_the_other_source() -> None:
    assert BOTH.other_occurrences_of(an_event()) == ("event:twitch-us:m1",)
    assert replace(BOTH, repeat=Repeat.ONCE).other_occurrences_of(an_event()) == ()


@given(
    st.sampled_from(CALENDAR),
    st.sampled_from(ZONES),
    st.datetimes(datetime(1, 1, 3), datetime(9999, 12, 1), timezones=st.just(UTC)),  # noqa: DTZ001
)
def test_what_was_earned_had_begun_by_then(repeat: Repeat, zone: tzinfo, at: datetime) -> None:
    assert may_have_begun_by(occurrence(repeat, target=None, at=at, key="k", time_zone=zone), at)


@pytest.mark.parametrize("name", ["day:2026-01-07", "week:2026-W03", "month:2026-02"])
def test_what_begins_later_had_not_begun(name: str) -> None:
    assert not may_have_begun_by(name, NOON)


@pytest.mark.parametrize("name", ["once", "target:1", "event:a:1", "digest:ab"])
def test_what_has_no_date_may_have_begun_at_any_time(name: str) -> None:
    assert may_have_begun_by(name, NOON)
