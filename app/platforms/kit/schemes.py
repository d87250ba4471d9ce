"""Did the holder of the key sign these bytes, and when?"""

import base64
import hashlib
import hmac
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

from app.platforms.kit.callback import Callback, Forged, Malformed
from app.platforms.kit.fields import iso_time, unix_time, within


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

    def verify(self, callback: Callback, keys: Sequence[bytes], tolerance_seconds: float) -> None:
        """Raise `Forged` unless one of ``keys`` signed this callback recently enough."""
        claimed = required(callback.headers, self.header)
        content = self.content(callback.headers, callback.body)
        if not matches_any(claimed, (self.signature(content, key) for key in keys)):
            raise Forged(f"{self.header} does not match the body under any configured secret")
        if self.time is not None:
            check_time(self.time.parse(callback), callback.received_at, tolerance_seconds)

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
    raw = wire(claimed)
    verdicts = [hmac.compare_digest(raw, wire(candidate)) for candidate in expected]
    return any(verdicts)


def check_time(signed_at: datetime, now: datetime, tolerance_seconds: float) -> None:
    if not within(signed_at, now, tolerance_seconds):
        raise Forged(
            f"signed at {signed_at.isoformat()}, more than {tolerance_seconds:g} s from our clock"
        )


def wire(value: str) -> bytes:
    """A header value's bytes: WSGI hands them over as latin-1; other characters match nothing."""
    return value.encode("latin-1", "backslashreplace")


def b64(raw: bytes) -> str:
    return base64.b64encode(raw).decode("ascii")


def fingerprint(*parts: object) -> str:
    """A dedup key for an action whose platform sends no event id: a hash of what identifies it."""
    joined = "\x1f".join("" if part is None else str(part) for part in parts)
    return hashlib.sha256(joined.encode("utf-8", "surrogatepass")).hexdigest()[:40]
