"""Does the worker do what its answers say, and does a slow client cost anybody else anything?"""

import contextlib
import http.client
import socket
import ssl
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

from app.server import slow_clients, wire
from tests.web.serving import (
    MAX_CALLBACK_BYTES,
    TRANSPORTS,
    Serving,
    read_answer,
    serving,
)

PAGE = b"a" * 150_000
STREAMED = 200


class Shop:
    """A WSGI application of a few paths. ``/v1/wait`` lasts until `go` is set."""

    def __init__(self) -> None:
        self.go = threading.Event()
        self.waiting = threading.Semaphore(0)
        self.streamed = 0

    def __call__(self, environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        path = environ["PATH_INFO"]
        if path == "/webhooks/a":
            body = environ["wsgi.input"].read()
            start("200 OK", [("Content-Length", str(len(str(len(body)))))])
            return [str(len(body)).encode()]
        if path == "/page":
            start("200 OK", [("Content-Length", str(len(PAGE)))])
            return [PAGE]
        if path == "/v1/attempts/export":
            start("200 OK", [])
            return self._stream()
        if path == "/v1/wait":
            self.waiting.release()
            self.go.wait(20)
        # The body is left unread.
        start("404 Not Found", [("Content-Length", "2")])
        return [b"no"]

    def _stream(self) -> Iterator[bytes]:
        for number in range(STREAMED):
            self.streamed = number + 1
            yield PAGE


@pytest.fixture
def shop() -> Iterator[Shop]:
    made = Shop()
    yield made
    made.go.set()


@pytest.fixture(params=TRANSPORTS)
def served(shop: Shop, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Serving]:
    with serving(shop, request.param, tmp_path) as one:
        yield one


@pytest.fixture
def over_tcp(shop: Shop, tmp_path: Path) -> Iterator[Serving]:
    with serving(shop, "tcp", tmp_path) as one:
        yield one


def get(path: str, version: str = "1.1") -> bytes:
    return f"GET {path} HTTP/{version}\r\nHost: a\r\n\r\n".encode()


def post(path: str, body: bytes, *fields: str, method: str = "POST", version: str = "1.1") -> bytes:
    lines = [f"{method} {path} HTTP/{version}", "Host: a", *fields, f"Content-Length: {len(body)}"]
    return "\r\n".join([*lines, "", ""]).encode() + body


def chunked(path: str, body: bytes, size: int = 10_000) -> bytes:
    parts = [body[at : at + size] for at in range(0, len(body), size)]
    framed = b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in parts)
    head = f"POST {path} HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n".encode()
    return head + framed + b"0\r\n\r\n"


# What an answer says of its connection.


BODIES = [2, 70_000, MAX_CALLBACK_BYTES + 1]


@pytest.mark.parametrize("length", BODIES)
@pytest.mark.parametrize("path", ["/nope", "/webhooks/nope", "/webhooks/a"])
def test_a_connection_that_is_said_to_stay_serves_the_next_request(
    served: Serving, path: str, length: int
) -> None:
    body = b"a" * length
    for sent in (
        post(path, body),
        post(path, body, "Connection: keep-alive", version="1.0"),
        chunked(path, body),
    ):
        with served.connect() as client:
            with sending(client, sent):
                status, headers, _ = read_answer(client)
            assert status in (200, 404, 413)
            if headers["connection"] == "close":
                assert client.recv(1) == b""
                assert length > 65_536
            else:
                client.sendall(get("/nope"))
                assert read_answer(client)[0] == 404


@contextlib.contextmanager
def sending(client: socket.socket, data: bytes) -> Iterator[None]:
    """Send in a thread of its own, so that the answer may be read before all was sent.

    Python's TLS sockets are not for two threads at once: over TLS, all is sent first.
    """
    if isinstance(client, ssl.SSLSocket):
        send_quietly(client, data)
        yield
        return
    sender = threading.Thread(target=send_quietly, args=(client, data))
    sender.start()
    yield
    sender.join()


def send_quietly(client: socket.socket, data: bytes) -> None:
    with contextlib.suppress(OSError):
        client.sendall(data)


@pytest.mark.parametrize("path", ["/nope", "/webhooks/a"])
def test_a_refusal_reaches_a_client_that_sends_on_without_reading(
    served: Serving, path: str
) -> None:
    """As most HTTP libraries do: the whole body first, then the answer."""
    with served.connect() as client:
        client.sendall(post(path, b"a" * (MAX_CALLBACK_BYTES + 1_000_000)))
        status, headers, _ = read_answer(client)

    assert headers["connection"] == "close"
    assert status == {"/nope": 404, "/webhooks/a": 200}[path]


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"GET / HTTP/9\r\n\r\n", 400),
        (b"GET / HTTP/1.1\nHost: a\n\n", 400),
        (b"GET /" + b"a" * 70_000, 414),
        (b"GET / HTTP/1.1\r\nA: " + b"a" * 70_000, 431),
        (b"GET / HTTP/1.1\r\nExpect: more\r\n\r\n", 417),
        (chunked("/webhooks/a", b"a" * 5_000_000), 413),
        (post("/webhooks/a", b"ab", "Content-Length: 3"), 400),
    ],
    ids=["version", "bare-lf", "line", "head", "expect", "chunks", "two-lengths"],
)
def test_what_cannot_be_read_is_refused_and_the_connection_closed(
    served: Serving, sent: bytes, status: int
) -> None:
    with served.connect() as client:
        send_quietly(client, sent)
        answer = read_answer(client)
        assert client.recv(1) == b""

    assert answer[0] == status
    assert answer[1]["connection"] == "close"


# Requests in pieces.


@pytest.mark.parametrize(
    "sent", [post("/webhooks/a", b"a" * 10), chunked("/webhooks/a", b"a" * 10, 4)], ids=len
)
def test_a_request_may_come_in_two_pieces(served: Serving, sent: bytes) -> None:
    for cut in (*range(1, len(sent), 9), sent.index(b"\r\n\r\n") + 4):
        with served.connect() as client:
            client.sendall(sent[:cut])
            time.sleep(0.02)
            client.sendall(sent[cut:])

            assert read_answer(client)[::2] == (200, b"10")


@pytest.mark.parametrize("length", [100_000, MAX_CALLBACK_BYTES])
def test_a_large_callback_is_taken_whole(served: Serving, length: int) -> None:
    body = b"a" * length

    assert served.ask(post("/webhooks/a", body))[2] == str(length).encode()
    assert served.ask(chunked("/webhooks/a", body))[2] == str(length).encode()


def test_requests_that_do_not_wait_for_answers_are_answered_in_order(served: Serving) -> None:
    with served.connect() as client:
        client.sendall(b"".join(post("/webhooks/a", b"a" * size) for size in range(20)))

        assert [read_answer(client)[2] for _ in range(20)] == [b"%d" % size for size in range(20)]


def test_a_client_that_sends_no_more_is_answered(over_tcp: Serving) -> None:
    with over_tcp.connect() as client:
        client.sendall(post("/webhooks/a", b"ab", "Connection: close"))
        client.shutdown(socket.SHUT_WR)

        assert read_answer(client)[2] == b"2"


def test_a_body_is_asked_for_once_and_only_where_it_is_wanted(served: Serving) -> None:
    head, _, body = post("/webhooks/a", b"ab", "Expect: 100-continue").partition(b"\r\n\r\n")
    with served.connect() as client:
        client.sendall(head + b"\r\n\r\n")
        assert client.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
        client.sendall(body)
        answer = client.recv(65_536)
        assert answer.startswith(b"HTTP/1.1 200 OK")
    with served.connect() as client:
        length = MAX_CALLBACK_BYTES + 1
        head = post("/nope", b"", "Expect: 100-continue")
        client.sendall(head.replace(b"Content-Length: 0", b"Content-Length: %d" % length))
        assert client.recv(65_536).startswith(b"HTTP/1.1 404")


# Clients that are slow.


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Seconds as tenths."""
    monkeypatch.setattr(slow_clients, "READ_SECONDS", 1.0)
    monkeypatch.setattr(slow_clients, "SEND_SECONDS", 1.0)
    monkeypatch.setattr(slow_clients, "LINGER_SECONDS", 0.3)
    monkeypatch.setattr(slow_clients, "QUEUE_SECONDS", 0.5)
    monkeypatch.setattr(wire, "SEND_SECONDS", 1.0)


def wait_until(is_so: Callable[[], object]) -> None:
    give_up = time.monotonic() + 10
    while not is_so():
        assert time.monotonic() < give_up
        time.sleep(0.02)


def is_closed(client: socket.socket, within: float) -> bool:
    client.settimeout(within)
    try:
        while client.recv(65_536):
            continue
    except TimeoutError:
        return False
    except OSError:
        return True
    return True


@pytest.mark.parametrize("sent", [b"P", post("/webhooks/a", b"a" * 500_000)[:100_000]], ids=len)
def test_a_request_that_does_not_go_on_is_given_up(
    quick: None, served: Serving, sent: bytes
) -> None:
    with served.connect() as client:
        client.sendall(sent)

        assert is_closed(client, 4)


def test_a_body_earns_time_by_coming(quick: None, over_tcp: Serving) -> None:
    """Twice the time for a byte now and then, at more than the least rate."""
    body = b"a" * 800_000
    with over_tcp.connect() as client:
        sent = post("/webhooks/a", body)
        for part in range(8):
            client.sendall(sent[part * 100_100 : (part + 1) * 100_100])
            time.sleep(0.25)

        assert read_answer(client)[2] == b"800000"


def test_answers_that_nobody_reads_hold_no_thread(quick: None, served: Serving) -> None:
    with contextlib.ExitStack() as unread:
        clients = [unread.enter_context(served.connect(4_096)) for _ in range(20)]
        for client in clients:
            client.sendall(get("/page") * 60)
        began = time.monotonic()
        assert served.ask(get("/page"))[0] == 200
        assert served.ask(get("/nope"))[0] == 404
        assert time.monotonic() - began < 1
        wait_until(lambda: served.worker.nr_conns == 0)
        assert served.worker._held == 0


def test_an_export_that_nobody_reads_is_given_up(quick: None, served: Serving, shop: Shop) -> None:
    with served.connect(4_096) as client:
        client.sendall(get("/v1/attempts/export"))
        wait_until(lambda: shop.streamed)
        wait_until(lambda: served.worker.nr_conns == 0)

        assert shop.streamed < STREAMED
        assert is_closed(client, 2)


def test_an_export_that_is_read_arrives_whole(served: Serving) -> None:
    assert served.ask(get("/v1/attempts/export"))[2] == PAGE * STREAMED


def test_of_too_many_bytes_in_waiting_those_go_that_cost_most(
    over_tcp: Serving, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(slow_clients, "MOST_HELD", 2_000_000)
    dripping = post("/webhooks/a", b"a" * 1_000_000)[:300_000]
    with contextlib.ExitStack() as closing:
        small = closing.enter_context(over_tcp.connect())
        small.sendall(post("/webhooks/a", b"ab")[:-1])
        for _ in range(20):
            closing.enter_context(over_tcp.connect()).sendall(dripping)
        time.sleep(0.3)
        honest = [over_tcp.ask(post("/webhooks/a", b"a" * 500_000)) for _ in range(5)]
        small.sendall(b"b")

        assert [answer[2] for answer in honest] == [b"500000"] * 5
        assert read_answer(small)[2] == b"2"


# Lanes.


def test_people_who_wait_leave_the_intake_and_the_probes_alone(
    quick: None, over_tcp: Serving, shop: Shop
) -> None:
    with contextlib.ExitStack() as closing:
        clients = [closing.enter_context(over_tcp.connect()) for _ in range(4 + 66)]
        for number, client in enumerate(clients):
            client.sendall(get("/v1/wait"))
            if number < 4:
                assert shop.waiting.acquire(timeout=5)
        for path, status in (("/webhooks/a", 200), ("/healthz", 404), ("/readyz", 404)):
            began = time.monotonic()
            assert over_tcp.ask(get(path))[0] == status
            assert time.monotonic() - began < 1
        answers = [read_answer(client) for client in clients[4:]]
        shop.go.set()
        served = [read_answer(client) for client in clients[:4]]

    assert {answer[0] for answer in answers} == {503}
    assert all(answer[1]["retry-after"] and b"/docs#busy" in answer[2] for answer in answers)
    assert {answer[0] for answer in served} == {404}


def test_threads_hand_over_quickly_while_people_are_served(over_tcp: Serving, shop: Shop) -> None:
    usual = sys.getswitchinterval()
    with over_tcp.connect() as first, over_tcp.connect() as second:
        for client in (first, second):
            client.sendall(get("/v1/wait"))
            assert shop.waiting.acquire(timeout=5)
        assert sys.getswitchinterval() == pytest.approx(slow_clients.SHARING_SECONDS)
        assert over_tcp.ask(get("/webhooks/a"))[0] == 200
        assert sys.getswitchinterval() == pytest.approx(slow_clients.SHARING_SECONDS)
        shop.go.set()
        assert [read_answer(client)[0] for client in (first, second)] == [404, 404]
    wait_until(lambda: sys.getswitchinterval() == usual)


def test_a_request_that_waited_for_a_thread_is_served(over_tcp: Serving, shop: Shop) -> None:
    with contextlib.ExitStack() as closing:
        clients = [closing.enter_context(over_tcp.connect()) for _ in range(10)]
        for client in clients:
            client.sendall(get("/v1/wait"))
        shop.go.set()

        assert {read_answer(client)[0] for client in clients} == {404}


# Ends.


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_a_worker_that_stops_waits_for_no_client(
    shop: Shop, tmp_path: Path, transport: str
) -> None:
    with contextlib.ExitStack() as closing:
        with serving(shop, transport, tmp_path) as one:
            idle, kept, unread = (closing.enter_context(one.connect()) for _ in range(3))
            kept.sendall(get("/nope"))
            assert read_answer(kept)[0] == 404
            unread.sendall(get("/v1/attempts/export"))
            time.sleep(0.2)
            began = time.monotonic()
        assert time.monotonic() - began < 9
        assert is_closed(idle, 2)
        assert is_closed(kept, 2)


def test_of_too_many_connections_the_longest_idle_goes(shop: Shop, tmp_path: Path) -> None:
    with (
        serving(shop, "tcp", tmp_path, worker_connections=8) as one,
        contextlib.ExitStack() as closing,
    ):
        idle = [closing.enter_context(one.connect()) for _ in range(20)]
        time.sleep(0.2)

        assert one.ask(get("/nope"))[0] == 404
        assert is_closed(idle[0], 2)
        assert one.worker.nr_conns < 8


def test_plain_http_at_a_tls_port_is_no_fault(shop: Shop, tmp_path: Path) -> None:
    with serving(shop, "tls", tmp_path) as one:
        with socket.create_connection(one.address) as client:
            client.sendall(get("/nope"))
            assert is_closed(client, 5)

        assert one.ask(get("/nope"))[0] == 404


def test_a_broken_answer_is_not_taken_for_a_whole_one(tmp_path: Path) -> None:
    def fails(_environ: Any, start: Callable[..., Any]) -> Iterator[bytes]:
        start("200 OK", [])
        yield PAGE
        raise RuntimeError("half-way")

    with serving(fails, "tcp", tmp_path) as one, pytest.raises(http.client.IncompleteRead):
        one.ask(get("/"))
