"""Are many rows written by one statement, whole, and without those that are there already?"""

from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import Engine, event, select

from app.domain.clock import new_id
from app.storage.bulk import insert_rows
from app.storage.engines import write_engine
from app.storage.tables import EventRow
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
