"""Check the operator's gunicorn settings."""

from collections.abc import Iterator

import click

from app.cli.checks.findings import Finding, error, ok
from app.cli.commands.serve import OPERATOR_FILE, gunicorn_settings
from app.settings.environment import Environment

PLACE = str(OPERATOR_FILE)


def check_web_server(environment: Environment) -> Iterator[Finding]:
    """Check the operator's file, if there is one."""
    if not OPERATOR_FILE.is_file():
        return
    try:
        settings = gunicorn_settings(environment, None)
    except click.ClickException as failure:
        yield error(PLACE, failure.message.removeprefix(f"{PLACE} ").removeprefix(f"{PLACE}: "))
        return
    wrong = list(_wrong(settings))
    yield from wrong
    if not wrong:
        yield ok(PLACE, f"{settings['workers']} web processes of {settings['threads']} threads")


def _wrong(settings: dict[str, object]) -> Iterator[Finding]:
    from gunicorn.config import Config

    configuration = Config()
    for name, value in settings.items():
        if name not in configuration.settings:
            continue
        try:
            configuration.set(name, value)
        except Exception as failure:
            yield error(PLACE, f"{name}: {failure}")
