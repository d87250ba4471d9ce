"""LinkedIn: comments, shares and mentions of an organization's page."""

import json
import re
from dataclasses import replace
from functools import partial
from typing import Any, ClassVar

from app.domain.events import Event
from app.platforms.kit.adapter import Adapter
from app.platforms.kit.callback import Callback, Reading, Reply
from app.platforms.kit.event_mappings import EventMapping, unix_ms
from app.platforms.kit.fields import array, compact_json, dig, json_object, obj, read_each, text
from app.platforms.kit.handshakes import safe_to_answer
from app.platforms.kit.places import Body, Header
from app.platforms.kit.schemes import HmacScheme

# https://learn.microsoft.com/linkedin/shared/api-guide/webhook-validation
SIGNATURE = HmacScheme(proof=Header("X-LI-Signature"), signed=(b"hmacsha256=", Body()))

NOTIFICATIONS = "ORGANIZATION_SOCIAL_ACTION_NOTIFICATIONS"
# `subscriber` is the administrator who subscribed the page, not the person who acted.
DONE_BY = "decoratedGeneratedActivity.{}.owner"
SOCIAL = partial(
    EventMapping,
    # Each subscribed administrator gets the same comment under a notification id of its own.
    identity=("done",),
    time=unix_ms("lastModifiedAt"),
    aliases=("person",),
    target_aliases=("activity",),
    former_identities=(("notificationId",),),
)
COMMENT = SOCIAL(action="comment", actor=DONE_BY.format("comment"), target="sourcePost")
# Sign in with LinkedIn returns a person's id without this prefix.
PERSON = "urn:li:person:"
# A post has different numbers as an activity (in its address) and as a share.
COMMENT_URN = re.compile(r"urn:li:comment:\(((?:urn:li:)?activity:\d+),\d+\)")


class LinkedIn(Adapter):
    """``secrets`` are the app's client secrets. LinkedIn's person ids differ for each app."""

    name = "linkedin"
    docs = "https://learn.microsoft.com/linkedin/shared/api-guide/webhook-validation"
    schemes = (SIGNATURE,)
    accepted = Reply(status=200)
    forged_status = 401
    deadline_seconds = 3
    # Every two hours; three failures in a row block the endpoint.
    handshake_within_seconds = 3 * 3_600
    kinds: ClassVar[dict[str, EventMapping]] = {
        # https://learn.microsoft.com/linkedin/marketing/community-management/organizations/organization-social-action-notifications
        "COMMENT": COMMENT,
        "COMMENT_DELETE": replace(COMMENT, undone=True, undoes="COMMENT"),
        "SHARE": SOCIAL(action="share", actor=DONE_BY.format("share"), target="sourcePost"),
        "SHARE_MENTION": SOCIAL(
            action="mention",
            actor=DONE_BY.format("share"),
            target="organizationalEntity",
            target_aliases=(),
        ),
    }

    def handshake(self, callback: Callback) -> Reply | None:
        if callback.method != "GET" or "challengeCode" not in callback.query:
            return None
        # The key that signs this answer also signs events, so the answer must not be an event.
        code = safe_to_answer(callback.query["challengeCode"])
        response = SIGNATURE.signature(code.encode(), self.source.keys_of()[0])
        answer = json.dumps({"challengeCode": code, "challengeResponse": response})
        return Reply(status=200, body=answer, content_type="application/json")

    def read(self, callback: Callback) -> Reading:
        body = json_object(callback.body)
        sort = text(body.get("type", "a callback of another kind"), "type")
        if sort != NOTIFICATIONS:
            return Reading(ignored=(f"{sort} earns nothing",))
        items = array(body.get("notifications"), "notifications")
        return read_each(items, lambda item: self._event(callback, item))

    def _event(self, callback: Callback, item: Any) -> Event | str:
        notification = obj(item, "a notification")
        word = text(notification.get("action"), "action")
        if word not in self.kinds:
            return f"{word} earns nothing"
        payload = compact_json({"type": NOTIFICATIONS, "notifications": [notification]})
        done = notification.get("generatedActivity")
        if done is None and self.kinds[word].undone:
            return f"{word} names no comment"
        person = dig(notification, self.kinds[word].actor)
        is_person = isinstance(person, str) and person.startswith(PERSON)
        post = COMMENT_URN.fullmatch(done) if isinstance(done, str) else None
        more = {"person": person.removeprefix(PERSON) if is_person else None}
        more["activity"] = post and f"urn:li:{post[1].removeprefix('urn:li:')}"
        own = notification.get("organizationalEntity")
        return self.read_word(
            word,
            callback,
            {**notification, **more, "done": done or notification.get("notificationId")},
            payload=payload,
            own=own,
        )
