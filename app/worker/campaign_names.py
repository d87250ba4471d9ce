"""Reads campaign names, and whether a name belongs to only one campaign."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from threading import Lock

from app.gameball.activities import key_of
from app.gameball.campaigns import Campaign, Unreadable, list_campaigns
from app.gameball.client import GameballClient
from app.gameball.reading import Failure, NotReadable
from app.steps.read_rate_limit import ReadKind
from app.worker.paced_reader import Reader

KEPT_SECONDS = 600.0


@dataclass(frozen=True, slots=True)
class Named:
    """A campaign's name in the form of `activities.key_of`, and the points that it gives.

    The progress of a hidden campaign does not include its points.
    ``is_alone``: no other campaign has this name. None: unknown.
    """

    key: str | None
    is_alone: bool | None = None
    points: float | None = None


@dataclass(frozen=True, slots=True)
class Names:
    """The account's campaigns from the last successful read.

    ``are_fresh``: that read is recent enough. ``are_held_back``: the rate limit prevented a read.
    """

    campaigns: Mapping[int, Campaign]
    are_fresh: bool
    are_held_back: bool

    def find(self, challenge_id: int, shown: str | None) -> Named:
        """Find a campaign. ``shown`` is its name in the customer's progress, if known."""
        campaign = self.campaigns.get(challenge_id)
        name = campaign.name if campaign else shown
        own = key_of(name) if name else None
        others = {key_of(one.name) for one in self.campaigns.values() if one.id != challenge_id}
        is_alone = own not in others if self.are_fresh else None
        return Named(own, is_alone, campaign.points if campaign else None)


@dataclass(slots=True, kw_only=True)
class CampaignNames:
    """A cache of the account's campaigns. Activities contain only the name of a campaign."""

    client: GameballClient
    _known: Mapping[int, Campaign] = field(default_factory=dict)
    _read_at: float = float("-inf")
    _lock: Lock = field(default_factory=Lock)

    def read(self, reader: Reader, tries: int) -> Names:
        """Return the campaigns. If the cache is too old, read them in at most ``tries`` tries."""
        with self._lock:
            for _ in range(tries):
                failure = self._refresh(reader)
                if failure in (None, Failure.TOO_FAST):
                    break
            return Names(self._known, failure is None, failure is Failure.TOO_FAST)

    def _refresh(self, reader: Reader) -> Failure | None:
        """Read the campaigns if the cache is too old. Returns the failure, or None."""
        if time.monotonic() - self._read_at < KEPT_SECONDS:
            return None
        answers = reader.read(ReadKind.OTHERS, [self.client], _all)
        if self.client not in answers.read:
            return answers.failed.get(self.client, Failure.TOO_FAST)
        self._known, self._read_at = answers.read[self.client], time.monotonic()
        return None


def _all(client: GameballClient) -> Mapping[int, Campaign]:
    try:
        campaigns = list_campaigns(client)
    except Unreadable as error:
        failure = Failure.TOO_FAST if error.status == 429 else Failure.NO_ANSWER
        raise NotReadable(failure) from None
    if not campaigns:
        # An account with rewards has campaigns. An empty list would make every name unique.
        raise NotReadable(Failure.JUNK)
    return campaigns
