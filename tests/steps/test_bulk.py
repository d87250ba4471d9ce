"""Is one act on many attempts done to each once, whoever is cut off in the middle?"""

import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Connection, select, update

from app.domain.answers import Outcome
from app.domain.attempts import CANCELLABLE, REPLAYABLE, State
from app.domain.evidence import Evidence
from app.steps import bulk, history
from app.steps.bulk import Progress, WrongStates, progress_of
from app.steps.forwarding import must_look_first
from app.steps.history import Filter
from app.steps.operator_actions import OperatorAction
from app.storage.errors import StatementFailed
from app.storage.tables import BULK_JOBS, AttemptRow, AuditRow, BulkJobRow
from tests.moments import WRITTEN_MOMENTS
from tests.steps.world import World

SAM = "key:2 sam"
ALL = Filter()


def dead(world: World, count: int, prefix: str = "a") -> list[str]:
    """Dead attempts of as many customers."""
    made = []
    for i in range(count):
        made.append(world.owed(f"{prefix}{i}", f"{prefix}{i}"))
        world.clock.advance(0.01)
    for one in made:
        world.submit(one, Outcome.PERMANENT)
    return made


def begun(world: World, act: OperatorAction = OperatorAction.REPLAY, wanted: Filter = ALL) -> str:
    world.clock.advance(1)
    matched = world.do(lambda c: bulk.count(c, act, wanted, world.now))
    return str(world.do(lambda c: bulk.start(c, act, wanted, matched, SAM, world.now)).id)


def advance(world: World, job_id: str, size: int = 2) -> bool:
    return world.do(lambda c: bulk.advance(c, job_id, world.now, size))


def finish(world: World, job_id: str, size: int = 2) -> None:
    while advance(world, job_id, size):
        pass


def job(world: World, job_id: str) -> Any:
    return next(row for row in world.all(BulkJobRow) if row.id == job_id)


def counts(world: World, job_id: str) -> tuple[int, int, int]:
    row = job(world, job_id)
    return row.matched, row.visited, row.done


@pytest.mark.parametrize("count", [0, 1, 2, 4, 5])
def test_every_attempt_is_done_once_in_slices(world: World, count: int) -> None:
    ids = dead(world, count)
    job_id = begun(world)

    finish(world, job_id)

    assert counts(world, job_id) == (count, count, count)
    assert progress_of(job(world, job_id)) is Progress.ENDED
    assert [world.timeline(one) for one in ids] == [["due", "dead", "due"]] * count
    assert [world.attempt(one).round for one in ids] == [1] * count


@pytest.mark.parametrize(
    ("wanted", "moved"),
    [
        (Filter(states=(State.DEAD,)), {"state": State.DUE}),
        (Filter(undone=False), {"undone_at": datetime(2026, 1, 1, tzinfo=UTC)}),
    ],
)
def test_what_moved_since_it_was_looked_up_is_left_as_it_is(
    world: World, monkeypatch: pytest.MonkeyPatch, wanted: Filter, moved: dict[str, Any]
) -> None:
    first, second = dead(world, 2)
    job_id = begun(world, OperatorAction.CANCEL, wanted)
    look_up = history.page

    def look_up_too_early(connection: Connection, *asked: Any) -> list[Any]:
        found = look_up(connection, *asked)
        connection.execute(update(AttemptRow).where(AttemptRow.id == first).values(moved))
        return found

    monkeypatch.setattr(history, "page", look_up_too_early)
    finish(world, job_id, size=5)

    assert world.attempt(first).state != State.WITHDRAWN
    assert world.attempt(second).state == State.WITHDRAWN
    assert counts(world, job_id) == (2, 2, 1)


def test_an_attempts_timeline_says_who_and_by_which_job(world: World) -> None:
    [attempt_id] = dead(world, 1)
    job_id = begun(world)

    finish(world, job_id)

    change = world.last_change(attempt_id)
    assert change.caused_by == SAM
    assert job_id in change.reason


def test_the_audit_log_says_once_that_it_began_and_how_it_ended(world: World) -> None:
    dead(world, 3)
    job_id = begun(world, wanted=Filter(challenge_id=1, q="a00"))

    finish(world, job_id)

    told = [(row.change, row.caused_by, row.subject) for row in world.all(AuditRow)][-2:]
    assert told == [("bulk.started", SAM, job_id), ("bulk.ended", SAM, job_id)]
    began, ended = (json.loads(row.details) for row in world.all(AuditRow)[-2:])
    assert began["filter"]["challenge_id"] == 1
    assert began["filter"]["q"] == "(named)"
    assert ended == {"act": "replay", "done": 0, "skipped": 0}


def test_what_is_made_later_is_not_meant(world: World) -> None:
    dead(world, 3)
    job_id = begun(world)
    advance(world, job_id)
    world.clock.advance(1)
    later = dead(world, 2, "later")

    finish(world, job_id)

    assert [world.state(one) for one in later] == [State.DEAD] * 2
    assert counts(world, job_id) == (3, 3, 3)


def test_what_is_dead_again_is_not_replayed_a_second_time(world: World) -> None:
    ids = dead(world, 3)
    job_id = begun(world)
    advance(world, job_id)
    for one in ids[1:]:
        world.submit(one, Outcome.PERMANENT)

    finish(world, job_id)

    assert [world.attempt(one).round for one in ids] == [1, 1, 1]


def test_a_slice_that_fails_is_done_again_as_a_whole(world: World) -> None:
    ids = dead(world, 4)
    job_id = begun(world)
    advance(world, job_id)

    def killed(connection: Connection) -> None:
        bulk.advance(connection, job_id, world.now, 2)
        raise RuntimeError("killed before the commit")

    with pytest.raises(RuntimeError):
        world.do(killed)
    between = counts(world, job_id)
    finish(world, job_id)

    assert between == (4, 2, 2)
    assert counts(world, job_id) == (4, 4, 4)
    assert [world.attempt(one).round for one in ids] == [1] * 4


def test_many_processes_at_one_job_do_each_attempt_once(world: World) -> None:
    ids = dead(world, 12)
    job_id = begun(world)

    def work(_: int) -> None:
        for _ in range(20):
            advance(world, job_id, 1)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(work, range(4)))
    finish(world, job_id)

    assert counts(world, job_id) == (12, 12, 12)
    assert [world.attempt(one).round for one in ids] == [1] * 12


def test_a_replay_respects_the_ledger(world: World) -> None:
    [attempt_id] = dead(world, 1)
    world.free_award(attempt_id)
    world.owed("a0", "a0")
    job_id = begun(world)

    finish(world, job_id)

    assert world.state(attempt_id) is State.DEAD
    assert counts(world, job_id) == (1, 1, 0)


def test_a_replay_of_old_attempts_looks_before_it_sends(world: World) -> None:
    attempt_id = world.owed()
    world.submit(attempt_id, Outcome.UNKNOWN)
    world.submit(attempt_id, Outcome.PERMANENT)
    world.clock.advance(90 * 86_400)
    finish(world, begun(world))

    made = world.start(attempt_id)

    assert must_look_first(made, world.policy, world.now)


def test_a_replay_of_what_never_reached_gameball_need_not_look(world: World) -> None:
    [attempt_id] = dead(world, 1)
    world.clock.advance(90 * 86_400)
    finish(world, begun(world))

    made = world.start(attempt_id)

    assert not must_look_first(made, world.policy, world.now)


def test_a_cancellation_leaves_what_is_in_flight(world: World) -> None:
    flying = world.owed("99", "ann")
    world.start(flying)
    waiting = world.owed("55", "bob")
    job_id = begun(world, OperatorAction.CANCEL)

    finish(world, job_id)

    assert [world.state(one) for one in (flying, waiting)] == [State.DUE, State.WITHDRAWN]
    assert counts(world, job_id) == (2, 2, 1)


def test_only_what_the_filter_means_is_touched(world: World) -> None:
    mine, other = dead(world, 2)
    job_id = begun(world, wanted=Filter(customer_id="a0"))

    finish(world, job_id)

    assert [world.state(one) for one in (mine, other)] == [State.DUE, State.DEAD]


@pytest.mark.parametrize("name", ["customer_id", "account_id", "q"])
def test_whom_a_running_job_names_is_sealed(world: World, name: str) -> None:
    dead(world, 2, "sought-")
    job_id = begun(world, wanted=Filter(**{name: "sought-1"}))  # type: ignore[arg-type]
    stored = kept(world)
    with world.database.read() as connection:
        known = bulk.criteria_of(bulk.find(connection, job_id), with_names=True)
        told = bulk.criteria_of(bulk.find(connection, job_id), with_names=False)

    finish(world, job_id)

    assert "sought" not in stored
    assert (known[name], told[name]) == ("sought-1", "(named)")
    assert counts(world, job_id) == (1, 1, 1)
    assert job(world, job_id).named is None


def kept(world: World) -> str:
    """The jobs, as whoever reads the database without our keys reads them."""
    with world.database.read() as connection:
        return str(connection.execute(select(BULK_JOBS)).all())


@pytest.mark.parametrize("name", ["customer_id", "account_id", "q"])
def test_a_process_of_the_version_before_leaves_a_job_alone_that_names_somebody(
    world: World, name: str
) -> None:
    """It would look for whoever is called so, find nobody, and call the job done."""
    dead(world, 1)
    job_id = begun(world, wanted=Filter(**{name: "a0"}))  # type: ignore[arg-type]
    wanted = json.loads(job(world, job_id).wanted)

    def as_it_does(connection: Connection) -> None:
        history.page(connection, bulk._filter(wanted), 1)

    with pytest.raises((StatementFailed, AttributeError)):
        world.do(as_it_does)


def test_a_job_that_the_version_before_began_is_carried_on_and_forgets(world: World) -> None:
    mine, other = dead(world, 2)
    job_id = begun(world, wanted=Filter(challenge_id=1))
    in_clear = {**json.loads(job(world, job_id).wanted), "customer_id": "a0"}
    world.do(lambda c: c.execute(update(BulkJobRow).values(wanted=json.dumps(in_clear))))

    finish(world, job_id)

    assert [world.state(one) for one in (mine, other)] == [State.DUE, State.DEAD]
    assert "a0" not in job(world, job_id).wanted


def test_a_job_forgets_whom_it_named_once_it_is_over(world: World) -> None:
    dead(world, 3)
    ended = begun(world, wanted=Filter(customer_id="a0"))
    stopped = begun(world, wanted=Filter(account_id="a1"))
    finish(world, ended)
    world.do(lambda c: bulk.stop(c, stopped, SAM, world.now))

    assert "a0" not in job(world, ended).wanted
    assert "a1" not in job(world, stopped).wanted
    assert not any("a0" in row.details for row in world.all(AuditRow)[-4:])


def test_a_stopped_job_goes_no_further_and_what_it_did_stays(world: World) -> None:
    ids = dead(world, 5)
    job_id = begun(world)
    advance(world, job_id)

    world.do(lambda c: bulk.stop(c, job_id, "key:3 pat", world.now))
    went_on = advance(world, job_id)

    assert not went_on
    assert progress_of(job(world, job_id)) is Progress.STOPPED
    assert [world.state(one) for one in ids].count(State.DUE) == 2
    last = world.all(AuditRow)[-1]
    assert (last.change, last.caused_by) == ("bulk.stopped", "key:3 pat")
    assert world.do(bulk.running) == []


def test_stopping_what_has_ended_changes_nothing(world: World) -> None:
    job_id = begun(world)
    finish(world, job_id)
    before = (world.all(BulkJobRow), len(world.all(AuditRow)))

    world.do(lambda c: bulk.stop(c, job_id, SAM, world.now))

    assert (world.all(BulkJobRow), len(world.all(AuditRow))) == before


def test_no_job_is_no_error(world: World) -> None:
    nobody = "00000000-0000-7000-8000-000000000000"

    assert world.do(lambda c: bulk.stop(c, nobody, SAM, world.now)) is None
    assert not advance(world, nobody)


def test_jobs_that_are_not_over_are_known_to_every_process(world: World) -> None:
    dead(world, 3)
    first, second = begun(world), begun(world)
    finish(world, first)

    assert world.do(bulk.running) == [second]


@pytest.mark.parametrize(
    ("act", "allowed"), [(OperatorAction.REPLAY, REPLAYABLE), (OperatorAction.CANCEL, CANCELLABLE)]
)
def test_states_that_do_not_allow_it_are_refused(
    act: OperatorAction, allowed: frozenset[State]
) -> None:
    assert set(bulk.narrowed(act, ALL).states) == allowed
    for state in set(State) - allowed:
        with pytest.raises(WrongStates, match=state):
            bulk.narrowed(act, Filter(states=(state,)))


def all_of(wanted: Filter) -> Filter:
    """Who may begin a job may see handles."""
    return replace(wanted, finds_handles=True)


@given(
    st.builds(
        Filter,
        customer_id=st.none() | st.text(min_size=1),
        challenge_id=st.none() | st.integers(1, 99),
        states=st.lists(st.sampled_from(sorted(REPLAYABLE))).map(tuple),
        evidence=st.none() | st.sampled_from(Evidence),
        from_at=st.none() | WRITTEN_MOMENTS,
        to_at=st.none() | WRITTEN_MOMENTS,
        q=st.none() | st.text(min_size=1),
        undone=st.none() | st.booleans(),
    )
)
def test_a_filter_is_read_as_it_was_written(wanted: Filter) -> None:
    assert bulk._filter(json.loads(json.dumps(bulk._plain(wanted)))) == all_of(wanted)


def test_every_criterion_of_a_search_can_be_kept() -> None:
    told = {name: name for name in Filter.__slots__}
    told |= {"states": (State.DEAD,), "evidence": Evidence.SIGNED}  # type: ignore[dict-item]
    told |= {"from_at": None, "to_at": None}  # type: ignore[dict-item]
    wanted = Filter(**told)  # type: ignore[arg-type]

    assert bulk._filter(json.loads(json.dumps(bulk._plain(wanted)))) == all_of(wanted)
