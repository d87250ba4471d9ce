"""Decides whether Gameball granted a reward: yes, no, not yet known, or unknowable."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from itertools import accumulate, chain, repeat

# The default of `window_at_least`.
_CLOCKS_DIFFER_SECONDS = 30.0
# Seconds after a nudge to look again: Gameball may notify us before its reads show the reward.
_AFTER_A_NUDGE_SECONDS = (3.0, 15.0)


class Proof(StrEnum):
    """The kinds of proof that a reward was granted. The values are stored and shown."""

    COUNT = "count"  # Gameball's count of achievements went up
    TRANSACTION = "transaction"  # a points transaction of the campaign
    ACTIVITY = "activity"  # an entry of the customer's activities that names the campaign
    PUSH = "push"  # Gameball's own webhook, where the source is configured to accept it as proof


class Verdict(StrEnum):
    """The result of a judgement."""

    GRANTED = "granted"
    NOT_GRANTED = "not_granted"
    UNCONFIRMED = "unconfirmed"
    NOT_YET = "not_yet"  # look again later


class Look(StrEnum):
    """Where to look next, before a judgement is possible."""

    TRANSACTIONS = "transactions"
    ACTIVITIES = "activities"


@dataclass(frozen=True, slots=True)
class Span:
    """A time in which a reward of the campaign can only be for this attempt.

    A span begins with a submission. It ends with the next submission of another attempt of the
    same customer at the same challenge; these are kept apart for longer than a grant takes.
    Both ends are a little earlier, because Gameball writes times by its own clock.
    """

    from_at: datetime
    until_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """One reward as Gameball shows it. ``reference`` is unique within its proof."""

    proof: Proof
    reference: str
    at: datetime | None = None
    left_open: timedelta = timedelta()  # the reward may be this much later than ``at``
    points: float | None = None
    coupon: str | None = None

    def is_in(self, span: Span) -> bool:
        """Whether the grant is surely inside the span. False without a time."""
        if self.at is None:
            return False
        # Nothing is added to `at`: it may be the largest datetime.
        is_late_enough = span.from_at - self.left_open < self.at
        return is_late_enough and (
            span.until_at is None or self.at <= span.until_at - self.left_open
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """A customer's progress in a campaign. Empty when Gameball does not show the campaign.

    ``most``: how often it can be achieved; -1 means without limit. ``points``: the configured
    points of each achievement.
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
    """The known facts of an accepted attempt.

    - ``baseline``: Gameball's count before the first submission, if only this attempt can have
      raised it since.
    - ``settles_at``: from then on a grant is surely visible.
    - ``taken``: proof and reference of each grant that is credited to an attempt.
    - ``rivals``: how many other attempts may have reached Gameball at the same time. It is above
      zero only after a restored backup.
    - ``due_at``: when this look was due.
    - The last field is the grant that Gameball's webhook reported, if that is proof and can only
      be about this attempt.
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

    - ``progress``: None if it could not be read.
    - ``looked``: the other places that were looked at.
    - ``answered``: the places that were read to the end and where the records of the campaign can
      be identified.
    - ``whole``: the places where a missing record surely does not exist.
    """

    progress: Progress | None = None
    records: Sequence[Grant] = ()
    looked: frozenset[Look] = frozenset()
    answered: frozenset[Look] = frozenset()
    whole: frozenset[Look] = frozenset()

    def with_records(
        self, look: Look, found: Sequence[Grant], *, answered: bool, whole: bool
    ) -> "Seen":
        """Return a copy with the records that a look found."""
        return replace(
            self,
            records=(*self.records, *found),
            looked=self.looked | {look},
            answered=self.answered | {look} if answered else self.answered,
            whole=self.whole | {look} if whole else self.whole,
        )


@dataclass(frozen=True, slots=True)
class Judgement:
    """A verdict with its reason as a text for admins, and the grant that proves it."""

    verdict: Verdict
    reason: str = ""
    grant: Grant | None = None


def judge(case: Case, seen: Seen, now: datetime) -> Judgement | Look:
    """Return the judgement, or where to look next. The count decides first, then the records.

    ``NOT_GRANTED`` needs a full read: every place that would show a reward was read, shows none,
    and had its time. Gameball's webhook decides last, and never against Gameball's count.
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
    """Whether part of the attempt was rewarded. None: it is not known yet, or cannot be known."""
    if _shown(case, seen) is not None or _told(case, seen) is not None:
        return True
    if now < case.settles_at or any(_records(case, seen, proof) for proof in Proof):
        return None
    is_still = _count_stands_still(case, seen.progress)
    return False if is_still or _would_show(seen, is_still=False) else None


def may_be_of(case: Case, grants: Sequence[Grant]) -> Sequence[Grant]:
    """The grants that no other attempt has, and whose time can only be this attempt's."""
    return [
        grant
        for grant in grants
        if (grant.proof, grant.reference) not in case.taken
        and any(grant.is_in(span) for span in case.spans)
    ]


def is_ineligible(progress: Progress | None) -> bool:
    """Whether Gameball says that the customer cannot achieve the campaign now."""
    return progress is not None and progress.can_achieve is False


def why_not(progress: Progress, now: datetime) -> str:
    """The most likely reason for no reward, as a text for admins."""
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
    """The grant that proves the reward by the count or a record; None without proof."""
    recorded = (_records(case, seen, proof) for proof in Proof)
    return _risen(case, seen) or next((r[0] for r in recorded if len(r) > case.rivals), None)


def _told(case: Case, seen: Seen) -> Grant | None:
    """The grant that Gameball's webhook reported, unless Gameball's count contradicts it."""
    if case.told is None or _count_stands_still(case, seen.progress):
        return None
    return next(iter(may_be_of(case, [case.told])), None)


def _risen(case: Case, seen: Seen) -> Grant | None:
    """The first achievement above the baseline that no other attempt was credited with."""
    progress = seen.progress
    if case.baseline is None or progress is None or progress.achieved is None:
        return None
    # The first 100 numbers are enough. The count may be absurdly large.
    for number in range(case.baseline + 1, min(progress.achieved, case.baseline + 100) + 1):
        reference = f"{case.challenge_id}:{number}"
        if (Proof.COUNT, reference) not in case.taken:
            return Grant(proof=Proof.COUNT, reference=reference, points=progress.points)
    return None


def _records(case: Case, seen: Seen, proof: Proof) -> Sequence[Grant]:
    """The grants of this proof that can only be of this attempt or its rivals."""
    return may_be_of(case, [grant for grant in seen.records if grant.proof is proof])


def _count_stands_still(case: Case, progress: Progress | None) -> bool:
    """Whether Gameball's count shows no reward for this attempt so far."""
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
        # If Gameball does not show the campaign, a missing reward has no meaning.
        if now >= case.give_up_at and progress.achieved is not None:
            told = "Gameball shows no reward, though the customer could achieve the campaign"
            return Judgement(Verdict.NOT_GRANTED, _reason(case, told))
    if now < case.give_up_at:
        return Judgement(Verdict.NOT_YET)
    is_answered = progress is not None and seen.answered >= set(Look)
    looked_at = now if case.due_at is None else min(now, case.due_at)
    if not is_answered and looked_at < case.give_up_at + (case.give_up_at - case.accepted_at):
        # The outage may be Gameball's, so look longer. A late look must not be the only one.
        return Judgement(Verdict.NOT_YET)
    return Judgement(Verdict.UNCONFIRMED, _reason(case, _unknown(seen)))


def _would_show(seen: Seen, *, is_still: bool) -> bool:
    """Whether a reward would have been visible.

    Points leave a transaction. For other rewards, no record is documented as certain.
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
    """When to look at an accepted attempt. All values are seconds; the last delay repeats.

    A grant is surely visible ``settle_seconds`` after the submission ended.
    """

    delays: Sequence[float]
    give_up_seconds: float
    settle_seconds: float
    lease_seconds: float

    def next_look(
        self, accepted_at: datetime, now: datetime, nudged_at: datetime | None = None
    ) -> datetime:
        """The next time of the schedule after ``now``; the end of the schedule is one of them.

        After a nudge, a few earlier times are added.
        """
        end = accepted_at + timedelta(seconds=self.give_up_seconds)
        times = accumulate(chain(self.delays, repeat(self.delays[-1])))
        following = (accepted_at + timedelta(seconds=seconds) for seconds in times)
        at = next(at for at in following if at > now)
        at = min(at, end) if end > now else at
        return min([at, *(soon for soon in _after_a_nudge(nudged_at) if soon > now)])

    @property
    def clocks_differ(self) -> timedelta:
        """How much earlier than our time of sending a reward may be, by Gameball's clock.

        This is far less than the distance between attempts at one challenge. An older reward of
        another action would have made our submission an echo.
        """
        return timedelta(seconds=min(_CLOCKS_DIFFER_SECONDS, self.settle_seconds / 4))

    @property
    def together_seconds(self) -> float:
        """Seconds before its time in which an attempt joins a look at its customer."""
        return self.delays[0] / 5

    @property
    def again_seconds(self) -> float:
        """Seconds until the next look when the rate limit or the account prevented a read."""
        return self.delays[0] / 20


def _after_a_nudge(nudged_at: datetime | None) -> list[datetime]:
    if nudged_at is None:
        return []
    return [nudged_at + timedelta(seconds=seconds) for seconds in _AFTER_A_NUDGE_SECONDS]
