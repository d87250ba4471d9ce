"""A database with rows in every table, whatever tables there are, made from their descriptions."""

from datetime import timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Connection,
    Double,
    Float,
    Integer,
    LargeBinary,
    Numeric,
    SmallInteger,
    String,
    Table,
    Uuid,
    insert,
    select,
)

from app.storage.copy import restart_sequences, tables
from app.storage.engines import write_engine
from app.storage.tables import AttemptRow
from app.storage.types import Sealed, SealedBytes, SealedText, UtcDateTime
from tests.clock import START

ROWS = 7
Rows = dict[str, list[dict[str, Any]]]


def fill(url: str) -> Rows:
    """Put rows into every table; all that is there then."""
    engine = write_engine(url)
    try:
        with engine.begin() as connection:
            made: Rows = {}
            for table in tables():
                connection.execute(table.delete())
                rows = made[table.name] = [_row(table, n, made) for n in range(ROWS)]
                connection.execute(insert(table), rows)
                restart_sequences(connection, table)
        return contents(url)
    finally:
        engine.dispose()


def contents(url: str) -> Rows:
    """Every row of every table, by primary key."""
    engine = write_engine(url)
    try:
        with engine.begin() as connection:
            return {table.name: _rows(connection, table) for table in tables()}
    finally:
        engine.dispose()


def _rows(connection: Connection, table: Table) -> list[dict[str, Any]]:
    found = connection.execute(select(table)).mappings().all()
    return sorted(map(dict, found), key=lambda row: str([row[c.name] for c in table.primary_key]))


def _row(table: Table, number: int, made: Rows) -> dict[str, Any]:
    return {column.name: _value(column, number, made) for column in table.columns}


def _value(column: Column[Any], number: int, made: Rows) -> Any:
    for key in column.foreign_keys:
        return made[key.column.table.name][number][key.column.name]
    # Every other row leaves out what may be left out.
    if column.nullable and number % 2:
        return None
    # States are words of ours; what reads the rows knows no others.
    if column is AttemptRow.__table__.c.state:
        return "due"
    return _of_type(column.type, number)


def _of_type(kind: Any, number: int) -> Any:
    match kind:
        case UtcDateTime():
            return START + timedelta(days=number, microseconds=number)
        case Uuid():
            return str(UUID(int=(number + 1) << 70 | 0x7F))
        case Boolean():
            return number % 3 == 0
        case SealedText() | SealedBytes():
            return Sealed(bytes(range(256)) * (number + 1))
        case LargeBinary():
            return bytes(range(256)) * (number + 1)
        case JSON():
            return {"b": [number, None, "ü"], "a": {"c": 1.5}}
        case Float() | Double() | Numeric():
            return number + 0.1
        case BigInteger() | Integer() | SmallInteger():
            return number + 1
        case String():
            # As long as it may be, in letters of two and four bytes.
            return f"{number}-äß𝄞-\"'%s\\n\n".ljust(kind.length or 300, "é")[: kind.length]
    raise TypeError(f"no example of a {kind!r} yet: add one here")
