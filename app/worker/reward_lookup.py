"""Looks up the rewards of some customers at Gameball, in as few reads as possible."""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import TypeVar

from app.domain.confirmation import Grant, Look, Progress, Seen, judge, may_be_of
from app.gameball.activities import read_activities
from app.gameball.client import GameballClient
from app.gameball.pages import Page
from app.gameball.progress import read_progress
from app.gameball.reading import Failure
from app.gameball.transactions import read_transactions
from app.steps.confirmation import Followed
from app.steps.read_rate_limit import ReadKind
from app.worker.campaign_names import CampaignNames
from app.worker.paced_reader import Reader

# If a customer has more pages than this, a missing record proves nothing.
MOST_PAGES = 5
# Tries of a read in the last look, if it fails for a reason that may pass.
LAST_TRIES = 3
_BY_CHANCE = frozenset({Failure.NO_ANSWER, Failure.JUNK})
# Gameball refuses or throttles the account. That says nothing about a customer.
_NO_FAULT_OF_THEIRS = frozenset({Failure.BLOCKED, Failure.TOO_FAST})

ReadPage = Callable[[GameballClient, str, int], Page]
V = TypeVar("V")


@dataclass(slots=True)
class Records:
    """The rewards in a customer's records. ``next_after`` is None once all records were read."""

    by_key: dict[str, list[Grant]] = field(default_factory=lambda: defaultdict(list))
    unclear: set[str] = field(default_factory=set)
    next_after: int | None = 0

    def add(self, page: Page) -> None:
        for key, grants in page.by_key.items():
            self.by_key[key] += grants
        self.unclear |= page.unclear
        self.next_after = page.next_after

    def of(self, key: str | None) -> Sequence[Grant]:
        return self.by_key.get(key, ()) if key is not None else ()

    def is_whole(self, key: str | None) -> bool:
        return self.next_after is None and key is not None and key not in self.unclear


@dataclass(slots=True, kw_only=True)
class RewardLookup:
    """One look at the attempts of some customers.

    ``interrupted``: customers to look at again, because the rate limit or a refused account
    prevented their reads.
    """

    client: GameballClient
    reader: Reader
    names: CampaignNames
    followed: Sequence[Followed]
    seen: dict[str, Seen] = field(default_factory=dict)
    interrupted: set[str] = field(default_factory=set)

    def look(self, now: Callable[[], datetime], is_stopping: Callable[[], bool]) -> None:
        """Read the progress, then transactions, then activities, as far as needed."""
        for stage in (self._progress, self._transactions, self._activities):
            if is_stopping():
                self.interrupted |= {one.customer_id for one in self._left(now())}
                return
            stage(now())

    def _progress(self, now: datetime) -> None:
        by_customer: dict[str, set[int]] = defaultdict(set)
        for one in self.followed:
            by_customer[one.customer_id].add(one.case.challenge_id)

        def get(customer_id: str) -> Mapping[int, Progress]:
            asked = by_customer[customer_id]
            only = next(iter(asked)) if len(asked) == 1 else None
            return read_progress(self.client, customer_id, only)

        read, failed = self._read(ReadKind.CUSTOMERS, list(by_customer), get, now)
        for one in self.followed:
            self.seen[one.attempt_id] = Seen(progress=_shown(one, read, failed))

    def _transactions(self, now: datetime) -> None:
        wanting = self._wanting(Look.TRANSACTIONS, now)
        records = self._records(ReadKind.TRANSACTIONS, wanting, read_transactions, now)
        for one in wanting:
            self._add(one, Look.TRANSACTIONS, records, str(one.case.challenge_id))

    def _activities(self, now: datetime) -> None:
        wanting = self._wanting(Look.ACTIVITIES, now)
        if not wanting:
            return
        last = {one.customer_id for one in wanting if now >= one.case.give_up_at}
        names = self.names.read(self.reader, LAST_TRIES if last else 1)
        if names.are_held_back:
            self.interrupted |= last
        records = self._records(ReadKind.CUSTOMERS, wanting, read_activities, now)
        for one in wanting:
            progress = self.seen[one.attempt_id].progress
            named = names.find(one.case.challenge_id, progress.name if progress else None)
            if progress is not None and progress.points is None:
                seen = self.seen[one.attempt_id]
                shown = replace(progress, points=named.points)
                self.seen[one.attempt_id] = replace(seen, progress=shown)
            self._add(one, Look.ACTIVITIES, records, named.key, is_ours=named.is_alone)

    def _add(
        self,
        one: Followed,
        look: Look,
        records: Mapping[str, Records],
        key: str | None,
        *,
        is_ours: bool | None = True,
    ) -> None:
        """Add the records of one stage to what was seen of an attempt.

        ``is_ours``: the key belongs to this campaign only. None: unknown.
        """
        found = records.get(one.customer_id, Records())
        grants = found.of(key)
        self.seen[one.attempt_id] = self.seen[one.attempt_id].with_records(
            look,
            grants if is_ours else (),
            answered=found.next_after is None and is_ours is not None,
            whole=found.is_whole(key) and (is_ours is True or not may_be_of(one.case, grants)),
        )

    def _records(
        self, kind: ReadKind, wanting: Sequence[Followed], read: ReadPage, now: datetime
    ) -> Mapping[str, Records]:
        """Read the pages of the customers' records, up to `MOST_PAGES` for each customer."""
        records = {one.customer_id: Records() for one in wanting}
        for _ in range(MOST_PAGES):
            unread = {c: r.next_after for c, r in records.items() if r.next_after is not None}
            unread = {c: after for c, after in unread.items() if c not in self.interrupted}
            if not unread:
                break

            def get(customer: str, unread: Mapping[str, int] = unread) -> Page:
                return read(self.client, customer, unread[customer])

            pages, _ = self._read(kind, list(unread), get, now)
            for customer, page in pages.items():
                records[customer].add(page)
            if not pages:
                break
        return records

    def _wanting(self, look: Look, now: datetime) -> list[Followed]:
        return [
            one
            for one in self._left(now)
            if judge(one.case, self.seen[one.attempt_id], now) is look
        ]

    def _left(self, now: datetime) -> list[Followed]:
        """Return the undecided attempts for which there is another place to look."""
        return [
            one
            for one in self.followed
            if one.customer_id not in self.interrupted
            and isinstance(judge(one.case, self.seen.get(one.attempt_id, Seen()), now), Look)
        ]

    def _read(
        self, kind: ReadKind, customers: Sequence[str], get: Callable[[str], V], now: datetime
    ) -> tuple[dict[str, V], dict[str, Failure]]:
        """Return the results and the failures by customer.

        Customers in neither, or with a failure of the account, are added to `interrupted`.
        """
        read: dict[str, V] = {}
        failed: dict[str, Failure] = {}
        last = {one.customer_id for one in self.followed if now >= one.case.give_up_at}
        asked = list(customers)
        for _ in range(LAST_TRIES):
            answers = self.reader.read(kind, asked, get)
            read.update(answers.read)
            failed.update(answers.failed)
            asked = [c for c, why in answers.failed.items() if c in last and why in _BY_CHANCE]
            if not asked:
                break
        failed = {c: why for c, why in failed.items() if c not in read}
        self.interrupted |= set(customers) - read.keys() - failed.keys()
        self.interrupted |= {c for c, why in failed.items() if why in _NO_FAULT_OF_THEIRS}
        return read, failed


def _shown(
    one: Followed,
    read: Mapping[str, Mapping[int, Progress]],
    failed: Mapping[str, Failure],
) -> Progress | None:
    """Return the progress: empty if Gameball shows none, None if it could not be read."""
    if failed.get(one.customer_id) is Failure.REFUSED:
        return Progress()
    campaigns = read.get(one.customer_id)
    return None if campaigns is None else campaigns.get(one.case.challenge_id, Progress())
