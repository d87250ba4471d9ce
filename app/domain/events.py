"""What happened, in our own words?"""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Event:
    """One normalised social action; immutable.

    ``key`` identifies the action within its source for ever: the same action, sent again in
    whatever request, has the same key. ``platform`` names whose account ``actor`` is.
    ``payload`` is what the platform sent for this one action. Times are aware UTC. ``undoes``: the
    key of the action that an undone event takes back, where the platform names it.
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
    undoes: str | None = None

    @property
    def happened_at(self) -> datetime:
        """Not later than we heard of it, whatever the platform's clock says."""
        return min(self.occurred_at, self.received_at)
