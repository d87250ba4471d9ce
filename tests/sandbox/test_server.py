"""The real server, seen by a real client: connections, faults on the wire, leaving nothing."""

import socket
import threading
import time

import pytest
import requests

from app.sandbox.books import Books
from app.sandbox.faults import Fault
from app.sandbox.server import SandboxServer
from tests.sandbox.conftest import API, KEYS, SOCIAL

PAYLOAD = {"customerId": "ann", "challengeId": 7}


def achieve(
    sandbox: SandboxServer, session: requests.Session, timeout: float = 5.0
) -> requests.Response:
    return session.post(sandbox.url + SOCIAL, json=PAYLOAD, timeout=timeout, allow_redirects=False)


def landed(books: Books) -> bool:
    return books.report().accepted == 1


def test_an_achievement_is_accepted_granted_and_read_back(
    sandbox: SandboxServer, session: requests.Session
) -> None:
    assert achieve(sandbox, session).status_code == 202

    path = f"{sandbox.url}{API}/customers/ann/reward-campaigns-progress"
    (row,) = session.get(path, params={"campaignId": 7}, timeout=5).json()

    assert row["achievedCount"] == 1


def test_one_connection_carries_many_calls(
    sandbox: SandboxServer, session: requests.Session
) -> None:
    with socket.create_connection(("127.0.0.1", sandbox.port), timeout=5) as connection:
        replies = connection.makefile("rb")
        for _ in range(3):
            connection.sendall(b"GET / HTTP/1.1\r\nHost: sandbox\r\n\r\n")
            assert replies.readline() == b"HTTP/1.1 200 OK\r\n"
            length = 0
            while (line := replies.readline()) != b"\r\n":
                if line.lower().startswith(b"content-length:"):
                    length = int(line.split(b":")[1])
            replies.read(length)
        replies.close()


def test_an_answer_does_not_wait_for_an_acknowledgement(
    sandbox: SandboxServer, session: requests.Session
) -> None:
    """Without TCP_NODELAY and one write per answer, each call would take 40 ms."""

    def took() -> float:
        started = time.monotonic()
        session.get(sandbox.url, timeout=5)
        return time.monotonic() - started

    session.get(sandbox.url, timeout=5)

    # The quickest of many: other programs may delay any of them, and an acknowledgement all.
    assert min(took() for _ in range(50)) < 0.035


def test_a_large_body_is_refused_and_a_chunked_one_needs_a_length(
    sandbox: SandboxServer, session: requests.Session
) -> None:
    url = sandbox.url + SOCIAL

    assert session.post(url, data=b" " * (2 << 20), timeout=5).status_code == 413
    assert session.post(url, data=iter([b"{}"]), timeout=5).status_code == 411
    assert achieve(sandbox, session).status_code == 202


def test_a_call_whose_body_does_not_come_is_none(
    sandbox: SandboxServer, session: requests.Session
) -> None:
    head = f"POST {SOCIAL} HTTP/1.1\r\nHost: sandbox\r\nContent-Length: 2\r\n\r\n"

    with socket.create_connection(("127.0.0.1", sandbox.port), timeout=5) as connection:
        connection.sendall(head.encode())
        connection.shutdown(socket.SHUT_WR)
        answered = connection.recv(1)

    assert answered == b""
    assert sandbox.books.calls() == []
    assert achieve(sandbox, session).status_code == 202


def test_a_head_call_has_no_body(sandbox: SandboxServer, session: requests.Session) -> None:
    assert session.head(sandbox.url, timeout=5).content == b""
    assert session.get(sandbox.url, timeout=5).status_code == 200


@pytest.mark.parametrize(
    ("kind", "has_landed"), [("timeout-before", False), ("timeout-after", True)]
)
def test_a_hanging_call_times_out(
    sandbox: SandboxServer, session: requests.Session, kind: str, has_landed: bool
) -> None:
    sandbox.books.faults.add(Fault(kind=kind, seconds=5))

    with pytest.raises(requests.ReadTimeout):
        achieve(sandbox, session, timeout=0.1)

    assert landed(sandbox.books) == has_landed


@pytest.mark.parametrize("kind", ["timeout-before", "timeout-after"])
def test_a_patient_client_sees_the_connection_close(
    sandbox: SandboxServer, session: requests.Session, kind: str
) -> None:
    sandbox.books.faults.add(Fault(kind=kind, seconds=0.05))

    with pytest.raises(requests.ConnectionError, match="closed connection"):
        achieve(sandbox, session)


@pytest.mark.parametrize(("kind", "has_landed"), [("reset-before", False), ("reset-after", True)])
def test_a_reset_is_a_reset(
    sandbox: SandboxServer, session: requests.Session, kind: str, has_landed: bool
) -> None:
    sandbox.books.faults.add(Fault(kind=kind))

    with pytest.raises(requests.ConnectionError, match="reset by peer"):
        achieve(sandbox, session)

    assert landed(sandbox.books) == has_landed


def test_a_truncated_answer_is_incomplete_although_it_landed(
    sandbox: SandboxServer, session: requests.Session
) -> None:
    sandbox.books.faults.add(Fault(kind="truncate"))

    with pytest.raises(requests.RequestException, match="IncompleteRead"):
        achieve(sandbox, session)

    assert landed(sandbox.books)


def test_a_retry_after_a_lost_answer_meets_the_echo(
    sandbox: SandboxServer, session: requests.Session
) -> None:
    sandbox.books.faults.add(Fault(kind="reset-after"))

    with pytest.raises(requests.ConnectionError):
        achieve(sandbox, session)

    assert achieve(sandbox, session).json()["code"] == 4000


def test_answers_on_demand_leave_the_connection_open(
    sandbox: SandboxServer, session: requests.Session
) -> None:
    kinds = ["http-503-html", "html-200", "redirect", "rate-limit", "bad-json-202-after"]
    sandbox.books.faults.add(*[Fault(kind=kind) for kind in kinds])

    answers = [achieve(sandbox, session) for _ in kinds]

    assert [answer.status_code for answer in answers] == [503, 200, 302, 429, 202]
    assert not any("X-Sandbox-Ending" in answer.headers for answer in answers)


def test_a_second_call_for_a_customer_in_processing_is_refused(
    sandbox: SandboxServer, session: requests.Session
) -> None:
    sandbox.books.faults.add(Fault(kind="slow", seconds=0.4))
    first: list[int] = []
    calling = threading.Thread(
        target=lambda: first.append(
            requests.post(sandbox.url + SOCIAL, json=PAYLOAD, headers=KEYS, timeout=5).status_code
        )
    )
    calling.start()
    while sandbox.books.report().concurrent_per_customer == 0:
        time.sleep(0.005)

    echo = achieve(sandbox, session)
    other = session.post(sandbox.url + SOCIAL, json={**PAYLOAD, "customerId": "bob"}, timeout=5)
    calling.join()

    assert (echo.status_code, echo.json()["code"]) == (422, 2001)
    assert other.status_code == 202
    assert first == [202]
    assert sandbox.books.report().concurrent_per_customer == 2
    assert achieve(sandbox, session).json()["code"] == 4000


def test_many_at_once_land_once(sandbox: SandboxServer) -> None:
    statuses: list[int] = []

    def call() -> None:
        answer = requests.post(sandbox.url + SOCIAL, json=PAYLOAD, headers=KEYS, timeout=5)
        statuses.append(answer.status_code)

    threads = [threading.Thread(target=call) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert statuses.count(202) == 1
    assert set(statuses) <= {202, 400, 422}
    assert sandbox.books.report().counts == {("ann", 7): 1}


def test_stopping_ends_hanging_calls_and_idle_connections_at_once() -> None:
    before = threading.active_count()
    started = time.monotonic()
    with SandboxServer() as sandbox, requests.Session() as session:
        port = sandbox.port
        session.get(sandbox.url, timeout=5)
        sandbox.books.faults.add(Fault(kind="timeout-before", seconds=60))
        with pytest.raises(requests.ReadTimeout):
            requests.post(sandbox.url + SOCIAL, json=PAYLOAD, headers=KEYS, timeout=0.05)

    assert time.monotonic() - started < 2
    assert threading.active_count() == before
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port), timeout=1)


def test_a_taken_port_is_said_plainly(sandbox: SandboxServer) -> None:
    with pytest.raises(OSError, match="in use"):
        SandboxServer(port=sandbox.port).start()


def test_it_serves_until_stopped() -> None:
    sandbox = SandboxServer()
    sandbox.start()
    serving = threading.Thread(target=sandbox.serve_forever)
    serving.start()

    assert requests.get(sandbox.url, timeout=5).status_code == 200
    sandbox.stop()
    serving.join(timeout=5)

    assert not serving.is_alive()


def test_a_client_that_leaves_early_harms_nobody(
    sandbox: SandboxServer, session: requests.Session
) -> None:
    with socket.create_connection(("127.0.0.1", sandbox.port), timeout=5) as connection:
        connection.sendall(b"POST / HTTP/1.1\r\nContent-Length: 100\r\n\r\nshort")
    with socket.create_connection(("127.0.0.1", sandbox.port), timeout=5) as connection:
        connection.sendall(b"\xff\x00 nonsense\r\n\r\n")

    assert achieve(sandbox, session).status_code == 202
