"""Read Gameball's answers, tolerating its inconsistent forms."""

import json
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any

from app.domain.answers import Outcome, read_answer
from app.domain.texts import written
from app.gameball.client import GameballClient, NoAnswer, NotSent, path_of

Json = Mapping[str, Any]

_LARGEST = 10**18
_MONTHS = (
    *("january", "february", "march", "april", "may", "june"),
    *("july", "august", "september", "october", "november", "december"),
)
# "October 20, 2024" in https://docs.gameball.co/api-reference/openapi.json
_DAY = re.compile(r"([A-Za-z]+)\s+([0-9]{1,2}),?\s+([0-9]{4})", re.ASCII)


class Failure(StrEnum):
    """Why a read returned nothing. Not stored; counted under these words."""

    NO_ANSWER = "no_answer"
    TOO_FAST = "too_fast"
    BLOCKED = "blocked"  # our credentials, plan or program
    REFUSED = "refused"  # any other refusal, such as an unknown customer
    JUNK = "junk"  # a 200 with an undocumented body


class NotReadable(Exception):  # noqa: N818 -- reads as the claim it makes
    """A read returned nothing usable."""

    def __init__(self, failure: Failure, retry_after_seconds: float | None = None) -> None:
        super().__init__(failure)
        self.failure = failure
        self.retry_after_seconds = retry_after_seconds


_FAILURES: Mapping[Outcome, Failure] = {
    Outcome.TOO_FAST: Failure.TOO_FAST,
    Outcome.BLOCKED: Failure.BLOCKED,
    Outcome.UNKNOWN: Failure.NO_ANSWER,
    Outcome.BUSY: Failure.NO_ANSWER,
}


def customer_path(customer_id: str, rest: str) -> str:
    return f"customers/{path_of(customer_id)}/{rest}"


def get(client: GameballClient, path: str, params: dict[str, str]) -> Any:
    """Return the JSON of a GET. Raises `NotReadable`."""
    try:
        reply = client.call("GET", path, params=params)
    except (NotSent, NoAnswer):
        raise NotReadable(Failure.NO_ANSWER) from None
    if reply.status != 200:
        answer = read_answer(reply.status, reply.body, reply.retry_after_seconds)
        failure = _FAILURES.get(answer.outcome, Failure.REFUSED)
        raise NotReadable(failure, answer.retry_after_seconds)
    try:
        return json.loads(reply.body)
    except (ValueError, RecursionError):
        raise NotReadable(Failure.JUNK) from None


def rows(value: object) -> Iterator[Json]:
    """Yield the objects of a list; other items are left out."""
    return (row for row in value if isinstance(row, dict)) if isinstance(value, list) else iter(())


def field(row: Json, name: str) -> Any:
    """Return a member by its documented name, or by one with swapped letters or other case.

    Real answers say `avaliablePointsBalance` where the documentation says `available…`.
    """
    if name in row:
        return row[name]
    letters = _letters(name)
    return next((value for key, value in row.items() if _letters(key) == letters), None)


def _letters(name: str) -> str:
    return "".join(sorted(name.lower().replace("_", "")))


def whole(value: object) -> int | None:
    """Return an integer: Gameball writes the same one as a number or as a string."""
    amount = number(value)
    return int(amount) if amount is not None and amount == int(amount) else None


def number(value: object) -> float | int | None:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        amount = _parsed(value) if isinstance(value, str) else value
    except ValueError:
        return None
    # Infinity and NaN fail both comparisons.
    return amount if -_LARGEST < amount < _LARGEST else None


def _parsed(value: str) -> float | int:
    if not value.isascii():
        raise ValueError("digits of another script")
    return int(value) if value.strip().isdigit() else float(value)


def truth(value: object) -> bool | None:
    """Return true, false, or None for anything else. `number|null` occurs too."""
    if isinstance(value, str):
        return {"true": True, "false": False}.get(value.strip().lower())
    if isinstance(value, bool | int):
        return {1: True, 0: False}.get(value)
    return None


def text(value: object, most: int = 255) -> str | None:
    if not isinstance(value, str) or not value.strip():
        return None
    return written(value[:most], instead=" ")


def moment(value: object) -> tuple[datetime, timedelta] | None:
    """Return a time in UTC, and by how much its format may understate it."""
    if not isinstance(value, str):
        return None
    try:
        read = datetime.fromisoformat(value.strip())
        read = read.astimezone(UTC) if read.tzinfo else read.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        return None
    return read, _left_open(value.strip())


def _left_open(written: str) -> timedelta:
    if "." in written or "," in written:
        return timedelta(milliseconds=1)
    colons = written[:19].count(":")
    return (timedelta(days=1), timedelta(minutes=1), timedelta(seconds=1))[min(colons, 2)]


def day_and_time(day: object, time: object) -> tuple[datetime, timedelta] | None:
    """Parse an activity's "October 20, 2024" and "19:27:33", without a zone, as UTC."""
    if not isinstance(day, str) or not isinstance(time, str):
        return None
    found = _DAY.fullmatch(day.strip())
    if found is None or found[1].lower() not in _MONTHS:
        return moment(f"{day.strip()}T{time.strip()}")
    month = _MONTHS.index(found[1].lower()) + 1
    return moment(f"{found[3]}-{month:02}-{int(found[2]):02}T{time.strip()}")
