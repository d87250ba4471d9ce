"""Copy an installation to another database, completely or not at all."""

import hashlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Table, func, insert, inspect, select, text
from sqlalchemy.exc import SQLAlchemyError

from app.storage import migrate
from app.storage.engines import is_sqlite, sqlite_path
from app.storage.exclusive import InUse, held, lock_tables, snapshot
from app.storage.failures import failure
from app.storage.tables import Base

# Tables that a migration fills; the source's rows replace its rows.
SEEDED = frozenset({"forwarding"})
BATCH = 1_000
_MODULUS = 1 << 128


class CannotCopy(Exception):  # noqa: N818 -- reads as the claim it makes
    """Nothing was copied; the text says why."""


@dataclass(frozen=True, slots=True)
class Copied:
    """A table that is now the same in both databases. The checksum ignores the order of rows."""

    table: str
    rows: int
    checksum: str


def copy(
    source_url: str,
    target_url: str,
    *,
    while_in_use: bool = False,
    on_table: Callable[[Copied], None] = lambda _: None,
) -> list[Copied]:
    """Copy every table into an empty database in one transaction, then compare both.

    Raises `CannotCopy` when the source is in use, unless ``while_in_use`` allows it; later writes
    to the source are then not copied. A target that has rows is left unchanged. ``on_table`` is
    called with each table once it is copied.
    """
    if source_url == target_url:
        raise CannotCopy("both are the same database")
    if is_sqlite(source_url) and not sqlite_path(source_url).is_file():
        raise CannotCopy("the source does not exist")
    source = snapshot(source_url) if while_in_use else held(source_url)
    with _told("the source", source) as reading:
        _require_current(reading)
        if not while_in_use:
            lock_tables(reading)
        with _told("the target", held(target_url)) as writing:
            _require_empty(writing)
        with _told("the target", _migrated(target_url)) as writing:
            if not migrate.is_current(writing):
                raise CannotCopy("the target was migrated by a newer version")
            lock_tables(writing)
            _require_empty(writing)
            return [_copy_table(reading, writing, table, on_table) for table in tables()]


def tables() -> list[Table]:
    """Return all tables, each after those that its foreign keys refer to."""
    return Base.metadata.sorted_tables


@contextmanager
def _told(which: str, entered: AbstractContextManager[Connection]) -> Iterator[Connection]:
    try:
        with entered as connection:
            yield connection
    except InUse as error:
        raise CannotCopy(f"{which} is in use: {error}") from None
    except migrate.Occupied as error:
        raise CannotCopy(f"{which}: {error}") from None
    except SQLAlchemyError as error:
        raise CannotCopy(f"{which}: {failure(error)}") from error


@contextmanager
def _migrated(url: str) -> Iterator[Connection]:
    migrate.upgrade(url)
    with held(url) as connection:
        yield connection


def _require_current(source: Connection) -> None:
    if not migrate.is_current(source):
        raise CannotCopy("the source is not at this version: run `vouch db upgrade` on it")


def _require_empty(target: Connection) -> None:
    present = set(inspect(target).get_table_names())
    for table in tables():
        if table.name in present - SEEDED and target.execute(select(table).limit(1)).first():
            raise CannotCopy(f"the target is not empty: {table.name} has rows")


def _copy_table(
    source: Connection, target: Connection, table: Table, on_table: Callable[[Copied], None]
) -> Copied:
    target.execute(table.delete())
    read = _Sum()
    try:
        for rows in _batches(source, table):
            read.add(rows)
            target.execute(insert(table), rows)
    except SQLAlchemyError as error:
        raise CannotCopy(f"{table.name}: {failure(error)}") from error
    restart_sequences(target, table)
    written = _Sum()
    for rows in _batches(target, table):
        written.add(rows)
    if written != read:
        raise CannotCopy(f"{table.name}: the target's rows differ from the source's")
    copied = Copied(table.name, read.rows, read.checksum)
    on_table(copied)
    return copied


def _batches(connection: Connection, table: Table) -> Iterator[list[dict[str, Any]]]:
    """Yield the table's rows by primary key, so that the target's pages fill in order."""
    statement = select(table).order_by(*table.primary_key.columns)
    streamed = connection.execute(statement, execution_options={"yield_per": BATCH})
    for rows in streamed.mappings().partitions():
        yield [dict(row) for row in rows]


def restart_sequences(target: Connection, table: Table) -> None:
    """Set PostgreSQL's sequence after the greatest copied number. SQLite does so by itself."""
    serial = table.autoincrement_column
    if serial is None or target.dialect.name != "postgresql":
        return
    greatest = target.execute(select(func.max(serial))).scalar_one()
    if greatest is not None:
        target.execute(
            text("SELECT setval(pg_get_serial_sequence(:table, :column), :greatest)"),
            {"table": f'"{table.name}"', "column": serial.name, "greatest": greatest},
        )


@dataclass(slots=True)
class _Sum:
    """A row count and a sum of row digests that does not depend on the order of rows."""

    rows: int = 0
    total: int = 0

    def add(self, rows: list[dict[str, Any]]) -> None:
        for row in rows:
            written = repr([_ordered(value) for value in row.values()]).encode()
            digest = hashlib.blake2b(written, digest_size=16).digest()
            self.total = (self.total + int.from_bytes(digest, "big")) % _MODULUS
        self.rows += len(rows)

    @property
    def checksum(self) -> str:
        return f"{self.total:032x}"


def _ordered(value: Any) -> Any:
    """Sort the keys of JSON objects, because PostgreSQL keeps them in its own order."""
    if type(value) is dict:
        return [(key, _ordered(value[key])) for key in sorted(value)]
    return [_ordered(item) for item in value] if type(value) is list else value
