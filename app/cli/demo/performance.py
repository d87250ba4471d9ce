"""Sets up the demo, runs it, and cleans up."""

import contextlib
import signal
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import click

from app.cli.demo import summary
from app.cli.demo.actors import Stage
from app.cli.demo.installation import Installation, install
from app.cli.demo.output import Output
from app.cli.demo.process import ServiceProcess
from app.cli.demo.scenario import OUT_OF_REACH, play
from app.cli.demo.shop import Shop
from app.outgoing.http import NoResponse
from app.sandbox.server import SandboxServer
from app.sandbox.settings import Campaign

GRANT_DELAY_SECONDS = 0.5
DEDUP_SECONDS = 1.5
_LOOK_EVERY_SECONDS = 0.5


def perform(*, once: bool, folder: Path | None, port: int, is_verbose: bool) -> None:
    """Run the demo. Exit 0 if every promise was kept, else 1."""
    with _ended_by_signals(), _folder(folder) as place, SandboxServer() as sandbox:
        installation = install(place, _gameball(sandbox))
        sandbox.books.configure(
            campaigns=tuple(_campaigns(installation)),
            other_campaigns=False,
            grant_delay_seconds=GRANT_DELAY_SECONDS,
            dedup_window_seconds=DEDUP_SECONDS,
        )
        with (
            ServiceProcess(installation.variables, place, port) as service,
            contextlib.closing(Shop(service.url, installation.key)) as shop,
        ):
            stage = Stage(
                installation=installation,
                shop=shop,
                books=sandbox.books,
                teller=Output(is_verbose=is_verbose),
            )
            is_kept = _show(stage, service, sandbox.url)
            if once:
                summary.show_how_to_stay(stage)
            else:
                summary.show_what_next(stage, sandbox.url)
                wait(service)
    sys.exit(0 if is_kept else 1)


def _show(stage: Stage, service: ServiceProcess, sandbox_url: str) -> bool:
    stage.teller.title(
        "Vouch, all on this machine: nothing leaves it, and no account is needed",
        {
            "Vouch": f"{service.url}, a worker inside",
            "Gameball": f"{sandbox_url}, a sandbox",
            "folder": f"{stage.installation.folder}: configuration, secrets, database, log",
        },
    )
    try:
        play(stage)
        summary.show_attempts(stage)
    except NoResponse as error:
        told = f"the service stopped answering: {error.reason}. {service.last_words()}"
        raise click.ClickException(told) from None
    summary.show_submissions(stage)
    is_kept = summary.show_promises(stage)
    if not is_kept:
        click.echo(service.last_words(), err=True)
    return is_kept


def _gameball(sandbox: SandboxServer) -> Mapping[str, str]:
    settings = sandbox.books.settings
    return {
        "GAMEBALL_BASE_URL": sandbox.url,
        "GAMEBALL_API_KEY": settings.api_key,
        "GAMEBALL_SECRET_KEY": settings.secret_key,
    }


def _campaigns(installation: Installation) -> Iterator[Campaign]:
    rules = [installation.claimed, *(offer.rule for offer in installation.offers)]
    unreached = frozenset({OUT_OF_REACH})
    for number, rule in enumerate(rules, 1):
        name = f"{rule.action.capitalize()} on {rule.platform}"
        is_last = rule is rules[-1]
        yield Campaign(
            id=rule.challenge_id,
            name=name,
            points=50 * number,
            out_of_reach=unreached if is_last else frozenset(),
        )


def wait(service: ServiceProcess) -> None:
    """Wait for Ctrl-C. Raises `click.ClickException` if the service ends earlier."""
    try:
        while service.is_running:
            time.sleep(_LOOK_EVERY_SECONDS)
    except KeyboardInterrupt:
        click.echo("\nEnded.")
        return
    raise click.ClickException(f"the service ended by itself. {service.last_words()}")


@contextlib.contextmanager
def _folder(wanted: Path | None) -> Iterator[Path]:
    if wanted is None:
        with tempfile.TemporaryDirectory(prefix="vouch-demo-") as name:
            yield Path(name)
        return
    wanted.mkdir(parents=True, exist_ok=True)
    if any(wanted.iterdir()):
        raise click.UsageError(f"--dir {wanted}: is not empty")
    yield wanted.resolve()


@contextlib.contextmanager
def _ended_by_signals() -> Iterator[None]:
    """Exit cleanly on SIGTERM and SIGHUP: stop the service and remove the folder."""
    numbers = (signal.SIGTERM, signal.SIGHUP)
    before = {number: signal.signal(number, _leave) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _leave(number: int, _frame: object) -> None:
    raise SystemExit(128 + number)
