"""Are platforms asked in time, once, and only where somebody wants it?"""

import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs

import pytest

from app.domain.sources import Subscription
from app.platforms.kit.adapter import Adapter
from app.platforms.kit.callback import Callback, Reading, SubscriptionRequest
from app.platforms.kit.options import SourceConfig
from app.steps.sources import Sighting, keep, seen_of
from app.storage.database import Database
from app.worker.renewals import Renewals
from tests.clock import Clock

SECRET = "a-secret-that-only-the-hub-is-told"


@dataclass
class Hub:
    """Takes every subscription, and answers as it is told to."""

    url: str
    status: int = 202
    forms: list[dict[str, list[str]]] = field(default_factory=list)


@pytest.fixture
def hub() -> Iterator[Hub]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            stub.forms.append(parse_qs(body.decode()))
            self.send_response(stub.status)
            self.send_header("Location", "/elsewhere")
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            """Quiet."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        stub = Hub(f"http://127.0.0.1:{server.server_port}/subscribe")
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        yield stub
        server.shutdown()
        thread.join()


class Feeds(Adapter):
    """A platform whose subscriptions lapse."""

    name = "feeds"
    docs = "https://feeds.example"
    url = ""
    wanted: tuple[str, ...] = ("one", "two")

    @property
    def topics(self) -> tuple[str, ...]:
        return self.wanted

    def ask_for(self, topic: str) -> SubscriptionRequest | None:
        return (
            SubscriptionRequest(self.url, {"topic": topic, "secret": SECRET}) if self.url else None
        )

    def read(self, callback: Callback) -> Reading:
        return Reading()


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    database = Database(database_url)
    yield database
    database.close()


def feeds(url: str) -> Feeds:
    adapter = Feeds(SourceConfig(name="tube", platform="feeds", secrets=("s",)))
    adapter.url = url
    return adapter


def renewals(database: Database, clock: Clock, url: str) -> Renewals:
    return Renewals(database, {"tube": feeds(url)}, clock.now, look_every_seconds=0.01)


def known(database: Database) -> dict[str, Subscription]:
    with database.read() as connection:
        return {one.topic: one for one in seen_of(connection, ["tube"])["tube"].subscriptions}


def test_every_topic_is_asked_for_once_over_all_workers(
    database: Database, clock: Clock, hub: Hub
) -> None:
    for _ in range(3):
        renewals(database, clock, hub.url).look()

    assert [form["topic"] for form in hub.forms] == [["one"], ["two"]]
    assert {topic: one.answer for topic, one in known(database).items()} == {
        "one": None,
        "two": None,
    }


def test_a_grant_is_renewed_in_time_and_not_before(
    database: Database, clock: Clock, hub: Hub
) -> None:
    sighting = Sighting(handshake_at=clock.now(), granted_seconds={"one": 86_400, "two": 864_000})
    database.write(lambda connection: keep(connection, {"tube": sighting}))

    renewals(database, clock, hub.url).look()
    clock.advance(43_200)
    renewals(database, clock, hub.url).look()

    assert [form["topic"] for form in hub.forms] == [["one"]]


@pytest.mark.parametrize("status", [302, 404, 503])
def test_a_refusal_is_kept_for_people_and_asked_again_later(
    database: Database, clock: Clock, hub: Hub, status: int
) -> None:
    hub.status = status
    renewals(database, clock, hub.url).look()
    renewals(database, clock, hub.url).look()
    refused = [one.answer for one in known(database).values()]

    clock.advance(1_000)
    renewals(database, clock, hub.url).look()

    assert refused == [str(status)] * 2
    assert len(hub.forms) == 4


def test_a_hub_that_is_not_there_is_told_without_what_was_sent(
    database: Database, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    renewals(database, clock, "http://127.0.0.1:9/subscribe").look()

    assert {one.answer for one in known(database).values()} == {"no answer: ConnectionError"}
    assert SECRET not in caplog.text


def test_nobody_is_asked_unless_a_source_wants_it(database: Database, clock: Clock) -> None:
    quiet = renewals(database, clock, "")

    quiet.start()
    quiet.look()
    quiet.stop()

    assert "renewals" not in {thread.name for thread in threading.enumerate()}
    assert known(database) == {}


def test_its_thread_looks_by_itself_until_it_is_stopped(
    database: Database, clock: Clock, hub: Hub
) -> None:
    running = renewals(database, clock, hub.url)

    running.start()
    for _ in range(1_000):
        if len(hub.forms) == 2:
            break
        threading.Event().wait(0.01)
    running.stop()

    assert len(hub.forms) == 2
    assert "renewals" not in {thread.name for thread in threading.enumerate()}


def test_trouble_with_the_database_does_not_end_it(
    database: Database, clock: Clock, hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    running = renewals(database, clock, hub.url)
    looks = []

    def look() -> None:
        looks.append(1)
        raise RuntimeError("a bug")

    monkeypatch.setattr(running, "look", look)
    running.start()
    for _ in range(1_000):
        if len(looks) > 2:
            break
        threading.Event().wait(0.01)
    running.stop()

    assert len(looks) > 2
