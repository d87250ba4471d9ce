"""Are the sources' secrets good, and does any rule reward what they tell?"""

from collections.abc import Iterator

from app.cli.checks.configured import Configured
from app.cli.checks.findings import Finding, error, warning
from app.cli.sources import secrets_in
from app.platforms.kit.adapter import Adapter
from app.platforms.kit.examples import example_source

SHORTEST_SECRET = 16


def check_sources(configured: Configured) -> Iterator[Finding]:
    for position, adapter in enumerate(configured.configuration.sources.values()):
        yield from _secrets(configured, position, adapter)
        if not any(adapter in configured.sources_of(rule) for rule in configured.rules):
            place = configured.place("sources", position, "name")
            name = adapter.source.name
            yield warning(place, f"no rule rewards anything of {name!r}: its events are only kept")


def _secrets(configured: Configured, position: int, adapter: Adapter) -> Iterator[Finding]:
    public = list(example_source(adapter.name).values())
    for key, secrets in secrets_in(adapter.source).items():
        if key in adapter.shown_options:
            continue
        place = configured.place("sources", position, key)
        if any(_is_in(secret, public) for secret in secrets):
            yield error(place, "is the secret of our public example: everybody can sign with it")
        shortest = min(map(len, secrets))
        if shortest < SHORTEST_SECRET:
            yield warning(
                place, f"has only {shortest} characters and may be guessed; use {SHORTEST_SECRET}"
            )


def _is_in(secret: str, values: object) -> bool:
    if isinstance(values, str):
        return secret == values
    return any(_is_in(secret, value) for value in values) if isinstance(values, list) else False
