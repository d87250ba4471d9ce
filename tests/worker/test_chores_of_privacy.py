"""Does the worker let go of what is old, and carry on erasures, by itself?"""

import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import Connection, String, update

from app.domain.answers import Outcome
from app.service import Service
from app.steps import erasure, retention
from app.steps.retention import Kept
from app.storage.tables import AttemptRow, AuditRow, ErasureRow, EventRow, GrantRow
from app.worker import chores
from app.worker.chores import Chores
from tests.clock import Clock
from tests.conftest import MakeService
from tests.keys import KEYS
from tests.steps.world import World


@pytest.fixture
def service(make_service: MakeService, database_url: str) -> Service:
    return make_service("[retention]\npayloads = '1d'\n", VOUCH_SECRET_KEYS=KEYS[0])


@pytest.fixture
def world(service: Service, clock: Clock) -> World:
    return World(database=service.database, clock=clock)


@pytest.fixture
def _working(service: Service) -> Iterator[None]:
    thread = Chores(service, every_seconds=0.01)
    thread.start()
    yield
    thread.stop()


def until(holds: Callable[[], Any]) -> None:
    deadline = time.monotonic() + 20
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_old_payloads_are_let_go_of_slice_by_slice(
    world: World, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chores, "PURGED_AT_ONCE", 2)
    world.receive(*(world.event() for _ in range(5)))
    world.clock.advance(timedelta(days=2).total_seconds())
    world.receive(world.event())

    request.getfixturevalue("_working")

    until(lambda: sum(row.payload is None for row in world.all(EventRow)) == 5)
    assert [row.payload for row in world.all(EventRow)][5] == b"{}"


def test_a_kind_that_cannot_be_let_go_of_keeps_no_other_from_it(
    world: World, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    purge = retention.purge

    def failing(connection: Connection, kind: Kept, *arguments: Any) -> int:
        if kind is Kept.PAYLOADS:
            raise RuntimeError("a bug about payloads")
        return purge(connection, kind, *arguments)

    monkeypatch.setattr(retention, "purge", failing)
    world.cancel(world.owed())
    world.clock.advance(timedelta(days=2_000).total_seconds())

    request.getfixturevalue("_working")

    until(lambda: world.all(AttemptRow) == [] and world.all(AuditRow) == [])


def test_an_erasure_that_was_begun_is_carried_to_its_end(
    world: World, request: pytest.FixtureRequest
) -> None:
    world.owed()
    world.do(lambda c: erasure.request(c, "ann", "key:1 sam", world.now))

    request.getfixturevalue("_working")

    until(lambda: world.all(ErasureRow)[0].completed_at is not None)
    assert world.states() == ["withdrawn"]


def test_an_erasure_waits_for_what_is_in_flight(
    world: World, request: pytest.FixtureRequest
) -> None:
    made = world.start(world.owed())
    world.do(lambda c: erasure.request(c, "ann", "key:1 sam", world.now))

    request.getfixturevalue("_working")
    until(lambda: world.attempt(made.attempt_id).erased_at is not None)
    before = world.all(ErasureRow)[0].completed_at
    world.finish(made, Outcome.ACCEPTED)

    until(lambda: world.all(ErasureRow)[0].completed_at is not None)
    assert before is None
    assert world.states() == ["unconfirmed"]


def test_coupons_that_the_version_before_left_in_clear_are_sealed_slice_by_slice(
    world: World, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chores, "PURGED_AT_ONCE", 2)
    for customer in "abcde":
        world.granted(world.owed(customer, customer))
    in_clear = {"coupon": GrantRow.attempt_id.cast(String), "coupon_code": None}
    world.do(lambda c: c.execute(update(GrantRow).values(in_clear)))

    request.getfixturevalue("_working")

    until(lambda: all(row.coupon is None for row in world.all(GrantRow)))
    assert len({row.coupon_code for row in world.all(GrantRow)}) == 5
