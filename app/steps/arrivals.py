"""A verified event with the rules that it fulfils."""

from dataclasses import dataclass
from datetime import datetime

from app.domain.events import Event
from app.domain.rules import Rule
from app.platforms.kit.fields import label

NO_RULE = "fits no rule"
MAX_REASON = 100


@dataclass(frozen=True, slots=True)
class Arrival:
    """A verified event, its rules, and until when its attempts may wait for a link."""

    event: Event
    rules: tuple[Rule, ...]
    unlinked_until: datetime

    @property
    def reason(self) -> str | None:
        """Why it earns nothing, as a text for admins; None if it fits a rule."""
        if self.event.excluded is not None:
            return (label(self.event.excluded) or "excluded")[:MAX_REASON]
        return None if self.rules else NO_RULE
