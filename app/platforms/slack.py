"""Slack: actions by the members of your workspaces, where your app is installed."""

import re
from dataclasses import replace
from functools import partial
from typing import Any, ClassVar

from pydantic import Field

from app.platforms.kit import fields
from app.platforms.kit.adapter import Adapter
from app.platforms.kit.callback import Callback, Reading, Reply
from app.platforms.kit.encodings import fingerprint
from app.platforms.kit.event_mappings import EventMapping, unix, unix_decimal
from app.platforms.kit.fields import dig, joined, listed, read_each, text
from app.platforms.kit.options import SourceConfig
from app.platforms.kit.places import Body, Header, SignedTime
from app.platforms.kit.schemes import HmacScheme

SIGNED_AT = Header("X-Slack-Request-Timestamp")
SIGNATURE = HmacScheme(
    proof=Header("X-Slack-Signature"),
    signed=(b"v0:", SIGNED_AT, b":", Body()),
    prefix="v0=",
    time=SignedTime(SIGNED_AT, "unix"),
)
BY_MEMBER = partial(EventMapping, actor="actor", aliases=("account",))
USED = partial(BY_MEMBER, identity=("digest",))
EVENT = partial(BY_MEMBER, time=unix("event_time"), former_identities=(("event_id",),))
JOIN = EVENT(action="join", target="event.channel", identity=("actor", "event.channel", "when"))
LIKE = EVENT(action="like", target="post", thing="event.reaction",
             identity=("post", "event.reaction", "actor", "when"))  # fmt: skip
# A message's ts is its id in the channel: edits repeat the message with the same ts.
POSTED = partial(EVENT, target="event.channel", identity=("event.ts", "event.channel"),
                 time=unix_decimal("event.ts"))  # fmt: skip
COMMENT, MENTION = POSTED(action="comment"), POSTED(action="mention")
GONE = partial(replace, undone=True, time=unix("event_time"), former_identities=())
# These tokens allow their holder to act as the app for a while.
LIVING = ("token", "response_url", "trigger_id")
NOTICES = ("app_uninstalled", "tokens_revoked", "app_rate_limited")
# The member's workspace. In a shared channel, the last two may be the other side's.
HOMES = ("event.user_team", "event.user.team_id", "event.source_team", "event.team",
         "user.team_id", "team_id", "team.id")  # fmt: skip
# Joining, leaving and editing are messages too; these subtypes are written by people.
WRITTEN = (None, "file_share", "thread_broadcast")
# Slack checks our certificate: https://docs.slack.dev/interactivity/implementing-slash-commands
CERTIFICATE_CHECK = re.compile(rb"(token=[\w-]{0,99}&)?ssl_check=1(&token=[\w-]{0,99})?")


class SlackSource(SourceConfig):
    teams: tuple[str, ...] = Field(
        default=(),
        description="Only members of these workspaces count; by default all, with ids TEAM:USER "
        "outside the app's own. Danger: anyone can install a public app elsewhere.",
    )


class Slack(Adapter):
    name = "slack"
    docs = "https://docs.slack.dev/authentication/verifying-requests-from-slack"
    config: ClassVar[type[SourceConfig]] = SlackSource
    schemes = (SIGNATURE,)
    accepted = Reply(status=200)
    forged_status = 401
    deadline_seconds = 3
    # https://docs.slack.dev/reference/events
    kinds: ClassVar[dict[str, EventMapping]] = {
        "team_join": EVENT(action="join", target="team_id", identity=("actor", "team_id", "when")),
        "member_joined_channel": JOIN,
        "member_left_channel": replace(JOIN, undone=True),
        "reaction_added": LIKE,
        "reaction_removed": replace(LIKE, undone=True),
        "app_mention": MENTION,
        "message": COMMENT,
        "message_deleted": GONE(COMMENT, undoes="message"),
        "app_mention_deleted": GONE(MENTION, undoes="app_mention"),
        "command": USED(action="command", target="command", handle="user_name"),
        "block_actions": USED(action="component", target="component", handle="user.username"),
    }

    def handshake(self, callback: Callback) -> Reply | None:
        is_check = callback.method == "POST" and CERTIFICATE_CHECK.fullmatch(callback.body)
        return Reply(status=200, is_proof=False) if is_check else None

    def read(self, callback: Callback) -> Reading:
        body = _body(callback.body)
        if body.get("type") == "url_verification":
            challenge = text(body.get("challenge"), "challenge")
            return Reading(reply=Reply(status=200, body=challenge), handshake=True)
        if "ssl_check" in body and "command" not in body:
            return Reading(handshake=True)
        words, root = _parse(body)
        if words[0] in NOTICES:
            return Reading(notice=f"Slack says {words[0]}")
        if words[0] not in self.kinds:
            return Reading(ignored=(f"{words[0]} earns nothing",))
        if (who := self._account(root)) is None:
            return Reading(ignored=(f"{words[0]} by a member of another workspace",))
        root |= {**who, "digest": fingerprint(callback.body.hex())}
        kept = fields.compact_json({key: v for key, v in body.items() if key not in LIVING})
        return read_each(words, lambda word: self.read_word(word, callback, root, payload=kept))

    def _account(self, root: dict[str, Any]) -> dict[str, Any] | None:
        """Return a member's account, by the user's id alone where the workspace is ours."""
        teams, apps, person = self.source.teams, listed(root.get("authorizations")), root["person"]
        homes = HOMES[:-2] if root.get("is_ext_shared_channel") is True else HOMES
        home = next((team for path in homes if (team := dig(root, path))), None)
        of = [(dig(item, "enterprise_id"), dig(item, "team_id")) for item in (root, *apps)]
        of += [(root.get("context_enterprise_id"), root.get("context_team_id"))]
        home = next(
            (team for grid, team in of if grid and grid == home and home not in teams), home
        )
        installed = [dig(a, "team_id") for a in apps if not dig(a, "is_enterprise_install")]
        if home in (teams or installed or [home]) or not (teams or home):
            return {"actor": person, "account": joined(":", home, person)}
        return None if teams else {"actor": joined(":", home, person)}


def _body(raw: bytes) -> dict[str, Any]:
    """Parse JSON or a form. Only its beginning decides: people may have written the rest."""
    if raw.lstrip().startswith((b"{", b"payload=")):
        return fields.json_or_payload(raw)
    filled = fields.form(raw)
    text(filled.get("command", filled.get("ssl_check")), "command")
    return filled


def _parse(body: dict[str, Any]) -> tuple[list[str], dict[str, Any]]:
    """Return what happened, and the object for the mappings' paths."""
    if "command" in body:
        return ["command"], {**body, "person": body.get("user_id")}
    if "event" not in body:
        first = next(iter(listed(body.get("actions"))), None)
        root = {**body, "component": dig(first, "action_id"), "person": dig(body, "user.id")}
        return [text(body.get("type", "a callback of another kind"), "type")], root
    event = fields.obj(body["event"], "event")
    sort = text(event.get("type", "an event of another kind"), "event.type")
    words = [sort]
    bots = [dig(app, "user_id") for app in listed(body.get("authorizations")) if dig(app, "is_bot")]
    if event.get("subtype") == "message_deleted":
        gone = fields.obj(event.get("previous_message"), "previous_message")
        event = {**event, "subtype": None, **gone, "ts": event.get("deleted_ts")}
        mentions = any(f"<@{bot}>" in str(gone.get("text")) for bot in bots)
        words = ["message_deleted", "app_mention_deleted"][: 1 + mentions]
    # A team_join event carries the whole profile.
    person = dig(event, "user.id") or event.get("user")
    is_bot = event.get("bot_id") or dig(event, "user.is_bot") or person in (*bots, "USLACKBOT")
    if is_bot or event.get("subtype") not in WRITTEN:
        return [f"{sort} by a bot or the service"], {}
    post = joined("_", dig(event, "item.channel"), dig(event, "item.ts"))
    if "item" in event and post is None:
        return [f"{sort} to what is no message"], {}
    when = event.get("event_ts") or body.get("event_id")
    return words, {**body, "event": event, "person": person, "post": post, "when": when}
