"""Is a person who is shown under several ids one person: to links, the ledger, and the law?"""

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import Any

import pytest
from sqlalchemy.event import listen, remove

from app.domain.answers import Outcome
from app.domain.attempts import State
from app.domain.evidence import Evidence
from app.domain.rules import Repeat
from app.steps import erasure, identities, retention
from app.steps.identities import Linked
from app.steps.retention import Kept
from app.storage.tables import (
    AccountKeyRow,
    AttemptRow,
    AuditRow,
    AwardRow,
    BarRow,
    EventRow,
    IdentityRow,
)
from tests.steps.world import FOLLOW, World, believed

HELD = replace(FOLLOW, hold_seconds=60)
ACCEPTED = Outcome.ACCEPTED
BARRING = replace(FOLLOW, bar_after_undo=True, repeat=Repeat.EVERY_EVENT)


def only_state(world: World, **changes: Any) -> State:
    """What becomes of one event of one rule."""
    rules = changes.pop("rules", (FOLLOW,))
    [receipt] = world.receive(world.event(**changes), rules=rules)
    [state] = receipt.states
    return state


def everyone(world: World) -> dict[str, str]:
    return {row.account_id: row.customer_id for row in world.all(IdentityRow)}


# Who they are linked to.


def test_a_link_by_one_id_is_found_for_an_event_that_shows_both(world: World) -> None:
    world.link("number")

    assert only_state(world, actor="user", aliases=("number",)) is State.DUE


@pytest.mark.parametrize("linked", ["number", "user", "third"])
def test_a_link_by_any_id_is_found_for_an_event_by_any_other(world: World, linked: str) -> None:
    world.join("number", "user")
    world.join("third", "user")
    world.link(linked)

    states = [
        only_state(world, actor=one, rules=(replace(FOLLOW, challenge_id=number),))
        for number, one in enumerate(("number", "user", "third"), 10)
    ]

    assert states == [State.DUE] * 3


def test_linking_another_id_of_an_account_to_another_customer_is_refused(world: World) -> None:
    world.join("number", "user")
    world.link("number", "ann")

    assert world.link("user", "bob") == (Linked.TAKEN, 0)
    assert world.link("user", "ann") == (Linked.CREATED, 0)
    assert everyone(world) == {"number": "ann", "user": "ann"}


def test_an_id_that_is_not_linked_itself_is_told_by_the_link_of_another(world: World) -> None:
    world.join("number", "user")
    world.link("number", "ann", email="ann@example.com")

    found = world.do(lambda c: identities.find(c, "twitch", "user"))

    assert (found.account_id, found.customer_id) == ("number", "ann")
    assert found.email == "ann@example.com"


def test_unlinking_by_one_id_unlinks_the_account(world: World) -> None:
    world.join("number", "user")
    world.link("number")
    world.link("user")

    assert world.unlink("user")
    assert everyone(world) == {}
    assert not world.unlink("number")


def test_linking_one_id_releases_what_waits_under_any(world: World) -> None:
    rule = replace(FOLLOW, repeat=Repeat.EVERY_EVENT)
    for actor, aliases in (("number", ()), ("user", ()), ("user", ("number",))):
        assert only_state(world, actor=actor, aliases=aliases, rules=(rule,)) is State.UNLINKED

    assert world.link("number") == (Linked.CREATED, 3)
    assert world.states() == ["due"] * 3


def test_what_waits_is_released_when_its_id_is_learnt_later(world: World) -> None:
    world.link("number", email="ann@example.com")
    assert only_state(world, actor="user") is State.UNLINKED

    world.join("number", "user")

    [attempt] = world.all(AttemptRow)
    assert (attempt.state, attempt.customer_id) == ("due", "ann")
    assert attempt.email == "ann@example.com"
    assert world.last_change(attempt.id).caused_by == "source:twitch"


def test_ids_of_two_platforms_are_never_one(world: World) -> None:
    world.join("number", "user")
    world.link("number")
    youtube = replace(FOLLOW, platform="youtube")

    assert only_state(world, actor="user", platform="youtube", rules=(youtube,)) is State.UNLINKED


# What they earn.


@pytest.mark.parametrize("first", ["number", "user"])
@pytest.mark.parametrize("second", ["number", "user"])
def test_two_customers_with_one_account_earn_once(world: World, first: str, second: str) -> None:
    world.link("number", "ann")
    world.link("user", "bob")
    world.join("user", "number")

    assert only_state(world, actor=first) is State.DUE
    assert only_state(world, actor=second) is State.DUPLICATE


@pytest.mark.parametrize("paid", ["number", "user"])
@pytest.mark.parametrize("shown", [("number", ()), ("user", ()), ("user", ("number",))])
def test_what_was_earned_before_the_ids_were_known_to_be_one_is_not_earned_again(
    world: World, paid: str, shown: tuple[str, tuple[str, ...]]
) -> None:
    world.link("number", "ann")
    world.link("user", "bob")
    assert only_state(world, actor=paid) is State.DUE

    world.join("number", "user")

    actor, aliases = shown
    assert only_state(world, actor=actor, aliases=aliases) is State.DUPLICATE


def test_the_event_that_tells_that_they_are_one_is_not_paid_again_itself(world: World) -> None:
    world.link("number", "ann")
    assert only_state(world, actor="number") is State.DUE
    world.link("user", "bob")

    assert only_state(world, actor="user", aliases=("number",)) is State.DUPLICATE


def test_two_groups_that_become_one_earn_once(world: World) -> None:
    for a, b, customer in (("a1", "a2", "ann"), ("b1", "b2", "bob")):
        world.join(a, b)
        world.link(a, customer)
        assert only_state(world, actor=b, rules=(FOLLOW,)) is State.DUE

    world.join("b2", "a1")

    later = replace(FOLLOW, challenge_id=2)
    for number, actor in enumerate(("a1", "a2", "b1", "b2")):
        assert only_state(world, actor=actor) is State.DUPLICATE
        state = only_state(world, actor=actor, rules=(later,))
        assert state is (State.DUE if number == 0 else State.DUPLICATE)


def test_an_event_and_its_other_id_in_one_batch_earn_once(world: World) -> None:
    world.link("number", "ann")
    world.link("user", "bob")
    events = [
        world.event(actor="number"),
        world.event(actor="user"),
        world.event(actor="user", aliases=("number",)),
    ]

    receipts = world.receive(*events)

    assert sorted(s for one in receipts for s in one.states) == ["due", "duplicate", "duplicate"]


def test_a_claim_of_a_customer_with_two_ids_of_one_account_names_that_account(
    world: World,
) -> None:
    world.join("number", "user")
    world.link("number")
    world.link("user")

    world.claim(believed(FOLLOW))

    [attempt] = world.all(AttemptRow)
    assert attempt.account_id == "number"
    only_state(world, actor="user", rules=(replace(FOLLOW, challenge_id=1),))
    [proven] = world.all(AttemptRow)
    assert (proven.id, proven.evidence) == (attempt.id, Evidence.SIGNED)


# What they undo.


@pytest.mark.parametrize("undone_by", ["number", "user"])
def test_what_was_done_under_one_id_is_undone_under_another(world: World, undone_by: str) -> None:
    world.join("number", "user")
    world.link("number")
    assert only_state(world, actor="user", rules=(HELD,)) is State.HELD
    world.clock.advance(1)

    world.receive(world.event(actor=undone_by, undone=True))

    assert world.states() == ["withdrawn"]
    assert world.all(AwardRow) == []


@pytest.mark.parametrize("undone_by", ["number", "user"])
def test_an_undoing_under_another_id_that_is_heard_of_first_counts(
    world: World, undone_by: str
) -> None:
    world.join("number", "user")
    world.link("number")
    done = world.event(actor="user")
    world.clock.advance(1)
    world.receive(world.event(actor=undone_by, undone=True))

    [receipt] = world.receive(done, rules=(HELD,))

    assert receipt.states == (State.WITHDRAWN,)


def test_a_claim_without_an_account_is_undone_by_either_id_of_the_only_account(
    world: World,
) -> None:
    attempt_id, _ = world.claim(believed(HELD), target="1337")
    world.join("number", "user")
    world.link("number")
    world.link("user")

    world.receive(world.event(actor="user", undone=True))

    assert world.state(attempt_id) is State.WITHDRAWN


def test_a_bar_from_before_the_ids_were_known_to_be_one_bars_both(world: World) -> None:
    world.link("number")
    assert only_state(world, actor="number", rules=(BARRING,)) is State.DUE
    world.clock.advance(1)
    world.receive(world.event(actor="number", undone=True), rules=(BARRING,))
    world.clock.advance(1)
    assert len(world.all(BarRow)) == 1

    world.join("user", "number")

    assert only_state(world, actor="user", rules=(BARRING,)) is State.REFUSED


# Who moves to a new id.


def test_who_moves_takes_the_link_and_what_waits_along(world: World) -> None:
    world.link("old", "ann", email="ann@example.com", handle="ann")
    assert only_state(world, actor="old") is State.DUE

    world.join("old", "new", replaced=True)

    [row] = world.all(IdentityRow)
    assert (row.account_id, row.customer_id, row.email, row.handle) == (
        "new",
        "ann",
        "ann@example.com",
        "ann",
    )
    assert [one.account_id for one in world.all(AttemptRow)] == ["new"]
    assert only_state(world, actor="new") is State.DUPLICATE
    moved = world.all(AuditRow)[-1]
    assert (moved.change, moved.subject, moved.customer_id) == (
        "identity.moved",
        "twitch/new",
        "ann",
    )
    assert moved.caused_by == "source:twitch"


def test_what_waited_under_the_old_id_is_released_by_linking_the_new_one(world: World) -> None:
    assert only_state(world, actor="old") is State.UNLINKED

    world.join("old", "new", replaced=True)

    assert world.link("new") == (Linked.CREATED, 1)
    assert world.states() == ["due"]


def test_whoever_gets_the_old_id_next_is_somebody_else(world: World) -> None:
    world.link("old", "ann")
    assert only_state(world, actor="old") is State.DUE
    world.join("old", "new", replaced=True)
    world.clock.advance(1)

    assert only_state(world, actor="old") is State.UNLINKED
    assert world.link("old", "bob") == (Linked.CREATED, 1)

    assert world.states() == ["due", "due"]
    assert only_state(world, actor="old") is State.DUPLICATE
    assert only_state(world, actor="new") is State.DUPLICATE


def test_a_move_that_is_told_again_moves_nobody_else(world: World) -> None:
    world.link("old", "ann")
    world.join("old", "new", replaced=True)
    world.clock.advance(1)
    world.link("old", "bob")

    world.join("old", "new", replaced=True)

    assert everyone(world) == {"new": "ann", "old": "bob"}


def test_who_moves_there_and_back_is_known_by_the_first_id_again(world: World) -> None:
    world.link("old", "ann")
    assert only_state(world, actor="old") is State.DUE
    world.join("old", "new", replaced=True)
    world.clock.advance(1)
    world.join("new", "old", replaced=True)

    assert everyone(world) == {"old": "ann"}
    assert only_state(world, actor="old") is State.DUPLICATE
    world.clock.advance(1)
    assert only_state(world, actor="new") is State.UNLINKED


def test_a_move_to_an_id_that_another_customer_has_takes_it_from_nobody(world: World) -> None:
    world.link("old", "ann")
    world.link("new", "bob")

    world.join("old", "new", replaced=True)

    assert everyone(world) == {"new": "bob"}


def test_of_strangers_no_move_is_remembered(world: World) -> None:
    world.join("old", "new", replaced=True)

    assert world.all(AccountKeyRow) == []
    assert world.all(AuditRow) == []


# What is forgotten, and what is not.


def erase(world: World, customer: str = "ann") -> None:
    which = world.do(lambda c: erasure.request(c, customer, "key:1", world.now))
    while world.do(lambda c: erasure.advance(c, which, world.now)):
        pass


def test_an_erasure_forgets_every_id_and_what_was_done_under_it(world: World) -> None:
    world.join("number", "user")
    world.link("number")
    assert only_state(world, actor="user") is State.DUE
    world.receive(world.event(actor="user", action="like"), rules=())

    erase(world)

    assert world.all(AccountKeyRow) == world.all(IdentityRow) == []
    kept = [*world.all(EventRow), *world.all(AttemptRow), *world.all(AuditRow)]
    assert not [row for row in kept if "user" in str(row) or "number" in str(row)]


@pytest.mark.parametrize("shown", ["number", "user", "third"])
def test_an_erased_customer_who_comes_back_under_another_id_is_not_paid_again(
    world: World, shown: str
) -> None:
    world.join("number", "user")
    world.join("user", "third")
    world.link("number")
    attempt_id = world.owed("user")
    world.submit(attempt_id, ACCEPTED)

    erase(world)
    world.link(shown, "somebody-new")

    assert only_state(world, actor=shown) is State.DUPLICATE


def test_an_erasure_leaves_another_customer_the_account_they_share(world: World) -> None:
    world.link("number", "ann")
    world.link("user", "bob")
    world.join("number", "user")
    assert only_state(world, actor="user") is State.DUE

    erase(world, "ann")

    assert everyone(world) == {"user": "bob"}
    assert only_state(world, actor="number") is State.DUPLICATE


@pytest.mark.parametrize("shown", ["number", "user"])
def test_the_ledger_knows_all_ids_after_the_attempt_is_deleted(world: World, shown: str) -> None:
    world.join("number", "user")
    attempt_id = world.owed("user")
    world.submit(attempt_id, ACCEPTED)
    world.confirmed_as(attempt_id, State.GRANTED)
    world.unlink("user")
    world.clock.advance(timedelta(days=2_000).total_seconds())

    for kind in (Kept.EVENTS, Kept.ATTEMPTS):
        world.do(partial(retention.purge, kind=kind, older_than=world.now, limit=100))

    assert world.all(AttemptRow) == world.all(AccountKeyRow) == []
    world.link(shown, "somebody-new")
    assert only_state(world, actor=shown) is State.DUPLICATE


def test_the_ids_of_an_account_that_is_linked_are_kept(world: World) -> None:
    world.link("number")
    world.receive(world.event(actor="user", aliases=("number",)), rules=())
    world.clock.advance(timedelta(days=2_000).total_seconds())

    world.do(lambda c: retention.purge(c, Kept.EVENTS, world.now, 100))

    assert len(world.all(AccountKeyRow)) == 2


def test_the_ids_of_nobody_are_forgotten_with_their_last_event(world: World) -> None:
    world.receive(world.event(actor="user", aliases=("number",)), rules=())
    world.clock.advance(timedelta(days=2_000).total_seconds())
    world.receive(world.event(actor="number"), rules=())

    world.do(lambda c: retention.purge(c, Kept.EVENTS, world.now - timedelta(days=1), 100))
    assert len(world.all(AccountKeyRow)) == 2
    world.clock.advance(timedelta(days=2).total_seconds())
    world.do(lambda c: retention.purge(c, Kept.EVENTS, world.now, 100))
    assert world.all(AccountKeyRow) == []


# What it costs.


@pytest.fixture
def statements(sqlite_world: World) -> Iterator[list[str]]:
    seen: list[str] = []
    sqlite_world.receive(sqlite_world.event(actor="warm"))
    engine = sqlite_world.database._writes

    def note(*args: Any) -> None:
        seen.append(args[2])

    listen(engine, "before_cursor_execute", note)
    yield seen
    remove(engine, "before_cursor_execute", note)


def test_an_event_that_shows_one_id_asks_no_question_more(
    sqlite_world: World, statements: list[str]
) -> None:
    sqlite_world.receive(sqlite_world.event(actor="plain"))

    asked = [one for one in statements if one.lstrip().startswith("SELECT")]
    assert len([one for one in asked if "account_keys" in one]) == 1
    # What it asked before as well: who is linked, and nothing else.
    assert len(asked) == 1
