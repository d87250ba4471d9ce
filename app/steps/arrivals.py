"""What arrives: a verified event, and which rules it fulfils."""

from dataclasses import dataclass
from datetime import datetime

from app.domain.events import Event
from app.domain.rules import Rule
from app.platforms.kit.fields import label

NO_RULE = "fits no rule"
MAX_REASON = 100


@dataclass(frozen=True, slots=True)
class Arrival:
    """A verified event, the rules it fulfils, and until when it may wait to be linked."""

    event: Event
    rules: tuple[Rule, ...]
    unlinked_until: datetime

    @property
    def reason(self) -> str | None:
        """Why it earns nothing, for admins; None where it fits a rule."""
        if self.event.excluded is not None:
            return (label(self.event.excluded) or "excluded")[:MAX_REASON]
        return None if self.rules else NO_RULE
