"""Count the values that need each secret key, and seal them again with the newest one."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from sqlalchemy import Connection, LargeBinary, Row, Table, func, literal, select, tuple_, update

from app.storage import seal_backfill
from app.storage.database import Database
from app.storage.tables import Base
from app.storage.types import Sealed
from app.storage.vault import PREFIX_LENGTH, place, sealed_columns, vault_of

# A page is read at once, and its older rows are written in one transaction of a few milliseconds.
_PAGE = 200


def keys_needed(database: Database) -> Counter[bytes]:
    """Count the values by the prefix that names their key. Reads every row, page by page."""
    found: Counter[bytes] = Counter()
    for table in _tables():
        for page in _pages(database, table):
            found.update(prefix for row in page for prefix in _prefixes(table, row))
    return found


def reseal(
    database: Database, on_table: Callable[[str, int], None] = lambda _table, _rows: None
) -> int:
    """Seal every value that is not sealed with the newest key; return how many.

    It may run beside the service, in short transactions, and may be interrupted and run again.
    ``on_table`` is called with each table and its number of rows. Raises `CannotOpen` when a key is
    missing.
    """
    newest = database.vault.newest_prefix
    resealed = _seal_the_rest(database)
    for table in _tables():
        seen = 0
        for page in _pages(database, table):
            older = [row for row in page if set(_prefixes(table, row)) - {newest}]
            if older:
                resealed += _reseal_page(database, table, older)
            seen += len(page)
        on_table(table.name, seen)
    return resealed


def _seal_the_rest(database: Database) -> int:
    """Seal values that an older version stored in clear; return how many."""
    sealed = 0
    while count := database.write(lambda c: seal_backfill.seal_some(c, _PAGE)):
        sealed += count
    return sealed


def _reseal_page(database: Database, table: Table, rows: Sequence[Row[Any]]) -> int:
    keys = [tuple(row._mapping[column.name] for column in table.primary_key) for row in rows]
    return database.write(lambda c: _reseal_rows(c, table, keys))


def _reseal_rows(connection: Connection, table: Table, keys: Sequence[tuple[Any, ...]]) -> int:
    chosen = select(table).where(tuple_(*table.primary_key).in_(keys)).with_for_update()
    return sum(_reseal_row(connection, table, row) for row in connection.execute(chosen).all())


def _reseal_row(connection: Connection, table: Table, row: Row[Any]) -> int:
    vault, values = vault_of(connection), dict(row._mapping)
    changes: dict[str, Sealed] = {}
    for name, _ in sealed_columns(table):
        sealed = values[name]
        if sealed is not None and not sealed.startswith(vault.newest_prefix):
            where = place(table, values, name)
            changes[name] = vault.seal(vault.open(sealed, where), where)
    if changes:
        same = [column == values[column.name] for column in table.primary_key]
        connection.execute(update(table).where(*same).values(changes))
    return len(changes)


def _tables() -> Iterator[Table]:
    return (table for table in Base.metadata.sorted_tables if sealed_columns(table))


def _pages(database: Database, table: Table) -> Iterator[Sequence[Row[Any]]]:
    """Yield pages of primary keys and of the prefixes of sealed values, by primary key."""
    key = list(table.primary_key)
    beginnings = [
        func.substr(table.c[name], 1, PREFIX_LENGTH, type_=LargeBinary()).label(name)
        for name, _ in sealed_columns(table)
    ]
    statement = select(*key, *beginnings).order_by(*key).limit(_PAGE)
    page: Sequence[Row[Any]] = ()
    while True:
        following = statement
        if page:
            last = [literal(page[-1]._mapping[column.name], column.type) for column in key]
            following = statement.where(tuple_(*key) > tuple_(*last))
        with database.read() as connection:
            page = connection.execute(following).all()
        if not page:
            return
        yield page


def _prefixes(table: Table, row: Row[Any]) -> list[bytes]:
    values = (row._mapping[name] for name, _ in sealed_columns(table))
    return [bytes(value) for value in values if value is not None]
