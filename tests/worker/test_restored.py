"""After an older backup is restored: is anything paid twice, or not at all?"""

from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import delete, text

from app.domain.answers import Outcome
from app.domain.attempts import State
from app.domain.rules import Repeat, Rule
from app.steps.restore import mark_possibly_sent
from app.storage.copy import copy
from app.storage.engines import is_sqlite, sqlite_path, write_engine
from app.storage.tables import SubmissionRow
from tests.steps.world import AT_MOST, FOLLOW, World
from tests.worker.test_forwarder import Desk, desk, sqlite_desk

__all__ = ["desk", "sqlite_desk"]  # the fixtures

HELD = replace(FOLLOW, repeat=Repeat.EVERY_EVENT, hold_seconds=60)


class Backup:
    """The world as it was at one moment."""

    def __init__(self, world: World, folder: Path) -> None:
        self._url = f"sqlite:///{folder / 'backup.db'}"
        self._world = world
        self.made_at: datetime = world.now
        copy(world.database.url, self._url, while_in_use=True)

    def restore(self) -> None:
        url = self._world.database.url
        self._world.database.close()
        _remove(url)
        copy(self._url, url)


def _remove(url: str) -> None:
    if is_sqlite(url):
        for path in sqlite_path(url).parent.glob("vouch.db*"):
            path.unlink()
        return
    engine = write_engine(url)
    with engine.begin() as connection:
        connection.execute(text("DROP SCHEMA public CASCADE"))
        connection.execute(text("CREATE SCHEMA public"))
    engine.dispose()


def doubted(world: World, since: datetime) -> int:
    return world.do(lambda c: mark_possibly_sent(c, since, "cli:ann", world.now))


def granted_since_the_backup(desk: Desk, folder: Path) -> str:
    """An attempt of which the restored database does not know that it was granted; its id."""
    attempt_id = desk.world.owed()
    backup = Backup(desk.world, folder)
    desk.work(attempt_id)
    desk.world.clock.advance(3_600)
    backup.restore()
    return attempt_id


def test_what_was_granted_after_the_backup_is_not_granted_again(desk: Desk, tmp_path: Path) -> None:
    world = desk.world
    attempt_id = world.owed()
    backup = Backup(world, tmp_path)
    world.clock.advance(600)
    desk.work(attempt_id)
    world.clock.advance(3_600)
    backup.restore()

    count = doubted(world, backup.made_at)
    desk.work(attempt_id)

    assert count == 1
    assert (desk.submitted, desk.grants) == (1, 1)
    assert world.timeline(attempt_id) == ["due", "accepted"]
    assert world.last_change(attempt_id).caused_by == "worker:progress"


def test_without_a_doubt_it_would_be(sqlite_desk: Desk, tmp_path: Path) -> None:
    """The danger is real: this is what the command is for."""
    attempt_id = granted_since_the_backup(sqlite_desk, tmp_path)

    sqlite_desk.work(attempt_id)

    assert (sqlite_desk.submitted, sqlite_desk.grants) == (2, 2)


def test_with_a_moment_that_is_too_late_it_would_be(sqlite_desk: Desk, tmp_path: Path) -> None:
    """Why `vouch db restored` takes no moment that is yet to come."""
    attempt_id = granted_since_the_backup(sqlite_desk, tmp_path)
    world = sqlite_desk.world

    doubted(world, world.now + timedelta(hours=2))
    sqlite_desk.work(attempt_id)

    assert (sqlite_desk.submitted, sqlite_desk.grants) == (2, 2)


def test_what_was_never_sent_is_sent_once_things_have_settled(desk: Desk, tmp_path: Path) -> None:
    world = desk.world
    attempt_id = world.owed()
    backup = Backup(world, tmp_path)
    world.clock.advance(3_600)
    backup.restore()
    restored_at = world.now
    doubted(world, backup.made_at)

    desk.work(attempt_id)
    waits_until = world.attempt(attempt_id).next_at
    desk.work(attempt_id)

    assert waits_until == restored_at + timedelta(seconds=AT_MOST)
    assert (desk.submitted, desk.grants) == (1, 1)
    assert world.state(attempt_id) is State.ACCEPTED


def test_what_was_held_then_may_have_been_sent_since(sqlite_desk: Desk, tmp_path: Path) -> None:
    world = sqlite_desk.world
    world.link()
    world.receive(world.event(), rules=(HELD,))
    [attempt_id] = world.ids()
    backup = Backup(world, tmp_path)
    world.clock.advance(61)
    world.strike()
    sqlite_desk.work(attempt_id)
    world.clock.advance(3_600)
    backup.restore()

    doubted(world, backup.made_at)
    world.strike()
    sqlite_desk.work(attempt_id)

    assert (sqlite_desk.submitted, sqlite_desk.grants) == (1, 1)
    assert world.state(attempt_id) is State.ACCEPTED


def test_what_was_unlinked_then_may_have_been_linked_and_sent_since(
    sqlite_desk: Desk, tmp_path: Path
) -> None:
    world = sqlite_desk.world
    world.receive(world.event())
    [attempt_id] = world.ids()
    backup = Backup(world, tmp_path)
    world.link()
    sqlite_desk.work(attempt_id)
    world.clock.advance(3_600)
    backup.restore()

    doubted(world, backup.made_at)
    world.link()
    sqlite_desk.work(attempt_id)

    assert (sqlite_desk.submitted, sqlite_desk.grants) == (1, 1)
    assert world.state(attempt_id) is State.ACCEPTED


def test_what_had_come_to_its_end_is_not_doubted(sqlite_desk: Desk) -> None:
    world = sqlite_desk.world
    sqlite_desk.work(world.owed())

    assert doubted(world, world.now) == 0


@pytest.mark.parametrize("outcome", [Outcome.BUSY, Outcome.NO_CUSTOMER])
def test_a_doubt_spends_no_retry(sqlite_desk: Desk, outcome: Outcome) -> None:
    world = sqlite_desk.world
    doubtful, other = world.owed("1", "ann"), world.owed("2", "bob")
    before = world.now
    doubted(world, before)
    world.do(lambda c: c.execute(delete(SubmissionRow).where(SubmissionRow.attempt_id == other)))

    delays = []
    for attempt_id in (doubtful, other):
        world.submit(attempt_id, outcome)
        delays.append(world.attempt(attempt_id).next_at - world.now)

    assert delays[0] == delays[1]


# Whoever acts again.

DAILY = replace(FOLLOW, repeat=Repeat.PER_DAY)
EVERY = replace(FOLLOW, repeat=Repeat.EVERY_EVENT)


def paid_since_the_backup(desk: Desk, folder: Path, rule: Rule, **changes: Any) -> None:
    """An action of which the restored database knows nothing was paid."""
    world = desk.world
    world.link()
    backup = Backup(world, folder)
    world.clock.advance(600)
    desk.work(world.owed(rules=(rule,), **changes))
    world.clock.advance(3_600)
    backup.restore()
    doubted(world, backup.made_at)
    world.clock.advance(AT_MOST + 1)


def test_somebody_who_acts_again_is_not_paid_again(desk: Desk, tmp_path: Path) -> None:
    paid_since_the_backup(desk, tmp_path, FOLLOW)

    again = desk.world.owed()
    desk.work(again)

    assert (desk.submitted, desk.grants) == (1, 1)
    assert desk.world.state(again) is State.ACCEPTED


def test_somebody_who_acts_for_the_first_time_is_paid(sqlite_desk: Desk, tmp_path: Path) -> None:
    paid_since_the_backup(sqlite_desk, tmp_path, FOLLOW)

    sqlite_desk.work(sqlite_desk.world.owed("1", "bob"))

    assert (sqlite_desk.submitted, sqlite_desk.grants) == (2, 2)


def test_an_event_of_then_that_is_sent_again_is_not_paid_again(
    sqlite_desk: Desk, tmp_path: Path
) -> None:
    world = sqlite_desk.world
    happened_at = world.now
    paid_since_the_backup(sqlite_desk, tmp_path, EVERY, key="told twice")

    sqlite_desk.work(world.owed(rules=(EVERY,), key="told twice", occurred_at=happened_at))

    assert (sqlite_desk.submitted, sqlite_desk.grants) == (1, 1)


@pytest.mark.parametrize("rule", [DAILY, EVERY], ids=lambda rule: rule.repeat)
def test_another_action_than_any_of_then_is_paid(
    sqlite_desk: Desk, tmp_path: Path, rule: Rule
) -> None:
    paid_since_the_backup(sqlite_desk, tmp_path, rule)
    sqlite_desk.world.clock.advance(2 * 86_400)

    sqlite_desk.work(sqlite_desk.world.owed(rules=(rule,)))

    assert (sqlite_desk.submitted, sqlite_desk.grants) == (2, 2)


def test_a_doubt_of_what_is_new_is_noted_once_and_ends(sqlite_desk: Desk, tmp_path: Path) -> None:
    world = sqlite_desk.world
    paid_since_the_backup(sqlite_desk, tmp_path, FOLLOW)
    bob = world.owed("1", "bob")
    sqlite_desk.work(bob)
    world.clock.advance(31 * 86_400)
    eve = world.owed("2", "eve")
    sqlite_desk.work(eve)

    assert [one.worker for one in world.submissions(bob)].count("restore") == 1
    assert "restore" not in [one.worker for one in world.submissions(eve)]


def test_of_two_restores_the_earlier_moment_counts(sqlite_desk: Desk) -> None:
    world = sqlite_desk.world
    earlier = world.now
    world.clock.advance(3_600)
    doubted(world, earlier)
    world.clock.advance(3_600)

    doubted(world, earlier + timedelta(hours=1))

    assert (world.forwarding().restored_to, world.forwarding().restored_at) == (earlier, world.now)
