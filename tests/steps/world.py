"""What happened so far, told in one line each?"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, TypeVar

from sqlalchemy import ColumnElement, Connection, insert, select, update

from app.domain.answers import Answer, Outcome
from app.domain.attempts import State
from app.domain.clock import new_id
from app.domain.confirmation import Proof
from app.domain.events import Event, SameAccount
from app.domain.evidence import Evidence
from app.domain.retries import Decision, RetryPolicy
from app.domain.rules import Rule
from app.steps import claims, forwarding, identities, intake, ledger, operator_actions, timers
from app.steps.claims import Claim
from app.steps.forwarding import Deferred, ForwardingPolicy, StartedSubmission
from app.steps.identities import Identity, Linked
from app.steps.intake import Arrival, Receipt
from app.steps.joining import Joining
from app.steps.rate_limit import RateLimit
from app.storage.database import Database
from app.storage.tables import (
    GRANTS,
    AttemptRow,
    AwardRow,
    EventRow,
    ForwardingRow,
    IdentityRow,
    SubmissionRow,
    TransitionRow,
    table_of,
)
from tests.clock import Clock

T = TypeVar("T")

MONTH = timedelta(days=30)
LEASE = 18.0
AT_LEAST, AT_MOST = 30.0, 900.0
RETRIES = RetryPolicy(
    schedules={
        "retry": (2, 5, 15, 60, 1_000, 5_000),
        "missing_customer": (300, 3_600),
        "busy": (1, 2),
        "echo": (900, 1_800),
    },
    window_at_least_seconds=AT_LEAST,
    window_at_most_seconds=AT_MOST,
    jitter=0,
)
POLICY = ForwardingPolicy(
    pace=RateLimit(30, 360, probe_seconds=30), retries=RETRIES, lease_seconds=LEASE
)

FOLLOW = Rule(challenge_id=1, platform="twitch", action="follow")


@dataclass(kw_only=True)
class World:
    """A database, a clock, and the steps as short verbs. Each verb is one transaction."""

    database: Database
    clock: Clock
    policy: ForwardingPolicy = POLICY
    events: int = field(default=0, init=False)

    @property
    def now(self) -> datetime:
        return self.clock.now()

    def do(self, step: Callable[[Connection], T]) -> T:
        return self.database.write(step)

    def all(self, kind: Any, *conditions: ColumnElement[bool]) -> list[Any]:
        """The rows of a table that fulfil the conditions, what is sealed opened."""
        table = table_of(kind)
        order = next(iter(table.primary_key))
        with self.database.read() as connection:
            rows = connection.execute(select(table).where(*conditions).order_by(order)).all()
        return [self.database.vault.open_row(table, row) for row in rows]

    def _column(self, column: Any) -> list[Any]:
        """One column of all attempts, the oldest first; nothing sealed is opened for it."""
        with self.database.read() as connection:
            return list(connection.execute(select(column).order_by(AttemptRow.id)).scalars())

    # What platforms and the shop do.

    def event(self, **changes: Any) -> Event:
        """A new follow of channel 1337 by account 99."""
        self.events += 1
        values = {
            "source": "twitch",
            "key": f"event-{self.events}",
            "platform": "twitch",
            "action": "follow",
            "actor": "99",
            "occurred_at": self.now,
            "received_at": self.now,
            "payload": b"{}",
            "target": "1337",
        }
        return Event(**{**values, **changes})

    def receive(self, *events: Event, rules: Sequence[Rule] = (FOLLOW,)) -> Sequence[Receipt]:
        arrivals = [
            Arrival(
                event,
                tuple(rule for rule in rules if rule.matches(event)),
                event.received_at + MONTH,
            )
            for event in events
        ]
        result: Sequence[Receipt] = self.database.write_each(intake.receive, arrivals)
        return result

    def join(self, one: str, other: str, *, replaced: bool = False, source: str = "twitch") -> None:
        """The platform says that two ids are of one account."""
        said = SameAccount(one, other, replaced)
        joining = Joining(source=source, platform="twitch", said=said, at=self.now)
        self.database.write_each(intake.receive, [joining])

    def link(
        self, account: str = "99", customer: str = "ann", **contact: str
    ) -> tuple[Linked, int]:
        identity = Identity(platform="twitch", account_id=account, customer_id=customer, **contact)
        return self.do(lambda c: identities.link(c, identity, "key:1 shop", self.now))

    def unlink(self, account: str = "99") -> bool:
        return self.do(lambda c: identities.unlink(c, "twitch", account, "key:1 shop", self.now))

    def claim(self, rule: Rule = FOLLOW, customer: str = "ann", **more: Any) -> tuple[str, State]:
        claim = Claim(
            token_id=new_id(self.now),
            customer_id=customer,
            challenge_id=rule.challenge_id,
            rule=rule,
            **more,
        )
        until = self.now + timedelta(days=7)
        return self.do(lambda c: claims.claim(c, claim, until, self.now))

    # What workers do.

    def owed(self, account: str = "99", customer: str = "ann", **changes: Any) -> str:
        """An attempt of a linked customer that is due now; its id."""
        rules = changes.pop("rules", (FOLLOW,))
        if not self.all(IdentityRow, IdentityRow.account_id == account):
            self.link(account, customer)
        known = set(self.ids())
        [receipt] = self.receive(self.event(actor=account, **changes), rules=rules)
        # What it was made as: by now a worker may have it.
        assert receipt.states == (State.DUE,)
        [made] = set(self.ids()) - known
        return made

    def try_start(self, attempt_id: str, worker: str = "w1") -> StartedSubmission | Deferred:
        return self.do(lambda c: forwarding.start(c, attempt_id, worker, self.policy, self.now))

    def start(self, attempt_id: str, worker: str = "w1") -> StartedSubmission:
        made = self.try_start(attempt_id, worker)
        assert isinstance(made, StartedSubmission), made
        return made

    def finish(self, made: StartedSubmission, answer: Answer | Outcome) -> Decision | None:
        told = answer if isinstance(answer, Answer) else Answer(outcome=answer)
        return self.do(lambda c: forwarding.finish(c, made, told, self.policy, self.now))

    def submit(self, attempt_id: str, answer: Answer | Outcome) -> Decision | None:
        """Wait until it is due, start it and end it."""
        next_at = self.attempt(attempt_id).next_at
        self.clock.set(max(self.now, next_at))
        return self.finish(self.start(attempt_id), answer)

    def reclaim(self) -> int:
        return self.do(lambda c: forwarding.reclaim(c, self.policy, self.now, 100))

    def strike(self) -> int:
        return self.do(lambda c: timers.fire(c, self.now, 100))

    def sweep(self) -> None:
        """As a worker does every half second, if there is anything to do."""
        with self.database.read() as connection:
            has_work = timers.is_anything_to_sweep(connection, self.now)
        if has_work:
            self.reclaim()
            self.strike()

    def never_landed(self, made: StartedSubmission) -> None:
        self.do(lambda c: forwarding.never_landed(c, made))

    def due(self, limit: int = 100) -> list[str]:
        with self.database.read() as connection:
            return [row.id for row in forwarding.due_attempts(connection, self.now, limit)]

    # What people do.

    def replay(self, attempt_id: str) -> State | None:
        return self.do(lambda c: operator_actions.replay(c, attempt_id, "key:2 sam", self.now))

    def cancel(self, attempt_id: str) -> State | None:
        return self.do(lambda c: operator_actions.cancel(c, attempt_id, "key:2 sam", self.now))

    # What is there afterwards.

    def attempt(self, attempt_id: str) -> Any:
        [row] = self.all(AttemptRow, AttemptRow.id == attempt_id)
        return row

    def state(self, attempt_id: str) -> State:
        return State(self.attempt(attempt_id).state)

    def ids(self) -> list[str]:
        """Every attempt, the oldest first."""
        return [str(name) for name in self._column(AttemptRow.id)]

    def states(self) -> list[str]:
        return self._column(AttemptRow.state)

    def timeline(self, attempt_id: str) -> list[str | None]:
        """Every state it was in; each change must begin where the last one ended."""
        rows = self.all(TransitionRow, TransitionRow.attempt_id == attempt_id)
        for before, after in zip([None, *(row.to_state for row in rows)], rows, strict=False):
            assert after.from_state == before, rows
        return [row.to_state for row in rows]

    def last_change(self, attempt_id: str) -> Any:
        return self.all(TransitionRow, TransitionRow.attempt_id == attempt_id)[-1]

    def submissions(self, attempt_id: str) -> list[Any]:
        return self.all(SubmissionRow, SubmissionRow.attempt_id == attempt_id)

    def awards(self) -> list[tuple[int, str, str | None, str]]:
        """What the ledger holds, as far as its attempts tell: it does not say itself."""
        attempts = {row.id: row for row in self.all(AttemptRow)}
        awarded = [row.attempt_id for row in self.all(AwardRow)]
        return [
            (one.challenge_id, one.customer_id, one.account_id, one.occurrence)
            for one in map(attempts.__getitem__, awarded)
        ]

    def forwarding(self) -> Any:
        [row] = self.all(ForwardingRow)
        return row

    def stored_events(self) -> list[Any]:
        return self.all(EventRow)

    # What no step does yet, or only by an accident.

    def paced(self, **changes: Any) -> None:
        self.policy = replace(self.policy, pace=replace(self.policy.pace, **changes))

    def retrying(self, **changes: Any) -> None:
        self.policy = replace(self.policy, retries=replace(self.policy.retries, **changes))

    def confirmed_as(self, attempt_id: str, state: State) -> None:
        """Reading the reward back is still to come; this is how it will leave the row."""
        self.do(
            lambda c: c.execute(
                update(AttemptRow).where(AttemptRow.id == attempt_id).values(state=state)
            )
        )

    def granted(self, attempt_id: str, **changes: Any) -> None:
        """The grant that a look would have found, with a coupon."""
        row = {
            "attempt_id": attempt_id,
            "customer_id": self.attempt(attempt_id).customer_id,
            "proof": Proof.ACTIVITY,
            "reference": attempt_id,
            "coupon_code": "SUMMER-1",
            "seen_at": self.now,
            **changes,
        }
        sealed = self.database.vault.seal_row(GRANTS, row)
        self.do(lambda c: c.execute(insert(GRANTS), sealed))
        self.confirmed_as(attempt_id, State.GRANTED)

    def free_award(self, attempt_id: str) -> None:
        self.do(lambda c: ledger.release(c, attempt_id))


def believed(rule: Rule) -> Rule:
    """The same rule, for claims that are paid at once."""
    return replace(rule, evidence=Evidence.CLAIMED)
