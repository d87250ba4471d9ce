"""The gunicorn application, which may contain the worker."""

import gc
import os
import sys
from pathlib import Path
from typing import Any

import structlog
from gunicorn.app.base import BaseApplication
from gunicorn.glogging import Logger

from app.server.metrics_folder import VARIABLE
from app.service import Service
from app.shared_metrics import end_process
from app.web import create_app
from app.worker.build import Worker, build_chores, build_worker

log = structlog.get_logger(__name__)

# Our threads switch when they wait, long before any timer. At Python's default of 5 ms every
# waiting thread would wake 200 times a second to request the interpreter, which costs a fifth of
# the throughput (bench/intake, 32 threads).
SWITCH_SECONDS = 0.1
# A callback leaves almost nothing that only the collector can free: at Python's usual 700 objects
# it looked several times at what each batch of callbacks was still using (3 % of the processor).
COLLECT_EVERY = 7_000


class EventLogger(Logger):  # type: ignore[misc]
    """Sends gunicorn's messages to our log. Requests are counted instead of logged."""

    def setup(self, cfg: Any) -> None:
        self.loglevel = self.LOG_LEVELS.get(cfg.loglevel.lower(), 20)
        self.error_log.setLevel(self.loglevel)
        self.error_log.propagate = True
        self.access_log.propagate = False

    def reopen_files(self) -> None:
        """Do nothing: the log goes to stderr, not to files."""


class WebServer(BaseApplication):  # type: ignore[misc]
    """The service under gunicorn. The application is made before the fork, threads after it."""

    def __init__(self, service: Service, settings: dict[str, Any], *, starts_worker: bool) -> None:
        self.service = service
        self.settings = settings
        self.starts_worker = starts_worker
        self.worker: Worker | None = None
        super().__init__()

    @property
    def gathers_callbacks(self) -> bool:
        """Whether callbacks wait for each other's commits. SQLite's writer does that by itself."""
        return not self.service.database.is_embedded

    def load_config(self) -> None:
        for name, value in self.settings.items():
            if name in self.cfg.settings:
                self.cfg.set(name, value)
        self.cfg.set("logger_class", EventLogger)
        self.cfg.set("preload_app", True)
        self.cfg.set("control_socket_disable", True)
        for hook in (
            self.pre_fork,
            self.post_worker_init,
            self.worker_exit,
            self.on_reload,
            self.child_exit,
        ):
            self.cfg.set(hook.__name__, hook)

    def load(self) -> Any:
        return create_app(self.service)

    def pre_fork(self, _server: Any, _worker: Any) -> None:
        """Freeze existing objects: garbage collection would write to their memory and unshare it.

        The processes share a third of their memory until one of them writes to it.
        """
        gc.collect()
        gc.freeze()

    def post_worker_init(self, worker: Any) -> None:
        sys.setswitchinterval(SWITCH_SECONDS)
        gc.set_threshold(COLLECT_EVERY)
        log.info("web.started", pid=worker.pid, worker=self.starts_worker)
        build = build_worker if self.starts_worker else build_chores
        self.worker = build(self.service)
        self.worker.start()
        self.service.fetch_keys()

    def worker_exit(self, _server: Any, worker: Any) -> None:
        """Stop the service after a web process's last request; work in flight is recorded."""
        if self.worker is not None:
            self.worker.stop()
        self.service.close()
        log.info("web.stopped", pid=worker.pid)

    def on_reload(self, _server: Any) -> None:
        """Reload in gunicorn's main process at SIGHUP, for the web processes that it forks next."""
        self.service.reload()

    def child_exit(self, _server: Any, worker: Any) -> None:
        folder = os.environ.get(VARIABLE)
        if folder:
            try:
                end_process(Path(folder), worker.pid)
            except OSError as error:
                log.warning("metrics.not_added", problem=str(error))
