"""Does an attempt go where its submissions say?"""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.answers import TREATMENTS, Answer, Disposition, Outcome
from app.domain.retries import (
    Decision,
    Past,
    RetryPolicy,
    decide,
    unresolved_since,
    unresolved_until,
)

NOW = datetime(2026, 1, 5, 12, tzinfo=UTC)
DELAYS = {"retry": (2, 5, 15), "missing_customer": (300, 600), "busy": (1,), "echo": (900, 1_800)}
POLICY = RetryPolicy(
    schedules=DELAYS, window_at_least_seconds=30, window_at_most_seconds=900, jitter=0
)
RETRIED = [outcome for outcome in Outcome if TREATMENTS[outcome].then is Disposition.RETRY]
ACCEPTING = [outcome for outcome in Outcome if TREATMENTS[outcome].then is Disposition.ACCEPT]


def past(*outcomes: Outcome, resolved: bool = False, spent: bool = True) -> list[Past]:
    """Submissions a minute apart that took ten seconds each; the first began an hour ago."""
    starts = [NOW - timedelta(hours=1) + timedelta(minutes=i) for i in range(len(outcomes))]
    return [
        Past(
            outcome=outcome,
            started_at=start,
            ended_at=start + timedelta(seconds=10),
            resolved=resolved,
            spent=spent,
        )
        for outcome, start in zip(outcomes, starts, strict=True)
    ]


def decided(outcome: Outcome, earlier: list[Past]) -> Decision:
    return decide(Answer(outcome=outcome), earlier, POLICY, NOW)


def seconds_until(decision: Decision) -> float:
    assert decision.then is Disposition.RETRY
    assert decision.next_at is not None
    return (decision.next_at - NOW).total_seconds()


def test_an_echo_after_a_submission_without_an_answer_proves_that_it_landed() -> None:
    decision = decided(Outcome.ECHO, past(Outcome.UNKNOWN))

    assert decision.then is Disposition.ACCEPT


def test_the_proof_holds_across_other_answers_in_between() -> None:
    decision = decided(Outcome.ECHO, past(Outcome.UNKNOWN, Outcome.BUSY, Outcome.NOT_SENT))

    assert decision.then is Disposition.ACCEPT


@pytest.mark.parametrize(
    "earlier",
    [
        pytest.param([], id="first submission"),
        pytest.param(past(Outcome.NOT_SENT), id="never sent"),
        pytest.param(past(Outcome.BUSY, Outcome.TOO_FAST, Outcome.ECHO), id="answered otherwise"),
        pytest.param(past(Outcome.UNKNOWN, resolved=True), id="known not to have landed"),
    ],
)
def test_an_echo_of_somebody_else_waits_for_the_window_to_pass(earlier: list[Past]) -> None:
    decision = decided(Outcome.ECHO, earlier)

    assert decision.then is Disposition.RETRY
    assert seconds_until(decision) in DELAYS["echo"]


@pytest.mark.parametrize("outcome", RETRIED)
def test_the_first_retry_takes_the_first_delay_of_its_own_schedule(outcome: Outcome) -> None:
    schedule = TREATMENTS[outcome].schedule
    assert schedule is not None

    decision = decided(outcome, past(*(o for o in RETRIED if TREATMENTS[o].schedule != schedule)))

    if outcome is Outcome.ECHO:
        assert decision.then is Disposition.ACCEPT  # an unknown one is among the others
    else:
        assert seconds_until(decision) == DELAYS[schedule][0]


@pytest.mark.parametrize(
    ("outcome", "schedule"),
    [
        (Outcome.UNKNOWN, "retry"),
        (Outcome.NOT_SENT, "retry"),
        (Outcome.NO_CUSTOMER, "missing_customer"),
        (Outcome.BUSY, "busy"),
        (Outcome.ECHO, "echo"),
    ],
)
def test_a_schedule_is_walked_to_its_end_and_then_the_attempt_is_dead(
    outcome: Outcome, schedule: str
) -> None:
    delays = DELAYS[schedule]

    walked = [decided(outcome, past(*[outcome] * n, resolved=True)) for n in range(len(delays) + 1)]

    assert [seconds_until(decision) for decision in walked[:-1]] == list(delays)
    assert walked[-1] == Decision(
        Disposition.DIE, f"the {schedule} schedule ran out; last {outcome}"
    )


def test_no_answer_and_no_connection_share_a_schedule() -> None:
    decision = decided(Outcome.NOT_SENT, past(Outcome.UNKNOWN, Outcome.NOT_SENT))

    assert seconds_until(decision) == 15


@pytest.mark.parametrize("outcome", [Outcome.BLOCKED, Outcome.TOO_FAST])
def test_waiting_for_the_account_spends_nothing(outcome: Outcome) -> None:
    decision = decided(outcome, past(*[outcome] * 50))
    after = decided(Outcome.NOT_SENT, past(*[outcome] * 50))

    assert decision == Decision(Disposition.WAIT, outcome, NOW)
    assert seconds_until(after) == 2


def test_a_permanent_answer_is_the_end() -> None:
    assert decided(Outcome.PERMANENT, []).then is Disposition.DIE


@pytest.mark.parametrize("accepted", ACCEPTING)
@pytest.mark.parametrize("outcome", [o for o in Outcome if o not in ACCEPTING])
def test_nothing_undoes_an_acceptance_whose_answer_came_late(
    accepted: Outcome, outcome: Outcome
) -> None:
    decision = decided(outcome, past(accepted))

    assert decision.then is Disposition.ACCEPT


def test_a_replay_starts_every_schedule_afresh() -> None:
    before = past(*[Outcome.NOT_SENT] * 3, spent=False)

    decision = decided(Outcome.NOT_SENT, before)

    assert seconds_until(decision) == 2


@pytest.mark.parametrize("outcome", [Outcome.UNKNOWN, *ACCEPTING])
def test_a_replay_does_not_forget_what_may_have_landed(outcome: Outcome) -> None:
    before = past(outcome, spent=False)

    decision = decided(Outcome.ECHO, before)

    assert decision.then is Disposition.ACCEPT
    assert unresolved_since(before) == before[0].started_at


def test_a_replay_is_not_decided_by_an_acceptance_before_it() -> None:
    decision = decided(Outcome.PERMANENT, past(Outcome.ACCEPTED, spent=False))

    assert decision.then is Disposition.DIE


def test_what_may_have_landed_reaches_from_its_first_start_to_its_last_end() -> None:
    submissions = past(Outcome.NOT_SENT, Outcome.UNKNOWN, Outcome.UNKNOWN, Outcome.BUSY)

    assert unresolved_since(submissions) == submissions[1].started_at
    assert unresolved_until(submissions) == submissions[2].ended_at


def test_nothing_may_have_landed_once_the_progress_told() -> None:
    submissions = past(Outcome.UNKNOWN, Outcome.UNKNOWN, resolved=True)

    assert unresolved_since(submissions) is None
    assert unresolved_until(submissions) is None


@given(st.floats(0, 1), st.floats(0, 1), st.floats(0.001, 100_000))
def test_jitter_only_adds_and_at_most_its_share(jitter: float, chance: float, base: float) -> None:
    policy = RetryPolicy(
        schedules={"retry": (base,)},
        window_at_least_seconds=30,
        window_at_most_seconds=900,
        jitter=jitter,
    )

    delay = policy.next_delay("retry", 0, chance)

    assert delay is not None
    assert base <= delay <= base * (1 + jitter) * (1 + 1e-9)


def test_jitter_differs_from_one_attempt_to_the_next() -> None:
    policy = replace(POLICY, jitter=1)

    delays = {policy.next_delay("retry", 0) for _ in range(20)}

    assert len(delays) > 1
    assert all(delay is not None and 2 <= delay <= 4 for delay in delays)


PASTS = st.lists(
    st.builds(
        lambda outcome, resolved, spent: past(outcome, resolved=resolved, spent=spent)[0],
        st.sampled_from(list(Outcome)),
        st.booleans(),
        st.booleans(),
    ),
    max_size=12,
)


@given(st.sampled_from(list(Outcome)), PASTS)
def test_every_past_leads_to_a_decision_that_can_be_carried_out(
    outcome: Outcome, earlier: list[Past]
) -> None:
    decision = decided(outcome, earlier)

    if decision.then in (Disposition.RETRY, Disposition.WAIT):
        assert decision.next_at is not None
        assert decision.next_at >= NOW
    if decision.then is Disposition.ACCEPT and outcome not in ACCEPTING:
        assert any(one.is_accepted and one.spent for one in earlier) or (
            outcome is Outcome.ECHO and any(one.is_unresolved for one in earlier)
        )
