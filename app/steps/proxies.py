"""Warns about a proxy that the settings do not mention."""

from datetime import datetime, timedelta

from sqlalchemy import Connection, select

from app.storage.tables import SourceRow

# Stored with the sightings of sources. It is not a valid name of a source.
SIGHTED_AS = "(proxy)"
# Headers in which proxies write the client's address.
HEADERS = ("X-Forwarded-For", "Forwarded", "X-Real-IP", "CF-Connecting-IP", "True-Client-IP")
# The warning lasts this long after the last sighting.
_TOLD_FOR = timedelta(days=7)


def untrusted(
    connection: Connection, trusted_proxies: int, now: datetime
) -> tuple[datetime, str] | None:
    """When an untrusted proxy header was last seen, with a text for people; None without one."""
    if trusted_proxies:
        return None
    row = connection.execute(
        select(SourceRow.notice_at, SourceRow.notice).where(SourceRow.source == SIGHTED_AS)
    ).one_or_none()
    if row is None or row.notice_at is None or now - row.notice_at > _TOLD_FOR:
        return None
    return row.notice_at, told(row.notice)


def told(header: str) -> str:
    """The text for people about this header while ``trusted_proxies`` is 0."""
    return (
        f"{header} comes with claims, and [web] trusted_proxies is 0: behind a proxy everybody's "
        "claims then count as from one address, and one stranger's junk makes everybody's 429. Set "
        "it to the number of your proxies, each of which must add to X-Forwarded-For. If there is "
        "none, somebody made the header up, and nothing is wrong"
    )
