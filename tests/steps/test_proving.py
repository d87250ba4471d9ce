"""Is one action, claimed by a customer and told by the platform, one award?"""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import Connection
from sqlalchemy.event import listen, remove

from app.domain.answers import Outcome
from app.domain.attempts import State
from app.domain.evidence import Evidence
from app.domain.rules import Repeat, Rule
from app.steps.proving import ONE_ACTION_WITHIN, unproven_claims
from tests.steps.world import FOLLOW, World, believed

REPEATS = list(Repeat)
EVERY = replace(FOLLOW, repeat=Repeat.EVERY_EVENT)
HELD = replace(EVERY, hold_seconds=3_600)
TWO_SOURCES = replace(EVERY, sources=frozenset({"twitch", "twitch-2"}))
A_DAY = timedelta(days=1)


def repeating(repeat: Repeat) -> Rule:
    return believed(replace(FOLLOW, repeat=repeat))


def tell(world: World, rule: Rule, **changes: Any) -> tuple[State, ...]:
    """A new event, and what became of it."""
    [receipt] = world.receive(world.event(**changes), rules=(rule,))
    return receipt.states


def another_occurrence(world: World) -> None:
    """So much later that it is another day, week and month."""
    world.clock.advance(timedelta(days=40).total_seconds())


# Claimed, then told.


@pytest.mark.parametrize("target", [None, "1337"], ids=["any-target", "target"])
@pytest.mark.parametrize("repeat", REPEATS)
def test_claimed_and_then_told_is_one_award(
    world: World, repeat: Repeat, target: str | None
) -> None:
    rule = repeating(repeat)
    world.link()
    claimed, _ = world.claim(rule, target=target)

    assert tell(world, rule) == (State.DUE,)

    assert world.ids() == [claimed]
    attempt, [event] = world.attempt(claimed), world.stored_events()
    assert (attempt.evidence, attempt.event_id) == (Evidence.SIGNED, event.id)
    assert (attempt.account_id, attempt.target, attempt.source) == ("99", "1337", "twitch")
    assert world.last_change(claimed).caused_by == "source:twitch"
    assert [award[3] for award in world.awards()] == [attempt.occurrence]
    assert "claim" not in attempt.occurrence


@pytest.mark.parametrize("repeat", [each for each in Repeat if each is not Repeat.ONCE])
def test_the_next_real_action_is_another_award(world: World, repeat: Repeat) -> None:
    rule = repeating(repeat)
    world.link()
    world.claim(rule)
    tell(world, rule)
    another_occurrence(world)

    assert tell(world, rule, target="another") == (State.DUE,)

    assert world.states() == ["due", "due"]


@pytest.mark.parametrize("repeat", [Repeat.ONCE, Repeat.PER_TARGET, Repeat.PER_DAY])
def test_the_same_occurrence_is_not_paid_again_after_the_claim_was_confirmed(
    world: World, repeat: Repeat
) -> None:
    rule = repeating(repeat)
    world.link()
    world.claim(rule)
    tell(world, rule)

    assert tell(world, rule) == (State.DUPLICATE,)
    assert world.claim(rule, target="1337")[1] is State.DUPLICATE


@pytest.mark.parametrize("outcome", [None, Outcome.ACCEPTED, Outcome.PERMANENT])
@pytest.mark.parametrize("repeat", REPEATS)
def test_a_claim_is_confirmed_in_whatever_state_it_is_paid(
    world: World, repeat: Repeat, outcome: Outcome | None
) -> None:
    rule = repeating(repeat)
    world.link()
    claimed, _ = world.claim(rule)
    if outcome is not None:
        world.submit(claimed, outcome)
    before = world.state(claimed)

    assert tell(world, rule) == (before,)

    assert world.state(claimed) is before
    assert world.timeline(claimed)[-2:] == [before, before]


def test_a_claim_that_was_withdrawn_stands_for_nothing(world: World) -> None:
    rule = repeating(Repeat.EVERY_EVENT)
    world.link()
    claimed, _ = world.claim(rule)
    world.cancel(claimed)

    assert tell(world, rule) == (State.DUE,)


def test_a_claim_of_today_and_an_action_a_year_later_are_two(world: World) -> None:
    rule = repeating(Repeat.EVERY_EVENT)
    world.link()
    world.claim(rule)
    world.clock.advance(timedelta(days=365).total_seconds())

    tell(world, rule)

    assert world.states() == ["due", "due"]


@pytest.mark.parametrize(("later", "attempts"), [(0, 1), (1, 2)])
def test_a_claim_waits_for_its_event_for_so_long(world: World, later: int, attempts: int) -> None:
    rule = repeating(Repeat.EVERY_EVENT)
    world.link()
    world.claim(rule)
    world.clock.advance(ONE_ACTION_WITHIN.total_seconds() + later)

    tell(world, rule)

    assert len(world.ids()) == attempts


def test_an_event_that_is_late_is_judged_by_when_it_happened(world: World) -> None:
    rule = repeating(Repeat.EVERY_EVENT)
    world.link()
    happened_at = world.now
    world.clock.advance(60)
    claimed, _ = world.claim(rule)
    world.clock.advance(2 * ONE_ACTION_WITHIN.total_seconds())

    tell(world, rule, occurred_at=happened_at)

    assert world.ids() == [claimed]


def test_a_claim_after_midnight_has_the_award_of_the_day_before(world: World) -> None:
    rule = repeating(Repeat.PER_DAY)
    world.link()
    world.clock.set(datetime(2026, 1, 6, 23, 59, tzinfo=world.now.tzinfo))
    commented_at = world.now
    world.clock.advance(120)
    world.claim(rule)

    tell(world, rule, occurred_at=commented_at)
    assert [award[3] for award in world.awards()] == ["day:2026-01-06"]

    # The day on which it was claimed is free for what is done on it.
    assert tell(world, rule) == (State.DUE,)
    assert [award[3] for award in world.awards()] == ["day:2026-01-06", "day:2026-01-07"]


def test_an_event_whose_award_another_has_proves_no_paid_claim(world: World) -> None:
    rule = repeating(Repeat.PER_TARGET)
    world.link()
    tell(world, rule, target="post-1")
    world.claim(rule)  # about that
    claimed, state = world.claim(rule)
    assert state is State.DUE

    assert tell(world, rule, target="post-1") == (State.DUPLICATE,)
    assert world.attempt(claimed).event_id is None

    assert tell(world, rule, target="post-2") == (State.DUE,)
    assert world.attempt(claimed).target == "post-2"
    assert sorted(world.states()) == ["due", "due", "duplicate", "duplicate"]


def test_the_claim_that_names_the_target_is_the_one_that_is_proven(world: World) -> None:
    rule = repeating(Repeat.EVERY_EVENT)
    world.link()
    anything, _ = world.claim(rule)
    named, _ = world.claim(rule, target="post-2")

    tell(world, rule, target="post-2")
    assert [world.attempt(one).evidence for one in (anything, named)] == ["claimed", "signed"]
    tell(world, rule, target="post-3")

    assert world.attempt(anything).target == "post-3"
    assert set(world.ids()) == {anything, named}


def test_a_claim_about_another_target_is_another_action(world: World) -> None:
    rule = repeating(Repeat.PER_TARGET)
    world.link()
    world.claim(rule, target="post-1")

    tell(world, rule, target="post-2")

    assert world.states() == ["due", "due"]


def test_a_target_is_known_by_its_other_names(world: World) -> None:
    rule = repeating(Repeat.PER_TARGET)
    world.link()
    claimed, _ = world.claim(rule, target="post-1")

    tell(world, rule, target="ad-1", target_aliases=("post-1",))

    assert world.ids() == [claimed]


def test_with_two_accounts_the_one_that_did_it_has_the_award(world: World) -> None:
    rule = repeating(Repeat.ONCE)
    world.link("99")
    world.link("98")
    world.claim(rule)
    tell(world, rule, actor="98")
    world.unlink("98")
    world.link("98", "bob")

    assert tell(world, rule, actor="98") == (State.DUPLICATE,)


def test_an_account_that_earned_for_another_proves_no_paid_claim(world: World) -> None:
    rule = repeating(Repeat.ONCE)
    world.link("98", "bob")
    tell(world, rule, actor="98")
    world.unlink("98")
    world.link("99")
    world.link("98")
    claimed, _ = world.claim(rule)

    assert tell(world, rule, actor="98") == (State.DUPLICATE,)

    assert world.attempt(claimed).event_id is None


def test_a_proof_under_a_rule_with_a_longer_hold_makes_the_claim_wait_for_that(
    world: World,
) -> None:
    short = believed(replace(EVERY, hold_seconds=60))
    world.link()
    claimed, _ = world.claim(short)
    claimed_at = world.now
    world.clock.advance(10)

    tell(world, HELD)

    attempt = world.attempt(claimed)
    assert attempt.next_at == claimed_at + timedelta(seconds=3_600)
    assert attempt.hold_seconds == 3_600


def test_a_paid_claim_is_proven_before_one_that_waits(world: World) -> None:
    world.link()
    waiting, _ = world.claim(EVERY)
    paid, _ = world.claim(believed(EVERY))

    tell(world, EVERY)
    assert [world.state(one) for one in (waiting, paid)] == [State.CHECKING, State.DUE]
    tell(world, EVERY)

    assert [world.state(one) for one in (waiting, paid)] == [State.DUE, State.DUE]
    assert len(world.ids()) == 2


def test_an_undone_claim_is_not_proven_by_what_was_done_after_it(world: World) -> None:
    rule = repeating(Repeat.EVERY_EVENT)
    world.link()
    claimed, _ = world.claim(rule)
    world.clock.advance(60)
    world.receive(world.event(undone=True))
    assert world.attempt(claimed).undone_at == world.now
    world.clock.advance(60)

    tell(world, rule)

    assert world.states() == ["due", "due"]


def test_a_barring_rule_bars_no_claim_that_is_only_proven(world: World) -> None:
    rule = replace(repeating(Repeat.EVERY_EVENT), bar_after_undo=True)
    world.link()
    done = world.event()
    world.receive(done, rules=(rule,))
    claimed, _ = world.claim(rule)  # about that
    claimed, _ = world.claim(rule)
    world.receive(world.event(undone=True, undoes=done.key))

    tell(world, rule)

    assert world.attempt(claimed).evidence == Evidence.SIGNED
    assert any(world.attempt(claimed).occurrence == award[3] for award in world.awards())


# Told, then linked.


@pytest.mark.parametrize("repeat", REPEATS)
def test_told_claimed_and_then_linked_is_one_award(world: World, repeat: Repeat) -> None:
    rule = repeating(repeat)
    assert tell(world, rule) == (State.UNLINKED,)
    world.clock.advance(5 * A_DAY.total_seconds())
    claimed, _ = world.claim(rule)

    world.link()

    [told, _] = world.ids()
    assert [world.state(one) for one in (told, claimed)] == [State.DUPLICATE, State.DUE]
    assert world.attempt(claimed).evidence == Evidence.SIGNED
    assert claimed in world.attempt(told).reason


@pytest.mark.parametrize("repeat", REPEATS)
def test_told_linked_and_then_claimed_is_one_award(world: World, repeat: Repeat) -> None:
    rule = repeating(repeat)
    tell(world, rule)
    world.clock.advance(9 * A_DAY.total_seconds())
    world.link()

    assert world.claim(rule)[1] is State.DUPLICATE


# Told, then claimed.


@pytest.mark.parametrize("target", [None, "1337"], ids=["any-target", "target"])
@pytest.mark.parametrize("repeat", REPEATS)
def test_told_and_then_claimed_is_one_award(
    world: World, repeat: Repeat, target: str | None
) -> None:
    rule = repeating(repeat)
    world.link()
    tell(world, rule)
    [told] = world.ids()

    claimed, state = world.claim(rule, target=target)

    assert state is State.DUPLICATE
    assert world.attempt(claimed).occurrence == world.attempt(told).occurrence
    assert len(world.awards()) == 1


@pytest.mark.parametrize("rule", [EVERY, believed(EVERY)], ids=["signed", "claimed"])
def test_each_event_answers_one_claim(world: World, rule: Rule) -> None:
    world.link()
    tell(world, rule, target="post-1")
    tell(world, rule, target="post-2")
    told = world.ids()

    claims = [world.claim(rule)[0] for _ in range(3)]

    assert [world.state(claim) for claim in claims[:2]] == [State.DUPLICATE] * 2
    assert {world.attempt(claim).event_attempt_id for claim in claims[:2]} == set(told)
    assert world.state(claims[2]) not in (State.DUPLICATE, State.REFUSED)


def test_the_event_that_proved_a_claim_answers_no_other(world: World) -> None:
    rule = repeating(Repeat.EVERY_EVENT)
    world.link()
    world.claim(rule)
    tell(world, rule)

    assert world.claim(rule)[1] is State.DUE


def test_what_was_told_long_ago_is_not_what_is_claimed_now(world: World) -> None:
    rule = repeating(Repeat.EVERY_EVENT)
    world.link()
    tell(world, rule)
    world.clock.advance(ONE_ACTION_WITHIN.total_seconds() + 1)

    assert world.claim(rule)[1] is State.DUE


def test_what_was_told_and_undone_is_not_what_is_claimed_now(world: World) -> None:
    rule = repeating(Repeat.EVERY_EVENT)
    world.link()
    tell(world, rule)
    world.receive(world.event(undone=True))

    assert world.claim(rule)[1] is State.DUE


@pytest.mark.parametrize(
    "other", [{"target": "1338"}, {"action": "like"}], ids=lambda other: next(iter(other))
)
def test_what_was_told_of_something_else_is_not_what_is_claimed(
    world: World, other: dict[str, str]
) -> None:
    rule = repeating(Repeat.EVERY_EVENT)
    world.link()
    told = replace(rule, action=other.get("action", rule.action))
    tell(world, told, **other)

    assert world.claim(rule, target="1337")[1] is State.DUE


def test_somebody_elses_event_answers_no_claim(world: World) -> None:
    rule = repeating(Repeat.EVERY_EVENT)
    world.link("1", "bob")
    world.link()
    tell(world, rule, actor="1")

    assert world.claim(rule)[1] is State.DUE


# One event through two sources.


def test_one_event_through_two_sources_is_one_award(world: World) -> None:
    world.link()
    event = world.event()

    receipts = world.receive(event, replace(event, source="twitch-2"), rules=(TWO_SOURCES,))

    assert sorted(state for one in receipts for state in one.states) == ["due", "duplicate"]


def test_where_sources_number_their_events_apart_two_are_two(world: World) -> None:
    world.link()
    event = world.event()

    receipts = world.receive(event, replace(event, source="twitch-2"), rules=(EVERY,))

    assert [one.states for one in receipts] == [(State.DUE,)] * 2


def test_one_event_through_two_sources_proves_one_claim(world: World) -> None:
    rule = believed(TWO_SOURCES)
    world.link()
    first, _ = world.claim(rule)
    second, _ = world.claim(rule)
    event = world.event()

    world.receive(event, rules=(rule,))
    world.receive(replace(event, source="twitch-2"), rules=(rule,))

    assert sorted(world.attempt(one).evidence for one in (first, second)) == ["claimed", "signed"]
    assert sorted(world.states()) == ["due", "due", "duplicate"]


@pytest.mark.parametrize("length", [10, 255])
def test_what_an_earlier_version_paid_through_one_source_is_not_paid_through_the_other(
    world: World, length: int
) -> None:
    """It named the occurrence after the source."""
    world.link()
    event = world.event(key="k" * length, source="twitch-2")
    world.receive(event, rules=(EVERY,))

    [receipt] = world.receive(replace(event, source="twitch"), rules=(TWO_SOURCES,))

    assert receipt.states == (State.DUPLICATE,)


# How much is asked for it.


def test_unproven_claims_are_looked_up_by_their_index(world: World) -> None:
    """Of several customers too: the index of all claims that have no event grows for ever."""
    rule = believed(EVERY)
    world.claim(rule)

    def plans(connection: Connection) -> list[str]:
        found: list[str] = []

        def explain(connection: Connection, _cursor: Any, sql: str, values: Any, *_: Any) -> None:
            if "event_id IS NULL" in sql and not sql.startswith("EXPLAIN"):
                word = "EXPLAIN QUERY PLAN" if connection.dialect.name == "sqlite" else "EXPLAIN"
                plan = connection.exec_driver_sql(f"{word} {sql}", values).all()
                found.append(str(plan))

        if connection.dialect.name == "postgresql":
            connection.exec_driver_sql("SET LOCAL enable_seqscan = off")
        listen(connection, "before_cursor_execute", explain)
        unproven_claims(connection, ["ann", "bob"], world.now)
        return found

    [plan] = world.do(plans)

    assert "ix_attempts_unproven" in plan
    assert "event_id=" not in plan


def test_an_event_of_somebody_who_claimed_nothing_is_asked_no_more_questions(
    world: World,
) -> None:
    """Than of somebody whose claim was proven, or is older than what it could be about."""
    rule = repeating(Repeat.EVERY_EVENT)
    world.link("1", "bob")
    world.link()
    world.claim(rule)
    tell(world, rule)
    world.clock.advance(10 * A_DAY.total_seconds())

    assert _statements(world, rule, "99") == _statements(world, rule, "1")


def _statements(world: World, rule: Rule, actor: str) -> int:
    said = []

    def note(*arguments: Any) -> None:
        said.append(arguments[2])

    tell(world, rule, actor=actor)
    engine = world.database._writes
    listen(engine, "before_cursor_execute", note)
    try:
        tell(world, rule, actor=actor)
    finally:
        remove(engine, "before_cursor_execute", note)
    return len(said)
