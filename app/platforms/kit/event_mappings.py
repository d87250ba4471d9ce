"""Maps a platform's payload fields to our event fields, as a table."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Annotated, Any

from pydantic import StringConstraints

from app.platforms.kit.callback import Malformed
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

# The form of our words, which a partner may choose for its own.
ACTION = r"^[a-z][a-z0-9_-]{0,63}$"
Words = dict[str, Annotated[str, StringConstraints(pattern=ACTION)]]


@dataclass(frozen=True, slots=True)
class At:
    """The path to a time, and its format."""

    read: Callable[[object, str], datetime]
    path: str


def _decimal_time(value: object, what: str) -> datetime:
    """Read seconds since 1970 with decimals, which often only number simultaneous events."""
    return unix_time(text(value, what).partition(".")[0], what)


iso = partial(At, iso_time)
unix_decimal = partial(At, _decimal_time)
unix = partial(At, unix_time)
unix_ms = partial(At, unix_ms_time)


@dataclass(frozen=True, slots=True, kw_only=True)
class EventMapping:
    """One kind of event: our word for it, and the paths (see `dig`) to its fields.

    ``identity`` are the fields that distinguish the action from all others of its kind: the first
    must be present, the others may be absent. Without ``time`` an event happened when it was
    received. ``undoes``: the word of the kind that an undoing takes back, where both have the same
    identity. ``target`` is None where the action has none. ``same_as``: the word of the kind whose
    key it has, because it is the same action, sent again when something hidden is shown. ``thing``,
    ``aliases`` and ``target_aliases`` are paths to the fields of `Event` of that name; an alias
    that is absent or equal to the id is left out. ``former_identities`` are the identities of
    earlier versions. ``shown_at``: the time at which the platform reported the same action again,
    where it is not ``time``.
    """

    action: str
    actor: str
    target: str | None
    identity: tuple[str, ...]
    time: At | None = None
    handle: str | None = None
    undone: bool = False
    undoes: str | None = None
    same_as: str | None = None
    thing: str | None = None
    aliases: tuple[str, ...] = ()
    target_aliases: tuple[str, ...] = ()
    former_identities: tuple[tuple[str, ...], ...] = ()
    shown_at: At | None = None

    def parse(self, word: str, root: object, own: object = None) -> dict[str, Any] | str:
        """Return the fields of an event of this kind, without a time where it carries none.

        ``word`` keeps the keys of different kinds apart; ``own`` is the id of the watched account:
        its own actions are not a customer's. Such an event, and one without an actor, is
        ``excluded``; where too much else is missing, only the reason is returned. Raises
        `Malformed`.
        """
        actor = optional_text(dig(root, self.actor), self.actor)
        is_own = own is not None and actor == text(own, "the account's id")
        if self._may_be_anybodys(root):
            return self._read(word, root, None if is_own else actor)
        if actor is not None and not is_own:
            return self._read(word, root, actor)
        why = "names no actor" if actor is None else "is by the account itself"
        excluded = f"{word} {why}"
        try:
            return {**self._read(word, root, actor), "excluded": excluded}
        except Malformed:
            return excluded

    def _may_be_anybodys(self, root: object) -> bool:
        """Whether it takes back a named action, which a moderator may do as well."""
        has_thing = self.thing is not None and dig(root, self.thing) is not None
        return self.undone and (self.undoes is not None or has_thing)

    def _read(self, word: str, root: object, actor: str | None) -> dict[str, Any]:
        identity = _identity(root, self.identity)
        target = self._target(root)
        return {
            "key": event_key(self.same_as or word, *identity),
            "former_keys": self._former_keys(word, root),
            "action": self.action,
            "actor": actor,
            "aliases": _others(root, self.aliases, actor),
            "actor_handle": label(dig(root, self.handle)) if self.handle else None,
            "target": target,
            "target_aliases": _others(root, self.target_aliases, target),
            "thing": optional_text(dig(root, self.thing), self.thing) if self.thing else None,
            "undone": self.undone,
            "undoes": event_key(self.undoes, *identity) if self.undoes else None,
            **_read_time(root, "occurred_at", self.time),
            **_read_time(root, "shown_at", self.shown_at),
        }

    def _target(self, root: object) -> str | None:
        if self.target is None:
            return None
        # A removal that names one action by its key needs no target.
        read = optional_text if self.undoes else text
        return read(dig(root, self.target), self.target)

    def _former_keys(self, word: str, root: object) -> tuple[str, ...]:
        """Return the keys of earlier versions, where the payload has all of their fields.

        A removal also gets those of the action that it takes back.
        """
        words = (word, self.undoes) if self.undoes else (word,)
        return tuple(
            event_key(name, *_identity(root, paths))
            for paths in self.former_identities
            if dig(root, paths[0]) is not None
            for name in words
        )


def _read_time(root: object, name: str, where: At | None) -> dict[str, datetime]:
    """Read the time of that name, where the payload has it."""
    found = dig(root, where.path) if where else None
    if where is None or found is None:
        return {}
    return {name: where.read(found, where.path)}


def _identity(root: object, paths: tuple[str, ...]) -> tuple[str | None, ...]:
    """Read the identity. Raises `Malformed` when the first field is missing."""
    first, *others = paths
    rest = (optional_text(dig(root, path), path) for path in others)
    return (text(dig(root, first), first), *rest)


def _others(root: object, paths: tuple[str, ...], known: str | None) -> tuple[str, ...]:
    """Return the distinct texts at these paths other than ``known``."""
    if not paths:
        return ()
    found = (optional_text(dig(root, path), path) for path in paths)
    return tuple(dict.fromkeys(name for name in found if name not in (None, known)))
