"""Does what is due go out by itself, and what fails not stop the rest?"""

import itertools
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from sqlalchemy import select

from app.domain.answers import Outcome
from app.domain.attempts import State
from app.domain.clock import utc_now
from app.sandbox.faults import Fault
from app.sandbox.server import SandboxServer
from app.steps import forwarding, health
from app.steps.forwarding import Deferred, StartedSubmission
from app.storage.database import Database
from app.storage.errors import StorageUnavailable
from app.storage.tables import AttemptRow
from app.worker.build import build_dispatcher
from app.worker.dispatcher import Dispatcher
from app.worker.forwarder import Forwarder
from tests.clock import Clock
from tests.conftest import MakeService
from tests.keys import KEYS
from tests.steps.world import FOLLOW, World
from tests.worker.conftest import QUICK, MakeForwarder

MakeDispatcher = Callable[..., Dispatcher]


class RealClock(Clock):
    """The clock on the wall: threads wait by it."""

    def now(self) -> datetime:
        return utc_now()


@pytest.fixture
def clock() -> Clock:
    return RealClock()


@pytest.fixture
def dispatcher_of(forwarder_of: MakeForwarder) -> Iterator[MakeDispatcher]:
    """Start dispatchers of a world; they are stopped behind the test."""
    running: list[Dispatcher] = []

    def make(
        world: World,
        kind: type[Forwarder] = Forwarder,
        threads: int = 4,
        poll_seconds: float = 0.02,
        **changes: object,
    ) -> Dispatcher:
        dispatcher = Dispatcher(
            forwarder_of(world, kind, **changes),
            threads=threads,
            poll_seconds=poll_seconds,
            now=world.clock.now,
        )
        dispatcher.start()
        running.append(dispatcher)
        return dispatcher

    yield make
    for dispatcher in running:
        dispatcher.stop()


def until(holds: Callable[[], bool], seconds: float = 15) -> None:
    give_up = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < give_up, "it did not happen"
        time.sleep(0.01)


def all_are(world: World, state: State) -> Callable[[], bool]:
    return lambda: set(world.states()) == {state}


def owe(world: World, count: int) -> list[str]:
    return [world.owed(f"account-{i}", f"customer-{i}") for i in range(count)]


def test_what_is_due_goes_out_by_itself(
    world: World, sandbox: SandboxServer, dispatcher_of: MakeDispatcher
) -> None:
    owe(world, 12)

    dispatcher_of(world)
    until(all_are(world, State.ACCEPTED))

    report = sandbox.books.report()
    assert (report.accepted, report.duplicates) == (12, 0)


def test_two_dispatchers_share_the_work_and_send_nothing_twice(
    world: World, sandbox: SandboxServer, dispatcher_of: MakeDispatcher
) -> None:
    dispatcher_of(world)
    dispatcher_of(world)

    owe(world, 12)
    until(all_are(world, State.ACCEPTED))

    report = sandbox.books.report()
    assert (report.accepted, report.duplicates, report.concurrent_per_customer) == (12, 0, 1)


def test_of_a_long_queue_who_meets_others_goes_on_elsewhere(
    sqlite_world: World, forwarder_of: MakeForwarder
) -> None:
    """Else all workers would meet at one attempt after another, and all but one lose."""

    class Slower(Forwarder):
        """Where somebody else is always faster."""

        def start(self, attempt_id: str) -> StartedSubmission | Deferred:
            tried.append(attempt_id)
            return Deferred()

    tried: list[str] = []
    ids = owe(sqlite_world, 60)
    dispatcher = Dispatcher(
        forwarder_of(sqlite_world, Slower), threads=4, poll_seconds=1, now=sqlite_world.clock.now
    )

    dispatcher._round()
    first, tried[:] = list(tried), []
    dispatcher._round()
    dispatcher.stop()

    assert first == ids
    assert tried != ids
    assert sorted(tried) == sorted(ids)


def test_who_waits_for_a_place_that_others_get_asks_later_and_by_chance(
    sqlite_world: World, forwarder_of: MakeForwarder
) -> None:
    class Slower(Forwarder):
        """Where the place is always gone, and the next one free in a moment."""

        def start(self, attempt_id: str) -> StartedSubmission | Deferred:
            return Deferred(self.now() + timedelta(milliseconds=1))

    owe(sqlite_world, 3)
    dispatcher = Dispatcher(
        forwarder_of(sqlite_world, Slower), threads=4, poll_seconds=1, now=sqlite_world.clock.now
    )

    waits = []
    for _ in range(100):
        waits.append(dispatcher._round())
        time.sleep(0.006)
    dispatcher.stop()

    assert waits[0] < 0.01
    assert len(set(waits[10:])) > 50
    assert max(waits) <= 0.6
    assert sum(waits[10:]) / len(waits[10:]) > 0.15


def test_who_is_alone_starts_as_soon_as_the_pace_lets_it_and_looks_once(
    sqlite_world: World, forwarder_of: MakeForwarder
) -> None:
    sqlite_world.paced(per_second=1)
    owe(sqlite_world, 3)
    asked = []

    class Asking(Forwarder):
        def start(self, attempt_id: str) -> StartedSubmission | Deferred:
            made = super().start(attempt_id)
            asked.append(made)
            return made

    forwarder = forwarder_of(sqlite_world, Asking)
    dispatcher = Dispatcher(forwarder, threads=4, poll_seconds=1, now=sqlite_world.clock.now)

    wait = dispatcher._round()
    dispatcher.stop()

    # That the second of them must wait is known without asking.
    assert [type(made) for made in asked] == [StartedSubmission]
    assert wait == pytest.approx(0.05, abs=0.04)  # the first one is still on its way


def test_the_longer_wait_of_a_silence_makes_nobody_late(
    sqlite_world: World, forwarder_of: MakeForwarder
) -> None:
    """It is cut into sleeps, after each of which there is no place yet, and nobody got one."""
    sqlite_world.paced(per_second=1, per_30_seconds=1)
    first, *_ = owe(sqlite_world, 3)
    sqlite_world.submit(first, Outcome.ACCEPTED)
    dispatcher = Dispatcher(
        forwarder_of(sqlite_world), threads=4, poll_seconds=1, now=sqlite_world.clock.now
    )

    waits = [dispatcher._round() for _ in range(20)]
    dispatcher.stop()

    assert waits == [5] * 20


def test_one_customers_attempts_go_out_one_after_another(
    sqlite_world: World, sandbox: SandboxServer, dispatcher_of: MakeDispatcher
) -> None:
    for challenge in range(1, 7):
        sqlite_world.owed(rules=(replace(FOLLOW, challenge_id=challenge),))

    dispatcher_of(sqlite_world)
    until(all_are(sqlite_world, State.ACCEPTED))

    report = sandbox.books.report()
    assert (report.accepted, report.concurrent_per_customer) == (6, 1)


def test_who_is_woken_does_not_wait_for_the_poll(
    sqlite_world: World, dispatcher_of: MakeDispatcher
) -> None:
    dispatcher = dispatcher_of(sqlite_world, poll_seconds=60)
    attempt_id = sqlite_world.owed()

    dispatcher.wake()

    until(lambda: sqlite_world.state(attempt_id) is State.ACCEPTED)


def test_the_end_of_a_hold_is_noticed(sqlite_world: World, dispatcher_of: MakeDispatcher) -> None:
    dispatcher_of(sqlite_world)
    sqlite_world.link()

    sqlite_world.receive(sqlite_world.event(), rules=(replace(FOLLOW, hold_seconds=0.1),))

    until(all_are(sqlite_world, State.ACCEPTED))


@pytest.fixture
def postgres_world(postgres_url: str, clock: Clock) -> Iterator[World]:
    database = Database(postgres_url, secret_keys=KEYS)
    yield World(database=database, clock=clock, policy=QUICK)
    database.close()


def asleep(world: World, dispatcher: Dispatcher) -> None:
    """Wait until it hears notices and has nothing to do."""
    listener = dispatcher._listener
    assert listener is not None
    until(lambda: listener.is_listening)
    time.sleep(0.2)


def test_a_sleeping_worker_hears_of_what_another_process_wrote(
    postgres_world: World, dispatcher_of: MakeDispatcher
) -> None:
    world = postgres_world
    asleep(world, dispatcher_of(world, poll_seconds=60))
    began = time.monotonic()

    owe(world, 1)
    until(all_are(world, State.ACCEPTED))

    assert time.monotonic() - began < 2


def test_a_sleeping_worker_wakes_for_a_hold_that_begins_and_ends_meanwhile(
    postgres_world: World, dispatcher_of: MakeDispatcher
) -> None:
    world = postgres_world
    asleep(world, dispatcher_of(world, poll_seconds=60))
    world.link()

    world.receive(world.event(), rules=(replace(FOLLOW, hold_seconds=0.5),))

    until(all_are(world, State.ACCEPTED), seconds=3)


def test_a_worker_that_is_owed_nothing_reads_nothing(
    postgres_world: World, dispatcher_of: MakeDispatcher
) -> None:
    rounds = []

    class Counting(Database):
        def read(self):  # type: ignore[no-untyped-def]
            rounds.append(time.monotonic())
            return super().read()

    counting = Counting(postgres_world.database.url)
    dispatcher = dispatcher_of(postgres_world, poll_seconds=0.02, database=counting)
    asleep(postgres_world, dispatcher)
    before = len(rounds)
    time.sleep(1)
    after = len(rounds)
    dispatcher.stop()
    counting.close()

    assert after - before <= 2


def test_what_a_dead_worker_left_is_finished_once(
    world: World, sandbox: SandboxServer, dispatcher_of: MakeDispatcher, forwarder_of: MakeForwarder
) -> None:
    sent, unsent = owe(world, 2)
    # One died after its call, one before it.
    world.policy = replace(world.policy, lease_seconds=0.1)
    made = world.start(sent)
    world.start(unsent)
    forwarder_of(world).client.submit(made.customer_id, made.challenge_id, None, None)
    world.policy = QUICK

    dispatcher_of(world)
    until(all_are(world, State.ACCEPTED))

    assert len(sandbox.books.grants()) == 2
    assert [row.outcome for row in world.submissions(sent)] == ["unknown", "echo"]
    assert [row.outcome for row in world.submissions(unsent)] == ["unknown", "accepted"]


class Poisoned(Forwarder):
    """A forwarder that comes to grief over one customer, before the call or after it."""

    def start(self, attempt_id: str) -> StartedSubmission | Deferred:
        made = super().start(attempt_id)
        if isinstance(made, StartedSubmission) and made.customer_id == "customer-0":
            raise RuntimeError("a bug")
        return made

    def carry_out(self, made: StartedSubmission, started: float) -> None:
        if made.customer_id == "customer-1":
            raise RuntimeError("another bug")
        super().carry_out(made, started)


def test_a_bug_about_some_attempts_does_not_stop_the_others(
    sqlite_world: World, dispatcher_of: MakeDispatcher
) -> None:
    world = sqlite_world
    ids = owe(world, 6)

    dispatcher_of(world, Poisoned, threads=1)

    until(lambda: all(world.state(attempt_id) is State.ACCEPTED for attempt_id in ids[2:]))
    assert [world.state(attempt_id) for attempt_id in ids[:2]] == [State.DUE] * 2


def test_many_that_cannot_be_started_hide_nobody_and_are_not_tried_all_the_time(
    sqlite_world: World, forwarder_of: MakeForwarder
) -> None:
    """As many as a look finds: such as those sealed with a key that this worker does not have."""
    world = sqlite_world
    *bad, good = owe(world, 101)
    tried = []

    class Grieved(Forwarder):
        def start(self, attempt_id: str) -> StartedSubmission | Deferred:
            tried.append(attempt_id)
            if attempt_id in bad:
                raise RuntimeError("a bug")
            return super().start(attempt_id)

    dispatcher = Dispatcher(
        forwarder_of(world, Grieved), threads=1, poll_seconds=1, now=world.clock.now
    )

    for _ in range(3):
        dispatcher._round()
    dispatcher.stop()

    assert world.state(good) is State.ACCEPTED
    assert sorted(tried) == sorted([*bad, good])


@contextmanager
def held_up(world: World, attempt_id: str) -> Iterator[None]:
    """Somebody has the attempt's row, and is in no hurry: a person with psql, a frozen machine."""
    somebody = Database(world.database.url)
    row = select(AttemptRow.id).where(AttemptRow.id == attempt_id).with_for_update()
    somebody._open()
    assert somebody._writes is not None
    with somebody._writes.begin() as connection:
        connection.execute(row).one()
        yield
    somebody.close()


def test_an_attempt_that_somebody_holds_keeps_no_other_from_being_started(
    postgres_world: World, dispatcher_of: MakeDispatcher
) -> None:
    world = postgres_world
    held, *others = owe(world, 4)

    with held_up(world, held):
        dispatcher_of(world)
        until(lambda: all(world.state(other) is State.ACCEPTED for other in others), seconds=4)

    until(all_are(world, State.ACCEPTED))


def test_a_clock_that_cannot_strike_keeps_no_other_attempt_from_being_started(
    postgres_world: World, dispatcher_of: MakeDispatcher
) -> None:
    world = postgres_world
    held = waiting(world, hold_seconds=0.1)
    lost, *others = owe(world, 4)
    world.policy = replace(world.policy, lease_seconds=0.1)
    world.start(lost)
    world.policy = QUICK
    time.sleep(0.2)

    with held_up(world, held), held_up(world, lost):
        dispatcher_of(world)
        until(lambda: all(world.state(other) is State.ACCEPTED for other in others), seconds=4)

    until(all_are(world, State.ACCEPTED))


def waiting(world: World, hold_seconds: float) -> str:
    world.link("patient", "patient")
    world.receive(world.event(actor="patient"), rules=(replace(FOLLOW, hold_seconds=hold_seconds),))
    return world.ids()[-1]


def test_a_sweep_that_comes_to_grief_stops_no_submission(
    sqlite_world: World, dispatcher_of: MakeDispatcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(*_: object) -> int:
        raise RuntimeError("a bug about one attempt")

    monkeypatch.setattr(forwarding, "reclaim", failing)
    sqlite_world.policy = replace(sqlite_world.policy, lease_seconds=0.1)
    [lost, other] = owe(sqlite_world, 2)
    sqlite_world.start(lost)
    sqlite_world.policy = QUICK
    time.sleep(0.2)

    dispatcher_of(sqlite_world)

    until(lambda: sqlite_world.state(other) is State.ACCEPTED, seconds=4)


class Down(Database):
    """A database that is out of reach until it is back."""

    is_down = True

    def read(self):  # type: ignore[no-untyped-def]
        if self.is_down:
            raise StorageUnavailable("connection refused")
        return super().read()


def test_storage_that_fails_does_not_end_the_worker(
    sqlite_world: World, dispatcher_of: MakeDispatcher
) -> None:
    attempt_id = sqlite_world.owed()
    down = Down(sqlite_world.database.url)
    dispatcher = dispatcher_of(sqlite_world, database=down)
    time.sleep(0.1)

    down.is_down = False
    dispatcher.wake()
    until(lambda: sqlite_world.state(attempt_id) is State.ACCEPTED)

    dispatcher.stop()
    down.close()


def test_stopping_waits_for_what_is_on_its_way(
    world: World, sandbox: SandboxServer, dispatcher_of: MakeDispatcher
) -> None:
    attempt_id = world.owed()
    sandbox.books.faults.add(Fault(kind="slow", seconds=0.3))
    dispatcher = dispatcher_of(world)
    until(lambda: len(sandbox.books.calls()) == 1)

    dispatcher.stop()

    assert world.state(attempt_id) is State.ACCEPTED
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("submit")]


def test_after_it_was_stopped_nothing_more_is_started(
    sqlite_world: World, sandbox: SandboxServer, dispatcher_of: MakeDispatcher
) -> None:
    dispatcher = dispatcher_of(sqlite_world)
    dispatcher.stop()

    attempt_id = sqlite_world.owed()
    dispatcher.wake()
    time.sleep(0.1)

    assert sqlite_world.state(attempt_id) is State.DUE
    assert sandbox.books.calls() == []


def test_a_dispatcher_that_never_ran_can_be_stopped(
    sqlite_world: World, forwarder_of: MakeForwarder
) -> None:
    dispatcher = Dispatcher(
        forwarder_of(sqlite_world), threads=1, poll_seconds=1, now=sqlite_world.clock.now
    )

    dispatcher.stop()


def test_the_pace_is_kept_however_many_threads_there_are(
    sqlite_world: World, sandbox: SandboxServer, dispatcher_of: MakeDispatcher
) -> None:
    sqlite_world.paced(per_second=4)
    owe(sqlite_world, 9)

    dispatcher_of(sqlite_world, threads=8)
    until(all_are(sqlite_world, State.ACCEPTED))

    assert sandbox.books.report().max_per_second <= 4


def test_refused_keys_stop_everybody_until_a_probe_goes_through(
    sqlite_world: World, sandbox: SandboxServer, dispatcher_of: MakeDispatcher
) -> None:
    world = sqlite_world
    world.paced(probe_seconds=0.3)
    sandbox.books.configure(api_key="rotated")
    owe(world, 8)

    dispatcher_of(world, threads=1)
    until(lambda: len(sandbox.books.calls()) >= 2)
    sandbox.books.configure(api_key="sandbox-api-key")
    refused = len(sandbox.books.calls())
    until(all_are(world, State.ACCEPTED))

    calls = sandbox.books.calls()
    probes = [call.at for call in reversed(calls) if call.status == 401]
    assert len(probes) in (refused, refused + 1)
    assert all(after - before >= 0.29 for before, after in itertools.pairwise(probes))
    assert world.forwarding().paused_at is None


def test_a_new_worker_tries_at_once_whether_the_account_works_again(
    sqlite_world: World, dispatcher_of: MakeDispatcher
) -> None:
    first, second = owe(sqlite_world, 2)
    sqlite_world.submit(first, Outcome.BLOCKED)

    dispatcher_of(sqlite_world)

    until(lambda: sqlite_world.state(second) is State.ACCEPTED)


CONFIG = """
[[rules]]
challenge_id = 1
platform = "twitch"
action = "follow"
[worker]
poll_every = "60s"
"""


def test_a_worker_built_of_a_service_is_woken_by_what_the_service_receives(
    make_service: MakeService, sandbox: SandboxServer, clock: Clock
) -> None:
    service = make_service(
        CONFIG,
        GAMEBALL_BASE_URL=sandbox.url,
        GAMEBALL_API_KEY="sandbox-api-key",
        GAMEBALL_SECRET_KEY="sandbox-secret-key",
    )
    world = World(database=service.database, clock=clock)
    world.link()
    dispatcher = build_dispatcher(service)
    dispatcher.start()
    time.sleep(0.1)

    try:
        [receipt] = service.receive([world.event()])
        until(all_are(world, State.ACCEPTED))
    finally:
        dispatcher.stop()

    assert receipt.states == (State.DUE,)
    assert len(sandbox.books.grants()) == 1


def alive_at(world: World) -> datetime | None:
    with world.database.read() as connection:
        return health.forwarding(connection).worker_alive_at


def test_a_worker_that_has_nothing_to_do_says_that_it_lives(
    world: World, dispatcher_of: MakeDispatcher
) -> None:
    before = utc_now()

    dispatcher = dispatcher_of(world)
    until(lambda: (alive_at(world) or before) > before)

    assert dispatcher.is_alive()
    dispatcher.stop()
    assert not dispatcher.is_alive()


def test_a_worker_that_hangs_is_not_alive(
    world: World, dispatcher_of: MakeDispatcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    go = threading.Event()

    class Hanging(Database):
        def read(self):  # type: ignore[no-untyped-def]
            go.wait(10)
            return super().read()

    monkeypatch.setattr("app.worker.dispatcher._DEAD_AFTER_SECONDS", 0.3)
    hanging = Hanging(world.database.url)
    dispatcher = dispatcher_of(world, database=hanging)

    assert dispatcher.is_alive()
    until(lambda: not dispatcher.is_alive(), 5)
    go.set()
    dispatcher.stop()
    hanging.close()
