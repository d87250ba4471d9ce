"""Does a duplicate say which attempt holds its award, and whose award it is?"""

from dataclasses import replace
from typing import Any

from sqlalchemy import update

from app.domain.attempts import State
from app.domain.rules import Repeat
from app.steps import erasure
from app.steps.history import in_full
from app.steps.holders import HeldAs, Holder
from app.storage.tables import AttemptRow, AwardRow
from tests.steps.world import FOLLOW, World, believed

EVERY = replace(FOLLOW, repeat=Repeat.EVERY_EVENT)


def holder(world: World, attempt_id: str) -> Holder | None:
    with world.database.read_at_one_moment() as connection:
        whole = in_full(connection, attempt_id)
    assert whole is not None
    return whole.holder


def follow(world: World, **changes: Any) -> str:
    """A new follow, a second after the last; its attempt."""
    world.clock.advance(1)
    world.receive(world.event(**changes))
    return world.ids()[-1]


def test_a_second_action_names_the_first_by_the_customer(world: World) -> None:
    world.link()
    first, second = follow(world), follow(world)

    assert holder(world, second) == Holder(first, HeldAs.CUSTOMER)
    assert holder(world, first) is None


def test_another_account_of_the_customer_names_the_first_by_the_customer(world: World) -> None:
    world.link("1")
    world.link("2")
    first, second = follow(world, actor="1"), follow(world, actor="2")

    assert holder(world, second) == Holder(first, HeldAs.CUSTOMER)


def test_an_account_that_earned_for_another_customer_names_that_by_the_account(
    world: World,
) -> None:
    world.link("1", "ann")
    first = follow(world, actor="1")
    world.unlink("1")
    world.link("1", "bob")

    assert holder(world, follow(world, actor="1")) == Holder(first, HeldAs.ACCOUNT)


def test_both_at_once_are_the_customers(world: World) -> None:
    world.link("1", "ann")
    follow(world, actor="1")
    world.unlink("1")
    world.link("2", "bob")
    of_bob = follow(world, actor="2")
    world.link("1", "bob")

    assert holder(world, follow(world, actor="1")) == Holder(of_bob, HeldAs.CUSTOMER)


def test_a_claim_about_what_was_told_names_the_events_attempt(world: World) -> None:
    world.link()
    world.receive(world.event(), rules=(EVERY,))
    [told] = world.ids()

    claimed, _ = world.claim(believed(EVERY))

    assert holder(world, claimed) == Holder(told, HeldAs.CUSTOMER)


def test_an_event_after_its_claim_was_confirmed_names_the_claim(world: World) -> None:
    world.link()
    claimed, _ = world.claim(believed(FOLLOW))
    world.receive(world.event())

    assert holder(world, follow(world)) == Holder(claimed, HeldAs.CUSTOMER)


def test_whoever_stands_in_holds_it_then(world: World) -> None:
    held = replace(FOLLOW, hold_seconds=60)
    world.link()
    comments = []
    for _ in range(3):
        world.clock.advance(1)
        event = world.event()
        world.receive(event, rules=(held,))
        comments.append((event, world.ids()[-1]))
    (first, _), (_, second), (_, third) = comments

    world.receive(world.event(undone=True, undoes=first.key))

    assert world.state(second) is State.HELD
    assert holder(world, third) == Holder(second, HeldAs.CUSTOMER)


def test_a_deleted_holder_is_not_named(world: World) -> None:
    world.link()
    follow(world)
    second = follow(world)
    world.do(lambda c: c.execute(update(AwardRow).values(attempt_id=None)))

    assert holder(world, second) == Holder(None, HeldAs.CUSTOMER)


def test_of_an_erased_customer_nothing_is_found(world: World) -> None:
    world.link()
    follow(world)
    second = follow(world)
    request = world.do(lambda c: erasure.request(c, "ann", "test", world.now))
    while world.do(lambda c: erasure.advance(c, request, world.now)):
        pass

    assert holder(world, second) is None
    assert world.all(AttemptRow, AttemptRow.customer_id.is_not(None)) == []
