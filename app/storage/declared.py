"""Tables written as classes of annotated columns, without SQLAlchemy's ORM."""

# No session and no mapped object is used here, and importing the ORM takes a quarter of a second.
# The syntax is that of `sqlalchemy.orm`, whose types the type checker sees.

from collections.abc import Iterator
from datetime import datetime
from types import NoneType, UnionType
from typing import Annotated, Any, ClassVar, Generic, TypeVar, Union, get_args, get_origin

from sqlalchemy import Boolean, Column, DateTime, Double, ForeignKey, Integer, MetaData, Table

T = TypeVar("T")

_TYPES = {bool: Boolean, datetime: DateTime, float: Double, int: Integer}


class Mapped(Generic[T]):
    """Marks a column: ``Mapped[int]``, ``Mapped[Moment | None]``."""


class mapped_column:  # noqa: N801 -- the ORM's name for it
    """What `sqlalchemy.Column` is given, besides its name."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        self._arguments = arguments
        self._options = options

    def column(self, name: str, kind: Any, *, is_nullable: bool) -> Column[Any]:
        # A key belongs to one column, and an annotation may serve several.
        own = [_own(a) if isinstance(a, ForeignKey) else a for a in self._arguments]
        # With a foreign key alone, the type is that of the column it names.
        if kind in _TYPES and not own:
            own.append(_TYPES[kind]())
        is_key = self._options.get("primary_key", False)
        return Column(name, *own, **{"nullable": is_nullable and not is_key, **self._options})


def _own(key: ForeignKey) -> ForeignKey:
    return ForeignKey(key.target_fullname, deferrable=key.deferrable, initially=key.initially)


class _Tables(type):
    """A class of columns stands for its table wherever SQLAlchemy takes one."""

    __table__: Table
    metadata: MetaData

    def __new__(cls, name: str, bases: tuple[type, ...], members: dict[str, Any]) -> "_Tables":
        made = super().__new__(cls, name, bases, members)
        if "__tablename__" in members:
            columns = list(_columns(members))
            others = members.get("__table_args__", ())
            made.__table__ = Table(members["__tablename__"], made.metadata, *columns, *others)
            for column in columns:
                setattr(made, column.key, column)
        return made

    def __clause_element__(cls) -> Table:
        return cls.__table__


class DeclarativeBase(metaclass=_Tables):
    """The base of all tables; one that has a ``__tablename__`` is a table."""

    metadata: ClassVar[MetaData]


class _Alias:
    def __init__(self, table: Table) -> None:
        self._alias = table.alias()

    def __getattr__(self, name: str) -> Any:
        if name not in self._alias.c:
            raise AttributeError(name)
        return self._alias.c[name]

    def __clause_element__(self) -> Any:
        return self._alias


def aliased(kind: type[DeclarativeBase]) -> Any:
    """The same table under another name, its columns as attributes."""
    return _Alias(kind.__table__)


def _columns(members: dict[str, Any]) -> Iterator[Column[Any]]:
    for name, annotation in members["__annotations__"].items():
        if get_origin(annotation) is not Mapped:
            continue
        kind, is_nullable = _without_none(get_args(annotation)[0])
        shared: Any = None
        if get_origin(kind) is Annotated:
            kind, shared = get_args(kind)
        declared = members.get(name) or shared or mapped_column()
        yield declared.column(name, kind, is_nullable=is_nullable)


def _without_none(annotation: Any) -> tuple[Any, bool]:
    """A type without `None`, and whether that was one of its choices."""
    if get_origin(annotation) not in (Union, UnionType):
        return annotation, False
    [kind] = (choice for choice in get_args(annotation) if choice is not NoneType)
    return kind, True
