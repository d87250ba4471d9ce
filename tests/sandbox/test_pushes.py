"""Does the sandbox tell of its grants as Gameball's webhooks would?"""

import hashlib
import json
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest

from app.sandbox.server import SandboxServer
from app.sandbox.settings import Campaign, Push, SandboxSettings

Received = list[tuple[dict[str, str], dict[str, Any]]]


class Shop(HTTPServer):
    """Somebody who is told, and answers with the next of ``answers``, then with 204."""

    def __init__(self) -> None:
        self.received: Received = []
        self.bodies: list[bytes] = []
        self.answers: list[int] = []
        super().__init__(("127.0.0.1", 0), Told)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/webhooks/gameball"


class Told(BaseHTTPRequestHandler):
    server: Shop

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.server.bodies.append(body)
        self.server.received.append((headers, json.loads(body)))
        self.send_response(self.server.answers.pop(0) if self.server.answers else 204)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Quiet."""


@pytest.fixture
def shop() -> Iterator[Shop]:
    with Shop() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def wait(is_so: Callable[[], bool]) -> None:
    give_up = time.monotonic() + 10
    while not is_so():
        assert time.monotonic() < give_up
        time.sleep(0.01)


def settings(shop: Shop, **push: Any) -> SandboxSettings:
    told = Push(url=shop.url, secret="our-secret", **push)
    return SandboxSettings(grant_delay_seconds=0.05, secret_key="key", push=told)


def test_a_grant_is_told_in_every_form(shop: Shop) -> None:
    with SandboxServer(settings(shop)) as sandbox:
        sandbox.books.accept("ann", 7)
        wait(lambda: len(shop.received) == 3)

    (reward, *topics) = sorted(shop.received, key=lambda one: "x-gb-signature" in one[0])
    assert reward[0]["x-vouch-secret"] == "our-secret"
    assert reward[1] == {
        "event": "reward_campaign.achieved",
        "customer_id": "ann",
        "campaign_id": 7,
    }
    assert {body["event"] for _, body in topics} == {
        "customer.notification.push",
        "customer.profile.updated",
    }
    made = {hashlib.sha1(body + b":key").hexdigest() for body in shop.bodies}
    assert {headers["x-gb-signature"] for headers, _ in topics} <= made


def test_what_is_not_granted_is_not_told(shop: Shop) -> None:
    with SandboxServer(settings(shop, forms=("reward",))) as sandbox:
        sandbox.books.configure(inactive_customers=frozenset({"bob"}))
        sandbox.books.accept("bob", 7)
        sandbox.books.accept("ann", 7)
        wait(lambda: len(shop.received) == 1)
        time.sleep(0.1)

    assert [body["customer_id"] for _, body in shop.received] == ["ann"]


def test_only_of_the_campaigns_that_have_an_automation(shop: Shop) -> None:
    with SandboxServer(settings(shop, forms=("reward",), campaigns=(8,))) as sandbox:
        sandbox.books.configure(campaigns=(Campaign(id=7), Campaign(id=8)))
        sandbox.books.accept("ann", 7)
        sandbox.books.accept("ann", 8)
        wait(lambda: len(shop.received) == 1)

    assert shop.received[0][1]["campaign_id"] == 8


def test_copies_and_a_delay_can_be_ordered(shop: Shop) -> None:
    with SandboxServer(settings(shop, forms=("reward",), copies=3, delay_seconds=0.3)) as sandbox:
        sandbox.books.accept("ann", 7)
        wait(lambda: len(sandbox.books.grants()) == 1)
        assert not shop.received
        wait(lambda: len(shop.received) == 3)


def test_what_is_not_taken_is_posted_again_after_five_minutes(shop: Shop) -> None:
    moved = [0.0]
    shop.answers = [503]
    told = settings(shop, forms=("reward",))
    with SandboxServer(told, now=lambda: time.time() + moved[0]) as sandbox:
        sandbox.books.accept("ann", 7)
        wait(lambda: len(shop.received) == 1)
        time.sleep(0.1)
        assert len(shop.received) == 1
        moved[0] = 301
        wait(lambda: len(shop.received) == 2)

    assert shop.bodies[0] == shop.bodies[1]
