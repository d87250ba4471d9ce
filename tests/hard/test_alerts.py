"""Is somebody woken once, and told once that it is over, by a service that runs for real?"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pytest

from app.sandbox.books import Books
from app.sandbox.settings import Campaign
from app.storage.engines import is_sqlite
from tests.hard.conftest import Survived
from tests.hard.harness import CHALLENGE, Installation, Web, configuration, wait_until
from tests.hard.history import History
from tests.hard.platform import handshake, notice, post
from tests.receiver import Receiver, listening

pytestmark = [pytest.mark.hard, pytest.mark.timeout(120)]

UNLUCKY = 4
# The alert is raised below half and cleared at three quarters, so that it does not flap.
LUCKY = 3 * UNLUCKY
# Gameball's window, and ours, scaled down to seconds: so much sooner is a no clear.
QUICK: Mapping[str, Any] = {"window_at_least": 1.0, "window_at_most": 1.2}
ALERTS = f"""
[confirmation]
delays = [0.4]
give_up_after = 60

[alerts]
granted_share = 0.5
granted_of_at_least = {UNLUCKY}
lasts_at_least = 0

[[receivers]]
name = "on-call"
url = "env:ALERTS_URL"
secret = "env:ALERTS_SECRET"
"""


@dataclass
class Desk:
    """A service, its database, and whoever is woken."""

    web: Web
    history: History
    receiver: Receiver

    def told(self) -> list[tuple[str, str, str | None]]:
        """What was said, in the order in which it arrived: of each notice, once."""
        bodies = {one.headers["webhook-id"]: one.body for one in self.receiver.callbacks}
        assert len(bodies) == len(self.receiver.callbacks), "one was sent twice"
        said = map(json.loads, bodies.values())
        return [(one["type"], one["data"]["kind"], one["data"]["subject"]) for one in said]

    def hears(self, count: int) -> None:
        """Wait until so many notices arrived, then see that nobody says more at the next looks."""

        def is_told() -> bool:
            if self.history.somebody_looked():
                self.history.let_somebody_look()
            return len(self.told()) >= count

        wait_until(is_told, 30, f"{count} notices")
        for _ in range(2):
            self.history.let_somebody_look()
            wait_until(self.history.somebody_looked, 10, "another look")


@pytest.fixture
def desk(installation: Installation, history: History, books: Books) -> Iterator[Desk]:
    with listening() as receiver:
        installation.variables |= {
            "ALERTS_URL": f"{receiver.url}/alerts",
            "ALERTS_SECRET": "whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIz",
        }
        installation.text = configuration(confirmation=ALERTS, **QUICK)
        books.configure(dedup_window_seconds=1.1)
        web = installation.serve()
        if not is_sqlite(installation.database_url):
            # Another process that looks, and must not say it again.
            installation.work()
        yield Desk(web, history, receiver)
        installation.end()


def test_a_broken_handshake_wakes_once_and_its_mending_is_told_once(
    desk: Desk, survived: Survived
) -> None:
    revoked = post(desk.web.port, notice("authorization_revoked"))
    desk.hears(1)
    mended = post(desk.web.port, handshake())
    desk.hears(2)

    assert (revoked, mended) == (204, 200)
    assert desk.told() == [
        ("alert.raised", "handshake_broken", "twitch"),
        ("alert.cleared", "handshake_broken", "twitch"),
    ]
    survived(alerts=1)


def test_few_rewards_wake_once_and_enough_of_them_are_told_once(
    desk: Desk, books: Books, history: History, survived: Survived
) -> None:
    nobody = frozenset(f"customer-{number}" for number in range(UNLUCKY))
    books.configure(campaigns=(Campaign(id=CHALLENGE, name="Follow us", out_of_reach=nobody),))

    history.owe(UNLUCKY, [CHALLENGE])
    desk.hears(1)
    before = history.states()
    history.owe(LUCKY, [CHALLENGE], first=UNLUCKY)
    desk.hears(2)

    assert before == {"not_granted": UNLUCKY}
    assert history.states() == {"not_granted": UNLUCKY, "granted": LUCKY}
    assert desk.told() == [
        ("alert.raised", "confirmation_falling", None),
        ("alert.cleared", "confirmation_falling", None),
    ]
    survived(alerts=1, attempts=2 * UNLUCKY)
