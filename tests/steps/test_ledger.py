"""Do the database's constraints decide who was first?"""

from dataclasses import replace

import pytest
from sqlalchemy import Connection

from app.domain.attempts import State
from app.steps.ledger import Award, earned_state, enter, holds
from tests.steps.world import FOLLOW, World

EVERY = (replace(FOLLOW, challenge_id=77),)


@pytest.fixture
def ids(world: World) -> list[str]:
    """Attempts to be awarded, whose own award is of another challenge."""
    return [world.owed(f"x{i}", f"c{i}", rules=EVERY) for i in range(3)]


def award(attempt_id: str, **changes: object) -> Award:
    first = Award(
        attempt_id=attempt_id,
        challenge_id=1,
        customer_id="ann",
        platform="twitch",
        account_id="99",
        occurrence="once",
    )
    return replace(first, **changes)  # type: ignore[arg-type]


def entered(world: World, *awards: Award) -> set[str]:
    return world.do(lambda c: enter(c, awards, world.now))


def freed(world: World, ids: list[str]) -> None:
    for attempt_id in ids:
        world.free_award(attempt_id)


def test_the_first_of_its_kind_is_entered(world: World, ids: list[str]) -> None:
    freed(world, ids)

    assert entered(world, award(ids[0])) == {ids[0]}
    assert world.do(lambda c: holds(c, 1, "ann", "once"))


@pytest.mark.parametrize(
    ("changes", "is_new"),
    [
        ({}, False),
        ({"account_id": "98"}, False),  # the same customer
        ({"account_id": None}, False),
        ({"customer_id": "bob"}, False),  # the same account
        ({"customer_id": "bob", "account_id": "98"}, True),
        ({"customer_id": "bob", "account_id": None}, True),
        ({"customer_id": "bob", "platform": "youtube"}, True),
        ({"occurrence": "twice"}, True),
        ({"challenge_id": 2}, True),
    ],
)
def test_a_second_award_needs_another_customer_and_another_account_or_another_occurrence(
    world: World, ids: list[str], changes: dict[str, object], is_new: bool
) -> None:
    freed(world, ids)
    entered(world, award(ids[0]))

    second = entered(world, award(ids[1], **changes))

    assert second == ({ids[1]} if is_new else set())


def test_claims_without_an_account_are_kept_apart_by_the_customer_alone(
    world: World, ids: list[str]
) -> None:
    freed(world, ids)

    won = entered(
        world,
        award(ids[0], account_id=None),
        award(ids[1], account_id=None, customer_id="bob"),
        award(ids[2], account_id=None, customer_id="bob"),
    )

    assert won in ({ids[0], ids[1]}, {ids[0], ids[2]})


def test_an_attempt_is_awarded_once(world: World, ids: list[str]) -> None:
    assert entered(world, award(ids[0], occurrence="another")) == set()


def test_what_is_released_can_be_entered_again(world: World, ids: list[str]) -> None:
    freed(world, ids)
    entered(world, award(ids[0]))

    world.free_award(ids[0])

    assert not world.do(lambda c: holds(c, 1, "ann", "once"))
    assert entered(world, award(ids[1])) == {ids[1]}


def test_no_awards_are_no_statement(world: World) -> None:
    def nothing(connection: Connection) -> set[str]:
        return enter(connection, [], world.now)

    assert world.do(nothing) == set()


@pytest.mark.parametrize(("hold", "state"), [(0, State.DUE), (0.5, State.HELD)])
def test_an_earned_award_is_held_only_when_there_is_a_hold(hold: float, state: State) -> None:
    assert earned_state(hold) is state
