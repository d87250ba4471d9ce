"""What does the database say happened?"""

from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, func, insert, select, update

from app.domain.attempts import State
from app.domain.clock import utc_now
from app.domain.events import Event
from app.domain.rules import Rule
from app.steps import bulk, keys
from app.steps.history import Filter
from app.steps.identities import Identity, link
from app.steps.intake import Arrival, receive
from app.steps.keys import Role
from app.steps.operator_actions import OperatorAction
from app.storage.database import Database
from app.storage.tables import (
    AlertWatchRow,
    AttemptRow,
    AwardRow,
    BulkJobRow,
    EventRow,
    ForwardingRow,
    IdentityRow,
    SubmissionRow,
)

# Those of the installation's processes.
KEYS = ("hard-claim-key-0123456789",)
LONG_AGO = datetime(2001, 1, 1, tzinfo=UTC)


class History:
    """The installation's database, looked at from outside."""

    def __init__(self, url: str) -> None:
        self._database = Database(url, secret_keys=KEYS)

    def close(self) -> None:
        self._database.close()

    def link(self, numbers: Iterable[int]) -> None:
        """Link ``account-<n>`` to ``customer-<n>``."""
        now = utc_now()
        rows = [
            {
                "platform": "twitch",
                "account_id": f"account-{number}",
                "customer_id": f"customer-{number}",
                "created_at": now,
                "updated_at": now,
            }
            for number in numbers
        ]
        self._write(lambda c: c.execute(insert(IdentityRow), rows))

    def link_by_step(self, number: int) -> None:
        """Link one account as the API does, which releases what waited for it."""
        identity = Identity(
            platform="twitch", account_id=f"account-{number}", customer_id=f"customer-{number}"
        )
        self._write(lambda c: link(c, identity, "test", utc_now()))

    def owe(self, customers: int, challenges: Sequence[int], first: int = 0) -> None:
        """Let this many linked customers each earn every challenge, all due now."""
        numbers = range(first, first + customers)
        self.link(numbers)
        rules = tuple(
            Rule(challenge_id=challenge, platform="twitch", action="follow")
            for challenge in challenges
        )
        now = utc_now()
        arrivals = [
            Arrival(
                Event(
                    source="twitch",
                    key=f"event-{number}",
                    platform="twitch",
                    action="follow",
                    actor=f"account-{number}",
                    occurred_at=now,
                    received_at=now,
                    payload=b"{}",
                ),
                rules,
                now,
            )
            for number in numbers
        ]
        self._write(lambda c: receive(c, arrivals))

    def receive(self, events: Sequence[Event], rules: Sequence[Rule]) -> None:
        """Let verified events earn what they earn."""
        arrivals = [
            Arrival(event, tuple(one for one in rules if one.matches(event)), event.received_at)
            for event in events
        ]
        for start in range(0, len(arrivals), 500):
            some = arrivals[start : start + 500]
            self._write(lambda c, some=some: receive(c, some))

    def key(self, role: Role) -> str:
        """A new API key."""
        _, key = self._database.write(lambda c: keys.create(c, role, "hard", utc_now()))
        return key

    def is_final(self) -> bool:
        """Whether nothing is owed, and nothing waits for the truth, any more."""
        return not self.states().keys() & {"due", "held", "accepted"}

    def die(self) -> None:
        """Let everything owed be dead, as after a long trouble."""
        dead = {"state": State.DEAD, "next_at": None}
        self._write(lambda c: c.execute(update(AttemptRow).values(dead)))

    def replay_all(self) -> str:
        """Begin a bulk job that nobody works on yet; its id."""
        matched = self.states()[State.DEAD]
        return str(
            self._database.write(
                lambda c: bulk.start(
                    c, OperatorAction.REPLAY, Filter(), matched, "key:1 sam", utc_now()
                )
            ).id
        )

    def job(self, job_id: str) -> Any:
        return self._rows(select(BulkJobRow.__table__).where(BulkJobRow.id == job_id))[0]

    def states(self) -> Counter[str]:
        """How many attempts are in which state."""
        statement = select(AttemptRow.state, func.count()).group_by(AttemptRow.state)
        return Counter(dict(self._rows(statement)))

    def is_settled(self) -> bool:
        """Whether nothing is owed any more."""
        return not self.owed()

    def owed(self) -> int:
        """How many attempts are still to be sent."""
        states = self.states()
        return states["due"] + states["held"]

    def taken(self) -> int:
        """How many attempts Gameball took, whether or not the reward was seen since."""
        states = self.states()
        return states["accepted"] + states["granted"]

    def event_keys(self) -> list[str]:
        """The keys of events; a follow of ``account-<n>`` is ``event-<n>``, whichever version it
        was received by: today its key is made of the account and the time.
        """
        rows = self._rows(select(EventRow.key, EventRow.actor, EventRow.action))
        return [
            (actor or "").replace("account-", "event-") if action == "follow" else key
            for key, actor, action in rows
        ]

    def awards(self) -> Counter[tuple[str, int]]:
        """How often the ledger holds each (customer, challenge)."""
        return Counter(
            (customer, challenge)
            for customer, challenge in self._rows(
                select(AttemptRow.customer_id, AwardRow.challenge_id).join(
                    AttemptRow, AttemptRow.id == AwardRow.attempt_id
                )
            )
        )

    def attempts(self) -> list[Any]:
        return self._rows(select(AttemptRow.__table__).order_by(AttemptRow.id))

    def submissions(self) -> list[Any]:
        return self._rows(select(SubmissionRow.__table__).order_by(SubmissionRow.id))

    def outcomes(self) -> Counter[str]:
        """How many submissions ended how; one in flight counts as such."""
        return Counter(row.outcome or "in flight" for row in self.submissions())

    def let_somebody_look(self) -> None:
        """Let it be time to look whether anything is wrong, without waiting for it."""
        self._write(lambda c: c.execute(update(AlertWatchRow).values(next_look_at=LONG_AGO)))

    def somebody_looked(self) -> bool:
        """Whether somebody took the turn since it was `let_somebody_look`."""
        times = [at for (at,) in self._rows(select(AlertWatchRow.next_look_at))]
        return bool(times) and times[0] > LONG_AGO

    def forwarding(self) -> Any:
        return self._rows(select(ForwardingRow.__table__))[0]

    def _rows(self, statement: Any) -> list[Any]:
        with self._database.read() as connection:
            return list(connection.execute(statement))

    def _write(self, step: Any) -> None:
        def run(connection: Connection) -> None:
            step(connection)

        self._database.write(run)
