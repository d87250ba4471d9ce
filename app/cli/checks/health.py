"""Check the state of the sources in the database."""

from collections.abc import Iterator, Mapping
from datetime import datetime

from app.cli.checks.configured import Configured
from app.cli.checks.findings import Finding, ok, warning
from app.domain.clock import to_the_minute, utc_now
from app.domain.sources import Expected, Seen, issues
from app.settings.environment import Environment
from app.steps import proxies
from app.steps.sources import judged_seen
from app.storage.database import Database
from app.storage.engines import sqlite_path
from app.storage.errors import StorageUnavailable
from app.storage.migrate import is_current


def check_health(environment: Environment, configured: Configured) -> Iterator[Finding]:
    """Find issues of the sources. `check_storage` reports a missing or outdated database."""
    expected, now = configured.configuration.expected, utc_now()
    trusted = configured.configuration.web.trusted_proxies
    seen, proxied = _seen(environment, expected, trusted, now)
    if proxied is not None:
        at, text = proxied
        yield warning(configured.place("web", "trusted_proxies"), f"{to_the_minute(at)}: {text}")
    for position, (name, usual) in enumerate(expected.items()):
        if name not in seen:
            continue
        place = configured.place("sources", position, "name")
        found = issues(seen[name], usual, now)
        for issue in found:
            yield warning(place, f"{name!r} is {issue.kind}: {issue.text}")
        if not found and seen[name].heard_at:
            yield ok(place, f"{name!r}: {_told(seen[name])}")


def _seen(
    environment: Environment, expected: Mapping[str, Expected], trusted: int, now: datetime
) -> tuple[dict[str, Seen], tuple[datetime, str] | None]:
    # Opening an embedded database would create it.
    if environment.is_embedded and not sqlite_path(environment.database_url).is_file():
        return {}, None
    database = Database(environment.database_url, pool_size=1)
    try:
        with database.read() as connection:
            if not is_current(connection):
                return {}, None
            proxied = proxies.untrusted(connection, trusted, now)
            return judged_seen(connection, expected, now), proxied
    except StorageUnavailable:
        return {}, None
    finally:
        database.close()


def _told(seen: Seen) -> str:
    moments = {
        "last event": seen.event_at,
        "last callback": seen.callback_at,
        "last handshake": seen.handshake_at,
    }
    return ", ".join(f"{name} {to_the_minute(at)}" for name, at in moments.items() if at)
