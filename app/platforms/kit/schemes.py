"""Did the holder of the key sign these bytes, and when?"""

import base64
import hashlib
import hmac
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from app.platforms.kit.callback import Callback, Forged, Malformed
from app.platforms.kit.fields import MAX_TEXT, iso_time, unix_time

_TOKEN = re.compile(r"[A-Za-z0-9._~+/=-]{1,255}")


@dataclass(frozen=True, slots=True)
class Header:
    """Stands for a header's value among the signed parts."""

    name: str


@dataclass(frozen=True, slots=True)
class Body:
    """Stands for the raw body among the signed parts."""


Part = Header | Body | bytes


@dataclass(frozen=True, slots=True)
class SignedTime:
    """The header that carries the signed time, and how it is written."""

    header: str
    written_as: Literal["iso", "unix"]

    def parse(self, callback: Callback) -> datetime:
        raw = required(callback.headers, self.header)
        try:
            return (
                iso_time(raw, self.header)
                if self.written_as == "iso"
                else unix_time(raw, self.header)
            )
        except Malformed as malformed:
            raise Forged(malformed.reason) from None

    def write(self, moment: datetime) -> str:
        if self.written_as == "unix":
            return str(int(moment.timestamp()))
        return moment.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


@dataclass(frozen=True, slots=True)
class HmacScheme:
    """An HMAC in one header over headers, literals and the raw body.

    Without ``time`` the platform signs no clock, and only permanent dedup stops a replay.
    """

    header: str
    signed: tuple[Part, ...] = (Body(),)
    prefix: str = ""
    digest: Literal["sha256", "sha1", "sha512"] = "sha256"
    encoding: Literal["hex", "base64"] = "hex"
    time: SignedTime | None = None
    secrets: str = "secrets"
    """Which option of the source holds its keys."""

    @property
    def headers(self) -> tuple[str, ...]:
        """Every header that this scheme reads: changing any of them makes a callback forged."""
        return (self.header, *(part.name for part in self.signed if isinstance(part, Header)))

    def verify(self, callback: Callback, keys: Sequence[bytes], tolerance_seconds: float) -> None:
        """Raise `Forged` unless one of ``keys`` signed this callback recently enough."""
        claimed = required(callback.headers, self.header)
        if not keys:
            raise Forged(f"{self.header} came, but no {self.secrets} are configured")
        content = self.content(callback.headers, callback.body)
        if not matches_any(claimed, (self.signature(content, key) for key in keys)):
            raise Forged(f"{self.header} does not match the body under any configured secret")
        self.check_time(callback, tolerance_seconds)

    def check_time(self, callback: Callback, tolerance_seconds: float) -> None:
        """Raise `Forged` where a signed time is further from ours than that, either way."""
        if self.time is None:
            return
        at = self.time.parse(callback)
        if abs(callback.received_at - at) > timedelta(seconds=tolerance_seconds):
            raise Forged(f"signed at {at}, more than {tolerance_seconds:g} s from our clock")

    def sign(
        self, body: bytes, headers: Mapping[str, str], key: bytes, now: datetime
    ) -> dict[str, str]:
        """The headers to send ``body`` with, as the platform would sign it at ``now``."""
        signed = {name.lower(): value for name, value in headers.items()}
        if self.time is not None:
            signed[self.time.header.lower()] = self.time.write(now)
        signed[self.header.lower()] = self.signature(self.content(signed, body), key)
        return signed

    def signature(self, content: bytes, key: bytes) -> str:
        digest = hmac.digest(key, content, self.digest)
        return self.prefix + (digest.hex() if self.encoding == "hex" else b64(digest))

    def content(self, headers: Mapping[str, str], body: bytes) -> bytes:
        return b"".join(self._bytes_of(part, headers, body) for part in self.signed)

    @staticmethod
    def _bytes_of(part: Part, headers: Mapping[str, str], body: bytes) -> bytes:
        if isinstance(part, bytes):
            return part
        return body if isinstance(part, Body) else wire(required(headers, part.name))


def required(headers: Mapping[str, str], name: str) -> str:
    """The value of a header, or `Forged` when it is absent or empty."""
    value = headers.get(name.lower(), "")
    if not value:
        raise Forged(f"the header {name} is missing or empty")
    return value


def matches_any(claimed: str, expected: Iterable[str]) -> bool:
    """Compare in constant time, as bytes: `compare_digest` raises on a non-ASCII `str`."""
    raw = _compared(claimed)
    verdicts = [hmac.compare_digest(raw, _compared(candidate)) for candidate in expected]
    return any(verdicts)


def _compared(value: str) -> bytes:
    return value.encode("utf-8", "surrogatepass")


def wire(value: str) -> bytes:
    """A header's bytes as they were sent: WSGI hands them over as latin-1."""
    return value.encode("latin-1", "backslashreplace")


def b64(raw: bytes) -> str:
    return base64.b64encode(raw).decode("ascii")


def unb64(value: str) -> bytes | None:
    """Decode base64, padded or not; None for anything else."""
    try:
        return base64.b64decode(value + "=" * (-len(value) % 4), validate=True)
    except ValueError:
        return None


def ed25519_signed(key: Ed25519PublicKey, signature: bytes, content: bytes) -> bool:
    try:
        key.verify(signature, content)
    except InvalidSignature:
        return False
    return True


def safe_to_answer(challenge: str | None) -> str:
    """A challenge that may be answered with an HMAC, or `Malformed`.

    Some platforms want to see a stranger's text signed with the very key that signs their events.
    Whoever asks us to sign ``{"data": ...}`` could then post it as an event. So we sign only what
    no JSON object can be made of: the letters of tokens, without braces, quotes or white space.
    The same hole, closed elsewhere: https://github.com/vercel/chat/pull/775
    """
    if challenge is None or not _TOKEN.fullmatch(challenge):
        raise Malformed("the challenge is missing, too long or has more than a token's characters")
    return challenge


def event_key(*parts: object) -> str:
    """A dedup key for an action whose platform sends no id of its own: all that identifies it."""
    key = ":".join("" if part is None else str(part) for part in parts)
    return key if len(key) <= MAX_TEXT else fingerprint(*parts)


def fingerprint(*parts: object) -> str:
    """A hash of what identifies an action."""
    joined = "\x1f".join("" if part is None else str(part) for part in parts)
    return hashlib.sha256(joined.encode("utf-8", "surrogatepass")).hexdigest()[:40]
