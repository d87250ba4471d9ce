"""What do a platform's terms say about rewarding what its people do?"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Terms:
    """One text that speaks against rewarding these actions; none named: against any."""

    text: str
    source: str
    actions: frozenset[str] = frozenset()

    def speak_against(self, action: str) -> bool:
        return not self.actions or action in self.actions

    def __str__(self) -> str:
        return f"{self.text} ({self.source})"
