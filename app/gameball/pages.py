"""Read the paged lists of a customer's records."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from app.domain.confirmation import Grant
from app.gameball import reading
from app.gameball.reading import Failure, Json, NotReadable

# The documented maximum of both lists.
PAGE = 200

# A row's campaigns by id or name, each with its reward; None: the reward was unreadable.
ReadRow = Callable[[Json], "Iterable[tuple[str, Grant | None]]"]


@dataclass(frozen=True, slots=True)
class Page:
    """One page of a customer's records. ``next_after`` is the start of the next page.

    ``by_key``: its rewards by campaign id or name. Keys in ``unclear`` have an unreadable record,
    so that nobody can know what is missing.
    """

    by_key: dict[str, list[Grant]] = field(default_factory=dict)
    unclear: frozenset[str] = frozenset()
    next_after: int | None = None


def page_of(answer: object, name: str, id_name: str, after: int, read: ReadRow) -> Page:
    """Read a page from a list's documented envelope with its count and ``hasMore``."""
    listed = reading.field(answer, name) if isinstance(answer, dict) else None
    if not isinstance(answer, dict) or not isinstance(listed, list):
        raise NotReadable(Failure.JUNK)
    rows = list(reading.rows(listed))
    by_key: dict[str, list[Grant]] = {}
    unclear = set()
    for key, grant in (pair for row in rows for pair in read(row)):
        if grant is None:
            unclear.add(key)
        else:
            by_key.setdefault(key, []).append(grant)
    numbers = [reading.whole(reading.field(row, id_name)) for row in rows]
    last = max((number for number in numbers if number is not None), default=0)
    has_more = reading.truth(reading.field(answer, "hasMore")) is True
    if has_more and last <= after:
        raise NotReadable(Failure.JUNK)  # it would never end
    return Page(by_key, frozenset(unclear), last if has_more else None)


def reference_of(value: object, at: tuple[datetime, timedelta] | None) -> str:
    """Return an id as the same text for a number or a string; without an id, the time.

    Two rewards at the same moment then count as one: an unconfirmed reward is better than one that
    is credited twice.
    """
    number = reading.whole(value)
    named = str(number) if number is not None else reading.text(value, 100)
    return named or f"at {at and at[0].isoformat()}"
