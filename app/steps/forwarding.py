"""How is an achievement handed to Gameball, without losing or doubling it?"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import cache
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Row,
    Select,
    and_,
    bindparam,
    exists,
    func,
    insert,
    or_,
    select,
    update,
)
from sqlalchemy.orm import aliased

from app.domain.answers import Answer, Outcome, Then
from app.domain.attempts import State
from app.domain.retries import (
    Decision,
    Past,
    RetryPolicy,
    decide,
    unresolved_since,
    unresolved_until,
)
from app.steps.ledger import release
from app.steps.moves import move
from app.steps.pace import Pace, answered, blocked_until, lock_forwarding, started
from app.steps.undoing import is_void, withdraw_void
from app.storage.tables import ATTEMPTS, AttemptRow, SubmissionRow
from app.storage.vault import vault_of

_MAY_HAVE_LANDED = (Outcome.ACCEPTED, Outcome.PROGRAM_DISABLED, Outcome.UNKNOWN)


@dataclass(frozen=True, slots=True)
class ForwardingPolicy:
    """Everything that decides about submissions, beside Gameball's answers."""

    pace: Pace
    retries: RetryPolicy
    lease_seconds: float
    first_look_seconds: float = 90  # from acceptance to the first look at the reward


@dataclass(frozen=True, slots=True)
class Started:
    """A submission that this worker may make, and only until ``lease_until``."""

    submission_id: int
    attempt_id: str
    fence: int
    round: int
    customer_id: str
    challenge_id: int
    email: str | None
    mobile: str | None
    past: tuple[Past, ...]
    created_at: datetime
    started_at: datetime
    lease_until: datetime


@dataclass(frozen=True, slots=True)
class NotNow:
    """Nothing was started. ``until``: nothing at all may be started before; None: try others."""

    until: datetime | None = None


def due_attempts(connection: Connection, now: datetime, limit: int) -> list[Row[Any]]:
    """The attempts whose submission is due, the longest due first, with their customers.

    Without those of customers that have one in flight: a long queue of theirs would hide the rest.
    """
    return list(connection.execute(_due(), {"now": now, "most": limit}))


@cache
def _due() -> Select[str, str | None]:
    """Made once: an idle worker asks it all day."""
    return (
        select(AttemptRow.id, AttemptRow.customer_id)
        .where(
            AttemptRow.state == State.DUE,
            AttemptRow.next_at <= bindparam("now"),
            ~has_one_in_flight(),
        )
        .order_by(AttemptRow.next_at)
        .limit(bindparam("most"))
    )


def start(
    connection: Connection, attempt_id: str, worker: str, policy: ForwardingPolicy, now: datetime
) -> Started | NotNow:
    """Begin a submission: pace, pause, lease and the submission's row, or nothing of it.

    The row is written before the call. A worker that dies leaves it without an end, which says
    "may have landed".
    """
    forwarding = lock_forwarding(connection, now)
    until = blocked_until(connection, forwarding, policy.pace, now)
    if until is not None:
        return NotNow(until)
    lease_until = now + timedelta(seconds=policy.lease_seconds)
    leased = _lease(connection, attempt_id, lease_until, now)
    if leased is None:
        return NotNow()
    attempt = vault_of(connection).open_row(ATTEMPTS, leased)
    if is_void(connection, attempt):
        _unlease(connection, attempt.id, attempt.fence)
        withdraw_void(connection, attempt, now)
        return NotNow()
    clear_at = _clear_of_echo(connection, attempt, policy.retries, now)
    if clear_at is not None:
        _unlease(connection, attempt.id, attempt.fence, next_at=clear_at)
        return NotNow()
    started(connection, forwarding, policy.pace, now)
    submission_id = connection.execute(
        insert(SubmissionRow)
        .values(
            attempt_id=attempt.id,
            fence=attempt.fence,
            round=attempt.round,
            worker=worker,
            started_at=now,
            resolved=False,
        )
        .returning(SubmissionRow.id)
    ).scalar_one()
    return Started(
        submission_id,
        attempt.id,
        attempt.fence,
        attempt.round,
        attempt.customer_id,
        attempt.challenge_id,
        attempt.email,
        attempt.mobile,
        _past(connection, attempt.id, attempt.round, before=submission_id),
        attempt.created_at,
        now,
        lease_until,
    )


def finish(
    connection: Connection, made: Started, answer: Answer, policy: ForwardingPolicy, now: datetime
) -> Decision | None:
    """Record how a submission ended and what follows; None when the lease was lost meanwhile.

    The answer is recorded in any case: it is the truth about that call.
    """
    _end_submission(connection, made.submission_id, answer, now)
    answered(connection, answer, policy.pace, made.started_at, now)
    if not _unlease(connection, made.attempt_id, made.fence):
        return _late(connection, made, answer, policy, now)
    decision = decide(answer, _past_of(connection, made, answer), policy.retries, now)
    if decision.then is Then.ACCEPT:
        decision = replace(decision, next_at=_first_look(policy, now))
    _apply(connection, made.attempt_id, decision, f"worker:{answer.outcome}", now)
    return decision


def landed_after_all(connection: Connection, made: Started, now: datetime) -> None:
    """End without sending: the customer's progress shows that an earlier submission landed."""
    answer = Answer(Outcome.NOT_SENT, message="not sent: the progress shows an earlier one")
    _end_submission(connection, made.submission_id, answer, now)
    if _unlease(connection, made.attempt_id, made.fence):
        reason = "an earlier submission had landed, as the customer's progress shows"
        _apply(connection, made.attempt_id, Decision(Then.ACCEPT, reason), "worker:progress", now)


def cannot_know(
    connection: Connection, made: Started, policy: ForwardingPolicy, now: datetime
) -> None:
    """End without sending: whether an earlier submission landed cannot be known, yet or at all."""
    answer = Answer(Outcome.NOT_SENT, message="not sent: unknown whether an earlier one landed")
    _end_submission(connection, made.submission_id, answer, now)
    if not _unlease(connection, made.attempt_id, made.fence):
        return
    decision = decide(answer, _past_of(connection, made, answer), policy.retries, now)
    settled_at = settles_at(made, policy)
    if decision.next_at is not None and settled_at is not None:
        decision = Decision(decision.then, answer.message or "", max(decision.next_at, settled_at))
    _apply(connection, made.attempt_id, decision, "worker:unknown", now)


def refuse(connection: Connection, made: Started, reason: str, now: datetime) -> bool:
    """End without sending: Gameball says that the customer cannot be rewarded.

    Whether it was refused. Its award is free again, as nothing of it can have landed; where
    something may have, nothing is refused.
    """
    if unresolved_since(_past(connection, made.attempt_id, made.round, made.submission_id)):
        return False
    answer = Answer(Outcome.NOT_SENT, message="not sent: Gameball says it would not be rewarded")
    _end_submission(connection, made.submission_id, answer, now)
    if not _unlease(connection, made.attempt_id, made.fence):
        return True
    move(
        connection,
        made.attempt_id,
        State.DUE,
        State.REFUSED,
        reason=reason,
        caused_by="worker:progress",
        now=now,
    )
    release(connection, made.attempt_id)
    return True


def never_landed(connection: Connection, made: Started) -> None:
    """Note that the earlier submissions without an answer did not land; this one may be sent."""
    connection.execute(
        update(SubmissionRow)
        .where(
            SubmissionRow.attempt_id == made.attempt_id,
            SubmissionRow.id < made.submission_id,
            SubmissionRow.outcome.in_(_MAY_HAVE_LANDED),
        )
        .values(resolved=True)
    )


def must_look_first(made: Started, policy: ForwardingPolicy, now: datetime) -> bool:
    """Whether sending now could pay twice: an unanswered one is older than the dedup window."""
    since = unresolved_since(made.past)
    oldest = now - timedelta(seconds=policy.retries.window_at_least_seconds)
    return since is not None and since < oldest


def settles_at(made: Started, policy: ForwardingPolicy) -> datetime | None:
    """From when on the progress would show every unanswered submission that landed."""
    until = unresolved_until(made.past)
    return until and until + timedelta(seconds=policy.retries.window_at_most_seconds)


def reclaim(connection: Connection, policy: ForwardingPolicy, now: datetime, limit: int) -> int:
    """Take back what workers left that are gone; how many. What they sent may have landed."""
    statement = (
        select(AttemptRow.id, AttemptRow.fence, AttemptRow.round)
        .where(AttemptRow.lease_until.is_not(None), AttemptRow.lease_until < now)
        .limit(limit)
    )
    lost = list(connection.execute(statement))
    for attempt in lost:
        if not _unlease(connection, attempt.id, attempt.fence):
            continue
        answer = Answer(Outcome.UNKNOWN, message="the worker stopped before an answer")
        past = _past(connection, attempt.id, attempt.round)
        _end_unfinished(connection, attempt.id, answer, now)
        decision = decide(answer, past, policy.retries, now)
        if decision.next_at is not None:
            # The lease was wait enough; soon enough, Gameball's dedup window still tells.
            decision = replace(decision, next_at=now)
        _apply(connection, attempt.id, decision, "sweep", now)
    return len(lost)


def _lease(
    connection: Connection, attempt_id: str, lease_until: datetime, now: datetime
) -> Row[Any] | None:
    """Take the attempt by one conditional UPDATE, unless its customer has one in flight."""
    statement = (
        update(AttemptRow)
        .where(
            AttemptRow.id == attempt_id,
            AttemptRow.state == State.DUE,
            AttemptRow.next_at <= now,
            # Its customer is being erased, and waits only for what is in flight.
            AttemptRow.erased_at.is_(None),
            ~has_one_in_flight(),
        )
        .values(lease_until=lease_until, fence=AttemptRow.fence + 1)
        .returning(AttemptRow.__table__)
    )
    return connection.execute(statement).one_or_none()


@cache
def has_one_in_flight() -> ColumnElement[bool]:
    """Whether a worker holds any attempt of the attempt's customer, itself included.

    Made once: saying it takes SQLAlchemy longer than the database needs to find out.
    """
    other = aliased(AttemptRow)
    return exists().where(
        other.customer_id == AttemptRow.customer_id, other.lease_until.is_not(None)
    )


def _unlease(connection: Connection, attempt_id: str, fence: int, **values: Any) -> bool:
    """Give a lease back; False when it was no longer this one."""
    statement = (
        update(AttemptRow)
        .where(
            AttemptRow.id == attempt_id,
            AttemptRow.fence == fence,
            AttemptRow.lease_until.is_not(None),
        )
        .values(lease_until=None, **values)
    )
    return connection.execute(statement).rowcount == 1


def _clear_of_echo(
    connection: Connection, attempt: Any, policy: RetryPolicy, now: datetime
) -> datetime | None:
    """When another attempt's submission of the same customer and challenge stops echoing.

    Inside Gameball's dedup window this one would be swallowed, and its 4000 could be taken for
    proof that it landed. The other may have reached Gameball as late as its end.
    """
    window = timedelta(seconds=policy.window_at_most_seconds)
    reached_at = func.coalesce(SubmissionRow.ended_at, SubmissionRow.started_at)
    statement = (
        select(reached_at)
        .join(AttemptRow, AttemptRow.id == SubmissionRow.attempt_id)
        .where(
            AttemptRow.customer_id == attempt.customer_id,
            AttemptRow.challenge_id == attempt.challenge_id,
            AttemptRow.id != attempt.id,
            reached_at > now - window,
            or_(SubmissionRow.outcome.in_(_MAY_HAVE_LANDED), SubmissionRow.outcome.is_(None)),
        )
        .order_by(reached_at.desc())
        .limit(1)
    )
    latest = connection.execute(statement).scalar_one_or_none()
    return latest and latest + window


def _past(
    connection: Connection, attempt_id: str, this_round: int, before: int | None = None
) -> tuple[Past, ...]:
    statement = (
        select(
            SubmissionRow.outcome,
            SubmissionRow.started_at,
            SubmissionRow.ended_at,
            SubmissionRow.resolved,
            SubmissionRow.round,
        )
        .where(SubmissionRow.attempt_id == attempt_id, SubmissionRow.outcome.is_not(None))
        .order_by(SubmissionRow.id)
    )
    if before is not None:
        statement = statement.where(SubmissionRow.id < before)
    return tuple(
        Past(
            Outcome(row.outcome),
            row.started_at,
            row.ended_at,
            row.resolved,
            row.round == this_round,
        )
        for row in connection.execute(statement)
    )


def _past_of(connection: Connection, made: Started, answer: Answer) -> tuple[Past, ...]:
    """What came before, as it is known by now: an earlier call may have been answered late."""
    if answer.treatment.then is Then.ACCEPT:
        return made.past
    return _past(connection, made.attempt_id, made.round, before=made.submission_id)


def _end_submission(
    connection: Connection, submission_id: int, answer: Answer, now: datetime
) -> None:
    connection.execute(
        update(SubmissionRow)
        .where(SubmissionRow.id == submission_id)
        .values(ended_at=now, **_recorded(answer))
    )


def _end_unfinished(connection: Connection, attempt_id: str, answer: Answer, now: datetime) -> None:
    connection.execute(
        update(SubmissionRow)
        .where(and_(SubmissionRow.attempt_id == attempt_id, SubmissionRow.ended_at.is_(None)))
        .values(ended_at=now, **_recorded(answer))
    )


def _recorded(answer: Answer) -> dict[str, Any]:
    return {
        "outcome": answer.outcome,
        "status": answer.status,
        "code": answer.code,
        "message": answer.message,
        "request_id": answer.request_id,
    }


def _apply(
    connection: Connection, attempt_id: str, decision: Decision, caused_by: str, now: datetime
) -> None:
    to_state = {Then.ACCEPT: State.ACCEPTED, Then.DIE: State.DEAD}.get(decision.then)
    if to_state is not None:
        move(
            connection,
            attempt_id,
            State.DUE,
            to_state,
            reason=decision.reason,
            caused_by=caused_by,
            now=now,
            next_at=(decision.next_at or now) if to_state is State.ACCEPTED else None,
        )
        return
    connection.execute(
        update(AttemptRow)
        .where(AttemptRow.id == attempt_id, AttemptRow.state == State.DUE)
        .values(next_at=decision.next_at, reason=decision.reason, updated_at=now)
    )


def _first_look(policy: ForwardingPolicy, now: datetime) -> datetime:
    """When an attempt accepted now is first looked at: was it rewarded?"""
    return now + timedelta(seconds=policy.first_look_seconds)


def _late(
    connection: Connection,
    made: Started,
    answer: Answer,
    policy: ForwardingPolicy,
    now: datetime,
) -> Decision | None:
    """An answer after the lease was lost. Acceptance still counts, if nobody is at it now."""
    if answer.treatment.then is not Then.ACCEPT:
        return None
    free = select(AttemptRow.id).where(
        AttemptRow.id == made.attempt_id,
        AttemptRow.state == State.DUE,
        AttemptRow.lease_until.is_(None),
    )
    # Locked, or a worker could lease it before this transaction ends.
    if connection.execute(free.with_for_update()).first() is None:
        return None
    reason = "accepted, though the answer came late"
    decision = Decision(Then.ACCEPT, reason, _first_look(policy, now))
    _apply(connection, made.attempt_id, decision, "worker:late", now)
    return decision
