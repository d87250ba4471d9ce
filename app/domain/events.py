"""What happened, in our own words?"""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One normalised social action; immutable. Times are aware UTC.

    ``key`` identifies the action within its source for ever: the same action, sent again in any
    request, has the same key. ``former_keys`` are the keys that earlier versions gave it.
    ``platform`` names whose account ``actor`` is; ``aliases`` are other ids of that same account.
    ``target_aliases`` are other names of the target, which a rule may use.
    ``payload`` is what the platform sent for this one action.

    An undone event takes actions back. ``undoes`` is the key of the one action that it names.
    ``thing`` is narrower than the target: this comment, this emoji on that post. An undone event
    with a ``thing`` takes back only actions with the same one. Only an undone event with one of
    these two may come without an actor, as when a moderator removed the comment.

    ``excluded`` says why an event can earn nothing, whatever the rules are: it names no actor, or
    the account acted itself. Such an event is kept so that people can find it.

    The same event may be sent again because it is so again: a hidden post is shown. Its
    ``shown_at`` is since when, if that is another time than ``occurred_at``.
    """

    source: str
    key: str
    platform: str
    action: str
    actor: str | None
    occurred_at: datetime
    received_at: datetime
    payload: bytes
    actor_handle: str | None = None
    target: str | None = None
    undone: bool = False
    undoes: str | None = None
    thing: str | None = None
    aliases: tuple[str, ...] = ()
    target_aliases: tuple[str, ...] = ()
    former_keys: tuple[str, ...] = ()
    excluded: str | None = None
    shown_at: datetime | None = None

    @property
    def happened_at(self) -> datetime:
        """Not later than it was received, whatever the platform's clock says."""
        return min(self.occurred_at, self.received_at)

    @property
    def told_at(self) -> datetime | None:
        """Since when it is so, by the platform's clock; None where the platform gives no time.

        A time of receipt says nothing: every repetition of a callback has a later one.
        """
        if self.shown_at is not None:
            return self.shown_at
        return None if self.occurred_at == self.received_at else self.occurred_at

    @property
    def ids(self) -> tuple[str, ...]:
        """All ids of the account that acted, as far as the event tells."""
        return self.aliases if self.actor is None else (self.actor, *self.aliases)

    @property
    def targets(self) -> tuple[str | None, ...]:
        """All names of its target; the first is the one to keep."""
        return (self.target, *self.target_aliases)


@dataclass(frozen=True, slots=True)
class SameAccount:
    """Two ids of one platform account. ``replaced``: the account no longer has the first one."""

    account_id: str
    other_id: str
    replaced: bool = False
