"""Any time that the service may meet, in zones that bring trouble."""

from datetime import UTC, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

from hypothesis import strategies as st

_ZONES = (
    UTC,
    timezone(timedelta(hours=14)),
    timezone(timedelta(hours=-12)),
    timezone(timedelta(hours=5, minutes=45, seconds=7)),
    ZoneInfo("America/New_York"),
    ZoneInfo("Asia/Magadan"),
    ZoneInfo("Australia/Lord_Howe"),
)

MOMENTS = st.datetimes(
    min_value=datetime(1971, 1, 1),  # noqa: DTZ001 -- hypothesis adds the zone
    max_value=datetime(2999, 12, 31),  # noqa: DTZ001
    timezones=st.sampled_from(_ZONES),
)


def _as_written(at: datetime) -> datetime:
    return datetime.fromisoformat(at.isoformat())


# As one reads them: with an offset. A time of a zone that happens twice equals no other at all.
WRITTEN_MOMENTS = MOMENTS.map(_as_written)
