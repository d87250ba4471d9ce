"""What happened, in our own words?"""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Event:
    """One normalised social action; immutable.

    ``key`` identifies the action within its source for ever: the same action, sent again in
    whatever request, has the same key. ``platform`` names whose account ``actor`` is.
    ``payload`` is what the platform sent for this one action. Times are aware UTC.
    """

    source: str
    key: str
    platform: str
    action: str
    actor: str
    occurred_at: datetime
    received_at: datetime
    payload: bytes
    actor_handle: str | None = None
    target: str | None = None
    undone: bool = False
