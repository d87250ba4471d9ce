"""Is what an earlier version received under another key known, and never paid twice?"""

from dataclasses import replace
from typing import Any

import pytest

from app.domain.attempts import State
from app.domain.events import Event
from app.domain.rules import Repeat
from app.storage.tables import AttemptRow
from tests.steps.world import FOLLOW, World

EACH = replace(FOLLOW, repeat=Repeat.EVERY_EVENT)


def message(world: World, delivery: str, edit: str = "message") -> Event:
    return world.event(key=edit, former_keys=(delivery,))


def test_what_is_known_by_a_former_key_earns_nothing(world: World) -> None:
    world.link()
    world.receive(world.event(key="delivery-1"), rules=(EACH,))

    [receipt] = world.receive(message(world, "delivery-1"), rules=(EACH,))

    assert (receipt.is_new, receipt.states) == (False, ())
    assert world.states() == ["due"]


def test_the_same_message_in_another_delivery_earns_nothing(world: World) -> None:
    world.link()

    for delivery in ("delivery-1", "delivery-2", "delivery-1"):
        world.receive(message(world, delivery), rules=(EACH,))

    assert world.states() == ["due"]


def test_an_edit_of_what_is_known_by_a_former_key_earns_nothing(world: World) -> None:
    world.link()
    world.receive(world.event(key="delivery-1"), rules=(EACH,))
    world.receive(message(world, "delivery-1"), rules=(EACH,))

    world.receive(message(world, "delivery-2"), rules=(EACH,))

    assert world.states() == ["due"]


def test_an_earlier_version_that_runs_beside_this_one_pays_no_second_time(world: World) -> None:
    world.link()
    world.receive(message(world, "delivery-1"), rules=(EACH,))

    # As the version before makes of it: it knows the key of the delivery only.
    [receipt] = world.receive(world.event(key="delivery-1"), rules=(EACH,))

    assert receipt.states == (State.DUPLICATE,)


@pytest.mark.parametrize("other", [{"source": "twitch-eu"}, {"undone": True}])
def test_a_former_key_of_another_source_or_of_a_removal_is_not_meant(
    world: World, other: dict[str, Any]
) -> None:
    world.link()
    world.receive(replace(world.event(key="delivery-1"), **other), rules=())
    world.clock.advance(1)

    world.receive(message(world, "delivery-1"), rules=(EACH,))

    assert world.states() == ["due"]


def test_a_former_key_that_is_the_key_itself_knows_nothing(world: World) -> None:
    world.link()

    world.receive(world.event(key="same", former_keys=("same",)), rules=(EACH,))

    assert world.states() == ["due"]


# A target by its other names.


def test_a_rule_may_name_a_target_by_any_of_its_names(world: World) -> None:
    world.link()
    post = world.event(target="post", target_aliases=("ad",))
    rules = [
        replace(FOLLOW, challenge_id=i, target=t) for i, t in enumerate(("post", "ad", "x"), 1)
    ]

    world.receive(post, rules=rules)

    assert sorted(row.challenge_id for row in world.all(AttemptRow)) == [1, 2]
    assert {row.target for row in world.all(AttemptRow)} == {"post"}


@pytest.mark.parametrize("actor", ["99", "98"])
def test_an_award_under_another_name_of_the_target_is_the_same(world: World, actor: str) -> None:
    rule = replace(FOLLOW, repeat=Repeat.PER_TARGET)
    world.link("99", "ann")
    world.link("98", "ann")
    states: list[State] = []

    for event in (
        world.event(target="ad"),
        world.event(target="post", target_aliases=("ad",), actor=actor),
        world.event(target="post", target_aliases=("another",), actor=actor),
    ):
        [receipt] = world.receive(event, rules=(rule,))
        states += receipt.states

    assert states == ["due", "duplicate", "due"]


def test_a_removal_by_another_name_of_the_target_finds_the_action(world: World) -> None:
    world.link()
    held = replace(FOLLOW, hold_seconds=60)
    world.receive(world.event(target="Shop/Repo"), rules=(held,))
    world.clock.advance(1)

    removed = world.event(target="shop/repo", target_aliases=("Shop/Repo",), undone=True)
    world.receive(removed)

    assert world.states() == ["withdrawn"]


def test_a_claim_about_another_name_of_the_target_is_proven(world: World) -> None:
    world.link()
    attempt_id, _ = world.claim(target="ad")

    world.receive(world.event(target="post", target_aliases=("ad",)))

    assert world.state(attempt_id) is State.DUE
