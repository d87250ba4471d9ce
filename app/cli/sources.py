"""The source of a command: described by its options, or from the configuration."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, get_origin

import click
from pydantic import SecretStr, ValidationError

from app.domain.rules import Rule
from app.platforms import adapters
from app.platforms.kit.adapter import Adapter
from app.platforms.kit.examples import example_source
from app.platforms.kit.options import SourceConfig
from app.settings.configuration import load_configuration
from app.settings.environment import read_environment
from app.settings.error_messages import message, mistakes


@dataclass(frozen=True, slots=True)
class Source:
    """``assumed``: required keys that were not given and come from the platform's example."""

    adapter: Adapter
    rules: tuple[Rule, ...] = ()
    assumed: tuple[str, ...] = ()


def described_source(
    platform: str, name: str, secrets: Sequence[str], pairs: Iterable[str]
) -> Source:
    """Build a source with these secrets and ``key=value`` pairs. Raises `click.UsageError`."""
    kind = adapters()[platform]
    given = _options(kind.config, secrets, pairs)
    if not given:
        keys = ", ".join(_own_keys(kind.config))
        raise click.UsageError(f"give --secret S, or --set KEY=VALUE; {platform} has {keys}")
    needed = [key for key, field in kind.config.model_fields.items() if field.is_required()]
    assumed = tuple(key for key in needed if key not in (*given, "name", "platform"))
    example = example_source(platform)
    lent = {key: example[key] for key in assumed}
    table = {"name": name, "platform": platform, **lent, **given}
    return Source(_adapter(kind, table), assumed=assumed)


def configured_source(platform: str, name: str | None) -> Source:
    """Return a source of the configuration file, by default the first of the platform.

    Raises `ConfigurationError`, and `click.UsageError` if there is no such source.
    """
    path = read_environment().config_path
    configuration = load_configuration(path)
    every = configuration.sources.values()
    ours = {adapter.source.name: adapter for adapter in every if adapter.name == platform}
    name = name or next(iter(ours), None)
    if name not in ours:
        known = ", ".join(ours) or "none"
        wanted = f"source {name!r}" if name else "source"
        raise click.UsageError(
            f"{path} has no {wanted} of {platform} (it has: {known}); or give --secret"
        )
    return Source(ours[name], configuration.rules)


def secrets_in(source: SourceConfig) -> dict[str, tuple[str, ...]]:
    """Return all secrets of a source by key."""
    found: dict[str, tuple[str, ...]] = {}
    for key in type(source).model_fields:
        value = getattr(source, key)
        values = value if isinstance(value, tuple) else (value,)
        secrets = tuple(one.get_secret_value() for one in values if isinstance(one, SecretStr))
        if secrets:
            found[key] = secrets
    return found


def _options(
    config: type[SourceConfig], secrets: Sequence[str], pairs: Iterable[str]
) -> dict[str, Any]:
    given: dict[str, list[str]] = {"secrets": list(secrets)} if secrets else {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals:
            raise click.UsageError("write --set KEY=VALUE")
        given.setdefault(key, []).append(value)
    return {key: _value(config, key, values) for key, values in given.items()}


def _value(config: type[SourceConfig], key: str, values: list[str]) -> Any:
    field = config.model_fields.get(key)
    if field is None or key in ("name", "platform"):
        raise click.UsageError(f"--set {key}: there are {', '.join(_own_keys(config))}")
    if get_origin(field.annotation) is tuple:
        return values
    if get_origin(field.annotation) is dict:
        return dict(_pair(key, value) for value in values)
    if len(values) > 1:
        raise click.UsageError(f"--set {key} is given more than once")
    return values[0]


def _pair(key: str, value: str) -> tuple[str, str]:
    theirs, equals, ours = value.rpartition("=")
    if not equals:
        raise click.UsageError(f"write --set {key}=NAME=VALUE")
    return theirs, ours


def _own_keys(config: type[SourceConfig]) -> list[str]:
    return [key for key in config.model_fields if key not in ("name", "platform")]


def _adapter(kind: type[Adapter], table: Mapping[str, Any]) -> Adapter:
    """Build an adapter. Errors keep pydantic's message without the input, which may be secret."""
    try:
        return kind(kind.config.model_validate(table))
    except ValidationError as error:
        raise click.UsageError("\n".join(map(_mistake, mistakes(error)))) from None


def _mistake(detail: Any) -> str:
    place = ".".join(map(str, detail["loc"]))
    problem = message(detail)
    return f"{place}: {problem}" if place else problem
