"""`vouch check`: check an installation before it runs."""

import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

import click

from app.cli.checks.configured import Configured
from app.cli.checks.environment import check_environment, readable_environment
from app.cli.checks.findings import Finding, Level, error, ok
from app.cli.checks.gameball import check_gameball
from app.cli.checks.health import check_health
from app.cli.checks.keys import check_keys
from app.cli.checks.rules import check_rules
from app.cli.checks.sealing import check_sealing
from app.cli.checks.sources import check_sources
from app.cli.checks.storage import check_storage
from app.cli.checks.web_server import check_web_server
from app.cli.output import json_option, print_json, print_labelled
from app.settings.configuration import load_configuration
from app.settings.environment import DATABASE, Environment
from app.settings.errors import ConfigurationError

COLOURS = {Level.OK: "green", Level.WARNING: "yellow", Level.ERROR: "red"}


@click.command()
@click.option("--offline", is_flag=True, help="Do not call Gameball.")
@json_option
def command(offline: bool, as_json: bool) -> None:
    """Check configuration, secrets, rules, database and Gameball.

    Of Gameball, the credentials and the challenges that the rules name. Nothing is changed. Exits
    0 when nothing is wrong, or there are only warnings; 1 on an error.
    """
    findings = list(_findings(offline=offline))
    counts = Counter(finding.level for finding in findings)
    is_right = counts[Level.ERROR] == 0
    if as_json:
        print_json({"ok": is_right, "findings": [_as_json(finding) for finding in findings]})
    else:
        _print(findings)
        click.echo(f"{_counted(counts, Level.ERROR)}, {_counted(counts, Level.WARNING)}")
    sys.exit(0 if is_right else 1)


def _findings(*, offline: bool) -> Iterator[Finding]:
    """Run every check that is possible, even if a part of the installation is broken."""
    environment, wrong = readable_environment()
    yield from wrong
    configured, findings = _configuration(environment)
    yield from findings
    if configured is not None:
        yield from check_sources(configured)
        yield from check_rules(configured)
    yield from check_web_server(environment)
    addressed = list(check_environment(environment))
    yield from addressed
    # Without a valid address we would check the default database, which is the wrong one.
    is_named = not any(finding.place.startswith(DATABASE) for finding in wrong)
    stored = list(check_storage(environment)) if is_named else []
    yield from stored
    if is_named and all(finding.level is not Level.ERROR for finding in stored):
        yield from check_sealing(environment)
        if configured is not None:
            yield from check_health(environment, configured)
    # Never call a wrong address: it would receive the keys.
    may_call = all(finding.level is not Level.ERROR for finding in (*wrong, *addressed))
    if configured is not None and not offline:
        yield from check_keys(configured)
    if may_call and not offline:
        yield from check_gameball(environment, configured)


def _configuration(environment: Environment) -> tuple[Configured | None, Sequence[Finding]]:
    path = environment.config_path
    try:
        configuration = load_configuration(path)
    except ConfigurationError as failure:
        return None, [error(one.place, one.problem) for one in failure.mistakes]
    sources, rules = len(configuration.sources), len(configuration.rules)
    found = ok(str(path), f"{sources} sources, {rules} rules")
    return Configured(configuration, path.read_text("utf-8-sig")), [found]


def _print(findings: Sequence[Finding]) -> None:
    """Print the findings. Errors come last, where they are still on the screen."""
    for finding in sorted(findings, key=lambda one: list(Level).index(one.level)):
        label = click.style(finding.level.ljust(9), fg=COLOURS[finding.level])
        click.echo(f"{label}{finding.place}")
        print_labelled("", finding.text, indent=0, label_width=9)


def _counted(counts: Mapping[Level, int], level: Level) -> str:
    return f"{counts[level]} {level}{'' if counts[level] == 1 else 's'}"


def _as_json(finding: Finding) -> dict[str, str]:
    return {"level": finding.level, "place": finding.place, "text": finding.text}
