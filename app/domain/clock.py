"""The current time, and ids that sort by time."""

import os
import random
from datetime import UTC, datetime, timedelta

# Ids must be unique, not secret. `os.urandom` would release the GIL twice for every event. A
# forked process needs a new seed, or it would repeat its parent's ids.
_CHANCE = random.Random()
os.register_at_fork(after_in_child=_CHANCE.seed)

_CLOCKS_DIFFER_SECONDS = 60.0


def utc_now() -> datetime:
    """The current time, aware and in UTC."""
    return datetime.now(UTC)


def iso_utc(moment: datetime) -> str:
    """Format a time for programs: in UTC with six digits of a second.

    All results have the same width, so they sort as the times do.
    """
    return moment.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"


def to_the_minute(moment: datetime) -> str:
    """Format a time in UTC for people."""
    return f"{moment:%Y-%m-%d %H:%M} UTC"


def latest(now: datetime, seconds_ahead: float = 0) -> datetime:
    """The latest credible time, for times that lie at most ``seconds_ahead`` in the future.

    A later time was written by a wrong clock. It would block everybody until then.
    """
    return now + timedelta(seconds=seconds_ahead + _CLOCKS_DIFFER_SECONDS)


def is_still_to_come(at: datetime | None, now: datetime, seconds_ahead: float) -> bool:
    """Whether a time is in the future, but no more than ``seconds_ahead`` can explain."""
    return at is not None and now < at <= latest(now, seconds_ahead)


def new_id(now: datetime) -> str:
    """A version 7 UUID (RFC 9562, section 5.7). Ids sort by their millisecond."""
    milliseconds = _milliseconds(now)
    chance = _CHANCE.getrandbits(80)
    value = milliseconds << 80 | 0x7 << 76 | (chance >> 64 & 0xFFF) << 64
    return _written(value | 0b10 << 62 | chance & (1 << 62) - 1)


def least_id(moment: datetime) -> str:
    """The smallest id that could have been created at ``moment``."""
    return _written(_milliseconds(moment) << 80)


def _written(value: int) -> str:
    """Format like `uuid.UUID` in a third of the time: each event needs several ids."""
    digits = f"{value:032x}"
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


def _milliseconds(moment: datetime) -> int:
    return max(0, int(moment.timestamp() * 1000)) & (1 << 48) - 1
