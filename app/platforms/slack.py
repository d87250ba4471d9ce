"""Slack: what the members of your workspaces do where your app is."""

from dataclasses import replace
from functools import partial
from typing import Any, ClassVar

from pydantic import Field

from app.platforms.kit.adapter import Adapter
from app.platforms.kit.callback import Callback, Reading, Reply
from app.platforms.kit.encodings import fingerprint
from app.platforms.kit.fields import (
    compact_json,
    dig,
    form,
    joined,
    json_or_payload,
    listed,
    obj,
    text,
)
from app.platforms.kit.kinds import Kind, unix
from app.platforms.kit.options import SourceConfig
from app.platforms.kit.places import Body, Header, SignedTime
from app.platforms.kit.schemes import HmacScheme

SIGNED_AT = Header("X-Slack-Request-Timestamp")
EVENT = partial(Kind, actor="event.user", identity=("event_id",), time=unix("event_time"))
JOIN = EVENT("join", target="event.channel")
LIKE = EVENT("like", target="post")
# With these their holder acts as the app for a while.
LIVING = ("token", "response_url", "trigger_id")
NOTICES = ("app_uninstalled", "tokens_revoked")
# Joining, leaving and editing come as messages too; these are what people write.
WRITTEN = (None, "file_share", "thread_broadcast")


class SlackSource(SourceConfig):
    teams: tuple[str, ...] = Field(
        default=(),
        description="Only what happens in these workspaces counts; none named: in any. Danger: "
        "whoever installs a public app elsewhere could act there.",
    )


class Slack(Adapter):
    name = "slack"
    docs = "https://docs.slack.dev/authentication/verifying-requests-from-slack"
    config: ClassVar[type[SourceConfig]] = SlackSource
    schemes = (
        HmacScheme(
            Header("X-Slack-Signature"),
            (b"v0:", SIGNED_AT, b":", Body()),
            "v0=",
            SignedTime(SIGNED_AT, "unix"),
        ),
    )
    accepted = Reply(200)
    forged_status = 401
    deadline_seconds = 3
    # https://docs.slack.dev/reference/events
    kinds: ClassVar[dict[str, Kind]] = {
        "team_join": EVENT("join", target="team_id"),
        "member_joined_channel": JOIN,
        "member_left_channel": replace(JOIN, undone=True),
        "reaction_added": LIKE,
        "reaction_removed": replace(LIKE, undone=True),
        "app_mention": EVENT("mention", target="event.channel"),
        "message": EVENT("comment", target="event.channel"),
        "command": Kind("command", "user_id", "command", ("digest",), handle="user_name"),
        "block_actions": Kind(
            "component", "user.id", "component", ("digest",), handle="user.username"
        ),
    }

    def read(self, callback: Callback) -> Reading:
        body = _body(callback.body)
        if body.get("type") == "url_verification":
            return Reading(
                reply=Reply(200, text(body.get("challenge"), "challenge")), handshake=True
            )
        # It looks at our certificate: https://docs.slack.dev/interactivity/implementing-slash-commands
        if "ssl_check" in body:
            return Reading(handshake=True)
        if body.get("type") == "app_rate_limited":
            return Reading(notice="Slack sends less than happens: too many events in a minute")
        word, more = _told(body)
        if word in NOTICES:
            return Reading(notice=f"Slack says {word}")
        team = body.get("team_id") or dig(body, "team.id")
        if self.source.teams and team not in self.source.teams:
            return Reading(ignored=(f"{word} in a workspace that is not configured",))
        root = {**body, **more, "digest": fingerprint(callback.body.hex())}
        kept = {key: value for key, value in body.items() if key not in LIVING}
        return Reading.of(self.read_word(word, callback, root, payload=compact_json(kept)))


def _body(raw: bytes) -> dict[str, Any]:
    """Events are JSON, commands are forms, and what is clicked is JSON in a form.

    Told by how the body begins: what stands further in, people may have written.
    """
    is_form = not raw.lstrip().startswith((b"{", b"payload="))
    return form(raw) if is_form else json_or_payload(raw)


def _told(body: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """What happened, and what of it stands elsewhere than the kinds look for it."""
    if "command" in body:
        return "command", {}
    if "event" not in body:
        first = next(iter(listed(body.get("actions"))), None)
        return text(body.get("type"), "type"), {"component": dig(first, "action_id")}
    event = obj(body["event"], "event")
    sort, user = text(event.get("type"), "event.type"), event.get("user")
    if event.get("bot_id") or event.get("subtype") not in WRITTEN:
        return f"{sort} by a bot or the service", {}
    # Who joins the workspace is told with the whole profile.
    event = {**event, "user": dig(user, "id") if isinstance(user, dict) else user}
    post = joined("_", dig(event, "item.channel"), dig(event, "item.ts"))
    if "item" in event and post is None:
        return f"{sort} to what is no message", {}
    return sort, {"event": event, "post": post}
