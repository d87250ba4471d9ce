"""Does the latest time decide, when a platform sends the same event again?"""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from app.domain.answers import Outcome
from app.domain.attempts import State
from app.domain.events import Event
from app.domain.rules import Repeat
from app.storage.tables import AttemptRow, AwardRow, BarRow
from tests.steps.world import FOLLOW, World

HOUR = 3_600.0
HELD = replace(FOLLOW, hold_seconds=HOUR)
BARRING = replace(FOLLOW, bar_after_undo=True, repeat=Repeat.EVERY_EVENT)


def shown(world: World, at: datetime, **changes: Any) -> Event:
    """The post, as its platform says that it is there since that time."""
    return replace(world.event(key="shown", occurred_at=at), received_at=world.now, **changes)


def hidden(world: World, at: datetime, **changes: Any) -> Event:
    values = {"undone": True, "undoes": "shown", **changes}
    return replace(world.event(key="hidden", occurred_at=at), received_at=world.now, **values)


def moments(world: World, count: int) -> list[datetime]:
    """Times that have passed, a minute apart."""
    began = world.now
    world.clock.advance(60.0 * count)
    return [began + timedelta(minutes=number) for number in range(count)]


@pytest.mark.parametrize("by", [{}, {"undoes": None}, {"actor": None}])
def test_what_is_shown_again_inside_its_hold_is_held_again(
    world: World, by: dict[str, Any]
) -> None:
    world.link()
    first, second, third = moments(world, 3)
    world.receive(shown(world, first), rules=(HELD,))
    world.receive(hidden(world, second, **by))
    assert world.states() == ["withdrawn"]

    world.receive(shown(world, third), rules=(HELD,))

    [attempt] = world.all(AttemptRow)
    assert (attempt.state, attempt.undone_at) == ("held", None)
    assert attempt.next_at == world.now + timedelta(hours=1)
    assert world.timeline(attempt.id) == ["held", "withdrawn", "held"]
    assert len(world.all(AwardRow)) == 1


def test_an_old_telling_that_is_repeated_changes_nothing(world: World) -> None:
    world.link()
    first, second, _ = moments(world, 3)
    world.receive(shown(world, first), rules=(HELD,))
    world.receive(hidden(world, second))
    world.clock.advance(1)

    world.receive(shown(world, first), rules=(HELD,))

    assert world.states() == ["withdrawn"]
    assert world.all(AwardRow) == []


def test_without_a_time_of_the_platforms_a_repetition_says_nothing(world: World) -> None:
    world.link()
    world.receive(shown(world, world.now), rules=(HELD,))
    world.clock.advance(1)
    world.receive(hidden(world, world.now))
    world.clock.advance(1)

    world.receive(shown(world, world.now), rules=(HELD,))

    assert world.states() == ["withdrawn"]


def test_a_platforms_clock_that_is_ahead_brings_nothing_back_by_a_repetition(
    world: World,
) -> None:
    world.link()
    ahead = world.now + timedelta(minutes=5)
    world.receive(shown(world, ahead), rules=(HELD,))
    world.clock.advance(1)
    world.receive(hidden(world, ahead + timedelta(seconds=1)))
    world.clock.advance(1)

    world.receive(shown(world, ahead), rules=(HELD,))

    assert world.states() == ["withdrawn"]


def test_a_time_of_its_own_for_being_shown_counts(world: World) -> None:
    world.link()
    first, second, third = moments(world, 3)
    world.receive(shown(world, first, shown_at=first), rules=(HELD,))
    world.receive(hidden(world, second))

    world.receive(shown(world, first, shown_at=third), rules=(HELD,))

    assert world.states() == ["held"]


def test_what_is_hidden_once_more_is_withdrawn_once_more(world: World) -> None:
    world.link()
    times = moments(world, 5)
    for number, at in enumerate(times):
        world.receive((hidden if number % 2 else shown)(world, at), rules=(HELD,))
    assert world.states() == ["held"]

    world.clock.advance(1)
    world.receive(hidden(world, world.now - timedelta(seconds=1)))
    assert world.states() == ["withdrawn"]
    # And late repetitions of all that was told before.
    for number, at in enumerate(times):
        world.receive((hidden if number % 2 else shown)(world, at), rules=(HELD,))
    assert world.states() == ["withdrawn"]


def test_the_order_in_which_it_is_heard_does_not_matter(world: World) -> None:
    world.link()
    first, second, third = moments(world, 3)
    world.receive(shown(world, first), rules=(HELD,))
    world.receive(shown(world, third), rules=(HELD,))

    world.receive(hidden(world, second))

    assert world.states() == ["held"]


def test_all_of_it_in_one_batch_ends_as_one_by_one(world: World) -> None:
    world.link()
    first, second, third, fourth = moments(world, 4)

    world.receive(
        shown(world, first),
        hidden(world, second),
        shown(world, third),
        hidden(world, second),
        rules=(HELD,),
    )
    assert world.states() == ["held"]

    world.receive(hidden(world, fourth), shown(world, third), rules=(HELD,))
    assert world.states() == ["withdrawn"]


def test_what_a_person_withdrew_stays_so(world: World) -> None:
    world.link()
    first, second, third = moments(world, 3)
    world.receive(shown(world, first), rules=(FOLLOW,))
    [attempt_id] = world.ids()
    world.receive(hidden(world, second))
    world.cancel(attempt_id)

    world.receive(shown(world, third), rules=(FOLLOW,))

    assert world.state(attempt_id) is State.WITHDRAWN


def test_what_may_have_been_paid_is_not_owed_again(world: World) -> None:
    world.link()
    first, second, third = moments(world, 3)
    world.receive(shown(world, first), rules=(replace(HELD, hold_seconds=240),))
    [attempt_id] = world.ids()
    world.clock.advance(HOUR)
    world.strike()
    world.submit(attempt_id, Outcome.UNKNOWN)
    world.receive(hidden(world, second))
    assert world.state(attempt_id) is State.WITHDRAWN

    world.receive(shown(world, third), rules=(HELD,))

    assert world.state(attempt_id) is State.WITHDRAWN


def test_an_award_that_another_has_meanwhile_is_not_given_twice(world: World) -> None:
    world.link()
    first, second, third = moments(world, 3)
    world.receive(shown(world, first), rules=(HELD,))
    world.clock.advance(1)
    world.receive(world.event(key="another"), rules=(HELD,))
    world.receive(hidden(world, second))
    assert world.states() == ["withdrawn", "held"]

    world.receive(shown(world, third), rules=(HELD,))

    assert world.states() == ["duplicate", "held"]
    assert len(world.all(AwardRow)) == 1


def test_what_nobody_was_linked_to_waits_again(world: World) -> None:
    first, second, third = moments(world, 3)
    world.receive(shown(world, first), rules=(HELD,))
    world.receive(hidden(world, second))

    world.receive(shown(world, third), rules=(HELD,))
    assert world.states() == ["unlinked"]

    world.link()
    assert world.states() == ["held"]


def test_what_was_linked_meanwhile_is_its_customers(world: World) -> None:
    first, second, third = moments(world, 3)
    world.receive(shown(world, first), rules=(HELD,))
    world.receive(hidden(world, second))
    world.link(email="ann@example.com")

    world.receive(shown(world, third), rules=(HELD,))

    [attempt] = world.all(AttemptRow)
    assert (attempt.state, attempt.customer_id, attempt.email) == (
        "held",
        "ann",
        "ann@example.com",
    )


def test_what_was_hidden_before_it_was_heard_of_is_held_when_it_is_shown(world: World) -> None:
    world.link()
    first, second, third = moments(world, 3)
    world.receive(hidden(world, second))
    world.receive(shown(world, first), rules=(HELD,))
    assert world.states() == ["withdrawn"]

    world.receive(shown(world, third), rules=(HELD,))

    assert world.states() == ["held"]


def test_what_is_heard_of_first_when_it_is_shown_again_is_held(world: World) -> None:
    world.link()
    first, second, third = moments(world, 3)
    world.receive(hidden(world, second))

    world.receive(shown(world, first, shown_at=third), rules=(HELD,))

    assert world.states() == ["held"]


def test_what_was_paid_is_no_longer_flagged_and_its_bar_stays(world: World) -> None:
    world.link()
    first, second, third = moments(world, 3)
    world.receive(shown(world, first), rules=(BARRING,))
    [attempt_id] = world.ids()
    world.submit(attempt_id, Outcome.ACCEPTED)
    world.receive(hidden(world, second), rules=(BARRING,))
    assert world.attempt(attempt_id).undone_at == second

    world.receive(shown(world, third), rules=(BARRING,))

    assert world.attempt(attempt_id).undone_at is None
    assert world.timeline(attempt_id) == ["due", "accepted", "accepted", "accepted"]
    assert len(world.all(BarRow)) == 1
