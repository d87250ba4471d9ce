"""Does a verified event become history once, and earn once?"""

import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy.event import listens_for

from app.domain.attempts import State
from app.domain.evidence import Evidence
from app.domain.rules import Repeat, Rule
from app.steps import identities, intake, prefetch, timers
from app.steps.identities import Identity
from app.steps.intake import Receipt
from app.storage import pipeline
from app.storage.database import Database
from app.storage.tables import AttemptRow
from app.storage.vault import Vault
from tests.clock import Clock
from tests.keys import KEYS
from tests.steps.world import FOLLOW, MONTH, World

HELD = replace(FOLLOW, hold_seconds=3_600)
EVERY = replace(FOLLOW, repeat=Repeat.EVERY_EVENT)


def test_an_event_of_a_linked_account_is_owed_at_once(world: World) -> None:
    world.link(email="ann@shop.test", mobile="+49 30 1")
    event = world.event(actor_handle="ann_plays", payload=b'{"raw": "\xc3\xa9"}')

    receipts = world.receive(event)

    assert receipts == [Receipt(True, (State.DUE,))]
    [attempt] = world.all(AttemptRow)
    assert (attempt.state, attempt.customer_id, attempt.challenge_id) == ("due", "ann", 1)
    assert (attempt.email, attempt.mobile) == ("ann@shop.test", "+49 30 1")
    assert (attempt.source, attempt.platform, attempt.action) == ("twitch", "twitch", "follow")
    assert (attempt.account_id, attempt.target, attempt.occurrence) == ("99", "1337", "once")
    assert (attempt.evidence, attempt.next_at) == (Evidence.SIGNED, world.now)
    assert (attempt.fence, attempt.round, attempt.lease_until) == (0, 0, None)
    assert world.awards() == [(1, "ann", "99", "once")]
    assert world.timeline(attempt.id) == ["due"]
    assert world.last_change(attempt.id).caused_by == "source:twitch"


def test_an_event_is_kept_as_it_came(world: World) -> None:
    event = world.event(actor_handle="ann_plays", payload=b"\x00\xff", undone=False)

    world.receive(event)

    [kept] = world.stored_events()
    for name in vars(kept).keys() & set(type(event).__slots__):
        assert getattr(kept, name) == getattr(event, name)


def test_an_event_of_an_account_nobody_knows_waits_to_be_linked(world: World) -> None:
    receipts = world.receive(world.event())

    assert receipts == [Receipt(True, (State.UNLINKED,))]
    [attempt] = world.all(AttemptRow)
    assert (attempt.customer_id, attempt.next_at) == (None, world.now + MONTH)
    assert world.awards() == []


@pytest.mark.parametrize("linked", [False, True])
def test_a_known_event_changes_nothing(world: World, linked: bool) -> None:
    if linked:
        world.link()
    event = world.event()
    world.receive(event)
    before = world.all(AttemptRow)
    world.clock.advance(86_400)

    again = world.receive(replace(event, payload=b"other", received_at=world.now, actor="100"))

    assert again == [Receipt(False)]
    assert world.all(AttemptRow) == before
    assert [row.payload for row in world.stored_events()] == [b"{}"]


def test_the_same_key_from_another_source_is_another_event(world: World) -> None:
    event = world.event(source="twitch-eu")
    world.receive(event)

    receipts = world.receive(replace(event, source="twitch-us"))

    assert receipts[0].is_new


def test_one_event_earns_every_challenge_it_has_a_rule_for(world: World) -> None:
    world.link()
    rules = (FOLLOW, replace(HELD, challenge_id=2), replace(FOLLOW, challenge_id=3, action="like"))

    receipts = world.receive(world.event(), rules=rules)

    assert receipts == [Receipt(True, (State.DUE, State.HELD))]
    assert world.awards() == [(1, "ann", "99", "once"), (2, "ann", "99", "once")]


def test_an_event_that_earns_nothing_is_history_all_the_same(world: World) -> None:
    receipts = world.receive(world.event(), rules=())

    assert receipts == [Receipt(True, is_matched=False)]
    assert [event.reason for event in world.stored_events()] == ["fits no rule"]
    assert world.all(AttemptRow) == []


def test_nothing_received_is_nothing_written(world: World) -> None:
    assert world.receive() == []


def test_every_arrival_of_a_batch_gets_its_own_receipt(world: World) -> None:
    world.link("1", "ann")
    known = world.event(key="z", actor="1")
    world.receive(known)

    # Sorted neither by key nor by source, with one known and one twice in it.
    batch = [
        world.event(key="m", actor="2"),
        known,
        world.event(key="a", actor="1"),
        world.event(key="m", actor="2"),
        world.event(key="b", actor="3", action="like"),
    ]
    receipts = world.receive(*batch)

    assert receipts == [
        Receipt(True, (State.UNLINKED,)),
        Receipt(False),
        Receipt(True, (State.DUPLICATE,)),
        Receipt(False),
        Receipt(True, is_matched=False),
    ]
    assert len(world.stored_events()) == 4
    assert sorted(world.states()) == ["due", "duplicate", "unlinked"]


def test_a_thousand_events_come_in_one_batch(world: World) -> None:
    world.link()
    batch = [world.event() for _ in range(1_000)]

    receipts = world.receive(*batch, rules=(EVERY,))

    assert all(receipt == Receipt(True, (State.DUE,)) for receipt in receipts)
    assert len(world.awards()) == 1_000


# The award ledger: once for the customer and once for the account.


def test_following_again_earns_nothing_more(world: World) -> None:
    world.link()
    world.receive(world.event())

    receipts = world.receive(world.event())

    assert receipts == [Receipt(True, (State.DUPLICATE,))]
    assert len(world.awards()) == 1


def test_two_accounts_of_one_customer_earn_one_reward(world: World) -> None:
    world.link("1", "ann")
    world.link("2", "ann")

    first = world.receive(world.event(actor="1"))
    second = world.receive(world.event(actor="2"))

    assert (first[0].states, second[0].states) == ((State.DUE,), (State.DUPLICATE,))


def test_one_account_passed_between_customers_earns_for_one(world: World) -> None:
    world.link("1", "ann")
    world.receive(world.event(actor="1"))
    world.unlink("1")
    world.link("1", "bob")

    receipts = world.receive(world.event(actor="1"))

    assert receipts == [Receipt(True, (State.DUPLICATE,))]
    assert world.awards() == [(1, "ann", "1", "once")]


@pytest.mark.parametrize("actors", [("1", "1"), ("1", "2")])
def test_two_of_one_award_in_one_batch_earn_once(world: World, actors: tuple[str, str]) -> None:
    world.link("1", "ann")
    world.link("2", "ann")

    receipts = world.receive(*(world.event(actor=actor) for actor in actors))

    assert sorted(receipt.states[0] for receipt in receipts) == [State.DUE, State.DUPLICATE]
    assert len(world.awards()) == 1


def test_accounts_of_two_platforms_with_one_number_are_two_accounts(world: World) -> None:
    world.link("1", "ann")
    rules = (FOLLOW, replace(FOLLOW, platform="youtube"))

    receipts = world.receive(world.event(actor="1", platform="youtube"), rules=rules)

    assert receipts == [Receipt(True, (State.UNLINKED,))]


@pytest.mark.parametrize(
    ("repeat", "second", "states"),
    [
        (Repeat.PER_TARGET, {"target": "1338"}, (State.DUE,)),
        (Repeat.PER_TARGET, {}, (State.DUPLICATE,)),
        (Repeat.EVERY_EVENT, {}, (State.DUE,)),
    ],
)
def test_an_occurrence_of_its_own_is_paid_for_itself(
    world: World, repeat: Repeat, second: dict[str, str], states: tuple[State, ...]
) -> None:
    rules = (replace(FOLLOW, repeat=repeat),)
    world.link()
    world.receive(world.event(), rules=rules)

    receipts = world.receive(world.event(**second), rules=rules)

    assert receipts[0].states == states


def test_a_day_is_the_day_on_which_it_happened(world: World) -> None:
    rules = (replace(FOLLOW, repeat=Repeat.PER_DAY),)
    world.link()
    world.receive(world.event(), rules=rules)

    late = world.event(occurred_at=world.now - timedelta(days=1))
    receipts = world.receive(late, rules=rules)

    assert receipts[0].states == (State.DUE,)
    assert [award[3] for award in world.awards()] == ["day:2026-01-05", "day:2026-01-04"]


def test_the_longest_names_a_platform_may_send_fit(world: World) -> None:
    world.link("a" * 255)
    event = world.event(
        source="s" * 64, key="k" * 255, actor="a" * 255, actor_handle="h" * 255, target="t" * 255
    )

    receipts = world.receive(
        event, rules=(EVERY, replace(FOLLOW, challenge_id=2, repeat=Repeat.PER_TARGET))
    )

    assert receipts == [Receipt(True, (State.DUE, State.DUE))]


# Undone inside the hold.


def test_what_is_held_is_not_yet_due(world: World) -> None:
    world.link()

    receipts = world.receive(world.event(), rules=(HELD,))

    assert receipts == [Receipt(True, (State.HELD,))]
    [attempt] = world.all(AttemptRow)
    assert attempt.next_at == world.now + timedelta(hours=1)
    assert world.due() == []
    assert len(world.awards()) == 1


def test_an_action_undone_inside_the_hold_earns_nothing(world: World) -> None:
    world.link()
    world.receive(world.event(), rules=(HELD,))
    world.clock.advance(60)

    world.receive(world.event(undone=True), rules=(HELD,))

    [attempt] = world.all(AttemptRow)
    assert (attempt.state, attempt.next_at) == ("withdrawn", None)
    assert world.timeline(attempt.id) == ["held", "withdrawn"]
    assert world.awards() == []


def test_an_action_done_again_after_it_was_undone_earns(world: World) -> None:
    world.link()
    world.receive(world.event(), rules=(HELD,))
    world.receive(world.event(undone=True), rules=(HELD,))
    world.clock.advance(1)

    receipts = world.receive(world.event(), rules=(HELD,))

    assert receipts[0].states == (State.HELD,)


def test_an_action_undone_before_anybody_linked_the_account_earns_nothing(world: World) -> None:
    world.receive(world.event())
    world.receive(world.event(undone=True))

    _, released = world.link()

    assert released == 0
    assert world.states() == ["withdrawn"]


def test_what_is_already_owed_is_not_taken_back(world: World) -> None:
    attempt_id = world.owed()

    world.receive(world.event(undone=True))

    assert world.state(attempt_id) is State.DUE
    assert len(world.awards()) == 1


@pytest.mark.parametrize(
    "other", [{"target": "1338"}, {"actor": "98"}, {"action": "like"}, {"platform": "youtube"}]
)
def test_undoing_something_else_withdraws_nothing(world: World, other: dict[str, str]) -> None:
    world.link()
    world.receive(world.event(), rules=(HELD,))

    world.receive(world.event(undone=True, **other), rules=(HELD,))

    assert world.states() == ["held"]


def test_an_undoing_without_a_target_withdraws_every_target(world: World) -> None:
    world.link()
    rules = (replace(HELD, repeat=Repeat.PER_TARGET),)
    world.receive(world.event(), world.event(target="1338"), rules=rules)

    world.receive(world.event(undone=True, target=None), rules=rules)

    assert world.states() == ["withdrawn", "withdrawn"]


def test_an_undoing_seen_before_withdraws_nothing_more(world: World) -> None:
    world.link()
    undoing = world.event(undone=True)
    world.receive(undoing)
    world.receive(world.event(), rules=(HELD,))

    world.receive(undoing)

    assert world.states() == ["held"]


def test_an_undoing_withdraws_nothing_that_came_after_it(world: World) -> None:
    world.link()
    earlier = world.event(undone=True)
    world.clock.advance(1)

    # One group commit may carry both, in the order of their keys and not of their arrival.
    world.receive(world.event(key="a"), earlier, rules=(HELD,))

    assert world.states() == ["held"]


def test_an_undone_event_earns_nothing_itself(world: World) -> None:
    world.link()

    receipts = world.receive(world.event(undone=True))

    assert receipts == [Receipt(True)]
    assert world.all(AttemptRow) == []


# Claims that wait for the platform's own event.


def test_an_event_confirms_the_claim_that_waits_for_it(world: World) -> None:
    world.link()
    claim_id, state = world.claim(replace(FOLLOW, hold_seconds=60))
    world.clock.advance(5)

    receipts = world.receive(world.event())

    assert (state, receipts[0].states) == (State.CHECKING, (State.HELD,))
    [attempt] = world.all(AttemptRow)
    assert attempt.id == claim_id
    assert (attempt.evidence, attempt.account_id, attempt.target) == ("signed", "99", "1337")
    assert attempt.event_id == world.stored_events()[0].id
    assert world.timeline(claim_id) == ["checking", "held"]
    assert len(world.awards()) == 1


@pytest.mark.parametrize("is_linked_first", [True, False])
def test_a_claim_under_another_rule_of_the_challenge_shortens_no_hold(
    world: World, is_linked_first: bool
) -> None:
    """One source's rule waits for a day, another's not at all: both are of the same platform."""
    rule = replace(FOLLOW, hold_seconds=60, bar_after_undo=True)
    if is_linked_first:
        world.link()
    claim_id, _ = world.claim(replace(FOLLOW, source="another"))

    world.receive(world.event(), rules=(rule,))
    world.link()

    claim = world.attempt(claim_id)
    assert (claim.state, claim.evidence) == (State.HELD, "signed")
    assert (claim.hold_seconds, claim.bar_after_undo) == (60, True)


@pytest.mark.parametrize(
    "rule",
    [
        replace(FOLLOW, challenge_id=2),
        replace(FOLLOW, action="like"),
        replace(FOLLOW, platform="youtube"),
        replace(FOLLOW, target="1338"),
    ],
)
def test_an_event_confirms_no_claim_of_something_else(world: World, rule: Rule) -> None:
    world.link()
    claim_id, _ = world.claim(rule)

    receipts = world.receive(world.event())

    assert receipts[0].states == (State.DUE,)
    assert world.state(claim_id) is State.CHECKING


def test_an_event_confirms_no_claim_of_somebody_else(world: World) -> None:
    world.link("99", "ann")
    claim_id, _ = world.claim(customer="bob")

    world.receive(world.event())

    assert world.state(claim_id) is State.CHECKING


def test_one_event_confirms_one_claim(world: World) -> None:
    world.link()
    first, _ = world.claim()
    world.clock.advance(1)
    second, _ = world.claim()

    world.receive(world.event())

    assert (world.state(first), world.state(second)) == (State.DUE, State.CHECKING)


# At the same instant.


def test_copies_of_one_event_at_the_same_instant_are_one_event(world: World) -> None:
    world.link()
    event = world.event()

    with ThreadPoolExecutor(8) as pool:
        receipts = list(pool.map(lambda _: world.receive(event)[0], range(8)))

    assert sum(receipt.is_new for receipt in receipts) == 1
    assert world.states() == ["due"]


def test_events_of_one_award_at_the_same_instant_earn_once(world: World) -> None:
    for account in range(8):
        world.link(str(account), "ann")
    events = [world.event(actor=str(account)) for account in range(8)]

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(world.receive, events))

    assert sorted(world.states()) == ["due", *["duplicate"] * 7]
    assert len(world.awards()) == 1


def test_an_event_and_the_link_of_its_account_never_miss_each_other(world: World) -> None:
    with ThreadPoolExecutor(2) as pool:
        for account in range(15):
            name = str(account)
            event = world.event(actor=name)
            linking = pool.submit(world.link, name, f"customer-{name}")
            receiving = pool.submit(world.receive, event)
            linking.result(10)
            receiving.result(10)

    assert set(world.states()) == {"due"}
    assert len(world.awards()) == 15


def test_an_undoing_that_meets_the_end_of_the_hold_is_no_error(
    postgres: Database, clock: Clock
) -> None:
    world = World(database=postgres, clock=clock)
    world.link()
    world.receive(world.event(), rules=(HELD,))
    clock.advance(3_600)
    struck = threading.Event()

    def strike_slowly() -> None:
        def step(connection: object) -> None:
            timers.fire(connection, clock.now(), 10)  # type: ignore[arg-type]
            struck.set()
            time.sleep(0.2)

        postgres.write(step)

    with ThreadPoolExecutor(1) as pool:
        striking = pool.submit(strike_slowly)
        assert struck.wait(10)
        receipts = world.receive(world.event(undone=True), rules=(HELD,))
        striking.result(10)

    assert receipts[0].is_new
    assert world.states() == ["due"]


def test_an_undoing_that_meets_a_link_withdraws_what_was_released(
    postgres: Database, clock: Clock
) -> None:
    world = World(database=postgres, clock=clock)
    world.receive(world.event(), rules=(HELD,))
    released = threading.Event()

    def link_slowly() -> None:
        def step(connection: object) -> None:
            identity = Identity(platform="twitch", account_id="99", customer_id="ann")
            identities.link(connection, identity, "shop", clock.now())  # type: ignore[arg-type]
            released.set()
            time.sleep(0.2)

        postgres.write(step)

    with ThreadPoolExecutor(1) as pool:
        linking = pool.submit(link_slowly)
        assert released.wait(10)
        world.receive(world.event(undone=True), rules=(HELD,))
        linking.result(10)

    assert world.states() == ["withdrawn"]
    assert world.awards() == []


def test_every_column_of_an_attempt_is_named_in_bulk() -> None:
    row = intake.new_attempt(Vault(KEYS), id="x")

    assert set(row) == {column.key for column in AttemptRow.__table__.columns}


@pytest.mark.parametrize(
    ("rule", "then"),
    [
        (EVERY, ["look", "write"]),
        # Not all awards were new: the attempts are written as the ledger decided.
        (FOLLOW, ["look", "write", "INSERT", "INSERT"]),
    ],
    ids=["all-new", "not-all-new"],
)
def test_over_postgresql_an_intake_is_a_look_and_a_write_in_one_trip_each(
    postgres_url: str,
    clock: Clock,
    monkeypatch: pytest.MonkeyPatch,
    rule: Rule,
    then: list[str],
) -> None:
    trips: list[str] = []

    def counting(name: str) -> Callable[..., Sequence[pipeline.Reply]]:
        def run(*arguments: Any) -> Sequence[pipeline.Reply]:
            trips.append(name)
            return pipeline.in_one_trip(*arguments)

        return run

    monkeypatch.setattr(prefetch, "in_one_trip", counting("look"))
    monkeypatch.setattr(intake, "in_one_trip", counting("write"))
    database = Database(postgres_url, secret_keys=KEYS)
    world = World(database=database, clock=clock)
    world.link()

    @listens_for(database._writes, "before_cursor_execute")
    def note(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        trips.append(statement.split()[0])

    receipts = world.receive(*[world.event() for _ in range(3)], rules=(rule,))
    database.close()

    states = [state for receipt in receipts for state in receipt.states]
    assert trips == then
    assert Counter(states)[State.DUE] == (3 if rule is EVERY else 1)
    assert len(states) == 3
