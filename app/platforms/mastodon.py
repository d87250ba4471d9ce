"""Mastodon: posts by the people of a server that you run."""

from collections.abc import Iterator
from functools import partial
from typing import Any, ClassVar

from pydantic import Field

from app.platforms.kit.adapter import Adapter
from app.platforms.kit.callback import Callback, Reading, Reply
from app.platforms.kit.event_mappings import EventMapping, iso
from app.platforms.kit.fields import dig, json_object, listed, obj, optional_text, read_each, text
from app.platforms.kit.options import SourceConfig
from app.platforms.kit.places import Header
from app.platforms.kit.schemes import HmacScheme

TIME = iso("at")
BY_AUTHOR = partial(
    EventMapping,
    actor="account.id",
    identity=("id",),
    time=iso("created_at"),
    handle="account.acct",
    # With its @, so that a name of digits differs from an id.
    aliases=("at_acct",),
)
PUBLIC = ("public", "unlisted")


class MastodonSource(SourceConfig):
    names: tuple[str, ...] = Field(
        default=(),
        description="Your accounts as the server writes them, in any case: mentions of them "
        "count as mentions of you, and their own posts earn nothing.",
    )


class Mastodon(Adapter):
    """An administrator's webhook, with its default body; a body template is not supported."""

    name = "mastodon"
    docs = "https://docs.joinmastodon.org/admin/webhooks/"
    config: ClassVar[type[SourceConfig]] = MastodonSource
    ids_are_per_source = True
    schemes = (HmacScheme(proof=Header("X-Hub-Signature"), prefix="sha256="),)
    accepted = Reply(status=200)
    kinds: ClassVar[dict[str, EventMapping]] = {
        # Sent once an address is confirmed and, where the server requires it, approved.
        "account.approved": EventMapping(
            action="join", actor="id", target=None, identity=("id",), time=TIME, handle="username"
        ),
        # https://docs.joinmastodon.org/entities/Status/
        "post": BY_AUTHOR(action="post", target="id"),
        "reply": BY_AUTHOR(action="reply", target="in_reply_to_id"),
        "repost": BY_AUTHOR(action="repost", target="reblog.id"),
        "mention": BY_AUTHOR(
            action="mention",
            target="mentioned",
            identity=("id", "mentioned"),
            target_aliases=("mentioned_id",),
        ),
    }

    def read(self, callback: Callback) -> Reading:
        body = json_object(callback.body)
        word = text(body.get("event", "a body by a template"), "event")
        if word not in ("status.created", *self.kinds):
            return Reading(ignored=(f"{word} earns nothing",))
        status = obj(body.get("object"), "object")
        if word != "status.created":
            return Reading.of(
                self.read_word(word, callback, {**status, "at": body.get("created_at")})
            )
        if status.get("visibility", "public") not in PUBLIC:
            return Reading(ignored=("a status that is not public",))
        if self._is_ours(status.get("account")):
            return Reading(ignored=("a status of an account of ours",))
        if dig(status, "account.bot") is True or dig(status, "account.group") is True:
            return Reading(ignored=("a status by a bot or a group",))
        acct = optional_text(dig(status, "account.acct"), "account.acct")
        status |= {"at_acct": acct and f"@{acct}"}
        return read_each(
            self._events(status), lambda item: self.read_word(item[0], callback, item[1])
        )

    def _events(self, status: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
        """Yield what a status is, and its mentions of our accounts."""
        shapes = {"reblog": "repost", "in_reply_to_id": "reply"}
        yield next((word for key, word in shapes.items() if status.get(key)), "post"), status
        for account in filter(self._is_ours, listed(status.get("mentions"))):
            name, number = dig(account, "acct"), dig(account, "id")
            yield "mention", {**status, "mentioned": name, "mentioned_id": number}

    def _is_ours(self, account: object) -> bool:
        acct = dig(account, "acct")
        ours = {name.removeprefix("@").lower() for name in self.source.names}
        return isinstance(acct, str) and acct.lower() in ours
