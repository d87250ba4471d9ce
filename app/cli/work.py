"""`vouch work`: a worker alone."""

import signal
import threading

import click
import structlog

from app import logs
from app.cli.address import split_address
from app.cli.database import prepare
from app.service import build_service
from app.settings.environment import read_environment
from app.worker.assembly import build_dispatcher

log = structlog.get_logger(__name__)


@click.command()
@click.option(
    "--metrics", metavar="HOST:PORT", help="Serve this worker's own counters to Prometheus there."
)
def command(metrics: str | None) -> None:
    """Forward what is due, on as many machines as wanted, over one shared database.

    SIGTERM starts nothing more and waits for what is in flight. SIGHUP reloads the configuration.
    """
    environment = read_environment()
    if not environment.has_gameball_credentials:
        raise click.ClickException("GAMEBALL_API_KEY and GAMEBALL_SECRET_KEY must be set")
    service = build_service(environment)
    prepare(environment)
    logs.configure()
    if metrics:
        from prometheus_client import start_http_server

        host, port = split_address(metrics)
        start_http_server(port, host)
    signals = Signals()
    while not signals.stopped:
        dispatcher = build_dispatcher(service)
        dispatcher.start()
        log.info("worker.started")
        signals.wait()
        dispatcher.stop()
        if not signals.stopped:
            service.reload()
    service.database.close()
    log.info("worker.stopped")


class Signals:
    """What the operator asked for: to stop, or to read the configuration again."""

    def __init__(self) -> None:
        self.stopped = False
        self._event = threading.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._stop)
        signal.signal(signal.SIGHUP, lambda *_: self._event.set())

    def wait(self) -> None:
        while not self._event.wait(3_600):
            pass
        self._event.clear()

    def _stop(self, *_: object) -> None:
        self.stopped = True
        self._event.set()
