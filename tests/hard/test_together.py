"""Are callbacks that arrive together served together, and nobody held up by who is slow?"""

import http.client
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO

import pytest
from sqlalchemy import Connection

from app.steps.locks import lock_accounts
from app.storage.database import Database
from tests.hard.conftest import Survived
from tests.hard.harness import Installation, wait_while_it_falls
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
    wait_while_it_falls(history.owed, "everything owed is sent")

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


def test_a_connection_carries_callbacks_of_every_kind_in_turn(
    installation: Installation, history: History, survived: Survived
) -> None:
    """Those that are plain, and those that are read by gunicorn and answered by Flask."""
    history.link(range(100))
    web = installation.serve()
    one = [follow(f"event-{n}", f"account-{n}").as_bytes() for n in range(8)]
    in_chunks = chunked(one[2])
    last = one[7].replace(b"\r\n", b"\r\nConnection: close\r\n", 1)
    asked = b"GET /healthz HTTP/1.1\r\nHost: vouch\r\n\r\n"

    answers = []
    with connections(web.port, 1) as (caller,), caller.makefile("rb") as read:
        # Several in one packet, so that gunicorn has read some of what is plain.
        for packet, count in [
            (one[0], 1),
            (asked, 1),
            (one[1], 1),
            (in_chunks + one[3], 2),
            (one[4] + one[5] + asked, 3),
            (one[6], 1),
            (last, 1),
        ]:
            caller.sendall(packet)
            answers += [next_status(read) for _ in range(count)]
        rest = read.read()

    assert answers == [204, 200, 204, 204, 204, 204, 204, 200, 204, 204]
    assert rest == b""
    assert sorted(history.event_keys()) == [f"event-{n}" for n in range(8)]
    survived(mixed_requests=len(answers))


def next_status(read: BinaryIO) -> int:
    """Of the next of several answers on one connection."""
    head = []
    while (line := read.readline()) != b"\r\n":
        assert line, "the connection was closed"
        head.append(line.lower().strip())
    lengths = [int(line.split(b":")[1]) for line in head if line.startswith(b"content-length:")]
    read.read(sum(lengths))
    return int(head[0].split()[1])


def chunked(data: bytes) -> bytes:
    head, _, body = data.partition(b"\r\n\r\n")
    lines = [line for line in head.split(b"\r\n") if not line.lower().startswith(b"content-length")]
    chunk = b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body)
    return b"\r\n".join([*lines, b"Transfer-Encoding: chunked", b"", chunk])


def send_on_and_on(connection: socket.socket, data: bytes) -> None:
    for _ in range(100_000):
        connection.sendall(data)


def test_a_client_that_reads_no_answer_costs_only_itself(
    installation: Installation, history: History, survived: Survived
) -> None:
    history.link(range(10))
    web = installation.serve()
    forged = follow("event-0", "account-0").as_bytes()[:-1] + b" "
    with connections(web.port, 1) as (deaf,), connections(web.port, 1) as (caller,):
        deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
        deaf.settimeout(2)
        with pytest.raises(OSError, match=r"timed out|reset|pipe"):
            send_on_and_on(deaf, forged)

        caller.sendall(follow("event-1", "account-1").as_bytes())

        assert status(caller) == 204
    assert history.event_keys() == ["event-1"]
    survived(deaf_clients=1)
