"""`vouch init`: write a first configuration interactively."""

import re
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from app.cli.demo.configuration import toml_value
from app.cli.groups import Choice, unknown_word
from app.cli.sources import secrets_in
from app.gameball.campaigns import Campaign
from app.platforms import adapters
from app.platforms.kit.adapter import Adapter
from app.platforms.kit.examples import example_source, templates
from app.settings.configuration import load_configuration
from app.settings.environment import Environment, read_environment

_NAME = re.compile(r"[A-Z][A-Z0-9_]{0,99}")
_HEADER = """\
# Made by `vouch init`. config/vouch.example.toml explains every setting.
# Secrets are not in this file: set {names} in the environment, or <NAME>_FILE to a file.

"""


def _platforms() -> list[str]:
    """Return the platforms that report actions, not rewards."""
    return sorted(name for name, kind in adapters().items() if not kind.reports_rewards)


@click.command()
@click.option("--platform", type=Choice(_platforms()), help="Whose callbacks are rewarded.")
@click.option("--name", help="The source's name, in /webhooks/<name>. Default: the platform's.")
@click.option("--secret-name", help="The variable that holds the secret. Default: <NAME>_SECRET.")
@click.option("--action", help="What is rewarded.")
@click.option("--target", help="Only of this page, channel or post. Default: of any.")
@click.option("--challenge", type=click.IntRange(1, 2_147_483_647), help="Gameball's campaign id.")
@click.option(
    "--file",
    "path",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Where to write. Default: VOUCH_CONFIG, else config/vouch.toml.",
)
def command(
    platform: str | None,
    name: str | None,
    secret_name: str | None,
    action: str | None,
    target: str | None,
    challenge: int | None,
    path: Path | None,
) -> None:
    """Write a first configuration, by asking: one platform, one rewarded action.

    What is given as an option is not asked. A file that is there is left as it is, and no secret is
    written: only the names of the variables that hold them.
    """
    environment = read_environment()
    path = path or environment.config_path
    if path.exists():
        raise click.ClickException(f"{path} is there already, and is left as it is")
    kind = adapters()[platform or _ask_platform()]
    name = name or kind.name
    actions = _actions(kind)
    action = action or click.prompt("Which action is rewarded", type=Choice(actions))
    if action not in actions:
        raise click.UsageError(f"--action: {unknown_word(str(action), actions)}")
    challenge = challenge or _ask_challenge(environment)
    source, names = _source(kind, name, secret_name)
    rule = {"challenge_id": challenge, "source": name, "action": action}
    text = _text(source, {**rule, **({"target": target} if target else {})}, names)
    _require_right(text, kind, names)
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("x", encoding="utf-8") as file:
        file.write(text)
    _tell_next(path, kind, name, names)


def _ask_platform() -> str:
    chosen: str = click.prompt("Which platform", type=Choice(_platforms()))
    return chosen


def _actions(kind: type[Adapter]) -> list[str]:
    """Return the actions in the platform's examples."""
    expected = (event for one in templates(kind.name).values() for event in one.expect)
    return sorted({str(event["action"]) for event in expected if not event.get("undone")})


def _ask_challenge(environment: Environment) -> int:
    """Ask for a challenge, from Gameball's own list if its keys are set."""
    campaigns = _campaigns(environment) if environment.has_gameball_credentials else {}
    for campaign in campaigns.values():
        click.echo(f"  {campaign.id}  {campaign.name}")
    while True:
        chosen: int = click.prompt("Which challenge (Gameball's campaign id)", type=int)
        if chosen > 0 and (not campaigns or chosen in campaigns):
            return chosen
        click.echo(f"Gameball has no social campaign {chosen}.", err=True)


def _campaigns(environment: Environment) -> dict[int, Campaign]:
    from app.cli.checks.gameball import account_of
    from app.gameball.campaigns import Unreadable, list_campaigns
    from app.gameball.client import GameballClient

    client = GameballClient(account_of(environment))
    try:
        found = list_campaigns(client)
    except Unreadable as failure:
        click.echo(f"Gameball's campaigns cannot be read: {failure}", err=True)
        return {}
    finally:
        client.close()
    return {number: one for number, one in found.items() if one.is_social}


def _source(
    kind: type[Adapter], name: str, secret_name: str | None
) -> tuple[dict[str, Any], dict[str, str]]:
    """Return the source's table, and its variables with values that look like real ones."""
    example = example_source(kind.name)
    secrets = secrets_in(kind(kind.config.model_validate(example)).source)
    table: dict[str, Any] = {"name": name, "platform": kind.name}
    names: dict[str, str] = {}
    for key, value in example.items():
        if key in table:
            continue
        if key in secrets:
            variable = _variable(kind, name, key, secret_name if not names else None)
            names[variable] = secrets[key][0]
            table[key] = [f"env:{variable}"] if isinstance(value, list) else f"env:{variable}"
        elif kind.config.model_fields[key].is_required():
            table[key] = _ask_value(f"{key} of {kind.name}", value)
    return table, names


def _ask_value(what: str, example: Any) -> Any:
    """Ask for a value of the example's type. A table is copied, to be edited in the file."""
    if isinstance(example, dict):
        return example
    if isinstance(example, list):
        text: str = click.prompt(f"{what} (with commas between)", default=",".join(example))
        return [part.strip() for part in text.split(",")]
    return click.prompt(what, default=str(example))


def _variable(kind: type[Adapter], name: str, key: str, wanted: str | None) -> str:
    usual = "SECRET" if key == "secrets" else key.upper()
    variable = wanted or f"{name.upper().replace('-', '_')}_{usual}"
    if not _NAME.fullmatch(variable):
        raise click.UsageError(
            f"--secret-name: write the name of a variable, such as {kind.name.upper()}_SECRET,"
            " not the secret itself"
        )
    return variable


def _text(source: dict[str, Any], rule: dict[str, Any], names: dict[str, str]) -> str:
    tables = "\n".join(["[[sources]]", *_lines(source), "", "[[rules]]", *_lines(rule), ""])
    return _HEADER.format(names=" and ".join(names) or "none") + tables


def _lines(values: dict[str, Any]) -> Iterator[str]:
    return (f"{key} = {toml_value(value)}" for key, value in values.items())


def _require_right(text: str, kind: type[Adapter], names: dict[str, str]) -> None:
    """Raise `ConfigurationError` if the service would, for any values of the secrets."""
    with tempfile.TemporaryDirectory() as folder:
        draft = Path(folder) / f"{kind.name}.toml"
        draft.write_text(text, "utf-8")
        load_configuration(draft, names)


def _tell_next(path: Path, kind: type[Adapter], name: str, names: dict[str, str]) -> None:
    click.echo(f"Wrote {path}. Next:")
    for variable in names:
        click.echo(f"  set {variable}: {kind.docs}")
    click.echo("  vouch check")
    click.echo(f"  vouch serve, and tell {kind.name} the address https://YOUR-HOST/webhooks/{name}")
    if kind.terms:
        click.echo(f"Read the terms of {kind.name} first: docs/platforms.md says what they forbid.")
