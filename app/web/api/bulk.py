"""Replay and cancel many attempts at once as a bulk job."""

import time
from datetime import datetime
from typing import Any
from uuid import UUID

import structlog
from flask import Blueprint, Response
from pydantic import Field

from app.domain.attempts import State
from app.domain.roles import Role
from app.schemas.attempts import sees_personal
from app.schemas.fields import Id, Schema, example
from app.schemas.filters import AttemptFilter
from app.service import Service
from app.steps import bulk, history
from app.steps.bulk import Progress
from app.steps.history import Filter
from app.steps.operator_actions import OperatorAction
from app.storage.errors import StorageUnavailable, TooSlow
from app.web.api.openapi import operation
from app.web.auth import caller, requires
from app.web.context import service
from app.web.parsing import body_as
from app.web.problems import Problem
from app.web.reading_slots import reads_history, slot, takes_slot
from app.web.responses import reply

log = structlog.get_logger(__name__)
blueprint = Blueprint("bulk", __name__)

# How long the request itself works on its job. Most jobs end within this time.
AT_ONCE_SECONDS = 1.0
_MOST_LISTED = 100


class BulkRequest(AttemptFilter):
    """Which attempts are meant. Nothing but `all` means all of them."""

    model_config = example(state=["dead"], challengeId=11664, dryRun=True)

    dry_run: bool = Field(default=False, description="Only count.")
    all: bool = Field(default=False, description="Yes, every attempt whose state allows it.")


class BulkCount(Schema):
    """How many attempts are meant; nothing was done."""

    matched: int = Field(description="Attempts that the filter means and whose state allows it.")
    by_state: dict[State, int] = Field(description="The same by the state they are in.")


class BulkJob(Schema):
    """One act on many attempts, and how far it is."""

    id: Id
    act: OperatorAction
    progress: Progress
    by: str = Field(description="Who began it; timelines of the attempts say the same.")
    matched: int = Field(description="How many were meant when it began.")
    visited: int = Field(description="How many it has come by.")
    done: int = Field(description="Of these, done.")
    skipped: int = Field(
        description="Of these, left: another attempt was paid, one is in flight, or it moved."
    )
    filter: dict[str, Any] = Field(
        description="Which attempts are meant. Whom it names, only operators see, and only until it"
        " is over."
    )
    created_at: datetime
    ended_at: datetime | None


class BulkJobs(Schema):
    """The newest jobs first."""

    items: list[BulkJob]


_BEGINS_A_JOB = (
    "Answers 202 with a job that goes on by itself, also after a restart. With `dryRun` it answers "
    "200 with how many are meant, and does nothing."
)


@blueprint.post("/v1/attempts/replay")
@requires(Role.OPERATOR)
@operation(
    operation_id="replayAttempts",
    summary="Owe many attempts to Gameball again",
    description=_BEGINS_A_JOB,
    body=BulkRequest,
    answers={200: BulkCount, 202: BulkJob},
    tag="bulk",
)
@reads_history
def replay_many() -> Response:
    return _begun(OperatorAction.REPLAY)


@blueprint.post("/v1/attempts/cancel")
@requires(Role.OPERATOR)
@operation(
    operation_id="cancelAttempts",
    summary="Withdraw many attempts that are not paid yet",
    description=_BEGINS_A_JOB,
    body=BulkRequest,
    answers={200: BulkCount, 202: BulkJob},
    tag="bulk",
)
@reads_history
def cancel_many() -> Response:
    return _begun(OperatorAction.CANCEL)


@blueprint.get("/v1/bulk")
@requires(Role.VIEWER)
@operation(
    operation_id="listBulkJobs",
    summary="List the newest bulk jobs",
    description="At most a hundred, the newest first.",
    answers={200: BulkJobs},
    tag="bulk",
)
@takes_slot
def listing() -> Response:
    with service().people.read() as connection:
        found = bulk.listing(connection, _MOST_LISTED)
    return reply(BulkJobs(items=[job(row) for row in found]))


@blueprint.get("/v1/bulk/<uuid:job_id>")
@requires(Role.VIEWER)
@operation(
    operation_id="getBulkJob",
    summary="How far is a bulk job?",
    description="Ask again until `progress` says that it is over.",
    answers={200: BulkJob},
    problems=("unknown",),
    tag="bulk",
)
@takes_slot
def one(job_id: UUID) -> Response:
    with service().people.read() as connection:
        found = bulk.find(connection, str(job_id))
    return reply(job(_known(found)))


@blueprint.post("/v1/bulk/<uuid:job_id>/stop")
@requires(Role.OPERATOR)
@operation(
    operation_id="stopBulkJob",
    summary="Stop a bulk job; what it did stays done",
    description="A job that is over already is answered as it is.",
    answers={200: BulkJob},
    problems=("unknown",),
    tag="bulk",
)
def stop(job_id: UUID) -> Response:
    by, now = caller().named, service().now()
    found = service().database.write(lambda c: bulk.stop(c, str(job_id), by, now))
    return reply(job(_known(found)))


def job(row: Any) -> BulkJob:
    return BulkJob(
        id=row.id,
        act=row.act,
        progress=bulk.progress_of(row),
        by=row.caused_by,
        matched=row.matched,
        visited=row.visited,
        done=row.done,
        skipped=row.visited - row.done,
        filter=_criteria(row),
        created_at=row.created_at,
        ended_at=row.ended_at,
    )


def _criteria(row: Any) -> dict[str, Any]:
    """Return the job's filter under the names of the request, as far as the caller may see it."""
    criteria = bulk.criteria_of(row, with_names=sees_personal(caller().role))
    fields = AttemptFilter.model_fields
    aliases = {name: str(field.serialization_alias) for name, field in fields.items()}
    names = {**aliases, "states": aliases["state"]}
    return {names[name]: value for name, value in criteria.items()}


def _begun(act: OperatorAction) -> Response:
    request = body_as(BulkRequest)
    wanted = _narrowed(act, request)
    if request.dry_run:
        with slot(), service().people.read() as connection:
            counted = history.count_by_state(connection, wanted)
        return reply(BulkCount(matched=sum(counted.values()), by_state=counted))
    by, now = caller().named, service().now()
    with slot(), service().people.read() as connection:
        matched = bulk.count(connection, act, wanted, now)
    begun = service().database.write(lambda c: bulk.start(c, act, wanted, matched, by, now))
    log.info("bulk.started", job=begun.id, act=act, matched=begun.matched, by=by)
    return reply(job(_work_on(service(), begun)), 202)


def _work_on(ours: Service, begun: Any) -> Any:
    """Work on a job until the time is up. The chores do the rest, also after an error."""
    give_up = time.monotonic() + AT_ONCE_SECONDS
    try:
        while ours.database.write(lambda c: bulk.advance(c, begun.id, ours.now())):
            ours.wake_worker()
            if time.monotonic() > give_up:
                break
        ours.wake_worker()
        with ours.people.read() as connection:
            return bulk.find(connection, begun.id) or begun
    except (StorageUnavailable, TooSlow) as error:
        log.warning("bulk.interrupted", job=begun.id, problem=str(error))
        return begun


def _narrowed(act: OperatorAction, request: BulkRequest) -> Filter:
    """Return the request's filter, narrowed to the states that allow the act."""
    wanted = request.wanted(caller().role)
    if wanted.is_empty and not request.all:
        raise _invalid("all", "name a filter, or say that you mean all")
    try:
        return bulk.narrowed(act, wanted)
    except bulk.WrongStates as wrong:
        raise _invalid("state", str(wrong)) from None


def _invalid(field: str, problem: str) -> Problem:
    return Problem("invalid", "See errors.", errors=[{"field": field, "problem": problem}])


def _known(row: Any) -> Any:
    if row is None:
        raise Problem("unknown", "No bulk job has this id.")
    return row
