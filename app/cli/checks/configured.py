"""A valid configuration, with the place of each part in its file."""

from dataclasses import dataclass

from app.domain.rules import Rule
from app.platforms.kit.adapter import Adapter
from app.settings.configuration import Configuration
from app.settings.toml_positions import place


@dataclass(frozen=True, slots=True)
class Configured:
    configuration: Configuration
    text: str

    @property
    def rules(self) -> tuple[Rule, ...]:
        return self.configuration.rules

    def place(self, *location: int | str) -> str:
        return place(self.text, location)

    def sources_of(self, rule: Rule) -> list[Adapter]:
        """Return the sources whose events can fulfil a rule."""
        return [
            adapter
            for adapter in self.configuration.sources.values()
            if rule.source in (None, adapter.source.name)
            and rule.platform == (adapter.source.accounts or adapter.name)
        ]
