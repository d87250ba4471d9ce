"""Is the truth about a reward found out, whatever Gameball shows and hides?"""

import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import Connection, insert, select, update

from app.domain.attempts import State
from app.domain.confirmation import ConfirmationPolicy, Progress, Proof, Seen
from app.domain.rules import Repeat
from app.gameball.client import GameballAccount, GameballClient, Reply
from app.sandbox.calls import SOCIAL_CHALLENGES
from app.sandbox.faults import Fault
from app.sandbox.server import SandboxServer
from app.sandbox.settings import Campaign, Limit
from app.settings.sections import ReadBefore
from app.steps import confirmation, read_rate_limit
from app.steps.forwarding import StartedSubmission
from app.steps.read_rate_limit import ReadKind, ReadRateLimit
from app.storage.database import Database
from app.storage.tables import AttemptRow, BaselineRow, GrantRow, ReadingRow, ReadRow
from app.worker.confirmer import Confirmer
from app.worker.forwarder import Forwarder
from app.worker.paced_reader import Reader
from app.worker.precheck import EligibilityCheck
from app.worker.reward_lookup import LAST_TRIES
from tests.steps.world import AT_MOST, FOLLOW, World
from tests.worker.conftest import READ_SECONDS, MakeForwarder

DELAYS = (90.0, 240.0, 660.0, 2_700.0)
DAY = 86_400.0
POLICY = ConfirmationPolicy(
    delays=DELAYS, give_up_seconds=DAY, settle_seconds=AT_MOST, lease_seconds=60
)
PACE = ReadRateLimit(
    {ReadKind.CUSTOMERS: (100, 1_200), ReadKind.TRANSACTIONS: (30, 360), ReadKind.OTHERS: (30, 360)}
)
LIKE = replace(FOLLOW, challenge_id=2, action="like")
EVERY = (replace(FOLLOW, repeat=Repeat.EVERY_EVENT),)

MakeConfirmer = Callable[..., Confirmer]


@dataclass(kw_only=True)
class Desk:
    """A world, a sandbox, and a worker that submits and looks after what it submitted."""

    world: World
    sandbox: SandboxServer
    forwarder: Forwarder
    confirmer: Confirmer

    def submit(self, attempt_id: str) -> None:
        """Wait until it is due, and submit it."""
        world = self.world
        world.clock.set(max(world.now, world.attempt(attempt_id).next_at))
        made = self.forwarder.start(attempt_id)
        assert isinstance(made, StartedSubmission), made
        # The lease's own clock is the real one, which stands still beside the test's.
        self.forwarder.carry_out(made, float("inf"))

    def accepted(self, **changes: Any) -> str:
        attempt_id = self.world.owed(**changes)
        self.submit(attempt_id)
        while self.world.state(attempt_id) is State.DUE:
            self.submit(attempt_id)  # a busy machine was too slow to answer
        assert self.world.state(attempt_id) is State.ACCEPTED
        return attempt_id

    def look(self, after: float = 0) -> None:
        """Let time pass, and look as often as there is something to look at."""
        self.world.clock.advance(after)
        while self.confirmer.round():
            pass

    def look_when_due(self, attempt_id: str) -> None:
        self.world.clock.set(max(self.world.now, self.world.attempt(attempt_id).next_at))
        self.look()

    def follow(self, attempt_id: str) -> State:
        """Look on schedule until the end."""
        for _ in range(120):
            if self.world.state(attempt_id) is not State.ACCEPTED:
                break
            self.look_when_due(attempt_id)
        return self.world.state(attempt_id)

    def campaign(self, **changes: Any) -> None:
        self.sandbox.books.configure(campaigns=(Campaign(id=1, name="Follow us", **changes),))

    def reads(self, endpoint: str | None = None) -> int:
        return sum(
            call.method == "GET" and endpoint in (None, call.endpoint)
            for call in self.sandbox.books.calls(1_000)
        )

    def grant(self, attempt_id: str) -> Any:
        rows = self.world.all(GrantRow, GrantRow.attempt_id == attempt_id)
        return rows[0] if rows else None

    def reason(self, attempt_id: str) -> str:
        return str(self.world.attempt(attempt_id).reason)


@pytest.fixture
def confirmer_of(sandbox: SandboxServer) -> Iterator[MakeConfirmer]:
    made: list[Confirmer] = []

    def make(
        world: World, policy: ConfirmationPolicy = POLICY, pace: ReadRateLimit = PACE
    ) -> Confirmer:
        account = GameballAccount(
            base_url=sandbox.url,
            api_version="v4.1",
            api_key="sandbox-api-key",
            secret_key="sandbox-secret-key",
            connect_timeout=0.5,
            read_timeout=READ_SECONDS,
        )
        client = GameballClient(account)
        reader = Reader(database=world.database, pace=pace, now=world.clock.now, seconds_each=1.0)
        made.append(Confirmer(reader, client, policy, threads=2, poll_seconds=0.01))
        return made[-1]

    yield make
    for confirmer in made:
        confirmer.stop()


@pytest.fixture
def desk(
    world: World, sandbox: SandboxServer, forwarder_of: MakeForwarder, confirmer_of: MakeConfirmer
) -> Desk:
    return Desk(
        world=world, sandbox=sandbox, forwarder=forwarder_of(world), confirmer=confirmer_of(world)
    )


@pytest.fixture
def sqlite_desk(
    sqlite_world: World,
    sandbox: SandboxServer,
    forwarder_of: MakeForwarder,
    confirmer_of: MakeConfirmer,
) -> Desk:
    return Desk(
        world=sqlite_world,
        sandbox=sandbox,
        forwarder=forwarder_of(sqlite_world),
        confirmer=confirmer_of(sqlite_world),
    )


def with_asker(desk: Desk, forwarder_of: MakeForwarder, **changes: Any) -> Desk:
    """The same desk, whose forwarder reads before it submits."""
    client = desk.forwarder.client
    reader = Reader(
        database=desk.world.database, pace=PACE, now=desk.world.clock.now, seconds_each=1.0
    )
    values: dict[str, Any] = {"read_before": ReadBefore.ALWAYS, **changes}
    asker = EligibilityCheck(
        database=desk.world.database,
        client=client,
        reader=reader,
        now=desk.world.clock.now,
        **values,
    )
    return replace(desk, forwarder=forwarder_of(desk.world, asker=asker))


# Yes.


def test_a_reward_is_found_by_its_transaction_with_what_was_granted(desk: Desk) -> None:
    desk.campaign(points=70)
    attempt_id = desk.accepted()

    desk.look(after=90)

    assert desk.world.timeline(attempt_id) == ["due", "accepted", "granted"]
    grant = desk.grant(attempt_id)
    assert (grant.proof, grant.points, grant.coupon_code) == (Proof.TRANSACTION, 70, None)
    assert grant.granted_at is not None
    assert desk.reason(attempt_id) == "Gameball shows the reward's transaction: 70 points"
    assert desk.world.attempt(attempt_id).next_at is None


def test_nothing_is_read_before_its_time(desk: Desk) -> None:
    attempt_id = desk.accepted()

    desk.look(after=89)

    assert desk.reads() == 0
    assert desk.world.state(attempt_id) is State.ACCEPTED


def test_a_count_that_went_up_is_enough(desk: Desk, forwarder_of: MakeForwarder) -> None:
    desk = with_asker(desk, forwarder_of)
    desk.campaign(points=70)
    attempt_id = desk.accepted()

    desk.look(after=90)

    assert desk.world.state(attempt_id) is State.GRANTED
    assert (desk.grant(attempt_id).proof, desk.grant(attempt_id).points) == (Proof.COUNT, 70)
    assert desk.reads("transactions") == 0


def test_a_coupon_is_found_among_the_activities(desk: Desk) -> None:
    desk.campaign(points=0, coupon="SUMMER")
    attempt_id = desk.accepted()

    assert desk.follow(attempt_id) is State.GRANTED

    grant = desk.grant(attempt_id)
    assert (grant.proof, grant.points) == (Proof.ACTIVITY, 0)
    assert grant.coupon_code.startswith("SUMMER")


def test_a_hidden_campaigns_reward_is_found(sqlite_desk: Desk) -> None:
    desk = sqlite_desk
    desk.campaign(visibility="NotVisible")
    attempt_id = desk.accepted()

    assert desk.follow(attempt_id) is State.GRANTED


def test_a_hidden_coupon_is_found_by_the_campaigns_name(sqlite_desk: Desk) -> None:
    desk = sqlite_desk
    desk.campaign(visibility="NotVisible", points=0, coupon="SUMMER")
    attempt_id = desk.accepted()

    assert desk.follow(attempt_id) is State.GRANTED
    assert desk.reads("campaigns") == 1


def test_a_name_that_two_campaigns_have_proves_nothing(sqlite_desk: Desk) -> None:
    desk = sqlite_desk
    campaigns = tuple(Campaign(id=n, name="Follow us", points=0) for n in (1, 2))
    desk.sandbox.books.configure(campaigns=campaigns)
    attempt_id = desk.accepted()

    assert desk.follow(attempt_id) is State.UNCONFIRMED


def test_a_coupon_is_waited_for_while_the_campaigns_cannot_be_read(sqlite_desk: Desk) -> None:
    desk = sqlite_desk
    desk.campaign(points=0, coupon="SUMMER")
    attempt_id = desk.accepted()
    desk.sandbox.books.faults.add(Fault(kind="http-500", path="campaigns", probability=1))
    desk.look(after=1.5 * DAY)
    between = desk.world.state(attempt_id)

    desk.sandbox.books.faults.clear()

    assert between is State.ACCEPTED
    assert desk.follow(attempt_id) is State.GRANTED


def test_campaigns_that_can_never_be_read_are_named(sqlite_desk: Desk) -> None:
    desk = sqlite_desk
    desk.campaign(points=0, coupon="SUMMER")
    desk.sandbox.books.faults.add(Fault(kind="http-500", path="campaigns", probability=1))
    attempt_id = desk.accepted()

    assert desk.follow(attempt_id) is State.UNCONFIRMED
    assert "or the account's campaigns could not be read" in desk.reason(attempt_id)


@pytest.mark.parametrize(
    "failing",
    [Fault(kind="http-500", path="campaigns", count=2), Fault(kind="rate-limit", path="campaigns")],
    ids=["by chance", "pace"],
)
def test_the_last_look_is_not_given_up_because_the_campaigns_cannot_be_read_now(
    sqlite_desk: Desk, failing: Fault
) -> None:
    desk = sqlite_desk
    desk.campaign(points=0, coupon="SUMMER")
    attempt_id = desk.accepted()
    ends_at = desk.world.now + timedelta(seconds=2 * DAY)
    desk.sandbox.books.faults.add(Fault(kind="http-500", path="campaigns", probability=1))
    while desk.world.attempt(attempt_id).next_at < ends_at:
        desk.look_when_due(attempt_id)
    desk.sandbox.books.faults.clear()
    desk.sandbox.books.faults.add(failing)

    assert desk.follow(attempt_id) is State.GRANTED


def test_a_late_look_is_not_the_last(sqlite_desk: Desk) -> None:
    desk = sqlite_desk
    attempt_id = desk.accepted()
    desk.sandbox.books.faults.add(Fault(kind="http-500", path="progress", count=LAST_TRIES))
    desk.sandbox.books.faults.add(Fault(kind="http-500", path="transactions", count=LAST_TRIES))
    desk.look(after=3 * DAY)
    between = desk.world.state(attempt_id)

    desk.look_when_due(attempt_id)

    assert between is State.ACCEPTED
    assert desk.world.state(attempt_id) is State.GRANTED


def test_campaigns_that_cannot_be_read_are_asked_for_once_a_look(sqlite_desk: Desk) -> None:
    desk = sqlite_desk
    desk.campaign(points=0, coupon="SUMMER")
    for number in range(2):
        desk.accepted(account=f"a{number}", customer=f"customer-{number}")
    desk.sandbox.books.faults.add(Fault(kind="http-500", path="campaigns", probability=1))

    desk.look(after=90)

    assert (desk.reads("activities"), desk.reads("campaigns")) == (2, 1)


@pytest.mark.parametrize("junk", [[], [None, {}, {"id": "x", "name": "Follow us"}]])
def test_a_list_without_a_campaign_tells_nothing_of_their_names(
    sqlite_desk: Desk, junk: object
) -> None:
    desk = sqlite_desk
    campaigns = tuple(Campaign(id=n, name="Follow us", points=0) for n in (1, 2))
    desk.sandbox.books.configure(campaigns=campaigns)
    attempt_id = desk.accepted()
    desk.sandbox.books.faults.add(Fault(kind="answer", path="campaigns", status=200, body=junk))

    assert desk.follow(attempt_id) is State.UNCONFIRMED
    assert desk.reads("campaigns") > 1


@pytest.mark.parametrize("seconds", [-25, -2, 2, 25])
@pytest.mark.parametrize("gives", [{"points": 50}, {"points": 0, "coupon": "SUMMER"}])
def test_a_reward_is_found_though_gameballs_clock_is_another(
    desk: Desk, forwarder_of: MakeForwarder, gives: dict[str, Any], seconds: float
) -> None:
    desk.campaign(**gives)
    wrong = forwarder_of(desk.world, now=lambda: desk.world.now + timedelta(seconds=seconds))
    attempt_id = desk.world.owed()
    desk.world.clock.advance(30)

    replace(desk, forwarder=wrong).submit(attempt_id)

    assert desk.follow(attempt_id) is State.GRANTED


def test_a_late_grant_is_found_at_a_later_look(desk: Desk) -> None:
    desk.sandbox.books.configure(grant_delay_seconds=400)
    attempt_id = desk.accepted()
    desk.look(after=90)
    between = desk.world.state(attempt_id)

    assert desk.follow(attempt_id) is State.GRANTED
    assert between is State.ACCEPTED
    assert desk.world.timeline(attempt_id) == ["due", "accepted", "granted"]


@pytest.mark.parametrize("endpoint", ["progress", "transactions"])
@pytest.mark.parametrize(
    "kind", ["timeout-before", "reset-before", "http-500", "html-200", "truncate", "redirect"]
)
def test_a_read_that_fails_is_made_again_at_the_next_look(
    sqlite_desk: Desk, kind: str, endpoint: str
) -> None:
    desk = sqlite_desk
    attempt_id = desk.accepted()
    desk.sandbox.books.faults.add(Fault(kind=kind, path=endpoint, seconds=1.0))

    assert desk.follow(attempt_id) is State.GRANTED


# No.


def test_an_excluded_customer_gets_a_clear_no_once_a_grant_would_show(desk: Desk) -> None:
    desk.sandbox.books.configure(inactive_customers=frozenset({"ann"}))
    attempt_id = desk.accepted()
    # Shown again, but still out of the campaign's reach.
    desk.campaign(max_achievement=0)
    desk.sandbox.books.configure(inactive_customers=frozenset())
    desk.look(after=90)
    desk.look(after=240)
    before = desk.world.state(attempt_id)

    desk.look(after=660)

    assert before is State.ACCEPTED
    assert desk.world.state(attempt_id) is State.NOT_GRANTED
    assert "not eligible" in desk.reason(attempt_id)
    assert all(row.resolved for row in desk.world.submissions(attempt_id))


def test_a_spent_repeat_limit_is_named(desk: Desk) -> None:
    desk.campaign(max_achievement=1)
    first = desk.accepted(rules=EVERY)
    desk.look(after=90)
    second = desk.world.owed(rules=EVERY)
    desk.world.clock.advance(AT_MOST)
    desk.submit(second)

    assert desk.world.state(first) is State.GRANTED
    assert desk.follow(second) is State.NOT_GRANTED
    assert desk.reason(second) == ("the campaign's repeat limit is spent: achieved 1 of 1 times")


def test_a_program_that_was_disabled_is_named(sqlite_desk: Desk) -> None:
    desk = sqlite_desk
    desk.sandbox.books.configure(gameball_status="disabled")
    attempt_id = desk.accepted()
    desk.sandbox.books.configure(gameball_status=None)

    assert desk.follow(attempt_id) is State.NOT_GRANTED
    assert desk.reason(attempt_id).startswith("Gameball's program was disabled when")


def test_a_no_can_be_replayed_and_pays_then(desk: Desk) -> None:
    desk.campaign(max_achievement=0)
    attempt_id = desk.accepted()
    ended = desk.follow(attempt_id)
    desk.campaign()

    desk.world.replay(attempt_id)
    desk.submit(attempt_id)

    assert ended is State.NOT_GRANTED
    assert desk.follow(attempt_id) is State.GRANTED
    assert len(desk.sandbox.books.grants()) == 1


# It cannot be known.


def test_nothing_shown_is_no_no(desk: Desk) -> None:
    desk.campaign(is_active=False)
    attempt_id = desk.accepted()

    assert desk.follow(attempt_id) is State.UNCONFIRMED
    assert "does not show the campaign" in desk.reason(attempt_id)
    assert desk.world.now >= desk.world.last_change(attempt_id).at


def test_an_old_achievement_without_a_record_is_neither_yes_nor_no(sqlite_desk: Desk) -> None:
    desk = sqlite_desk
    desk.campaign(points=0, max_achievement=1)
    desk.sandbox.books.accept("ann", 1)
    desk.world.clock.advance(AT_MOST)
    attempt_id = desk.accepted()

    assert desk.follow(attempt_id) is State.UNCONFIRMED
    assert "no record tells whether by this attempt" in desk.reason(attempt_id)


def test_a_gameball_that_cannot_be_read_is_waited_for_twice_as_long(sqlite_desk: Desk) -> None:
    desk = sqlite_desk
    desk.sandbox.books.faults.add(Fault(kind="http-500", path="progress", probability=1))
    desk.sandbox.books.faults.add(Fault(kind="http-500", path="transactions", probability=1))
    attempt_id = desk.accepted()
    accepted_at = desk.world.now

    assert desk.follow(attempt_id) is State.UNCONFIRMED
    assert desk.world.now - accepted_at >= timedelta(seconds=2 * DAY)
    assert desk.reason(attempt_id) == "Gameball could not be read"


def test_credentials_that_are_refused_spend_nothing(sqlite_desk: Desk) -> None:
    desk = sqlite_desk
    attempt_id = desk.accepted()
    desk.sandbox.books.configure(secret_key="rotated")
    for _ in range(100):
        desk.look(after=3_600)
    between = desk.world.state(attempt_id)
    reads = desk.reads()

    desk.sandbox.books.configure(secret_key="sandbox-secret-key")
    desk.look(after=3_600)

    assert between is State.ACCEPTED
    assert reads <= 100
    assert desk.world.state(attempt_id) is State.GRANTED


# Nobody takes credit for another.


def test_two_occurrences_each_have_their_own_reward(desk: Desk) -> None:
    first = desk.accepted(rules=EVERY)
    second = desk.world.owed(rules=EVERY)
    desk.world.clock.advance(AT_MOST)
    desk.submit(second)

    assert desk.follow(first) is State.GRANTED
    assert desk.follow(second) is State.GRANTED
    assert desk.grant(first).reference != desk.grant(second).reference
    assert len(desk.sandbox.books.grants()) == 2


def test_the_second_occurrences_reward_is_not_the_firsts(desk: Desk) -> None:
    desk.sandbox.books.configure(gameball_status="disabled")
    first = desk.accepted(rules=EVERY)
    desk.sandbox.books.configure(gameball_status=None)
    second = desk.world.owed(rules=EVERY)
    desk.world.clock.advance(AT_MOST)
    desk.submit(second)

    ends = desk.follow(first), desk.follow(second)

    assert ends == (State.NOT_GRANTED, State.GRANTED)


def test_the_first_occurrences_reward_is_not_the_seconds(
    desk: Desk, forwarder_of: MakeForwarder
) -> None:
    desk = with_asker(desk, forwarder_of)
    first = desk.accepted(rules=EVERY)
    second = desk.world.owed(rules=EVERY)
    desk.world.clock.advance(AT_MOST)
    desk.sandbox.books.configure(gameball_status="disabled")
    desk.submit(second)
    desk.sandbox.books.configure(gameball_status=None)

    ends = desk.follow(second), desk.follow(first)

    assert ends == (State.NOT_GRANTED, State.GRANTED)


def test_one_challenges_reward_is_not_anothers(desk: Desk) -> None:
    desk.sandbox.books.configure(
        campaigns=(
            Campaign(id=1, name="Follow us"),
            Campaign(id=2, name="Like us", max_achievement=0),
        )
    )
    follow = desk.accepted()
    like = desk.accepted(action="like", rules=(LIKE,))

    ends = desk.follow(follow), desk.follow(like)

    assert ends == (State.GRANTED, State.NOT_GRANTED)


def test_attempts_of_one_customer_share_a_read(desk: Desk) -> None:
    follow = desk.accepted()
    desk.world.clock.advance(5)
    like = desk.accepted(action="like", rules=(LIKE,))

    desk.look(after=86)

    assert [desk.world.state(one) for one in (follow, like)] == [State.GRANTED] * 2
    assert (desk.reads("progress"), desk.reads("transactions")) == (1, 1)


# The pace, and other workers.


def test_reads_keep_their_pace_and_nobody_is_forgotten(
    world: World,
    sandbox: SandboxServer,
    forwarder_of: MakeForwarder,
    confirmer_of: MakeConfirmer,
) -> None:
    slow = ReadRateLimit({**PACE.limits, ReadKind.CUSTOMERS: (3, 5), ReadKind.TRANSACTIONS: (2, 4)})
    sandbox.books.configure(limits={"customersGet": Limit(3, 5), "transactions": Limit(2, 4)})
    desk = Desk(
        world=world,
        sandbox=sandbox,
        forwarder=forwarder_of(world),
        confirmer=confirmer_of(world, pace=slow),
    )
    attempts = [desk.accepted(account=f"a{n}", customer=f"customer-{n}") for n in range(12)]

    for _ in range(400):
        desk.look(after=1)

    assert [desk.world.state(one) for one in attempts] == [State.GRANTED] * 12
    assert sandbox.books.report().rate_limited == 0


def test_who_finds_no_room_to_read_rests_and_leaves_the_others_as_they_are(
    sqlite_world: World,
    sandbox: SandboxServer,
    forwarder_of: MakeForwarder,
    confirmer_of: MakeConfirmer,
) -> None:
    """Else it would put off thousands that are due, as fast as it can, again and again."""
    none_left = ReadRateLimit({**PACE.limits, ReadKind.CUSTOMERS: (2, 2)})
    confirmer = confirmer_of(sqlite_world, pace=none_left)
    desk = Desk(
        world=sqlite_world,
        sandbox=sandbox,
        forwarder=forwarder_of(sqlite_world),
        confirmer=confirmer,
    )
    attempts = [desk.accepted(account=f"a{n}", customer=f"customer-{n}") for n in range(8)]
    due_at = {desk.world.attempt(one).next_at for one in attempts}

    desk.look(after=90)

    left = [one for one in attempts if desk.world.attempt(one).next_at in due_at]
    assert len(left) == 4
    assert confirmer._act() == pytest.approx(0.01, abs=0.01)


def test_a_429_lets_all_reads_rest(desk: Desk) -> None:
    attempt_id = desk.accepted()
    desk.sandbox.books.faults.add(Fault(kind="rate-limit", path="progress", seconds=40))
    desk.look(after=90)
    desk.look(after=39)
    between = desk.reads()

    desk.look(after=10)

    assert between == 1
    assert desk.world.state(attempt_id) is State.GRANTED


def test_a_reward_of_an_impossible_time_hides_nobodys_truth(
    sqlite_desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever is looked at together is so again at each later look."""
    desk = sqlite_desk
    odd, other = desk.accepted(), desk.accepted(account="7", customer="bob")

    class Odd(GameballClient):
        def call(self, *asked: Any, **more: Any) -> Reply:
            reply = super().call(*asked, **more)
            if more.get("params", {}).get("customerId") != "ann":
                return reply
            told = json.loads(reply.body)
            for one in told["transactions"]:
                one["transactionTime"] = "9999-12-31T23:59:59Z"
            return replace(reply, body=json.dumps(told).encode())

    monkeypatch.setattr(desk.confirmer, "_client", Odd(desk.confirmer._client.account))

    desk.look(after=DELAYS[0])

    assert desk.world.state(other) is State.GRANTED
    assert desk.follow(odd) is not State.ACCEPTED


def test_two_workers_do_not_look_at_the_same(desk: Desk) -> None:
    attempt_id = desk.accepted()
    desk.world.clock.advance(90)

    def take() -> list[Any]:
        return list(desk.world.do(lambda c: confirmation.take(c, POLICY, desk.world.now, 5)))

    with ThreadPoolExecutor(4) as pool:
        taken = [one for found in pool.map(lambda _: take(), range(8)) for one in found]

    assert [one.attempt_id for one in taken] == [attempt_id]


def test_what_a_dead_worker_left_is_looked_at_after_the_lease(desk: Desk) -> None:
    attempt_id = desk.accepted()
    desk.world.clock.advance(90)
    desk.world.do(lambda c: confirmation.take(c, POLICY, desk.world.now, 5))
    desk.look(after=59)
    between = desk.world.state(attempt_id)

    desk.look(after=2)

    assert between is State.ACCEPTED
    assert desk.world.state(attempt_id) is State.GRANTED


def test_what_the_version_before_accepted_is_looked_at_too(desk: Desk) -> None:
    attempt_id = desk.accepted()
    unseen = update(AttemptRow).values(next_at=None)
    desk.world.do(lambda c: c.execute(unseen))

    desk.look()

    assert desk.world.state(attempt_id) is State.GRANTED


def test_reads_of_a_dead_worker_keep_their_places_until_its_lease_ends(desk: Desk) -> None:
    world = desk.world
    pace = ReadRateLimit({**PACE.limits, ReadKind.CUSTOMERS: (1, 10)})
    until = world.now + timedelta(seconds=20)

    def reserve() -> Any:
        return world.do(
            lambda c: read_rate_limit.reserve(c, ReadKind.CUSTOMERS, 1, pace, until, world.now)
        )

    first = reserve()
    world.clock.advance(15)
    between = reserve()
    world.clock.advance(7)

    assert (first is not None, between) == (True, None)
    assert reserve() is not None
    assert len(world.all(ReadRow)) == 2


# Before submitting.


def test_a_customer_who_cannot_be_rewarded_is_refused_and_not_sent(
    desk: Desk, forwarder_of: MakeForwarder
) -> None:
    desk = with_asker(desk, forwarder_of, refuses=True)
    desk.campaign(max_achievement=0)
    attempt_id = desk.world.owed()

    desk.submit(attempt_id)

    assert desk.world.timeline(attempt_id) == ["due", "refused"]
    assert "not eligible" in desk.reason(attempt_id)
    assert desk.world.awards() == []
    assert desk.sandbox.books.report().accepted == 0
    [submission] = desk.world.submissions(attempt_id)
    assert submission.outcome == "not_sent"


@pytest.mark.parametrize("kind", ["http-500", "html-200", "rate-limit", "unauthorized"])
def test_what_cannot_be_asked_is_submitted(
    sqlite_desk: Desk, forwarder_of: MakeForwarder, kind: str
) -> None:
    desk = with_asker(sqlite_desk, forwarder_of, refuses=True)
    desk.campaign(max_achievement=0)
    desk.sandbox.books.faults.add(Fault(kind=kind, path="progress"))
    attempt_id = desk.world.owed()

    desk.submit(attempt_id)

    assert desk.world.state(attempt_id) is State.ACCEPTED


def test_what_may_have_landed_is_never_refused(desk: Desk, forwarder_of: MakeForwarder) -> None:
    desk = with_asker(desk, forwarder_of, refuses=True)
    desk.campaign(max_achievement=1)
    desk.sandbox.books.faults.add(Fault(kind="http-500-after", path=SOCIAL_CHALLENGES))
    attempt_id = desk.world.owed()
    desk.submit(attempt_id)

    # Now it cannot be achieved any more: because it was.
    desk.submit(attempt_id)

    assert desk.world.timeline(attempt_id) == ["due", "accepted"]
    assert desk.follow(attempt_id) is State.GRANTED


def test_only_what_has_waited_is_read_before(desk: Desk, forwarder_of: MakeForwarder) -> None:
    desk = with_asker(desk, forwarder_of, read_before=ReadBefore.WAITED)
    at_once = desk.accepted()
    before = desk.reads()
    desk.world.clock.advance(60)
    waited = desk.world.owed(account="2", customer="bob")
    desk.world.clock.advance(5)

    desk.submit(waited)

    assert before == 0
    with desk.world.database.read() as connection:
        known = list(connection.execute(select(BaselineRow.attempt_id)).scalars())
    assert known == [waited]
    assert desk.follow(at_once) is State.GRANTED


# How long it sleeps.


def rest(desk: Desk) -> float:
    """Seconds that the confirmer would sleep after a round."""
    return desk.confirmer._act()


def test_a_count_that_was_read_after_the_lease_was_lost_says_nothing_of_before(
    desk: Desk, forwarder_of: MakeForwarder
) -> None:
    """Another worker's call is in it: that the count rose no further would deny the reward."""
    desk = with_asker(desk, forwarder_of)
    world = desk.world
    alike = (Campaign(id=n, name="Follow us", points=0, coupon="SUMMER") for n in (1, 2))
    desk.sandbox.books.configure(campaigns=tuple(alike))
    attempt_id = world.owed()
    slept = desk.forwarder.start(attempt_id)
    assert isinstance(slept, StartedSubmission)
    world.clock.advance(world.policy.lease_seconds + 1)
    world.reclaim()
    desk.sandbox.books.faults.add(Fault(kind="reset-after", path=SOCIAL_CHALLENGES))
    desk.submit(attempt_id)
    desk.forwarder.carry_out(slept, float("inf"))
    world.clock.advance(3_600)

    desk.submit(attempt_id)

    assert len(desk.sandbox.books.grants()) == 1
    assert world.all(BaselineRow) == []


def test_who_has_nothing_to_confirm_sleeps_and_not_too_long(desk: Desk) -> None:
    assert rest(desk) == pytest.approx(DELAYS[0] / 20)


def test_a_look_that_is_near_is_slept_for_to_the_moment(desk: Desk) -> None:
    attempt_id = desk.accepted()
    desk.world.clock.set(desk.world.attempt(attempt_id).next_at - timedelta(seconds=2))

    assert rest(desk) == pytest.approx(2, abs=0.01)


def test_what_another_holds_or_gameball_slows_is_asked_for_at_the_usual_pace(desk: Desk) -> None:
    attempt_id = desk.accepted()
    desk.world.clock.set(desk.world.attempt(attempt_id).next_at)
    slow_until = {"kind": ReadKind.CUSTOMERS, "slow_count": 1}
    slow_until["slow_until"] = desk.world.now + timedelta(seconds=30)
    desk.world.do(lambda c: c.execute(insert(ReadingRow).values(slow_until)))

    assert rest(desk) == pytest.approx(0.01)
    assert desk.reads() == 0


def test_a_bug_about_one_attempt_keeps_no_other_from_its_truth(
    sqlite_desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk = sqlite_desk
    first, second = desk.accepted(), desk.accepted(account="1", customer="bob")
    record = confirmation.record

    def failing(connection: Any, followed: confirmation.Followed, *arguments: Any) -> State:
        if followed.attempt_id == first:
            raise RuntimeError("a bug")
        return record(connection, followed, *arguments)

    monkeypatch.setattr(confirmation, "record", failing)

    desk.look(DELAYS[0])

    assert (desk.world.state(first), desk.world.state(second)) == (State.ACCEPTED, State.GRANTED)


@pytest.mark.parametrize("database_url", ["postgres"], indirect=True)
def test_a_truth_does_not_wait_for_who_holds_another_attempt(desk: Desk) -> None:
    """A person with psql, say; that one is looked at again."""
    world = desk.world
    first, second = desk.accepted(), desk.accepted(account="1", customer="bob")
    world.clock.advance(DELAYS[0])
    taken = world.do(lambda c: confirmation.take(c, POLICY, world.now, 4))
    held = select(AttemptRow.id).where(AttemptRow.id == first).with_for_update()
    nothing = Seen(progress=Progress(achieved=0))
    somebody = Database(world.database.url)
    somebody._open()
    assert somebody._writes is not None

    def record_all(connection: Connection) -> None:
        for one in taken:
            confirmation.record(connection, one, nothing, POLICY, world.now, world.now)

    with somebody._writes.begin() as connection:
        connection.execute(held).one()
        world.do(record_all)
    somebody.close()

    assert world.attempt(first).next_at == taken[0].lease_until
    assert world.attempt(second).next_at != taken[0].lease_until


def test_a_count_that_no_table_has_room_for_holds_up_no_submission(world: World) -> None:
    attempt_id = world.owed()

    world.do(lambda c: confirmation.keep_baseline(c, attempt_id, 2**31, world.now))

    assert world.all(BaselineRow) == []
