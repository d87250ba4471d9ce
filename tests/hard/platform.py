"""Who calls? A platform that signs as the real one does, and sends again until it is heard."""

import http.client
import itertools
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

from app.domain.clock import utc_now
from app.platforms import adapters
from app.platforms.kit.callback import Example
from app.platforms.kit.examples import handshakes, templates
from tests.hard.harness import TWITCH_SECRET

PATH = "/webhooks/twitch"


@dataclass(frozen=True, slots=True)
class Message:
    """One signed callback; sent again it is the same bytes."""

    key: str
    headers: dict[str, str]
    body: bytes

    def as_bytes(self) -> bytes:
        lines = [f"POST {PATH} HTTP/1.1", "Host: vouch", f"Content-Length: {len(self.body)}"]
        lines += [f"{name}: {value}" for name, value in self.headers.items()]
        return "\r\n".join([*lines, "", ""]).encode() + self.body


def follow(key: str, actor: str, *, padding: int = 0) -> Message:
    """A follow as Twitch signs it now, with so many bytes of what nobody reads."""
    example = templates("twitch")["follow"].fill(actor=actor, target="1", key=key, now=utc_now())
    return _signed(key, replace(example, body=example.body + b" " * padding))


def notice(status: str) -> Message:
    """What Twitch says of a subscription that it ends."""
    body = {"subscription": {"status": status, "type": "channel.follow", "version": "2"}}
    headers = {"Twitch-Eventsub-Message-Id": f"notice-{status}"}
    return _signed(status, Example(json.dumps(body).encode(), headers))


def handshake() -> Message:
    """Twitch asks whether the endpoint is ours."""
    return _signed("handshake", handshakes("twitch")["callback-verification"].asked)


def _signed(key: str, example: Example) -> Message:
    kind = adapters()["twitch"]
    adapter = kind(kind.config(name="twitch", platform="twitch", secrets=(TWITCH_SECRET,)))
    return Message(key, dict(adapter.sign(example, utc_now()).headers), example.body)


def post(port: int, message: Message, timeout: float = 15, path: str = PATH) -> int:
    """Send it once, over a connection of its own; the answer's status. Raises OSError."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout)
    try:
        return _exchange(connection, message, path)
    finally:
        connection.close()


def _exchange(connection: http.client.HTTPConnection, message: Message, path: str = PATH) -> int:
    try:
        connection.request("POST", path, message.body, message.headers)
        response = connection.getresponse()
        response.read()
    except http.client.HTTPException as error:
        raise ConnectionError(str(error)) from error
    return response.status


@dataclass(kw_only=True)
class Load:
    """Callers that each send event after event, and one event until it is answered 2xx.

    Event number n is a follow by ``account-<n>``, under the key ``event-<n>``.
    """

    port: int
    pause_seconds: float = 0.05
    keeps_alive: bool = True
    answered: set[int] = field(default_factory=set)
    failures: list[str] = field(default_factory=list)
    _numbers: Iterator[int] = field(default_factory=itertools.count)
    _stopping: threading.Event = field(default_factory=threading.Event)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @contextmanager
    def running(self, callers: int) -> Iterator["Load"]:
        """Keep sending; at the end, what was begun is sent until it is answered."""
        threads = [threading.Thread(target=self._call) for _ in range(callers)]
        for thread in threads:
            thread.start()
        try:
            yield self
        finally:
            self._stopping.set()
            for thread in threads:
                thread.join()

    def _call(self) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        while not self._stopping.is_set():
            with self._lock:
                number = next(self._numbers)
            if self._deliver(connection, number):
                self.answered.add(number)
            time.sleep(self.pause_seconds)
        connection.close()

    def _deliver(self, connection: http.client.HTTPConnection, number: int) -> bool:
        message = follow(f"event-{number}", f"account-{number}")
        give_up = time.monotonic() + 30
        while time.monotonic() < give_up:
            try:
                status = _exchange(connection, message)
                if not self.keeps_alive:
                    connection.close()
                if 200 <= status < 300:
                    return True
                self.failures.append(str(status))
            except OSError as error:
                self.failures.append(type(error).__name__)
                connection.close()
            time.sleep(0.02)
        self.failures.append(f"event-{number} was never answered 2xx")
        return False
