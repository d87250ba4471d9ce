"""How are many rows written by one statement?

An intake writes to four tables. Prepared anew each time, its statements would take SQLAlchemy as
long as the database; stepped row by row, they would hand the interpreter to another thread at every
row. So one statement writes all rows, and its text is made once for each number of rows.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any

from sqlalchemy import Column, Connection, Dialect, Table

from app.storage.tables import Base

# SQLite takes 32,766 parameters to a statement, PostgreSQL 65,535 (a 16-bit count).
_MOST_PARAMETERS = 16_000

Row = Mapping[str, Any]
Convert = Callable[[Any], Any]


def insert_rows(connection: Connection, kind: type[Base], rows: Sequence[Row]) -> int:
    """Insert rows, all with the same columns; how many were inserted.

    Rows that a unique constraint already holds are left out. Raises SQLAlchemy's errors.
    """
    statements = insert_statements(connection, kind, rows)
    return sum(connection.exec_driver_sql(text, values).rowcount for text, values in statements)


def insert_statements(
    connection: Connection, kind: type[Base], rows: Sequence[Row]
) -> list[tuple[str, tuple[Any, ...]]]:
    """What `insert_rows` runs: nearly always one statement."""
    if not rows:
        return []
    table = kind.metadata.tables[kind.__tablename__]
    columns = tuple(rows[0])
    width = len(columns)
    converts = _converts(table, columns, connection.dialect)
    at_once = _MOST_PARAMETERS // width
    statements = []
    for start in range(0, len(rows), at_once):
        some = rows[start : start + at_once]
        statement = _statement(table, columns, len(some), connection.dialect.paramstyle)
        values = tuple(
            value if convert is None or value is None else convert(value)
            for row in some
            for value, convert in zip(row.values(), converts, strict=True)
        )
        statements.append((statement, values))
    return statements


@lru_cache(maxsize=512)
def _statement(table: Table, columns: tuple[str, ...], count: int, paramstyle: str) -> str:
    mark = "?" if paramstyle == "qmark" else "%s"
    row = f"({', '.join([mark] * len(columns))})"
    names = ", ".join(f'"{name}"' for name in columns)
    values = ", ".join([row] * count)
    return f'INSERT INTO "{table.name}" ({names}) VALUES {values} ON CONFLICT DO NOTHING'  # noqa: S608 -- names of ours


@lru_cache(maxsize=64)
def _converts(
    table: Table, columns: tuple[str, ...], dialect: Dialect
) -> tuple[Convert | None, ...]:
    """What SQLAlchemy's types would do to each value on its way to the driver."""
    return tuple(_convert(table.columns[name], dialect) for name in columns)


def _convert(column: Column[Any], dialect: Dialect) -> Convert | None:
    return column.type.dialect_impl(dialect).bind_processor(dialect)
