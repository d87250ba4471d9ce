"""What ought every attempt to have become, by the sandbox's own books?"""

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from app.sandbox.rewards import Grant

MAY_HAVE_LANDED = frozenset({"accepted", "program_disabled", "unknown"})
FINAL = frozenset({"granted", "not_granted", "unconfirmed", "duplicate", "refused", "dead"})


@dataclass(frozen=True, kw_only=True)
class Truth:
    """Each attempt's grants, as the books' times of registration tell whose call it was."""

    attempts: dict[str, Any]
    grants: dict[str, list[Grant]]
    nobodys: list[Grant]
    submissions: dict[tuple[str, int], list[Any]]

    def unseen(self) -> list[str]:
        """Those that were granted and could not be told, with all that may be the cause."""
        return [
            self._told(one)
            for attempt_id, one in self.attempts.items()
            if one.state == "unconfirmed" and len(self.grants[attempt_id]) == 1
        ]

    def _told(self, attempt: Any) -> str:
        """What happened to one customer at one challenge, in the order in which it did."""
        pair = attempt.customer_id, attempt.challenge_id
        happened = [
            (one.started_at, f"until {one.ended_at:%T.%f} {one.attempt_id} {one.outcome}")
            for one in self.submissions[pair]
        ] + [
            (datetime.fromtimestamp(grant.at, UTC), f"grant {grant.number} of {attempt_id}")
            for attempt_id, grants in self.grants.items()
            for grant in grants
            if (grant.customer_id, grant.challenge_id) == pair
        ]
        told = "".join(f"\n  {at:%T.%f} {what}" for at, what in sorted(happened))
        return f"{attempt.id}: {attempt.state} ({attempt.reason}), {pair}{told}"

    def wrong(self) -> list[str]:
        """Every attempt that says something else than the books."""
        found = [
            f"{one.customer_id} {one.challenge_id}: a grant that no attempt asked for"
            for one in self.nobodys
        ]
        for attempt_id, attempt in self.attempts.items():
            count = len(self.grants[attempt_id])
            if attempt.state not in FINAL:
                found.append(f"{attempt_id}: still {attempt.state}")
            if count > 1:
                found.append(f"{attempt_id}: granted {count} times")
            if attempt.state == "unconfirmed":
                continue  # says that it is not known: counted apart
            if (attempt.state == "granted") != (count == 1):
                found.append(f"{attempt_id}: {attempt.state} ({attempt.reason}), granted {count}")
        return found

    def awards_granted_twice(self) -> list[tuple[int, str, str]]:
        counts = Counter(
            (one.challenge_id, one.customer_id, one.occurrence)
            for attempt_id, one in self.attempts.items()
            for _ in self.grants[attempt_id]
        )
        return [award for award, count in counts.items() if count > 1]


def compare(attempts: Sequence[Any], submissions: Sequence[Any], grants: Sequence[Grant]) -> Truth:
    known = {one.id: one for one in attempts}
    by_pair: dict[tuple[str, int], list[Any]] = defaultdict(list)
    for one in submissions:
        attempt = known[one.attempt_id]
        by_pair[attempt.customer_id, attempt.challenge_id].append(one)
    whose: dict[str, list[Grant]] = defaultdict(list)
    nobodys = []
    for grant in grants:
        at = datetime.fromtimestamp(grant.accepted_at, UTC)
        # Those of one customer at one challenge are far apart: it was the last one before.
        asked = [
            one
            for one in by_pair[grant.customer_id, grant.challenge_id]
            if one.started_at <= at and one.outcome in MAY_HAVE_LANDED
        ]
        if asked:
            whose[max(asked, key=lambda one: one.started_at).attempt_id].append(grant)
        else:
            nobodys.append(grant)
    return Truth(attempts=known, grants=whose, nobodys=nobodys, submissions=by_pair)
