"""Do clients that are slow, or only there, keep anybody else waiting?"""

import contextlib
import json
import resource
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.domain.clock import utc_now
from app.platforms import adapters
from app.platforms.kit.callback import Example
from app.platforms.kit.examples import templates
from app.steps.keys import Role
from tests.hard.conftest import Survived
from tests.hard.harness import Installation, Web, configuration, wait_until
from tests.hard.history import History
from tests.hard.platform import Message, follow, post

pytestmark = [pytest.mark.hard, pytest.mark.timeout(120)]

IDLE = 10_000
DRIPPING = 200


@pytest.fixture
def many_files() -> Iterator[None]:
    """Room for ten thousand connections on our side too."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    if before[1] < IDLE + 1_000:
        pytest.skip(f"this machine allows {before[1]} open files, and this takes {IDLE}")
    resource.setrlimit(resource.RLIMIT_NOFILE, (before[1], before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


def connect(web: Web) -> socket.socket:
    return socket.create_connection(("127.0.0.1", web.port), timeout=10)


def longest_post(web: Web, prefix: str, count: int = 40) -> float:
    """Send so many callbacks, one after another; how long the slowest took."""
    longest = 0.0
    for number in range(count):
        began = time.monotonic()
        assert post(web.port, follow(f"{prefix}-{number}", f"account-{number}")) == 204
        longest = max(longest, time.monotonic() - began)
    return longest


def processor_ticks(web: Web) -> int:
    fields = [
        Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split() for pid in web.children()
    ]
    return sum(int(one[11]) + int(one[12]) for one in fields)


def test_ten_thousand_idle_connections_keep_nobody_waiting(
    installation: Installation, history: History, survived: Survived, many_files: None
) -> None:
    history.link(range(50))
    web = installation.serve()
    with contextlib.ExitStack() as closing:
        idle = [closing.enter_context(connect(web)) for _ in range(IDLE)]
        longest = longest_post(web, "beside-idle")
        time.sleep(2)
        before = processor_ticks(web)
        time.sleep(2)
        spent = processor_ticks(web) - before
        assert idle[-1].getpeername()
    seconds = web.stop(within=20)

    assert longest < 2
    assert spent < 60  # hundredths of a second, in two seconds
    assert len(history.event_keys()) == 40
    survived(faults=1, idle_connections=IDLE, slowest=f"{longest:.2f} s", stop=f"{seconds:.1f} s")


@pytest.mark.parametrize(
    ("database_url", "part"),
    [("sqlite", "head"), ("postgres", "body")],
    indirect=["database_url"],
)
def test_clients_that_send_a_byte_now_and_then_hold_no_thread(
    installation: Installation, history: History, survived: Survived, part: str
) -> None:
    """More of them than there are threads; each is given up ten seconds after its first byte."""
    history.link(range(50))
    web = installation.serve()
    raw = follow("slow", "slow").as_bytes()
    begin = 1 if part == "head" else raw.index(b"\r\n\r\n") + 5
    stopping = threading.Event()

    def drip(callers: list[socket.socket]) -> None:
        position = begin
        while not stopping.wait(0.5):
            for caller in callers:
                with contextlib.suppress(OSError):
                    caller.sendall(raw[position : position + 1])
            position += 1

    with contextlib.ExitStack() as closing:
        slow = [closing.enter_context(connect(web)) for _ in range(DRIPPING)]
        for caller in slow:
            caller.sendall(raw[:begin])
        dripping = threading.Thread(target=drip, args=(slow,))
        dripping.start()
        longest = longest_post(web, "beside-slow")
        given_up = wait_until(lambda: all(is_closed(one) for one in slow), 30, "all are given up")
        stopping.set()
        dripping.join()

    assert longest < 2
    assert "slow" not in history.event_keys()
    survived(
        faults=DRIPPING,
        slow_clients=DRIPPING,
        slowest=f"{longest:.2f} s",
        after=f"{given_up:.0f} s",
    )


def is_closed(connection: socket.socket) -> bool:
    try:
        return connection.recv(1, socket.MSG_DONTWAIT | socket.MSG_PEEK) == b""
    except BlockingIOError:
        return False
    except OSError:
        return True


def test_a_client_that_is_slow_but_in_time_is_served(
    installation: Installation, history: History, survived: Survived
) -> None:
    history.link(range(50))
    web = installation.serve()
    messages = [follow(f"event-{n}", f"account-{n}", padding=n * 4_000) for n in range(30)]

    with contextlib.ExitStack() as closing:
        callers = [closing.enter_context(connect(web)) for _ in messages]
        pieces = [message.as_bytes() for message in messages]
        for tenth in range(10):
            for caller, raw in zip(callers, pieces, strict=True):
                size = len(raw) // 10 + 1
                caller.sendall(raw[tenth * size : (tenth + 1) * size])
            time.sleep(0.2)
        statuses = {int(caller.recv(12).split()[1]) for caller in callers}

    assert statuses == {204}
    assert len(history.event_keys()) == len(messages)
    survived(faults=len(messages))


def test_clients_that_hang_up_half_way_cost_nothing(
    installation: Installation, history: History, survived: Survived
) -> None:
    history.link(range(50))
    web = installation.serve()
    raw = follow("half", "half").as_bytes()

    for cut in range(1, len(raw), 7):
        with connect(web) as caller:
            caller.sendall(raw[:cut])
    time.sleep(0.5)
    before = processor_ticks(web)
    time.sleep(1)
    spent = processor_ticks(web) - before

    assert longest_post(web, "after-half") < 2
    assert spent < 30
    assert "half" not in history.event_keys()
    survived(faults=len(range(1, len(raw), 7)))


HOSTILE = {
    "never-hangs-up": b"GET /healthz HTTP/1.0\r\n\r\n",
    "begins-another": b"GET /healthz HTTP/1.1\r\nHost: vouch\r\n\r\nG",
    "many-zeros": b"POST /webhooks/twitch HTTP/1.1\r\nContent-Length: 0000000000100\r\n\r\n",
    "ten-digits": b"POST /webhooks/twitch HTTP/1.1\r\nContent-Length: 9999999999\r\n\r\n",
    "reads-nothing": b"GET /docs HTTP/1.1\r\nHost: vouch\r\n\r\n",
}


@pytest.mark.parametrize("sent", HOSTILE.values(), ids=HOSTILE)
def test_clients_that_wait_for_us_to_wait_for_them_keep_nobody_waiting(
    installation: Installation, history: History, survived: Survived, sent: bytes
) -> None:
    history.link(range(50))
    web = installation.serve()

    with contextlib.ExitStack() as closing:
        for _ in range(DRIPPING):
            caller = closing.enter_context(socket.socket())
            # As of a client far away, whom the kernel does not take all of an answer for at once.
            caller.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2_048)
            caller.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, 536)
            caller.connect(("127.0.0.1", web.port))
            caller.sendall(sent)
        longest = longest_post(web, "beside-hostile")

    assert longest < 2
    survived(faults=DRIPPING, slowest=f"{longest:.2f} s")


META_SECRET = "hard-app-secret-0123456789"
META = """
[[sources]]
name = "meta"
platform = "meta"
secrets = ["env:META_SECRET"]
verify_token = "env:META_TOKEN"
"""
DRIPPING_BODIES = 60
UNREAD = 34
UPDATES = 1_000


def batch(name: str) -> Message:
    """A thousand comments in one callback, signed as Meta does."""
    now = utc_now()
    body = {}
    changes = []
    for number in range(UPDATES):
        comment = templates("meta")["comment"].fill(
            actor=f"fan-{number}", target="1_2", key=f"{name}-{number}", now=now
        )
        body = json.loads(comment.body)
        changes += body["entry"][0]["changes"]
    body["entry"][0]["changes"] = changes
    kind = adapters()["meta"]
    source = {"name": "meta", "platform": "meta", "secrets": [META_SECRET], "verify_token": "t"}
    signed = kind(kind.config.model_validate(source)).sign(
        Example(json.dumps(body).encode(), {"Content-Type": "application/json"}), now
    )
    return Message(name, dict(signed.headers), signed.body)


@pytest.mark.parametrize("database_url", ["sqlite", "postgres"], indirect=True)
def test_bodies_that_drip_keep_no_batch_waiting(
    installation: Installation, history: History, survived: Survived
) -> None:
    installation.configure(META + configuration())
    installation.variables |= {"META_SECRET": META_SECRET, "META_TOKEN": "hard-token"}
    web = installation.serve("--no-worker")
    batches = [batch(f"batch-{number}") for number in range(6)]
    dripping = batch("dripping").as_bytes().replace(b"/twitch", b"/meta", 1)
    stopping = threading.Event()
    with contextlib.ExitStack() as closing:
        slow = [closing.enter_context(connect(web)) for _ in range(DRIPPING_BODIES)]
        for caller in slow:
            caller.sendall(dripping[:100_000])

        def drip() -> None:
            position = 100_000
            while not stopping.wait(0.2):
                for caller in slow:
                    with contextlib.suppress(OSError):
                        caller.sendall(dripping[position : position + 10])
                position += 10

        thread = threading.Thread(target=drip)
        thread.start()
        answers = [post(web.port, one, path="/webhooks/meta", timeout=20) for one in batches]
        longest = longest_post(web, "beside-bodies", 20)
        wait_until(lambda: all(is_closed(one) for one in slow), 30, "all are given up")
        stopping.set()
        thread.join()

    assert answers == [200] * len(batches)
    assert longest < 2
    told = [key for key in history.event_keys() if "comment" in key]
    assert len(told) == len(set(told)) == UPDATES * len(batches)
    assert not any("dripping" in key for key in told)
    survived(faults=DRIPPING_BODIES, updates=len(told), slowest=f"{longest:.2f} s")


@pytest.mark.parametrize("database_url", ["sqlite", "postgres"], indirect=True)
@pytest.mark.parametrize(
    "path", ["/openapi.json", "/v1/attempts/export?format=ndjson", "/v1/attempts?limit=200"]
)
def test_answers_that_nobody_reads_keep_no_callback_waiting(
    installation: Installation, history: History, survived: Survived, path: str
) -> None:
    history.owe(1_500, [7, 8, 9])
    viewer = history.key(Role.VIEWER)
    web = installation.serve("--no-worker")
    asked = f"GET {path} HTTP/1.1\r\nHost: vouch\r\nAuthorization: Bearer {viewer}\r\n\r\n"
    with contextlib.ExitStack() as closing:
        for _ in range(UNREAD):
            caller = closing.enter_context(socket.socket())
            caller.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2_048)
            caller.connect(("127.0.0.1", web.port))
            caller.sendall(asked.encode() * 20)
        time.sleep(1)
        longest = longest_post(web, "beside-unread")
        # Once more when all of them have been given up.
        time.sleep(12)
        later = longest_post(web, "after-unread", 10)

    # Some of them are answered first, on processors that may be busy.
    assert longest < 5
    assert later < 2
    survived(faults=UNREAD, slowest=f"{longest:.2f} s", later=f"{later:.2f} s")
