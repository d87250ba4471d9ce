"""What does Gameball tell us by itself, without being asked?"""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Nudge:
    """Gameball says that something happened to a customer: a reason to look now.

    ``challenge_id``: the campaign that was achieved, where it says so. ``is_proof``: it is believed
    about that where its reads cannot tell.
    """

    customer_id: str
    heard_at: datetime
    challenge_id: int | None = None
    is_proof: bool = False
