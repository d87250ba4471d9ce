"""Which name, of which no other campaign has the same, does a campaign have?"""

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
    """A campaign's name as `activities.key_of` writes it, and what it gives, which its progress
    does not tell where it is hidden.

    ``is_alone``: whether no other campaign has the same name; None: that cannot be known now.
    """

    key: str | None
    is_alone: bool | None = None
    points: float | None = None


@dataclass(frozen=True, slots=True)
class Names:
    """The account's campaigns as they were last read.

    ``are_fresh``: which still holds. ``are_held_back``: the pace kept them from being read now.
    """

    campaigns: Mapping[int, Campaign]
    are_fresh: bool
    are_held_back: bool

    def find(self, challenge_id: int, shown: str | None) -> Named:
        """``shown``: the name that the campaign's progress has, if it is known."""
        campaign = self.campaigns.get(challenge_id)
        name = campaign.name if campaign else shown
        own = key_of(name) if name else None
        others = {key_of(one.name) for one in self.campaigns.values() if one.id != challenge_id}
        is_alone = own not in others if self.are_fresh else None
        return Named(own, is_alone, campaign.points if campaign else None)


@dataclass(slots=True, kw_only=True)
class CampaignNames:
    """The account's campaigns, read now and then: activities name them, and no more."""

    client: GameballClient
    _known: Mapping[int, Campaign] = field(default_factory=dict)
    _read_at: float = float("-inf")
    _lock: Lock = field(default_factory=Lock)

    def read(self, reader: Reader, tries: int) -> Names:
        """What is known of them; where that is too old, read in at most so many ``tries``."""
        with self._lock:
            for _ in range(tries):
                failure = self._refresh(reader)
                if failure in (None, Failure.TOO_FAST):
                    break
            return Names(self._known, failure is None, failure is Failure.TOO_FAST)

    def _refresh(self, reader: Reader) -> Failure | None:
        """Read them if what is known is too old; why that failed."""
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
        # Who was rewarded by a campaign has one: believed, it would make every name unique.
        raise NotReadable(Failure.JUNK)
    return campaigns
