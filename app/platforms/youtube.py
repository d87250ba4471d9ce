"""YouTube: uploads by linked creators, through the hub that publishes YouTube's feeds."""

import re
from dataclasses import replace
from datetime import timedelta
from typing import Annotated, Any, ClassVar

from pydantic import Field

from app.domain.events import Event
from app.platforms.kit.callback import Callback, Reading
from app.platforms.kit.event_mappings import EventMapping, iso
from app.platforms.kit.fields import dig, iso_time, listed, obj, optional_text, read_each, text
from app.platforms.kit.options import SourceConfig
from app.platforms.kit.terms import Terms
from app.platforms.kit.websub import WebSubAdapter, WebSubSource
from app.platforms.kit.xml import xml_object

TOPIC = "https://www.youtube.com/xml/feeds/videos.xml?channel_id="
# Google's guide omits /xml; the hub knows both addresses, and delivers a feed under either.
ADDRESS = re.compile(r"https?://www\.youtube\.com/(?:xml/)?feeds/videos\.xml\?channel_id=(.+)")
# An edit, and a video that is shown again, look like an upload with a later `updated`.
UPLOAD = EventMapping(
    action="post",
    actor="channelId",
    target="videoId",
    identity=("videoId",),
    time=iso("at"),
    handle="author.name",
)
# Only `published` shows that the video is an old one.
NEW_FOR = timedelta(days=2)


class YouTubeSource(WebSubSource):
    channels: tuple[Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,64}$")], ...] = Field(
        min_length=1, description="The creators' channel ids; no others count."
    )


class YouTube(WebSubAdapter):
    name = "youtube"
    docs = "https://developers.google.com/youtube/v3/guides/push_notifications"
    hub = "https://pubsubhubbub.appspot.com/subscribe"
    config: ClassVar[type[SourceConfig]] = YouTubeSource
    kinds: ClassVar[dict[str, EventMapping]] = {
        "entry": UPLOAD,
        "deleted-entry": replace(UPLOAD, undone=True, undoes="entry"),
    }
    terms = (
        Terms(
            "Subscribe-button conditions of use: no reward for clicking it, no tracking of who did",
            "https://developers.google.com/youtube/youtube_subscribe_button",
            frozenset({"subscribe", "follow"}),
        ),
    )

    @property
    def topics(self) -> tuple[str, ...]:
        return tuple(f"{TOPIC}{channel}" for channel in self.source.channels)

    def topic_of(self, address: str) -> str | None:
        named = ADDRESS.fullmatch(address)
        return super().topic_of(f"{TOPIC}{named[1]}" if named else address)

    def read(self, callback: Callback) -> Reading:
        feed = dig(xml_object(callback.body), "feed")
        if not self.is_of_a_topic(feed):
            return Reading(ignored=("a feed of a channel that is not configured",))
        entries = ((word, entry) for word in self.kinds for entry in listed(dig(feed, word)))
        return read_each(entries, lambda item: self._event(callback, *item))

    def _event(self, callback: Callback, word: str, entry: Any) -> Event | str:
        if word != "entry":
            return self.read_word(word, callback, _deleted(entry))
        upload = obj(entry, word)
        published = iso_time(upload.get("published"), "published")
        if callback.received_at - published > NEW_FOR:
            return f"{word} is an edit of an old upload"
        at = upload.get("updated") or upload["published"]
        return self.read_word(word, callback, {**upload, "at": at})


def _deleted(entry: Any) -> dict[str, Any]:
    """Return the paths of an upload for a deletion, which contains only addresses."""
    video = text(dig(entry, "@ref"), "ref").removeprefix("yt:video:")
    channel = optional_text(dig(entry, "by.uri"), "by.uri") or ""
    return {"videoId": video, "channelId": channel.rpartition("/")[2], "at": dig(entry, "@when")}
