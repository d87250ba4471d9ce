"""Does a stranger behind the same proxy cost an honest sender an answer?"""

import contextlib
import http.client
import itertools
import ssl
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.hard.conftest import Survived
from tests.hard.harness import Installation
from tests.hard.history import History
from tests.hard.platform import PATH, follow
from tests.hard.proxies import PROXIES

pytestmark = [pytest.mark.hard, pytest.mark.timeout(180)]

SECONDS = 15.0
SENDERS = 4
JUNK = [
    (method, path, length)
    for length in (70_000, 300_000, 5_000_000)
    for method, path in (
        ("POST", "/nope"),
        ("POST", "/webhooks/nope"),
        ("POST", "/webhooks/twitch"),
        ("POST", "/v1/claims"),
        ("PUT", "/v1/identities/twitch/1"),
        ("DELETE", "/docs"),
    )
]


class Beside:
    """A stranger who posts junk, and honest senders, for some seconds, through one proxy."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._end = time.monotonic() + SECONDS
        self._numbers = itertools.count()
        self.answers: Counter[int | str] = Counter()
        self.junk: Counter[int | str] = Counter()
        self.delivered: set[str] = set()

    def run(self) -> None:
        threads = [threading.Thread(target=self._send) for _ in range(SENDERS)]
        threads.append(threading.Thread(target=self._disturb))
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def _send(self) -> None:
        connection = self._connect()
        while time.monotonic() < self._end:
            number = next(self._numbers)
            message = follow(f"event-{number}", f"account-{number}")
            answer = ask(connection, "POST", PATH, message.body, message.headers)
            self.answers[answer] += 1
            if answer == 204:
                self.delivered.add(message.key)
            time.sleep(0.02)
        connection.close()

    def _disturb(self) -> None:
        for method, path, length in itertools.cycle(JUNK):
            if time.monotonic() > self._end:
                return
            connection = self._connect()
            headers = {"Content-Type": "application/json"}
            self.junk[ask(connection, method, path, b"a" * length, headers)] += 1
            connection.close()
            time.sleep(0.1)

    def _connect(self) -> http.client.HTTPConnection:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        return http.client.HTTPSConnection("127.0.0.1", self._port, timeout=15, context=context)


def ask(
    connection: http.client.HTTPConnection,
    method: str,
    path: str,
    body: bytes,
    headers: dict[str, str],
) -> int | str:
    """The answer's status; or how there was none."""
    try:
        connection.request(method, path, body, headers)
        response = connection.getresponse()
        response.read()
    except (OSError, http.client.HTTPException) as error:
        connection.close()
        return type(error).__name__
    return response.status


@contextlib.contextmanager
def proxied(installation: Installation, name: str, folder: Path) -> Iterator[int]:
    services = [installation.serve("--no-worker").port for _ in range(2)]
    with PROXIES[name](folder / name, services) as port:
        yield port


@pytest.mark.parametrize("database_url", ["postgres"], indirect=True)
@pytest.mark.parametrize("name", PROXIES)
def test_a_strangers_junk_costs_no_sender_an_answer(
    installation: Installation, history: History, survived: Survived, tmp_path: Path, name: str
) -> None:
    history.link(range(50))
    with proxied(installation, name, tmp_path) as port:
        beside = Beside(port)
        beside.run()

    assert set(beside.answers) == {204}
    assert beside.delivered == set(history.event_keys())
    assert beside.junk.total() > 10
    assert not {502, 503, 504} & set(beside.junk)
    survived(faults=beside.junk.total(), callbacks=beside.answers.total(), junk=dict(beside.junk))
