"""Names the day of an action that carries no time or id of its own."""

# A platform may deliver such an action twice, under two delivery ids. One account does it at most
# once a day. The day before is among the former keys, so that a delivery after midnight is not a
# second action.

from datetime import datetime, timedelta


def days(at: datetime) -> dict[str, str]:
    """Return the values for an `EventMapping`'s paths ``day`` and ``day_before``, in UTC."""
    today = at.date()
    return {"day": today.isoformat(), "day_before": (today - timedelta(days=1)).isoformat()}
