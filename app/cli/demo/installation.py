"""Install the demo in a folder. Nothing is written outside it."""

import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from app.cli.database import open_database
from app.cli.demo.configuration import configuration_text
from app.domain.clock import utc_now
from app.domain.roles import Role
from app.domain.rules import Rule
from app.platforms import adapters
from app.platforms.kit.adapter import Adapter
from app.platforms.kit.examples import Template, templates
from app.settings.configuration import load_configuration
from app.settings.environment import VARIABLES, read_environment
from app.steps import keys

# The demo uses this example of a platform if there is one, else the first by name.
PREFERRED_EXAMPLE = "follow"


@dataclass(frozen=True, slots=True)
class Offer:
    """A rewarded action of a platform: an example callback and the rule that rewards it."""

    adapter: Adapter
    template: Template
    rule: Rule

    @property
    def source(self) -> str:
        return str(self.adapter.source.name)


@dataclass(frozen=True, slots=True, kw_only=True)
class Installation:
    """``variables`` is the complete environment of the service. ``key`` is an admin's API key."""

    folder: Path
    variables: Mapping[str, str] = field(repr=False)
    key: str = field(repr=False)
    offers: tuple[Offer, ...]
    claimed: Rule


def install(folder: Path, gameball: Mapping[str, str]) -> Installation:
    """Write a configuration with a source for every platform. Create a database and a key."""
    variables = {**_untouched_environment(), **_variables(folder), **gameball}
    # Platforms without known terms against rewards come first: "what to try next" uses the first.
    names = sorted(adapters(), key=lambda name: (bool(adapters()[name].terms), name))
    examples = {name: shown for name in names if (shown := _shown(name))}
    path = Path(variables["VOUCH_CONFIG"])
    path.write_text(configuration_text(folder, examples), "utf-8")
    configuration = load_configuration(path, variables)
    sources = {adapter.name: adapter for adapter in configuration.sources.values()}
    claimed, *rules = configuration.rules
    offers = tuple(
        Offer(sources[name], template, rule)
        for (name, template), rule in zip(examples.items(), rules, strict=True)
    )
    return Installation(
        folder=folder, variables=variables, key=_key(variables), offers=offers, claimed=claimed
    )


def _untouched_environment() -> dict[str, str]:
    """Return the environment without our variables: the demo must not use a real installation."""
    ours = {*VARIABLES, *(f"{name}_FILE" for name in VARIABLES)}
    return {name: value for name, value in os.environ.items() if name not in ours}


def _variables(folder: Path) -> dict[str, str]:
    return {
        "DATABASE_URL": f"sqlite:///{folder / 'vouch.db'}",
        "VOUCH_CONFIG": str(folder / "vouch.toml"),
        "VOUCH_SECRET_KEYS": secrets.token_urlsafe(32),
    }


def _key(variables: Mapping[str, str]) -> str:
    with open_database(read_environment(variables)) as database:
        return database.write(lambda c: keys.create(c, Role.ADMIN, "demo", utc_now()))[1]


def _shown(platform: str) -> Template | None:
    done = [
        template
        for template in templates(platform).values()
        if template.expect and not any(event.get("undone") for event in template.expect)
    ]
    done.sort(key=lambda template: (template.name != PREFERRED_EXAMPLE, template.name))
    return next(iter(done), None)
