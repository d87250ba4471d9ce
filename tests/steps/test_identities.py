"""Does linking an account pay what waited for it, once and to the right customer?"""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy.event import listen, remove

from app.domain.attempts import State
from app.domain.rules import Repeat, Rule
from app.steps import identities
from app.steps.identities import Linked
from app.storage.tables import IdentityRow
from tests.steps.world import FOLLOW, MONTH, World

HELD = replace(FOLLOW, hold_seconds=60)
EVERY = replace(FOLLOW, repeat=Repeat.EVERY_EVENT)


def test_a_new_link_is_created(world: World) -> None:
    outcome = world.link("99", "ann", handle="ann_plays", email="a@b.test", mobile="+49")

    assert outcome == (Linked.CREATED, 0)
    [row] = world.all(IdentityRow)
    assert (row.platform, row.account_id, row.customer_id) == ("twitch", "99", "ann")
    assert (row.handle, row.email, row.mobile) == ("ann_plays", "a@b.test", "+49")
    assert row.created_at == row.updated_at == world.now


def test_linking_again_updates_the_contact(world: World) -> None:
    created_at = world.now
    world.link("99", "ann", email="old@b.test", handle="old")
    world.clock.advance(60)

    outcome = world.link("99", "ann", email="new@b.test")

    assert outcome == (Linked.UPDATED, 0)
    [row] = world.all(IdentityRow)
    assert (row.email, row.handle) == ("new@b.test", None)
    assert (row.created_at, row.updated_at) == (created_at, world.now)


def test_an_account_of_another_customer_is_taken_and_stays_theirs(world: World) -> None:
    world.link("99", "ann", email="ann@b.test")

    outcome = world.link("99", "bob", email="bob@b.test")

    assert outcome == (Linked.TAKEN, 0)
    [row] = world.all(IdentityRow)
    assert (row.customer_id, row.email) == ("ann", "ann@b.test")


def test_a_customer_may_have_many_accounts(world: World) -> None:
    assert world.link("1", "ann")[0] is Linked.CREATED
    assert world.link("2", "ann")[0] is Linked.CREATED


def test_a_link_is_found_by_its_account(world: World) -> None:
    world.link("99", "ann")

    found = world.do(lambda c: identities.find(c, "twitch", "99"))
    elsewhere = world.do(lambda c: identities.find(c, "youtube", "99"))

    assert found is not None
    assert found.customer_id == "ann"
    assert elsewhere is None


def test_a_link_can_be_forgotten_once(world: World) -> None:
    world.link()

    assert world.unlink()
    assert not world.unlink()
    assert world.all(IdentityRow) == []


def test_linking_releases_what_waited(world: World) -> None:
    world.receive(world.event())
    world.clock.advance(3_600)

    outcome = world.link("99", "ann", email="ann@b.test")

    assert outcome == (Linked.CREATED, 1)
    [attempt_id] = world.due()
    attempt = world.attempt(attempt_id)
    assert (attempt.customer_id, attempt.email, attempt.next_at) == ("ann", "ann@b.test", world.now)
    assert world.timeline(attempt_id) == ["unlinked", "due"]
    assert world.last_change(attempt_id).caused_by == "key:1 shop"
    assert world.awards() == [(1, "ann", "99", "once")]


def test_what_is_released_is_held_for_the_rules_hold_from_now_on(world: World) -> None:
    world.receive(world.event(), rules=(HELD,))
    world.clock.advance(3_600)

    world.link()

    assert world.states() == ["held"]
    assert world.due() == []
    world.clock.advance(60)
    world.strike()
    assert len(world.due()) == 1


def test_two_events_that_waited_for_one_award_earn_once(world: World) -> None:
    world.receive(world.event(), world.event())

    _, released = world.link()

    assert released == 2
    assert sorted(world.states()) == ["due", "duplicate"]


def test_what_waited_for_awards_of_its_own_is_all_paid(world: World) -> None:
    world.receive(world.event(), world.event(), rules=(EVERY,))

    world.link()

    assert world.states() == ["due", "due"]


def test_a_taken_account_releases_nothing(world: World) -> None:
    world.link("99", "ann")
    world.unlink("99")
    world.receive(world.event())
    world.link("99", "ann")
    before = world.states()

    world.link("99", "bob")

    assert world.states() == before == ["due"]


def test_what_waits_for_another_account_goes_on_waiting(world: World) -> None:
    world.receive(world.event(actor="98"), world.event(actor="99", platform="twitch"))

    _, released = world.link("99")

    assert released == 1
    assert sorted(world.states()) == ["due", "unlinked"]


def test_what_has_expired_is_not_released(world: World) -> None:
    world.receive(world.event())
    world.clock.advance(MONTH.total_seconds())
    world.strike()

    _, released = world.link()

    assert released == 0
    assert world.states() == ["expired"]


def test_an_account_that_earned_earns_nothing_for_its_next_owner(world: World) -> None:
    world.owed("99", "ann")
    world.unlink("99")
    world.receive(world.event())

    _, released = world.link("99", "bob")

    assert released == 1
    assert sorted(world.states()) == ["due", "duplicate"]
    assert world.awards() == [(1, "ann", "99", "once")]


def test_a_link_proves_the_claim_that_waited_beside_the_event(world: World) -> None:
    claim_id, state = world.claim(customer="ann")
    world.receive(world.event())

    outcome, released = world.link("99", "ann")

    assert (state, outcome, released) == (State.CHECKING, Linked.CREATED, 1)
    assert world.timeline(claim_id) == ["checking", "due"]
    claim = world.attempt(claim_id)
    assert (claim.account_id, claim.evidence) == ("99", "signed")
    [event_attempt] = [row for row in map(world.attempt, world.ids()) if row.id != claim_id]
    assert event_attempt.state == "duplicate"
    assert claim_id in event_attempt.reason
    assert len(world.awards()) == 1


def test_an_accounts_link_at_the_same_instant_goes_to_one_customer(world: World) -> None:
    customers = [f"customer-{i}" for i in range(8)]

    with ThreadPoolExecutor(8) as pool:
        outcomes = list(pool.map(lambda customer: world.link("99", customer)[0], customers))

    assert outcomes.count(Linked.CREATED) == 1
    assert outcomes.count(Linked.TAKEN) == 7
    assert len(world.all(IdentityRow)) == 1


@pytest.mark.parametrize("rule", [EVERY, HELD, replace(FOLLOW, bar_after_undo=True)])
def test_what_waited_longest_has_the_award_and_each_says_what_became_of_it(
    world: World, rule: Rule
) -> None:
    world.receive(*[world.event() for _ in range(5)], rules=(rule,))
    ids = world.ids()
    world.clock.advance(60)

    linked = world.link(email="ann@b.test")

    won = State.HELD if rule is HELD else State.DUE
    lost = won if rule is EVERY else State.DUPLICATE
    assert linked == (Linked.CREATED, 5)
    assert [world.timeline(one) for one in ids] == [["unlinked", won]] + 4 * [["unlinked", lost]]
    assert {world.attempt(one).email for one in ids} == {"ann@b.test"}
    assert {world.attempt(one).customer_id for one in ids} == {"ann"}
    assert len(world.awards()) == (5 if rule is EVERY else 1)


def test_an_account_with_thousands_that_wait_is_linked_by_few_statements(world: World) -> None:
    """On SQLite every callback waits for it, and on PostgreSQL every event of the account."""
    few = statements_of(world, "99", waiting=2)

    many = statements_of(world, "100", waiting=40)

    assert len(many) == len(few)


def statements_of(world: World, account: str, waiting: int) -> list[str]:
    """What the database is asked for to link an account."""
    world.receive(*[world.event(actor=account) for _ in range(waiting)], rules=(EVERY,))
    seen: list[str] = []

    def note(*args: Any) -> None:
        seen.append(args[2])

    engine = world.database._writes
    listen(engine, "before_cursor_execute", note)
    world.link(account, f"customer of {account}")
    remove(engine, "before_cursor_execute", note)
    return seen
