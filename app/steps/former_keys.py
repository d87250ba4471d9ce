"""Finds new events that an earlier version stored under another key."""

import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from app.steps.arrivals import Arrival
from app.storage.hashes import Hashes
from app.storage.pipeline import Statement

# Match hashes and sources apart: pairs are slow to prepare, and hashes are nearly unique.
_FIND = (
    "SELECT id, source, key_hash, undone FROM events WHERE key_hash = ANY($1) AND source = ANY($2)"
)


@dataclass(frozen=True, slots=True)
class FormerKeys:
    """The hashed former keys of new events by event id. Events without former keys are absent."""

    arrivals: Mapping[str, Arrival]
    hashes: Mapping[str, Sequence[str]]

    @classmethod
    def of(cls, hashes: Hashes, arrivals: Mapping[str, Arrival]) -> "FormerKeys":
        """Hash the former keys of new events, given by event id."""
        return cls(
            arrivals,
            {
                event_id: [hashes.event_key(key) for key in arrival.event.former_keys]
                for event_id, arrival in arrivals.items()
                if arrival.event.former_keys
            },
        )

    def find(self) -> Statement:
        """Return the statement that finds events by these keys, for `without_known`.

        Execute it after the accounts are locked: an earlier version, which may run beside this one
        during an upgrade, locks them too.
        """
        hashes = {key_hash for some in self.hashes.values() for key_hash in some}
        sources = {self.arrivals[event_id].event.source for event_id in self.hashes}
        return _FIND, (list(hashes), list(sources))

    def without_known(
        self, fresh: Mapping[str, Arrival], found: Iterable[Any]
    ) -> dict[str, Arrival]:
        """Return the new events that are not among the found ones."""
        known = {
            (source, key_hash, bool(undone))
            for event_id, source, key_hash, undone in found
            # The databases write ids in different formats.
            if str(uuid.UUID(str(event_id))) not in fresh
        }
        if not known:
            return dict(fresh)
        return {
            event_id: arrival
            for event_id, arrival in fresh.items()
            if not any(
                (arrival.event.source, key_hash, arrival.event.undone) in known
                for key_hash in self.hashes.get(event_id, ())
            )
        }
