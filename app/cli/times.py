"""Which moment does a person mean, and how long ago was it?"""

import re
from datetime import UTC, datetime, timedelta

import click

from app.domain.clock import utc_now
from app.settings.durations import parse_duration

FORMS = "ISO 8601 (UTC without an offset), seconds since 1970, or a span such as 24h: so long ago"
_UNITS = (("year", 31_557_600), ("day", 86_400), ("hour", 3_600), ("minute", 60), ("second", 1))
_UNIX = re.compile(r"[0-9]{1,11}(\.[0-9]{1,9})?", re.ASCII)


def moment(
    _ctx: click.Context | None, _param: click.Parameter | None, value: str | None
) -> datetime | None:
    """Read an option's value; a callback for `click.option`."""
    if value is None:
        return None
    try:
        return _parsed(value.strip())
    except (ValueError, OverflowError):
        raise click.BadParameter(f"write {FORMS}") from None


def span(difference: timedelta) -> str:
    """A length of time in its largest unit: ``7 years``, ``1 hour``."""
    seconds = abs(difference).total_seconds()
    unit, size = next(((u, s) for u, s in _UNITS if seconds >= s), _UNITS[-1])
    count = int(seconds // size)
    return f"{count} {unit}{'' if count == 1 else 's'}"


def _parsed(text: str) -> datetime:
    if _UNIX.fullmatch(text):
        return datetime.fromtimestamp(float(text), UTC)
    if text[-1:] in "smhdw" and text[:1].isdigit():
        return utc_now() - timedelta(seconds=float(str(parse_duration(text))))
    parsed = datetime.fromisoformat(text)
    return parsed.replace(tzinfo=UTC) if parsed.tzinfo is None else parsed.astimezone(UTC)
