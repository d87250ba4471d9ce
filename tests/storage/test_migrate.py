"""Is a migrated database the one our tables describe, whoever migrated it when?"""

import multiprocessing
import subprocess
import sys
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, insert, inspect, select, text
from sqlalchemy.exc import DBAPIError

from app.domain.attempts import State
from app.storage import migrate
from app.storage.database import Database
from app.storage.engines import is_sqlite, write_engine
from app.storage.migrate import Occupied, head, is_current, is_usable, upgrade
from app.storage.tables import (
    EVENTS,
    IDENTITIES,
    AttemptRow,
    Base,
    EventRow,
    ForwardingRow,
    IdentityRow,
)
from app.storage.vault import CannotOpen
from tests.clock import START, Clock
from tests.keys import KEYS
from tests.steps.world import World

ROOT = Path(__file__).parents[2]


@pytest.fixture
def empty_url(database_url: str, tmp_path: Path) -> str:
    """A database without any table."""
    if is_sqlite(database_url):
        return f"sqlite:///{tmp_path / 'empty.db'}"
    with opened(database_url) as engine, engine.begin() as connection:
        connection.execute(text("DROP SCHEMA public CASCADE"))
        connection.execute(text("CREATE SCHEMA public"))
    return database_url


class opened:  # noqa: N801 -- reads as the context it is
    """An engine that is disposed of at the end."""

    def __init__(self, url: str) -> None:
        self.engine = write_engine(url)

    def __enter__(self) -> Engine:
        return self.engine

    def __exit__(self, *_: object) -> None:
        self.engine.dispose()


def tables_of(url: str) -> set[str]:
    with opened(url) as engine, engine.begin() as connection:
        return set(inspect(connection).get_table_names())


def test_autogenerate_finds_nothing_to_migrate(database_url: str) -> None:
    with opened(database_url) as engine, engine.begin() as connection:
        context = MigrationContext.configure(
            connection,
            opts={
                "compare_type": True,
                "compare_server_default": True,
                "version_table": migrate.VERSION_TABLE,
            },
        )

        assert compare_metadata(context, Base.metadata) == []


def sqlite_shape(connection: Connection) -> set[tuple[Any, ...]]:
    """Every column, constraint and index, with the condition of partial ones."""
    shape: set[tuple[Any, ...]] = set()
    names = connection.execute(text("SELECT name, tbl_name, type, sql FROM sqlite_master")).all()
    for name, table, kind, sql in names:
        if table == "vouch_version":
            continue
        if kind == "index" and sql:
            shape.add((table, name, " ".join(sql.split())))
        if kind == "table":
            for column in connection.execute(text(f"PRAGMA table_info({name})")):
                shape.add((name, *column[1:]))
            for key in connection.execute(text(f"PRAGMA foreign_key_list({name})")):
                shape.add((name, *key[2:]))
            shape.add((name, "DEFERRABLE INITIALLY DEFERRED" in sql))
            for index in connection.execute(text(f"PRAGMA index_list({name})")).all():
                columns = connection.execute(text(f"PRAGMA index_info({index.name})")).all()
                shape.add((name, index.unique, index.partial, *(c.name for c in columns)))
    return shape


def postgres_shape(connection: Connection, schema: str) -> set[tuple[Any, ...]]:
    queries = (
        """SELECT table_name, column_name, data_type, character_maximum_length, is_nullable,
        column_default IS NULL FROM information_schema.columns WHERE table_schema = :s""",
        """SELECT tablename, indexname, replace(indexdef, :s || '.', '') FROM pg_indexes
        WHERE schemaname = :s""",
        # Not NOT NULL, whose names keep what a column or a table was once called.
        """SELECT conname, replace(pg_get_constraintdef(oid), :s || '.', '') FROM pg_constraint
        WHERE connamespace = CAST(:s AS regnamespace) AND contype <> 'n'""",
    )
    rows = [row for q in queries for row in connection.execute(text(q), {"s": schema})]
    return {tuple(row) for row in rows if "vouch_version" not in str(row[0])}


def test_the_migrations_make_exactly_what_the_tables_describe(
    database_url: str, tmp_path: Path
) -> None:
    if is_sqlite(database_url):
        with opened(database_url) as engine, engine.begin() as connection:
            migrated = sqlite_shape(connection)
        direct = f"sqlite:///{tmp_path / 'direct.db'}"
        with opened(direct) as engine, engine.begin() as connection:
            Base.metadata.create_all(connection)
            described = sqlite_shape(connection)
    else:
        with opened(database_url) as engine, engine.begin() as connection:
            migrated = postgres_shape(connection, "public")
            connection.execute(text("CREATE SCHEMA direct"))
            connection.execute(text("SET LOCAL search_path TO direct"))
            Base.metadata.create_all(connection, checkfirst=False)
            described = postgres_shape(connection, "direct")

    assert migrated == described
    assert len(described) > 100


def test_an_empty_database_becomes_current(empty_url: str) -> None:
    with opened(empty_url) as engine, engine.begin() as connection:
        before = is_current(connection)

    upgrade(empty_url)

    with opened(empty_url) as engine, engine.begin() as connection:
        assert (before, is_current(connection)) == (False, True)
        assert connection.execute(select(ForwardingRow.id)).scalars().all() == [1]
    assert head() is not None


def test_migrating_again_changes_nothing(database_url: str) -> None:
    row = {
        "platform": "twitch",
        "account_id": "99",
        "customer_id": "ann",
        "created_at": START,
        "updated_at": START,
    }
    with opened(database_url) as engine, engine.begin() as connection:
        connection.execute(insert(IdentityRow).values(row))

    upgrade(database_url)

    with opened(database_url) as engine, engine.begin() as connection:
        assert connection.execute(select(IdentityRow.customer_id)).scalars().all() == ["ann"]
        assert connection.execute(select(ForwardingRow.id)).scalars().all() == [1]


def test_a_database_that_a_newer_version_migrated_is_left_alone(database_url: str) -> None:
    with opened(database_url) as engine, engine.begin() as connection:
        connection.execute(text("UPDATE vouch_version SET version_num = 'from_the_future'"))
    before = tables_of(database_url)

    upgrade(database_url)

    assert tables_of(database_url) == before
    with opened(database_url) as engine, engine.begin() as connection:
        [revision] = connection.execute(text("SELECT version_num FROM vouch_version")).scalars()
    assert revision == "from_the_future"


def test_the_newest_revision_is_the_one_that_alembic_would_go_to() -> None:
    assert head() == ScriptDirectory(str(ROOT / "migrations")).get_current_head()


def test_a_service_that_has_nothing_to_migrate_does_not_load_what_migrates(
    sqlite_url: str,
) -> None:
    code = (
        "import sys; from app.storage.migrate import upgrade; import app.server.application;"
        f"upgrade({sqlite_url!r}); print('alembic' in sys.modules)"
    )

    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert told.stdout == "False\n"


def test_six_machines_may_migrate_at_once(empty_url: str) -> None:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["app.storage.migrate", "psycopg"])
    machines = [context.Process(target=upgrade, args=(empty_url,)) for _ in range(6)]

    for machine in machines:
        machine.start()
    for machine in machines:
        machine.join(60)

    assert [machine.exitcode for machine in machines] == [0] * 6
    with opened(empty_url) as engine, engine.begin() as connection:
        assert is_current(connection)
        assert connection.execute(select(ForwardingRow.id)).scalars().all() == [1]


def test_a_migration_that_fails_leaves_nothing_behind(empty_url: str) -> None:
    # The last index that the first migration makes has the name of one that is there.
    with opened(empty_url) as engine, engine.begin() as connection:
        connection.execute(text("CREATE TABLE others (id integer)"))
        connection.execute(text("CREATE INDEX ix_submissions_ended_at ON others (id)"))

    with pytest.raises(DBAPIError, match="ix_submissions_ended_at"):
        upgrade(empty_url)

    assert tables_of(empty_url) == {"others"}
    with opened(empty_url) as engine, engine.begin() as connection:
        connection.execute(text("DROP TABLE others"))
    upgrade(empty_url)
    assert "attempts" in tables_of(empty_url)


def strangers_table(url: str, revision: str, *more: str) -> None:
    """Another application that migrates with Alembic, in the same database."""
    with opened(url) as engine, engine.begin() as connection:
        connection.execute(text("CREATE TABLE alembic_version (version_num varchar(32))"))
        connection.execute(text("INSERT INTO alembic_version VALUES (:r)"), {"r": revision})
        for name in ("users", *more):
            connection.execute(text(f"CREATE TABLE {name} (id integer)"))


def former_revision(url: str) -> str:
    with opened(url) as engine, engine.begin() as connection:
        [found] = connection.execute(text("SELECT version_num FROM alembic_version")).scalars()
    return str(found)


@pytest.mark.parametrize("revision", ["ae1027a6acf1", "0001", "0013", "0014"])
def test_a_stranger_who_uses_alembic_too_is_left_alone_and_worked_beside(
    empty_url: str, revision: str
) -> None:
    strangers_table(empty_url, revision)
    with opened(empty_url) as engine, engine.begin() as connection:
        assert not is_usable(connection)

    upgrade(empty_url)

    assert former_revision(empty_url) == revision
    assert tables_of(empty_url) >= {"users", "attempts", "vouch_version"}
    with opened(empty_url) as engine, engine.begin() as connection:
        assert is_current(connection)


def test_a_strangers_tables_that_are_called_like_ours_are_refused_with_their_names(
    empty_url: str,
) -> None:
    strangers_table(empty_url, "0013", "events", "attempts")

    with pytest.raises(Occupied, match=r"called like Vouch's \(attempts, events\)"):
        upgrade(empty_url)

    assert tables_of(empty_url) == {"alembic_version", "users", "events", "attempts"}


@pytest.mark.parametrize("revision", ["0007", "0013"])
def test_an_installation_of_a_former_version_goes_on_and_its_version_may_too(
    empty_url: str, revision: str
) -> None:
    """Versions before 0014 read the revision from Alembic's own table."""
    run_to(empty_url, revision)
    with opened(empty_url) as engine, engine.begin() as connection:
        connection.execute(text("CREATE TABLE alembic_version (version_num varchar(32))"))
        connection.execute(text("INSERT INTO alembic_version SELECT * FROM vouch_version"))
        connection.execute(text("DROP TABLE vouch_version"))
        assert not is_usable(connection)

    upgrade(empty_url, KEYS)

    assert former_revision(empty_url) == revision
    with opened(empty_url) as engine, engine.begin() as connection:
        assert is_current(connection)
        assert inspect(connection).get_pk_constraint("vouch_version")["constrained_columns"]
    upgrade(empty_url)


BEFORE_SEALING = "0007"


def run_to(url: str, revision: str) -> None:
    """Migrate only so far."""
    with opened(url) as engine, engine.begin() as connection:
        config = migrate._config()
        config.attributes["connection"] = connection
        command.upgrade(config, revision)


def old_rows(url: str) -> None:
    """What a version that sealed nothing had written."""
    uuids = {"event": UUID(int=1 << 70), "attempt": UUID(int=2 << 70)}
    ids = {name: one.hex if is_sqlite(url) else str(one) for name, one in uuids.items()}
    at = START.replace(tzinfo=None) if is_sqlite(url) else START
    statements = {
        (
            "INSERT INTO events (id, source, key, platform, action, undone, actor, actor_handle, "
            "target, occurred_at, received_at, payload) VALUES (:event, 'twitch', 'key-1', "
            "'twitch', 'follow', false, '99', 'Ann_Plays', '1337', :at, :at, :payload)"
        ),
        (
            "INSERT INTO attempts (id, event_id, state, challenge_id, customer_id, email, mobile, "
            "platform, action, account_id, evidence, occurrence, hold_seconds, claimed, "
            "created_at, updated_at, fence, round) VALUES (:attempt, :event, 'due', 1, 'ann', "
            "'ann@b.test', '+49', 'twitch', 'follow', '99', 'signed', 'once', 0, :claimed, "
            ":at, :at, 0, 0)"
        ),
        (
            "INSERT INTO identities (platform, account_id, customer_id, handle, email, mobile, "
            "created_at, updated_at) VALUES ('twitch', '99', 'ann', 'Ann_Plays', 'ann@b.test', "
            "'+49', :at, :at)"
        ),
        (
            "INSERT INTO awards (challenge_id, customer_id, platform, account_id, occurrence, "
            "attempt_id, created_at) VALUES (1, 'ann', 'twitch', '99', 'once', :attempt, :at)"
        ),
    }
    said = {"payload": b'{"raw": 1}', "claimed": '{"note": "Ann_Plays"}', "at": at}
    with opened(url) as engine, engine.begin() as connection:
        for statement in sorted(statements, key=lambda one: "awards" in one or "attempts" in one):
            named = {k: v for k, v in {**ids, **said}.items() if f":{k}" in statement}
            connection.execute(text(statement), named)


def test_rows_of_a_version_that_sealed_nothing_are_sealed_and_hashed(
    empty_url: str, clock: Clock
) -> None:
    run_to(empty_url, BEFORE_SEALING)
    old_rows(empty_url)

    upgrade(empty_url, KEYS)

    world = World(database=Database(empty_url, secret_keys=KEYS), clock=clock)
    [event], [attempt], [identity] = (world.all(k) for k in (EventRow, AttemptRow, IdentityRow))
    assert (event.key, event.actor, event.actor_handle) == ("key-1", "99", "Ann_Plays")
    assert event.payload == b'{"raw": 1}'
    assert (attempt.email, attempt.mobile) == ("ann@b.test", "+49")
    assert attempt.claimed == '{"note": "Ann_Plays"}'
    assert (identity.handle, identity.email, identity.mobile) == ("Ann_Plays", "ann@b.test", "+49")
    assert world.awards() == [(1, "ann", "99", "once")]
    assert not world.receive(world.event(key="key-1"))[0].is_new
    assert world.receive(world.event(key="key-2"))[0].states == (State.DUPLICATE,)
    world.database.close()
    with opened(empty_url) as engine, engine.begin() as connection:
        kept = str([connection.execute(select(table)).all() for table in (EVENTS, IDENTITIES)])
    assert "Ann_Plays" not in kept
    assert "ann@b.test" not in kept


def test_what_an_older_version_left_unsealed_needs_the_keys(empty_url: str) -> None:
    run_to(empty_url, BEFORE_SEALING)
    old_rows(empty_url)

    with pytest.raises(CannotOpen, match="no secret key is set"):
        upgrade(empty_url)

    with opened(empty_url) as engine, engine.begin() as connection:
        emails = connection.execute(text("SELECT email FROM attempts")).scalars().all()
    assert emails == ["ann@b.test"]


@pytest.mark.parametrize(
    ("revision", "usable"), [("9999", True), ("0001", False)], ids=["newer", "older"]
)
def test_a_database_that_a_newer_version_migrated_can_be_used_and_an_older_one_cannot(
    database_url: str, revision: str, usable: bool
) -> None:
    with opened(database_url) as engine, engine.begin() as connection:
        before = is_usable(connection)
        connection.execute(text("UPDATE vouch_version SET version_num = :r"), {"r": revision})

        assert before
        assert is_usable(connection) is usable
        assert not is_current(connection)


def test_a_database_that_nobody_migrated_cannot_be_used(empty_url: str) -> None:
    with opened(empty_url) as engine, engine.begin() as connection:
        assert not is_usable(connection)
