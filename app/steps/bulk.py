"""Bulk jobs: one operator action on many attempts, in slices that any process may run."""

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from sqlalchemy import Connection, Row, insert, select, update

from app.domain.attempts import State
from app.domain.clock import iso_utc, least_id, new_id
from app.domain.evidence import Evidence
from app.steps import history
from app.steps.audit import Change, record
from app.steps.history import Filter
from app.steps.operator_actions import BEGINS_IN, OperatorAction, act_on_each
from app.storage.tables import BULK_JOBS, BulkJobRow
from app.storage.vault import vault_of

# Attempts per transaction. On SQLite a callback waits for it: 40 ms, measured.
SLICE = 50
_IS_RUNNING = BulkJobRow.ended_at.is_(None)
# Every process runs it each second, so it is built once.
_RUNNING = select(BulkJobRow.id).where(_IS_RUNNING).order_by(BulkJobRow.id)
# Criteria that name a person. They stay out of the audit log, and are deleted with the job's end.
_PERSONAL = ("customer_id", "account_id", "q")
_NAMED = "(named)"
# Replaces a name while the job runs. It is not a text on purpose: an older process, which cannot
# open sealed names, must fail on it. With a text it would find nobody and end the job.
_SEALED = {"sealed": True}


class WrongStates(Exception):  # noqa: N818 -- reads as the claim it makes
    """The filter names states in which the action is not allowed. The text is for the caller."""


class Progress(StrEnum):
    """The progress of a bulk job."""

    RUNNING = "running"
    ENDED = "ended"
    STOPPED = "stopped"


def narrowed(act: OperatorAction, wanted: Filter) -> Filter:
    """Restrict the filter to states that allow the action. Raises `WrongStates`."""
    wrong = [state for state in wanted.states if state not in BEGINS_IN[act]]
    if wrong:
        raise WrongStates(f"these states do not allow it: {', '.join(wrong)}")
    return replace(wanted, states=wanted.states or tuple(sorted(BEGINS_IN[act])))


def count(connection: Connection, act: OperatorAction, wanted: Filter, now: datetime) -> int:
    """Count the matching attempts. This is slow for a long history: never call it in a write."""
    return history.count(connection, narrowed(act, wanted), _before(now))


def start(
    connection: Connection,
    act: OperatorAction,
    wanted: Filter,
    matched: int,
    caused_by: str,
    now: datetime,
) -> Any:
    """Store a new job for the attempts that exist now, and return it.

    ``matched``: the result of `count`. `advance` does the work, slice by slice.
    """
    said = _plain(narrowed(act, wanted))
    named = {name: value for name, value in said.items() if name in _PERSONAL}
    row = {
        "id": new_id(now),
        "act": act,
        "wanted": json.dumps({**said, **dict.fromkeys(named, _SEALED)}),
        "named": json.dumps(named) if named else None,
        "caused_by": caused_by[:200],
        "created_at": now,
        "before_id": _before(now),
        "matched": matched,
        "visited": 0,
        "done": 0,
        "stopped": False,
    }
    sealed = vault_of(connection).seal_row(BULK_JOBS, row)
    connection.execute(insert(BulkJobRow).values(sealed))
    record(
        connection,
        Change.BULK_STARTED,
        by=caused_by,
        now=now,
        subject=str(row["id"]),
        customer_id=wanted.customer_id,
        act=act,
        filter=_impersonal(said),
        matched=matched,
    )
    return _found(connection, str(row["id"]))


def running(connection: Connection) -> list[str]:
    """Return the ids of the unfinished jobs, oldest first."""
    return list(connection.execute(_RUNNING).scalars())


def advance(connection: Connection, job_id: str, now: datetime, size: int | None = None) -> bool:
    """Do the next slice, newest attempts first. False: the job has ended or another process has it.

    The slice and the position of the next one are one transaction. An interrupted job continues
    at that position, and no attempt is done twice.
    """
    size = size or SLICE
    # Skip a locked job: another process is doing the slice.
    statement = select(BULK_JOBS).where(BulkJobRow.id == job_id, _IS_RUNNING)
    job = connection.execute(statement.with_for_update(skip_locked=True)).one_or_none()
    if job is None:
        return False
    meant = _filter(_said(_opened(connection, job)))
    page = history.page(connection, meant, size, job.before_id)
    act = OperatorAction(job.act)
    reason = f"{act} of many by a person (bulk {job.id})"
    ids = [row.id for row in page]
    done = act_on_each(connection, act, ids, _still(meant), reason, job.caused_by, now)
    values: dict[str, Any] = {"visited": job.visited + len(ids), "done": job.done + done}
    is_last = len(ids) < size
    if ids:
        values["before_id"] = ids[-1]
    if is_last:
        values |= _ended(job, now)
        _record_end(connection, job, Change.BULK_ENDED, job.caused_by, now, values)
    connection.execute(update(BulkJobRow).where(BulkJobRow.id == job.id).values(values))
    return not is_last


def stop(connection: Connection, job_id: str, by: str, now: datetime) -> Any:
    """Stop the job before its next slice, and return it. None: there is no such job."""
    statement = select(BULK_JOBS).where(BulkJobRow.id == job_id)
    job = connection.execute(statement.with_for_update()).one_or_none()
    if job is None or job.ended_at is not None:
        return job
    values = {**_ended(job, now), "stopped": True}
    connection.execute(update(BulkJobRow).where(BulkJobRow.id == job_id).values(values))
    counts = {"visited": job.visited, "done": job.done}
    _record_end(connection, job, Change.BULK_STOPPED, by, now, counts)
    return _found(connection, job_id)


def find(connection: Connection, job_id: str) -> Any:
    """Return the job with its sealed values opened, or None."""
    statement = select(BULK_JOBS).where(BulkJobRow.id == job_id)
    job = connection.execute(statement).one_or_none()
    return job and _opened(connection, job)


def listing(connection: Connection, limit: int) -> list[Any]:
    """Return the newest jobs first."""
    statement = select(BULK_JOBS).order_by(BulkJobRow.id.desc()).limit(limit)
    return [_opened(connection, job) for job in connection.execute(statement)]


def progress_of(job: Any) -> Progress:
    """Return whether the job is running, ended or stopped."""
    if job.ended_at is None:
        return Progress.RUNNING
    return Progress.STOPPED if job.stopped else Progress.ENDED


def criteria_of(job: Any, *, with_names: bool) -> Mapping[str, Any]:
    """Return the job's filter without empty criteria."""
    said = _said(job)
    return said if with_names else _impersonal(said)


def _still(meant: Filter) -> Callable[[Row[Any]], bool]:
    """Return a check of the criteria that may have changed since the job began."""

    def is_meant(attempt: Row[Any]) -> bool:
        is_undone = attempt.undone_at is not None
        return attempt.state in meant.states and meant.undone in (None, is_undone)

    return is_meant


def _before(now: datetime) -> str:
    """The bound for ids: attempts created after ``now`` are not part of the job."""
    return least_id(now + timedelta(milliseconds=1))


def _opened(connection: Connection, job: Row[Any]) -> Any:
    return vault_of(connection).open_row(BULK_JOBS, job)


def _said(job: Any) -> dict[str, Any]:
    """The filter as JSON values. Names are included as long as they are stored."""
    return {**json.loads(job.wanted), **json.loads(job.named or "{}")}


def _found(connection: Connection, job_id: str) -> Any:
    job = find(connection, job_id)
    if job is None:
        raise LookupError("the job is neither new nor known")
    return job


def _record_end(
    connection: Connection,
    job: Row[Any],
    change: Change,
    by: str,
    now: datetime,
    values: Mapping[str, Any],
) -> None:
    record(
        connection,
        change,
        by=by,
        now=now,
        subject=job.id,
        act=job.act,
        done=values["done"],
        skipped=values["visited"] - values["done"],
    )


def _ended(job: Row[Any], now: datetime) -> dict[str, Any]:
    wanted = json.dumps(_impersonal(json.loads(job.wanted)))
    return {"ended_at": now, "wanted": wanted, "named": None}


def _impersonal(said: Mapping[str, Any]) -> dict[str, Any]:
    return {name: _NAMED if name in _PERSONAL else value for name, value in said.items()}


def _plain(wanted: Filter) -> dict[str, Any]:
    """Return the filter as JSON values, without empty criteria."""
    said = {name: value for name, value in asdict(wanted).items() if value not in (None, ())}
    del said["finds_handles"]
    return {
        name: iso_utc(value) if isinstance(value, datetime) else value
        for name, value in said.items()
    }


def _filter(written: Mapping[str, Any]) -> Filter:
    said = dict(written)
    for name in ("from_at", "to_at"):
        if name in said:
            said[name] = datetime.fromisoformat(said[name])
    if "evidence" in said:
        said["evidence"] = Evidence(said["evidence"])
    states = tuple(State(state) for state in said.pop("states", ()))
    # Only roles that may see handles can start a job.
    return Filter(**said, states=states, finds_handles=True)
