"""What a platform's terms say about rewarding actions."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Terms:
    """A text that speaks against rewarding these actions; without actions, against any."""

    text: str
    source: str
    actions: frozenset[str] = frozenset()

    def speak_against(self, action: str) -> bool:
        return not self.actions or action in self.actions

    def __str__(self) -> str:
        return f"{self.text} ({self.source})"
