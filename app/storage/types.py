"""Column types for UTC times and sealed values that behave the same on both databases."""

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import DateTime, Dialect, LargeBinary
from sqlalchemy.types import TypeDecorator


class UtcDateTime(TypeDecorator[datetime]):
    """An aware UTC time. SQLite stores no zone and would return a naive one."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        value = _in_utc(value)
        return value.replace(tzinfo=None) if dialect.name == "sqlite" else value

    def bind_processor(self, dialect: Dialect) -> Any:
        """SQLAlchemy's own way to the same text takes a callback five times as long."""
        return _text_if_any if dialect.name == "sqlite" else super().bind_processor(dialect)

    def process_result_value(self, value: datetime | None, _dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


def _in_utc(value: datetime) -> datetime:
    if value.tzinfo is None:
        raise ValueError("a time without a zone was about to be stored")
    return value.astimezone(UTC)


def sqlite_time(value: datetime) -> str:
    """A time as SQLAlchemy's DateTime keeps it in SQLite."""
    # Nearly all are in UTC already; asking for it again takes longer than the rest.
    moment = value if value.tzinfo is UTC else _in_utc(value)
    return moment.isoformat(" ", "microseconds")[:26]


def _text_if_any(value: datetime | None) -> str | None:
    return None if value is None else sqlite_time(value)


class Sealed(bytes):
    """A value that `app.storage.vault` sealed."""

    __slots__ = ()


class _SealedColumn(TypeDecorator[Sealed]):
    """Accepts only sealed values: an unsealed value is refused instead of stored."""

    impl = LargeBinary
    cache_ok = True

    def process_bind_param(self, value: Sealed | None, _dialect: Dialect) -> Sealed | None:
        if value is not None and not isinstance(value, Sealed):
            raise TypeError("a personal value was about to be stored unsealed")
        return value

    def process_result_value(self, value: bytes | None, _dialect: Dialect) -> Sealed | None:
        return None if value is None else Sealed(value)


class SealedText(_SealedColumn):
    """A sealed text."""

    cache_ok = True


class SealedBytes(_SealedColumn):
    """Sealed bytes."""

    cache_ok = True
