"""Do people who read a long history keep callbacks waiting?"""

import contextlib
import http.client
import socket
import statistics
import threading
import time
from collections import Counter
from collections.abc import Iterator

import pytest

from app.domain.clock import utc_now
from app.steps import keys
from app.steps.keys import Role
from app.storage.database import Database
from bench.history import build
from tests.hard.conftest import Survived
from tests.hard.harness import Installation, Web
from tests.hard.history import KEYS
from tests.hard.platform import follow, post

pytestmark = [pytest.mark.hard, pytest.mark.timeout(300)]

ATTEMPTS, VIEWERS, UNREAD, CALLBACKS = 50_000, 8, 34, 150
PATHS = (
    "/v1/attempts?q=customer-000001&limit=200",
    "/v1/attempts?state=granted&limit=200",
    "/v1/stats?per=day",
)


def new_key(database_url: str) -> str:
    database = Database(database_url, secret_keys=KEYS)
    _, key = database.write(lambda c: keys.create(c, Role.VIEWER, "viewer", utc_now()))
    database.close()
    return key


def timed_posts(web: Web, prefix: str) -> list[float]:
    """How long callbacks take, one after another; every one is taken."""
    seconds = []
    for number in range(CALLBACKS):
        began = time.monotonic()
        assert post(web.port, follow(f"{prefix}-{number}", f"account-{number}")) == 204
        seconds.append(time.monotonic() - began)
        time.sleep(0.02)
    return sorted(seconds)


@contextlib.contextmanager
def viewers(web: Web, key: str) -> Iterator[Counter[int]]:
    """People who ask all the time; how they were answered."""
    answers: Counter[int] = Counter()
    is_over = threading.Event()

    def ask(number: int) -> None:
        while not is_over.is_set():
            connection = http.client.HTTPConnection("127.0.0.1", web.port, timeout=60)
            path = PATHS[number % len(PATHS)]
            connection.request("GET", path, headers={"Authorization": f"Bearer {key}"})
            answer = connection.getresponse()
            answer.read()
            connection.close()
            answers[answer.status] += 1
            is_over.wait(0 if answer.status == 200 else 0.5)

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(VIEWERS)]
    for thread in threads:
        thread.start()
    try:
        yield answers
    finally:
        is_over.set()
        for thread in threads:
            thread.join(60)


@contextlib.contextmanager
def unread_exports(web: Web, key: str) -> Iterator[None]:
    path = "/v1/attempts/export?format=ndjson"
    request = f"GET {path} HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {key}\r\n\r\n".encode()
    with contextlib.ExitStack() as open_ones:
        for _ in range(UNREAD):
            sock = open_ones.enter_context(socket.create_connection(("127.0.0.1", web.port)))
            sock.sendall(request)
        yield


def test_eight_viewers_and_unread_exports_keep_no_callback_waiting(
    installation: Installation, database_url: str, survived: Survived
) -> None:
    build(database_url, ATTEMPTS)
    key = new_key(database_url)
    web = installation.serve()
    timed_posts(web, "first")
    idle = timed_posts(web, "idle")

    with unread_exports(web, key), viewers(web, key) as answers:
        time.sleep(2)
        busy = timed_posts(web, "busy")

    # Ten times, or a quarter of a second where the machine has other work: `bench.busy` measures.
    slowest, usual = (taken[int(len(taken) * 0.99)] for taken in (busy, idle))
    assert slowest <= max(10 * usual, 0.25)
    assert statistics.median(busy) <= max(10 * statistics.median(idle), 0.25)
    assert set(answers) <= {200, 503}
    assert answers[200]
    survived(callbacks=3 * CALLBACKS, searches=answers[200], told_to_wait=answers[503])
