"""Does a removal take back exactly what it names, whoever removed it and whenever we hear of it?"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from app.domain.attempts import State
from app.domain.events import Event
from app.domain.rules import Repeat, Rule
from app.storage.tables import AttemptRow
from tests.steps.world import FOLLOW, World

HELD = replace(FOLLOW, hold_seconds=3_600)
EACH = replace(HELD, repeat=Repeat.EVERY_EVENT)

Removal = Callable[[World], Event]


def comments(world: World, *things: str, rule: Rule = EACH, actor: str = "99") -> None:
    for thing in things:
        event = world.event(key=f"key of {thing}", thing=thing, actor=actor)
        world.receive(event, rules=(rule,))
        world.clock.advance(1)


def by_thing(world: World, thing: str = "c1", **changes: Any) -> Event:
    return world.event(undone=True, thing=thing, **changes)


def by_key(world: World, thing: str = "c1", **changes: Any) -> Event:
    return world.event(undone=True, undoes=f"key of {thing}", **changes)


def states(world: World) -> dict[str | None, str]:
    """The states of attempts by what they are about."""
    things = {row.id: row.thing for row in world.stored_events()}
    return {things[row.event_id]: row.state for row in world.all(AttemptRow)}


@pytest.mark.parametrize("removal", [by_thing, by_key])
@pytest.mark.parametrize("actor", ["99", None])
def test_one_of_two_comments_is_taken_back(
    world: World, removal: Removal, actor: str | None
) -> None:
    world.link()
    comments(world, "c1", "c2")

    world.receive(replace(removal(world), actor=actor))

    assert states(world) == {"c1": "withdrawn", "c2": "held"}


@pytest.mark.parametrize("removal", [by_thing, by_key])
@pytest.mark.parametrize("actor", ["99", None])
def test_a_removal_that_is_heard_of_first_takes_its_comment_back(
    world: World, removal: Removal, actor: str | None
) -> None:
    world.link()
    done = [world.event(key=f"key of {one}", thing=one) for one in ("c1", "c2")]
    world.clock.advance(1)
    world.receive(replace(removal(world), actor=actor))

    world.receive(*done, rules=(EACH,))

    assert states(world) == {"c1": "withdrawn", "c2": "held"}


@pytest.mark.parametrize("removal", [by_thing, by_key])
@pytest.mark.parametrize("other", [{"source": "twitch-eu"}, {"action": "like"}])
@pytest.mark.parametrize("is_first", [True, False])
def test_without_an_author_only_its_own_source_and_action_are_meant(
    world: World, removal: Removal, other: dict[str, Any], is_first: bool
) -> None:
    world.link()
    removed = replace(removal(world), actor=None, **other)
    if is_first:
        world.clock.advance(1)
        world.receive(removed)
    comments(world, "c1")
    if not is_first:
        world.receive(replace(removed, occurred_at=world.now, received_at=world.now))

    assert states(world) == {"c1": "held"}


def test_a_thing_of_another_account_is_not_taken_back_by_this_one(world: World) -> None:
    world.link("99", "ann")
    world.link("98", "bob")
    comments(world, "like", actor="99")
    event = world.event(key="of bob", thing="like", actor="98")
    world.receive(event, rules=(EACH,))
    world.clock.advance(1)

    world.receive(by_thing(world, "like", actor="98"))

    assert world.states() == ["held", "withdrawn"]


def test_the_other_emoji_keeps_the_like(world: World) -> None:
    world.link()
    rule = replace(HELD, repeat=Repeat.PER_TARGET)
    comments(world, "heart", "smile", rule=rule)
    assert states(world) == {"heart": "held", "smile": "duplicate"}

    world.receive(by_thing(world, "heart"))

    assert states(world) == {"heart": "withdrawn", "smile": "held"}


@pytest.mark.parametrize("actor", ["99", None])
def test_another_comment_stands_in_when_a_moderator_removes_the_first(
    world: World, actor: str | None
) -> None:
    world.link()
    comments(world, "c1", "c2", rule=HELD)

    world.receive(by_thing(world, "c1", actor=actor))

    assert states(world) == {"c1": "withdrawn", "c2": "held"}


def test_the_same_emoji_given_again_later_stays(world: World) -> None:
    world.link()
    early = world.event(undone=True, thing="heart")
    world.clock.advance(1)
    comments(world, "heart")

    world.receive(replace(early, received_at=world.now))

    assert states(world) == {"heart": "held"}


def test_what_an_earlier_version_received_has_no_thing_and_goes_by_its_target(
    world: World,
) -> None:
    world.link()
    world.receive(world.event(key="delivery-1"), rules=(EACH,))
    world.clock.advance(1)
    world.receive(world.event(key="delivery-2", target="1338"), rules=(EACH,))
    world.clock.advance(1)

    world.receive(by_thing(world, "c1"))
    assert world.states() == ["withdrawn", "held"]

    # Without an author too much would be taken back.
    world.receive(by_thing(world, "c1", actor=None, target="1338"))
    assert world.states() == ["withdrawn", "held"]


@pytest.mark.parametrize("actor", ["99", None])
def test_a_removal_finds_its_action_by_a_former_key(world: World, actor: str | None) -> None:
    world.link()
    world.receive(world.event(key="former"), rules=(EACH,))
    world.clock.advance(1)

    removed = world.event(undone=True, undoes="new", former_keys=("former",), actor=actor)
    world.receive(removed, rules=(EACH,))

    assert world.states() == ["withdrawn"]


def test_a_removal_without_an_author_undoes_what_was_done_under_another_id(world: World) -> None:
    world.join("99", "98")
    world.link("98")
    comments(world, "c1")

    world.receive(by_thing(world, "c1", actor=None))

    assert world.states() == [State.WITHDRAWN]


def test_a_paid_comment_that_a_moderator_removes_is_flagged_and_bars_its_author(
    world: World,
) -> None:
    world.link()
    rule = replace(FOLLOW, bar_after_undo=True, repeat=Repeat.EVERY_EVENT)
    comments(world, "c1", rule=rule)

    world.receive(by_thing(world, "c1", actor=None))
    world.clock.advance(1)

    assert world.attempt(world.ids()[0]).undone_at is not None
    comments(world, "c2", rule=rule)
    assert states(world)["c2"] == "refused"
