"""The normalised event that every platform's callback is converted to."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One normalised social action. Immutable; times are aware and in UTC.

    - ``key`` identifies the action within its source for ever. The same action has the same key
      in every request. ``former_keys`` are the keys that earlier versions gave it.
    - ``platform`` is the platform of the account ``actor``. ``aliases`` are other ids of the
      same account.
    - ``target_aliases`` are other names of the target, which a rule may use.
    - ``payload`` is the platform's data for this one action.

    An undone event takes actions back. ``undoes`` is the key of the one action that it names.
    ``thing`` is narrower than the target, such as one comment or emoji on a post: an undone event
    with a ``thing`` takes back only actions with the same one. An undone event with ``undoes`` or
    ``thing`` may have no actor, for example when a moderator removed the comment. Every other
    event needs an actor.

    ``excluded`` is the reason why the event can never earn anything: it has no actor, or the
    account itself acted. The event is stored so that people can find it.

    A platform may send the same event again because it is true again, for example when a hidden
    post is shown. ``shown_at`` is the start of that, if it differs from ``occurred_at``.
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
        """When it happened, but never after it was received, whatever the platform's clock says."""
        return min(self.occurred_at, self.received_at)

    @property
    def told_at(self) -> datetime | None:
        """Since when the event is true by the platform's clock; None if the platform gives no time.

        The time of receipt is no use here: every repetition of a callback has a later one.
        """
        if self.shown_at is not None:
            return self.shown_at
        return None if self.occurred_at == self.received_at else self.occurred_at

    @property
    def ids(self) -> tuple[str, ...]:
        """All known ids of the account that acted."""
        return self.aliases if self.actor is None else (self.actor, *self.aliases)

    @property
    def targets(self) -> tuple[str | None, ...]:
        """All names of the target. The first one is stored."""
        return (self.target, *self.target_aliases)


@dataclass(frozen=True, slots=True)
class SameAccount:
    """Two ids of one platform account. ``replaced``: the first id is no longer in use."""

    account_id: str
    other_id: str
    replaced: bool = False
