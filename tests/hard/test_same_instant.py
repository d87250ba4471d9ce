"""What is one event worth that reaches two machines at the same instant?"""

import socket
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import pytest

from tests.hard.conftest import Survived
from tests.hard.harness import CHALLENGE, Installation
from tests.hard.history import History
from tests.hard.platform import Message, follow

pytestmark = [pytest.mark.hard, pytest.mark.timeout(120)]


@dataclass
class Rivals:
    """A connection to each of several services, and a barrier before the last byte of each."""

    ports: Sequence[int]

    def send(self, messages: Sequence[Message]) -> list[int]:
        """Give each service its message at the same instant; what each answered."""
        barrier = threading.Barrier(len(messages))
        statuses = [0] * len(messages)

        def send_one(position: int) -> None:
            raw = messages[position].as_bytes()
            with socket.create_connection(("127.0.0.1", self.ports[position]), 10) as connection:
                connection.sendall(raw[:-1])
                barrier.wait(10)
                connection.sendall(raw[-1:])
                statuses[position] = int(connection.recv(12).split()[1])

        threads = [threading.Thread(target=send_one, args=(n,)) for n in range(len(messages))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return statuses


@contextmanager
def two_services(installation: Installation) -> Iterator[Rivals]:
    """Two installations over one database, both started at once."""
    webs = [installation.serve("--no-worker", wait=False) for _ in range(2)]
    for web in webs:
        web.wait_ready()
    yield Rivals([web.port for web in webs])


def test_the_same_event_given_to_two_services_at_the_same_instant_is_one_attempt(
    installation: Installation, history: History, survived: Survived
) -> None:
    times = 200
    history.link(range(times))

    with two_services(installation) as rivals:
        answers = Counter(
            status
            for n in range(times)
            for status in rivals.send([follow(f"event-{n}", f"account-{n}")] * 2)
        )

    assert answers == {204: 2 * times}
    assert Counter(history.event_keys()) == {f"event-{n}": 1 for n in range(times)}
    assert history.states() == {"due": times}
    assert history.awards() == {(f"customer-{n}", CHALLENGE): 1 for n in range(times)}
    survived(same_instants=times)


def test_two_events_of_one_account_at_the_same_instant_earn_a_once_rule_once(
    installation: Installation, history: History, survived: Survived
) -> None:
    times = 50
    history.link(range(times))

    with two_services(installation) as rivals:
        answers = Counter(status for n in range(times) for status in rivals.send([*two_follows(n)]))

    assert answers == {204: 2 * times}
    assert len(history.event_keys()) == 2 * times
    assert history.states() == {"due": times, "duplicate": times}
    assert history.awards() == {(f"customer-{n}", CHALLENGE): 1 for n in range(times)}
    by_customer = Counter((row.customer_id, row.state) for row in history.attempts())
    assert set(by_customer.values()) == {1}
    survived(same_instants=times)


def two_follows(number: int) -> Iterator[Message]:
    for side in ("left", "right"):
        yield follow(f"{side}-event-{number}", f"account-{number}")
        # A follow is known by its time, which has milliseconds.
        time.sleep(0.002)


def test_an_event_at_the_same_instant_as_the_link_of_its_account_is_not_left_unlinked(
    installation: Installation, history: History, survived: Survived
) -> None:
    """Each looks while the other is uncommitted, unless something orders them."""
    times = 100
    web = installation.serve("--no-worker")

    def link(number: int, barrier: threading.Barrier) -> None:
        barrier.wait(10)
        history.link_by_step(number)

    for n in range(times):
        barrier = threading.Barrier(2)
        linking = threading.Thread(target=link, args=(n, barrier))
        linking.start()
        barrier.wait(10)
        Rivals([web.port]).send([follow(f"event-{n}", f"account-{n}")])
        linking.join()

    assert history.states() == {"due": times}
    survived(same_instants=times)


def test_two_services_started_at_the_same_instant_on_nothing_both_serve(
    installation: Installation, survived: Survived
) -> None:
    """On an embedded database both migrate it, and both make the keys that claims are signed by."""
    if not installation.database_url.startswith("sqlite"):
        pytest.skip("a server's database is the operator's to migrate")
    times = 2
    for n in range(times):
        folder = installation.folder / str(n)
        fresh = Installation(
            folder=folder,
            database_url=f"sqlite:///{folder}/var/vouch.db",
            gameball_url=installation.gameball_url,
        )
        folder.mkdir()
        fresh.variables = {"VOUCH_SECRET_KEYS": ""}
        try:
            webs = [fresh.serve(wait=False) for _ in range(3)]
            for web in webs:
                web.wait_ready()
        finally:
            fresh.end()
    survived(starts=3 * times)
