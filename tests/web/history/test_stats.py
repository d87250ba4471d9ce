"""Are attempts counted right?"""

from datetime import timedelta
from typing import Any

import pytest

from app.domain.attempts import State
from tests.conftest import on_sqlite
from tests.web.history.conftest import NOW, Caller, Clock, Past
from tests.web.history.test_attempts import problem


def test_counts_are_per_day_and_split_by_state_challenge_and_source(
    viewer: Caller, past: Past
) -> None:
    past.attempts(2, created_at=NOW - timedelta(days=1))
    past.attempt(State.DEAD, challenge_id=7, source=None, created_at=NOW)
    past.attempt(created_at=NOW)

    stats: Any = viewer.get("/v1/stats").json

    plain = {"state": "due", "challengeId": 11664, "source": "twitch"}
    today, yesterday = "2026-11-23T00:00:00.000000Z", "2026-11-22T00:00:00.000000Z"
    dead = {"at": today, "state": "dead", "challengeId": 7, "source": None, "count": 1}
    assert stats["per"] == "day"
    assert stats["items"] == [
        {"at": yesterday, **plain, "count": 2},
        dead,
        {"at": today, **plain, "count": 1},
    ]


def test_counts_are_split_only_by_what_is_asked(viewer: Caller, past: Past) -> None:
    past.attempts(2, created_at=NOW)
    past.attempt(State.DEAD, challenge_id=7, created_at=NOW)

    by_state: Any = viewer.get("/v1/stats", by="state").json
    by_source: Any = viewer.get("/v1/stats", by="source,source").json
    repeated: Any = viewer.get("/v1/stats?by=source&by=state").json
    counted: Any = viewer.get("/v1/stats", by="state,source").json

    plain = {
        "at": "2026-11-23T00:00:00.000000Z",
        "state": None,
        "challengeId": None,
        "source": None,
    }
    assert by_state["items"] == [
        {**plain, "state": "dead", "count": 1},
        {**plain, "state": "due", "count": 2},
    ]
    assert by_source["items"] == [{**plain, "source": "twitch", "count": 3}]
    assert repeated["items"] == counted["items"] != by_state["items"]


def test_hours_and_days_are_those_of_utc_and_the_end_is_left_out(
    viewer: Caller, past: Past
) -> None:
    minute = timedelta(minutes=1)
    midnight = NOW.replace(hour=0)
    for at in (midnight - minute, midnight, midnight + minute, NOW):
        past.attempt(created_at=at)

    query = {
        "by": "state",
        "from": "2026-11-22T23:59:00.000000Z",
        "to": "2026-11-23T14:00:00+02:00",
    }
    hours: Any = viewer.get("/v1/stats", per="hour", **query).json
    days: Any = viewer.get("/v1/stats", per="day", **query).json

    assert points(hours) == [("2026-11-22T23:00:00.000000Z", 1), ("2026-11-23T00:00:00.000000Z", 2)]
    assert points(days) == [("2026-11-22T00:00:00.000000Z", 1), ("2026-11-23T00:00:00.000000Z", 2)]
    assert hours["from"] == "2026-11-22T23:59:00.000000Z"
    assert hours["to"] == "2026-11-23T12:00:00.000000Z"


def points(stats: Any) -> list[tuple[str, int]]:
    return [(item["at"], item["count"]) for item in stats["items"]]


@pytest.mark.parametrize(
    ("per", "span"), [("day", timedelta(days=30)), ("hour", timedelta(days=2))]
)
def test_the_usual_span_ends_now(
    viewer: Caller, past: Past, clock: Clock, per: str, span: timedelta
) -> None:
    past.attempt(created_at=clock.at - span - timedelta(hours=1))
    past.attempt(created_at=clock.at - span + timedelta(hours=1))

    stats: Any = viewer.get("/v1/stats", per=per).json

    assert sum(item["count"] for item in stats["items"]) == 1


@on_sqlite
@pytest.mark.parametrize(
    "query",
    [
        {"per": "minute"},
        {"by": "customer"},
        {"by": ""},
        {"from": "2026-11-23", "to": "2026-11-23"},
        {"from": "2026-11-24", "to": "2026-11-23"},
        {"from": "2027-01-01"},
        {"from": "2010-01-01"},
        {"per": "hour", "from": "2026-01-01"},
        {"from": "soon"},
        {"sum": "all"},
    ],
)
def test_a_span_or_split_that_cannot_be_is_refused(viewer: Caller, query: dict[str, str]) -> None:
    assert problem(viewer.get("/v1/stats", **query)) == (400, "invalid")
