"""Is what Gameball tells by itself looked at now, once, and by whom it concerns only?"""

from dataclasses import replace
from datetime import timedelta
from itertools import pairwise
from typing import Any

import pytest

from app.domain.answers import Outcome
from app.domain.attempts import State
from app.domain.confirmation import ConfirmationPolicy, Grant, Look, Progress, Proof, Seen
from app.domain.nudges import Nudge
from app.domain.rules import Repeat
from app.steps import confirmation, nudging
from app.steps.confirmation import Followed
from app.steps.nudging import QUIET_SECONDS
from tests.steps.world import AT_MOST, FOLLOW, World

POLICY = ConfirmationPolicy(
    delays=(90.0, 240.0), give_up_seconds=86_400.0, settle_seconds=AT_MOST, lease_seconds=60
)
LIKE = replace(FOLLOW, challenge_id=2, action="like")


def accepted(world: World, **changes: Any) -> str:
    attempt_id = world.owed(**changes)
    world.submit(attempt_id, Outcome.ACCEPTED)
    world.clock.advance(1)
    return attempt_id


def nudge(world: World, customer: str = "ann", challenge: int | None = None) -> bool:
    said = Nudge(customer_id=customer, challenge_id=challenge, heard_at=world.now)
    return hear(world, said)[0]


def proof(world: World, customer: str = "ann", challenge: int = 1) -> bool:
    said = Nudge(customer_id=customer, challenge_id=challenge, heard_at=world.now, is_proof=True)
    return hear(world, said)[0]


def hear(world: World, *nudges: Nudge) -> list[bool]:
    return list(world.database.write_each(nudging.hear, nudges))


def take(world: World) -> list[Followed]:
    return world.do(lambda c: confirmation.take(c, POLICY, world.now, 10))


def looked(world: World, one: Followed, seen: Seen) -> State:
    return world.do(lambda c: confirmation.record(c, one, seen, POLICY, world.now, world.now))


def nothing_shown() -> Seen:
    """Everything was read to its end, and Gameball shows nothing of the campaign."""
    seen = Seen(progress=Progress())
    for look in Look:
        seen = seen.with_records(look, (), answered=True, whole=False)
    return seen


def test_a_nudge_makes_the_customers_accepted_attempts_due_for_a_look(world: World) -> None:
    attempt_id = accepted(world)
    accepted(world, account="98", customer="bob")

    is_known = nudge(world)

    assert is_known
    assert world.attempt(attempt_id).next_at == world.now
    assert [one.attempt_id for one in take(world)] == [attempt_id]


def test_a_nudge_that_names_a_campaign_is_about_that_only(world: World) -> None:
    follow = accepted(world)
    like = accepted(world, rules=(LIKE,), action="like")

    assert nudge(world, challenge=2)

    assert world.attempt(like).next_at == world.now
    assert world.attempt(follow).next_at > world.now


@pytest.mark.parametrize(("customer", "challenge"), [("nobody", None), ("ann", 3)])
def test_what_nobody_waits_for_changes_nothing(
    world: World, customer: str, challenge: int | None
) -> None:
    attempt_id = accepted(world)
    before = world.attempt(attempt_id)

    is_known = nudge(world, customer, challenge)

    assert not is_known
    assert world.attempt(attempt_id) == before


def test_what_was_never_submitted_waits_for_no_reward(world: World) -> None:
    attempt_id = world.owed()
    before = world.attempt(attempt_id)

    assert not proof(world)

    assert world.attempt(attempt_id) == before


def test_each_of_several_is_answered_for_itself(world: World) -> None:
    accepted(world)
    said = [Nudge(customer_id=name, heard_at=world.now) for name in ("bob", "ann", "carl", "ann")]

    assert hear(world, *said) == [False, True, False, True]


def test_a_storm_of_nudges_makes_a_look_every_few_seconds(world: World) -> None:
    accepted(world)
    looks = []

    for _ in range(100):
        nudge(world)
        for one in take(world):
            looks.append(world.now)
            # The others arrive while it is looked at.
            nudge(world)
            looked(world, one, Seen(progress=Progress(achieved=0)))
        world.clock.advance(0.1)

    gaps = [after - before for before, after in pairwise(looks)]
    assert 3 <= len(looks) <= 5
    assert min(gaps) >= timedelta(seconds=QUIET_SECONDS)


def test_a_nudge_that_came_too_early_is_followed_by_more_looks_and_the_usual_ones(
    world: World,
) -> None:
    attempt_id = accepted(world)
    accepted_at = world.now - timedelta(seconds=1)
    nudge(world)
    waits = []

    for _ in range(4):
        [one] = take(world)
        looked(world, one, Seen(progress=Progress(achieved=0)))
        next_at = world.attempt(attempt_id).next_at
        waits.append((next_at - accepted_at).total_seconds())
        world.clock.set(next_at)

    assert waits == [4, 16, 90, 330]


def test_a_nudge_during_a_look_neither_spoils_it_nor_is_lost(world: World) -> None:
    attempt_id = accepted(world)
    nudge(world)
    [one] = take(world)
    world.clock.advance(QUIET_SECONDS)

    nudge(world)
    state = looked(world, one, Seen(progress=Progress(achieved=0)))

    assert state is State.ACCEPTED
    assert world.attempt(attempt_id).next_at == world.now
    [again] = take(world)
    assert looked(world, again, granted(world)) is State.GRANTED


def granted(world: World) -> Seen:
    grant = Grant(proof=Proof.TRANSACTION, reference="7", at=world.now)
    return Seen(progress=Progress()).with_records(
        Look.TRANSACTIONS, (grant,), answered=True, whole=True
    )


def test_who_was_overtaken_writes_nothing_down(world: World) -> None:
    """After a lease ran out, or where a nudge made it due for another worker."""
    attempt_id = accepted(world)
    nudge(world)
    [slow] = take(world)
    world.clock.advance(QUIET_SECONDS)
    nudge(world)
    [quick] = take(world)

    assert looked(world, slow, granted(world)) is State.ACCEPTED
    assert world.state(attempt_id) is State.ACCEPTED
    assert looked(world, quick, granted(world)) is State.GRANTED


def test_a_proof_grants_what_gameballs_reads_neither_show_nor_deny(world: World) -> None:
    attempt_id = accepted(world)
    proof(world)

    [one] = take(world)
    state = looked(world, one, nothing_shown())

    assert state is State.GRANTED
    assert "webhook said so" in str(world.attempt(attempt_id).reason)


def test_a_nudge_that_is_no_proof_grants_nothing(world: World) -> None:
    accepted(world)
    nudge(world, challenge=1)

    [one] = take(world)

    assert looked(world, one, nothing_shown()) is State.ACCEPTED


def test_against_gameballs_own_count_a_proof_grants_nothing(world: World) -> None:
    accepted(world)
    proof(world)

    [one] = take(world)
    for look in Look:
        seen = Seen(progress=Progress(achieved=0)).with_records(look, (), answered=True, whole=True)

    assert looked(world, one, seen) is State.ACCEPTED


def test_what_is_read_back_is_the_better_proof(world: World) -> None:
    attempt_id = accepted(world)
    proof(world)

    [one] = take(world)
    looked(world, one, granted(world))

    assert "transaction" in str(world.attempt(attempt_id).reason)


def test_a_proof_that_is_sent_again_proves_no_other_attempt(world: World) -> None:
    """It carries no number: of a customer's second attempt it would say the same."""
    every = (replace(FOLLOW, repeat=Repeat.EVERY_EVENT),)
    first = accepted(world, rules=every)
    proof(world)
    [one] = take(world)
    assert looked(world, one, nothing_shown()) is State.GRANTED
    world.clock.advance(AT_MOST + 60)
    second = accepted(world, rules=every)

    proof(world)
    [again] = take(world)

    assert looked(world, again, nothing_shown()) is State.ACCEPTED
    assert (world.state(first), world.state(second)) == (State.GRANTED, State.ACCEPTED)


def test_a_proof_of_before_the_submission_is_about_something_else(world: World) -> None:
    attempt_id = world.owed()
    made = world.start(attempt_id)
    world.finish(made, Outcome.NOT_SENT)
    assert proof(world)
    world.clock.advance(200)
    world.submit(attempt_id, Outcome.ACCEPTED)
    world.clock.set(world.attempt(attempt_id).next_at)

    [one] = take(world)

    assert looked(world, one, nothing_shown()) is State.ACCEPTED


def test_a_proof_that_comes_before_the_answer_to_the_submission_is_kept(world: World) -> None:
    attempt_id = world.owed()
    made = world.start(attempt_id)
    world.clock.advance(0.5)

    assert proof(world)
    world.finish(made, Outcome.ACCEPTED)
    world.clock.set(world.attempt(attempt_id).next_at)

    [one] = take(world)
    assert looked(world, one, nothing_shown()) is State.GRANTED
