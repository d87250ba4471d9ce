"""Read single values from an untrusted payload. Every failure is `Malformed`."""

import json
import math
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, NoReturn
from urllib.parse import parse_qsl

from app.domain.events import Event
from app.domain.texts import is_blank, is_written, written
from app.platforms.kit.callback import Malformed, Reading

MAX_TEXT = 255
_MOST_FIELDS = 200
_EARLIEST = datetime(2005, 1, 1, tzinfo=UTC)
_LATEST = datetime(2100, 1, 1, tzinfo=UTC)


def json_object(body: bytes) -> dict[str, Any]:
    """Parse a JSON object; NaN, infinity, other encodings and deep nesting are refused."""
    try:
        value = _DECODER.decode(body.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise Malformed(f"the body is not JSON: {type(error).__name__}") from None
    return obj(value, "the body")


def form(body: bytes) -> dict[str, str]:
    """Parse a form. The first value of a repeated name wins."""
    try:
        pairs = parse_qsl(
            body.decode("utf-8"), True, True, errors="strict", max_num_fields=_MOST_FIELDS
        )
    except ValueError as error:
        raise Malformed(f"the body is not a form: {type(error).__name__}") from None
    return dict(reversed(pairs))


def json_or_payload(body: bytes) -> dict[str, Any]:
    """Parse a JSON object, or a form whose field ``payload`` is one."""
    if not body.startswith(b"payload="):
        return json_object(body)
    return json_object(form(body)["payload"].encode("utf-8", "surrogatepass"))


def obj(value: object, what: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise Malformed(f"{what} is not a JSON object")
    return value


def array(value: object, what: str) -> list[Any]:
    if not isinstance(value, list):
        raise Malformed(f"{what} is not a JSON array")
    return value


def listed(value: object) -> list[Any]:
    """Return the items of a list that may be absent; any other value is the only item."""
    if value is None:
        return []
    return value if isinstance(value, list) else [value]


def dig(value: object, path: str) -> Any:
    """Follow ``a.b.c`` through nested objects; None where any step is absent."""
    for step in _steps(path):
        value = value.get(step) if isinstance(value, dict) else None
    return value


@lru_cache(maxsize=1024)
def _steps(path: str) -> tuple[str, ...]:
    return tuple(path.split("."))


def text(value: object, what: str, limit: int = MAX_TEXT) -> str:
    """A short text on one line; platforms send ids as strings or as integers."""
    # Nearly every id is plain ASCII, and needs no closer look.
    if (
        isinstance(value, str)
        and 0 < len(value) <= limit
        and value.isascii()
        and value.isprintable()
        and not value.isspace()
    ):
        return value
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) < 10**30:
        return str(value)
    if not isinstance(value, str):
        raise Malformed(f"{what} is missing or not a string")
    if len(value) > limit or is_blank(value) or not is_written(value):
        raise Malformed(f"{what} is blank, longer than {limit} characters or not a line of text")
    return value


def joined(separator: str, *values: object) -> str | None:
    """Join several values, such as the ids of a chat and a message; None when any is missing."""
    if any(value is None for value in values):
        return None
    return separator.join(text(value, "a part of an id") for value in values)


def optional_text(value: object, what: str, limit: int = MAX_TEXT) -> str | None:
    return None if value is None or value == "" else text(value, what, limit)


def label(value: object) -> str | None:
    """Return a name for display. It decides nothing, so no odd name makes an event malformed.

    The name is kept as written, apart from characters that cannot be stored and excess length.
    """
    if not isinstance(value, str):
        return None
    name = written(value[:MAX_TEXT])
    return None if is_blank(name) else name


def unix_time(value: object, what: str, per_second: int = 1) -> datetime:
    """Read a time in units of 1/``per_second`` seconds since 1970, as a number or digits."""
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise Malformed(f"{what} is missing or not a number")
    if isinstance(value, str) and not (value.isascii() and value.isdigit() and len(value) < 20):
        raise Malformed(f"{what} is not a number")
    try:
        moment = datetime.fromtimestamp(int(value) / per_second, UTC)
    except (ValueError, OverflowError, OSError):
        raise Malformed(f"{what} is out of range") from None
    return _plausible(moment, what)


def unix_ms_time(value: object, what: str) -> datetime:
    return unix_time(value, what, per_second=1000)


def iso_time(value: object, what: str) -> datetime:
    """Read an ISO 8601 time; without an offset it is UTC. Digits after microseconds are dropped."""
    if not isinstance(value, str) or len(value) > 40 or "T" not in value:
        raise Malformed(f"{what} is missing or not an ISO 8601 time")
    try:
        moment = datetime.fromisoformat(value)
        moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, OverflowError):
        raise Malformed(f"{what} is not an ISO 8601 time") from None
    return _plausible(moment, what)


def formatted_time(value: object, what: str, pattern: str) -> datetime:
    """Read a time with an offset by a pattern of `datetime.strptime`."""
    try:
        moment = datetime.strptime(text(value, what, 40), pattern).astimezone(UTC)
    except (ValueError, OverflowError):
        raise Malformed(f"{what} is not a time of the form {pattern}") from None
    return _plausible(moment, what)


def read_each(items: Iterable[Any], read: Callable[[Any], Event | str]) -> Reading:
    """Read a batch in which one bad item must not affect the others.

    ``read`` returns an event, or the reason for ignoring the item. The batch is `Malformed` only
    when no item could be read.
    """
    results: list[Event | str] = []
    malformed: list[str] = []
    for item in items:
        try:
            results.append(read(item))
        except Malformed as refusal:
            malformed.append(refusal.reason)
    if malformed and not results:
        raise Malformed(malformed[0])
    return Reading.of_all([*results, *(f"malformed: {reason}" for reason in malformed)])


def compact_json(value: object) -> bytes:
    """Serialise a part of a parsed `json_object`."""
    try:
        # ASCII, because JSON can hold half a surrogate pair, which UTF-8 cannot.
        return json.dumps(value, separators=(",", ":"), allow_nan=False).encode("ascii")
    except (ValueError, RecursionError) as error:
        raise Malformed(f"a part of the body is not JSON: {type(error).__name__}") from None


def _plausible(moment: datetime, what: str) -> datetime:
    if not _EARLIEST <= moment <= _LATEST:
        raise Malformed(f"{what} is out of range")
    return moment


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _finite_float(digits: str) -> float:
    number = float(digits)
    if not math.isfinite(number):
        raise ValueError("a number is too large")
    return number


# Made once: `json.loads` makes one for each body that is not read in the usual way.
_DECODER = json.JSONDecoder(parse_constant=_no_constant, parse_float=_finite_float)
