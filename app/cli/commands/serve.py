"""`vouch serve`: run the web service, by default with the worker inside."""

import contextlib
import os
import resource
import runpy
import shutil
from collections.abc import Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Any

import click
import structlog

from app import logs
from app.cli.address import UNIX, require_free_path, require_free_port, web_address
from app.cli.streams import log_somewhere
from app.server.metrics_folder import VARIABLE, make_folder, remove_abandoned
from app.settings.environment import Environment, read_environment

log = structlog.get_logger(__name__)

OPERATOR_FILE = Path("config/gunicorn.conf.py")


@click.command()
@click.option(
    "--bind",
    metavar="HOST:PORT",
    multiple=True,
    help="Instead of the address in gunicorn.conf.py; also unix:PATH, and several times.",
)
@click.option("--no-worker", is_flag=True, help="Leave forwarding to `vouch work`.")
def command(bind: tuple[str, ...], no_worker: bool) -> None:
    """Serve callbacks, claims and the API; on SQLite the worker runs inside.

    SIGHUP reloads the configuration, SIGTERM stops gracefully. How gunicorn runs is in
    config/gunicorn.conf.py.
    """
    log_somewhere()
    environment = read_environment()
    settings = gunicorn_settings(environment, [web_address(one) for one in bind])
    for address in addresses_in(settings):
        if address.startswith(UNIX):
            require_free_path(address)
        elif not _has_listener(settings):
            require_free_port(address)
    metrics_folder = _share_metrics() if settings["workers"] > 1 else None
    our_pid = os.getpid()
    _raise_file_limit()
    try:
        _serve(environment, settings, with_worker=not no_worker)
    finally:
        # A web process also runs this when it ends, while the others still use the folder.
        if metrics_folder and os.getpid() == our_pid:
            shutil.rmtree(metrics_folder, ignore_errors=True)


def _has_listener(settings: Mapping[str, Any]) -> bool:
    """Whether the socket is inherited (from systemd or an older gunicorn) or shared."""
    handed_over = ("GUNICORN_FD", "LISTEN_FDS")
    return bool(settings.get("reuse_port")) or any(name in os.environ for name in handed_over)


def gunicorn_settings(environment: Environment, bind: Sequence[str] | None) -> dict[str, Any]:
    """Merge our defaults, our file, the operator's file and the command line, in this order."""
    # On SQLite, threads mostly wait for the writer. With more threads, more of them share a commit.
    shape = (1, 32) if environment.is_embedded else (2, 16)
    defaults: dict[str, Any] = dict(zip(("workers", "threads"), shape, strict=True))
    # By default gunicorn trusts SCRIPT_NAME from any proxy on this machine, and most proxies pass
    # on a client's value. A client could then reach another path than the one the proxy allowed.
    defaults["forwarder_headers"] = ""
    # Our file always applies first: a short operator's file must not drop the settings that keep
    # slow clients from blocking the others.
    for file in (shipped_file(), OPERATOR_FILE):
        defaults |= _said_in(file) if file.is_file() else {}
    if not isinstance(defaults["workers"], int):
        raise click.ClickException(f"{OPERATOR_FILE}: workers must be a number")
    return {**defaults, **({"bind": bind} if bind else {})}


def addresses_in(settings: Mapping[str, Any]) -> Sequence[str]:
    """Return the addresses of `bind`, which is a list or a string with commas."""
    bind = settings["bind"]
    return [one.strip() for one in (bind.split(",") if isinstance(bind, str) else bind)]


def _said_in(file: Path) -> dict[str, Any]:
    try:
        said = runpy.run_path(str(file))
    except Exception as error:
        told = f"{type(error).__name__}: {error}"
        raise click.ClickException(f"{file} cannot be run: {told}") from None
    return {name: value for name, value in said.items() if not name.startswith("_")}


def shipped_file() -> Path:
    """Return the path of our gunicorn.conf.py: in the wheel, else in the checkout."""
    packaged = Path(str(resources.files("app"))) / "_config" / "gunicorn.conf.py"
    return packaged if packaged.is_file() else Path(__file__).parents[3] / OPERATOR_FILE


def _raise_file_limit() -> None:
    """Raise the limit of open files to the hard limit: every connection is a file."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def _share_metrics() -> Path:
    """Share metrics between the web processes. Call this before prometheus_client is imported."""
    remove_abandoned()
    folder = make_folder()
    os.environ[VARIABLE] = str(folder)
    return folder


def _serve(environment: Environment, settings: dict[str, Any], *, with_worker: bool) -> None:
    from app.cli.database import prepare, require_current, require_keys, unanswered
    from app.server.application import WebServer
    from app.server.gunicorn_insides import usable_worker
    from app.service import build_service
    from app.storage.errors import StorageUnavailable

    service = build_service(environment)
    prepare(environment)
    try:
        require_current(service.database)
    except StorageUnavailable as error:
        raise unanswered(error) from None
    require_keys(service.database)
    logs.configure()
    starts_worker = with_worker and environment.has_gameball_credentials
    if with_worker and not starts_worker:
        # Callbacks are accepted anyway. Warn, so that the operator notices the missing key.
        log.warning("worker.absent", problem="GAMEBALL_API_KEY and GAMEBALL_SECRET_KEY must be set")
    settings = {**settings, "worker_class": usable_worker(settings["worker_class"])}
    WebServer(service, settings, starts_worker=starts_worker).run()
