"""What time is it, and how do we name things in time order?"""

import os
import random
import uuid
from datetime import UTC, datetime, timedelta

# Ids must differ, not be secret. Asking the kernel each time would hand the interpreter to another
# thread twice for every event. A forked process begins anew, or it would repeat its parent's ids.
_CHANCE = random.Random()
os.register_at_fork(after_in_child=_CHANCE.seed)

_CLOCKS_DIFFER_SECONDS = 60.0


def utc_now() -> datetime:
    return datetime.now(UTC)


def latest(now: datetime, seconds_ahead: float = 0) -> datetime:
    """The latest time to believe of what can lie at most so many seconds ahead.

    What lies further ahead was written by a clock that was wrong, and would hold up everybody
    until then.
    """
    return now + timedelta(seconds=seconds_ahead + _CLOCKS_DIFFER_SECONDS)


def is_still_to_come(at: datetime | None, now: datetime, seconds_ahead: float) -> bool:
    """Whether a time is still to come that can lie at most so many seconds ahead."""
    return at is not None and now < at <= latest(now, seconds_ahead)


def format_time(moment: datetime) -> str:
    """Always in UTC and with microseconds, so that times sort as texts."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def new_id(now: datetime) -> str:
    """A version 7 UUID (RFC 9562, section 5.7): later ones sort after earlier ones."""
    milliseconds = _milliseconds(now)
    chance = _CHANCE.getrandbits(80)
    value = milliseconds << 80 | 0x7 << 76 | (chance >> 64 & 0xFFF) << 64
    return str(uuid.UUID(int=value | 0b10 << 62 | chance & (1 << 62) - 1))


def least_id(moment: datetime) -> str:
    """What no id is less than that was made at this time or later."""
    return str(uuid.UUID(int=_milliseconds(moment) << 80))


def _milliseconds(moment: datetime) -> int:
    return max(0, int(moment.timestamp() * 1000)) & (1 << 48) - 1
