"""Which name, of which no other campaign has the same, does a campaign have?"""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from threading import Lock

from app.gameball.activities import key_of
from app.gameball.campaigns import Unreadable, list_campaigns
from app.gameball.client import GameballClient
from app.gameball.reading import Failure, NotReadable
from app.steps.read_pace import Kind
from app.worker.reader import Reader

KEPT_SECONDS = 600.0


@dataclass(frozen=True, slots=True)
class Named:
    """A campaign's name as `activities.key_of` writes it, and whether no other has the same."""

    key: str | None
    is_alone: bool = False


@dataclass(slots=True)
class CampaignNames:
    """The account's campaigns, read now and then: activities name them, and no more."""

    client: GameballClient
    _keys: Mapping[int, str] = field(default_factory=dict)
    _read_at: float = float("-inf")
    _lock: Lock = field(default_factory=Lock)

    def find(self, challenge_id: int, shown: str | None, reader: Reader) -> Named:
        """``shown``: the name that the campaign's progress has, if it is known."""
        with self._lock:
            is_fresh = time.monotonic() - self._read_at < KEPT_SECONDS or self._read(reader)
            keys = self._keys
        own = keys.get(challenge_id) or (key_of(shown) if shown else None)
        others = {key for number, key in keys.items() if number != challenge_id}
        return Named(own, is_fresh and own not in others)

    def _read(self, reader: Reader) -> bool:
        answers = reader.read(Kind.OTHERS, [self.client], _all_keys)
        if self.client not in answers.read:
            return False
        self._keys, self._read_at = answers.read[self.client], time.monotonic()
        return True


def _all_keys(client: GameballClient) -> Mapping[int, str]:
    try:
        return {number: key_of(one.name) for number, one in list_campaigns(client).items()}
    except Unreadable as error:
        failure = Failure.TOO_FAST if error.status == 429 else Failure.NO_ANSWER
        raise NotReadable(failure) from None
