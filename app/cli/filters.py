"""Which attempts does a command mean?"""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

import click
from pydantic import ValidationError

from app.cli.actor import AT_THE_DATABASE
from app.cli.times import FORMS, moment
from app.domain.attempts import State
from app.domain.evidence import Evidence
from app.schemas.filters import AttemptFilter, AttemptQuery
from app.steps.history import Filter

_STATES = ", ".join(State)

# An option, and the name that the API has for the same criterion.
OPTIONS: Mapping[str, tuple[str, str]] = {
    "--customer": ("customerId", "The customer's id."),
    "--challenge": ("challengeId", "Gameball's campaign id."),
    "--source": ("source", "The source's name."),
    "--platform": ("platform", "Whose accounts they are."),
    "--action": ("action", "Our word for the action."),
    "--state": ("state", f"One state, or several with commas between: {_STATES}."),
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


def filter_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command an option for every criterion; they arrive under the API's names."""
    for option, (name, told) in reversed(list(OPTIONS.items())):
        reads = moment if name in _MOMENTS else None
        command = click.option(option, name, callback=reads, help=told)(command)
    return command


def wanted_filter(criteria: Mapping[str, Any]) -> Filter:
    """Raises `click.UsageError` that names every option whose value is wrong."""
    given: AttemptFilter = _validated(AttemptFilter, criteria)
    return given.wanted(AT_THE_DATABASE)


def wanted_page(criteria: Mapping[str, Any]) -> AttemptQuery:
    """As `wanted_filter`, with the page's limit and cursor."""
    page: AttemptQuery = _validated(AttemptQuery, criteria)
    return page


def _validated(shape: type[Any], criteria: Mapping[str, Any]) -> Any:
    given = {name: _plain(value) for name, value in criteria.items() if value is not None}
    try:
        return shape.model_validate(given, by_alias=True, by_name=False)
    except ValidationError as error:
        details = error.errors(include_input=False, include_url=False, include_context=False)
        raise click.UsageError("\n".join(map(_mistake, details))) from None


def _plain(value: object) -> object:
    return value.isoformat() if isinstance(value, datetime) else value


def _mistake(detail: Any) -> str:
    name = str(detail["loc"][0])
    option = next((o for o, (other, _) in OPTIONS.items() if other == name), f"--{name}")
    return f"{option}: {detail['msg'].removeprefix('Value error, ')}"
