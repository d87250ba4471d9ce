"""What is wrong enough to wake somebody?"""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.alerts import (
    MEASURED,
    OF_ISSUES,
    AlertKind,
    Judgement,
    Limits,
    Situation,
    judge,
    wrong,
)
from app.domain.attempts import State
from app.domain.sources import IssueKind, SourceIssue
from tests.clock import START

LIMITS = Limits(
    within_seconds=1_800,
    dead_share=0.25,
    dead_of_at_least=8,
    backlog_seconds=900,
    granted_share=0.5,
    granted_of_at_least=20,
)
OFF = Limits(
    within_seconds=1_800,
    dead_share=0,
    dead_of_at_least=1,
    backlog_seconds=0,
    granted_share=0,
    granted_of_at_least=1,
)


def kinds(limits: Limits = LIMITS, **situation: Any) -> list[AlertKind]:
    return [kind for kind, _ in wrong(Situation(**situation), limits, START)]


def told(**situation: Any) -> str:
    [text] = wrong(Situation(**situation), LIMITS, START).values()
    return text


def test_nothing_is_wrong_while_all_is_well() -> None:
    assert kinds() == []


@pytest.mark.parametrize(
    ("reason", "kind"),
    [
        ("blocked 401 1001 Invalid API key", AlertKind.CREDENTIALS_REFUSED),
        ("blocked 401", AlertKind.CREDENTIALS_REFUSED),
        ("blocked 403 8000 The plan", AlertKind.CREDENTIALS_REFUSED),
        ("blocked 400 1006 x", AlertKind.CREDENTIALS_REFUSED),
        ("blocked 422 6000 Program is off", AlertKind.FORWARDING_PAUSED),
        ("blocked 400 8000 upgrade", AlertKind.FORWARDING_PAUSED),
        ("program_disabled 202 program is disabled", AlertKind.FORWARDING_PAUSED),
        ("", AlertKind.FORWARDING_PAUSED),
        (None, AlertKind.FORWARDING_PAUSED),
    ],
)
def test_one_pause_is_one_alert_the_more_telling_one(reason: str | None, kind: AlertKind) -> None:
    assert kinds(paused_at=START, pause_reason=reason) == [kind]


def test_a_pause_says_why_without_what_gameball_said_of_anybody() -> None:
    text = told(paused_at=START, pause_reason="blocked 422 6000 customer ann 77 is blocked")

    assert "blocked 422 6000" in text
    assert "2026-01-05 12:00 UTC" in text
    assert "ann" not in text
    assert "77" not in text


@pytest.mark.parametrize(
    ("dead", "others", "raised"),
    [(1, 7, False), (2, 6, True), (7, 0, False), (8, 0, True), (99, 300, False), (100, 300, True)],
)
def test_it_is_the_share_of_attempts_that_die_which_wakes(
    dead: int, others: int, raised: bool
) -> None:
    ended = {State.DEAD: dead, State.GRANTED: others}

    assert kinds(ended=ended) == [AlertKind.ATTEMPTS_DEAD] * raised


def test_a_share_says_of_how_many_and_within_what_time() -> None:
    dead = told(ended={State.DEAD: 3, State.GRANTED: 9})
    granted = told(ended={State.GRANTED: 9, State.NOT_GRANTED: 11})

    assert "3 of 12 attempts that ended within 0:30:00 died" in dead
    assert "9 of 20 accepted attempts were granted within 0:30:00" in granted


@pytest.mark.parametrize(("seconds", "raised"), [(900, False), (901, True)])
def test_a_backlog_is_as_old_as_its_oldest(seconds: int, raised: bool) -> None:
    since = START - timedelta(seconds=seconds)

    assert kinds(oldest_due_at=since) == [AlertKind.BACKLOG] * raised


@pytest.mark.parametrize(
    ("ended", "raised"),
    [
        ({State.GRANTED: 10, State.NOT_GRANTED: 10}, False),
        ({State.GRANTED: 9, State.NOT_GRANTED: 11}, True),
        ({State.GRANTED: 9, State.UNCONFIRMED: 11}, True),
        ({State.NOT_GRANTED: 19}, False),
        ({State.NOT_GRANTED: 20}, True),
        ({State.GRANTED: 20, State.DEAD: 6}, False),
        ({}, False),
    ],
)
def test_few_rewards_of_many_are_wrong(ended: dict[State, int], raised: bool) -> None:
    assert kinds(ended=ended) == [AlertKind.CONFIRMATION_FALLING] * raised


def test_a_limit_of_zero_wakes_nobody() -> None:
    old = START - timedelta(days=9)

    assert kinds(OFF, oldest_due_at=old, ended={State.DEAD: 99, State.NOT_GRANTED: 99}) == []


def test_every_issue_of_a_source_is_an_alert() -> None:
    assert set(OF_ISSUES) == set(IssueKind)


@pytest.mark.parametrize("kind", IssueKind)
def test_a_source_that_ails_is_named(kind: IssueKind) -> None:
    found = wrong(
        Situation(issues={"twitch": [SourceIssue(kind, "it hurts")], "x": []}), LIMITS, START
    )

    assert found == {(OF_ISSUES[kind], "twitch"): "source twitch: it hurts"}


def test_two_issues_of_one_kind_are_one_alert_of_the_graver() -> None:
    found = [SourceIssue(IssueKind.REVOKED, "graver"), SourceIssue(IssueKind.LAPSED, "lesser")]

    assert told(issues={"x": found}) == "source x: graver"


@given(st.text())
def test_whatever_was_written_down_as_the_reason_can_be_told(reason: str) -> None:
    [(kind, _)] = wrong(Situation(paused_at=START, pause_reason=reason), LIMITS, START)

    assert kind in (AlertKind.FORWARDING_PAUSED, AlertKind.CREDENTIALS_REFUSED)


# An alert that was raised.


def is_over(
    kind: AlertKind, after_seconds: float = 3_600, limits: Limits = LIMITS, **situation: Any
) -> bool:
    judgement = judge(Situation(**situation), limits, START)
    return judgement.is_over(kind, "", START - timedelta(seconds=after_seconds), START)


@pytest.mark.parametrize(
    ("dead", "granted", "over"),
    [(2, 6, False), (2, 12, False), (2, 15, True), (1, 0, False), (0, 1, True), (0, 0, True)],
)
def test_an_alert_of_dead_attempts_is_over_at_half_of_the_share(
    dead: int, granted: int, over: bool
) -> None:
    ended = {State.DEAD: dead, State.GRANTED: granted}

    assert is_over(AlertKind.ATTEMPTS_DEAD, ended=ended) is over


@pytest.mark.parametrize(
    ("granted", "not_granted", "over"),
    [(9, 11, False), (10, 10, False), (14, 6, False), (15, 5, True), (0, 1, False), (0, 0, True)],
)
def test_an_alert_of_few_rewards_is_over_when_half_as_many_are_missing(
    granted: int, not_granted: int, over: bool
) -> None:
    ended = {State.GRANTED: granted, State.NOT_GRANTED: not_granted}

    assert is_over(AlertKind.CONFIRMATION_FALLING, ended=ended) is over


@pytest.mark.parametrize(
    ("seconds", "over"), [(901, False), (899, False), (451, False), (449, True)]
)
def test_an_alert_of_a_backlog_is_over_at_half_of_its_age(seconds: float, over: bool) -> None:
    assert is_over(AlertKind.BACKLOG, oldest_due_at=START - timedelta(seconds=seconds)) is over


@pytest.mark.parametrize("kind", sorted(MEASURED))
def test_no_alert_by_a_number_is_over_sooner_than_its_least_time(kind: AlertKind) -> None:
    limits = replace(LIMITS, lasts_seconds=300)

    assert not is_over(kind, 299, limits)
    assert is_over(kind, 300, limits)


@pytest.mark.parametrize("kind", sorted(set(AlertKind) - MEASURED))
def test_what_is_either_so_or_not_is_over_at_once(kind: AlertKind) -> None:
    assert is_over(kind, 0, replace(LIMITS, lasts_seconds=300))


def test_what_is_wrong_is_not_over() -> None:
    wrong_now = Judgement({(kind, ""): "wrong" for kind in AlertKind})

    assert not any(wrong_now.is_over(kind, "", START, START) for kind in AlertKind)


@pytest.mark.parametrize(
    "kind", [AlertKind.ATTEMPTS_DEAD, AlertKind.BACKLOG, AlertKind.CONFIRMATION_FALLING]
)
def test_an_alert_is_over_when_its_limit_is_switched_off(kind: AlertKind) -> None:
    ended = {State.DEAD: 99, State.NOT_GRANTED: 99}
    old = START - timedelta(days=9)

    assert is_over(kind, limits=OFF, ended=ended, oldest_due_at=old)
