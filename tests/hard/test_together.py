"""Are callbacks that arrive together served together, and nobody held up by who is slow?"""

import http.client
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from sqlalchemy import Connection

from app.steps.locks import lock_accounts
from app.storage.database import Database
from tests.hard.conftest import Survived
from tests.hard.harness import Installation, wait_until
from tests.hard.history import History
from tests.hard.platform import Message, follow

pytestmark = [pytest.mark.hard, pytest.mark.timeout(120)]

TOGETHER = 40


@contextmanager
def connections(port: int, count: int) -> Iterator[list[socket.socket]]:
    opened = [socket.create_connection(("127.0.0.1", port), timeout=10) for _ in range(count)]
    try:
        yield opened
    finally:
        for one in opened:
            one.close()


def status(connection: socket.socket) -> int:
    response = http.client.HTTPResponse(connection)
    response.begin()
    response.read()
    return response.status


def send_at_once(callers: list[socket.socket], messages: list[Message]) -> list[int]:
    for caller, message in zip(callers, messages, strict=True):
        caller.sendall(message.as_bytes())
    return [status(caller) for caller in callers]


def test_callbacks_that_come_at_once_are_all_kept_and_each_gets_its_own_answer(
    installation: Installation, history: History, survived: Survived
) -> None:
    history.link(range(5_000))
    web = installation.serve()
    forged = follow("forged", "account-1")
    forged = Message(forged.key, forged.headers, forged.body + b" ")

    with connections(web.port, TOGETHER) as callers:
        for number in range(10):
            keys = [f"event-{number * TOGETHER + n}" for n in range(TOGETHER - 1)]
            messages = [follow(key, key.replace("event", "account")) for key in keys]
            assert send_at_once(callers, [forged, *messages]) == [403] + [204] * len(keys)
    wait_until(history.is_settled, 40, "everything owed is sent")

    events = 10 * (TOGETHER - 1)
    assert len(history.event_keys()) == events
    assert history.states() == {"accepted": events}
    survived(callbacks=events, forged=10)


def test_a_caller_that_is_slow_holds_up_nobody(
    installation: Installation, history: History, survived: Survived
) -> None:
    history.link(range(100))
    web = installation.serve()
    with connections(web.port, 10) as slow, connections(web.port, 10) as callers:
        for number, one in enumerate(slow):
            one.sendall(follow(f"event-{number}", f"account-{number}").as_bytes()[:-1])
        time.sleep(0.2)
        began = time.monotonic()

        quick = [follow(f"event-{n}", f"account-{n}") for n in range(10, 20)]
        answers = send_at_once(callers, quick)

        took = time.monotonic() - began
        before = set(history.event_keys())
        for one in slow:
            one.sendall(b"}")
        late = [status(one) for one in slow]
    assert answers == [204] * 10
    assert before == {f"event-{n}" for n in range(10, 20)}
    assert late == [204] * 10
    assert len(history.event_keys()) == 20
    assert took < 5
    survived(slow_callers=10, others_answered_within=f"{took:.2f} s")


@pytest.mark.parametrize("database_url", ["postgres"], indirect=True)
def test_a_commit_that_waits_for_somebody_holds_up_nobody(
    installation: Installation, history: History, database_url: str, survived: Survived
) -> None:
    """Callbacks wait for each other's commits, to share the next one, but not for long."""
    history.link(range(100))
    web = installation.serve()
    database = Database(database_url)
    with connections(web.port, 1) as held, connections(web.port, 10) as callers:

        def keep_out(connection: Connection) -> float:
            lock_accounts(connection, [("twitch", "account-0")])
            held[0].sendall(follow("event-0", "account-0").as_bytes())
            time.sleep(0.5)
            began = time.monotonic()
            for number in range(3):
                some = [10 * number + n for n in range(1, 11)]
                answers = [follow(f"event-{n}", f"account-{n}") for n in some]
                assert send_at_once(callers, answers) == [204] * 10
            return time.monotonic() - began

        took = database.write(keep_out)
        assert status(held[0]) == 204
    database.close()
    assert len(history.event_keys()) == 31
    assert took < 2
    survived(held_up=1, others_answered_within=f"{took:.2f} s")
