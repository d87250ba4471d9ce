"""What does taking an action back change: before its reward, after it, and in any order?"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import update
from sqlalchemy.event import listen, remove

from app.domain.answers import Outcome
from app.domain.attempts import State
from app.domain.clock import new_id
from app.domain.events import Event
from app.domain.evidence import Evidence
from app.domain.rules import Repeat, Rule
from app.steps import cases, operator_actions
from app.steps.accounts import Known
from app.steps.operator_actions import NotAllowed
from app.steps.undo import UNDONE_BEFORE, undone_before
from app.storage.tables import AttemptRow, AuditRow, BarRow, IdentityRow
from tests.steps.conftest import empty
from tests.steps.world import FOLLOW, LEASE, World, believed

HOUR = 3_600.0
HELD = replace(FOLLOW, hold_seconds=HOUR)
BARRING = replace(FOLLOW, bar_after_undo=True, repeat=Repeat.EVERY_EVENT)
SUBMITTED = {
    State.ACCEPTED: Outcome.ACCEPTED,
    State.GRANTED: Outcome.ACCEPTED,
    State.NOT_GRANTED: Outcome.ACCEPTED,
    State.UNCONFIRMED: Outcome.ACCEPTED,
}


def undoing(world: World, **changes: Any) -> Event:
    return world.event(undone=True, **changes)


def follow(world: World, *rules: Rule, **changes: Any) -> str:
    """A new follow; its attempt."""
    known = set(world.ids())
    world.receive(world.event(**changes), rules=rules or (FOLLOW,))
    [made] = [i for i in world.ids() if i not in known]
    return made


def due_after_its_hold(world: World) -> str:
    world.link()
    attempt_id = follow(world, HELD)
    world.clock.advance(HOUR)
    world.strike()
    assert world.state(attempt_id) is State.DUE
    return attempt_id


# Before it is paid for.


def test_a_held_attempt_is_withdrawn_with_the_time_and_the_event_that_undid_it(
    world: World,
) -> None:
    world.link()
    attempt_id = follow(world, HELD)
    world.clock.advance(60)
    undone_at = world.now
    world.clock.advance(60)

    world.receive(undoing(world, occurred_at=undone_at))

    attempt = world.attempt(attempt_id)
    assert (attempt.state, attempt.undone_at) == ("withdrawn", undone_at)
    change = world.last_change(attempt_id)
    assert change.caused_by == "source:twitch"
    assert world.stored_events()[-1].id in change.reason
    assert world.awards() == []


def test_an_undoing_told_again_under_another_key_changes_nothing_more(world: World) -> None:
    world.link()
    attempt_id = follow(world, HELD)
    world.receive(undoing(world))
    before = (world.attempt(attempt_id), world.timeline(attempt_id))
    world.clock.advance(1)

    world.receive(undoing(world))

    assert (world.attempt(attempt_id), world.timeline(attempt_id)) == before


def test_what_was_undone_inside_the_hold_is_withdrawn_though_the_news_comes_after_it(
    world: World,
) -> None:
    attempt_id = due_after_its_hold(world)

    world.receive(undoing(world, occurred_at=world.now - timedelta(seconds=1)))

    assert world.timeline(attempt_id) == ["held", "due", "withdrawn"]
    assert world.awards() == []


def test_what_was_undone_after_the_hold_stays_owed_and_is_flagged(world: World) -> None:
    attempt_id = due_after_its_hold(world)
    undone_at = world.now

    world.receive(undoing(world))

    attempt = world.attempt(attempt_id)
    assert (attempt.state, attempt.undone_at) == ("due", undone_at)
    assert world.due() == [attempt_id]
    assert world.timeline(attempt_id) == ["held", "due", "due"]
    assert len(world.awards()) == 1


def test_a_hold_that_is_over_but_was_not_struck_yet_is_over(world: World) -> None:
    world.link()
    attempt_id = follow(world, HELD)
    world.clock.advance(HOUR)

    world.receive(undoing(world))

    assert world.state(attempt_id) is State.HELD
    world.strike()
    assert world.state(attempt_id) is State.DUE
    assert world.attempt(attempt_id).undone_at == world.now
    world.submit(attempt_id, Outcome.ACCEPTED)
    assert world.state(attempt_id) is State.ACCEPTED


def test_the_hold_of_what_waited_to_be_linked_begins_at_the_link(world: World) -> None:
    attempt_id = follow(world, HELD)
    world.clock.advance(2 * HOUR)
    world.link()
    world.clock.advance(HOUR - 1)

    world.receive(undoing(world))

    assert world.state(attempt_id) is State.WITHDRAWN


def test_what_may_have_landed_is_withdrawn_and_keeps_its_award(world: World) -> None:
    attempt_id = due_after_its_hold(world)
    world.submit(attempt_id, Outcome.UNKNOWN)

    world.receive(undoing(world, occurred_at=world.now - timedelta(seconds=1)))

    assert world.state(attempt_id) is State.WITHDRAWN
    assert len(world.awards()) == 1
    world.clock.advance(60)
    assert world.state(follow(world, HELD)) is State.DUPLICATE


def test_what_is_on_its_way_is_flagged_and_accepted_if_it_lands(world: World) -> None:
    attempt_id = due_after_its_hold(world)
    made = world.start(attempt_id)

    world.receive(undoing(world, occurred_at=world.now - timedelta(seconds=1)))

    assert world.state(attempt_id) is State.DUE
    world.finish(made, Outcome.ACCEPTED)
    assert world.state(attempt_id) is State.ACCEPTED
    assert world.attempt(attempt_id).undone_at is not None


def test_what_was_on_its_way_and_did_not_land_is_withdrawn_instead_of_sent_again(
    world: World,
) -> None:
    attempt_id = due_after_its_hold(world)
    made = world.start(attempt_id)
    world.receive(undoing(world, occurred_at=world.now - timedelta(seconds=1)))
    world.finish(made, Outcome.NOT_SENT)
    world.clock.advance(60)

    world.try_start(attempt_id)

    assert world.state(attempt_id) is State.WITHDRAWN
    assert world.attempt(attempt_id).lease_until is None
    assert len(world.submissions(attempt_id)) == 1
    assert world.awards() == []


def test_what_a_dead_worker_left_on_its_way_is_not_sent_again(world: World) -> None:
    attempt_id = due_after_its_hold(world)
    world.start(attempt_id)
    world.receive(undoing(world, occurred_at=world.now - timedelta(seconds=1)))
    world.clock.advance(LEASE + 1)
    world.reclaim()

    world.try_start(attempt_id)

    assert world.state(attempt_id) is State.WITHDRAWN
    assert len(world.awards()) == 1


def test_a_flagged_attempt_whose_hold_was_kept_is_sent(world: World) -> None:
    attempt_id = due_after_its_hold(world)
    world.receive(undoing(world))

    world.submit(attempt_id, Outcome.ACCEPTED)

    assert world.state(attempt_id) is State.ACCEPTED


def test_a_dead_attempt_undone_inside_its_hold_is_withdrawn(world: World) -> None:
    attempt_id = due_after_its_hold(world)
    world.submit(attempt_id, Outcome.PERMANENT)

    world.receive(undoing(world, occurred_at=world.now - timedelta(seconds=1)))

    assert world.state(attempt_id) is State.WITHDRAWN
    assert world.awards() == []


@pytest.mark.parametrize("state", sorted(SUBMITTED))
def test_what_gameball_was_told_is_only_flagged(world: World, state: State) -> None:
    attempt_id = due_after_its_hold(world)
    world.submit(attempt_id, SUBMITTED[state])
    world.confirmed_as(attempt_id, state)
    undone_at = world.now - timedelta(seconds=1)

    world.receive(undoing(world, occurred_at=undone_at))

    attempt = world.attempt(attempt_id)
    assert (attempt.state, attempt.undone_at) == (state, undone_at)
    assert len(world.awards()) == 1


def test_an_undoing_makes_an_acceptance_no_younger(world: World) -> None:
    attempt_id = due_after_its_hold(world)
    world.submit(attempt_id, Outcome.ACCEPTED)
    accepted_at = world.now
    world.clock.advance(600)

    world.receive(undoing(world))

    found = world.do(lambda c: cases._accepted_at(c, [attempt_id]))
    assert found == {attempt_id: accepted_at}


@pytest.mark.parametrize("state", [State.NOT_GRANTED, State.UNCONFIRMED])
def test_what_was_undone_inside_its_hold_is_not_replayed(world: World, state: State) -> None:
    attempt_id = due_after_its_hold(world)
    world.submit(attempt_id, Outcome.ACCEPTED)
    world.confirmed_as(attempt_id, state)
    world.receive(undoing(world, occurred_at=world.now - timedelta(seconds=1)))

    with pytest.raises(NotAllowed, match="undone inside its hold"):
        world.replay(attempt_id)


@pytest.mark.parametrize("state", [State.REFUSED, State.EXPIRED, State.WITHDRAWN])
def test_what_ended_without_a_reward_is_left_alone(world: World, state: State) -> None:
    world.link()
    attempt_id = follow(world, HELD)
    world.confirmed_as(attempt_id, state)
    before = world.attempt(attempt_id)

    world.receive(undoing(world))

    assert world.attempt(attempt_id) == before


# Claims.


def test_a_claim_that_waits_for_its_proof_is_withdrawn(world: World) -> None:
    world.link()
    attempt_id, state = world.claim(target="1337")
    assert state is State.CHECKING

    world.receive(undoing(world))

    assert world.state(attempt_id) is State.WITHDRAWN


def test_a_believed_claim_is_withdrawn_inside_its_hold(world: World) -> None:
    world.link()
    attempt_id, _ = world.claim(believed(HELD), target="1337")

    world.receive(undoing(world))

    assert world.state(attempt_id) is State.WITHDRAWN
    assert world.awards() == []


def test_a_claim_made_before_the_account_was_linked_is_its_customers(world: World) -> None:
    attempt_id, _ = world.claim(believed(HELD), target="1337")
    world.link()

    world.receive(undoing(world))

    assert world.state(attempt_id) is State.WITHDRAWN


@pytest.mark.parametrize("target", [None, "1337"])
def test_either_of_two_accounts_may_undo_what_a_claim_was_about(
    world: World, target: str | None
) -> None:
    world.link("99")
    world.link("98")
    attempt_id, _ = world.claim(believed(HELD), target=target)

    world.receive(undoing(world, actor="98"))

    assert world.state(attempt_id) is State.WITHDRAWN


@pytest.mark.parametrize("rule", [HELD, believed(HELD)], ids=["checking", "held"])
def test_a_claim_without_a_target_is_about_any_target(world: World, rule: Rule) -> None:
    world.link()
    attempt_id, _ = world.claim(rule)

    world.receive(undoing(world))

    assert world.state(attempt_id) is State.WITHDRAWN
    assert world.awards() == []


def test_a_paid_claim_without_a_target_is_flagged_and_may_bar(world: World) -> None:
    rule = believed(replace(FOLLOW, bar_after_undo=True))
    world.link()
    attempt_id, _ = world.claim(rule)
    world.submit(attempt_id, Outcome.ACCEPTED)

    world.receive(undoing(world))

    assert world.state(attempt_id) is State.ACCEPTED
    assert world.attempt(attempt_id).undone_at == world.now
    assert len(world.all(BarRow)) == 1


def test_a_claim_that_an_event_confirmed_is_about_that_events_target(world: World) -> None:
    world.link()
    attempt_id, _ = world.claim(believed(HELD))
    world.receive(world.event(), rules=(HELD,))

    world.receive(undoing(world, target="another"))
    assert world.state(attempt_id) is State.HELD
    world.receive(undoing(world))

    assert world.state(attempt_id) is State.WITHDRAWN


@pytest.mark.parametrize(
    "other",
    [{"action": "like"}, {"actor": "1"}, {"platform": "youtube"}],
    ids=lambda other: next(iter(other)),
)
def test_an_undoing_of_something_else_is_about_no_claim(
    world: World, other: dict[str, str]
) -> None:
    world.link()
    attempt_id, _ = world.claim(believed(HELD))

    world.receive(undoing(world, **other))

    assert world.state(attempt_id) is State.HELD


def test_a_claim_under_a_rule_of_one_source_is_not_undone_by_another(world: World) -> None:
    world.link()
    attempt_id, _ = world.claim(believed(replace(HELD, source="twitch-eu")))

    world.receive(undoing(world))
    assert world.state(attempt_id) is State.HELD
    world.receive(undoing(world, source="twitch-eu"))

    assert world.state(attempt_id) is State.WITHDRAWN


def test_a_claim_without_a_target_stays_if_another_action_was_what_is_undone(world: World) -> None:
    rule = replace(HELD, repeat=Repeat.PER_TARGET)
    world.link()
    told = follow(world, rule, target="post-1")
    world.claim(believed(rule))
    claimed, _ = world.claim(believed(rule))

    world.receive(undoing(world, target="post-1"))

    assert world.state(told) is State.WITHDRAWN
    assert world.state(claimed) is State.HELD


def test_a_removed_comment_that_nobody_told_of_takes_one_claim_along(world: World) -> None:
    rule = believed(replace(HELD, repeat=Repeat.EVERY_EVENT))
    world.link()
    claims = [world.claim(rule)[0] for _ in range(2)]

    world.receive(undoing(world, undoes="never told"))

    assert sorted(world.state(claim) for claim in claims) == [State.HELD, State.WITHDRAWN]


def test_a_removed_comment_that_earned_nothing_takes_no_claim_along(world: World) -> None:
    world.link()
    comment = world.event(target="elsewhere")
    world.receive(comment, rules=())
    claimed, _ = world.claim(believed(HELD))

    world.receive(undoing(world, target="elsewhere", undoes=comment.key))

    assert world.state(claimed) is State.HELD


def test_a_claim_made_after_the_undoing_stands(world: World) -> None:
    world.link()
    earlier = undoing(world)
    world.clock.advance(60)
    attempt_id, _ = world.claim(believed(HELD), target="1337")

    world.receive(replace(earlier, received_at=world.now))

    assert world.state(attempt_id) is State.HELD


def test_an_undone_action_confirms_no_claim(world: World) -> None:
    world.link()
    attempt_id, _ = world.claim(HELD, target="1337")
    done = world.event()
    world.clock.advance(60)
    # About an account whose claim is safe from it: the claim is newer than the undoing.
    undone = undoing(world)
    world.do(
        lambda c: c.execute(
            update(AttemptRow).where(AttemptRow.id == attempt_id).values(created_at=world.now)
        )
    )
    world.clock.advance(60)
    world.receive(replace(undone, occurred_at=undone.occurred_at - timedelta(seconds=1)))

    world.receive(done, rules=(HELD,))

    assert world.state(attempt_id) is State.CHECKING
    assert sorted(world.states()) == ["checking", "withdrawn"]


# In another order.


@pytest.mark.parametrize("is_linked", [True, False])
@pytest.mark.parametrize("rule", [HELD, BARRING])
def test_an_undoing_that_is_heard_of_first_withdraws_its_action(
    world: World, rule: Rule, is_linked: bool
) -> None:
    if is_linked:
        world.link()
    done = world.event()
    world.clock.advance(60)
    world.receive(undoing(world))

    [receipt] = world.receive(done, rules=(rule,))

    assert receipt.states == (State.WITHDRAWN,)
    [attempt] = world.all(AttemptRow)
    assert (attempt.reason, attempt.undone_at) == (UNDONE_BEFORE, world.now)
    assert world.timeline(attempt.id) == ["withdrawn"]
    assert world.awards() == []


def test_an_older_undoing_touches_no_newer_action(world: World) -> None:
    world.link()
    earlier = undoing(world)
    world.clock.advance(1)
    attempt_id = follow(world, HELD)

    world.receive(replace(earlier, received_at=world.now))

    assert world.state(attempt_id) is State.HELD


def test_a_platforms_clock_that_is_ahead_undoes_nothing_that_comes_later(world: World) -> None:
    world.link()
    world.receive(undoing(world, occurred_at=world.now + timedelta(days=1)))
    world.clock.advance(1)

    assert world.state(follow(world, HELD)) is State.HELD


def test_without_a_hold_or_a_bar_nobody_looks_for_undoings(world: World) -> None:
    world.link()
    done = world.event()
    world.clock.advance(60)
    world.receive(undoing(world))

    [receipt] = world.receive(done)

    assert receipt.states == (State.DUE,)


@pytest.mark.parametrize(
    "other", [{"target": "1338"}, {"actor": "98"}, {"action": "like"}, {"platform": "youtube"}]
)
def test_an_undoing_of_something_else_that_is_heard_of_first_withdraws_nothing(
    world: World, other: dict[str, str]
) -> None:
    world.link()
    done = world.event()
    world.clock.advance(60)
    world.receive(undoing(world, **other))

    [receipt] = world.receive(done, rules=(HELD,))

    assert receipt.states == (State.HELD,)


def test_an_undoing_without_a_target_speaks_for_its_own_source_only(world: World) -> None:
    world.link()
    attempt_id = follow(world, HELD)

    world.receive(undoing(world, source="twitch-eu", target=None))

    assert world.state(attempt_id) is State.HELD


def test_an_undoing_of_one_occurrence_leaves_the_next_one(world: World) -> None:
    rule = replace(HELD, repeat=Repeat.PER_DAY)
    world.link()
    first = follow(world, rule)
    undone_at = world.now + timedelta(seconds=1)
    world.clock.advance(86_400)
    second = follow(world, rule)

    world.receive(undoing(world, occurred_at=undone_at), rules=(rule,))

    assert [world.state(one) for one in (first, second)] == [State.WITHDRAWN, State.HELD]


def test_a_removed_comment_is_that_comment_and_no_other(world: World) -> None:
    rule = replace(HELD, repeat=Repeat.EVERY_EVENT)
    world.link()
    first, second = follow(world, rule, key="add:1"), follow(world, rule, key="add:2")

    world.receive(undoing(world, key="remove:2", undoes="add:2"))

    assert [world.state(one) for one in (first, second)] == [State.HELD, State.WITHDRAWN]


def test_a_removed_comment_that_is_heard_of_first_is_that_comment_and_no_other(
    world: World,
) -> None:
    rule = replace(HELD, repeat=Repeat.EVERY_EVENT)
    world.link()
    world.receive(undoing(world, key="remove:2", undoes="add:2"))

    receipts = world.receive(world.event(key="add:1"), world.event(key="add:2"), rules=(rule,))

    assert [receipt.states for receipt in receipts] == [(State.HELD,), (State.WITHDRAWN,)]


def test_another_comment_stands_in_for_the_one_that_was_removed(world: World) -> None:
    world.link()
    first = follow(world, HELD, key="add:1")
    second = follow(world, HELD, key="add:2")
    assert world.state(second) is State.DUPLICATE
    world.clock.advance(60)

    world.receive(undoing(world, key="remove:1", undoes="add:1"))

    assert [world.state(one) for one in (first, second)] == [State.WITHDRAWN, State.HELD]
    assert world.attempt(second).next_at == world.now + timedelta(seconds=HOUR)
    assert len(world.awards()) == 1


@pytest.mark.parametrize("is_undone_too", [False, True])
def test_another_comment_stands_in_for_one_that_was_on_its_way_and_came_back(
    world: World, is_undone_too: bool
) -> None:
    world.link()
    first = follow(world, HELD, key="add:1")
    world.clock.advance(HOUR)
    world.strike()
    second = follow(world, HELD, key="add:2")
    made = world.start(first)
    before = world.now - timedelta(seconds=1)
    world.receive(undoing(world, key="remove:1", undoes="add:1", occurred_at=before))
    if is_undone_too:
        world.receive(undoing(world, key="remove:2", undoes="add:2"))
    world.finish(made, Outcome.NOT_SENT)
    world.clock.advance(60)

    world.try_start(first)

    stands = State.DUPLICATE if is_undone_too else State.HELD
    assert [world.state(one) for one in (first, second)] == [State.WITHDRAWN, stands]
    assert len(world.awards()) == (not is_undone_too)


def test_another_customers_comment_stands_in_if_the_next_ones_customer_was_paid(
    world: World,
) -> None:
    """The account changed hands twice; meanwhile bob has the award by another account."""
    made = []
    world.link("7", "bob")
    follow(world, HELD, actor="7")
    for customer in ("ann", "bob", "carl"):
        world.link("99", customer)
        made.append(follow(world, HELD, key=f"add:{customer}"))
        world.unlink("99")
        world.clock.advance(1)

    world.receive(undoing(world, key="remove:ann", undoes="add:ann"))

    stands = [State.WITHDRAWN, State.DUPLICATE, State.HELD]
    assert [world.state(one) for one in made] == stands


def test_a_comment_that_confirmed_a_claim_when_it_was_linked_takes_it_along(world: World) -> None:
    rule = replace(HELD, repeat=Repeat.PER_TARGET)
    waiting = follow(world, rule, key="add:1")
    claim, _ = world.claim(rule, target="1337")
    world.link()
    assert [world.state(one) for one in (waiting, claim)] == [State.DUPLICATE, State.HELD]

    world.receive(undoing(world, key="remove:1", undoes="add:1"))

    assert world.state(claim) is State.WITHDRAWN
    assert world.awards() == []


def test_a_removed_comment_does_not_stand_in(world: World) -> None:
    world.link()
    first = follow(world, HELD, key="add:1")
    second = follow(world, HELD, key="add:2")
    world.receive(undoing(world, key="remove:2", undoes="add:2"))

    world.receive(undoing(world, key="remove:1", undoes="add:1"))

    assert [world.state(one) for one in (first, second)] == [State.WITHDRAWN, State.DUPLICATE]
    assert world.awards() == []


def test_a_claim_without_a_proof_does_not_stand_in(world: World) -> None:
    world.link()
    first = follow(world, HELD)
    claim, state = world.claim(HELD, target="1337")
    assert state is State.DUPLICATE

    world.clock.advance(1)
    world.receive(undoing(world, occurred_at=world.now - timedelta(seconds=1)))

    assert world.state(first) is State.WITHDRAWN
    assert world.state(claim) is State.DUPLICATE
    assert world.awards() == []


@settings(max_examples=60)
@given(data=st.data())
def test_whatever_the_order_of_the_news_the_last_action_decides(
    sqlite_world: World, data: st.DataObject
) -> None:
    world = sqlite_world
    world.do(empty)
    world.link()
    begin, count = world.now, data.draw(st.integers(1, 6), "actions and undoings")
    told = [
        world.event(undone=bool(i % 2), occurred_at=begin + timedelta(seconds=i))
        for i in range(count)
    ]
    world.clock.advance(60)
    order = data.draw(st.permutations(told), "order of the news")

    for one in order:
        world.receive(replace(one, received_at=world.now), rules=(HELD,))
        world.clock.advance(1)

    stands = count % 2 == 1
    assert [row.state for row in world.all(AttemptRow) if row.state == "held"] == ["held"] * stands
    assert len(world.awards()) == stands
    for attempt_id in world.ids():
        world.timeline(attempt_id)


# Bars.


def barred(world: World, account: str = "99", customer: str = "ann") -> str:
    """An attempt that was paid, and undone afterwards."""
    attempt_id = world.owed(account, customer, rules=(BARRING,))
    world.submit(attempt_id, Outcome.ACCEPTED)
    world.clock.advance(60)
    world.receive(undoing(world, actor=account), rules=(BARRING,))
    world.clock.advance(60)
    return attempt_id


def test_a_rule_may_bar_who_undid_what_was_paid(world: World) -> None:
    attempt_id = barred(world)

    again = follow(world, BARRING)

    assert world.state(again) is State.REFUSED
    assert "barred" in world.attempt(again).reason
    assert len(world.awards()) == 1
    [bar] = world.all(BarRow)
    assert (bar.challenge_id, bar.attempt_id) == (1, attempt_id)
    # Whom it bars is told by hashes only.
    assert {"99", "ann"}.isdisjoint(map(str, vars(bar).values()))


def test_nobody_is_barred_by_default(world: World) -> None:
    rule = replace(BARRING, bar_after_undo=False)
    world.owed(rules=(rule,))
    world.clock.advance(60)
    world.receive(undoing(world), rules=(rule,))
    world.clock.advance(60)

    assert world.state(follow(world, rule)) is State.DUE
    assert world.all(BarRow) == []


def test_a_bar_is_lifted_for_everybody_by_taking_it_off_the_rule(world: World) -> None:
    barred(world)

    again = follow(world, replace(BARRING, bar_after_undo=False))

    assert world.state(again) is State.DUE


def test_undoing_inside_the_hold_bars_nobody(world: World) -> None:
    rule = replace(BARRING, hold_seconds=HOUR)
    world.link()
    follow(world, rule)
    world.clock.advance(60)
    world.receive(undoing(world), rules=(rule,))
    world.clock.advance(60)

    assert world.state(follow(world, rule)) is State.HELD
    assert world.all(BarRow) == []


@pytest.mark.parametrize("changes", [{"challenge_id": 2}, {"platform": "youtube"}])
def test_a_bar_is_for_its_challenge_and_platform_only(
    world: World, changes: dict[str, Any]
) -> None:
    barred(world)
    rule = replace(BARRING, **changes)
    world.do(lambda c: c.execute(update(IdentityRow).values(platform=rule.platform)))

    again = follow(world, rule, platform=rule.platform)

    assert world.state(again) is State.DUE


def test_another_customer_is_not_barred(world: World) -> None:
    barred(world)
    world.link("55", "bob")

    assert world.state(follow(world, BARRING, actor="55")) is State.DUE


def test_a_barred_account_is_refused_when_it_is_linked(world: World) -> None:
    barred(world)
    world.unlink()
    again = follow(world, BARRING)

    world.link("99", "bob")

    assert world.state(again) is State.REFUSED
    assert "barred" in world.last_change(again).reason


@pytest.mark.parametrize("accounts", [1, 0, 2])
def test_a_barred_customer_gets_by_it_with_no_claim(world: World, accounts: int) -> None:
    barred(world)
    if accounts == 0:
        world.unlink()
    if accounts == 2:
        world.link("98")

    _, state = world.claim(replace(BARRING, evidence=Evidence.CLAIMED))

    assert state is State.REFUSED


def test_a_batch_of_barred_and_others_is_decided_one_by_one(world: World) -> None:
    barred(world)
    world.link("55", "bob")
    arrivals = [world.event(actor="99"), world.event(actor="55"), world.event(actor="7")]

    receipts = world.receive(*arrivals, rules=(BARRING,))

    assert [receipt.states for receipt in receipts] == [
        (State.REFUSED,),
        (State.DUE,),
        (State.UNLINKED,),
    ]


def test_an_operator_may_lift_a_bar(world: World) -> None:
    attempt_id = barred(world)
    refused = follow(world, BARRING)

    world.do(lambda c: operator_actions.lift_bar(c, attempt_id, "key:2 sam", world.now))

    assert world.state(refused) is State.REFUSED
    assert world.state(follow(world, BARRING)) is State.DUE
    entry = world.all(AuditRow)[-1]
    assert (entry.change, entry.caused_by, entry.subject) == (
        "bar.lifted",
        "key:2 sam",
        attempt_id,
    )


def test_what_bars_nobody_has_no_bar_to_lift(world: World) -> None:
    attempt_id = world.owed()

    with pytest.raises(NotAllowed, match="no bar"):
        world.do(lambda c: operator_actions.lift_bar(c, attempt_id, "key:2 sam", world.now))

    assert (
        world.do(lambda c: operator_actions.lift_bar(c, new_id(world.now), "sam", world.now))
        is None
    )


def test_undoing_again_bars_once(world: World) -> None:
    world.link()
    first, second = (follow(world, BARRING) for _ in range(2))
    world.clock.advance(60)

    world.receive(undoing(world), rules=(BARRING,))

    assert all(world.attempt(one).undone_at == world.now for one in (first, second))
    assert len(world.all(BarRow)) == 1


# What it costs.


def test_known_undoings_are_looked_up_by_their_index(world: World) -> None:
    asked: list[tuple[str, Any]] = []
    done = world.event(thing="comment 1")

    with world.database.read() as connection:
        is_postgres = connection.dialect.name == "postgresql"
        if is_postgres:
            connection.exec_driver_sql("SET LOCAL enable_seqscan = off")
        listen(connection, "before_cursor_execute", lambda *args: asked.append(args[2:4]))
        undone_before(connection, {"x": done}, Known())
        text, values = asked[0]
        prefix = "EXPLAIN" if is_postgres else "EXPLAIN QUERY PLAN"
        plan = connection.exec_driver_sql(f"{prefix} {text}", values).all()

    indexes = ("ix_events_undone", "ix_events_undoes", "ix_events_thing")
    assert [name for name in indexes if name not in str(plan)] == []


@pytest.mark.parametrize(("rule", "more"), [(FOLLOW, 0), (HELD, 1)])
def test_an_ordinary_batch_is_asked_at_most_one_question_more(
    sqlite_world: World, rule: Rule, more: int
) -> None:
    world = sqlite_world
    statements = written(world, [world.event(actor=f"a{i}") for i in range(5)], rule)

    asked = [one for one in statements if "undone" in one and one.startswith("SELECT")]

    assert len(asked) == more


def written(world: World, events: Sequence[Event], rule: Rule) -> list[str]:
    world.receive(world.event(actor="first"))
    engine = world.database._writes
    seen: list[str] = []

    def note(*args: Any) -> None:
        seen.append(args[2])

    listen(engine, "before_cursor_execute", note)
    world.receive(*events, rules=(rule,))
    remove(engine, "before_cursor_execute", note)
    return seen
