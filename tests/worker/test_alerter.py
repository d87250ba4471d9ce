"""Is somebody woken once by many processes, and does a dead receiver harm nobody?"""

import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta

import pytest
from pydantic import SecretStr

from app.domain.alerts import AlertKind, Limits
from app.domain.answers import Outcome
from app.domain.sources import Expected, RefusalLimit
from app.outgoing.alert_messages import Message
from app.settings.receivers import Receiver, ReceiverKind
from app.steps import alerts
from app.steps.sources import Sighting, keep, minute_of
from app.storage.database import Database
from app.storage.tables import NoticeRow
from app.worker.alerter import LOOK_SECONDS, Alerter
from tests.clock import Clock
from tests.keys import KEYS
from tests.steps.world import World

LIMITS = Limits(
    within_seconds=3_600,
    dead_share=0.2,
    dead_of_at_least=1,
    backlog_seconds=900,
    granted_share=0.5,
    granted_of_at_least=20,
)


def named(name: str) -> Receiver:
    return Receiver(
        name=name, kind=ReceiverKind.SLACK, url=SecretStr(f"https://{name}.example/hook")
    )


class Post:
    """Keeps what each receiver was told; those that are down take nothing."""

    def __init__(self) -> None:
        self.told: list[tuple[str, str]] = []
        self.down: set[str] = set()
        self.tries = 0

    def __call__(self, receiver: Receiver, message: Message) -> str | None:
        self.tries += 1
        if receiver.name in self.down:
            return "answered 503"
        self.told.append((receiver.name, message.body.decode()))
        return None

    def words(self) -> list[str]:
        return [f"{name} {'over' if 'over' in body else 'ALERT'}" for name, body in self.told]


@pytest.fixture
def world(database_url: str, clock: Clock) -> Iterator[World]:
    database = Database(database_url, secret_keys=KEYS)
    yield World(database=database, clock=clock)
    database.close()


@pytest.fixture
def sent() -> Post:
    return Post()


def alerter(world: World, sent: Post, *names: str) -> Alerter:
    some = [named(name) for name in names or ("on-call", "chat")]
    expected = {"twitch": Expected()}
    return Alerter(world.database, some, LIMITS, expected, world.clock.now, sent)


def paused(world: World) -> str:
    attempt_id = world.owed()
    world.submit(attempt_id, Outcome.BLOCKED)
    return attempt_id


def test_a_pause_wakes_everybody_once_and_its_end_is_told_once(world: World, sent: Post) -> None:
    processes = [alerter(world, sent) for _ in range(3)]
    attempt_id = paused(world)

    for _ in range(2):
        for each in processes:
            each.look()
            each.deliver()
        world.clock.advance(LOOK_SECONDS)
    woken = sorted(sent.words())
    world.clock.advance(60)
    world.submit(attempt_id, Outcome.ACCEPTED)
    for each in processes:
        each.look()
        each.deliver()

    assert woken == ["chat ALERT", "on-call ALERT"]
    assert sorted(sent.words()[2:]) == ["chat over", "on-call over"]
    assert "forwarding_paused" in sent.told[0][1]


def test_a_receiver_that_is_down_keeps_no_other_waiting(world: World, sent: Post) -> None:
    sent.down = {"on-call"}
    ours = alerter(world, sent)
    paused(world)
    ours.look()

    ours.deliver()

    assert sent.words() == ["chat ALERT"]
    [waiting] = [row for row in world.all(NoticeRow) if row.next_at is not None]
    assert (waiting.receiver, waiting.problem) == ("on-call", "answered 503")


def test_a_receiver_that_comes_back_hears_it_then(world: World, sent: Post) -> None:
    sent.down = {"on-call"}
    ours = alerter(world, sent)
    paused(world)
    ours.look()
    ours.deliver()
    sent.down = set()
    world.clock.advance(5)

    ours.deliver()

    assert sent.words() == ["chat ALERT", "on-call ALERT"]


def test_a_receiver_that_is_down_is_tried_once_a_round(world: World, sent: Post) -> None:
    ours = alerter(world, sent, "on-call")
    for _ in range(5):
        world.do(lambda c: alerts.test(c, ["on-call"], world.now))
    sent.down = {"on-call"}

    ours.deliver()

    assert sent.tries == 1


def test_a_share_that_lasts_is_told_once_and_its_end_once(world: World, sent: Post) -> None:
    limits = replace(LIMITS, lasts_seconds=300)
    expected = {"twitch": Expected(refusals=RefusalLimit(0.5, 10, 3_600))}
    ours = Alerter(world.database, [named("chat")], limits, expected, world.clock.now, sent)

    def come(believed: int, refused: int) -> None:
        seen = Sighting(callback_at=world.now, refused_at=world.now, refusals=refused)
        minute = minute_of(world.now)
        seen.believed_in[minute], seen.refused_in[minute] = believed, refused
        world.do(lambda c: keep(c, {"twitch": seen}))
        world.clock.advance(LOOK_SECONDS)
        ours.look()
        ours.deliver()

    come(10, 10)
    for number in range(40):  # about half, for ten minutes
        come(*((2, 0) if number % 2 else (0, 2)))
    lasting = sent.words()
    come(200, 0)

    assert lasting == ["chat ALERT"]
    assert sent.words() == ["chat ALERT", "chat over"]


def test_a_receiver_that_is_no_longer_named_is_let_go(world: World, sent: Post) -> None:
    paused(world)
    alerter(world, sent, "gone").look()

    alerter(world, sent, "chat").deliver()

    assert sent.told == []
    [row] = world.all(NoticeRow)
    assert row.next_at is None
    assert "no receiver" in row.problem


def test_what_one_process_took_no_other_sends(world: World, sent: Post) -> None:
    ours = alerter(world, sent, "chat")
    paused(world)
    ours.look()
    with world.database.read() as connection:
        [notice] = alerts.due_notices(connection, world.now, 10)
    world.do(lambda c: alerts.take(c, notice, world.now))

    ours.deliver()

    assert sent.told == []


def test_a_database_that_is_away_is_waited_for(
    world: World, sent: Post, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.worker.alerter._STEP_SECONDS", 0.01)
    ours = alerter(world, sent, "chat")
    failures = iter([RuntimeError("a bug"), None])
    real = ours.look

    def look() -> object:
        failure = next(failures, None)
        if failure is not None:
            raise failure
        return real()

    monkeypatch.setattr(ours, "look", look)
    paused(world)
    ours.start()
    try:
        for _ in range(500):
            if sent.told:
                break
            time.sleep(0.01)
    finally:
        ours.stop()

    assert sent.words() == ["chat ALERT"]


def test_without_receivers_no_thread_begins(world: World, sent: Post) -> None:
    before = threading.active_count()
    nobody = Alerter(world.database, (), LIMITS, {}, world.clock.now, sent)

    nobody.start()
    nobody.stop()

    assert threading.active_count() == before


def test_a_slow_receiver_does_not_hold_up_the_end(
    world: World, sent: Post, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.worker.alerter._STEP_SECONDS", 0.01)
    monkeypatch.setattr("app.worker.alerter._PATIENCE_SECONDS", 0.05)
    reached, let_go = threading.Event(), threading.Event()

    def slowly(receiver: Receiver, message: Message) -> str | None:
        reached.set()
        let_go.wait(10)
        return None

    ours = Alerter(world.database, [named("slow")], LIMITS, {}, world.clock.now, slowly)
    world.do(lambda c: alerts.test(c, ["slow"], world.now))
    ours.start()
    assert reached.wait(10)
    began = time.monotonic()

    ours.stop()

    assert time.monotonic() - began < 5
    let_go.set()
    ours.stop()


def test_a_look_that_comes_to_grief_keeps_nobody_from_being_told(
    world: World, sent: Post, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(*_: object) -> None:
        raise RuntimeError("a bug about one source")

    monkeypatch.setattr("app.worker.alerter._STEP_SECONDS", 0.01)
    monkeypatch.setattr(alerts, "situation", failing)
    ours = alerter(world, sent, "chat")
    world.do(lambda c: alerts.test(c, ["chat"], world.now))

    ours.start()
    deadline = time.monotonic() + 10
    while not sent.told and time.monotonic() < deadline:
        time.sleep(0.01)
        world.clock.advance(LOOK_SECONDS)
    ours.stop()

    assert sent.words() == ["chat ALERT"]


def test_an_alert_of_attempts_that_died_ends_by_itself(world: World, sent: Post) -> None:
    ours = alerter(world, sent, "chat")
    world.submit(world.owed(), Outcome.PERMANENT)

    raised = [change.kind for change in ours.look()]
    world.clock.set(world.now + timedelta(hours=1, seconds=1))
    cleared = [change.kind for change in ours.look()]

    assert raised == cleared == [AlertKind.ATTEMPTS_DEAD]
