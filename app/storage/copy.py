"""How does an installation move to another database, whole or not at all?"""

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

# Tables in which a migration has put rows itself; the source's take their place.
SEEDED = frozenset({"forwarding"})
BATCH = 1_000
_MODULUS = 1 << 128


class CannotCopy(Exception):  # noqa: N818 -- reads as the claim it makes
    """Nothing was copied; the text says why."""


@dataclass(frozen=True, slots=True)
class Copied:
    """One table as it is in both databases now. The checksum does not depend on the order."""

    table: str
    rows: int
    checksum: str


def copy(
    source_url: str,
    target_url: str,
    *,
    while_in_use: bool = False,
    told: Callable[[Copied], None] = lambda _: None,
) -> list[Copied]:
    """Copy every table into an empty database in one transaction, and read it back to compare.

    Raises `CannotCopy` when the source is in use, which ``while_in_use`` allows: what is written
    to it after the beginning stays behind then. A target that has rows is left as it is.
    """
    if source_url == target_url:
        raise CannotCopy("both are the same database")
    if is_sqlite(source_url) and not sqlite_path(source_url).is_file():
        raise CannotCopy("the source is not there")
    source = snapshot(source_url) if while_in_use else held(source_url)
    with _told("the source", source) as reading:
        _require_current(reading)
        if not while_in_use:
            lock_tables(reading)
        with _told("the target", held(target_url)) as writing:
            _require_empty(writing)
        with _told("the target", _migrated(target_url)) as writing:
            if not migrate.is_current(writing):
                raise CannotCopy("the target is of a newer version than this one")
            lock_tables(writing)
            _require_empty(writing)
            return [_copy_table(reading, writing, table, told) for table in tables()]


def tables() -> list[Table]:
    """Every table, each after those that its rows point to."""
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
        raise CannotCopy("the source is not at this version: run `vouch db upgrade` for it")


def _require_empty(target: Connection) -> None:
    present = set(inspect(target).get_table_names())
    for table in tables():
        if table.name in present - SEEDED and target.execute(select(table).limit(1)).first():
            raise CannotCopy(f"the target is not empty: {table.name} has rows")


def _copy_table(
    source: Connection, target: Connection, table: Table, told: Callable[[Copied], None]
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
        raise CannotCopy(f"{table.name}: what the target holds is not what the source holds")
    copied = Copied(table.name, read.rows, read.checksum)
    told(copied)
    return copied


def _batches(connection: Connection, table: Table) -> Iterator[list[dict[str, Any]]]:
    """The table's rows by primary key, so that new pages fill one after the other."""
    statement = select(table).order_by(*table.primary_key.columns)
    streamed = connection.execute(statement, execution_options={"yield_per": BATCH})
    for rows in streamed.mappings().partitions():
        yield [dict(row) for row in rows]


def restart_sequences(target: Connection, table: Table) -> None:
    """Let the next row's number follow the greatest copied one. SQLite does so by itself."""
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
    """How many rows, and the sum of their digests: the same for the same rows in any order."""

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
    """PostgreSQL keeps the keys of JSON in an order of its own."""
    if type(value) is dict:
        return [(key, _ordered(value[key])) for key in sorted(value)]
    return [_ordered(one) for one in value] if type(value) is list else value
