"""How is an accepted attempt followed until the truth about its reward is known?"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from itertools import accumulate, chain, repeat
from typing import Any

from sqlalchemy import Connection, Executable, Row, func, or_, select, update

from app.domain.answers import TREATMENTS, Disposition, Outcome
from app.domain.attempts import State
from app.domain.confirmation import Case, Grant, Judgement, Look, Proof, Seen, Span, Verdict, judge
from app.steps.leases import HAS_ONE_IN_FLIGHT
from app.steps.ledger import insert_new
from app.steps.transitions import change_state
from app.storage.tables import (
    GRANTS,
    AttemptRow,
    BaselineRow,
    GrantRow,
    SubmissionRow,
    TransitionRow,
)
from app.storage.vault import vault_of

# What a submission may have been rewarded for, if nothing told that it was not.
_MAY_HAVE_LANDED = tuple(
    outcome
    for outcome, treatment in TREATMENTS.items()
    if treatment.may_have_landed or treatment.then is Disposition.ACCEPT
)
_KNOWN = (
    AttemptRow.id,
    AttemptRow.customer_id,
    AttemptRow.challenge_id,
    AttemptRow.updated_at,
    AttemptRow.fence,
    AttemptRow.nudged_at,
    AttemptRow.told_at,
)
_ENDS: Mapping[Verdict, State] = {
    Verdict.GRANTED: State.GRANTED,
    Verdict.NOT_GRANTED: State.NOT_GRANTED,
    Verdict.UNCONFIRMED: State.UNCONFIRMED,
}

_LARGEST_COUNT = 2**31 - 1
# The default of `window_at_least`.
_CLOCKS_DIFFER_SECONDS = 30.0
# How long after a nudge to look once more: Gameball may say what its reads do not show yet.
_AFTER_A_NUDGE_SECONDS = (3.0, 15.0)

# Made once: an idle worker asks it all day, and saying it takes longer than the answer.
_NEXT_LOOK = (
    select(AttemptRow.next_at)
    .where(AttemptRow.state == State.ACCEPTED, AttemptRow.next_at.is_not(None))
    .order_by(AttemptRow.next_at)
    .limit(1)
)


@dataclass(frozen=True, slots=True)
class ConfirmationPolicy:
    """When to look at what became of an accepted attempt; the last delay repeats.

    ``settle_seconds``: after a submission's end, a grant is surely visible by then.
    """

    delays: Sequence[float]
    give_up_seconds: float
    settle_seconds: float
    lease_seconds: float

    def next_look(
        self, accepted_at: datetime, now: datetime, nudged_at: datetime | None = None
    ) -> datetime:
        """The first time of the schedule that is still to come, and one at the very end.

        Sooner after a nudge, a few times.
        """
        end = accepted_at + timedelta(seconds=self.give_up_seconds)
        times = accumulate(chain(self.delays, repeat(self.delays[-1])))
        following = (accepted_at + timedelta(seconds=seconds) for seconds in times)
        at = next(at for at in following if at > now)
        at = min(at, end) if end > now else at
        return min([at, *(soon for soon in _after_a_nudge(nudged_at) if soon > now)])

    @property
    def clocks_differ(self) -> timedelta:
        """So much earlier than we sent it, by its own clock, Gameball may have rewarded something.

        Far less than attempts at one challenge are kept apart. A reward of before that is not ours
        would have made ours an echo.
        """
        return timedelta(seconds=min(_CLOCKS_DIFFER_SECONDS, self.settle_seconds / 4))

    @property
    def together_seconds(self) -> float:
        """So much earlier, an attempt is looked at with another of its customer."""
        return self.delays[0] / 5

    @property
    def again_seconds(self) -> float:
        """So soon again, and never sooner, where the pace or the account kept us from reading."""
        return self.delays[0] / 20


@dataclass(frozen=True, slots=True)
class Followed:
    """An accepted attempt in the hands of one worker, that holds ``fence``, until ``lease_until``.

    A nudge may make it due again before: what is seen until then is still written down.
    """

    attempt_id: str
    customer_id: str
    case: Case
    lease_until: datetime = field(compare=False)
    fence: int = field(compare=False)


def case_of(connection: Connection, attempt_id: str, settle_seconds: float) -> Case:
    """What is known of one attempt that may have landed, in whatever state it is."""
    statement = select(*_KNOWN).where(AttemptRow.id == attempt_id)
    policy = ConfirmationPolicy((1.0,), settle_seconds, settle_seconds, 0)
    return _cases(connection, _rows(connection, statement), policy)[attempt_id]


def next_look(connection: Connection) -> datetime | None:
    """When the next accepted attempt is to be looked at; None: none is waiting for it."""
    return connection.execute(_NEXT_LOOK).scalar_one_or_none()


def adopt(connection: Connection, now: datetime) -> int:
    """Let accepted attempts without a next look be looked at now; how many.

    A worker of the version before, in service while machines are upgraded, leaves such.
    """
    left = AttemptRow.state == State.ACCEPTED, AttemptRow.next_at.is_(None)
    if connection.execute(select(AttemptRow.id).where(*left).limit(1)).first() is None:
        return 0
    return connection.execute(update(AttemptRow).where(*left).values(next_at=now)).rowcount


def take(
    connection: Connection, policy: ConfirmationPolicy, now: datetime, customers: int
) -> list[Followed]:
    """Lease the accepted attempts that are due for a look, of at most so many customers.

    A customer's others that will be due soon come along: one read serves them all.
    """
    wanted = _customers_due(connection, now, customers)
    if not wanted:
        return []
    soon = now + timedelta(seconds=policy.together_seconds)
    # Skipped, what another worker is taking: nobody waits for anybody here.
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
        .returning(*_KNOWN),
    )
    cases = {
        attempt_id: replace(case, due_at=due_at[attempt_id])
        for attempt_id, case in _cases(connection, leased, policy).items()
    }
    return [
        Followed(row.id, row.customer_id, cases[row.id], lease_until, row.fence) for row in leased
    ]


def record(
    connection: Connection,
    followed: Followed,
    seen: Seen,
    policy: ConfirmationPolicy,
    began_at: datetime,
    now: datetime,
) -> State:
    """Write down what a look that began then told; the attempt's state.

    Judged again with what others were submitted meanwhile: only what was read between two
    submissions can tell them apart. The database's constraint decides whose a reward is.
    """
    attempt = _still_ours(connection, followed)
    if attempt is None:
        return State.ACCEPTED
    case = replace(_cases(connection, [attempt], policy)[attempt.id], due_at=followed.case.due_at)
    judged = _credited(connection, attempt, case, seen, began_at)
    to_state = _ENDS.get(judged.verdict)
    if to_state is None:
        next_look = policy.next_look(case.accepted_at, now, attempt.nudged_at)
        put_off(connection, followed, next_look)
        return State.ACCEPTED
    _end(connection, attempt, to_state, judged, now)
    return to_state


def put_off(connection: Connection, followed: Followed, until: datetime) -> None:
    """Give the lease back, to be looked at from a time on, or sooner where a nudge came since."""
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
    """Remember Gameball's count from before an attempt's first submission of a round.

    One that PostgreSQL has no room for is as good as none, and must not keep the attempt back.
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
    """Those that wait longest, without those Gameball is working for at this moment."""
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


def _after_a_nudge(nudged_at: datetime | None) -> list[datetime]:
    if nudged_at is None:
        return []
    return [nudged_at + timedelta(seconds=seconds) for seconds in _AFTER_A_NUDGE_SECONDS]


def _held(followed: Followed) -> tuple[Any, ...]:
    return AttemptRow.state == State.ACCEPTED, AttemptRow.fence == followed.fence


def _still_ours(connection: Connection, followed: Followed) -> Row[Any] | None:
    ours = AttemptRow.id == followed.attempt_id, *_held(followed)
    # Whoever holds it is about to change it, or may hold it for long: it is looked at anew.
    statement = select(*_KNOWN).where(*ours).with_for_update(skip_locked=True)
    return next(iter(_rows(connection, statement)), None)


def _rows(connection: Connection, statement: Executable) -> list[Row[Any]]:
    return list(connection.execute(statement))


def _credited(
    connection: Connection, attempt: Row[Any], case: Case, seen: Seen, began_at: datetime
) -> Judgement:
    """The judgement, its reward entered as this attempt's. What another has is no proof of it."""
    while True:
        judged = judge(case, seen, began_at)
        if isinstance(judged, Look):
            # What was enough then is not, with what was submitted or credited meanwhile.
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
        # A person may replay it: nothing of it can still be paid.
        connection.execute(
            update(SubmissionRow)
            .where(
                SubmissionRow.attempt_id == attempt.id,
                SubmissionRow.outcome.in_(_MAY_HAVE_LANDED),
            )
            .values(resolved=True)
        )


def _cases(
    connection: Connection, attempts: Sequence[Row[Any]], policy: ConfirmationPolicy
) -> dict[str, Case]:
    ids = [attempt.id for attempt in attempts]
    accepted = _accepted_at(connection, ids)
    baselines = _baselines(connection, ids)
    landed = _landed(connection, attempts)
    grants = _grants(connection, attempts)
    cases = {}
    for attempt in attempts:
        same = [one for one in landed if _is_of(one, attempt)]
        own = [one for one in same if one.attempt_id == attempt.id and one.outcome is not None]
        others = [one for one in same if one.attempt_id != attempt.id]
        at = accepted.get(attempt.id, attempt.updated_at)
        case = _case(attempt.challenge_id, own, others, at, policy)
        baseline = _standing(baselines.get(attempt.id), own, others)
        taken = grants.get(attempt.customer_id, frozenset())
        told = None if others else _told(attempt)
        cases[attempt.id] = replace(case, baseline=baseline, taken=taken, told=told)
    return cases


def _told(attempt: Row[Any]) -> Grant | None:
    """What Gameball's webhook said, of the customer's only attempt that may have been rewarded.

    It has no number and no time of its own: a late or repeated one could be about another attempt.
    """
    if attempt.told_at is None:
        return None
    return Grant(Proof.PUSH, str(attempt.challenge_id), attempt.told_at)


def _case(
    challenge_id: int,
    own: Sequence[Row[Any]],
    others: Sequence[Row[Any]],
    accepted_at: datetime,
    policy: ConfirmationPolicy,
) -> Case:
    ended_at = max((one.ended_at for one in own), default=accepted_at)
    return Case(
        challenge_id,
        tuple(_span(one, others, policy.clocks_differ) for one in own),
        accepted_at,
        ended_at + timedelta(seconds=policy.settle_seconds),
        accepted_at + timedelta(seconds=policy.give_up_seconds),
        was_disabled=any(one.outcome == Outcome.PROGRAM_DISABLED for one in own),
        rivals=len({one.attempt_id for one in others if any(_meet(one, mine) for mine in own)}),
    )


def _span(own: Row[Any], others: Sequence[Row[Any]], earlier: timedelta) -> Span:
    following = (one.started_at - earlier for one in others if one.started_at > own.ended_at)
    return Span(own.started_at - earlier, min(following, default=None))


def _meet(other: Row[Any], own: Row[Any]) -> bool:
    """Whether both may have reached Gameball at one time, and whose the rewards are is open."""
    is_before_its_end = other.ended_at is None or own.started_at <= other.ended_at
    overlaps: bool = other.started_at <= own.ended_at and is_before_its_end
    return overlaps and other.state != State.GRANTED


def _standing(
    baseline: Row[Any] | None, own: Sequence[Row[Any]], others: Sequence[Row[Any]]
) -> int | None:
    """The count from before, unless it may have gone up by another attempt since."""
    if baseline is None or any(one.started_at < baseline.read_at for one in own):
        return None
    is_alone = all(one.started_at < baseline.read_at for one in others)
    return int(baseline.achieved) if is_alone else None


def _is_of(submission: Row[Any], attempt: Row[Any]) -> bool:
    return (submission.customer_id, submission.challenge_id) == (
        attempt.customer_id,
        attempt.challenge_id,
    )


def _accepted_at(connection: Connection, ids: Iterable[str]) -> dict[str, datetime]:
    statement = (
        select(TransitionRow.attempt_id, func.max(TransitionRow.at).label("at"))
        .where(
            TransitionRow.attempt_id.in_(ids),
            TransitionRow.to_state == State.ACCEPTED,
            # A note that it was undone since accepted nothing.
            TransitionRow.from_state != State.ACCEPTED,
        )
        .group_by(TransitionRow.attempt_id)
    )
    return {row.attempt_id: row.at for row in connection.execute(statement)}


def _baselines(connection: Connection, ids: Iterable[str]) -> dict[str, Row[Any]]:
    statement = select(BaselineRow.__table__).where(BaselineRow.attempt_id.in_(ids))
    return {row.attempt_id: row for row in connection.execute(statement)}


def _grants(
    connection: Connection, attempts: Iterable[Row[Any]]
) -> dict[str, frozenset[tuple[str, str]]]:
    """What was credited already, of each customer."""
    statement = select(GrantRow.customer_id, GrantRow.proof, GrantRow.reference).where(
        GrantRow.customer_id.in_({attempt.customer_id for attempt in attempts})
    )
    taken: dict[str, set[tuple[str, str]]] = defaultdict(set)
    for row in connection.execute(statement):
        # Not a `Proof`: the next version may know of more.
        taken[row.customer_id].add((row.proof, row.reference))
    return {customer: frozenset(found) for customer, found in taken.items()}


def _landed(connection: Connection, attempts: Sequence[Row[Any]]) -> list[Row[Any]]:
    """What may have landed of these customers' submissions for these challenges, or still may."""
    statement = (
        select(
            SubmissionRow.attempt_id,
            SubmissionRow.started_at,
            SubmissionRow.ended_at,
            SubmissionRow.outcome,
            AttemptRow.customer_id,
            AttemptRow.challenge_id,
            AttemptRow.state,
        )
        .join(AttemptRow, AttemptRow.id == SubmissionRow.attempt_id)
        .where(
            AttemptRow.customer_id.in_({attempt.customer_id for attempt in attempts}),
            AttemptRow.challenge_id.in_({attempt.challenge_id for attempt in attempts}),
            SubmissionRow.resolved.is_(False),
            or_(SubmissionRow.outcome.in_(_MAY_HAVE_LANDED), SubmissionRow.outcome.is_(None)),
        )
        .order_by(SubmissionRow.id)
    )
    return _rows(connection, statement)
