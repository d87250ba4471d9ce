"""How is a list of a customer's records read, page by page?"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from app.domain.confirmation import Grant
from app.gameball import reading
from app.gameball.reading import Failure, Json, NotReadable

# Both lists' documented maximum.
PAGE = 200

# What a row says: campaigns by id or name, each with its reward; None: it could not be made out.
ReadRow = Callable[[Json], "Iterable[tuple[str, Grant | None]]"]


@dataclass(frozen=True, slots=True)
class Page:
    """One page of a customer's records. ``next_after`` is where the next one begins.

    ``by_key``: the rewards it shows, by campaign id or name. Keys in ``unclear`` have a record
    that could not be read, so that nobody can say what is not there.
    """

    by_key: dict[str, list[Grant]] = field(default_factory=dict)
    unclear: frozenset[str] = frozenset()
    next_after: int | None = None


def page_of(answer: object, name: str, id_name: str, after: int, read: ReadRow) -> Page:
    """A page out of the documented envelope of a list, its count and ``hasMore``."""
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
    """An id, the same text whether it came as a number or as a string; without one, the time.

    Two rewards of one moment are one then: better one unconfirmed than one credited twice.
    """
    number = reading.whole(value)
    named = str(number) if number is not None else reading.text(value, 100)
    return named or f"at {at and at[0].isoformat()}"
