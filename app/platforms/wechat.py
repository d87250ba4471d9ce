"""WeChat: people who follow your Official Account, scan its codes, and write to it."""

import secrets
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from functools import partial
from typing import Annotated, Any, ClassVar

from pydantic import Field as Option

from app.platforms.kit.adapter import Adapter
from app.platforms.kit.callback import Callback, Example, Forged, Malformed, Reading, Reply
from app.platforms.kit.encodings import unb64
from app.platforms.kit.encryption import closed_xml, opened_xml
from app.platforms.kit.event_mappings import EventMapping, unix
from app.platforms.kit.fields import dig, obj, read_each, text
from app.platforms.kit.options import SecretRef, SourceConfig, matching
from app.platforms.kit.places import Field, Key, Query, SignedTime
from app.platforms.kit.schemes import HashScheme
from app.platforms.kit.terms import Terms
from app.platforms.kit.xml import xml_object

ADDRESS = (Key(), Query("timestamp"), Query("nonce"))
TIME = SignedTime(Query("timestamp"), "unix")
PLAIN = HashScheme(proof=Query("signature"), signed=ADDRESS, time=TIME, digest="sha1", sorts=True)
ENCRYPTED = replace(
    PLAIN, proof=Query("msg_signature"), signed=(*ADDRESS, Field("xml.Encrypt", xml_object))
)
AES_KEY = matching(r"[A-Za-z0-9]{43}", "an EncodingAESKey has 43 letters and digits")

BY_PERSON = partial(
    EventMapping,
    actor="FromUserName",
    identity=("FromUserName", "CreateTime"),
    time=unix("CreateTime"),
)
FOLLOW = BY_PERSON(action="follow", target="ToUserName")
# The code that a person scanned, with the prefix of a first scan.
SCENE = "qrscene_"


class WeChatSource(SourceConfig):
    app_id: str = Option(
        min_length=1, description="The account's AppID, which is in each envelope."
    )
    aes_keys: tuple[Annotated[SecretRef, AES_KEY], ...] = Option(
        default=(),
        description="EncodingAESKeys: with them only encrypted callbacks are accepted. Without "
        "any, plaintext ones are, and their body is not signed.",
    )


class WeChat(Adapter):
    """``secrets`` are the tokens.

    A person's OpenID differs for each Official Account: sources for several of them need their own
    ``accounts``.
    """

    name = "wechat"
    docs = "https://developers.weixin.qq.com/doc/offiaccount/Message_Management/Receiving_event_pushes.html"
    config: ClassVar[type[SourceConfig]] = WeChatSource
    unproven_bytes = 65_536
    # An empty answer: otherwise people see in the chat that the account is out of order.
    accepted = Reply(status=200)
    malformed_status = 200
    terms = (
        Terms(
            "Official Accounts operation rules, 3.3: no rewards, virtual ones such as points "
            "included, for following an account or for sharing or liking what it publishes",
            "https://mp.weixin.qq.com/mp/opshowpage?action=newoplaw",
            frozenset({"follow", "share", "like"}),
        ),
    )
    kinds: ClassVar[dict[str, EventMapping]] = {
        # https://developers.weixin.qq.com/doc/offiaccount/Message_Management/Receiving_event_pushes.html
        "subscribe": FOLLOW,
        "unsubscribe": replace(FOLLOW, undone=True),
        "SCAN": BY_PERSON(action="scan", target="scene"),
        "CLICK": BY_PERSON(action="component", target="EventKey"),
        "message": BY_PERSON(action="message", target="ToUserName", identity=("MsgId",)),
    }

    def __init__(self, source: Any) -> None:
        super().__init__(source)
        self.schemes = (ENCRYPTED if source.aes_keys else PLAIN,)

    def handshake(self, callback: Callback) -> Reply | None:
        if callback.method != "GET" or "echostr" not in callback.query:
            return None
        # A replay only returns the sender's own text, and reveals nothing.
        replace(PLAIN, time=None).verify(callback, self.source.keys_of(), self.tolerance)
        return Reply(status=200, body=text(callback.query["echostr"], "echostr"))

    def verify(self, callback: Callback) -> None:
        super().verify(callback)
        try:
            self._opened(callback)
        except Malformed as malformed:
            raise Forged(malformed.reason) from None

    def _keys(self) -> list[bytes]:
        return [unb64(key.decode()) or b"" for key in self.source.keys_of("aes_keys")]

    def _opened(self, callback: Callback) -> bytes:
        keys = self._keys()
        if not keys:
            return callback.body
        return opened_xml(keys, callback.parsed(xml_object), self.source.app_id.encode())

    def prepared(self, example: Example, now: datetime) -> Example:
        query = {"nonce": secrets.token_hex(5), **example.query}
        body = example.body
        for key in self._keys()[:1]:
            body = closed_xml(key, body, self.source.app_id.encode())
        return replace(super().prepared(example, now), body=body, query=query)

    def read(self, callback: Callback) -> Reading:
        payload = self._opened(callback)
        message = obj(dig(xml_object(payload), "xml"), "xml")
        words = _words(message)
        return read_each(
            words, lambda item: self.read_word(item[0], callback, item[1], payload=payload)
        )


def _words(message: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield what happened: a message or an event; a follow by a code is a scan as well."""
    sort = text(message.get("MsgType"), "MsgType")
    word = text(message.get("Event"), "Event") if sort == "event" else "message"
    scene = message.get("EventKey")
    yield word, {**message, "scene": scene}
    if word == "subscribe" and isinstance(scene, str) and scene.startswith(SCENE):
        yield "SCAN", {**message, "scene": scene.removeprefix(SCENE)}
