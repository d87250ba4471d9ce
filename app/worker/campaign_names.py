"""Which name, of which no other campaign has the same, does a campaign have?"""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from threading import Lock

from app.gameball.activities import key_of
from app.gameball.campaigns import Campaign, Unreadable, list_campaigns
from app.gameball.client import GameballClient
from app.gameball.reading import Failure, NotReadable
from app.steps.read_pace import Kind
from app.worker.reader import Reader

KEPT_SECONDS = 600.0


@dataclass(frozen=True, slots=True)
class Named:
    """A campaign's name as `activities.key_of` writes it, whether no other has the same, and what
    it gives, which its progress does not tell where it is hidden.
    """

    key: str | None
    is_alone: bool = False
    points: float | None = None


@dataclass(slots=True)
class CampaignNames:
    """The account's campaigns, read now and then: activities name them, and no more."""

    client: GameballClient
    _known: Mapping[int, Campaign] = field(default_factory=dict)
    _read_at: float = float("-inf")
    _lock: Lock = field(default_factory=Lock)

    def find(self, challenge_id: int, shown: str | None, reader: Reader) -> Named:
        """``shown``: the name that the campaign's progress has, if it is known."""
        with self._lock:
            is_fresh = time.monotonic() - self._read_at < KEPT_SECONDS or self._read(reader)
            known = self._known
        campaign = known.get(challenge_id)
        name = campaign.name if campaign else shown
        own = key_of(name) if name else None
        others = {key_of(one.name) for one in known.values() if one.id != challenge_id}
        return Named(own, is_fresh and own not in others, campaign.points if campaign else None)

    def _read(self, reader: Reader) -> bool:
        answers = reader.read(Kind.OTHERS, [self.client], _all)
        if self.client not in answers.read:
            return False
        self._known, self._read_at = answers.read[self.client], time.monotonic()
        return True


def _all(client: GameballClient) -> Mapping[int, Campaign]:
    try:
        return list_campaigns(client)
    except Unreadable as error:
        failure = Failure.TOO_FAST if error.status == 429 else Failure.NO_ANSWER
        raise NotReadable(failure) from None
