"""Mastodon: what the people of a server that you run publish."""

from collections.abc import Iterator
from typing import Any, ClassVar

from pydantic import Field

from app.platforms.kit.adapter import Adapter
from app.platforms.kit.callback import Callback, Reading, Reply
from app.platforms.kit.fields import dig, json_object, listed, obj, read_each, text
from app.platforms.kit.kinds import Kind, iso
from app.platforms.kit.options import SourceConfig
from app.platforms.kit.places import Header
from app.platforms.kit.schemes import HmacScheme

TIME, WRITTEN = iso("at"), iso("created_at")
PUBLIC = ("public", "unlisted")


class MastodonSource(SourceConfig):
    names: tuple[str, ...] = Field(
        default=(),
        description="Your accounts as the server writes them, without the first @: who mentions "
        "one has mentioned you, and what they publish themselves earns nothing.",
    )


class Mastodon(Adapter):
    """An administrator's webhook, with its default body: a template of your own is not read."""

    name = "mastodon"
    docs = "https://docs.joinmastodon.org/admin/webhooks/"
    config: ClassVar[type[SourceConfig]] = MastodonSource
    numbers_apart = True
    schemes = (HmacScheme(Header("X-Hub-Signature"), prefix="sha256="),)
    accepted = Reply(200)
    kinds: ClassVar[dict[str, Kind]] = {
        # Sent once an address is confirmed and, where the server asks for it, approved.
        "account.approved": Kind("join", "id", None, ("id",), TIME, "username"),
        # https://docs.joinmastodon.org/entities/Status/
        "post": Kind("post", "account.id", "id", ("id",), WRITTEN, "account.acct"),
        "reply": Kind("reply", "account.id", "in_reply_to_id", ("id",), WRITTEN, "account.acct"),
        "repost": Kind("repost", "account.id", "reblog.id", ("id",), WRITTEN, "account.acct"),
        "mention": Kind(
            "mention", "account.id", "mentioned", ("id", "mentioned"), WRITTEN, "account.acct"
        ),
    }

    def read(self, callback: Callback) -> Reading:
        body = json_object(callback.body)
        told = obj(body.get("object"), "object")
        word = text(body.get("event"), "event")
        if word != "status.created":
            return Reading.of(
                self.read_word(word, callback, {**told, "at": body.get("created_at")})
            )
        if told.get("visibility", "public") not in PUBLIC:
            return Reading(ignored=("a status that is not public",))
        if dig(told, "account.acct") in self.source.names:
            return Reading(ignored=("a status of an account of ours",))
        return read_each(self._said(told), lambda one: self.read_word(one[0], callback, one[1]))

    def _said(self, told: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
        """What a status is, and whom of us it mentions."""
        shapes = {"reblog": "repost", "in_reply_to_id": "reply"}
        yield next((word for key, word in shapes.items() if told.get(key)), "post"), told
        for mention in listed(told.get("mentions")):
            if dig(mention, "acct") in self.source.names:
                yield "mention", {**told, "mentioned": dig(mention, "acct")}
