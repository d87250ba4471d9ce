"""Do many requests share one commit, and is everybody told the truth about it?"""

import os
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import pytest
from sqlalchemy import Connection, Engine, event, insert, select

from app.domain.clock import new_id
from app.storage.engines import write_engine
from app.storage.errors import StatementFailed, StorageUnavailable
from app.storage.jobs import BatchStep, Job
from app.storage.tables import AwardRow, EventRow
from app.storage.types import Sealed
from app.storage.writer import MAX_WAITING, GroupWriter
from tests.clock import START


@pytest.fixture
def engine(sqlite_url: str) -> Iterator[Engine]:
    engine = write_engine(sqlite_url)
    yield engine
    engine.dispose()


@pytest.fixture
def commits(engine: Engine) -> list[float]:
    """When the engine committed."""
    times: list[float] = []
    event.listen(engine, "commit", lambda _connection: times.append(time.monotonic()))
    return times


@pytest.fixture
def writer(engine: Engine) -> Iterator[GroupWriter]:
    writer = GroupWriter(engine, patience_seconds=10)
    yield writer
    writer.close()


def write(writer: GroupWriter, step: BatchStep, items: Sequence[Any]) -> Sequence[Any]:
    job = Job(step=step, items=items)
    writer.write([job])
    return job.result()


class Held:
    """A step that keeps the writer busy, so that others have to wait behind it."""

    def __init__(self, writer: GroupWriter) -> None:
        self.began = threading.Event()
        self.go = threading.Event()
        self.thread = threading.Thread(target=write, args=(writer, self._step, ["held"]))
        self.thread.start()
        assert self.began.wait(10)

    def _step(self, _connection: Connection, items: Sequence[Any]) -> Sequence[Any]:
        self.began.set()
        assert self.go.wait(10)
        return items

    def release(self) -> None:
        self.go.set()
        self.thread.join()


def wait_for(writer: GroupWriter, waiting: int) -> None:
    deadline = time.monotonic() + 10
    while writer._jobs.qsize() < waiting:
        assert time.monotonic() < deadline
        time.sleep(0.001)


def keep(connection: Connection, keys: Sequence[str]) -> Sequence[str]:
    """Write events; "poison" cannot be written, "large" is more than fits a small disk."""
    for key in keys:
        if key == "poison":
            raise LookupError(key)
        for part in range(2_000 if key == "large" else 1):
            row = {
                "id": new_id(START),
                "source": "twitch",
                "key": f"{key}:{part}",
                "key_hash": f"{key}:{part}",
                "platform": "twitch",
                "action": "follow",
                "undone": False,
                "actor": "99",
                "occurred_at": START,
                "received_at": START,
                "payload": Sealed(os.urandom(3_000) if key == "large" else b"{}"),
            }
            connection.execute(insert(EventRow).values(row))
    return [f"kept {key}" for key in keys]


def kept(engine: Engine) -> set[str]:
    with engine.begin() as connection:
        keys = connection.execute(select(EventRow.key_hash)).scalars()
        return {key.removesuffix(":0") for key in keys}


def write_behind(
    writer: GroupWriter, jobs: Sequence[Sequence[str]], *, apart: bool = False
) -> list[Any]:
    """Let all the jobs wait in their order, then run them; the end of each.

    ``apart``: each is a step of its own, as `Database.write` makes them.
    """
    held = Held(writer)
    with ThreadPoolExecutor(len(jobs)) as pool:
        futures = []
        for position, items in enumerate(jobs, 1):
            step = partial(keep) if apart else keep
            futures.append(pool.submit(write, writer, step, items))
            wait_for(writer, position)
        held.release()
        return [future.exception(10) or future.result() for future in futures]


def test_each_caller_gets_the_results_of_its_own_items(writer: GroupWriter) -> None:
    ends = write_behind(writer, [["a"], ["b", "c", "d"], [], ["e"]])

    assert ends == [["kept a"], ["kept b", "kept c", "kept d"], [], ["kept e"]]


def test_what_waits_together_is_committed_together(
    writer: GroupWriter, engine: Engine, commits: list[float]
) -> None:
    ends = write_behind(writer, [[f"event-{i}"] for i in range(50)])

    assert ends == [[f"kept event-{i}"] for i in range(50)]
    assert len(commits) == 2  # the one that held them up, and one for all of them
    assert len(kept(engine)) == 50


def test_an_answer_comes_only_after_the_commit(
    writer: GroupWriter, sqlite_url: str, commits: list[float]
) -> None:
    write(writer, keep, ["a"])

    assert len(commits) == 1
    stranger = write_engine(sqlite_url)
    try:
        assert kept(stranger) == {"a"}
    finally:
        stranger.dispose()


@pytest.mark.parametrize("apart", [False, True])
def test_a_job_that_fails_fails_alone(
    writer: GroupWriter, engine: Engine, commits: list[float], apart: bool
) -> None:
    ends = write_behind(writer, [["a"], ["b", "poison"], ["c"]], apart=apart)

    assert (ends[0], ends[2]) == (["kept a"], ["kept c"])
    assert isinstance(ends[1], LookupError)
    assert len(commits) == 2
    assert kept(engine) == {"a", "c"}


def test_a_constraint_that_refuses_one_job_spares_the_others(
    writer: GroupWriter, engine: Engine
) -> None:
    write(writer, keep, ["known"])

    ends = write_behind(writer, [["a"], ["known"], ["b"]])

    assert (ends[0], ends[2]) == (["kept a"], ["kept b"])
    assert isinstance(ends[1], StatementFailed)
    assert kept(engine) == {"known", "a", "b"}


def test_what_the_database_complains_of_names_no_value(writer: GroupWriter) -> None:
    write(writer, keep, ["known"])

    with pytest.raises(StatementFailed) as caught:
        write(writer, keep, ["known"])

    assert "UNIQUE constraint failed" in str(caught.value)
    assert "known" not in str(caught.value)


def orphan(connection: Connection, items: Sequence[str]) -> Sequence[str]:
    """An award of no attempt: the constraint is deferred, so that only the commit fails."""
    award = {
        "challenge_id": 1,
        "customer_hash": "ann",
        "attempt_id": new_id(START),
        "created_at": START,
    }
    connection.execute(insert(AwardRow).values(award))
    return items


def test_a_commit_that_fails_fails_everybody(writer: GroupWriter, engine: Engine) -> None:
    held = Held(writer)
    with ThreadPoolExecutor(2) as pool:
        good = pool.submit(write, writer, keep, ["a"])
        bad = pool.submit(write, writer, orphan, ["x"])
        wait_for(writer, 2)
        held.release()
        ends = [good.exception(10), bad.exception(10)]

    assert [type(end) for end in ends] == [StatementFailed] * 2
    assert kept(engine) == set()


@pytest.mark.parametrize("apart", [False, True])
@pytest.mark.parametrize("jobs", [[["a"], ["large"]], [["a"], ["large"], ["b"]], [["large"]]])
def test_nobody_is_told_of_success_when_a_full_disk_undid_everything(
    engine: Engine, jobs: list[list[str]], apart: bool
) -> None:
    # SQLite itself ends the whole transaction then; a later COMMIT succeeds, with nothing in it.
    @event.listens_for(engine, "connect")
    def shrink(connection: Any, _record: object) -> None:
        pages = connection.execute("PRAGMA page_count").fetchone()[0]
        connection.execute("PRAGMA cache_size=10")
        connection.execute(f"PRAGMA max_page_count={pages + 50}")

    writer = GroupWriter(engine, patience_seconds=10)
    try:
        ends = write_behind(writer, jobs, apart=apart)
        afterwards = write(writer, keep, ["later"])
    finally:
        writer.close()

    told = {items[0] for items, end in zip(jobs, ends, strict=True) if isinstance(end, list)}
    assert told <= kept(engine)
    assert "large" not in told
    assert all(isinstance(end, list | StorageUnavailable) for end in ends)
    assert afterwards == ["kept later"]


def test_a_queue_that_is_too_long_takes_no_more(engine: Engine) -> None:
    writer = GroupWriter(engine, patience_seconds=10)
    held = Held(writer)
    writer._patience_seconds = 0
    try:
        for _ in range(MAX_WAITING):
            with pytest.raises(StorageUnavailable, match="too slow"):
                write(writer, keep, ["impatient"])
        with pytest.raises(StorageUnavailable, match="too many"):
            write(writer, keep, ["one more"])
    finally:
        held.release()
        writer.close()


def test_who_was_told_that_it_is_too_slow_is_not_written_later(
    writer: GroupWriter, engine: Engine
) -> None:
    held = Held(writer)
    writer._patience_seconds = 0.05

    with pytest.raises(StorageUnavailable, match="too slow"):
        write(writer, keep, ["given up"])
    held.release()
    writer._patience_seconds = 10
    write(writer, keep, ["later"])

    assert kept(engine) == {"later"}


def test_whoever_needs_an_answer_sooner_gets_it_sooner(writer: GroupWriter, engine: Engine) -> None:
    held = Held(writer)
    began = time.monotonic()
    hurried = Job(step=keep, items=["hurried"], patience_seconds=0.05)

    writer.write([hurried])

    took = time.monotonic() - began
    held.release()
    with pytest.raises(StorageUnavailable, match="too slow"):
        hurried.result()
    assert took < 5
    write(writer, keep, ["later"])
    assert kept(engine) == {"later"}


def test_closing_finishes_what_waits(engine: Engine) -> None:
    writer = GroupWriter(engine, patience_seconds=10)
    held = Held(writer)
    with ThreadPoolExecutor(3) as pool:
        waiting = [pool.submit(write, writer, keep, [key]) for key in ("a", "b")]
        wait_for(writer, 2)
        closing = pool.submit(writer.close)
        held.release()
        closing.result(10)

        assert [future.result(10) for future in waiting] == [["kept a"], ["kept b"]]
    assert kept(engine) == {"a", "b"}


def test_many_threads_lose_nothing(
    writer: GroupWriter, engine: Engine, commits: list[float]
) -> None:
    def caller(name: int) -> None:
        for i in range(20):
            assert write(writer, keep, [f"{name}-{i}"]) == [f"kept {name}-{i}"]

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(caller, range(8)))

    assert len(kept(engine)) == 160
    assert len(commits) <= 160
