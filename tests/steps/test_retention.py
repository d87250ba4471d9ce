"""Is everything let go in its time, a little at a time, and never what must be known for ever?"""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import Connection

from app.domain.alerts import AlertKind, Judgement, Wrong
from app.domain.answers import Outcome
from app.domain.attempts import State
from app.domain.evidence import Evidence
from app.steps import alerts, audit, bulk, retention
from app.steps.audit import Change
from app.steps.history import Filter
from app.steps.intake import Receipt
from app.steps.operator_actions import OperatorAction
from app.steps.retention import Kept
from app.storage.tables import (
    AlertRow,
    AttemptRow,
    AuditRow,
    AwardRow,
    BulkJobRow,
    EventRow,
    IdentityRow,
    NoticeRow,
    SubmissionRow,
    TransitionRow,
)
from tests.steps.world import FOLLOW, World

DAY = 86_400


def purge(world: World, kind: Kept, days: int, limit: int = 100) -> int:
    older_than = world.now - timedelta(days=days)
    return world.do(lambda c: retention.purge(c, kind, older_than, limit))


def is_due(world: World, kind: Kept, days: int) -> bool:
    with world.database.read() as connection:
        return retention.is_due(connection, kind, world.now - timedelta(days=days))


def paid(world: World, **changes: Any) -> str:
    """An attempt of ann's that ended."""
    attempt_id = world.owed(actor_handle="ann_plays", **changes)
    world.submit(attempt_id, Outcome.ACCEPTED)
    world.confirmed_as(attempt_id, State.GRANTED)
    return attempt_id


def test_a_payload_is_let_go_and_the_event_stays(world: World) -> None:
    world.receive(world.event())
    world.clock.advance(20 * DAY)
    world.receive(world.event())
    world.clock.advance(11 * DAY)

    assert purge(world, Kept.PAYLOADS, 30) == 1

    old, new = world.stored_events()
    assert (old.payload, old.key, old.actor) == (None, "event-1", "99")
    assert new.payload == b"{}"
    assert not is_due(world, Kept.PAYLOADS, 30)


def test_what_is_due_goes_in_slices_and_whoever_comes_next_goes_on(world: World) -> None:
    world.receive(*(world.event() for _ in range(5)))
    world.clock.advance(31 * DAY)

    slices = [purge(world, Kept.PAYLOADS, 30, limit=2) for _ in range(4)]

    assert slices == [2, 2, 1, 0]
    assert {row.payload for row in world.stored_events()} == {None}


def test_a_stripped_event_tells_nothing_and_earns_nothing_again(world: World) -> None:
    event = world.event(actor_handle="ann_plays")
    world.receive(event)
    world.clock.advance(1_100 * DAY)

    assert purge(world, Kept.EVENTS, 1_095) == 1

    [row] = world.stored_events()
    assert {getattr(row, name) for name in retention.STRIPPED} == {None}
    world.link()
    again = replace(event, received_at=world.now)
    assert world.receive(again) == [Receipt(False)]
    assert len(world.stored_events()) == 1


def test_an_attempt_that_ended_goes_with_all_that_belongs_to_it(world: World) -> None:
    paid(world)
    world.clock.advance(1_100 * DAY)
    kept = paid(world, account="7", customer="bob")

    assert purge(world, Kept.ATTEMPTS, 1_095) == 1

    assert [row.id for row in world.all(AttemptRow)] == [kept]
    assert {row.attempt_id for row in world.all(TransitionRow)} == {kept}
    assert {row.attempt_id for row in world.all(SubmissionRow)} == {kept}
    assert sorted(str(row.attempt_id) for row in world.all(AwardRow)) == sorted([kept, "None"])


def test_what_was_paid_is_not_paid_again_after_its_attempt_is_gone(world: World) -> None:
    paid(world)
    world.clock.advance(1_100 * DAY)
    purge(world, Kept.ATTEMPTS, 1_095)

    world.receive(world.event())
    world.link("100", "ann")
    world.receive(world.event(actor="100"))

    assert world.states() == ["duplicate", "duplicate"]


@pytest.mark.parametrize("may_have_landed", [False, True])
def test_what_died_can_be_earned_again_after_its_attempt_is_gone_unless_it_may_be_paid(
    world: World, may_have_landed: bool
) -> None:
    dead = world.owed()
    if may_have_landed:
        world.submit(dead, Outcome.UNKNOWN)
        world.clock.advance(60)
    world.submit(dead, Outcome.PERMANENT)
    assert world.state(dead) is State.DEAD
    world.clock.advance(1_100 * DAY)
    purge(world, Kept.ATTEMPTS, 1_095)

    world.receive(world.event())

    assert world.states() == ["duplicate" if may_have_landed else "due"]


@pytest.mark.parametrize("state", ["unlinked", "checking", "held", "due", "accepted"])
def test_what_has_not_ended_is_kept_however_old_it_is(world: World, state: str) -> None:
    attempt_id = world.owed()
    world.confirmed_as(attempt_id, State(state))
    world.clock.advance(10_000 * DAY)

    assert purge(world, Kept.ATTEMPTS, 1_095) == 0
    assert purge(world, Kept.CONTACTS, 30) == 0


def test_an_attempt_that_moved_lately_is_kept(world: World) -> None:
    attempt_id = world.owed()
    world.confirmed_as(attempt_id, State.DEAD)
    world.clock.advance(1_100 * DAY)
    world.replay(attempt_id)
    world.cancel(attempt_id)

    assert purge(world, Kept.ATTEMPTS, 1_095) == 0


def test_contacts_and_statements_are_let_go_after_the_end(world: World) -> None:
    world.link(email="ann@b.test", mobile="+49 30 1")
    attempt_id = paid(world)
    world.claim(
        replace(FOLLOW, challenge_id=2, evidence=Evidence.SIGNED), statement={"note": "done"}
    )
    world.clock.advance(8 * DAY)
    world.strike()
    world.clock.advance(31 * DAY)

    assert purge(world, Kept.CONTACTS, 30) == 2

    rows = world.all(AttemptRow)
    assert {(row.email, row.mobile, row.claimed) for row in rows} == {(None, None, None)}
    assert world.attempt(attempt_id).customer_id == "ann"
    assert world.all(IdentityRow)[0].email == "ann@b.test"
    assert not is_due(world, Kept.CONTACTS, 30)


def test_the_audit_log_has_its_own_time(world: World) -> None:
    world.do(lambda c: audit.record(c, Change.KEY_CREATED, by="cli:sam", now=world.now))
    world.clock.advance(1_826 * DAY)
    world.do(lambda c: audit.record(c, Change.KEY_REVOKED, by="cli:sam", now=world.now))

    assert purge(world, Kept.AUDIT, 1_825) == 1
    assert [row.change for row in world.all(AuditRow)] == ["key.revoked"]


def bulk_job(world: World) -> str:
    job = world.do(
        lambda c: bulk.start(c, OperatorAction.REPLAY, Filter(), 0, "key:2 sam", world.now)
    )
    return str(job.id)


def finish(world: World, job_id: str) -> None:
    assert not world.do(lambda c: bulk.advance(c, job_id, world.now))


def test_a_bulk_job_is_let_go_after_its_end_and_never_before(world: World) -> None:
    over, running = bulk_job(world), bulk_job(world)
    world.clock.advance(1_100 * DAY)
    finish(world, over)
    early = purge(world, Kept.BULK_JOBS, 1_095)
    world.clock.advance(1_100 * DAY)

    assert (early, purge(world, Kept.BULK_JOBS, 1_095)) == (0, 1)
    assert [row.id for row in world.all(BulkJobRow)] == [running]


def settle(world: World, wrong: Wrong) -> None:
    world.do(lambda c: alerts.settle(c, Judgement(wrong), ["pager"], world.now))


def tell(world: World) -> None:
    """Send every notice that is waiting."""
    for notice in world.all(NoticeRow):
        world.do(lambda c, one=notice.id: alerts.sent(c, one, world.now))  # type: ignore[misc]


BACKLOG: Wrong = {(AlertKind.BACKLOG, ""): "no worker runs"}


def test_a_cleared_alert_is_let_go_with_its_notices_and_an_open_one_stays(world: World) -> None:
    settle(world, BACKLOG)
    settle(world, {})
    settle(world, BACKLOG)
    tell(world)
    world.clock.advance(366 * DAY)

    assert purge(world, Kept.ALERTS, 365) == 1

    [still] = world.all(AlertRow)
    assert still.cleared_at is None
    assert {notice.alert_id for notice in world.all(NoticeRow)} == {still.id}


def test_an_alert_that_somebody_is_still_to_be_told_of_is_kept(world: World) -> None:
    settle(world, BACKLOG)
    settle(world, {})
    world.clock.advance(366 * DAY)
    early = purge(world, Kept.ALERTS, 365)
    tell(world)

    assert (early, purge(world, Kept.ALERTS, 365)) == (0, 1)
    assert world.all(AlertRow) == world.all(NoticeRow) == []


@pytest.mark.parametrize("kind", Kept)
def test_a_count_changes_nothing_and_agrees(world: World, kind: Kept) -> None:
    tables = (EventRow, AttemptRow, AuditRow, BulkJobRow, AlertRow)
    world.link(email="ann@b.test")
    paid(world)
    world.do(lambda c: audit.record(c, Change.KEY_CREATED, by="cli:sam", now=world.now))
    finish(world, bulk_job(world))
    settle(world, BACKLOG)
    settle(world, {})
    tell(world)
    world.clock.advance(2_000 * DAY)
    before = [world.all(table) for table in tables]

    with world.database.read() as connection:
        counted = retention.count(connection, kind, world.now - timedelta(days=1_900))

    assert [world.all(table) for table in tables] == before
    assert counted == purge(world, kind, 1_900) > 0


def test_contacts_are_found_by_the_index_made_for_it(sqlite_world: World) -> None:
    older_than = sqlite_world.now
    plans: list[str] = []

    def explain(connection: Connection) -> None:
        due = retention._with_contacts(older_than).compile(connection)
        raw = connection.connection.cursor()
        processed = due.construct_expanded_state(due.params)
        values = [processed.parameters[name] for name in processed.positiontup or ()]
        plain = [str(value) for value in values]
        raw.execute(f"EXPLAIN QUERY PLAN {processed.statement}", plain)
        plans.append(str(raw.fetchall()))

    sqlite_world.do(explain)

    assert "ix_attempts_contacts" in plans[0]


def test_two_who_purge_at_once_never_go_back(world: World) -> None:
    world.receive(*(world.event() for _ in range(4)))
    world.clock.advance(31 * DAY)
    purge(world, Kept.PAYLOADS, 30)
    ids = [row.id for row in world.stored_events()]

    world.do(lambda c: retention._let_go_of_payloads(c, ids[:2]))

    assert not is_due(world, Kept.PAYLOADS, 30)
