"""Is a customer forgotten wholly, while what they were paid for stays known?"""

from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import update

from app.domain.answers import Answer, Outcome
from app.domain.attempts import State
from app.steps import audit, erasure
from app.steps.audit import Change
from app.steps.forwarding import Deferred
from app.steps.operator_actions import NotAllowed
from app.storage.tables import (
    AttemptRow,
    AuditRow,
    AwardRow,
    Base,
    ErasureRow,
    GrantRow,
    IdentityRow,
)
from tests.steps.world import FOLLOW, LEASE, World, believed

# Every name that this person goes by; none occurs in anything else.
NAMES = (
    *("ann-of-the-shop", "account-of-ann", "ann_plays", "ann@b.test", "+49 30 7", "ann's post"),
    *("SUMMER-OF-ANN", "11034736-of-ann"),
)
CUSTOMER, ACCOUNT, HANDLE, EMAIL, MOBILE, POST, COUPON, REWARD = NAMES
HELD = replace(FOLLOW, challenge_id=2, hold_seconds=3_600)
CHECKED = replace(FOLLOW, challenge_id=3, action="post")


def request(world: World, customer: str = CUSTOMER) -> str:
    return world.do(lambda c: erasure.request(c, customer, "key:1 sam", world.now))


def erase(world: World, customer: str = CUSTOMER, size: int = 2) -> Any:
    """Everything that can be erased now; the erasure."""
    erasure_id = request(world, customer)
    while world.do(lambda c: erasure.advance(c, erasure_id, world.now, size)):
        pass
    return next(row for row in world.all(ErasureRow) if row.id == erasure_id)


def live(world: World) -> str:
    """A past in every table; the attempt that was paid."""
    world.receive(world.event(actor=ACCOUNT, actor_handle=HANDLE), rules=(FOLLOW,))
    world.clock.advance(1)
    world.link(ACCOUNT, CUSTOMER, handle=HANDLE, email=EMAIL, mobile=MOBILE)
    [paid] = world.ids()
    refusal = Answer(
        outcome=Outcome.NO_CUSTOMER,
        status=404,
        code=4004,
        message=f"no customer {CUSTOMER}",
        request_id=EMAIL,
    )
    world.submit(paid, refusal)
    world.submit(paid, Outcome.ACCEPTED)
    world.granted(paid, reference=REWARD, coupon_code=COUPON)
    event = world.event(actor=ACCOUNT, actor_handle=HANDLE, payload=EMAIL.encode(), target=POST)
    world.receive(event, rules=(HELD,))
    world.receive(world.event(actor=ACCOUNT, key=f"follow:{ACCOUNT}", action="like"), rules=())
    world.claim(CHECKED, CUSTOMER, target=POST, statement={"handle": HANDLE}, email=EMAIL)
    world.do(
        lambda c: audit.record(
            c,
            Change.IDENTITY_LINKED,
            by="key:1 shop",
            now=world.now,
            subject=f"twitch/{ACCOUNT}",
            customer_id=CUSTOMER,
        )
    )
    return paid


def everything(world: World) -> str:
    """All that the database says, opened with the keys."""
    rows = [vars(row) for kind in Base.__subclasses__() for row in world.all(kind)]
    return repr(rows)


def told(world: World) -> set[str]:
    text = everything(world)
    return {name for name in NAMES if name in text or repr(name)[1:-1] in text}


def test_the_past_of_these_tests_has_every_name_in_it(world: World) -> None:
    live(world)

    assert told(world) == set(NAMES)


def test_nothing_names_an_erased_customer(world: World) -> None:
    live(world)

    done = erase(world)

    assert told(world) == set()
    assert (done.attempts, done.events, done.identities) == (3, 3, 1)
    assert done.completed_at == world.now


def test_what_happened_stays_for_the_books(world: World) -> None:
    paid = live(world)
    before = [(row.id, row.challenge_id, row.platform) for row in world.all(AttemptRow)]

    erase(world)

    after = world.all(AttemptRow)
    assert [(row.id, row.challenge_id, row.platform) for row in after] == before
    assert {row.erased_at for row in after} == {world.now}
    assert world.timeline(paid) == ["unlinked", "due", "accepted"]
    assert [row.outcome for row in world.submissions(paid)] == ["no_customer", "accepted"]
    assert sorted(world.states()) == ["granted", "withdrawn", "withdrawn"]


def test_an_erased_customer_cannot_be_paid_twice(world: World) -> None:
    live(world)
    erase(world)

    world.receive(world.event(actor=ACCOUNT))
    world.link(ACCOUNT, CUSTOMER)
    world.link("another", "somebody-else")
    world.receive(world.event(actor="another"))

    states = {row.customer_id: row.state for row in world.all(AttemptRow) if row.customer_id}
    assert states == {CUSTOMER: "duplicate", "somebody-else": "due"}


def test_a_coupon_that_the_version_before_left_in_clear_goes_too(world: World) -> None:
    paid = live(world)
    world.do(lambda c: c.execute(update(GrantRow).values(coupon=COUPON, coupon_code=None)))

    erase(world)

    [grant] = world.all(GrantRow)
    assert (grant.attempt_id, grant.coupon) == (paid, None)
    assert told(world) == set()


def test_an_accepted_attempt_ends_unconfirmed(world: World) -> None:
    world.link(ACCOUNT, CUSTOMER)
    world.receive(world.event(actor=ACCOUNT))
    [attempt_id] = world.ids()
    world.submit(attempt_id, Outcome.ACCEPTED)

    erase(world)

    assert world.timeline(attempt_id) == ["due", "accepted", "unconfirmed"]


def test_an_events_key_stays_known(world: World) -> None:
    event = world.event(actor=ACCOUNT)
    world.link(ACCOUNT, CUSTOMER)
    world.receive(event)
    erase(world)

    assert not world.receive(event)[0].is_new


def test_others_are_left_as_they_are(world: World) -> None:
    live(world)
    world.link("bobs-account", "bob", email="bob@b.test")
    world.receive(world.event(actor="bobs-account", actor_handle="bob"))
    bobs = [row for row in world.all(AttemptRow) if row.customer_id == "bob"]
    events = [row for row in world.stored_events() if row.actor == "bobs-account"]

    erase(world)

    assert [row for row in world.all(AttemptRow) if row.customer_id == "bob"] == bobs
    assert [row for row in world.stored_events() if row.actor == "bobs-account"] == events
    assert [row.customer_id for row in world.all(IdentityRow)] == ["bob"]


def test_erasing_again_changes_nothing(world: World) -> None:
    live(world)
    first = erase(world)
    before = everything(world)
    world.clock.advance(60)

    again = erase(world)

    assert again == first
    assert everything(world) == before


def test_who_is_not_known_is_erased_at_once(world: World) -> None:
    done = erase(world, "nobody")

    assert (done.attempts, done.events, done.identities) == (0, 0, 0)
    assert done.completed_at is not None


def test_who_comes_back_can_be_erased_again(world: World) -> None:
    live(world)
    first = erase(world)
    world.clock.advance(60)
    world.link(ACCOUNT, CUSTOMER)

    again = erase(world)

    assert again.id != first.id
    assert told(world) == set()


def test_it_goes_on_where_it_was_cut_off(world: World) -> None:
    live(world)
    erasure_id = request(world)
    world.do(lambda c: erasure.advance(c, erasure_id, world.now, 1))
    with world.database.read() as connection:
        waiting = erasure.running(connection)

    done = erase(world)

    assert list(waiting) == [erasure_id] == [done.id]
    assert told(world) == set()


def test_a_submission_in_flight_is_answered_first_and_none_follows(world: World) -> None:
    world.link(ACCOUNT, CUSTOMER, email=EMAIL)
    world.receive(world.event(actor=ACCOUNT))
    [attempt_id] = world.ids()
    made = world.start(attempt_id)

    waiting = erase(world)
    world.finish(made, Answer(outcome=Outcome.UNKNOWN, message=f"lost {EMAIL}"))
    world.clock.advance(60)
    started = world.try_start(attempt_id)
    done = erase(world)

    assert waiting.completed_at is None
    assert isinstance(started, Deferred)
    assert done.id == waiting.id
    assert done.completed_at == world.now
    assert world.state(attempt_id) is State.WITHDRAWN
    assert told(world) == set()
    # It may have landed: it is never paid again.
    assert len(world.all(AwardRow)) == 1


def test_what_a_dead_worker_left_is_erased_after_its_lease(world: World) -> None:
    world.link(ACCOUNT, CUSTOMER)
    world.receive(world.event(actor=ACCOUNT))
    world.start(world.ids()[0])
    erase(world)
    world.clock.advance(60)

    world.reclaim()
    done = erase(world)

    assert done.completed_at == world.now
    assert told(world) == set()


def test_an_award_that_cannot_have_been_paid_is_free(world: World) -> None:
    world.claim(believed(replace(FOLLOW, hold_seconds=60)), CUSTOMER)

    erase(world)

    assert world.all(AwardRow) == []


def test_the_award_of_what_died_unpaid_is_free(world: World) -> None:
    world.link(ACCOUNT, CUSTOMER)
    world.receive(world.event(actor=ACCOUNT))
    [dead] = world.ids()
    world.submit(dead, Outcome.PERMANENT)

    erase(world)

    assert world.state(dead) is State.DEAD
    assert world.all(AwardRow) == []


def test_gameballs_words_that_come_after_the_erasure_are_not_kept(world: World) -> None:
    world.link(ACCOUNT, CUSTOMER)
    world.receive(world.event(actor=ACCOUNT))
    [attempt_id] = world.ids()
    made = world.start(attempt_id)
    world.clock.advance(LEASE + 1)
    world.reclaim()
    erase(world)

    late = Answer(
        outcome=Outcome.PERMANENT, status=400, code=1, message=f"no {CUSTOMER}", request_id=EMAIL
    )
    world.finish(made, late)

    assert told(world) == set()
    [submission] = world.submissions(attempt_id)
    assert submission.outcome == Outcome.PERMANENT


def test_an_account_that_was_theirs_before_is_forgotten_with_them(world: World) -> None:
    world.link(ACCOUNT, CUSTOMER)
    world.unlink(ACCOUNT)

    erase(world)

    assert told(world) == set()


def test_who_came_back_only_to_leave_is_erased_again(world: World) -> None:
    live(world)
    erase(world)
    world.link(ACCOUNT, CUSTOMER)
    world.unlink(ACCOUNT)

    erase(world)

    assert told(world) == set()


def test_an_erased_attempt_is_not_replayed(world: World) -> None:
    world.link(ACCOUNT, CUSTOMER)
    world.receive(world.event(actor=ACCOUNT))
    [attempt_id] = world.ids()
    world.confirmed_as(attempt_id, State.DEAD)
    erase(world)

    with pytest.raises(NotAllowed, match="erased"):
        world.replay(attempt_id)


def test_what_the_account_did_before_it_was_linked_goes_too(world: World) -> None:
    world.receive(world.event(actor=ACCOUNT, actor_handle=HANDLE))
    world.clock.advance(40 * 86_400)
    world.strike()
    world.link(ACCOUNT, CUSTOMER)

    erase(world)

    assert told(world) == set()
    assert world.states() == ["expired"]


def test_the_audit_log_says_that_somebody_was_erased_and_by_whom(world: World) -> None:
    live(world)

    done = erase(world)

    linked, *_, erased = world.all(AuditRow)
    assert (linked.change, linked.customer_id) == ("identity.linked", None)
    assert linked.subject == "erased"
    assert (erased.change, erased.caused_by, erased.subject) == (
        "customer.erased",
        "key:1 sam",
        done.id,
    )
