"""A notification that Gameball sends by webhook."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Nudge:
    """Gameball reports that something happened to a customer: a reason to look now.

    ``challenge_id``: the achieved campaign, if the notification names one. ``is_proof``: it is
    accepted as proof of that when Gameball's reads cannot decide.
    """

    customer_id: str
    heard_at: datetime
    challenge_id: int | None = None
    is_proof: bool = False
