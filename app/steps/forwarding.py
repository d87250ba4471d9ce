"""Submits achievements to Gameball, so that none is lost and none is paid twice."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Row, bindparam, exists, select, update

from app.domain.answers import Answer, Disposition, Outcome
from app.domain.attempts import State
from app.domain.retries import (
    Decision,
    Past,
    RetryPolicy,
    decide,
    unresolved_since,
    unresolved_until,
)
from app.steps import clock_skew, leases, submissions
from app.steps.ledger import release
from app.steps.rate_limit import RateLimit, answered, lock_forwarding, slots, started
from app.steps.restore import mark_new_possibly_sent
from app.steps.transitions import change_state
from app.steps.undo import is_void, withdraw_void
from app.storage.tables import ATTEMPTS, AttemptRow, SubmissionRow
from app.storage.vault import vault_of

# Attempts of one customer per transaction.
_AT_ONCE = 200

# Built once: SQLAlchemy takes longer to prepare a statement than the database to run it.
_DUE = (
    select(AttemptRow.id, AttemptRow.customer_id)
    .where(
        AttemptRow.state == State.DUE,
        AttemptRow.next_at <= bindparam("now"),
        ~leases.HAS_ONE_IN_FLIGHT,
    )
    .order_by(AttemptRow.next_at)
    .limit(bindparam("most"))
)
_PUT_OFF = update(AttemptRow).where(
    AttemptRow.id == bindparam("this"), AttemptRow.state == State.DUE
)
# Attempts with submissions are left out: they may have to be sent again inside the window.
_LIKE_IT = (
    select(AttemptRow.id)
    .where(
        AttemptRow.customer_id == bindparam("customer"),
        AttemptRow.challenge_id == bindparam("challenge"),
        AttemptRow.state == State.DUE,
        AttemptRow.next_at < bindparam("until"),
        AttemptRow.lease_until.is_(None),
        ~exists().where(SubmissionRow.attempt_id == AttemptRow.id),
    )
    .limit(_AT_ONCE)
    .with_for_update(skip_locked=True)
)
_PUT_OFF_ALL = (
    update(AttemptRow).where(AttemptRow.id.in_(_LIKE_IT)).values(next_at=bindparam("until"))
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ForwardingPolicy:
    """The settings for submissions. All ``_seconds`` are seconds."""

    pace: RateLimit
    retries: RetryPolicy
    lease_seconds: float
    first_look_seconds: float = 90  # from acceptance to the first look at the reward


@dataclass(frozen=True, slots=True, kw_only=True)
class StartedSubmission:
    """A submission that this worker may send until ``lease_until``, but not later."""

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
    next_at: datetime | None  # when any worker may start the next submission; None: now


@dataclass(frozen=True, slots=True)
class Deferred:
    """No submission was started. No other may start before ``next_at``; None: try others now."""

    next_at: datetime | None = None


def due_attempts(connection: Connection, now: datetime, limit: int) -> list[Row[Any]]:
    """Return the attempts that are due with their customers, longest due first.

    Customers with a submission in flight are left out: their long queues would hide the rest.
    """
    return list(connection.execute(_DUE, {"now": now, "most": limit}))


def start(
    connection: Connection, attempt_id: str, worker: str, policy: ForwardingPolicy, now: datetime
) -> StartedSubmission | Deferred:
    """Start a submission, or return when to try again.

    The submission's row is written before the call. If the worker dies, the row has no end,
    which means that the submission may have landed.
    """
    # 1. Lock the account's row; stop if the rate limit or a pause allows no start.
    forwarding = lock_forwarding(connection, now)
    turn = slots(connection, forwarding, policy.pace, now)
    if turn.next_at is not None:
        return Deferred(turn.next_at)
    # 2. Lease the attempt, unless its customer has a submission in flight.
    lease_until = now + timedelta(seconds=policy.lease_seconds)
    leased = leases.acquire(connection, attempt_id, lease_until, now)
    if leased is None:
        return Deferred()
    attempt = vault_of(connection).open_row(ATTEMPTS, leased)
    # 3. Withdraw the attempt if its action was undone inside its hold.
    if is_void(connection, attempt):
        leases.release(connection, attempt.id, attempt.fence)
        withdraw_void(connection, attempt, now)
        return Deferred()
    # 4. Wait if Gameball's dedup window of another submission would swallow this one.
    clear_at = submissions.echoes_until(
        connection, attempt, policy.retries.window_at_most_seconds, now
    )
    if clear_at is not None:
        leases.release(connection, attempt.id, attempt.fence, next_at=clear_at)
        _put_off_all_like(connection, attempt, clear_at)
        return Deferred()
    # 5. After a restored backup, record that the attempt may have been sent before.
    mark_new_possibly_sent(connection, forwarding, attempt, now)
    # 6. Count the start and write the submission's row.
    started(connection, forwarding, policy.pace, now)
    submission_id = submissions.begin(connection, attempt, worker, now)
    return StartedSubmission(
        submission_id=submission_id,
        attempt_id=attempt.id,
        fence=attempt.fence,
        round=attempt.round,
        customer_id=attempt.customer_id,
        challenge_id=attempt.challenge_id,
        email=attempt.email,
        mobile=attempt.mobile,
        past=submissions.past(connection, attempt.id, attempt.round, before=submission_id),
        created_at=attempt.created_at,
        started_at=now,
        lease_until=lease_until,
        next_at=turn.then_at,
    )


def _put_off_all_like(connection: Connection, attempt: Any, until: datetime) -> None:
    """Delay the customer's other attempts of the same challenge until the window ends.

    Thousands of separate transactions without a result would block everybody.
    """
    like_it = {"customer": attempt.customer_id, "challenge": attempt.challenge_id}
    connection.execute(_PUT_OFF_ALL, {**like_it, "until": until})


def finish(
    connection: Connection,
    made: StartedSubmission,
    answer: Answer,
    policy: ForwardingPolicy,
    now: datetime,
) -> Decision | None:
    """Record how a submission ended; return what follows. None: the lease was lost.

    The answer is recorded in either case.
    """
    submissions.end(connection, made.submission_id, answer, now)
    answered(connection, answer, policy.pace, made.started_at, now)
    if not leases.release(connection, made.attempt_id, made.fence):
        return _late(connection, made, answer, policy, now)
    decision = decide(answer, _past_of(connection, made, answer), policy.retries, now)
    if decision.then is Disposition.ACCEPT:
        decision = replace(decision, next_at=_first_look(policy, now))
    _apply(connection, made.attempt_id, decision, f"worker:{answer.outcome}", now)
    return decision


def landed_after_all(connection: Connection, made: StartedSubmission, now: datetime) -> None:
    """End without sending: the customer's progress shows that an earlier submission landed."""
    answer = Answer(outcome=Outcome.NOT_SENT, message="not sent: the progress shows an earlier one")
    submissions.end(connection, made.submission_id, answer, now)
    if leases.release(connection, made.attempt_id, made.fence):
        reason = "an earlier submission had landed, as the customer's progress shows"
        _apply(
            connection,
            made.attempt_id,
            Decision(Disposition.ACCEPT, reason),
            "worker:progress",
            now,
        )


def cannot_know(
    connection: Connection, made: StartedSubmission, policy: ForwardingPolicy, now: datetime
) -> None:
    """End without sending: it is not known yet, or cannot be known, if an earlier one landed."""
    answer = Answer(
        outcome=Outcome.NOT_SENT, message="not sent: unknown whether an earlier one landed"
    )
    submissions.end(connection, made.submission_id, answer, now)
    if not leases.release(connection, made.attempt_id, made.fence):
        return
    decision = decide(answer, _past_of(connection, made, answer), policy.retries, now)
    settled_at = settles_at(made, policy)
    if decision.next_at is not None and settled_at is not None:
        decision = Decision(decision.then, answer.message or "", max(decision.next_at, settled_at))
    _apply(connection, made.attempt_id, decision, "worker:unknown", now)


def refuse(connection: Connection, made: StartedSubmission, reason: str, now: datetime) -> bool:
    """End without sending: Gameball says that the customer cannot be rewarded.

    False: an earlier submission may have landed, so nothing changed. Otherwise the attempt is
    refused and its award is free again.
    """
    if unresolved_since(
        submissions.past(connection, made.attempt_id, made.round, made.submission_id)
    ):
        return False
    answer = Answer(
        outcome=Outcome.NOT_SENT, message="not sent: Gameball says it would not be rewarded"
    )
    submissions.end(connection, made.submission_id, answer, now)
    if not leases.release(connection, made.attempt_id, made.fence):
        return True
    change_state(
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


def never_landed(connection: Connection, made: StartedSubmission) -> None:
    """Record that the earlier unanswered submissions did not land, so this one may be sent."""
    submissions.never_landed(connection, made.attempt_id, before=made.submission_id)


def must_look_first(made: StartedSubmission, policy: ForwardingPolicy, now: datetime) -> bool:
    """Whether sending now could pay twice: an unanswered one is older than the dedup window."""
    since = unresolved_since(made.past)
    oldest = now - timedelta(seconds=policy.retries.window_at_least_seconds)
    return since is not None and since < oldest


def settles_at(made: StartedSubmission, policy: ForwardingPolicy) -> datetime | None:
    """When the progress will surely show every unanswered submission that landed, or None."""
    until = unresolved_until(made.past)
    return until and until + timedelta(seconds=policy.retries.window_at_most_seconds)


def reclaim(connection: Connection, policy: ForwardingPolicy, now: datetime, limit: int) -> int:
    """End the submissions of workers that are gone; return the number. They may have landed."""
    clock_skew.mark_those_ahead(connection, now, limit)
    lost = leases.expired(connection, now, limit)
    for attempt in lost:
        if not leases.release(connection, attempt.id, attempt.fence):
            continue
        answer = Answer(outcome=Outcome.UNKNOWN, message="the worker stopped before an answer")
        past = submissions.past(connection, attempt.id, attempt.round)
        submissions.end_unfinished(connection, attempt.id, answer, now)
        if attempt.lease_until > now:
            clock_skew.mark_possibly_sent(connection, attempt, now)
        decision = decide(answer, past, policy.retries, now)
        if decision.next_at is not None:
            # The lease was the delay. An early repeat is still inside Gameball's dedup window.
            decision = replace(decision, next_at=now)
        _apply(connection, attempt.id, decision, "sweep", now)
    return len(lost)


def _past_of(connection: Connection, made: StartedSubmission, answer: Answer) -> tuple[Past, ...]:
    """The earlier submissions, read again unless accepted: an answer may have arrived late."""
    if answer.treatment.then is Disposition.ACCEPT:
        return made.past
    return submissions.past(connection, made.attempt_id, made.round, before=made.submission_id)


def _apply(
    connection: Connection, attempt_id: str, decision: Decision, caused_by: str, now: datetime
) -> None:
    to_state = {Disposition.ACCEPT: State.ACCEPTED, Disposition.DIE: State.DEAD}.get(decision.then)
    if to_state is not None:
        change_state(
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
    put_off = {"next_at": decision.next_at, "reason": decision.reason, "updated_at": now}
    connection.execute(_PUT_OFF, {"this": attempt_id, **put_off})


def _first_look(policy: ForwardingPolicy, now: datetime) -> datetime:
    """When to look for the reward of an attempt that is accepted now."""
    return now + timedelta(seconds=policy.first_look_seconds)


def _late(
    connection: Connection,
    made: StartedSubmission,
    answer: Answer,
    policy: ForwardingPolicy,
    now: datetime,
) -> Decision | None:
    """Handle an answer after the lease was lost. It counts if accepted and nobody has a lease."""
    submissions.forget_if_erased(connection, made.submission_id)
    if answer.treatment.then is not Disposition.ACCEPT:
        return None
    free = select(AttemptRow.id).where(
        AttemptRow.id == made.attempt_id,
        AttemptRow.state == State.DUE,
        AttemptRow.lease_until.is_(None),
    )
    # Locked, so that no worker can lease it before this transaction ends.
    if connection.execute(free.with_for_update()).first() is None:
        return None
    reason = "accepted, though the answer came late"
    decision = Decision(Disposition.ACCEPT, reason, _first_look(policy, now))
    _apply(connection, made.attempt_id, decision, "worker:late", now)
    return decision
