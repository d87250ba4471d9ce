"""Is each alert raised once and cleared once, and every receiver told until it heard?"""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import Row
from sqlalchemy.event import listen

from app.domain.alerts import AlertKind, Judgement, Wrong
from app.domain.answers import Outcome
from app.domain.attempts import State
from app.domain.sources import Expected, IssueKind, RefusalLimit
from app.steps import alerts
from app.steps.alerts import RETRY_SECONDS, TAKEN_SECONDS, Changed, What
from app.steps.sources import Sighting, keep, minute_of
from app.storage.tables import AlertRow, NoticeRow
from tests.steps.world import World

PAUSED: Wrong = {(AlertKind.FORWARDING_PAUSED, ""): "it is paused"}
SILENT: Wrong = {(AlertKind.SOURCE_SILENT, "x"): "x is silent"}
NOTHING: Wrong = {}
RECEIVERS = ("on-call", "chat")


def settle(world: World, wrong: Wrong, receivers: tuple[str, ...] = RECEIVERS) -> list[Changed]:
    return world.do(lambda c: alerts.settle(c, Judgement(wrong), receivers, world.now))


def due(world: World) -> list[Row[Any]]:
    with world.database.read() as connection:
        return alerts.due_notices(connection, world.now, 100)


def told(world: World) -> list[tuple[str, str]]:
    return sorted((row.receiver, row.what) for row in world.all(NoticeRow))


def take(world: World, notice: Row[Any]) -> Row[Any] | None:
    return world.do(lambda c: alerts.take(c, notice, world.now))


# Raising and clearing.


def test_an_alert_is_raised_once_and_cleared_once(world: World) -> None:
    changes = [settle(world, wrong) for wrong in (PAUSED, PAUSED, NOTHING, NOTHING)]

    what = [[change.what for change in some] for some in changes]
    assert what == [[What.RAISED], [], [What.CLEARED], []]
    assert told(world) == [
        ("chat", "cleared"),
        ("chat", "raised"),
        ("on-call", "cleared"),
        ("on-call", "raised"),
    ]
    [alert] = world.all(AlertRow)
    assert (alert.kind, alert.text, alert.cleared_at) == (
        "forwarding_paused",
        "it is paused",
        world.now,
    )


def test_what_is_wrong_again_is_raised_again(world: World) -> None:
    for wrong in (PAUSED, NOTHING, PAUSED):
        settle(world, wrong)

    assert [row.cleared_at is None for row in world.all(AlertRow)] == [False, True]


def test_another_source_is_another_alert(world: World) -> None:
    settle(world, SILENT)

    changed = settle(world, {**SILENT, (AlertKind.SOURCE_SILENT, "y"): "y is silent"})

    assert changed == [Changed(AlertKind.SOURCE_SILENT, "y", What.RAISED)]


def test_a_text_that_changes_wakes_nobody_again(world: World) -> None:
    settle(world, PAUSED)

    assert settle(world, {(AlertKind.FORWARDING_PAUSED, ""): "still paused"}) == []


def test_many_processes_raise_and_clear_it_once(world: World) -> None:
    for wrong, what in ((PAUSED, What.RAISED), (NOTHING, What.CLEARED)):
        with ThreadPoolExecutor(4) as pool:
            found = list(pool.map(lambda _: settle(world, wrong), range(4)))  # noqa: B023

        assert [change.what for some in found for change in some] == [what]
    assert len(told(world)) == 4


def test_one_process_looks_at_a_time(world: World) -> None:
    def turn() -> bool:
        return world.do(lambda c: alerts.take_turn(c, 15, world.now))

    with ThreadPoolExecutor(4) as pool:
        first = list(pool.map(lambda _: turn(), range(4)))
    world.clock.advance(14)
    early = turn()
    world.clock.advance(1)

    assert sum(first) == 1
    assert not early
    assert turn()


def test_who_looked_by_a_clock_that_was_ahead_keeps_nobody_from_looking(world: World) -> None:
    """Nobody would be woken until that time, however many machines there are."""
    world.clock.advance(86_400)
    world.do(lambda c: alerts.take_turn(c, 15, world.now))
    world.clock.advance(-86_400)

    with world.database.read() as connection:
        is_turn = alerts.is_turn(connection, world.now)
    turns = [world.do(lambda c: alerts.take_turn(c, 15, world.now)) for _ in range(2)]

    assert is_turn
    assert turns == [True, False]


def test_whose_turn_it_is_can_be_asked_without_writing(world: World) -> None:
    def asked() -> bool:
        with world.database.read() as connection:
            return alerts.is_turn(connection, world.now)

    before = asked()
    world.do(lambda c: alerts.take_turn(c, 15, world.now))

    assert (before, asked()) == (True, False)


# How things are.


def situation(
    world: World, expected: dict[str, Expected] | None = None, within: float = 3_600
) -> Any:
    with world.database.read() as connection:
        return alerts.situation(connection, expected or {}, within, world.now)


@pytest.mark.parametrize("within", [300, 3_600, 86_400])
def test_what_ended_within_the_window_is_counted(world: World, within: float) -> None:
    for number in range(2):
        world.submit(world.owed(f"a{number}", f"a{number}"), Outcome.PERMANENT)
    world.clock.advance(within - 1)
    counted = situation(world, within=within).ended
    world.clock.advance(2)

    assert counted[State.DEAD] == 2
    assert situation(world, within=within).ended[State.DEAD] == 0


def test_a_note_that_an_action_was_undone_counts_for_nothing(world: World) -> None:
    attempt_id = world.owed()
    world.submit(attempt_id, Outcome.PERMANENT)
    world.clock.advance(60)

    world.receive(world.event(undone=True))

    assert world.timeline(attempt_id)[-1] == "dead"
    assert situation(world).ended[State.DEAD] == 1


def test_what_ended_lately_is_counted_by_an_index(world: World) -> None:
    asked: list[Any] = []
    with world.database.read() as connection:
        is_postgres = connection.dialect.name == "postgresql"
        if is_postgres:
            connection.exec_driver_sql("SET LOCAL enable_seqscan = off")
        listen(connection, "before_cursor_execute", lambda *args: asked.append(args[2:4]))
        alerts._ended(connection, world.now)
        text, values = asked[0]
        prefix = "EXPLAIN" if is_postgres else "EXPLAIN QUERY PLAN"
        plan = connection.exec_driver_sql(f"{prefix} {text}", values).all()

    assert "ix_transitions_ended" in str(plan)


def test_a_pause_and_the_oldest_debt_are_seen(world: World) -> None:
    attempt_id = world.owed()
    since = world.now
    world.submit(attempt_id, Outcome.BLOCKED)

    found = situation(world)

    assert found.paused_at == world.now
    assert found.pause_reason == "blocked"
    assert found.oldest_due_at == since


def test_a_silent_source_is_seen(world: World) -> None:
    found = situation(world, {"twitch": Expected(silent_after_seconds=60)})

    assert [one.kind for one in found.issues["twitch"]] == [IssueKind.SILENT]


def test_a_source_that_refuses_much_of_what_comes_is_seen(world: World) -> None:
    expected = Expected(refusals=RefusalLimit(0.5, of_at_least=2, within_seconds=3_600))
    minute = minute_of(world.now)
    seen = Sighting(
        callback_at=world.now,
        handshake_at=None,
        refused_at=world.now,
        refusal_kind="forged",
        refusal_reason="no header",
        refusals=1,
    )
    seen.believed_in[minute] = seen.refused_in[minute] = 1
    world.do(lambda c: keep(c, {"twitch": seen}))

    found = situation(world, {"twitch": expected})
    world.clock.advance(3_600)
    later = situation(world, {"twitch": expected})

    assert [one.kind for one in found.issues["twitch"]] == [IssueKind.REFUSING]
    assert later.issues["twitch"] == []


# Telling.


def test_a_notice_is_taken_by_one_and_given_back_if_that_one_dies(world: World) -> None:
    settle(world, PAUSED, ("on-call",))
    [notice] = due(world)

    taken = [take(world, notice) for _ in range(2)]

    assert taken[0] is not None
    assert taken[0].text == "it is paused"
    assert taken[1] is None
    assert due(world) == []
    world.clock.advance(TAKEN_SECONDS)
    [again] = due(world)
    assert again.id == notice.id


def test_a_notice_that_arrived_is_not_sent_again(world: World) -> None:
    settle(world, PAUSED, ("on-call",))
    [notice] = due(world)
    take(world, notice)

    world.do(lambda c: alerts.sent(c, notice.id, world.now))
    world.clock.advance(86_400 * 9)

    assert due(world) == []
    assert world.all(NoticeRow)[0].sent_at is not None


def test_a_notice_is_tried_by_the_schedule_and_then_given_up(world: World) -> None:
    settle(world, PAUSED, ("on-call",))
    waits = []
    while notices := due(world):
        take(world, notices[0])
        world.do(lambda c: alerts.failed(c, notices[0].id, "answered 500", world.now))
        row = world.all(NoticeRow)[0]
        if row.next_at is not None:
            waits.append((row.next_at - world.now) / timedelta(seconds=1))
            world.clock.set(row.next_at)

    assert tuple(waits) == RETRY_SECONDS
    [row] = world.all(NoticeRow)
    assert (row.tries, row.problem, row.sent_at) == (len(RETRY_SECONDS) + 1, "answered 500", None)


def test_nobody_hears_that_it_is_over_before_hearing_that_it_was_wrong(world: World) -> None:
    settle(world, PAUSED)
    world.clock.advance(1)
    settle(world, NOTHING)
    first = {notice.receiver: notice for notice in due(world)}

    for notice in first.values():
        take(world, notice)
    world.do(lambda c: alerts.sent(c, first["chat"].id, world.now))
    world.do(lambda c: alerts.failed(c, first["on-call"].id, "answered 500", world.now))

    assert {notice.what for notice in first.values()} == {"raised"}
    assert [(notice.receiver, notice.what) for notice in due(world)] == [("chat", "cleared")]


def test_a_test_wakes_nobody(world: World) -> None:
    world.do(lambda c: alerts.test(c, RECEIVERS, world.now))

    assert told(world) == [("chat", "raised"), ("on-call", "raised")]
    assert world.do(alerts.open_alerts) == []
    assert settle(world, NOTHING) == []


def test_two_tests_are_two(world: World) -> None:
    for _ in range(2):
        world.do(lambda c: alerts.test(c, ("chat",), world.now))

    assert len(due(world)) == 2


def test_without_receivers_an_alert_is_kept_all_the_same(world: World) -> None:
    settle(world, PAUSED, ())

    with world.database.read() as connection:
        assert [row.kind for row in alerts.listing(connection, 5)] == ["forwarding_paused"]
    assert told(world) == []


@pytest.mark.parametrize("length", [10, 5_000])
def test_a_long_text_is_cut(world: World, length: int) -> None:
    settle(world, {(AlertKind.BACKLOG, ""): "x" * length})

    assert len(world.all(AlertRow)[0].text) == min(length, 500)
