"""Insert many rows with one statement whose text is built once for each number of rows."""

# An intake writes to four tables. SQLAlchemy would take as long as the database to compile its
# statements each time. `executemany` would release the interpreter to another thread for every row.

import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from sqlalchemy import Column, Connection, Dialect, Table

from app.storage.tables import Base

# SQLite accepts 32,766 parameters per statement, PostgreSQL 65,535 (a 16-bit count).
_MOST_PARAMETERS = 16_000

Row = Mapping[str, Any]
Convert = Callable[[Any], Any]
Statement = tuple[str, tuple[Any, ...]]
Some = tuple[type[Base], Sequence[Row]]
_Shape = tuple[Table, tuple[str, ...], int]

DOLLARS = "numeric_dollar"


def insert_rows(connection: Connection, kind: type[Base], rows: Sequence[Row]) -> int:
    """Insert rows that all have the same columns, and return how many were inserted.

    Rows that violate a unique constraint are skipped. Raises SQLAlchemy's errors.
    """
    marks = connection.dialect.paramstyle
    statements = insert_statements(connection, kind, rows, marks)
    return sum(connection.exec_driver_sql(text, values).rowcount for text, values in statements)


def insert_statements(
    connection: Connection, kind: type[Base], rows: Sequence[Row], marks: str = DOLLARS
) -> list[Statement]:
    """Return the statements that `insert_rows` runs, nearly always a single one.

    ``marks``: the placeholder style, one of PEP 249's paramstyles or `DOLLARS`.
    """
    if not rows:
        return []
    at_once = _MOST_PARAMETERS // len(rows[0])
    statements = []
    for start in range(0, len(rows), at_once):
        part = _Rows.of(connection, kind, rows[start : start + at_once])
        statements.append((_insert_text(part.table, part.columns, part.count, marks), part.values))
    return statements


def insert_if_all_new(
    connection: Connection, first: Some, returning: str, *others: Some
) -> Statement | None:
    """Return a PostgreSQL statement that inserts ``others`` only if all rows of ``first`` are new.

    The statement returns the column ``returning`` of the new rows of ``first``. Returns None when
    there are too many rows for one statement.
    """
    tables = [_Rows.of(connection, kind, rows) for kind, rows in (first, *others)]
    values = tuple(value for rows in tables for value in rows.values)
    if len(values) > _MOST_PARAMETERS:
        return None
    shapes = tuple((rows.table, rows.columns, rows.count) for rows in tables)
    return _if_all_new_text(shapes, returning, connection.dialect), values


@dataclass(frozen=True, slots=True, kw_only=True)
class _Rows:
    """Rows of one table as a flat sequence of values, as the driver takes them."""

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
        return cls(table=table, columns=columns, count=len(rows), values=tuple(values))


@lru_cache(maxsize=512)
def _insert_text(table: Table, columns: tuple[str, ...], count: int, marks: str) -> str:
    values = _tuples([""] * len(columns), count, _marks(marks))
    return f"{_into(table, columns)} VALUES {values} ON CONFLICT DO NOTHING"


@lru_cache(maxsize=512)
def _if_all_new_text(shapes: tuple[_Shape, ...], returning: str, dialect: Dialect) -> str:
    """Build the text. Selected rows take no types from their target table, so we cast the first."""
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
    """Return placeholders for ``count`` rows; those of the first row name the columns' types."""
    first = f"({', '.join(f'{next(marks)}{type_name}' for type_name in types)})"
    rest = [f"({', '.join(next(marks) for _ in types)})" for _ in range(count - 1)]
    return ", ".join([first, *rest])


def _marks(style: str) -> Iterator[str]:
    if style == DOLLARS:
        return (f"${number}" for number in itertools.count(1))
    return itertools.repeat("?" if style == "qmark" else "%s")


def _type_name(column: Column[Any], dialect: Dialect) -> str:
    """Return the type without its length: a cast would truncate what an INSERT refuses."""
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
