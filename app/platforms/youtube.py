"""YouTube: what linked creators upload, by the hub through which YouTube publishes its feeds."""

from dataclasses import replace
from datetime import timedelta
from typing import Annotated, Any, ClassVar

from pydantic import Field

from app.domain.events import Event
from app.platforms.kit.callback import Callback, Reading
from app.platforms.kit.fields import dig, listed, obj, read_each, text
from app.platforms.kit.kinds import Kind, iso
from app.platforms.kit.options import SourceConfig
from app.platforms.kit.terms import Terms
from app.platforms.kit.websub import WebSubAdapter, WebSubSource
from app.platforms.kit.xml import xml_object

TOPIC = "https://www.youtube.com/xml/feeds/videos.xml?channel_id="
UPLOAD = Kind("post", "channelId", "videoId", ("videoId",), iso("published"), "author.name")
# An edit is told like an upload: only `published` says that the video is an old one.
NEW_FOR = timedelta(days=2)


class YouTubeSource(WebSubSource):
    channels: tuple[Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,64}$")], ...] = Field(
        min_length=1, description="The creators' channel ids; nothing else is heard or counts."
    )


class YouTube(WebSubAdapter):
    name = "youtube"
    docs = "https://developers.google.com/youtube/v3/guides/push_notifications"
    hub = "https://pubsubhubbub.appspot.com/subscribe"
    config: ClassVar[type[SourceConfig]] = YouTubeSource
    kinds: ClassVar[dict[str, Kind]] = {
        "entry": UPLOAD,
        "deleted-entry": replace(UPLOAD, time=iso("@when"), undone=True, undoes="entry"),
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

    def read(self, callback: Callback) -> Reading:
        feed = dig(xml_object(callback.body), "feed")
        if not self.is_of_a_topic(feed):
            return Reading(ignored=("a feed of a channel that is not configured",))
        told = ((word, one) for word in self.kinds for one in listed(dig(feed, word)))
        return read_each(told, lambda item: self._event(callback, *item))

    def _event(self, callback: Callback, word: str, entry: Any) -> Event | str:
        root = obj(entry, word) if word == "entry" else _deleted(entry)
        event = self.read_word(word, callback, root)
        is_old = isinstance(event, Event) and callback.received_at - event.occurred_at > NEW_FOR
        return f"{word} is an edit of an old upload" if is_old and word == "entry" else event


def _deleted(entry: Any) -> dict[str, Any]:
    """The same paths as an upload's; of a deletion the hub tells no more than addresses."""
    video = text(dig(entry, "@ref"), "ref").removeprefix("yt:video:")
    channel = text(dig(entry, "by.uri"), "by.uri").rpartition("/")[2]
    return {"videoId": video, "channelId": channel, "@when": dig(entry, "@when")}
