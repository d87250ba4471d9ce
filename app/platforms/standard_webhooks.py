"""Standard Webhooks, for any partner that can sign by the published specification.

The body is ours. Only ``action`` and ``actor`` must be there; a missing time is the signed one::

    {"action": "follow", "actor": "42", "target": "1337", "time": "2026-01-01T00:00:00Z",
     "handle": "jo", "undone": false}

The specification's own envelope does as well, with ``action`` as its type::

    {"type": "follow", "timestamp": "2026-01-01T00:00:00Z", "data": {"actor": "42"}}
"""

import re
from typing import Annotated, ClassVar

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from pydantic import AfterValidator, Field, SecretStr

from app.platforms.kit import fields
from app.platforms.kit.adapter import Adapter
from app.platforms.kit.callback import Callback, Forged, Malformed, Mismatch, Reading
from app.platforms.kit.encodings import matches_any, unb64
from app.platforms.kit.kinds import ACTION
from app.platforms.kit.options import SecretRef, SourceConfig
from app.platforms.kit.pairs import ed25519_signed
from app.platforms.kit.places import Header, read
from app.platforms.kit.standard import ID, TIMESTAMP, V1

MOST_SIGNATURES = 16


def _key(secret: SecretStr) -> bytes | Ed25519PublicKey:
    kind, _, rest = secret.get_secret_value().rpartition("_")
    if kind not in ("", "whsec", "whpk"):
        raise ValueError("a secret starts with whsec_, or whpk_ for the public key of a pair")
    raw = unb64(rest)
    if raw is None:
        raise ValueError("what follows whsec_ or whpk_ is not base64")
    if kind == "whpk":
        return Ed25519PublicKey.from_public_bytes(raw)
    if not 16 <= len(raw) <= 128:
        raise ValueError(f"a key has 24 to 64 bytes (16 to 128 are taken), this one {len(raw)}")
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

    def keys_of(self, option: str = "secrets") -> tuple[bytes, ...]:
        return tuple(key for key in map(_key, getattr(self, option)) if isinstance(key, bytes))


class StandardWebhooks(Adapter):
    name = "standard-webhooks"
    docs = "https://www.standardwebhooks.com/"
    config: ClassVar[type[SourceConfig]] = StandardWebhooksSource
    numbers_apart = True
    schemes = (V1,)
    forged_status = 401

    def verify(self, callback: Callback) -> None:
        claimed = read(V1.proof, callback).split(" ", MOST_SIGNATURES)
        if len(claimed) > MOST_SIGNATURES or "." in read(Header(ID), callback):
            raise Forged(f"{ID} holds a full stop, or {V1.proof} more than {MOST_SIGNATURES}")
        content = V1.content(callback)
        ours = [V1.signature(content, key) for key in self.source.keys_of()]
        if not any(matches_any(one, ours) or self._by_a_pair(one, content) for one in claimed):
            raise Mismatch(f"{V1.proof} has no signature of the body by any configured key")
        V1.check_time(callback, self.tolerance)

    def _by_a_pair(self, claimed: str, content: bytes) -> bool:
        version, _, signature = claimed.partition(",")
        raw = unb64(signature) if version == "v1a" else None
        if raw is None:
            return False
        pairs = (key for key in map(_key, self.source.secrets) if not isinstance(key, bytes))
        return any(ed25519_signed(key, raw, content) for key in pairs)

    def read(self, callback: Callback) -> Reading:
        body = fields.json_object(callback.body)
        if "action" not in body and "data" in body:
            envelope = {"action": body.get("type"), "time": body.get("timestamp")}
            body = {**fields.obj(body["data"], "data"), **envelope}
        action, undone = fields.text(body.get("action"), "action"), body.get("undone", False)
        if not re.fullmatch(ACTION, action) or not isinstance(undone, bool):
            raise Malformed("action is not one lower-case word, or undone neither true nor false")
        time = body.get("time")
        signed_at = fields.unix_time(callback.headers.get(TIMESTAMP), TIMESTAMP)
        event = self.event(
            callback,
            key=fields.text(callback.headers.get(ID), ID),
            action=action,
            actor=fields.text(body.get("actor"), "actor"),
            actor_handle=fields.label(body.get("handle")),
            target=fields.optional_text(body.get("target"), "target"),
            occurred_at=fields.iso_time(time, "time") if time is not None else signed_at,
            undone=undone,
        )
        return Reading((event,))
