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
    A ``target`` of None: the action has none. ``thing``, ``aliases`` and ``target_aliases`` are
    paths to what `Event` calls so; an alias that is absent or equal to the id is left out.
    ``former_identities`` are what an earlier version made the key of. ``shown_at``: the time at
    which the platform says that the same is so again, where it is another than ``time``.
    """

    action: str
    actor: str
    target: str | None
    identity: tuple[str, ...]
    time: At | None = None
    handle: str | None = None
    undone: bool = False
    undoes: str | None = None
    thing: str | None = None
    aliases: tuple[str, ...] = ()
    target_aliases: tuple[str, ...] = ()
    former_identities: tuple[tuple[str, ...], ...] = ()
    shown_at: At | None = None

    def told(self, word: str, root: object, own: object = None) -> dict[str, Any] | str:
        """What an event of this kind says, without a time where it carries none; or why not.

        ``word`` keeps the keys of different kinds apart; ``own`` is the id of the account that is
        watched: what it does itself is no customer's action. Raises `Malformed`.
        """
        actor = optional_text(dig(root, self.actor), self.actor)
        is_own = own is not None and actor == text(own, "the account's id")
        thing = optional_text(dig(root, self.thing), self.thing) if self.thing else None
        # A moderator, or nobody in particular, may remove what the event names.
        names_it = self.undone and (self.undoes is not None or thing is not None)
        if names_it and is_own:
            actor = None
        elif actor is None and not names_it:
            return f"{word} names no actor"
        elif is_own:
            return f"{word} is by the account itself"
        identity = _identity(root, self.identity)
        target = self.target and text(dig(root, self.target), self.target)
        return {
            "key": event_key(word, *identity),
            "former_keys": self._former_keys(word, root),
            "action": self.action,
            "actor": actor,
            "aliases": _others(root, self.aliases, actor),
            "actor_handle": label(dig(root, self.handle)) if self.handle else None,
            "target": target,
            "target_aliases": _others(root, self.target_aliases, target),
            "thing": thing,
            "undone": self.undone,
            "undoes": event_key(self.undoes, *identity) if self.undoes else None,
            **_read_time(root, "occurred_at", self.time),
            **_read_time(root, "shown_at", self.shown_at),
        }

    def _former_keys(self, word: str, root: object) -> tuple[str, ...]:
        """The keys of earlier versions, where the payload has all that they were made of.

        Of a removal also those of the action that it takes back.
        """
        words = (word, self.undoes) if self.undoes else (word,)
        return tuple(
            event_key(one, *_identity(root, paths))
            for paths in self.former_identities
            if dig(root, paths[0]) is not None
            for one in words
        )


def _read_time(root: object, name: str, where: At | None) -> dict[str, datetime]:
    """The time by that name, where the payload has it."""
    found = dig(root, where.path) if where else None
    if where is None or found is None:
        return {}
    return {name: where.read(found, where.path)}


def _identity(root: object, paths: tuple[str, ...]) -> tuple[str | None, ...]:
    """Raises `Malformed` where the first is missing."""
    first, *others = paths
    rest = (optional_text(dig(root, path), path) for path in others)
    return (text(dig(root, first), first), *rest)


def _others(root: object, paths: tuple[str, ...], known: str | None) -> tuple[str, ...]:
    """The texts at these paths that are there and are another than ``known``; each once."""
    found = (optional_text(dig(root, path), path) for path in paths)
    return tuple(dict.fromkeys(one for one in found if one not in (None, known)))
