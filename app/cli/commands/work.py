"""`vouch work`: run a worker without the web service."""

import signal
from contextlib import suppress

import click
import structlog

from app import logs
from app.cli.address import listening, split_address
from app.cli.database import prepare, require_current, require_keys
from app.cli.streams import log_somewhere
from app.service import build_service
from app.settings.environment import read_environment
from app.storage.errors import StorageUnavailable
from app.worker.build import build_worker

log = structlog.get_logger(__name__)

_SIGNALS = frozenset({signal.SIGTERM, signal.SIGINT, signal.SIGHUP})


@click.command()
@click.option(
    "--metrics", metavar="HOST:PORT", help="Serve this worker's own counters to Prometheus there."
)
def command(metrics: str | None) -> None:
    """Forward what is due, on as many machines as wanted, over one shared database.

    SIGTERM starts nothing more and waits for what is in flight. SIGHUP reloads the configuration.
    """
    log_somewhere()
    environment = read_environment()
    if not environment.has_gameball_credentials:
        raise click.ClickException("GAMEBALL_API_KEY and GAMEBALL_SECRET_KEY must be set")
    service = build_service(environment)
    prepare(environment)
    # A database that does not answer may come back. One without our tables would always fail.
    with suppress(StorageUnavailable):
        require_current(service.database)
    require_keys(service.database)
    logs.configure()
    # Block the signals before any thread starts: no thread is interrupted, no signal is lost.
    signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
    if metrics:
        from prometheus_client import start_http_server

        host, port = split_address(metrics, "--metrics")
        with listening(metrics):
            start_http_server(port, host)
    told = signal.SIGHUP
    while told is signal.SIGHUP:
        worker = build_worker(service)
        worker.start()
        log.info("worker.started")
        told = signal.Signals(signal.sigwait(_SIGNALS))
        worker.stop()
        if told is signal.SIGHUP:
            service.reload()
    service.close()
    log.info("worker.stopped")
