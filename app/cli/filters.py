"""Options that filter and page attempts, events and entries, for all commands."""

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any

import click

from app.cli.groups import Words
from app.cli.times import FORMS, moment
from app.domain.attempts import State
from app.domain.evidence import Evidence
from app.schemas.attempt_lines import MAX_LIMIT as MAX_LIMIT

# Each option, with the API's name for the same criterion and the help text.
OPTIONS: Mapping[str, tuple[str, str]] = {
    "--customer": ("customerId", "The customer's id."),
    "--challenge": ("challengeId", "Gameball's campaign id."),
    "--source": ("source", "The source's name."),
    "--platform": ("platform", "Whose accounts they are."),
    "--action": ("action", "Our word for the action."),
    "--state": ("state", f"One state, or several with commas between: {', '.join(State)}."),
    "--evidence": ("evidence", f"How we know: {', '.join(Evidence)}."),
    "--account": ("accountId", "The platform account that acted."),
    "--undone": ("undone", "true: the account took the action back. false: it did not."),
    "--from": ("from", f"Made then or later. {FORMS}."),
    "--to": ("to", "Made before then."),
    "--search": (
        "q",
        "What a person typed: an id or the beginning of one, an event key, a handle.",
    ),
}
_MOMENTS = frozenset({"from", "to"})
_TYPES: Mapping[str, Words] = {
    "state": Words(State),
    "evidence": Words(Evidence),
    "undone": Words(("true", "false")),
}


class InvalidValues(click.UsageError):
    """Values that the service or a schema refused. The message names the option of each."""

    def __init__(self, errors: Iterable[tuple[str, str]]) -> None:
        super().__init__("\n".join(f"{_option(name)}: {problem}" for name, problem in errors))


def filter_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add an option for every criterion to a command, under the API's names."""
    for option, (name, told) in reversed(list(OPTIONS.items())):
        reads = moment if name in _MOMENTS else None
        kind = _TYPES.get(name)
        command = click.option(option, name, callback=reads, type=kind, help=told)(command)
    return command


def page_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options ``--limit`` and ``--cursor`` to a command."""
    limit = click.option(
        "--limit",
        type=click.IntRange(1, MAX_LIMIT),
        default=20,
        show_default=True,
        help="How many.",
    )
    cursor = click.option("--cursor", help="The cursor that an earlier page ended with.")
    return limit(cursor(command))


def given(criteria: Mapping[str, Any]) -> dict[str, str]:
    """Return the given criteria in the form of an API query."""
    return {name: _text(value) for name, value in criteria.items() if value is not None}


def _text(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return value.isoformat() if isinstance(value, datetime) else str(value)


def _option(name: str) -> str:
    """Return the option or argument of the running command that has this API name."""
    context = click.get_current_context(silent=True)
    named = [p for p in context.command.params if p.name == name] if context else []
    return named[0].opts[0] if named else name
