"""Is a reward called granted when something proves it, and not granted only when all is known?"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.confirmation import (
    Case,
    Grant,
    Judgement,
    Look,
    Progress,
    Proof,
    Seen,
    Span,
    Verdict,
    judge,
    why_not,
)
from tests.clock import START

SENT = START
SETTLED = START + timedelta(minutes=15)
END = START + timedelta(hours=24)
CASE = Case(
    challenge_id=7, spans=(Span(SENT),), accepted_at=SENT, settles_at=SETTLED, give_up_at=END
)
EVERYWHERE = frozenset(Look)
SECOND = timedelta(seconds=1)


def seen(progress: Progress | None = None, *records: Grant, **changes: object) -> Seen:
    """Everything was looked at and read as a whole, unless ``changes`` say otherwise."""
    whole = Seen(
        progress=progress, records=records, looked=EVERYWHERE, answered=EVERYWHERE, whole=EVERYWHERE
    )
    return replace(whole, **changes)  # type: ignore[arg-type]


def transaction(at: datetime, reference: str = "1", left_open: timedelta = SECOND) -> Grant:
    return Grant(
        proof=Proof.TRANSACTION, reference=reference, at=at, left_open=left_open, points=50
    )


def verdict(case: Case, what: Seen, now: datetime) -> Verdict:
    judged = judge(case, what, now)
    assert isinstance(judged, Judgement), judged
    return judged.verdict


@pytest.mark.parametrize(
    ("baseline", "achieved", "is_yes"), [(0, 1, True), (3, 4, True), (3, 3, False), (3, 2, False)]
)
def test_a_count_above_the_one_before_is_a_yes(baseline: int, achieved: int, is_yes: bool) -> None:
    judged = judge(
        replace(CASE, baseline=baseline), Seen(progress=Progress(achieved=achieved)), SENT + SECOND
    )

    assert isinstance(judged, Judgement)
    assert (judged.verdict is Verdict.GRANTED) is is_yes


def test_a_count_without_one_from_before_asks_for_records() -> None:
    assert judge(CASE, Seen(progress=Progress(achieved=1)), SENT + SECOND) is Look.TRANSACTIONS


def test_a_count_of_none_needs_no_record_while_a_grant_may_still_come() -> None:
    assert (
        verdict(CASE, Seen(progress=Progress(achieved=0, can_achieve=False)), SETTLED - SECOND)
        is Verdict.NOT_YET
    )


def test_each_achievement_counts_for_one_attempt() -> None:
    case = replace(CASE, baseline=1, taken=frozenset({(Proof.COUNT, "7:2")}))

    with_one, with_two = (judge(case, seen(Progress(achieved=n)), SETTLED) for n in (2, 3))

    assert isinstance(with_one, Judgement)
    assert with_one.verdict is not Verdict.GRANTED
    assert isinstance(with_two, Judgement)
    assert with_two.grant == Grant(proof=Proof.COUNT, reference="7:3")


@pytest.mark.parametrize(
    ("at", "left_open", "is_ours"),
    [
        (SENT, SECOND, True),
        (SENT - SECOND / 2, SECOND, True),  # written in whole seconds
        (SENT - SECOND, SECOND, False),
        (SENT - SECOND / 2, SECOND / 1_000, False),
        (SETTLED - SECOND, SECOND, True),
        (SETTLED, SECOND, False),
        (SETTLED - SECOND / 2, SECOND, False),  # maybe the next one's
    ],
)
def test_a_record_is_ours_from_our_submission_until_the_next_ones(
    at: datetime, left_open: timedelta, is_ours: bool
) -> None:
    case = replace(CASE, spans=(Span(SENT, SETTLED),))

    judged = verdict(case, seen(Progress(), transaction(at, left_open=left_open)), SETTLED)

    assert (judged is Verdict.GRANTED) is is_ours


def test_what_another_attempt_was_credited_with_proves_nothing() -> None:
    case = replace(CASE, taken=frozenset({(Proof.TRANSACTION, "1")}))

    judged = verdict(case, seen(Progress(), transaction(SENT)), SETTLED)

    assert judged is Verdict.NOT_YET


NO = Progress(achieved=0, can_achieve=False, points=50)
PAID = Progress(achieved=2, can_achieve=False, points=50)


@pytest.mark.parametrize(
    ("what", "now", "expected"),
    [
        (seen(NO), SETTLED, Verdict.NOT_GRANTED),
        (seen(NO), SETTLED - SECOND, Verdict.NOT_YET),
        (seen(PAID), SETTLED, Verdict.NOT_GRANTED),  # its transaction would show
        (seen(replace(PAID, points=0)), SETTLED, Verdict.NOT_YET),
        (seen(replace(PAID, points=None)), END, Verdict.UNCONFIRMED),
        (seen(replace(NO, can_achieve=True)), SETTLED, Verdict.NOT_YET),
        (seen(replace(NO, can_achieve=None)), SETTLED, Verdict.NOT_YET),
        (seen(replace(NO, can_achieve=True)), END, Verdict.NOT_GRANTED),
        (seen(replace(NO, achieved=None)), SETTLED, Verdict.NOT_GRANTED),
        (seen(Progress()), SETTLED, Verdict.NOT_YET),  # []
        (seen(Progress()), END, Verdict.UNCONFIRMED),
        (seen(None), END, Verdict.NOT_YET),
        (seen(None), END + timedelta(hours=24), Verdict.UNCONFIRMED),
        (seen(NO, whole=frozenset({Look.ACTIVITIES})), SETTLED, Verdict.NOT_YET),
        (seen(NO, whole=frozenset({Look.TRANSACTIONS})), SETTLED, Verdict.NOT_YET),
        (seen(NO, whole=frozenset(), answered=frozenset()), END, Verdict.NOT_YET),
        (seen(NO, whole=frozenset()), END, Verdict.UNCONFIRMED),
    ],
)
def test_a_no_needs_everything(what: Seen, now: datetime, expected: Verdict) -> None:
    assert verdict(CASE, what, now) is expected


def test_the_program_that_was_disabled_comes_first_among_the_reasons() -> None:
    judged = judge(replace(CASE, was_disabled=True), seen(NO), SETTLED)

    assert isinstance(judged, Judgement)
    assert judged.reason.startswith("Gameball's program was disabled")


@pytest.mark.parametrize(
    ("progress", "words"),
    [
        (NO, "not eligible for the campaign"),
        (replace(PAID, most=2), "repeat limit is spent: achieved 2 of 2 times"),
        (replace(PAID, most=-1), "cannot achieve the campaign again (achieved 2 times)"),
        (replace(NO, ends_at=START - timedelta(days=1)), "the campaign ended on 2026-01-04"),
        (replace(NO, starts_at=START + timedelta(days=1)), "does not start before 2026-01-06"),
    ],
)
def test_the_likeliest_reason_is_told_in_words(progress: Progress, words: str) -> None:
    assert words in why_not(progress, START)


COUNTS = st.none() | st.integers(0, 5)
TRUTHS = st.none() | st.booleans()
PROGRESS = st.none() | st.builds(
    Progress, achieved=COUNTS, can_achieve=TRUTHS, most=COUNTS, points=st.none() | st.just(50.0)
)
RECORDS = st.lists(
    st.builds(
        transaction,
        st.integers(-2_000, 2_000).map(lambda s: SENT + s * SECOND),
        st.sampled_from("123"),
    ),
    max_size=4,
)
LOOKS = st.frozensets(st.sampled_from(list(Look)))
TIMES = st.integers(0, 60 * 48).map(lambda m: SENT + timedelta(minutes=m))


@given(PROGRESS, RECORDS, LOOKS, LOOKS, COUNTS, TIMES)
def test_no_judgement_says_more_than_was_seen(
    progress: Progress | None,
    records: Sequence[Grant],
    looked: frozenset[Look],
    whole: frozenset[Look],
    baseline: int | None,
    now: datetime,
) -> None:
    case = replace(CASE, baseline=baseline)
    what = Seen(
        progress=progress,
        records=records,
        looked=looked | whole,
        answered=looked | whole,
        whole=whole,
    )

    judged = judge(case, what, now)

    if isinstance(judged, Look):
        assert judged not in what.looked
        return
    achieved = progress.achieved if progress else None
    has_risen = baseline is not None and achieved is not None and achieved > baseline
    has_record = any(one.at is not None and one.at > SENT - SECOND for one in records)
    assert (judged.verdict is Verdict.GRANTED) == (has_risen or has_record)
    if judged.verdict is Verdict.NOT_GRANTED:
        assert now >= SETTLED
        assert whole == EVERYWHERE
        assert progress is not None
        assert progress.can_achieve is False or now >= END
    if judged.verdict is Verdict.UNCONFIRMED:
        assert now >= END
    if now >= END + (END - SENT):
        assert judged.verdict is not Verdict.NOT_YET
