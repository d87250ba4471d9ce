"""Was the reward granted? Yes, no, or it cannot be known, yet or at all."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from itertools import accumulate, chain, repeat

# The default of `window_at_least`.
_CLOCKS_DIFFER_SECONDS = 30.0
# How long after a nudge to look once more: Gameball may say what its reads do not show yet.
_AFTER_A_NUDGE_SECONDS = (3.0, 15.0)


class Proof(StrEnum):
    """What shows that a reward was granted. Stored and shown under these words."""

    COUNT = "count"  # Gameball's count of achievements went up
    TRANSACTION = "transaction"  # a points transaction of the campaign
    ACTIVITY = "activity"  # an entry of the customer's activities that names the campaign
    PUSH = "push"  # Gameball's own webhook, where a source says that it is proof


class Verdict(StrEnum):
    GRANTED = "granted"
    NOT_GRANTED = "not_granted"
    UNCONFIRMED = "unconfirmed"
    NOT_YET = "not_yet"  # look again later


class Look(StrEnum):
    """Where to look next, before anything can be said."""

    TRANSACTIONS = "transactions"
    ACTIVITIES = "activities"


@dataclass(frozen=True, slots=True)
class Span:
    """A time in which a reward of the campaign can only be this attempt's.

    It begins with a submission and ends with the next one of another attempt of the same customer
    at the same challenge. Those are kept apart for longer than a grant takes. Both a little
    earlier, as Gameball writes its times by a clock of its own.
    """

    from_at: datetime
    until_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """One reward as Gameball shows it. ``reference`` tells it from all others of its proof."""

    proof: Proof
    reference: str
    at: datetime | None = None
    left_open: timedelta = timedelta()  # how much later than ``at`` it may have been
    points: float | None = None
    coupon: str | None = None

    def is_in(self, span: Span) -> bool:
        if self.at is None:
            return False
        # Never added to: Gameball may write the last moment that a time can be.
        is_late_enough = span.from_at - self.left_open < self.at
        return is_late_enough and (
            span.until_at is None or self.at <= span.until_at - self.left_open
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """A customer's progress in a campaign. Nothing in it when Gameball does not show the campaign.

    ``most``: how often it can be achieved, -1: any number. ``points``: what it is configured to
    give each time.
    """

    achieved: int | None = None
    can_achieve: bool | None = None
    most: int | None = None
    points: float | None = None
    name: str | None = None
    starts_at: datetime | None = None
    ends_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """An accepted attempt, as far as we know it.

    ``baseline``: Gameball's count before the first submission, where it can only have gone up by
    this attempt since. ``settles_at``: from when on a grant is surely visible. ``taken``: proof and
    reference of each grant that was credited to an attempt. ``rivals``: how many others may have
    reached Gameball at the same time, which happens only after a restored backup. ``due_at``: when
    this look should have been. ``told``: what Gameball's webhook said, where that is proof and can
    only be about this attempt.
    """

    challenge_id: int
    spans: tuple[Span, ...]
    accepted_at: datetime
    settles_at: datetime
    give_up_at: datetime
    baseline: int | None = None
    was_disabled: bool = False
    taken: frozenset[tuple[str, str]] = frozenset()
    rivals: int = 0
    due_at: datetime | None = None
    told: Grant | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What Gameball showed of one customer's campaign.

    ``progress`` None: it could not be read. ``looked``: where else one looked; ``answered``: what
    of that was read to its end, and whose it is known; ``whole``: where what is not shown is
    surely not there.
    """

    progress: Progress | None = None
    records: Sequence[Grant] = ()
    looked: frozenset[Look] = frozenset()
    answered: frozenset[Look] = frozenset()
    whole: frozenset[Look] = frozenset()

    def with_records(
        self, look: Look, found: Sequence[Grant], *, answered: bool, whole: bool
    ) -> "Seen":
        return replace(
            self,
            records=(*self.records, *found),
            looked=self.looked | {look},
            answered=self.answered | {look} if answered else self.answered,
            whole=self.whole | {look} if whole else self.whole,
        )


@dataclass(frozen=True, slots=True)
class Judgement:
    verdict: Verdict
    reason: str = ""
    grant: Grant | None = None


def judge(case: Case, seen: Seen, now: datetime) -> Judgement | Look:
    """Decide by what was seen, or say where to look next. In this order: count, then records.

    A no needs everything: what would show a reward was read, shows none, and has had its time.
    What Gameball's webhook said decides last, and never against its own count.
    """
    grant = _shown(case, seen)
    if grant is not None:
        return Judgement(Verdict.GRANTED, _words(grant), grant)
    is_still = _count_stands_still(case, seen.progress)
    is_settled = now >= case.settles_at
    if is_still and not is_settled:
        return Judgement(Verdict.NOT_YET)
    for look in Look:
        if look not in seen.looked:
            return look
    told = _told(case, seen)
    if told is not None:
        return Judgement(Verdict.GRANTED, _words(told), told)
    if not is_settled:
        return Judgement(Verdict.NOT_YET)
    return _without_a_record(case, seen, now, is_still=is_still)


def has_landed(case: Case, seen: Seen, now: datetime) -> bool | None:
    """Whether something of the attempt was rewarded; None: it cannot be known, yet or at all."""
    if _shown(case, seen) is not None or _told(case, seen) is not None:
        return True
    if now < case.settles_at or any(_records(case, seen, proof) for proof in Proof):
        return None
    is_still = _count_stands_still(case, seen.progress)
    return False if is_still or _would_show(seen, is_still=False) else None


def may_be_of(case: Case, grants: Sequence[Grant]) -> Sequence[Grant]:
    """Those that no other attempt has, and of a time in which they can only be this one's."""
    return [
        grant
        for grant in grants
        if (grant.proof, grant.reference) not in case.taken
        and any(grant.is_in(span) for span in case.spans)
    ]


def is_ineligible(progress: Progress | None) -> bool:
    """Whether Gameball itself says that the customer cannot achieve the campaign (now)."""
    return progress is not None and progress.can_achieve is False


def why_not(progress: Progress, now: datetime) -> str:
    """The likeliest reason why the customer gets no reward, in words for an admin."""
    most, achieved = progress.most, progress.achieved
    if progress.starts_at is not None and progress.starts_at > now:
        return f"the campaign does not start before {progress.starts_at:%Y-%m-%d}"
    if progress.ends_at is not None and progress.ends_at < now:
        return f"the campaign ended on {progress.ends_at:%Y-%m-%d}"
    if achieved and most is not None and 0 < most <= achieved:
        return f"the campaign's repeat limit is spent: achieved {achieved} of {most} times"
    if achieved:
        return (
            f"the customer cannot achieve the campaign again (achieved {achieved} times): its "
            "repeat limit is spent for now, or the customer is no longer eligible"
        )
    return "the customer is not eligible for the campaign: a guest, opted out, or not in its reach"


def _shown(case: Case, seen: Seen) -> Grant | None:
    """What proves that it was rewarded."""
    recorded = (_records(case, seen, proof) for proof in Proof)
    return _risen(case, seen) or next((r[0] for r in recorded if len(r) > case.rivals), None)


def _told(case: Case, seen: Seen) -> Grant | None:
    """What Gameball's webhook said, unless its own count says otherwise."""
    if case.told is None or _count_stands_still(case, seen.progress):
        return None
    return next(iter(may_be_of(case, [case.told])), None)


def _risen(case: Case, seen: Seen) -> Grant | None:
    """The first achievement above the baseline that no other attempt was credited with."""
    progress = seen.progress
    if case.baseline is None or progress is None or progress.achieved is None:
        return None
    # However absurd a count is, its first few decide.
    for number in range(case.baseline + 1, min(progress.achieved, case.baseline + 100) + 1):
        reference = f"{case.challenge_id}:{number}"
        if (Proof.COUNT, reference) not in case.taken:
            return Grant(proof=Proof.COUNT, reference=reference, points=progress.points)
    return None


def _records(case: Case, seen: Seen, proof: Proof) -> Sequence[Grant]:
    """What can only be this attempt's, or one of its rivals'."""
    return may_be_of(case, [grant for grant in seen.records if grant.proof is proof])


def _count_stands_still(case: Case, progress: Progress | None) -> bool:
    """Whether Gameball's own count says that this attempt was not rewarded, so far."""
    if progress is None or progress.achieved is None:
        return False
    return progress.achieved == 0 or (
        case.baseline is not None and progress.achieved <= case.baseline
    )


def _without_a_record(case: Case, seen: Seen, now: datetime, *, is_still: bool) -> Judgement:
    progress = seen.progress
    if progress is not None and _would_show(seen, is_still=is_still):
        if is_ineligible(progress):
            return Judgement(Verdict.NOT_GRANTED, _reason(case, why_not(progress, now)))
        # Where Gameball shows nothing of the campaign, nobody can say what its silence means.
        if now >= case.give_up_at and progress.achieved is not None:
            told = "Gameball shows no reward, though the customer could achieve the campaign"
            return Judgement(Verdict.NOT_GRANTED, _reason(case, told))
    if now < case.give_up_at:
        return Judgement(Verdict.NOT_YET)
    is_answered = progress is not None and seen.answered >= set(Look)
    looked_at = now if case.due_at is None else min(now, case.due_at)
    if not is_answered and looked_at < case.give_up_at + (case.give_up_at - case.accepted_at):
        # Gameball, not the reward, may be what is missing. A late look is not the only one.
        return Judgement(Verdict.NOT_YET)
    return Judgement(Verdict.UNCONFIRMED, _reason(case, _unknown(seen)))


def _would_show(seen: Seen, *, is_still: bool) -> bool:
    """Whether a reward would have been seen, had there been one.

    Points leave a transaction; of other rewards nobody documents a record that must be there.
    """
    gives_points = bool(seen.progress and seen.progress.points)
    return seen.whole >= set(Look) and (is_still or gives_points)


def _unknown(seen: Seen) -> str:
    progress = seen.progress
    if progress is None:
        return "Gameball could not be read"
    if progress.achieved is None:
        return (
            "Gameball does not show the campaign for this customer (hidden, off, or not for them), "
            "and no record of a reward"
        )
    if not seen.answered >= set(Look):
        return (
            "the customer's transactions or activities, or the account's campaigns could not be "
            "read as a whole"
        )
    return f"achieved {progress.achieved} times, but no record tells whether by this attempt"


def _reason(case: Case, told: str) -> str:
    if case.was_disabled:
        return f"Gameball's program was disabled when it accepted this; {told}"
    return told


def _words(grant: Grant) -> str:
    got = [f"{grant.points:g} points"] if grant.points else []
    got += ["a coupon"] if grant.coupon else []
    return f"{_HOW[grant.proof]}{': ' if got else ''}{' and '.join(got)}"


_HOW = {
    Proof.COUNT: "Gameball's count of achievements went up",
    Proof.TRANSACTION: "Gameball shows the reward's transaction",
    Proof.ACTIVITY: "Gameball shows the reward among the customer's activities",
    Proof.PUSH: "Gameball's webhook said so, and what it lets us read neither shows nor denies it",
}


@dataclass(frozen=True, slots=True, kw_only=True)
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


def _after_a_nudge(nudged_at: datetime | None) -> list[datetime]:
    if nudged_at is None:
        return []
    return [nudged_at + timedelta(seconds=seconds) for seconds in _AFTER_A_NUDGE_SECONDS]
