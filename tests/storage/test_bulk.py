"""Are many rows written by one statement, whole, and without those that are there already?"""

from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import Connection, Engine, event, select
from sqlalchemy.exc import DBAPIError

from app.domain.clock import new_id
from app.storage import bulk
from app.storage.bulk import insert_if_all_new, insert_rows
from app.storage.engines import write_engine
from app.storage.pipeline import in_one_trip
from app.storage.tables import BarRow, EventRow
from app.storage.types import Sealed
from tests.clock import START


@pytest.fixture
def engine(database_url: str) -> Iterator[Engine]:
    engine = write_engine(database_url)
    yield engine
    engine.dispose()


def row(key: str, **values: Any) -> dict[str, Any]:
    blank = {column.key: None for column in EventRow.__table__.columns}
    given = {
        "id": new_id(START),
        "source": "twitch",
        "key_hash": f"hash of {key}",
        "key": key,
        "platform": "twitch",
        "action": "follow",
        "undone": False,
        "actor": "99",
        "occurred_at": START,
        "received_at": START,
        "payload": Sealed(b"\x00{}\xff"),
    }
    return {**blank, **given, **values}


def test_rows_come_back_as_they_were_given(engine: Engine) -> None:
    rows = [
        row("a", target="t", undone=True),
        row("b", target="jo %s ? \"'", actor_handle=Sealed(b"jo")),
    ]

    with engine.begin() as connection:
        written = insert_rows(connection, EventRow, rows)
        found = connection.execute(select(EventRow.__table__).order_by(EventRow.key)).mappings()
        kept = [dict(one) for one in found]

    assert written == 2
    assert kept == rows


def test_what_a_constraint_holds_already_is_left_out(engine: Engine) -> None:
    with engine.begin() as connection:
        insert_rows(connection, EventRow, [row("a")])

        written = insert_rows(connection, EventRow, [row("a"), row("b"), row("b"), row("c")])

        keys = connection.execute(select(EventRow.key).order_by(EventRow.key)).scalars().all()
    assert written == 2
    assert keys == ["a", "b", "c"]


def test_nothing_is_written_of_no_rows(engine: Engine) -> None:
    with engine.begin() as connection:
        assert insert_rows(connection, EventRow, []) == 0


def test_more_rows_than_one_statement_takes_are_written_by_several(engine: Engine) -> None:
    statements: list[str] = []
    event.listen(
        engine, "before_cursor_execute", lambda _c, _cu, statement, *_: statements.append(statement)
    )

    with engine.begin() as connection:
        written = insert_rows(connection, EventRow, [row(f"{n}") for n in range(2_500)])

    assert written == 2_500
    assert 2 <= len([one for one in statements if one.startswith("INSERT")]) <= 4


@pytest.fixture
def postgres(postgres_url: str) -> Iterator[Connection]:
    engine = write_engine(postgres_url)
    with engine.connect() as connection:
        yield connection
    engine.dispose()


def bar(name: str, **values: Any) -> dict[str, Any]:
    given = {
        "challenge_id": 1,
        "platform": "twitch",
        "account_hash": name,
        "customer_hash": "customer",
        "attempt_id": None,
        "created_at": START,
    }
    return {**given, **values}


def insert_both(
    connection: Connection, bars: list[dict[str, Any]], events: list[dict[str, Any]]
) -> list[Any]:
    statement = insert_if_all_new(
        connection, (EventRow, events), "key", (BarRow, bars), (BarRow, [bar("always")])
    )
    assert statement is not None
    (reply,) = in_one_trip(connection, [statement])
    return [key for (key,) in reply.rows]


def bars_of(connection: Connection) -> set[str]:
    return set(connection.execute(select(BarRow.account_hash)).scalars())


def test_others_are_written_with_what_is_new_as_a_whole(postgres: Connection) -> None:
    bars = [bar("a"), bar("b", customer_hash="another")]

    keys = insert_both(postgres, bars, [row("a"), row("b", target="t")])

    assert keys == ["a", "b"]
    assert bars_of(postgres) == {"a", "b", "always"}


def test_nothing_else_is_written_where_one_is_not_new(postgres: Connection) -> None:
    insert_rows(postgres, EventRow, [row("a")])

    keys = insert_both(postgres, [bar("a")], [row("a"), row("b")])

    assert keys == ["b"]
    assert bars_of(postgres) == set()


def test_what_is_too_long_is_refused_and_not_cut_off(postgres: Connection) -> None:
    with pytest.raises(DBAPIError, match="too long"):
        insert_both(postgres, [bar("a" * 100)], [row("a")])


def test_too_many_rows_for_one_statement_make_none(
    postgres: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bulk, "_MOST_PARAMETERS", 3 * len(row("a")))

    given = EventRow, [row(f"{n}") for n in range(3)]

    assert insert_if_all_new(postgres, given, "key") is not None
    assert insert_if_all_new(postgres, given, "key", (BarRow, [bar("a")])) is None
