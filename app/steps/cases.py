"""Builds the case of each accepted attempt from rows, for `app.domain.confirmation`."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Row, func, or_, select

from app.domain.answers import TREATMENTS, Disposition, Outcome
from app.domain.attempts import State
from app.domain.confirmation import Case, ConfirmationPolicy, Grant, Proof, Span
from app.storage.tables import AttemptRow, BaselineRow, GrantRow, SubmissionRow, TransitionRow

# Outcomes of submissions that may have been rewarded, unless they are resolved.
MAY_HAVE_LANDED = tuple(
    outcome
    for outcome, treatment in TREATMENTS.items()
    if treatment.may_have_landed or treatment.then is Disposition.ACCEPT
)
OF_CASE = (
    AttemptRow.id,
    AttemptRow.customer_id,
    AttemptRow.challenge_id,
    AttemptRow.updated_at,
    AttemptRow.fence,
    AttemptRow.nudged_at,
    AttemptRow.told_at,
)


def case_of(connection: Connection, attempt_id: str, settle_seconds: float) -> Case:
    """Return the case of one attempt that may have landed, in any state."""
    statement = select(*OF_CASE).where(AttemptRow.id == attempt_id)
    policy = ConfirmationPolicy(
        delays=(1.0,),
        give_up_seconds=settle_seconds,
        settle_seconds=settle_seconds,
        lease_seconds=0,
    )
    return cases_of(connection, list(connection.execute(statement)), policy)[attempt_id]


def cases_of(
    connection: Connection, attempts: Sequence[Row[Any]], policy: ConfirmationPolicy
) -> dict[str, Case]:
    """Return the case of each attempt by its id."""
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
    """The grant that Gameball's webhook reported, or None.

    Use it only if no other attempt of the customer may have been rewarded. The webhook
    has no number and no time, so a late or repeated one may be about another attempt.
    """
    if attempt.told_at is None:
        return None
    return Grant(proof=Proof.PUSH, reference=str(attempt.challenge_id), at=attempt.told_at)


def _case(
    challenge_id: int,
    own: Sequence[Row[Any]],
    others: Sequence[Row[Any]],
    accepted_at: datetime,
    policy: ConfirmationPolicy,
) -> Case:
    ended_at = max((one.ended_at for one in own), default=accepted_at)
    return Case(
        challenge_id=challenge_id,
        spans=tuple(_span(one, others, policy.clocks_differ) for one in own),
        accepted_at=accepted_at,
        settles_at=ended_at + timedelta(seconds=policy.settle_seconds),
        give_up_at=accepted_at + timedelta(seconds=policy.give_up_seconds),
        was_disabled=any(one.outcome == Outcome.PROGRAM_DISABLED for one in own),
        rivals=len({one.attempt_id for one in others if any(_meet(one, mine) for mine in own)}),
    )


def _span(own: Row[Any], others: Sequence[Row[Any]], earlier: timedelta) -> Span:
    following = (one.started_at - earlier for one in others if one.started_at > own.ended_at)
    return Span(own.started_at - earlier, min(following, default=None))


def _meet(other: Row[Any], own: Row[Any]) -> bool:
    """Whether both may have reached Gameball at the same time, so that the rewards mix."""
    is_before_its_end = other.ended_at is None or own.started_at <= other.ended_at
    overlaps: bool = other.started_at <= own.ended_at and is_before_its_end
    return overlaps and other.state != State.GRANTED


def _standing(
    baseline: Row[Any] | None, own: Sequence[Row[Any]], others: Sequence[Row[Any]]
) -> int | None:
    """The baseline count, unless another attempt may have raised it since."""
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
            # An entry about an undo is not an acceptance.
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
    """Proof and reference of the credited grants, for each customer."""
    statement = select(GrantRow.customer_id, GrantRow.proof, GrantRow.reference).where(
        GrantRow.customer_id.in_({attempt.customer_id for attempt in attempts})
    )
    taken: dict[str, set[tuple[str, str]]] = defaultdict(set)
    for row in connection.execute(statement):
        # Plain text, not `Proof`: a later version may have stored other kinds.
        taken[row.customer_id].add((row.proof, row.reference))
    return {customer: frozenset(found) for customer, found in taken.items()}


def _landed(connection: Connection, attempts: Sequence[Row[Any]]) -> list[Row[Any]]:
    """The submissions of these customers and challenges that landed or may still land."""
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
            or_(SubmissionRow.outcome.in_(MAY_HAVE_LANDED), SubmissionRow.outcome.is_(None)),
        )
        .order_by(SubmissionRow.id)
    )
    return list(connection.execute(statement))
