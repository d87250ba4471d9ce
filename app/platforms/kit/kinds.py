"""Where in a payload does what we want to know stand? A platform's events as a table."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from functools import partial

from app.platforms.kit.fields import iso_time, unix_ms_time, unix_time


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
