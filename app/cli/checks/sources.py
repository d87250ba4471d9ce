"""Check the sources: their secrets, tolerances and account words, and that a rule uses them."""

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
        yield from _tolerance(configured, position, adapter)
        yield from _accounts(configured, position, adapter)
        if adapter.reports_rewards:
            yield from _believed_alone(configured, position, adapter)
            continue
        if not any(adapter in configured.sources_of(rule) for rule in configured.rules):
            place = configured.place("sources", position, "name")
            name = adapter.source.name
            yield warning(place, f"no rule rewards anything of {name!r}: its events are only kept")


def _believed_alone(configured: Configured, position: int, adapter: Adapter) -> Iterator[Finding]:
    if getattr(adapter.source, "proves_grants", False):
        yield warning(
            configured.place("sources", position, "proves_grants"),
            "a webhook alone may make an attempt granted: whoever learns the secret in its header "
            "can say so of any customer whose attempt waits",
        )


def _secrets(configured: Configured, position: int, adapter: Adapter) -> Iterator[Finding]:
    public = list(example_source(adapter.name).values())
    for key, secrets in secrets_in(adapter.source).items():
        if key in adapter.public_options:
            continue
        place = configured.place("sources", position, key)
        if any(_is_in(secret, public) for secret in secrets):
            yield error(place, "is the secret of our public example: everybody can sign with it")
        shortest = min(map(len, secrets))
        if shortest < SHORTEST_SECRET:
            yield warning(
                place, f"has only {shortest} characters and may be guessed; use {SHORTEST_SECRET}"
            )


def _tolerance(configured: Configured, position: int, adapter: Adapter) -> Iterator[Finding]:
    told = adapter.source.tolerance_seconds
    if told is not None and not any(scheme.time for scheme in adapter.schemes):
        place = configured.place("sources", position, "tolerance_seconds")
        yield warning(
            place, "bounds nothing: no time is signed here that it could be compared with"
        )


def _accounts(configured: Configured, position: int, adapter: Adapter) -> Iterator[Finding]:
    """Check whether an earlier source may use the same account id for another person."""
    before = list(configured.configuration.sources.values())[:position]
    word = adapter.source.accounts or adapter.name
    others = [one for one in before if word == (one.source.accounts or one.name)]
    if others and (adapter.ids_are_per_source or any(one.ids_are_per_source for one in others)):
        names = ", ".join(repr(one.source.name) for one in others)
        place = configured.place("sources", position, "name")
        yield warning(
            place,
            f"its accounts are linked under {word!r}, as those of {names}. If they number people "
            "apart, one's 42 earns for the other's: give one of them an accounts word of its own",
        )


def _is_in(secret: str, values: object) -> bool:
    if isinstance(values, str):
        return secret == values
    return any(_is_in(secret, value) for value in values) if isinstance(values, list) else False
