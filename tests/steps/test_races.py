"""What if two transactions meet? Only PostgreSQL lets them: SQLite has one writer."""

import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from typing import Any, TypeVar

import pytest
from sqlalchemy import Connection, select, text, update

from app.domain.attempts import State
from app.domain.clock import new_id
from app.domain.events import Event, SameAccount
from app.domain.evidence import Evidence
from app.domain.rules import Repeat, Rule
from app.steps import erasure
from app.steps.claims import Claim, claim
from app.steps.identities import Identity, Linked, link
from app.steps.intake import Arrival, Receipt, receive
from app.steps.joining import Joining
from app.steps.operator_actions import replay
from app.steps.retention import Kept, purge
from app.steps.timers import fire
from app.storage.database import Database
from app.storage.tables import AccountKeyRow, AttemptRow, AwardRow, IdentityRow
from tests.clock import START
from tests.keys import KEYS

T = TypeVar("T")

RULE = Rule(challenge_id=200, platform="twitch", action="follow", source="twitch", target="1337")
HELD_RULE = Rule(challenge_id=500, platform="twitch", action="follow", hold_seconds=60)
WAIT = timedelta(minutes=1)
LATER = START + WAIT
SOON = START + WAIT / 2
ADA = Identity(platform="twitch", account_id="tw-1", customer_id="ada")


@pytest.fixture
def database(postgres_url: str) -> Iterator[Database]:
    database = Database(postgres_url, secret_keys=KEYS)
    yield database
    database.close()


def meanwhile(
    database: Database, first: Callable[[Connection], Any], second: Callable[[Connection], T]
) -> T:
    """Run ``second`` while ``first`` has written but not committed; what ``second`` returns."""
    with ThreadPoolExecutor(1) as pool:

        def step(connection: Connection) -> Future[T]:
            first(connection)
            future = pool.submit(database.write, second)
            _until_it_waits(connection, future)
            return future

        return database.write(step).result(10)


def _until_it_waits(connection: Connection, future: Future[Any]) -> None:
    waiting = text("SELECT count(*) FROM pg_locks WHERE NOT granted")
    for _ in range(200):
        if future.done() or connection.execute(waiting).scalar_one():
            return
        time.sleep(0.01)
    raise AssertionError("it neither waits nor ends")


def follow(
    *rules: Rule, undone: bool = False, actor: str = "tw-1"
) -> Callable[[Connection], Sequence[Receipt]]:
    event = Event(
        source="twitch",
        key=f"undone-{undone}-{actor}",
        platform="twitch",
        action="follow",
        actor=actor,
        target="1337",
        occurred_at=START,
        received_at=START,
        payload=b"{}",
        undone=undone,
    )
    return lambda connection: receive(connection, [Arrival(event, rules, LATER)])


def claiming(connection: Connection) -> State:
    made = Claim(token_id=new_id(START), customer_id="ada", challenge_id=200, rule=RULE)
    return claim(connection, made, LATER, START)[1]


def linking(connection: Connection) -> tuple[Linked, int]:
    return link(connection, ADA, "test", LATER)


def striking(connection: Connection) -> int:
    return fire(connection, LATER, 100)


def states(database: Database) -> dict[str, str]:
    """The states of attempts by how they are known."""
    with database.read() as connection:
        rows = connection.execute(select(AttemptRow.evidence, AttemptRow.state)).all()
    assert len({row.evidence for row in rows}) == len(rows)
    return {row.evidence: row.state for row in rows}


def test_an_attempt_that_expires_while_its_account_is_linked_stays_expired(
    database: Database,
) -> None:
    database.write(follow(RULE))

    linked = meanwhile(database, striking, linking)

    assert linked == (Linked.CREATED, 0)
    assert states(database) == {Evidence.SIGNED: State.EXPIRED}


def test_an_event_whose_claim_expires_meanwhile_is_paid_by_itself(database: Database) -> None:
    database.write(linking)
    database.write(claiming)

    (receipt,) = meanwhile(database, striking, follow(RULE))

    assert receipt.states == (State.DUE,)
    assert states(database) == {Evidence.CLAIMED: State.EXPIRED, Evidence.SIGNED: State.DUE}


def test_an_action_undone_inside_its_hold_is_withdrawn_though_the_hold_ends_meanwhile(
    database: Database,
) -> None:
    database.write(linking)
    database.write(follow(HELD_RULE))

    (receipt,) = meanwhile(database, striking, follow(undone=True))

    assert receipt.is_new
    assert states(database) == {Evidence.SIGNED: State.WITHDRAWN}


def test_a_dead_attempt_that_is_replayed_while_it_is_let_go_is_kept(database: Database) -> None:
    database.write(linking)
    database.write(follow(RULE))
    database.write(lambda c: c.execute(update(AttemptRow).values(state=State.DEAD)))
    [attempt_id] = database.write(lambda c: c.execute(select(AttemptRow.id)).scalars().all())
    much_later = START + timedelta(days=1_100)

    def replaying(connection: Connection) -> None:
        replay(connection, attempt_id, "test", START)
        # Who lets go of it has looked, but comes no further before it is replayed.
        connection.execute(select(AwardRow.id).with_for_update()).all()

    def letting_go(connection: Connection) -> int:
        return purge(connection, Kept.ATTEMPTS, much_later, 100)

    assert meanwhile(database, replaying, letting_go) == 0
    assert states(database) == {Evidence.SIGNED: State.DUE}


def test_an_action_undone_while_it_is_received_is_withdrawn(database: Database) -> None:
    database.write(linking)

    meanwhile(database, follow(HELD_RULE), follow(undone=True))

    assert states(database) == {Evidence.SIGNED: State.WITHDRAWN}


def test_a_claim_made_while_its_event_is_paid_is_a_duplicate(database: Database) -> None:
    database.write(linking)

    state = meanwhile(database, follow(RULE), claiming)

    assert state is State.DUPLICATE
    assert states(database) == {Evidence.CLAIMED: State.DUPLICATE, Evidence.SIGNED: State.DUE}


def test_an_event_received_while_its_claim_is_made_confirms_it(database: Database) -> None:
    database.write(linking)

    (receipt,) = meanwhile(database, claiming, follow(RULE))

    assert receipt.states == (State.DUE,)
    assert states(database) == {Evidence.SIGNED: State.DUE}


EVERY = Rule(
    challenge_id=200,
    platform="twitch",
    action="follow",
    evidence=Evidence.CLAIMED,
    repeat=Repeat.EVERY_EVENT,
)


def believing(connection: Connection) -> State:
    made = Claim(token_id=new_id(START), customer_id="ada", challenge_id=200, rule=EVERY)
    return claim(connection, made, LATER, START)[1]


def test_a_believed_claim_made_while_its_event_is_paid_is_a_duplicate(database: Database) -> None:
    database.write(linking)

    assert meanwhile(database, follow(EVERY), believing) is State.DUPLICATE


def test_an_event_received_while_its_believed_claim_is_paid_confirms_it(
    database: Database,
) -> None:
    database.write(linking)

    meanwhile(database, believing, follow(EVERY))

    assert states(database) == {Evidence.SIGNED: State.DUE}


def test_an_account_linked_while_its_customer_claims_lets_its_event_confirm_the_claim(
    database: Database,
) -> None:
    """The claim saw no account whose lock could order it and the event."""

    def linked_and_told(connection: Connection) -> None:
        linking(connection)
        follow(EVERY)(connection)

    meanwhile(database, believing, linked_and_told)

    assert states(database) == {Evidence.SIGNED: State.DUE}


def test_a_claim_made_while_its_account_is_linked_sees_what_was_released(
    database: Database,
) -> None:
    database.write(follow(EVERY))

    assert meanwhile(database, linking, believing) is State.DUPLICATE


def test_two_events_at_the_same_instant_confirm_one_claim_once(database: Database) -> None:
    database.write(linking)
    database.write(lambda c: link(c, replace(ADA, account_id="tw-2"), "test", START))
    database.write(believing)

    meanwhile(database, follow(EVERY), follow(EVERY, actor="tw-2"))

    with database.read() as connection:
        evidence = connection.execute(select(AttemptRow.evidence, AttemptRow.state)).all()
    assert [tuple(row) for row in evidence] == [(Evidence.SIGNED, State.DUE)] * 2


def test_an_event_received_while_its_account_is_linked_is_paid(database: Database) -> None:
    (receipt,) = meanwhile(database, linking, follow(RULE))

    assert receipt.states == (State.DUE,)


def test_an_account_linked_while_its_event_is_received_releases_it(database: Database) -> None:
    linked = meanwhile(database, follow(RULE), linking)

    assert linked == (Linked.CREATED, 1)
    assert states(database) == {Evidence.SIGNED: State.DUE}


def test_a_customer_who_came_back_while_an_erasure_ended_is_erased_when_it_is_asked_for_again(
    database: Database,
) -> None:
    first = database.write(lambda c: erasure.request(c, "ada", "test", START))

    def ending(connection: Connection) -> None:
        """It finds nothing more; then the customer comes back, before it is over."""
        erasure.advance(connection, first, START)
        with ThreadPoolExecutor(1) as pool:
            pool.submit(database.write, linking).result(10)

    def asking(connection: Connection) -> str:
        return erasure.request(connection, "ada", "test", LATER)

    again = meanwhile(database, ending, asking)
    while database.write(lambda c: erasure.advance(c, again, LATER)):
        pass

    with database.read() as connection:
        assert connection.execute(select(IdentityRow.customer_id)).all() == []


# Ids of one account.

HOLD_EACH = Rule(
    challenge_id=700, platform="twitch", action="follow", hold_seconds=60, repeat=Repeat.EVERY_EVENT
)


def telling(actor: str | None, *aliases: str, **more: Any) -> Callable[[Connection], Any]:
    rules = more.pop("rules", (RULE,))
    values = {
        "source": "twitch",
        "key": f"told-{actor}-{aliases}",
        "platform": "twitch",
        "action": "follow",
        "target": "1337",
        "occurred_at": START,
        "received_at": START,
        "payload": b"{}",
        **more,
    }
    event = Event(actor=actor, aliases=aliases, **values)
    return lambda connection: receive(connection, [Arrival(event, rules, LATER)])


def joining(one: str, other: str, *, replaced: bool = False) -> Callable[[Connection], Any]:
    said = SameAccount(one, other, replaced)
    item = Joining(source="twitch", platform="twitch", said=said, at=LATER)
    return lambda connection: receive(connection, [item])


def linking_to(account: str, customer: str) -> Callable[[Connection], Any]:
    return lambda connection: link(
        connection,
        Identity(platform="twitch", account_id=account, customer_id=customer),
        "test",
        LATER,
    )


def all_states(database: Database) -> list[str]:
    with database.read() as connection:
        return sorted(connection.execute(select(AttemptRow.state)).scalars())


@pytest.mark.parametrize(
    "pair",
    [
        (telling("number"), telling("user", "number")),
        (telling("user", "number"), telling("number")),
        (telling("user", "number"), telling("number", "user")),
        (joining("number", "user"), telling("user")),
    ],
)
def test_an_account_that_two_customers_have_earns_once_though_its_ids_are_learnt_meanwhile(
    database: Database, pair: tuple[Callable[[Connection], Any], Callable[[Connection], Any]]
) -> None:
    database.write(linking_to("number", "ann"))
    database.write(linking_to("user", "bob"))

    meanwhile(database, *pair)
    database.write(telling("number", key="later"))

    assert all_states(database).count(State.DUE) == 1


@pytest.mark.parametrize(
    "pair",
    [
        (telling("user"), joining("number", "user")),
        (joining("number", "user"), telling("user")),
        (telling("user"), joining("user", "number", replaced=True)),
    ],
)
def test_an_event_received_while_its_ids_are_joined_is_paid(
    database: Database, pair: tuple[Callable[[Connection], Any], Callable[[Connection], Any]]
) -> None:
    database.write(linking_to("number", "ann"))

    meanwhile(database, *pair)

    assert all_states(database) == [State.DUE]


@pytest.mark.parametrize("is_link_first", [True, False])
def test_an_id_linked_while_it_is_joined_releases_what_waits_under_the_other(
    database: Database, is_link_first: bool
) -> None:
    database.write(telling("user"))
    acts = [linking_to("number", "ann"), joining("number", "user")]

    meanwhile(database, *(acts if is_link_first else acts[::-1]))

    assert all_states(database) == [State.DUE]


@pytest.mark.parametrize("is_undone_first", [True, False])
def test_an_action_removed_without_its_author_while_it_is_received_is_withdrawn(
    database: Database, is_undone_first: bool
) -> None:
    database.write(linking_to("user", "ann"))
    acts = [
        telling("user", thing="c1", rules=(HOLD_EACH,)),
        telling(None, thing="c1", key="removal", undone=True, occurred_at=SOON, received_at=SOON),
    ]

    meanwhile(database, *(acts[::-1] if is_undone_first else acts))

    assert all_states(database) == [State.WITHDRAWN]


@pytest.mark.parametrize("is_undone_first", [True, False])
def test_an_action_undone_by_another_id_while_it_is_received_is_withdrawn(
    database: Database, is_undone_first: bool
) -> None:
    database.write(joining_known("number", "user"))
    database.write(linking_to("user", "ann"))
    acts = [
        telling("user", rules=(HOLD_EACH,)),
        telling("number", key="undoing", undone=True, occurred_at=SOON, received_at=SOON),
    ]

    meanwhile(database, *(acts[::-1] if is_undone_first else acts))

    assert all_states(database) == [State.WITHDRAWN]


def joining_known(one: str, other: str) -> Callable[[Connection], Any]:
    return telling(one, other, key="shows both", rules=())


def test_many_who_join_link_act_and_undo_at_once_all_come_to_their_end(
    database: Database,
) -> None:
    names = ["a", "b", "c", "d"]
    acts: list[Callable[[Connection], Any]] = []
    for number in range(24):
        one, other = names[number % 4], names[(number + number // 4) % 4]
        acts += [
            telling(one, key=f"do {number}"),
            telling(one, *({other} - {one}), key=f"both {number}"),
            telling(one, key=f"undo {number}", undone=True, occurred_at=LATER, received_at=LATER),
            linking_to(one, "ann" if number % 3 else "bob"),
            joining(one, other),
        ]

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(database.write, acts))

    with database.read() as connection:
        keys = connection.execute(select(AccountKeyRow.account_key)).scalars().all()
    assert len(keys) == 4
    assert len(set(keys)) == 1
    # Two could be paid while they were thought to be two; from now on they are one.
    assert all_states(database).count(State.DUE) <= 2
    later = Rule(challenge_id=201, platform="twitch", action="follow")
    rest = [telling(name, key=f"later {name} {i}", rules=(later,)) for name in names for i in "12"]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(database.write, rest))
    with database.read() as connection:
        states = select(AttemptRow.state).where(AttemptRow.challenge_id == 201)
        assert list(connection.execute(states).scalars()).count(State.DUE) == 1
