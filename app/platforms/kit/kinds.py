"""Where in a payload does what we want to know stand? A platform's events as a table."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any

from app.platforms.kit.encodings import event_key
from app.platforms.kit.fields import (
    dig,
    iso_time,
    label,
    optional_text,
    text,
    unix_ms_time,
    unix_time,
)

# How a partner that chooses its own words may write ours.
ACTION = r"^[a-z][a-z0-9_-]{0,63}$"


@dataclass(frozen=True, slots=True)
class At:
    """The path to a time, and how it is written there."""

    read: Callable[[object, str], datetime]
    path: str


iso = partial(At, iso_time)
unix = partial(At, unix_time)
unix_ms = partial(At, unix_ms_time)


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of event: our word for it, and paths (as `dig` takes them) to the rest.

    ``identity`` names what tells this action from every other of its kind: the first must be
    there, the others may be absent. An event that carries no time happened when it was received.
    ``undoes``: the word of the kind that an undone one takes back, where both have one identity.
    A ``target`` of None: the action has none.
    """

    action: str
    actor: str
    target: str | None
    identity: tuple[str, ...]
    time: At | None = None
    handle: str | None = None
    undone: bool = False
    undoes: str | None = None

    def told(self, word: str, root: object, own: object = None) -> dict[str, Any] | str:
        """What an event of this kind says, without a time where it carries none; or why not.

        ``word`` keeps the keys of different kinds apart; ``own`` is the id of the account that is
        watched: what it does itself is no customer's action. Raises `Malformed`.
        """
        actor = dig(root, self.actor)
        if actor is None:
            return f"{word} names no actor"
        if own is not None and text(actor, self.actor) == text(own, "the account's id"):
            return f"{word} is by the account itself"
        first, *others = self.identity
        rest = (optional_text(dig(root, path), path) for path in others)
        identity = (text(dig(root, first), first), *rest)
        return {
            "key": event_key(word, *identity),
            "action": self.action,
            "actor": text(actor, self.actor),
            "actor_handle": label(dig(root, self.handle)) if self.handle else None,
            "target": self.target and text(dig(root, self.target), self.target),
            "undone": self.undone,
            "undoes": event_key(self.undoes, *identity) if self.undoes else None,
            **self._time(root),
        }

    def _time(self, root: object) -> dict[str, datetime]:
        time = dig(root, self.time.path) if self.time else None
        if self.time is None or time is None:
            return {}
        return {"occurred_at": self.time.read(time, self.time.path)}
