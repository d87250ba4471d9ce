"""A loop repeats its act, outlives errors, and stops."""

import threading

import pytest

from app.storage.errors import StorageUnavailable
from app.worker.loop import Loop


def test_an_error_ends_neither_the_loop_nor_the_parts_after_it() -> None:
    errors = iter([StorageUnavailable("no server"), RuntimeError("a bug")])
    parts: list[str] = []
    is_done = threading.Event()

    def failing() -> None:
        raise next(errors)

    def act() -> float:
        loop.outlive(failing)
        parts.append("the rest of the act")
        if len(parts) == 2:
            is_done.set()
        return 0.0 if len(parts) < 2 else 60.0

    loop = Loop("test", act, after_error_seconds=60)
    loop.start()

    assert is_done.wait(10)
    loop.stop(10)
    assert not loop.is_alive


def test_an_act_that_fails_as_a_whole_is_repeated() -> None:
    calls: list[int] = []
    is_repeated = threading.Event()

    def act() -> float:
        calls.append(1)
        if len(calls) == 1:
            raise RuntimeError("a bug")
        is_repeated.set()
        return 60.0

    loop = Loop("test", act, after_error_seconds=0)
    loop.start()

    assert is_repeated.wait(10)
    loop.stop(10)


def test_waking_ends_a_wait_also_when_it_comes_during_the_act() -> None:
    acts = threading.Semaphore(0)

    def act() -> float:
        acts.release()
        loop.wake()
        return 60.0

    loop = Loop("test", act)
    loop.start()

    assert all(acts.acquire(timeout=10) for _ in range(3))
    loop.stop(10)


@pytest.mark.parametrize("is_started", [True, False])
def test_stopping_waits_for_the_thread_if_there_is_one(is_started: bool) -> None:
    loop = Loop("test", lambda: 60.0)
    if is_started:
        loop.start()

    loop.stop()

    assert loop.is_stopping
    assert not loop.is_alive
