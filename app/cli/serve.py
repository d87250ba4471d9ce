"""`vouch serve`: the web service, and on request the worker inside it."""

import contextlib
import os
import resource
import runpy
import shutil
import tempfile
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from app import logs
from app.cli.address import split_address
from app.settings.environment import Environment, read_environment

if TYPE_CHECKING:
    from app.service import Service

OPERATOR_FILE = Path("config/gunicorn.conf.py")


@click.command()
@click.option("--bind", metavar="HOST:PORT", help="Instead of the address in gunicorn.conf.py.")
@click.option("--no-worker", is_flag=True, help="Leave forwarding to `vouch work`.")
def command(bind: str | None, no_worker: bool) -> None:
    """Serve callbacks, claims and the API; on SQLite the worker runs inside.

    SIGHUP reloads the configuration, SIGTERM stops gracefully. How gunicorn runs is in
    config/gunicorn.conf.py.
    """
    environment = read_environment()
    if bind is not None:
        split_address(bind)
    settings = gunicorn_settings(environment, bind)
    metrics_folder = _share_metrics() if settings["workers"] > 1 else None
    our_pid = os.getpid()
    _raise_file_limit()
    try:
        _serve(environment, settings, with_worker=not no_worker)
    finally:
        # A web process that ends comes by here too; the others still count in that folder.
        if metrics_folder and os.getpid() == our_pid:
            shutil.rmtree(metrics_folder, ignore_errors=True)


def gunicorn_settings(environment: Environment, bind: str | None) -> dict[str, Any]:
    """Our defaults, what the operator's file says, and the command line, in this order."""
    # Over SQLite threads mostly wait for the writer: the more of them, the more share a commit.
    shape = (1, 32) if environment.is_embedded else (2, 16)
    defaults: dict[str, Any] = dict(zip(("workers", "threads"), shape, strict=True))
    # gunicorn would take SCRIPT_NAME from any proxy on this machine, and most pass on what a
    # stranger wrote there: with it, another path is served than the one that the proxy let through.
    defaults["forwarder_headers"] = ""
    said = runpy.run_path(str(settings_file()))
    known = {name: value for name, value in said.items() if not name.startswith("_")}
    return {**defaults, **known, **({"bind": bind} if bind else {})}


def settings_file() -> Path:
    """The operator's gunicorn.conf.py, else the one we ship."""
    if OPERATOR_FILE.is_file():
        return OPERATOR_FILE
    packaged = Path(str(resources.files("app"))) / "_config" / "gunicorn.conf.py"
    return packaged if packaged.is_file() else Path(__file__).parents[2] / OPERATOR_FILE


def _raise_file_limit() -> None:
    """Connections are files too: take as many as whoever started us lets us have."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def _share_metrics() -> str:
    """Let the web processes count together. Before prometheus_client is imported, or too late."""
    folder = tempfile.mkdtemp(prefix="vouch-metrics-")
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = folder
    return folder


def _serve(environment: Environment, settings: dict[str, Any], *, with_worker: bool) -> None:
    from app.cli.database import prepare, require_keys
    from app.cli.web_server import WebServer
    from app.service import build_service

    service = build_service(environment)
    prepare(environment)
    _require_current(service)
    require_keys(service.database)
    logs.configure()
    starts_worker = with_worker and environment.has_gameball_credentials
    WebServer(service, settings, starts_worker=starts_worker).run()


def _require_current(service: "Service") -> None:
    from app.storage.errors import StorageUnavailable
    from app.storage.migrate import is_usable

    try:
        with service.database.read() as connection:
            current = is_usable(connection)
    except StorageUnavailable as error:
        raise click.ClickException(f"the database does not answer: {error}") from None
    finally:
        service.database.close()
    if not current:
        raise click.ClickException("the database is not at this version: run `vouch db upgrade`")
