"""What is wrong enough to wake somebody?"""

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.alerts import OF_AILMENTS, Kind, Limits, Situation, wrong
from app.domain.attempts import State
from app.domain.sources import Ailment, Trouble
from tests.clock import START

LIMITS = Limits(
    within_seconds=1_800,
    dead_share=0.25,
    dead_of_at_least=8,
    backlog_seconds=900,
    granted_share=0.5,
    granted_of_at_least=20,
)
OFF = Limits(1_800, 0, 1, 0, 0, 1)


def kinds(limits: Limits = LIMITS, **situation: Any) -> list[Kind]:
    return [kind for kind, _ in wrong(Situation(**situation), limits, START)]


def told(**situation: Any) -> str:
    [text] = wrong(Situation(**situation), LIMITS, START).values()
    return text


def test_nothing_is_wrong_while_all_is_well() -> None:
    assert kinds() == []


@pytest.mark.parametrize(
    ("reason", "kind"),
    [
        ("blocked 401 1001 Invalid API key", Kind.CREDENTIALS_REFUSED),
        ("blocked 401", Kind.CREDENTIALS_REFUSED),
        ("blocked 403 8000 The plan", Kind.CREDENTIALS_REFUSED),
        ("blocked 400 1006 x", Kind.CREDENTIALS_REFUSED),
        ("blocked 422 6000 Program is off", Kind.FORWARDING_PAUSED),
        ("blocked 400 8000 upgrade", Kind.FORWARDING_PAUSED),
        ("program_disabled 202 program is disabled", Kind.FORWARDING_PAUSED),
        ("", Kind.FORWARDING_PAUSED),
        (None, Kind.FORWARDING_PAUSED),
    ],
)
def test_one_pause_is_one_alert_the_more_telling_one(reason: str | None, kind: Kind) -> None:
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

    assert kinds(ended=ended) == [Kind.ATTEMPTS_DEAD] * raised


def test_a_share_says_of_how_many_and_within_what_time() -> None:
    dead = told(ended={State.DEAD: 3, State.GRANTED: 9})
    granted = told(ended={State.GRANTED: 9, State.NOT_GRANTED: 11})

    assert "3 of 12 attempts that ended within 0:30:00 died" in dead
    assert "9 of 20 accepted attempts were granted within 0:30:00" in granted


@pytest.mark.parametrize(("seconds", "raised"), [(900, False), (901, True)])
def test_a_backlog_is_as_old_as_its_oldest(seconds: int, raised: bool) -> None:
    since = START - timedelta(seconds=seconds)

    assert kinds(oldest_due_at=since) == [Kind.BACKLOG] * raised


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
    assert kinds(ended=ended) == [Kind.CONFIRMATION_FALLING] * raised


def test_a_limit_of_zero_wakes_nobody() -> None:
    old = START - timedelta(days=9)

    assert kinds(OFF, oldest_due_at=old, ended={State.DEAD: 99, State.NOT_GRANTED: 99}) == []


def test_every_ailment_of_a_source_is_an_alert() -> None:
    assert set(OF_AILMENTS) == set(Ailment)


@pytest.mark.parametrize("ailment", Ailment)
def test_a_source_that_ails_is_named(ailment: Ailment) -> None:
    found = wrong(
        Situation(troubles={"twitch": [Trouble(ailment, "it hurts")], "x": []}), LIMITS, START
    )

    assert found == {(OF_AILMENTS[ailment], "twitch"): "source twitch: it hurts"}


def test_two_ailments_of_one_kind_are_one_alert_of_the_graver() -> None:
    troubles = [Trouble(Ailment.REVOKED, "graver"), Trouble(Ailment.LAPSED, "lesser")]

    assert told(troubles={"x": troubles}) == "source x: graver"


@given(st.text())
def test_whatever_was_written_down_as_the_reason_can_be_told(reason: str) -> None:
    [(kind, _)] = wrong(Situation(paused_at=START, pause_reason=reason), LIMITS, START)

    assert kind in (Kind.FORWARDING_PAUSED, Kind.CREDENTIALS_REFUSED)
