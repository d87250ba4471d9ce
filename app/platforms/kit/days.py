"""Names the day of an action that carries no time or id of its own.

Such an action may be told twice, under two delivery ids. One account does it at most once a day;
with the day before among the former keys, midnight between the two does not make it two.
"""

from datetime import datetime, timedelta


def days(at: datetime) -> dict[str, str]:
    """What a `Kind`'s paths ``day`` and ``day_before`` lead to, in UTC."""
    today = at.date()
    return {"day": today.isoformat(), "day_before": (today - timedelta(days=1)).isoformat()}
