"""Access of commands to the history: in the database, or over a running service's API."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any, Protocol

import click

from app.cli.address import is_loopback, is_web_address

Json = dict[str, Any]
Criteria = Mapping[str, str]

URL, KEY = "VOUCH_URL", "VOUCH_KEY"


class Listing(StrEnum):
    """The kinds of listings, named as in the API."""

    ATTEMPTS = "attempts"
    EVENTS = "events"
    IDENTITIES = "identities"
    AUDIT = "audit"
    ALERTS = "alerts"


class Access(Protocol):
    """The access that commands need. Values are as in the API; ids are complete."""

    def page(self, kind: Listing, criteria: Criteria) -> Json: ...

    def one(self, kind: Listing, item_id: str) -> Json | None: ...

    def export(self, criteria: Criteria) -> Iterator[str]: ...

    def act(self, act: str, attempt_id: str) -> str | None:
        """Replay or cancel an attempt. Returns the reason if that is not possible, else None."""

    def count(self, act: str, criteria: Criteria) -> int:
        """Count the attempts that a bulk job with this filter would affect."""

    def begin(self, act: str, criteria: Criteria, matched: int) -> Json:
        """Start a bulk job."""

    def follow(self, job: Json) -> Json:
        """Work on a bulk job, or wait a moment for another process. Returns the job's new state."""

    def stop(self, job: Json) -> Json: ...

    def link(self, platform: str, account_id: str, customer: Json) -> Json: ...

    def unlink(self, platform: str, account_id: str) -> bool: ...


@dataclass(frozen=True, slots=True)
class Service:
    """A running service and a key of its API."""

    url: str
    key: str = field(repr=False)


@contextmanager
def access() -> Iterator[Access]:
    """Open the named service, else the database of this environment."""
    service = wanted_service()
    if service is not None:
        from app.cli.remote import remote_access

        with remote_access(service) as remote:
            yield remote
        return
    from app.cli.local import local_access

    with local_access() as local:
        yield local


def wanted_service() -> Service | None:
    """Return the service from the options of `vouch`, else from the environment.

    Raises `click.UsageError`.
    """
    given: dict[str, str | None] = click.get_current_context().find_root().params
    url = given.get("url") or os.environ.get(URL)
    if not url:
        return None
    if not is_web_address(url) or "@" in url:
        raise click.UsageError("--url: write https://HOST, without a user or password")
    if not url.startswith("https://") and not is_loopback(url):
        raise click.UsageError("--url: write https://, or everybody on the way reads the key")
    return Service(url.rstrip("/"), given.get("key") or _key())


def _key() -> str:
    path = os.environ.get(f"{KEY}_FILE")
    key = os.environ.get(KEY) or (Path(path).read_text("utf-8").strip() if path else "")
    if not key:
        raise click.UsageError(f"set {KEY}, or {KEY}_FILE, to a key of that service")
    return key
