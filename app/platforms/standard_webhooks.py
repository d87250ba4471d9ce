"""Standard Webhooks: any partner that signs by the published specification."""

# The body is ours. Only ``action`` and ``actor`` are required; the default time is the signed one:
#     {"action": "follow", "actor": "42", "target": "1337", "time": "2026-01-01T00:00:00Z",
#      "handle": "jo", "undone": false}
# The specification's own envelope works as well, with ``action`` as its type:
#     {"type": "follow", "timestamp": "2026-01-01T00:00:00Z", "data": {"actor": "42"}}
# ``actions`` translates a partner's own types, such as ``contact.created``.

import re
from typing import Annotated, ClassVar, NamedTuple, Self

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from pydantic import AfterValidator, Field, SecretStr, model_validator

from app.platforms.kit import fields
from app.platforms.kit.adapter import Adapter
from app.platforms.kit.callback import Callback, Forged, Malformed, Mismatch, Reading
from app.platforms.kit.encodings import matches_any, unb64
from app.platforms.kit.event_mappings import ACTION, Words
from app.platforms.kit.key_pairs import ed25519_signed
from app.platforms.kit.options import SecretRef, SourceConfig
from app.platforms.kit.places import Header, read
from app.platforms.kit.schemes import HmacScheme
from app.platforms.kit.standard import SVIX, V1

MOST_SIGNATURES = 16


def _key(secret: SecretStr) -> bytes | Ed25519PublicKey:
    kind, _, rest = secret.get_secret_value().rpartition("_")
    if kind not in ("", "whsec", "whpk"):
        raise ValueError("a secret starts with whsec_, or whpk_ for the public key of a pair")
    raw = unb64(rest)
    if raw is None:
        raise ValueError("the text after whsec_ or whpk_ is not base64")
    if kind == "whpk":
        return Ed25519PublicKey.from_public_bytes(raw)
    if not 16 <= len(raw) <= 128:
        raise ValueError(
            f"a key has 24 to 64 bytes (16 to 128 are accepted), this one has {len(raw)}"
        )
    return raw


def _checked(secret: SecretStr) -> SecretStr:
    _key(secret)
    return secret


class StandardWebhooksSource(SourceConfig):
    secrets: tuple[Annotated[SecretRef, AfterValidator(_checked)], ...] = Field(
        min_length=1,
        description="Keys as the partner shows them, every one accepted: whsec_<base64> (v1) or, "
        "for signatures by a key pair (v1a), the public whpk_<base64>.",
    )

    actions: Words = Field(
        default={},
        description="The partner's words, which may have full stops, and ours for them. By "
        "default its words are ours, and others are ignored.",
    )
    undone: Words = Field(default={}, description="The same, for actions taken back.")

    @model_validator(mode="after")
    def _words_mean_one_thing(self) -> Self:
        if set(self.actions) & set(self.undone):
            raise ValueError("a word is both in actions and in undone")
        return self

    def keys_of(self, option: str = "secrets") -> tuple[bytes, ...]:
        return tuple(key for key in map(_key, getattr(self, option)) if isinstance(key, bytes))


class StandardWebhooks(Adapter):
    name = "standard-webhooks"
    docs = "https://www.standardwebhooks.com/"
    config: ClassVar[type[SourceConfig]] = StandardWebhooksSource
    ids_are_per_source = True
    schemes = (V1,)
    forged_status = 401

    def verify(self, callback: Callback) -> None:
        scheme, names = _as_sent(callback)
        claimed = read(scheme.proof, callback).split(" ", MOST_SIGNATURES)
        if len(claimed) > MOST_SIGNATURES or "." in read(names.id, callback):
            raise Forged(
                f"{names.id} has a full stop, or {scheme.proof} more than {MOST_SIGNATURES}"
            )
        content = scheme.content(callback)
        ours = [scheme.signature(content, key) for key in self.source.keys_of()]
        if not any(matches_any(text, ours) or self._by_a_pair(text, content) for text in claimed):
            raise Mismatch(f"{scheme.proof} has no signature of the body by any configured key")
        scheme.check_time(callback, self.tolerance)

    def _by_a_pair(self, claimed: str, content: bytes) -> bool:
        version, _, signature = claimed.partition(",")
        raw = unb64(signature) if version == "v1a" else None
        if raw is None:
            return False
        pairs = (key for key in map(_key, self.source.secrets) if not isinstance(key, bytes))
        return any(ed25519_signed(key, raw, content) for key in pairs)

    def read(self, callback: Callback) -> Reading:
        _, names = _as_sent(callback)
        body = fields.json_object(callback.body)
        if "action" not in body and "data" in body:
            envelope = {"action": body.get("type"), "time": body.get("timestamp")}
            body = {**fields.obj(body["data"], "data"), **envelope}
        word, undone = fields.text(body.get("action"), "action"), body.get("undone", False)
        if not isinstance(undone, bool):
            raise Malformed("undone is neither true nor false")
        if word in self.source.undone:
            undone = True
        action = self.source.undone.get(word) or self.source.actions.get(word)
        if action is None:
            if self.source.actions or self.source.undone or not re.fullmatch(ACTION, word):
                return Reading(ignored=(f"{word} earns nothing",))
            action = word
        time = body.get("time")
        signed_at = fields.unix_time(_value(names.timestamp, callback), str(names.timestamp))
        event = self.event(
            callback,
            key=_value(names.id, callback),
            action=action,
            actor=fields.text(body.get("actor"), "actor"),
            actor_handle=fields.label(body.get("handle")),
            target=fields.optional_text(body.get("target"), "target"),
            occurred_at=fields.iso_time(time, "time") if time is not None else signed_at,
            undone=undone,
        )
        return Reading(events=(event,))


def _value(place: Header, callback: Callback) -> str:
    """Return the value of a verified callback's header. Raises `Malformed`."""
    return fields.text(next(iter(place.found(callback)), None), str(place))


class _Names(NamedTuple):
    """The header names of one sender."""

    id: Header
    timestamp: Header


def _as_sent(callback: Callback) -> tuple[HmacScheme, _Names]:
    """Return the scheme for the headers that were sent, of either all or none of a prefix."""
    is_svix = not V1.proof.found(callback) and bool(SVIX.proof.found(callback))
    prefix = "svix" if is_svix else "webhook"
    names = _Names(Header(f"{prefix}-id"), Header(f"{prefix}-timestamp"))
    return SVIX if is_svix else V1, names
