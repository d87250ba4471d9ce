"""What arrives: a verified event, and which rules it fulfils."""

from dataclasses import dataclass
from datetime import datetime

from app.domain.events import Event
from app.domain.rules import Rule


@dataclass(frozen=True, slots=True)
class Arrival:
    """A verified event, the rules it fulfils, and until when it may wait to be linked."""

    event: Event
    rules: tuple[Rule, ...]
    unlinked_until: datetime
