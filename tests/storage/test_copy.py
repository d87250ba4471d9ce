"""Does an installation move to the other database whole, or not at all?"""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from threading import Thread

import pytest
from sqlalchemy import delete, insert, make_url, select, text, update

from app.storage import copy as copying
from app.storage.copy import SEEDED, CannotCopy, Copied, copy, tables
from app.storage.database import Database
from app.storage.engines import sqlite_path, write_engine
from app.storage.tables import Base, IdentityRow, TransitionRow
from tests.clock import START, Clock
from tests.keys import KEYS
from tests.steps.world import World
from tests.storage.filled import contents, fill

IDENTITY = {
    "platform": "twitch",
    "account_id": "99",
    "customer_id": "ann",
    "created_at": START,
    "updated_at": START,
}


@pytest.fixture(params=["to postgres", "to sqlite"])
def move(request: pytest.FixtureRequest, sqlite_url: str, postgres_url: str) -> tuple[str, str]:
    """From where, to where: both migrated and empty."""
    return (sqlite_url, postgres_url) if "postgres" in request.param else (postgres_url, sqlite_url)


@pytest.fixture(autouse=True)
def _small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(copying, "BATCH", 3)


def execute(url: str, *statements: object) -> None:
    engine = write_engine(url)
    try:
        with engine.begin() as connection:
            for statement in statements:
                connection.execute(statement)  # type: ignore[call-overload]
    finally:
        engine.dispose()


def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.storage.engines.BUSY_TIMEOUT_MS", 50)
    monkeypatch.setattr("app.storage.exclusive._PATIENCE_SECONDS", 0.5)


def is_untouched(url: str) -> bool:
    return not any(rows for name, rows in contents(url).items() if name not in SEEDED)


def test_every_row_of_every_table_moves(move: tuple[str, str]) -> None:
    source, target = move
    filled = fill(source)

    copied = copy(source, target)

    assert contents(target) == filled
    assert contents(source) == filled
    assert {one.table: one.rows for one in copied} == {n: len(rows) for n, rows in filled.items()}
    assert all(filled.values())


def test_there_and_back_is_where_it_began(
    sqlite_url: str, postgres_url: str, tmp_path: Path
) -> None:
    filled = fill(sqlite_url)
    back = f"sqlite:///{tmp_path / 'back.db'}"

    there = copy(sqlite_url, postgres_url)
    and_back = copy(postgres_url, back)

    assert contents(back) == filled
    assert there == and_back


def test_every_table_of_ours_is_copied_and_only_those() -> None:
    assert {table.name for table in tables()} == set(Base.metadata.tables)


def test_new_rows_follow_the_copied_ones(move: tuple[str, str]) -> None:
    source, target = move
    filled = fill(source)
    copy(source, target)
    row = {**filled["transitions"][0]}
    del row["id"]

    execute(target, insert(TransitionRow).values(row))

    ids = [row["id"] for row in contents(target)["transitions"]]
    assert max(ids) == max(row["id"] for row in filled["transitions"]) + 1


def test_what_was_owed_is_owed_there_and_what_was_received_stays_known(
    move: tuple[str, str], clock: Clock
) -> None:
    source, target = move
    before = World(database=Database(source, secret_keys=KEYS), clock=clock)
    owed = before.owed()
    event = before.event(key="once")
    before.receive(event)
    before.database.close()

    copy(source, target)

    after = World(database=Database(target, secret_keys=KEYS), clock=clock)
    assert after.due() == [owed]
    assert not after.receive(event)[0].is_new
    assert after.awards() == [(1, "ann", "99", "once")]
    after.database.close()


def test_a_target_that_is_not_there_yet_is_made(sqlite_url: str, tmp_path: Path) -> None:
    filled = fill(sqlite_url)
    target = f"sqlite:///{tmp_path / 'folder' / 'new.db'}"

    copy(sqlite_url, target)

    assert contents(target) == filled


@pytest.mark.parametrize("name", [t.name for t in tables() if t.name not in SEEDED])
def test_a_target_with_rows_in_any_table_is_left_as_it_is(
    name: str, sqlite_url: str, postgres_url: str
) -> None:
    fill(postgres_url)
    fill(sqlite_url)
    with closing(sqlite3.connect(sqlite_path(sqlite_url))) as connection, connection:
        for table in tables():
            if table.name != name:
                connection.execute(f"DELETE FROM {table.name}")
    before = contents(sqlite_url)

    with pytest.raises(CannotCopy, match=f"the target is not empty: {name} has rows"):
        copy(postgres_url, sqlite_url)

    assert contents(sqlite_url) == before


def test_the_same_database_is_no_target(database_url: str) -> None:
    with pytest.raises(CannotCopy, match="same database"):
        copy(database_url, database_url)


def test_a_source_that_is_not_there_is_not_made(tmp_path: Path, postgres_url: str) -> None:
    source = tmp_path / "typo.db"

    with pytest.raises(CannotCopy, match="does not exist"):
        copy(f"sqlite:///{source}", postgres_url)

    assert not source.exists()


def test_a_source_of_an_older_version_is_refused(move: tuple[str, str]) -> None:
    source, target = move
    execute(source, text("UPDATE vouch_version SET version_num = '0000'"))

    with pytest.raises(CannotCopy, match="vouch db upgrade"):
        copy(source, target)

    assert is_untouched(target)


@pytest.fixture
def used(move: tuple[str, str]) -> Iterator[Database]:
    """The source, open in a service."""
    database = Database(move[0])
    with database.read() as connection:
        connection.execute(select(IdentityRow.customer_id))
    yield database
    database.close()


@pytest.mark.usefixtures("used")
def test_a_source_that_a_service_has_open_is_refused(
    move: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    impatient(monkeypatch)
    source, target = move
    fill(source)

    with pytest.raises(CannotCopy, match="the source is in use"):
        copy(source, target)

    assert is_untouched(target)


@pytest.mark.usefixtures("used")
def test_a_target_that_a_service_has_open_is_refused(
    move: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    impatient(monkeypatch)
    target, source = move
    fill(source)

    with pytest.raises(CannotCopy, match="the target is in use"):
        copy(source, target)

    assert is_untouched(target)


def test_on_request_one_moment_of_a_source_in_use_is_copied(
    move: tuple[str, str], used: Database
) -> None:
    source, target = move
    filled = fill(source)

    def write_meanwhile(copied: Copied) -> None:
        """Between two tables, and before the one that it writes to."""
        changed = update(IdentityRow).values(customer_id=f"after {copied.table}")
        used.write(lambda c: c.execute(changed))

    copy(source, target, while_in_use=True, on_table=write_meanwhile)

    assert contents(target) == filled
    assert contents(source) != filled


def test_nobody_writes_to_the_source_meanwhile(
    move: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    impatient(monkeypatch)
    source, target = move
    filled = fill(source)
    late = Thread(target=lambda: _written_late(source))

    def begin(copied: Copied) -> None:
        if copied.table == tables()[0].name:
            late.start()
            late.join(0.3)

    copy(source, target, on_table=begin)
    late.join()

    assert contents(target) == filled


def _written_late(url: str) -> None:
    """A writer that comes while the source is copied: it waits until the end, or is refused."""
    database = Database(url)
    try:
        database.write(lambda c: c.execute(insert(IdentityRow).values(IDENTITY)))
    except Exception:
        return
    finally:
        database.close()


def test_a_failure_leaves_nothing_and_says_where_and_nothing_personal(
    sqlite_url: str, postgres_url: str
) -> None:
    fill(sqlite_url)
    # SQLite takes what is longer than the column; PostgreSQL does not.
    long = {**IDENTITY, "customer_id": "secret-name" * 20}
    execute(sqlite_url, insert(IdentityRow).values(long))

    with pytest.raises(CannotCopy, match=r"^identities: .*too long") as told:
        copy(sqlite_url, postgres_url)

    assert "secret-name" not in str(told.value)
    assert is_untouched(postgres_url)
    execute(sqlite_url, delete(IdentityRow).where(IdentityRow.account_id == "99"))
    copy(sqlite_url, postgres_url)
    assert contents(postgres_url) == contents(sqlite_url)


SPOIL = {
    "sqlite": [
        """CREATE TRIGGER spoil AFTER INSERT ON identities
        BEGIN UPDATE identities SET customer_id = 'bob' WHERE rowid = new.rowid; END"""
    ],
    "postgresql": [
        """CREATE FUNCTION spoil() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN NEW.customer_id = 'bob'; RETURN NEW; END $$""",
        "CREATE TRIGGER spoil BEFORE INSERT ON identities FOR EACH ROW EXECUTE FUNCTION spoil()",
    ],
}


def test_what_does_not_read_back_the_same_is_not_kept(move: tuple[str, str]) -> None:
    source, target = move
    fill(source)
    execute(target, *map(text, SPOIL[make_url(target).get_backend_name()]))

    with pytest.raises(CannotCopy, match="identities: the target's rows differ"):
        copy(source, target)

    assert is_untouched(target)


def test_a_row_that_was_dropped_on_the_way_is_noticed(sqlite_url: str, postgres_url: str) -> None:
    fill(postgres_url)
    drop = "CREATE TRIGGER drop_it AFTER INSERT ON transitions WHEN new.id = 3 BEGIN"
    execute(sqlite_url, text(f"{drop} DELETE FROM transitions WHERE id = 3; END"))

    with pytest.raises(CannotCopy, match="transitions: the target's rows differ"):
        copy(postgres_url, sqlite_url)


def test_only_what_a_migration_puts_there_may_be_in_a_target(database_url: str) -> None:
    """Fails when a new migration fills a table that `SEEDED` does not name."""
    assert {name for name, rows in contents(database_url).items() if rows} <= SEEDED


def test_an_empty_postgres_database_is_migrated_first(sqlite_url: str, postgres_url: str) -> None:
    filled = fill(sqlite_url)
    execute(postgres_url, text("DROP SCHEMA public CASCADE"), text("CREATE SCHEMA public"))

    copy(sqlite_url, postgres_url)

    assert contents(postgres_url) == filled
