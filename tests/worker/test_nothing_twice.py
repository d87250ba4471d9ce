"""Whatever happens in whatever order: is anything paid twice, or lost?"""

import itertools
import time
from collections import Counter
from contextlib import ExitStack, suppress
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from app.domain.attempts import TRAITS, State
from app.domain.confirmation import ConfirmationPolicy
from app.domain.events import Event
from app.domain.rules import Repeat, Rule
from app.steps import bulk, confirmation
from app.steps.forwarding import StartedSubmission
from app.steps.history import Filter
from app.steps.operator_actions import NotAllowed, OperatorAction
from app.steps.read_rate_limit import DOCUMENTED
from app.storage.database import Database
from app.storage.tables import AttemptRow, AwardRow, EventRow, TransitionRow
from app.worker.confirmer import Confirmer
from app.worker.forwarder import Forwarder
from app.worker.paced_reader import Reader
from tests.clock import Clock
from tests.conftest import NewDatabase
from tests.keys import KEYS
from tests.steps.world import AT_MOST, LEASE, World
from tests.worker.gameball import FATES, Books, FakeGameball, Killed

ACCOUNTS = st.sampled_from(["1", "2", "3"])
CUSTOMERS = st.sampled_from(["ann", "bob"])
TARGETS = st.sampled_from(["t1", "t2"])
RULES = {
    "follow": Rule(challenge_id=1, platform="twitch", action="follow"),
    "comment": Rule(
        challenge_id=2,
        platform="twitch",
        action="comment",
        repeat=Repeat.EVERY_EVENT,
        bar_after_undo=True,
    ),
    "like": Rule(
        challenge_id=3, platform="twitch", action="like", repeat=Repeat.PER_TARGET, hold_seconds=60
    ),
    "share": Rule(challenge_id=4, platform="twitch", action="share", repeat=Repeat.PER_DAY),
}
ACTIONS = st.sampled_from(sorted(RULES))
LATE = st.sampled_from([0.0, 0.0, 0.0, 1.0, 30.0, 61.0, 1_000.0])
SECONDS = st.sampled_from([0.5, 2, 6, 19, 31, 61, 130, 400, 901, 4_000, 40_000])
ANY = st.integers(0, 30)
LOOKS = ConfirmationPolicy(
    delays=(90, 240, 660, 2_700), give_up_seconds=86_400, settle_seconds=AT_MOST, lease_seconds=60
)
LANDED_STATES = {State.ACCEPTED, State.GRANTED, State.UNCONFIRMED}


class Installation(RuleBasedStateMachine):
    """Platforms, shops, workers that die and people, around one database and one Gameball."""

    new_database: NewDatabase

    @initialize()
    def open(self) -> None:
        self.stack = ExitStack()
        url = self.stack.enter_context(self.new_database())
        self.clock = Clock()
        self.world = World(database=Database(url, secret_keys=KEYS), clock=self.clock)
        self.books = Books(clock=self.clock)
        self.known: list[Event] = []
        self.depth = 0
        self.gameball = FakeGameball(self.books)
        reader = Reader(
            database=self.world.database, pace=DOCUMENTED, now=self.clock.now, seconds_each=1.0
        )
        self.confirmer = Confirmer(reader, self.gameball, LOOKS, threads=2, poll_seconds=1)

    def teardown(self) -> None:
        if hasattr(self, "world"):
            try:
                self.drain()
            finally:
                self.confirmer.stop()
                self.world.database.close()
                self.stack.close()

    # Platforms and shops.

    @rule(account=ACCOUNTS, action=ACTIONS, place=TARGETS, late=LATE)
    def something_happens(self, account: str, action: str, place: str, late: float) -> None:
        at = self.clock.now() - timedelta(seconds=late)
        event = self.world.event(actor=account, action=action, target=place, occurred_at=at)
        self.known.append(event)

        [receipt] = self.world.receive(event, rules=list(RULES.values()))

        assert receipt.is_new
        assert len(receipt.states) == 1

    @precondition(lambda self: self.known)
    @rule(which=ANY)
    def it_is_told_again(self, which: int) -> None:
        event = replace(self.known[which % len(self.known)], received_at=self.clock.now())

        [receipt] = self.world.receive(event, rules=list(RULES.values()))

        assert not receipt.is_new

    @rule(account=ACCOUNTS, action=ACTIONS, place=TARGETS, late=LATE)
    def it_is_undone(self, account: str, action: str, place: str, late: float) -> None:
        at = self.clock.now() - timedelta(seconds=late)
        event = self.world.event(
            actor=account, action=action, target=place, occurred_at=at, undone=True
        )
        self.world.receive(event, rules=list(RULES.values()))

    @precondition(lambda self: self.known)
    @rule(which=ANY)
    def that_very_one_is_undone(self, which: int) -> None:
        done = self.known[which % len(self.known)]
        now = self.clock.now()
        event = replace(
            done, key=f"{done.key}-undone", undoes=done.key, undone=True, received_at=now
        )
        self.world.receive(event, rules=list(RULES.values()))

    @rule(account=ACCOUNTS, customer=CUSTOMERS)
    def an_account_is_linked(self, account: str, customer: str) -> None:
        self.world.link(account, customer)

    @rule(account=ACCOUNTS)
    def an_account_is_unlinked(self, account: str) -> None:
        self.world.unlink(account)

    @rule(customer=CUSTOMERS, action=ACTIONS, place=TARGETS, is_believed=st.booleans())
    def a_customer_claims(self, customer: str, action: str, place: str, is_believed: bool) -> None:
        claimable = RULES[action]
        if is_believed:
            claimable = replace(claimable, evidence=claimable.evidence.CLAIMED)
        self.world.claim(claimable, customer, target=place)

    # Workers.

    @rule(
        which=ANY, fate=st.sampled_from(FATES), second=st.sampled_from(FATES), reads=st.booleans()
    )
    def a_worker_works(self, which: int, fate: str, second: str, reads: bool) -> None:
        self.work(which, fate, second, reads=reads)

    @rule(which=ANY, frozen=st.sampled_from([4.0, 6.0, 20.0]), fate=st.sampled_from(FATES))
    def a_worker_is_frozen_before_it_sends(self, which: int, frozen: float, fate: str) -> None:
        self.work(which, fate, "never killed", frozen=frozen)

    @rule(which=ANY, frozen=st.sampled_from([4.0, 40.0, 200.0]), fate=st.sampled_from(FATES))
    def a_worker_is_frozen_while_it_connects(self, which: int, frozen: float, fate: str) -> None:
        self.work(which, fate, "never killed", connecting=frozen)

    @rule(which=ANY)
    def a_worker_dies_before_it_sends(self, which: int) -> None:
        self.begin(which)

    @rule()
    def the_sweep_comes(self) -> None:
        self.world.reclaim()
        self.world.strike()

    def begin(self, which: int) -> StartedSubmission | None:
        due = self.world.due()
        made = self.world.try_start(due[which % len(due)]) if due else None
        return made if isinstance(made, StartedSubmission) else None

    def work(
        self,
        which: int,
        fate: str,
        second: str,
        *,
        frozen: float = 0,
        connecting: float = 0,
        reads: bool = True,
    ) -> None:
        made = self.begin(which)
        if made is None:
            return
        self.clock.advance(frozen)
        client = FakeGameball(self.books, lambda: self.while_stalled(made.attempt_id, second))
        client.fate, client.attempt_id, client.is_readable = fate, made.attempt_id, reads
        client.frozen = connecting
        forwarder = Forwarder(
            database=self.world.database,
            client=client,
            policy=self.world.policy,
            worker="w1",
            now=self.clock.now,
        )
        with suppress(Killed):
            forwarder.carry_out(made, time.monotonic() - frozen)

    def while_stalled(self, attempt_id: str, fate: str) -> None:
        """An answer hangs until the lease is over; another worker takes the attempt meanwhile."""
        self.clock.advance(LEASE)
        self.world.reclaim()
        due = self.world.due()
        if attempt_id in due and self.depth < 2:
            self.depth += 1
            self.work(due.index(attempt_id), fate, "landed answered")
            self.depth -= 1

    # People, and time.

    @precondition(lambda self: self.world.ids())
    @rule(which=ANY)
    def a_person_replays(self, which: int) -> None:
        ids = self.world.ids()
        with suppress(NotAllowed):
            self.world.replay(ids[which % len(ids)])

    @precondition(lambda self: self.world.ids())
    @rule(which=ANY)
    def a_person_cancels(self, which: int) -> None:
        ids = self.world.ids()
        with suppress(NotAllowed):
            self.world.cancel(ids[which % len(ids)])

    @rule(act=st.sampled_from(sorted(OperatorAction)))
    def a_person_acts_on_all(self, act: OperatorAction) -> None:
        self.world.do(lambda c: bulk.start(c, act, Filter(), 0, "key:2 sam", self.clock.now()))

    @rule()
    def a_bulk_job_goes_on(self) -> None:
        for job in self.world.do(bulk.running):
            self.world.do(lambda c, job=job: bulk.advance(c, job, self.clock.now(), 2))  # type: ignore[misc]

    @rule(reads=st.booleans())
    def the_truth_is_looked_for(self, reads: bool) -> None:
        self.gameball.is_readable = reads
        self.confirmer.round()

    @rule()
    def a_worker_dies_while_it_looks(self) -> None:
        now = self.clock.now()
        self.world.do(lambda c: confirmation.take(c, LOOKS, now, 2))

    @rule(is_open=st.booleans(), is_shown=st.booleans())
    def the_campaigns_change(self, is_open: bool, is_shown: bool) -> None:
        self.books.is_open, self.books.is_shown = is_open, is_shown

    @rule(seconds=SECONDS)
    def time_passes(self, seconds: float) -> None:
        self.clock.advance(seconds)

    # What must hold at every moment.

    @invariant()
    def nothing_is_wrong(self) -> None:
        if not hasattr(self, "world"):
            return
        self.books.settle()
        attempts = {row.id: row for row in self.world.all(AttemptRow)}
        awards = self.world.all(AwardRow)
        self.check_payments(attempts, {award.attempt_id for award in awards})
        self.check_ledger(awards)
        self.check_leases(attempts)
        self.check_timelines(attempts)
        self.check_undoings(attempts)

    def check_undoings(self, attempts: dict[str, Any]) -> None:
        """What was undone inside its hold waits for nothing, but for an answer to come."""
        for row in attempts.values():
            if row.undone_at is not None and row.action == "like":
                is_open = row.state == State.DUE and row.lease_until is None
                is_sent = bool(self.world.submissions(row.id))
                assert not is_open or is_sent or row.undone_at >= self.held_until(row)

    def held_until(self, row: Any) -> datetime:
        begun: list[datetime] = [
            one.at
            for one in self.world.all(TransitionRow)
            if one.attempt_id == row.id
            and one.to_state == State.HELD
            and one.from_state != State.HELD
        ]
        return begun[-1] + timedelta(seconds=row.hold_seconds)

    def check_payments(self, attempts: dict[str, Any], awarded: set[str]) -> None:
        paid = Counter(one.attempt_id for one in self.books.granted)
        landed = {one.attempt_id for one in self.books.landings}
        assert all(count == 1 for count in paid.values()), "an attempt was paid twice"
        assert set(paid) <= awarded, "an award was freed though it had been paid"
        assert len(self.paid_awards(attempts, paid)) == len(paid), "an award was paid twice"
        for row in attempts.values():
            if State(row.state) in LANDED_STATES:
                assert row.id in landed or self.is_on_its_way(row.id), "accepted, never landed"
            if row.state == State.GRANTED:
                assert row.id in paid, "granted, says who cannot know"
            if row.state == State.NOT_GRANTED:
                assert row.id not in paid, "granted, and denied"

    def is_on_its_way(self, attempt_id: str) -> bool:
        return any(one.attempt_id == attempt_id for one in self.books.on_their_way)

    def paid_awards(self, attempts: dict[str, Any], paid: Counter[str]) -> set[Any]:
        rows = [attempts[attempt_id] for attempt_id in paid]
        return {(row.challenge_id, row.customer_id, row.occurrence) for row in rows}

    def check_ledger(self, awards: list[Any]) -> None:
        customers = Counter(a.customer_hash for a in awards)
        accounts = Counter(a.account_hash for a in awards if a.account_hash is not None)
        assert all(count == 1 for count in customers.values())
        assert all(count == 1 for count in accounts.values())

    def check_leases(self, attempts: dict[str, Any]) -> None:
        leased = [row for row in attempts.values() if row.lease_until is not None]
        assert all(row.state == State.DUE for row in leased)
        assert len({row.customer_id for row in leased}) == len(leased)

    def check_timelines(self, attempts: dict[str, Any]) -> None:
        changes = sorted(self.world.all(TransitionRow), key=lambda row: (row.attempt_id, row.id))
        seen = set()
        for attempt_id, group in itertools.groupby(changes, key=lambda row: row.attempt_id):
            path = list(group)
            seen.add(attempt_id)
            assert path[0].from_state is None
            assert path[-1].to_state == attempts[attempt_id].state
            for before, after in itertools.pairwise(path):
                assert after.from_state == before.to_state
                # An undoing that changes no state is noted all the same.
                is_note = after.to_state == after.from_state and "undone" in after.reason
                assert is_note or State(after.to_state) in TRAITS[State(after.from_state)].next
                assert after.at >= before.at
        assert seen == set(attempts)

    # And in the end.

    def drain(self) -> None:
        """Everything works again and time passes: nothing may be left hanging."""
        self.books.is_open = self.books.is_shown = self.gameball.is_readable = True
        accepted = {row.id for row in self.world.all(AttemptRow) if row.state == State.ACCEPTED}
        for _ in range(1_000):
            self.clock.advance(LEASE + 1)
            self.a_bulk_job_goes_on()
            self.the_sweep_comes()
            due = self.world.due()
            if due:
                self.work(0, "landed answered", "landed answered")
                continue
            while self.confirmer.round():
                pass
            waiting = [row.next_at for row in self.world.all(AttemptRow) if row.next_at]
            if not waiting:
                break
            self.clock.set(max(self.clock.now(), min(waiting)))
        self.nothing_is_wrong()
        states = Counter(self.world.states())
        assert not states.keys() & {State.DUE, State.HELD, State.UNLINKED, State.ACCEPTED}, states
        known = {i for i in accepted if self.world.state(i) is not State.UNCONFIRMED}
        assert known == accepted, "Gameball tells, and nobody listened"
        assert len(self.world.all(EventRow)) >= len(self.known)
        assert all(row.lease_until is None for row in self.world.all(AttemptRow))


@pytest.mark.parametrize(
    ("kind", "examples"),
    # An example takes a second on PostgreSQL; most of what there is to find is in no database.
    [("sqlite", 25), ("postgres", 4)],
)
def test_nothing_is_paid_twice_or_lost_whatever_happens(
    request: pytest.FixtureRequest, kind: str, examples: int
) -> None:
    new_database = staticmethod(request.getfixturevalue(f"new_{kind}"))
    machine = type("Installed", (Installation,), {"new_database": new_database})

    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=examples,
            stateful_step_count=40,
            deadline=None,
            suppress_health_check=[HealthCheck.too_slow],
        ),
    )
