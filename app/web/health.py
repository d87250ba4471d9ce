"""Liveness, readiness and metrics, for monitoring without a key."""

import os
import re
from datetime import datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import Literal

import structlog
from flask import Blueprint, Response, current_app
from flask.blueprints import BlueprintSetupState
from prometheus_client import REGISTRY, CollectorRegistry
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest
from pydantic import Field

from app.schemas.fields import Schema
from app.shared_metrics import Counted
from app.steps import health
from app.storage.errors import StorageUnavailable
from app.storage.migrate import is_usable
from app.web.api.openapi import operation
from app.web.context import service
from app.web.metrics_collector import DatabaseCollector
from app.web.problems import Problem
from app.web.responses import reply

log = structlog.get_logger(__name__)
blueprint = Blueprint("health", __name__)

SILENCE = timedelta(seconds=60)
# A worker reports twice a minute. Short restarts and moves are tolerated.
WORKER_SILENCE = timedelta(minutes=5)
_COLLECTOR = "vouch.collector"


class Forwarder(StrEnum):
    RUNNING = "running"
    PAUSED = "paused"
    NOT_CONFIGURED = "not_configured"
    SILENT = "silent"


class Worker(StrEnum):
    INSIDE = "inside"
    SEEN = "seen"
    NOT_SEEN = "not_seen"


class Alive(Schema):
    """The process answers."""

    status: Literal["ok"]


class ForwarderHealth(Schema):
    """The state of the forwarding to Gameball."""

    state: Forwarder
    reason: str | None = Field(description="Why it is paused.")
    worker_seen_at: datetime | None = Field(description="When a worker last took up a submission.")


class WorkerHealth(Schema):
    """Whether a worker processes attempts."""

    state: Worker = Field(
        description="Whether one runs in this process, or any was alive in the last five minutes."
        " With `not_seen` the service stays ready: callbacks are stored until one runs."
    )
    alive_at: datetime | None = Field(description="When a worker last reported.")


class Ready(Schema):
    """Callbacks can be accepted. Paused forwarding does not change that: attempts wait."""

    status: Literal["ready"]
    database: Literal["ok"] = Field(description="It answers, and takes writes.")
    rules: int = Field(description="How many the configuration in use has.")
    sources: int
    forwarder: ForwarderHealth
    worker: WorkerHealth


# A proxy that blocks these does so by their exact paths: no other spelling is served.
@blueprint.get("/healthz", strict_slashes=True)
@operation(
    operation_id="getHealth",
    summary="Is the process alive?",
    description="It asks no database, so a database that is slow does not make it fail.",
    answers={200: Alive},
    tag="health",
    uses_storage=False,
)
def healthz() -> Response:
    return reply(Alive(status="ok"))


@blueprint.get("/readyz", strict_slashes=True)
@operation(
    operation_id="getReadiness",
    summary="Can it take callbacks?",
    description="Answers 200 while the database can be read and written, and a worker inside is "
    "alive.",
    answers={200: Ready},
    problems=("not-ready",),
    tag="health",
)
def readyz() -> Response:
    try:
        with service().database.read() as connection:
            current = is_usable(connection)
            found = health.forwarding(connection) if current else None
    except StorageUnavailable as error:
        log.warning("storage.unavailable", problem=str(error), path="/readyz")
        raise Problem("not-ready", "The database does not answer.") from None
    if found is None:
        raise Problem("not-ready", "The database is not at this version: run `vouch db upgrade`.")
    _require_writes()
    _require_own_worker()
    configuration = service().configuration
    return reply(
        Ready(
            status="ready",
            database="ok",
            rules=len(configuration.rules),
            sources=len(configuration.sources),
            forwarder=_forwarder(found),
            worker=_worker(found),
        )
    )


def _require_writes() -> None:
    problem = service().database.write_problem()
    if problem is not None:
        log.warning("storage.unavailable", problem=problem, path="/readyz")
        raise Problem("not-ready", "The database takes no writes.")


def _require_own_worker() -> None:
    """Refuse when the worker inside this process has ended; workers elsewhere do not matter here.

    Callbacks are stored for them, so a missing worker must not take every web process out of
    service.
    """
    is_alive = service().is_worker_alive
    if is_alive is not None and not is_alive():
        log.error("worker.dead", path="/readyz")
        raise Problem("not-ready", "The worker inside this process has stopped: restart it.")


@blueprint.get("/metrics", strict_slashes=True)
@operation(
    operation_id="getMetrics",
    summary="Count for Prometheus",
    description="Counters and gauges in Prometheus's text format.",
    answers={200: "text/plain"},
    tag="health",
    uses_storage=False,
)
def metrics() -> Response:
    registry = CollectorRegistry()
    folder = os.environ.get("PROMETHEUS_MULTIPROC_DIR")
    registry.register(Counted(Path(folder)) if folder else REGISTRY)
    registry.register(current_app.extensions[_COLLECTOR])
    # Ignore `Accept`: prometheus_client raises on a malformed version in it.
    return Response(generate_latest(registry), content_type=CONTENT_TYPE_PLAIN_0_0_4)


def _forwarder(found: health.Forwarding) -> ForwarderHealth:
    state, reason = _state_of(found, service().now())
    return ForwarderHealth(state=state, reason=reason, worker_seen_at=found.worker_seen_at)


def _worker(found: health.Forwarding) -> WorkerHealth:
    at, now = found.worker_alive_at, service().now()
    if service().is_worker_alive is not None:
        state = Worker.INSIDE
    else:
        state = Worker.SEEN if at and at >= now - WORKER_SILENCE else Worker.NOT_SEEN
    return WorkerHealth(state=state, alive_at=at)


def _state_of(found: health.Forwarding, now: datetime) -> tuple[Forwarder, str | None]:
    if found.paused_at is not None:
        return Forwarder.PAUSED, _without_message(found.pause_reason or "")
    seen_at = found.worker_seen_at
    is_seen = seen_at is not None and seen_at >= now - SILENCE
    # Another machine may have the credentials: a worker that was seen has them.
    if not is_seen and not service().environment.has_gameball_credentials:
        return Forwarder.NOT_CONFIGURED, "GAMEBALL_API_KEY and GAMEBALL_SECRET_KEY are not set here"
    if found.is_silent(now, SILENCE):
        return Forwarder.SILENT, "attempts are due, and no worker takes them up"
    return Forwarder.RUNNING, None


def _without_message(pause_reason: str) -> str:
    """Return outcome, status and code only: Gameball's text may name people, and this is public."""
    outcome = re.match(r"[a-z_]+( \d+)*", pause_reason)
    return outcome[0] if outcome else ""


@blueprint.record_once
def _collect(state: BlueprintSetupState) -> None:
    app = state.app
    app.extensions[_COLLECTOR] = DatabaseCollector(app.extensions["vouch"])
