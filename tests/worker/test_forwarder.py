"""Is one due attempt carried from its lease to its answer, whatever happens on the way?"""

import socket
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import Connection
from structlog.testing import capture_logs

from app.domain.answers import Outcome
from app.domain.attempts import State
from app.domain.rules import Repeat
from app.gameball.client import GameballClient
from app.sandbox.calls import SOCIAL_CHALLENGES
from app.sandbox.faults import Fault
from app.sandbox.server import SandboxServer
from app.sandbox.settings import Campaign
from app.steps.forwarding import StartedSubmission
from app.storage.database import Database
from app.storage.errors import StorageUnavailable
from app.worker.forwarder import Forwarder
from tests.clock import START
from tests.steps.world import AT_LEAST, AT_MOST, FOLLOW, World
from tests.worker.conftest import MakeForwarder

LANDED = ["timeout-after", "reset-after", "http-500-after", "bad-json-202-after", "truncate"]
NOT_LANDED = ["timeout-before", "reset-before", "http-500", "http-503-html", "html-200", "redirect"]
EVERY = (replace(FOLLOW, repeat=Repeat.EVERY_EVENT),)


@dataclass
class Desk:
    """One worker at one sandbox, and a world to work on."""

    world: World
    sandbox: SandboxServer
    forwarder: Forwarder

    def work(self, attempt_id: str, fault: str | None = None, held_up: float = 0) -> None:
        """Wait until it is due, start it and carry it out."""
        if fault:
            self.sandbox.books.faults.add(Fault(kind=fault, path=SOCIAL_CHALLENGES))
        world = self.world
        world.clock.set(max(world.now, world.attempt(attempt_id).next_at))
        began = time.monotonic()
        made = self.forwarder.start(attempt_id)
        assert isinstance(made, StartedSubmission)
        self.forwarder.carry_out(made, began - held_up)

    @property
    def submitted(self) -> int:
        """How many submissions reached the sandbox."""
        calls = self.sandbox.books.calls()
        return sum(call.endpoint == SOCIAL_CHALLENGES for call in calls)

    @property
    def reads(self) -> int:
        return len(self.sandbox.books.calls()) - self.submitted

    @property
    def grants(self) -> int:
        return len(self.sandbox.books.grants())


@pytest.fixture
def desk(world: World, sandbox: SandboxServer, forwarder_of: MakeForwarder) -> Desk:
    return Desk(world, sandbox, forwarder_of(world))


@pytest.fixture
def sqlite_desk(sqlite_world: World, sandbox: SandboxServer, forwarder_of: MakeForwarder) -> Desk:
    return Desk(sqlite_world, sandbox, forwarder_of(sqlite_world))


def test_what_is_due_is_accepted_and_granted_once(desk: Desk) -> None:
    attempt_id = desk.world.owed()

    desk.work(attempt_id)

    assert desk.world.timeline(attempt_id) == ["due", "accepted"]
    assert (desk.submitted, desk.reads, desk.grants) == (1, 0, 1)
    [row] = desk.world.submissions(attempt_id)
    assert (row.outcome, row.status, row.worker) == ("accepted", 202, "w1")


@pytest.mark.parametrize("fault", [*LANDED, *NOT_LANDED])
def test_what_got_no_answer_is_accepted_and_granted_once(sqlite_desk: Desk, fault: str) -> None:
    desk = sqlite_desk
    attempt_id = desk.world.owed()

    desk.work(attempt_id, fault)
    between = desk.world.state(attempt_id)
    desk.work(attempt_id)

    assert between is State.DUE
    assert desk.world.timeline(attempt_id) == ["due", "accepted"]
    assert (desk.submitted, desk.reads, desk.grants) == (2, 0, 1)


@pytest.mark.parametrize("fault", LANDED)
def test_a_late_repeat_finds_the_reward_and_sends_nothing(sqlite_desk: Desk, fault: str) -> None:
    desk = sqlite_desk
    attempt_id = desk.world.owed()
    desk.work(attempt_id, fault)
    desk.world.clock.advance(3_600)

    desk.work(attempt_id)

    assert desk.world.timeline(attempt_id) == ["due", "accepted"]
    assert desk.world.last_change(attempt_id).caused_by == "worker:progress"
    assert (desk.submitted, desk.grants) == (1, 1)
    assert desk.reads > 0


@pytest.mark.parametrize("seconds", [-25, -2, 2, 25])
def test_a_reward_is_found_though_gameballs_clock_is_another(
    desk: Desk, forwarder_of: MakeForwarder, seconds: float
) -> None:
    world = desk.world
    wrong = forwarder_of(world, now=lambda: world.now + timedelta(seconds=seconds))
    attempt_id = world.owed()
    world.clock.advance(30)
    replace(desk, forwarder=wrong).work(attempt_id, "reset-after")
    world.clock.advance(3_600)

    replace(desk, forwarder=wrong).work(attempt_id)

    assert world.state(attempt_id) is State.ACCEPTED
    assert (desk.submitted, desk.grants) == (1, 1)


def test_a_late_repeat_waits_until_things_have_settled_and_then_sends(desk: Desk) -> None:
    world = desk.world
    attempt_id = world.owed()
    desk.work(attempt_id, "reset-before")
    ended_at = world.now
    world.clock.advance(60)

    desk.work(attempt_id)
    waits_until = world.attempt(attempt_id).next_at
    before = desk.submitted
    desk.work(attempt_id)

    assert waits_until == ended_at + timedelta(seconds=AT_MOST)
    assert (before, desk.submitted, desk.grants) == (1, 2, 1)
    assert world.timeline(attempt_id) == ["due", "accepted"]


def test_a_late_repeat_that_can_never_be_known_is_never_sent(sqlite_desk: Desk) -> None:
    desk = sqlite_desk
    # Neither does the count show, nor would a reward of no points leave a transaction.
    desk.sandbox.books.configure(campaigns=(Campaign(id=1, visibility="NotVisible", points=0),))
    attempt_id = desk.world.owed()
    desk.work(attempt_id, "reset-before")
    desk.world.clock.advance(60)

    while desk.world.state(attempt_id) is State.DUE:
        desk.work(attempt_id)

    assert desk.world.state(attempt_id) is State.DEAD
    assert desk.submitted == 1


def test_another_attempts_reward_is_not_taken_for_ones_own(sqlite_desk: Desk) -> None:
    desk = sqlite_desk
    world = desk.world
    lost = world.owed(rules=EVERY)
    desk.work(lost, "reset-before")
    other = world.owed(rules=EVERY)
    world.clock.advance(AT_MOST + 1)
    desk.work(other)
    world.clock.advance(AT_MOST + 1)

    desk.work(lost)

    # Its own had not landed, as the times of the rewards tell: so it is sent, once more.
    assert world.state(other) is State.ACCEPTED
    assert world.timeline(lost) == ["due", "accepted"]
    assert (desk.submitted, desk.grants) == (3, 2)


def test_a_repeat_after_the_look_said_no_takes_an_echo_for_somebody_elses(
    sqlite_desk: Desk,
) -> None:
    desk = sqlite_desk
    world = desk.world
    attempt_id = world.owed()
    desk.work(attempt_id, "reset-before")
    world.clock.advance(AT_MOST + 60)
    # The customer does it in the widget at this very moment; its reward is still to come.
    desk.sandbox.books.configure(grant_delay_seconds=300)
    desk.forwarder.client.submit("ann", 1, None, None)

    desk.work(attempt_id)

    assert world.state(attempt_id) is State.DUE
    assert world.attempt(attempt_id).reason == "echo"


def test_a_look_that_began_before_things_settled_does_not_count(
    sqlite_world: World, sandbox: SandboxServer, forwarder_of: MakeForwarder
) -> None:
    world = sqlite_world

    class Slow(GameballClient):
        """A client whose reads take a minute of the world's time."""

        def call(self, method: str, path: str, **more: Any) -> Any:
            reply = super().call(method, path, **more)
            world.clock.advance(60 if method == "GET" else 0)
            return reply

    plain = forwarder_of(world)
    slow = replace(plain, client=Slow(plain.client.account))
    desk = Desk(world, sandbox, slow)
    attempt_id = world.owed()
    desk.work(attempt_id, "reset-before")
    world.clock.advance(AT_MOST - 30)

    desk.work(attempt_id)
    slow.client.close()

    assert desk.submitted == 1
    assert world.state(attempt_id) is State.DUE


# A process that is held up.


def test_a_process_that_was_frozen_does_not_send(desk: Desk) -> None:
    attempt_id = desk.world.owed()

    desk.work(attempt_id, held_up=2)

    assert desk.submitted == 0
    [row] = desk.world.submissions(attempt_id)
    assert (row.outcome, row.message) == ("not_sent", "not sent: the connection took too long")
    assert desk.world.state(attempt_id) is State.DUE


def test_a_process_that_was_held_up_a_little_sends(sqlite_desk: Desk) -> None:
    attempt_id = sqlite_desk.world.owed()

    sqlite_desk.work(attempt_id, held_up=0.5)

    assert sqlite_desk.submitted == 1


def test_a_process_whose_machine_slept_pays_nobody_whom_another_paid_meanwhile(desk: Desk) -> None:
    """The kernel's monotonic clock stands still while a machine sleeps, so the wall's is asked."""
    world = desk.world
    attempt_id = world.owed()
    began = time.monotonic()
    slept = desk.forwarder.start(attempt_id)
    assert isinstance(slept, StartedSubmission)
    world.clock.advance(world.policy.lease_seconds + 1)
    world.reclaim()
    desk.work(attempt_id)
    world.clock.advance(AT_MOST + 1)

    desk.forwarder.carry_out(slept, began)

    assert (desk.submitted, desk.grants) == (1, 1)
    assert [row.outcome for row in world.submissions(attempt_id)] == ["not_sent", "accepted"]
    assert world.state(attempt_id) is State.ACCEPTED


def test_a_lease_leaves_time_for_the_answer(sqlite_desk: Desk) -> None:
    forwarder = sqlite_desk.forwarder

    read_seconds = forwarder.client.account.read_timeout

    assert forwarder._send_within() + read_seconds == forwarder.policy.lease_seconds
    assert forwarder._send_within() > 0


def test_a_repeat_that_is_frozen_past_gameballs_window_is_not_sent_without_a_look(
    sqlite_desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk = sqlite_desk
    attempt_id = desk.world.owed()
    desk.work(attempt_id, "reset-after")
    # While the name is resolved: nothing that we set ends that.
    resolve = socket.getaddrinfo

    def resolve_slowly(*asked: Any, **how: Any) -> Any:
        desk.world.clock.advance(AT_LEAST)
        return resolve(*asked, **how)

    monkeypatch.setattr(socket, "getaddrinfo", resolve_slowly)

    desk.work(attempt_id)
    desk.work(attempt_id)

    assert [row.outcome for row in desk.world.submissions(attempt_id)] == [
        "unknown",
        "not_sent",
        "not_sent",
    ]
    assert desk.world.last_change(attempt_id).caused_by == "worker:progress"
    assert (desk.submitted, desk.grants) == (1, 1)


# Storage that fails while an answer is in our hands.


class Flaky(Database):
    """A database whose next writes fail, as often as it is told."""

    failures = 0

    def write(self, step: Callable[[Connection], Any]) -> Any:
        if self.failures:
            self.failures -= 1
            raise StorageUnavailable("no space left on device")
        return super().write(step)


@pytest.fixture
def flaky_desk(
    sqlite_world: World, sandbox: SandboxServer, forwarder_of: MakeForwarder
) -> "tuple[Desk, Flaky]":
    flaky = Flaky(sqlite_world.database.url)
    return Desk(sqlite_world, sandbox, forwarder_of(sqlite_world, database=flaky)), flaky


def failing_after_start(desk: Desk, flaky: Flaky, attempt_id: str, failures: int) -> None:
    made = desk.forwarder.start(attempt_id)
    assert isinstance(made, StartedSubmission)
    flaky.failures = failures
    desk.forwarder.carry_out(made, time.monotonic())


def test_an_answer_is_written_down_as_soon_as_storage_works_again(
    flaky_desk: tuple[Desk, Flaky],
) -> None:
    desk, flaky = flaky_desk
    attempt_id = desk.world.owed()

    failing_after_start(desk, flaky, attempt_id, 2)
    flaky.close()

    assert desk.world.timeline(attempt_id) == ["due", "accepted"]
    assert desk.submitted == 1


def test_an_answer_that_could_never_be_written_down_is_found_out_again(
    flaky_desk: tuple[Desk, Flaky],
) -> None:
    desk, flaky = flaky_desk
    attempt_id = desk.world.owed()

    failing_after_start(desk, flaky, attempt_id, 10_000)
    flaky.failures = 0
    desk.world.clock.advance(desk.world.policy.lease_seconds + 1)
    desk.world.reclaim()
    desk.work(attempt_id)
    flaky.close()

    assert desk.world.timeline(attempt_id) == ["due", "accepted"]
    assert (desk.submitted, desk.grants) == (2, 1)


# Customers that Gameball does not know.


def test_a_missing_customer_is_not_created_unless_asked_for(sqlite_desk: Desk) -> None:
    attempt_id = sqlite_desk.world.owed(customer="missing-ann")

    sqlite_desk.work(attempt_id)

    assert sqlite_desk.world.submissions(attempt_id)[0].outcome == Outcome.NO_CUSTOMER
    assert sqlite_desk.sandbox.books.customer("missing-ann") is None


def test_a_missing_customer_is_created_where_it_is_asked_for(
    sqlite_world: World, sandbox: SandboxServer, forwarder_of: MakeForwarder
) -> None:
    forwarder = forwarder_of(sqlite_world, create_missing_customers=True)
    desk = Desk(sqlite_world, sandbox, forwarder)
    attempt_id = sqlite_world.owed(customer="missing-ann")

    desk.work(attempt_id)
    desk.work(attempt_id)

    assert sqlite_world.timeline(attempt_id) == ["due", "accepted"]
    assert desk.grants == 1


def test_the_log_says_what_happened_and_nothing_private(sqlite_desk: Desk) -> None:
    sqlite_desk.world.link("99", "ann", email="ann@b.test", mobile="+49301")
    attempt_id = sqlite_desk.world.owed()

    with capture_logs() as logs:
        sqlite_desk.work(attempt_id, "http-500")

    [entry] = [entry for entry in logs if entry["event"] == "submission.ended"]
    assert (entry["attempt"], entry["outcome"], entry["status"]) == (attempt_id, "unknown", 500)
    for private in ("ann@b.test", "+49301", "sandbox-secret-key", "sandbox-api-key"):
        assert private not in str(logs)


# A clock that was wrong, and was set right.

HOUR = 3_600.0


def while_ahead(desk: Desk, forwarder_of: MakeForwarder) -> Desk:
    """The same desk while its machine's clock is an hour ahead."""
    world = desk.world
    return replace(
        desk, forwarder=forwarder_of(world, now=lambda: world.now + timedelta(seconds=HOUR))
    )


def finished(desk: Desk, attempt_id: str) -> None:
    """Go on with the right clock, as workers do, until the attempt is handed over."""
    desk.world.clock.advance(60)
    desk.world.sweep()
    while desk.world.state(attempt_id) is State.DUE:
        desk.work(attempt_id)


@pytest.mark.parametrize("fault", ["reset-after", "reset-before"])
def test_a_lost_answer_of_a_clock_that_was_ahead_is_looked_for_before_a_repeat(
    desk: Desk, forwarder_of: MakeForwarder, fault: str
) -> None:
    """By the clock the repeat would be soon enough for an echo; in truth it is an hour later."""
    attempt_id = desk.world.owed()
    while_ahead(desk, forwarder_of).work(attempt_id, fault)

    finished(desk, attempt_id)

    assert (desk.submitted, desk.grants) == (1 if fault == "reset-after" else 2, 1)
    assert desk.reads > 0


@pytest.mark.parametrize("is_sent", [True, False])
def test_what_a_worker_left_whose_clock_was_ahead_is_taken_back_at_once_and_looked_for(
    desk: Desk, forwarder_of: MakeForwarder, is_sent: bool
) -> None:
    world = desk.world
    attempt_id = world.owed()
    made = while_ahead(desk, forwarder_of).forwarder.start(attempt_id)
    assert isinstance(made, StartedSubmission)
    if is_sent:
        desk.forwarder.client.submit(made.customer_id, made.challenge_id, None, None)

    finished(desk, attempt_id)

    assert world.now < START + timedelta(seconds=HOUR)
    assert (desk.submitted, desk.grants) == (1, 1)
    assert desk.reads > 0


def test_a_worker_that_is_ahead_by_a_little_keeps_its_lease(
    sqlite_desk: Desk, forwarder_of: MakeForwarder
) -> None:
    world = sqlite_desk.world
    little = forwarder_of(world, now=lambda: world.now + timedelta(seconds=300))
    attempt_id = world.owed()
    little.start(attempt_id)

    world.sweep()

    assert world.attempt(attempt_id).lease_until is not None


def test_what_is_doubted_is_doubted_once(sqlite_desk: Desk, forwarder_of: MakeForwarder) -> None:
    world = sqlite_desk.world
    attempt_id = world.owed()
    while_ahead(sqlite_desk, forwarder_of).work(attempt_id, "reset-before")

    world.sweep()
    world.sweep()

    assert len(world.submissions(attempt_id)) == 2
