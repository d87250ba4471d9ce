"""How are many rows written by one statement?

An intake writes to four tables. Prepared anew each time, its statements would take SQLAlchemy as
long as the database; stepped row by row, they would hand the interpreter to another thread at every
row. So one statement writes all rows, and its text is made once for each number of rows.
"""

import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from sqlalchemy import Column, Connection, Dialect, Table

from app.storage.tables import Base

# SQLite takes 32,766 parameters to a statement, PostgreSQL 65,535 (a 16-bit count).
_MOST_PARAMETERS = 16_000

Row = Mapping[str, Any]
Convert = Callable[[Any], Any]
Statement = tuple[str, tuple[Any, ...]]
Some = tuple[type[Base], Sequence[Row]]
_Shape = tuple[Table, tuple[str, ...], int]

DOLLARS = "numeric_dollar"


def insert_rows(connection: Connection, kind: type[Base], rows: Sequence[Row]) -> int:
    """Insert rows, all with the same columns; how many were inserted.

    Rows that a unique constraint already holds are left out. Raises SQLAlchemy's errors.
    """
    marks = connection.dialect.paramstyle
    statements = insert_statements(connection, kind, rows, marks)
    return sum(connection.exec_driver_sql(text, values).rowcount for text, values in statements)


def insert_statements(
    connection: Connection, kind: type[Base], rows: Sequence[Row], marks: str = DOLLARS
) -> list[Statement]:
    """What `insert_rows` runs: nearly always one statement.

    ``marks``: how a place for a value is written, one of PEP 249's paramstyles or `DOLLARS`.
    """
    if not rows:
        return []
    at_once = _MOST_PARAMETERS // len(rows[0])
    statements = []
    for start in range(0, len(rows), at_once):
        some = _Rows.of(connection, kind, rows[start : start + at_once])
        statements.append((_insert_text(some.table, some.columns, some.count, marks), some.values))
    return statements


def insert_if_all_new(
    connection: Connection, first: Some, returning: str, *others: Some
) -> Statement | None:
    """One statement for PostgreSQL that inserts the others only if all of the first are new.

    It returns a column of those of the first that were. None: there are too many rows for one.
    """
    rows = [_Rows.of(connection, kind, some) for kind, some in (first, *others)]
    values = tuple(value for one in rows for value in one.values)
    if len(values) > _MOST_PARAMETERS:
        return None
    shapes = tuple((one.table, one.columns, one.count) for one in rows)
    return _if_all_new_text(shapes, returning, connection.dialect), values


@dataclass(frozen=True, slots=True)
class _Rows:
    """Rows of one table as the driver takes them, one value after the other."""

    table: Table
    columns: tuple[str, ...]
    count: int
    values: tuple[Any, ...]

    @classmethod
    def of(cls, connection: Connection, kind: type[Base], rows: Sequence[Row]) -> "_Rows":
        table = kind.metadata.tables[kind.__tablename__]
        columns = tuple(rows[0])
        converts = _converts(table, columns, connection.dialect)
        values: list[Any] = []
        for row in rows:
            given = list(row.values())
            for position, convert in converts:
                if given[position] is not None:
                    given[position] = convert(given[position])
            values += given
        if len(values) != len(rows) * len(columns):
            raise ValueError(f"rows of {table.name} differ in their columns")
        return cls(table, columns, len(rows), tuple(values))


@lru_cache(maxsize=512)
def _insert_text(table: Table, columns: tuple[str, ...], count: int, marks: str) -> str:
    values = _tuples([""] * len(columns), count, _marks(marks))
    return f"{_into(table, columns)} VALUES {values} ON CONFLICT DO NOTHING"


@lru_cache(maxsize=512)
def _if_all_new_text(shapes: tuple[_Shape, ...], returning: str, dialect: Dialect) -> str:
    """Selected rows take no types from the table they go to, so the first of each names them."""
    marks = _marks(DOLLARS)
    (table, columns, count), *others = shapes
    places = _tuples([""] * len(columns), count, marks)
    new = f'{_into(table, columns)} VALUES {places} ON CONFLICT DO NOTHING RETURNING "{returning}"'
    parts = [f"new AS ({new})"]
    for number, (other, names, many) in enumerate(others):
        types = [f"::{_type_name(other.columns[name], dialect)}" for name in names]
        given = f"SELECT * FROM (VALUES {_tuples(types, many, marks)}) AS given"  # noqa: S608 -- names of ours
        is_all = f"(SELECT count(*) FROM new) = {count}"  # noqa: S608 -- names of ours
        parts.append(f"other_{number} AS ({_into(other, names)} {given} WHERE {is_all})")
    return f'WITH {", ".join(parts)} SELECT "{returning}" FROM new'  # noqa: S608 -- names of ours


def _into(table: Table, columns: Iterable[str]) -> str:
    names = ", ".join(f'"{name}"' for name in columns)
    return f'INSERT INTO "{table.name}" ({names})'


def _tuples(types: Sequence[str], count: int, marks: Iterator[str]) -> str:
    """Places for the values of so many rows, the first of them with the columns' types."""
    first = f"({', '.join(f'{next(marks)}{type_name}' for type_name in types)})"
    rest = [f"({', '.join(next(marks) for _ in types)})" for _ in range(count - 1)]
    return ", ".join([first, *rest])


def _marks(style: str) -> Iterator[str]:
    if style == DOLLARS:
        return (f"${number}" for number in itertools.count(1))
    return itertools.repeat("?" if style == "qmark" else "%s")


def _type_name(column: Column[Any], dialect: Dialect) -> str:
    """Without its length: a cast would cut off what is too long, where an INSERT refuses it."""
    return column.type.compile(dialect).partition("(")[0]


@lru_cache(maxsize=64)
def _converts(
    table: Table, columns: tuple[str, ...], dialect: Dialect
) -> tuple[tuple[int, Convert], ...]:
    """What SQLAlchemy's types would do to values on their way to the driver, by their position."""
    converts = (_convert(table.columns[name], dialect) for name in columns)
    return tuple((i, convert) for i, convert in enumerate(converts) if convert is not None)


def _convert(column: Column[Any], dialect: Dialect) -> Convert | None:
    return column.type.dialect_impl(dialect).bind_processor(dialect)
