"""Does a search find exactly what is asked, on both databases?"""

import itertools
from collections.abc import Callable
from dataclasses import asdict, replace
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import Connection, event, update

from app.domain.answers import Answer, Outcome
from app.domain.attempts import State
from app.domain.clock import least_id, new_id
from app.domain.evidence import Evidence
from app.platforms.kit.callback import Callback
from app.service import Service
from app.steps import forwarding, history
from app.steps.forwarding import StartedSubmission
from app.steps.history import Filter
from app.steps.identities import Identity, link
from app.storage.hashes import hashes_of
from app.storage.tables import EventRow
from tests.web.history.conftest import NOW, Clock, Past, follow

# One attempt for each criterion that differs from the plain one in this and nothing else.
CRITERIA: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "customer": ({"customer_id": "other"}, {"customer_id": "other"}),
    "challenge": ({"challenge_id": 7}, {"challenge_id": 7}),
    "source": ({"source": "twitch-eu"}, {"source": "twitch-eu"}),
    "platform": ({"platform": "x"}, {"platform": "x"}),
    "action": ({"action": "cheer"}, {"action": "cheer"}),
    "state": ({"state": State.DEAD}, {"states": (State.DEAD,)}),
    "evidence": ({"evidence": Evidence.CLAIMED}, {"evidence": Evidence.CLAIMED}),
    "account": ({"account_id": "elsewhere"}, {"account_id": "elsewhere"}),
    "from": ({"created_at": NOW + timedelta(days=1)}, {"from_at": NOW + timedelta(days=1)}),
    "to": ({"created_at": NOW - timedelta(days=1)}, {"to_at": NOW - timedelta(hours=1)}),
    "q": ({"customer_id": "sought-for"}, {"q": "sought"}),
    "undone": ({"undone_at": NOW}, {"undone": True}),
}


def found(service: Service, **criteria: Any) -> list[str]:
    with service.database.read() as connection:
        return [row.id for row in history.page(connection, Filter(**criteria), 1_000)]


@pytest.mark.parametrize("name", CRITERIA)
def test_each_criterion_finds_what_fulfils_it_and_nothing_else(
    service: Service, past: Past, name: str
) -> None:
    columns, criteria = CRITERIA[name]
    past.attempts(2)
    wanted = past.attempt(**columns)
    past.attempts(2)

    assert found(service, **criteria) == [wanted]


def test_criteria_together_find_only_what_fulfils_them_all(service: Service, past: Past) -> None:
    """Every pair, over a history in which every pair of differences exists once."""
    pairs = [
        pair
        for pair in itertools.combinations(CRITERIA, 2)
        if not CRITERIA[pair[0]][0].keys() & CRITERIA[pair[1]][0].keys()
    ]
    past.attempts(2)
    made = {
        frozenset(pair): past.attempt(**CRITERIA[pair[0]][0], **CRITERIA[pair[1]][0])
        for pair in pairs
    }

    for pair in pairs:
        both = {**CRITERIA[pair[0]][1], **CRITERIA[pair[1]][1]}
        assert found(service, **both) == [made[frozenset(pair)]], pair


def test_no_criterion_finds_everything_newest_first(service: Service, past: Past) -> None:
    made = past.attempts(5)

    assert found(service) == made


def test_what_was_not_undone_can_be_searched_too(service: Service, past: Past) -> None:
    past.attempt(undone_at=NOW)
    kept = past.attempt()

    assert found(service, undone=False) == [kept]


def test_several_states_are_any_of_them(service: Service, past: Past) -> None:
    dead, _, unlinked = (past.attempt(s) for s in (State.DEAD, State.DUE, State.UNLINKED))

    assert found(service, states=(State.DEAD, State.UNLINKED)) == [unlinked, dead]


def test_a_span_begins_at_its_beginning_and_ends_before_its_end(
    service: Service, past: Past
) -> None:
    microsecond = timedelta(microseconds=1)
    before, first, last, after = (
        past.attempt(created_at=at)
        for at in (
            NOW - microsecond,
            NOW,
            NOW + timedelta(hours=1) - microsecond,
            NOW + timedelta(hours=1),
        )
    )

    within = found(service, from_at=NOW, to_at=NOW + timedelta(hours=1))

    assert set(within) == {first, last}
    assert {before, after}.isdisjoint(within)


def test_an_id_tells_its_time(clock: Clock) -> None:
    at = clock()

    assert least_id(at) <= new_id(at) < least_id(at + timedelta(milliseconds=1))
    assert least_id(NOW.replace(year=1960)) == "00000000-0000-0000-0000-000000000000"


SOUGHT: dict[str, Any] = {
    "customer_id": "Kus-Ünï-42",
    "account_id": "100%_sure",
}


@pytest.mark.parametrize(
    ("text", "is_found"),
    [
        ("Kus-Ünï-42", True),
        ("Kus-Ü", True),
        ("Kus", True),
        ("Ku", False),  # so short a text must be the whole
        ("KUS", False),
        ("us-", False),
        ("Kus-Ünï-423", False),
        ("100", True),
        ("100%", True),
        ("100%_sure", True),
        ("1000", False),
        ("%", False),
        ("___", False),
        ("100_", False),
        ("*", False),
        ("\\", False),
        ("'; DROP TABLE attempts; --", False),
        ("\U0010ffff", False),
    ],
)
def test_a_text_finds_the_beginning_of_a_customer_or_an_account(
    service: Service, past: Past, text: str, is_found: bool
) -> None:
    past.attempts(2)
    wanted = past.attempt(**SOUGHT)

    assert found(service, q=text) == ([wanted] if is_found else [])


def test_a_short_text_finds_a_customer_whose_whole_id_it_is(service: Service, past: Past) -> None:
    wanted = past.attempt(customer_id="42")
    past.attempt(customer_id="421")

    assert found(service, q="42") == [wanted]


@pytest.mark.parametrize("written", [str, str.upper, lambda i: i.replace("-", ""), lambda i: i[:8]])
def test_a_text_finds_an_attempt_by_its_id(
    service: Service, past: Past, written: Callable[[str], str]
) -> None:
    past.attempt(created_at=NOW - timedelta(days=30))
    wanted = past.attempt()

    assert found(service, q=written(wanted)) == [wanted]


@pytest.mark.parametrize("text", ["0193", "zzzzzzzz", "-" * 8, "0" * 33, "0-"])
def test_what_is_no_id_finds_no_attempt_by_it(service: Service, past: Past, text: str) -> None:
    past.attempt()

    assert found(service, q=text) == []


@pytest.mark.parametrize(
    "text", ["key-of-jane", "jane_doe", "@jane_doe", "Jane_Doe", " @JANE_DOE", "\uff4aane_doe"]
)
def test_a_text_finds_the_attempts_of_an_event_by_its_key_and_its_actors_handle(
    service: Service, text: str
) -> None:
    for actor, handle in (("key-of-jane", "jane_doe"), ("key-of-joe", "joe")):
        receive_follow(service, actor, handle)
        receive_follow(service, f"{actor}-again", f"{handle}2", source="twitch-eu")

    (attempt_id,) = found(service, q=text, finds_handles=True)

    with service.database.read() as connection:
        attempt = history.find(connection, attempt_id)
    assert attempt is not None
    assert attempt.account_id == "key-of-jane"


def test_a_handle_finds_nothing_for_whom_it_must_not(service: Service) -> None:
    receive_follow(service, "key-of-jane", "jane_doe")

    assert found(service, q="jane_doe") == []
    assert len(found(service, q="key-of-jane")) == 1


def test_a_handle_that_the_version_before_hashed_to_the_letter_is_found(service: Service) -> None:
    receive_follow(service, "jane", "Jane_Doe")
    with service.database.read() as connection:
        _, before = hashes_of(connection).handles("Jane_Doe")
    service.database.write(lambda c: c.execute(update(EventRow).values(handle_hash=before)))

    assert len(found(service, q="@Jane_Doe", finds_handles=True)) == 1


def receive_follow(
    service: Service, actor: str, handle: str = "handle", source: str = "twitch"
) -> None:
    adapter = service.configuration.sources[source]
    body, headers = follow(service, actor, source=source)
    lower = {name.lower(): value for name, value in headers.items()}
    reading = adapter.read(
        Callback(method="POST", headers=lower, query={}, body=body, received_at=service.now())
    )
    service.receive([replace(reading.events[0], actor_handle=handle)])


def test_a_page_goes_on_after_the_one_before(service: Service, past: Past) -> None:
    made = past.attempts(7)

    with service.database.read() as connection:
        first = history.page(connection, Filter(), 3)
        second = history.page(connection, Filter(), 3, before=first[-1].id)
        third = history.page(connection, Filter(), 3, before=second[-1].id)

    assert [row.id for row in (*first, *second, *third)] == made


@pytest.mark.parametrize("count", [0, 1, 3, 4, 6, 7])
def test_rows_are_all_of_them_whatever_the_size_of_a_page(
    service: Service, past: Past, count: int
) -> None:
    made = past.attempts(count)

    pages = list(history.pages(service.database, Filter(), size=3))

    assert [row.id for page in pages for row in page] == made
    assert all(pages)
    assert [row.id for row in history.rows(service.database, Filter())] == made


def test_rows_hold_no_transaction_between_two_pages(service: Service, past: Past) -> None:
    past.attempts(5)
    pages = history.pages(service.database, Filter(), size=2)
    engine = service.database._reads
    assert engine is not None

    next(pages)
    between = engine.pool.checkedout()  # type: ignore[attr-defined]
    past.attempt()

    assert between == 0
    assert len(list(pages)) == 2


def test_a_count_agrees_with_the_list(service: Service, past: Past) -> None:
    past.attempts(3)
    past.attempt(State.DEAD)

    with service.database.read() as connection:
        assert history.count(connection, Filter()) == 4
        assert history.count(connection, Filter(states=(State.DEAD,))) == 1
        assert history.count(connection, Filter(customer_id="nobody")) == 0


def test_an_attempt_in_full_has_its_event_timeline_and_submissions(service: Service) -> None:
    receive_follow(service, "jane")
    identity = Identity(
        platform="twitch", account_id="jane", customer_id="customer-9", email="j@example.com"
    )
    service.database.write(lambda c: link(c, identity, "key:1 backend", service.now()))
    (attempt_id,) = found(service)
    submit(service, attempt_id, Answer(outcome=Outcome.ACCEPTED, status=202, request_id="r-1"))

    with service.database.read() as connection:
        whole = history.in_full(connection, attempt_id)

    assert whole is not None
    assert whole.event is not None
    assert (whole.event.key or "").startswith("channel.follow:jane:")
    assert [t.to_state for t in whole.timeline] == ["unlinked", "due", "accepted"]
    assert [(s.status, s.request_id) for s in whole.submissions] == [(202, "r-1")]
    assert (whole.attempt.has_email, whole.attempt.has_mobile) == (True, False)
    assert "email" not in vars(whole.attempt)


def submit(service: Service, attempt_id: str, answer: Answer) -> None:
    policy = service.forwarding_policy()

    def step(connection: Connection) -> None:
        made = forwarding.start(connection, attempt_id, "worker-1", policy, service.now())
        assert isinstance(made, StartedSubmission)
        forwarding.finish(connection, made, answer, policy, service.now())

    service.database.write(step)


def test_an_attempt_that_does_not_exist_is_none(service: Service) -> None:
    with service.database.read() as connection:
        assert history.in_full(connection, new_id(NOW)) is None


def test_an_empty_filter_says_so() -> None:
    assert Filter().is_empty
    for _, criteria in CRITERIA.values():
        assert not Filter(**criteria).is_empty


@pytest.mark.parametrize("criteria", [*({**c} for _, c in CRITERIA.values())])
def test_no_search_reads_the_whole_table_to_find_one_customer(
    service: Service, past: Past, criteria: dict[str, Any]
) -> None:
    """What a person looks for first has an index, alone and beside any other criterion."""
    wanted = {**asdict(Filter(**criteria)), "customer_id": "customer-1", "q": None}

    plan = explain(service, searched(Filter(**wanted)))

    assert not any("SCAN attempts" in line or "Seq Scan on attempts" in line for line in plan), plan


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize("name", ["customer_id", "account_id"])
def test_a_customers_attempts_in_a_state_are_sought_among_the_customers(
    service: Service, name: str
) -> None:
    """SQLite's choice without statistics; PostgreSQL has some, and over few rows chooses freely."""
    somebody: dict[str, Any] = {name: "customer-1"}

    plan = explain(service, searched(Filter(**somebody, states=(State.GRANTED,))))

    assert f"ix_attempts_{name}" in "".join(plan)


@pytest.mark.parametrize("text", ["customer-1", "0193aaaa", "@jane", "42"])
def test_a_search_by_text_uses_indexes_only(service: Service, text: str) -> None:
    plan = explain(service, searched(Filter(q=text)))

    bare = [line for line in plan if "Seq Scan" in line or line.startswith("SCAN ")]
    assert not [line for line in bare if "attempts" in line or "events" in line], plan


def searched(wanted: Filter) -> Callable[[Connection], object]:
    return lambda connection: history.page(connection, wanted, 50)


def explain(service: Service, ask: Callable[[Connection], object]) -> list[str]:
    """How the database would answer, told not to take a table's smallness as a reason."""
    statements: list[tuple[str, Any]] = []
    is_postgres = not service.database.is_embedded
    with service.database.read() as connection:
        if is_postgres:
            connection.exec_driver_sql("SET LOCAL enable_seqscan = off")
        event.listen(
            connection,
            "before_cursor_execute",
            lambda c, cur, text, values, ctx, many: statements.append((text, values)),
        )
        ask(connection)
        text, values = statements[0]
        prefix = "EXPLAIN" if is_postgres else "EXPLAIN QUERY PLAN"
        rows = connection.exec_driver_sql(f"{prefix} {text}", values).all()
    return [str(row[-1]) for row in rows]
