"""Read times from the command line and format spans of time."""

import re
from datetime import UTC, datetime, timedelta

import click

from app.domain.clock import utc_now

FORMS = (
    "ISO 8601 (UTC without an offset), seconds since 1970, a span such as 24h: so long ago; or"
    " today, yesterday, monday, ...: when that day last began, in UTC"
)
_WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_UNITS = (("year", 31_557_600), ("day", 86_400), ("hour", 3_600), ("minute", 60), ("second", 1))
_UNIX = re.compile(r"[0-9]{1,11}(\.[0-9]{1,9})?", re.ASCII)


def moment(
    _ctx: click.Context | None, _param: click.Parameter | None, value: str | None
) -> datetime | None:
    """Read an option's value. A callback for `click.option`."""
    if value is None:
        return None
    try:
        return _parsed(value.strip())
    except (ValueError, OverflowError):
        raise click.BadParameter(f"write {FORMS}") from None


def span(difference: timedelta) -> str:
    """Format a span of time in its largest unit: ``7 years``, ``1 hour``."""
    seconds = abs(difference).total_seconds()
    unit, size = next(((u, s) for u, s in _UNITS if seconds >= s), _UNITS[-1])
    count = int(seconds // size)
    return f"{count} {unit}{'' if count == 1 else 's'}"


def _parsed(text: str) -> datetime:
    if _UNIX.fullmatch(text):
        return datetime.fromtimestamp(float(text), UTC)
    if text.lower() in ("today", "yesterday", *_WEEKDAYS):
        return _day(text.lower())
    if text[-1:] in "smhdw" and text[:1].isdigit():
        from app.settings.durations import parse_duration

        return utc_now() - timedelta(seconds=float(str(parse_duration(text))))
    parsed = datetime.fromisoformat(text)
    return parsed.replace(tzinfo=UTC) if parsed.tzinfo is None else parsed.astimezone(UTC)


def _day(name: str) -> datetime:
    """Return when a day last began, in UTC. ``monday`` on a Monday is today."""
    today = utc_now().replace(hour=0, minute=0, second=0, microsecond=0)
    if name in _WEEKDAYS:
        return today - timedelta(days=(today.weekday() - _WEEKDAYS.index(name)) % 7)
    return today - timedelta(days=name == "yesterday")
