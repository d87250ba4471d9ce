"""KakaoTalk: people who add or block your channel."""

from dataclasses import replace
from functools import partial
from typing import ClassVar

from app.platforms.kit.adapter import Adapter
from app.platforms.kit.callback import Callback, Reading, Reply
from app.platforms.kit.event_mappings import EventMapping, iso
from app.platforms.kit.fields import json_object, text
from app.platforms.kit.places import Header
from app.platforms.kit.schemes import TokenScheme

EVENT = partial(
    EventMapping,
    action="follow",
    actor="person",
    target="channel_public_id",
    identity=("person", "updated_at"),
    time=iso("updated_at"),
)
ADDED = EVENT()


class Kakao(Adapter):
    """``secrets`` are the app's primary admin keys.

    Nothing is signed: every callback carries the key itself, and anyone who learns it can forge
    callbacks and more.
    """

    name = "kakao"
    docs = "https://developers.kakao.com/docs/latest/en/kakaotalk-channel/callback"
    ids_are_per_source = True
    schemes = (TokenScheme(proof=Header("Authorization"), prefix="KakaoAK "),)
    accepted = Reply(status=200)
    forged_status = 401
    deadline_seconds = 3
    # https://developers.kakao.com/docs/latest/en/kakaotalk-channel/callback
    kinds: ClassVar[dict[str, EventMapping]] = {
        "added": ADDED,
        "blocked": replace(ADDED, undone=True),
    }

    def read(self, callback: Callback) -> Reading:
        body = json_object(callback.body)
        word, sort = text(body.get("event"), "event"), body.get("id_type", "app_user_id")
        # People who did not consent have an id of another type.
        is_ours = sort == "app_user_id" or body.get("id") is None
        person = body.get("id") if is_ours else f"{text(sort, 'id_type')}:{text(body['id'], 'id')}"
        return Reading.of(self.read_word(word, callback, {**body, "person": person}))
