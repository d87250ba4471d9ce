"""Is an achievement handed over without being lost or doubled, whoever dies or is slow?"""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import Connection

from app.domain.answers import Answer, Disposition, Outcome
from app.domain.attempts import State
from app.domain.clock import new_id
from app.domain.rules import Repeat
from app.steps import forwarding, rate_limit
from app.steps.forwarding import (
    Deferred,
    StartedSubmission,
    must_look_first,
    settles_at,
)
from app.steps.operator_actions import NotAllowed
from app.storage.database import Database
from tests.clock import Clock
from tests.steps.world import AT_LEAST, AT_MOST, FOLLOW, LEASE, World

EVERY = (replace(FOLLOW, repeat=Repeat.EVERY_EVENT),)
RETRIED = {
    Outcome.UNKNOWN: 2,
    Outcome.NOT_SENT: 2,
    Outcome.NO_CUSTOMER: 300,
    Outcome.BUSY: 1,
    Outcome.ECHO: 900,
}


# Starting.


def test_what_is_started_says_all_that_the_call_needs(world: World) -> None:
    world.link("99", "ann", email="ann@b.test", mobile="+49")
    attempt_id = world.owed()

    made = world.start(attempt_id, "machine:1")

    assert (made.attempt_id, made.customer_id, made.challenge_id) == (attempt_id, "ann", 1)
    assert (made.email, made.mobile, made.past) == ("ann@b.test", "+49", ())
    assert (made.fence, made.round) == (1, 0)
    assert (made.started_at, made.lease_until) == (
        world.now,
        world.now + timedelta(seconds=LEASE),
    )


def test_a_submission_is_on_disk_before_the_call(world: World) -> None:
    attempt_id = world.owed()

    made = world.start(attempt_id, "machine:1")

    [row] = world.submissions(attempt_id)
    assert (row.id, row.worker, row.started_at) == (made.submission_id, "machine:1", world.now)
    assert (row.ended_at, row.outcome, row.resolved) == (None, None, False)
    attempt = world.attempt(attempt_id)
    assert (attempt.state, attempt.lease_until) == ("due", made.lease_until)


def test_what_is_leased_is_not_started_again(world: World) -> None:
    attempt_id = world.owed()
    world.start(attempt_id)

    assert world.try_start(attempt_id) == Deferred()
    assert len(world.submissions(attempt_id)) == 1


def test_what_is_not_yet_due_is_not_started(world: World) -> None:
    attempt_id = world.owed()
    world.submit(attempt_id, Outcome.NO_CUSTOMER)
    world.clock.advance(299.9)

    before = (world.due(), world.try_start(attempt_id))
    world.clock.advance(0.1)

    assert before == ([], Deferred())
    assert world.due() == [attempt_id]
    assert world.start(attempt_id)


@pytest.mark.parametrize("state", [state for state in State if state is not State.DUE])
def test_only_what_is_due_is_started(world: World, state: State) -> None:
    attempt_id = world.owed()
    world.confirmed_as(attempt_id, state)

    assert world.due() == []
    assert world.try_start(attempt_id) == Deferred()


def test_an_attempt_that_is_not_there_is_not_started(world: World) -> None:
    assert world.try_start(new_id(world.now)) == Deferred()


def test_a_customer_never_has_two_in_flight(world: World) -> None:
    first = world.owed(rules=(FOLLOW,))
    second = world.owed(rules=(replace(FOLLOW, challenge_id=2),))
    other = world.owed("1", "bob")
    made = world.start(first)

    waiting = world.try_start(second)
    others = world.start(other)
    world.finish(made, Outcome.ACCEPTED)

    assert waiting == Deferred()
    assert others.customer_id == "bob"
    assert world.start(second)


def test_many_workers_start_one_attempt_once(world: World) -> None:
    attempt_id = world.owed()

    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lambda i: world.try_start(attempt_id, f"w{i}"), range(8)))

    assert sum(isinstance(one, StartedSubmission) for one in made) == 1
    assert len(world.submissions(attempt_id)) == 1


def test_many_workers_start_one_of_a_customers_attempts(world: World) -> None:
    rules = [(replace(FOLLOW, challenge_id=i),) for i in range(1, 7)]
    ids = [world.owed(rules=rule) for rule in rules]

    with ThreadPoolExecutor(6) as pool:
        made = list(pool.map(world.try_start, ids))

    assert sum(isinstance(one, StartedSubmission) for one in made) == 1


def test_what_is_due_is_listed_from_the_longest_due(world: World) -> None:
    first = world.owed("1", "ann")
    world.clock.advance(1)
    second = world.owed("2", "bob")

    assert world.due() == [first, second]
    assert world.due(limit=1) == [first]


def test_one_customers_long_queue_hides_nobody_else(world: World) -> None:
    world.link("1", "ann")
    world.receive(*(world.event(actor="1") for _ in range(50)), rules=EVERY)
    world.clock.advance(1)
    other = world.owed("2", "bob")
    world.start(world.due(limit=1)[0])

    assert world.due(limit=10) == [other]


# Finishing.


def test_an_acceptance_is_no_reward_yet(world: World) -> None:
    attempt_id = world.owed()
    made = world.start(attempt_id)
    world.clock.advance(1)

    decision = world.finish(made, Answer(outcome=Outcome.ACCEPTED, status=202))

    assert decision is not None
    assert decision.then is Disposition.ACCEPT
    attempt = world.attempt(attempt_id)
    looks_at = world.now + timedelta(seconds=world.policy.first_look_seconds)
    assert (attempt.state, attempt.lease_until) == ("accepted", None)
    assert attempt.next_at == looks_at
    assert world.timeline(attempt_id) == ["due", "accepted"]
    assert world.last_change(attempt_id).caused_by == "worker:accepted"


def test_what_gameball_said_is_in_the_history(world: World) -> None:
    attempt_id = world.owed()
    made = world.start(attempt_id)
    world.clock.advance(1.5)
    answer = Answer(
        outcome=Outcome.PERMANENT,
        status=400,
        code=3016,
        message="invalid payload",
        request_id="0HN5",
    )

    world.finish(made, answer)

    [row] = world.submissions(attempt_id)
    assert (row.outcome, row.status, row.code) == ("permanent", 400, 3016)
    assert (row.message, row.request_id, row.ended_at) == ("invalid payload", "0HN5", world.now)
    assert world.state(attempt_id) is State.DEAD
    assert world.attempt(attempt_id).reason == "permanent: 400, code 3016, request 0HN5"


def test_the_longest_answer_that_we_read_can_be_written_down(world: World) -> None:
    attempt_id = world.owed()
    longest = Answer(
        outcome=Outcome.PERMANENT,
        status=999,
        code=2**31 - 1,
        message="é" * 255,
        request_id="ü" * 255,
    )

    world.submit(attempt_id, longest)

    assert world.state(attempt_id) is State.DEAD


@pytest.mark.parametrize(("outcome", "delay"), RETRIED.items())
def test_what_can_be_tried_again_is_due_by_its_schedule(
    world: World, outcome: Outcome, delay: float
) -> None:
    attempt_id = world.owed()

    world.submit(attempt_id, outcome)

    attempt = world.attempt(attempt_id)
    assert (attempt.state, attempt.lease_until) == ("due", None)
    assert attempt.next_at == world.now + timedelta(seconds=delay)
    assert attempt.reason == outcome
    assert world.timeline(attempt_id) == ["due"]


def test_an_attempt_is_dead_when_its_schedule_ran_out(world: World) -> None:
    attempt_id = world.owed()

    for _ in range(3):
        world.submit(attempt_id, Outcome.BUSY)

    assert world.timeline(attempt_id) == ["due", "dead"]
    assert world.attempt(attempt_id).reason == "the busy schedule ran out; last busy"
    assert len(world.awards()) == 1


def test_the_schedules_do_not_use_each_other_up(world: World) -> None:
    attempt_id = world.owed()
    for _ in range(2):
        world.submit(attempt_id, Outcome.BUSY)
        world.submit(attempt_id, Outcome.NO_CUSTOMER)

    decision = world.submit(attempt_id, Outcome.NOT_SENT)

    assert decision is not None
    assert decision.next_at == world.now + timedelta(seconds=2)


def test_an_echo_right_after_a_lost_answer_is_an_acceptance(world: World) -> None:
    attempt_id = world.owed()
    world.submit(attempt_id, Outcome.UNKNOWN)

    world.submit(attempt_id, Outcome.ECHO)

    assert world.timeline(attempt_id) == ["due", "accepted"]


def test_an_echo_of_somebody_else_waits_for_the_window(world: World) -> None:
    attempt_id = world.owed()

    world.submit(attempt_id, Outcome.ECHO)
    world.submit(attempt_id, Outcome.ECHO)
    world.submit(attempt_id, Outcome.ACCEPTED)

    assert world.state(attempt_id) is State.ACCEPTED


# Answers that come too late, and workers that are gone.


def test_a_dead_workers_attempt_is_taken_back_and_tried_at_once(world: World) -> None:
    attempt_id = world.owed()
    world.start(attempt_id)
    world.clock.advance(LEASE)
    too_early = world.reclaim()
    world.clock.advance(0.001)

    assert (too_early, world.reclaim()) == (0, 1)
    [row] = world.submissions(attempt_id)
    assert (row.outcome, row.ended_at) == ("unknown", world.now)
    assert world.due() == [attempt_id]
    assert world.reclaim() == 0


def test_the_retry_after_a_crash_is_soon_enough_for_an_echo_to_tell(world: World) -> None:
    attempt_id = world.owed()
    world.start(attempt_id)
    world.clock.advance(LEASE + 1)
    world.reclaim()

    made = world.start(attempt_id)

    assert not must_look_first(made, world.policy, world.now)
    assert [one.outcome for one in made.past] == [Outcome.UNKNOWN]


def test_crashes_use_up_the_schedule_of_lost_answers(world: World) -> None:
    attempt_id = world.owed()
    for _ in range(7):
        world.clock.set(max(world.now, world.attempt(attempt_id).next_at))
        world.start(attempt_id)
        world.clock.advance(LEASE + 1)
        world.reclaim()

    assert world.timeline(attempt_id) == ["due", "dead"]


def test_a_crash_frees_the_customer_for_others(world: World) -> None:
    first = world.owed()
    second = world.owed(rules=(replace(FOLLOW, challenge_id=2),))
    world.start(first)
    world.clock.advance(LEASE + 1)

    before = world.try_start(second)
    world.reclaim()

    assert before == Deferred()
    assert world.start(second)


def test_sweepers_at_once_take_an_attempt_back_once(world: World) -> None:
    attempt_id = world.owed()
    world.start(attempt_id)
    world.clock.advance(LEASE + 1)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: world.reclaim(), range(4)))

    assert world.attempt(attempt_id).next_at == world.now
    assert [row.outcome for row in world.submissions(attempt_id)] == ["unknown"]


@pytest.mark.parametrize(
    "outcome",
    [o for o in Outcome if o not in (Outcome.ACCEPTED, Outcome.PROGRAM_DISABLED)],
)
def test_a_lease_that_was_lost_decides_nothing(world: World, outcome: Outcome) -> None:
    attempt_id = world.owed()
    lost = world.start(attempt_id, "w1")
    world.clock.advance(LEASE + 1)
    world.reclaim()
    before = world.attempt(attempt_id)

    decision = world.finish(lost, outcome)

    assert decision is None
    assert world.attempt(attempt_id) == before
    assert [row.outcome for row in world.submissions(attempt_id)] == [outcome]


def test_a_lost_lease_does_not_give_back_somebody_elses(world: World) -> None:
    attempt_id = world.owed()
    lost = world.start(attempt_id, "w1")
    world.clock.advance(LEASE + 1)
    world.reclaim()
    mine = world.start(attempt_id, "w2")

    for outcome in Outcome:
        world.finish(lost, outcome)

    attempt = world.attempt(attempt_id)
    assert (attempt.state, attempt.fence, attempt.lease_until) == (
        *("due", mine.fence),
        mine.lease_until,
    )


def test_an_acceptance_that_comes_late_counts_when_nobody_is_at_it(world: World) -> None:
    attempt_id = world.owed()
    lost = world.start(attempt_id)
    world.clock.advance(LEASE + 1)
    world.reclaim()

    decision = world.finish(lost, Outcome.ACCEPTED)

    assert decision is not None
    assert world.timeline(attempt_id) == ["due", "accepted"]
    looks_at = world.now + timedelta(seconds=world.policy.first_look_seconds)
    assert world.attempt(attempt_id).next_at == looks_at


@pytest.mark.parametrize(
    "outcome",
    [
        *(Outcome.NOT_SENT, Outcome.BUSY, Outcome.ECHO, Outcome.UNKNOWN, Outcome.TOO_FAST),
        *(Outcome.BLOCKED, Outcome.NO_CUSTOMER, Outcome.PERMANENT),
    ],
)
def test_an_acceptance_that_comes_while_another_is_at_it_is_not_sent_again(
    world: World, outcome: Outcome
) -> None:
    attempt_id = world.owed()
    lost = world.start(attempt_id, "w1")
    world.clock.advance(LEASE + 1)
    world.reclaim()
    mine = world.start(attempt_id, "w2")
    nothing = world.finish(lost, Outcome.ACCEPTED)

    world.finish(mine, outcome)

    assert nothing is None
    assert world.timeline(attempt_id) == ["due", "accepted"]


def test_an_acceptance_that_comes_while_another_dies_at_it_is_not_sent_again(
    world: World,
) -> None:
    attempt_id = world.owed()
    lost = world.start(attempt_id, "w1")
    world.clock.advance(LEASE + 1)
    world.reclaim()
    world.start(attempt_id, "w2")
    world.finish(lost, Outcome.ACCEPTED)
    world.clock.advance(LEASE + 1)

    world.reclaim()

    assert world.state(attempt_id) is State.ACCEPTED


def test_a_lost_answer_that_turns_out_never_sent_leaves_no_doubt(world: World) -> None:
    attempt_id = world.owed()
    lost = world.start(attempt_id, "w1")
    world.clock.advance(LEASE + 1)
    world.reclaim()
    mine = world.start(attempt_id, "w2")
    world.finish(lost, Outcome.NOT_SENT)

    world.finish(mine, Outcome.ECHO)

    assert world.state(attempt_id) is State.DUE  # the echo was somebody else's


def test_a_late_acceptance_and_a_start_at_the_same_instant_leave_no_lease_behind(
    postgres: Database, clock: Clock
) -> None:
    world = World(database=postgres, clock=clock)
    attempt_id = world.owed()
    lost = world.start(attempt_id, "w1")
    clock.advance(LEASE + 1)
    world.reclaim()
    checked = threading.Event()

    def finish_slowly() -> None:
        def step(connection: Connection) -> None:
            forwarding.finish(
                connection, lost, Answer(outcome=Outcome.ACCEPTED), world.policy, clock.now()
            )
            checked.set()
            time.sleep(0.2)

        postgres.write(step)

    with ThreadPoolExecutor(1) as pool:
        finishing = pool.submit(finish_slowly)
        assert checked.wait(10)
        started = world.try_start(attempt_id, "w2")
        finishing.result(10)

    assert started == Deferred()
    attempt = world.attempt(attempt_id)
    assert (attempt.state, attempt.lease_until) == ("accepted", None)


# Keeping clear of one's own echoes.


def test_a_second_award_waits_until_the_first_ones_window_has_passed(world: World) -> None:
    first = world.owed(rules=EVERY)
    second = world.owed(rules=EVERY)
    made = world.start(first)
    world.clock.advance(4)
    world.finish(made, Outcome.ACCEPTED)

    answer = world.try_start(second)

    assert answer == Deferred()
    # From its end: it may have reached Gameball as late as that.
    assert world.attempt(second).next_at == world.now + timedelta(seconds=AT_MOST)
    assert world.attempt(second).lease_until is None
    assert world.submissions(second) == []
    world.clock.advance(AT_MOST)
    assert world.start(second)


def test_a_long_queue_of_one_award_waits_as_one(world: World) -> None:
    """One by one, in transactions that lead to nothing, it would keep everybody waiting."""
    first, *queue = [world.owed(rules=EVERY) for _ in range(4)]
    other_challenge = world.owed(rules=(replace(FOLLOW, challenge_id=2),))
    other_customer = world.owed("1", "bob", rules=EVERY)
    world.submit(first, Outcome.ACCEPTED)

    world.try_start(queue[0])

    assert {world.attempt(one).next_at for one in queue} == {world.now + timedelta(seconds=AT_MOST)}
    assert world.due() == [other_challenge, other_customer]


def test_what_may_be_retried_inside_the_window_does_not_wait_along(world: World) -> None:
    """Its echo there tells that it had landed."""
    first, unsure, third = [world.owed(rules=EVERY) for _ in range(3)]
    world.submit(first, Outcome.UNKNOWN)
    world.clock.advance(AT_MOST)
    world.submit(unsure, Outcome.UNKNOWN)
    soon = world.attempt(unsure).next_at

    world.try_start(third)

    assert world.attempt(unsure).next_at == soon


@pytest.mark.parametrize("outcome", [Outcome.UNKNOWN, Outcome.PROGRAM_DISABLED])
def test_whatever_may_have_landed_keeps_others_away(world: World, outcome: Outcome) -> None:
    first = world.owed(rules=EVERY)
    second = world.owed(rules=EVERY)
    world.submit(first, outcome)
    world.do(rate_limit.probe_now)

    assert world.try_start(second) == Deferred()
    assert world.attempt(second).next_at > world.now


@pytest.mark.parametrize("outcome", [Outcome.NOT_SENT, Outcome.NO_CUSTOMER, Outcome.BUSY])
def test_what_cannot_have_landed_keeps_nobody_away(world: World, outcome: Outcome) -> None:
    first = world.owed(rules=EVERY)
    second = world.owed(rules=EVERY)
    world.submit(first, outcome)

    assert world.start(second)


def test_another_challenge_or_customer_has_no_echo_to_fear(world: World) -> None:
    first = world.owed(rules=EVERY)
    other_challenge = world.owed(rules=(replace(FOLLOW, challenge_id=2),))
    other_customer = world.owed("1", "bob", rules=EVERY)
    world.submit(first, Outcome.ACCEPTED)

    assert world.start(other_challenge)
    assert world.start(other_customer)


def test_an_attempts_own_submissions_do_not_keep_it_away(world: World) -> None:
    attempt_id = world.owed()

    world.submit(attempt_id, Outcome.UNKNOWN)

    assert world.submit(attempt_id, Outcome.ACCEPTED)


# A late re-send looks first.


def after_unknown(world: World, seconds: float) -> StartedSubmission:
    """A submission that follows one without an answer by so many seconds."""
    attempt_id = world.owed()
    world.submit(attempt_id, Outcome.UNKNOWN)
    world.clock.advance(seconds)
    return world.start(attempt_id)


@pytest.mark.parametrize(("seconds", "looks"), [(2, False), (AT_LEAST, False), (30.001, True)])
def test_a_repeat_is_simply_sent_only_while_an_echo_would_tell(
    world: World, seconds: float, looks: bool
) -> None:
    made = after_unknown(world, seconds)

    assert must_look_first(made, world.policy, world.now) is looks


def test_a_repeat_that_was_held_up_before_sending_looks_after_all(world: World) -> None:
    made = after_unknown(world, AT_LEAST - 1)
    world.clock.advance(2)

    assert must_look_first(made, world.policy, world.now)


@pytest.mark.parametrize("outcome", [Outcome.NOT_SENT, Outcome.BUSY, Outcome.NO_CUSTOMER])
def test_a_repeat_of_what_cannot_have_landed_is_simply_sent(world: World, outcome: Outcome) -> None:
    attempt_id = world.owed()
    world.submit(attempt_id, outcome)
    world.clock.advance(86_400)

    made = world.start(attempt_id)

    assert not must_look_first(made, world.policy, world.now)
    assert settles_at(made, world.policy) is None


def test_things_settle_once_the_last_of_several_would_show(world: World) -> None:
    attempt_id = world.owed()
    world.submit(attempt_id, Outcome.UNKNOWN)
    world.clock.advance(20)
    last = world.start(attempt_id)
    world.clock.advance(9)
    world.finish(last, Outcome.UNKNOWN)
    ended_at = world.now
    world.clock.advance(60)

    made = world.start(attempt_id)

    assert settles_at(made, world.policy) == ended_at + timedelta(seconds=AT_MOST)


def test_a_reward_found_in_the_progress_ends_the_matter_unsent(world: World) -> None:
    made = after_unknown(world, 60)

    world.do(lambda c: forwarding.landed_after_all(c, made, world.now))

    assert world.timeline(made.attempt_id) == ["due", "accepted"]
    assert [row.outcome for row in world.submissions(made.attempt_id)] == ["unknown", "not_sent"]
    assert world.attempt(made.attempt_id).lease_until is None


def test_what_cannot_be_known_yet_waits_until_it_can(world: World) -> None:
    made = after_unknown(world, 60)
    settled_at = settles_at(made, world.policy)

    world.do(lambda c: forwarding.cannot_know(c, made, world.policy, world.now))

    attempt = world.attempt(made.attempt_id)
    assert (attempt.state, attempt.next_at, attempt.lease_until) == ("due", settled_at, None)
    assert "unknown whether" in attempt.reason


def test_what_can_never_be_known_dies_and_keeps_its_award(world: World) -> None:
    made = after_unknown(world, AT_MOST + 1)
    attempt_id = made.attempt_id
    for _ in range(6):
        world.do(lambda c, made=made: forwarding.cannot_know(c, made, world.policy, world.now))  # type: ignore[misc]
        if world.state(attempt_id) is State.DEAD:
            break
        world.clock.set(world.attempt(attempt_id).next_at)
        made = world.start(attempt_id)

    assert world.timeline(attempt_id) == ["due", "dead"]
    assert len(world.awards()) == 1


def test_what_never_landed_may_be_sent_and_its_echo_is_somebody_elses(world: World) -> None:
    made = after_unknown(world, AT_MOST + 60)
    world.never_landed(made)

    world.finish(made, Outcome.ECHO)

    assert world.state(made.attempt_id) is State.DUE
    assert [row.resolved for row in world.submissions(made.attempt_id)] == [True, False]


def test_a_look_settles_only_what_was_before_it(world: World) -> None:
    made = after_unknown(world, AT_MOST + 60)
    world.never_landed(made)
    world.finish(made, Outcome.UNKNOWN)

    again = world.submit(made.attempt_id, Outcome.ECHO)

    assert again is not None
    assert again.then is Disposition.ACCEPT


@pytest.mark.parametrize("ending", ["landed", "cannot_know"])
def test_a_look_that_outlasted_its_lease_decides_nothing(world: World, ending: str) -> None:
    made = after_unknown(world, 60)
    world.clock.advance(LEASE + 1)
    world.reclaim()
    before = world.attempt(made.attempt_id)

    if ending == "landed":
        world.do(lambda c: forwarding.landed_after_all(c, made, world.now))
    else:
        world.do(lambda c: forwarding.cannot_know(c, made, world.policy, world.now))

    assert world.attempt(made.attempt_id) == before
    assert world.submissions(made.attempt_id)[-1].outcome == "not_sent"


def test_a_person_cannot_interfere_with_what_is_in_flight(world: World) -> None:
    attempt_id = world.owed()
    world.start(attempt_id)

    for meddle in (world.replay, world.cancel):
        with pytest.raises(NotAllowed):
            meddle(attempt_id)
