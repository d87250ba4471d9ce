"""Follows accepted attempts until it is known whether Gameball granted the reward."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Executable, Row, select, update

from app.domain.attempts import State
from app.domain.confirmation import (
    Case,
    ConfirmationPolicy,
    Grant,
    Judgement,
    Look,
    Seen,
    Verdict,
    judge,
)
from app.steps.cases import MAY_HAVE_LANDED, OF_CASE, cases_of
from app.steps.leases import HAS_ONE_IN_FLIGHT
from app.steps.ledger import insert_new
from app.steps.transitions import change_state
from app.storage.tables import (
    GRANTS,
    AttemptRow,
    BaselineRow,
    GrantRow,
    SubmissionRow,
)
from app.storage.vault import vault_of

_ENDS: Mapping[Verdict, State] = {
    Verdict.GRANTED: State.GRANTED,
    Verdict.NOT_GRANTED: State.NOT_GRANTED,
    Verdict.UNCONFIRMED: State.UNCONFIRMED,
}

_LARGEST_COUNT = 2**31 - 1

# Built once: an idle worker runs it all day.
_NEXT_LOOK = (
    select(AttemptRow.next_at)
    .where(AttemptRow.state == State.ACCEPTED, AttemptRow.next_at.is_not(None))
    .order_by(AttemptRow.next_at)
    .limit(1)
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Followed:
    """An accepted attempt that one worker has leased until ``lease_until``, with its ``fence``.

    A nudge may make it due earlier. The worker's result is stored nevertheless.
    """

    attempt_id: str
    customer_id: str
    case: Case
    lease_until: datetime = field(compare=False)
    fence: int = field(compare=False)


def next_look(connection: Connection) -> datetime | None:
    """When the next look at an accepted attempt is due; None: no attempt waits for one."""
    return connection.execute(_NEXT_LOOK).scalar_one_or_none()


def adopt(connection: Connection, now: datetime) -> int:
    """Schedule a look now for accepted attempts that have none; return their number.

    Workers of an older version leave such attempts, for example during an upgrade.
    """
    left = AttemptRow.state == State.ACCEPTED, AttemptRow.next_at.is_(None)
    if connection.execute(select(AttemptRow.id).where(*left).limit(1)).first() is None:
        return 0
    return connection.execute(update(AttemptRow).where(*left).values(next_at=now)).rowcount


def take(
    connection: Connection, policy: ConfirmationPolicy, now: datetime, customers: int
) -> list[Followed]:
    """Lease the accepted attempts that are due for a look, of at most ``customers`` customers.

    Other attempts of these customers that are due soon are included: one read serves them all.
    """
    wanted = _customers_due(connection, now, customers)
    if not wanted:
        return []
    soon = now + timedelta(seconds=policy.together_seconds)
    # Skip rows that another worker is leasing, instead of waiting for them.
    found = connection.execute(
        select(AttemptRow.id, AttemptRow.next_at)
        .where(
            AttemptRow.customer_id.in_(wanted),
            AttemptRow.state == State.ACCEPTED,
            AttemptRow.next_at <= soon,
        )
        .with_for_update(skip_locked=True)
    )
    due_at = {row.id: row.next_at for row in found}
    lease_until = now + timedelta(seconds=policy.lease_seconds)
    leased = _rows(
        connection,
        update(AttemptRow)
        .where(AttemptRow.id.in_(due_at))
        .values(next_at=lease_until, fence=AttemptRow.fence + 1)
        .returning(*OF_CASE),
    )
    cases = {
        attempt_id: replace(case, due_at=due_at[attempt_id])
        for attempt_id, case in cases_of(connection, leased, policy).items()
    }
    return [
        Followed(
            attempt_id=row.id,
            customer_id=row.customer_id,
            case=cases[row.id],
            lease_until=lease_until,
            fence=row.fence,
        )
        for row in leased
    ]


def record(
    connection: Connection,
    followed: Followed,
    seen: Seen,
    policy: ConfirmationPolicy,
    began_at: datetime,
    now: datetime,
) -> State:
    """Store the result of a look that started at ``began_at``; return the attempt's state.

    The look is judged again, with the submissions that others made meanwhile: only a read
    between two submissions can tell their rewards apart. A unique constraint makes sure that
    each reward is credited once.
    """
    attempt = _still_ours(connection, followed)
    if attempt is None:
        return State.ACCEPTED
    case = replace(cases_of(connection, [attempt], policy)[attempt.id], due_at=followed.case.due_at)
    judged = _credited(connection, attempt, case, seen, began_at)
    to_state = _ENDS.get(judged.verdict)
    if to_state is None:
        next_look = policy.next_look(case.accepted_at, now, attempt.nudged_at)
        put_off(connection, followed, next_look)
        return State.ACCEPTED
    _end(connection, attempt, to_state, judged, now)
    return to_state


def put_off(connection: Connection, followed: Followed, until: datetime) -> None:
    """Give the lease back and schedule the next look, unless a nudge has made it due earlier."""
    connection.execute(
        update(AttemptRow)
        .where(
            AttemptRow.id == followed.attempt_id,
            AttemptRow.next_at == followed.lease_until,
            *_held(followed),
        )
        .values(next_at=until)
    )


def keep_baseline(
    connection: Connection, attempt_id: str, achieved: int, read_at: datetime
) -> None:
    """Store Gameball's count from before the first submission of a round.

    A count that does not fit into the column is not stored: it must not block the attempt.
    """
    if achieved > _LARGEST_COUNT:
        return
    values = {"achieved": achieved, "read_at": read_at}
    changed = connection.execute(
        update(BaselineRow).where(BaselineRow.attempt_id == attempt_id).values(values)
    )
    if not changed.rowcount:
        row = {"attempt_id": attempt_id, **values}
        connection.execute(insert_new(connection, BaselineRow), row)


def _customers_due(connection: Connection, now: datetime, most: int) -> list[str]:
    """The customers that wait longest, without those that have a submission in flight."""
    statement = (
        select(AttemptRow.customer_id)
        .where(
            AttemptRow.state == State.ACCEPTED,
            AttemptRow.next_at <= now,
            ~HAS_ONE_IN_FLIGHT,
        )
        .order_by(AttemptRow.next_at)
        .limit(4 * most)
    )
    found: dict[Any, None] = dict.fromkeys(connection.execute(statement).scalars())
    return list(found)[:most]


def _held(followed: Followed) -> tuple[Any, ...]:
    return AttemptRow.state == State.ACCEPTED, AttemptRow.fence == followed.fence


def _still_ours(connection: Connection, followed: Followed) -> Row[Any] | None:
    ours = AttemptRow.id == followed.attempt_id, *_held(followed)
    # Skip a locked row: it is about to change, or locked for long. A later look follows.
    statement = select(*OF_CASE).where(*ours).with_for_update(skip_locked=True)
    return next(iter(_rows(connection, statement)), None)


def _rows(connection: Connection, statement: Executable) -> list[Row[Any]]:
    return list(connection.execute(statement))


def _credited(
    connection: Connection, attempt: Row[Any], case: Case, seen: Seen, began_at: datetime
) -> Judgement:
    """Judge and credit the reward. A reward of another attempt is no proof for this one."""
    while True:
        judged = judge(case, seen, began_at)
        if isinstance(judged, Look):
            # Other submissions or credits have made the earlier result insufficient.
            return Judgement(Verdict.NOT_YET)
        if judged.grant is None or _enter(connection, attempt, judged.grant, began_at):
            return judged
        taken = (judged.grant.proof, judged.grant.reference)
        case = replace(case, taken=case.taken | {taken})


def _enter(connection: Connection, attempt: Row[Any], grant: Grant, now: datetime) -> bool:
    row = {
        "attempt_id": attempt.id,
        "customer_id": attempt.customer_id,
        "proof": grant.proof,
        "reference": grant.reference,
        "granted_at": grant.at,
        "points": grant.points,
        "coupon_code": grant.coupon,
        "seen_at": now,
    }
    sealed = vault_of(connection).seal_row(GRANTS, row)
    entered = connection.execute(insert_new(connection, GrantRow, GrantRow.attempt_id), sealed)
    return entered.first() is not None


def _end(
    connection: Connection, attempt: Row[Any], to_state: State, judged: Judgement, now: datetime
) -> None:
    change_state(
        connection,
        attempt.id,
        State.ACCEPTED,
        to_state,
        reason=judged.reason,
        caused_by="worker:confirmation",
        now=now,
    )
    if to_state is State.NOT_GRANTED:
        # A person may replay the attempt, so mark its submissions as not landed.
        connection.execute(
            update(SubmissionRow)
            .where(
                SubmissionRow.attempt_id == attempt.id,
                SubmissionRow.outcome.in_(MAY_HAVE_LANDED),
            )
            .values(resolved=True)
        )
