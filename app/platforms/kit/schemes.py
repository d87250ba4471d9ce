"""Signature schemes with a shared secret."""

import hashlib
import hmac
import secrets
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from app.platforms.kit.callback import Callback, Example, Forged, Mismatch
from app.platforms.kit.encodings import b64, matches_any, unb64, unhex
from app.platforms.kit.places import (
    Body,
    Header,
    Item,
    Key,
    Message,
    Part,
    Place,
    SignedTime,
    read,
)

Digest = Literal["sha256", "sha1", "sha512"]
Encoding = Literal["hex", "base64"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Scheme(ABC):
    """How a platform proves that it sent a callback.

    ``proof`` is the place of the proof, which begins with ``prefix``; ``signed`` is what it covers.
    Without ``time`` the platform signs no time, and only permanent dedup stops a replay.
    ``secrets`` names the source's option that holds the keys.
    """

    proof: Place
    signed: tuple[Part, ...] = (Body(),)
    prefix: str = ""
    time: SignedTime | None = None
    secrets: str = "secrets"

    @property
    def reads(self) -> tuple[Place, ...]:
        """Every place that it reads. A callback with another value in any of them is forged."""
        places = [self.proof, *(part for part in self.signed if not _is_no_place(part))]
        return tuple(dict.fromkeys(places))  # type: ignore[arg-type]

    @property
    def headers(self) -> tuple[str, ...]:
        return tuple(
            dict.fromkeys(place.name for place in self.reads if isinstance(place, Header | Item))
        )

    @property
    def covers_body(self) -> bool:
        """Whether a callback with another body would need another proof."""
        return Body() in self.signed

    def verify(self, callback: Callback, keys: Sequence[bytes], tolerance_seconds: float) -> None:
        """Raise `Forged` unless the holder of one of ``keys`` sent this recently enough."""
        claimed = [proof for proof in self.proof.found(callback) if proof]
        if not claimed:
            raise Forged(f"{self.proof} is missing or empty")
        if not keys:
            raise Forged(f"{self.proof} is present, but no {self.secrets} are configured")
        if not any(self.is_proof(proof, callback, keys) for proof in claimed):
            raise self._refusal(claimed)
        self.check_time(callback, tolerance_seconds)

    def check_time(self, callback: Callback, tolerance_seconds: float) -> None:
        """Raise `Forged` when a signed time is too far from our clock, either way."""
        if self.time is None:
            return
        at = self.time.parse(callback)
        if abs(callback.received_at - at) > timedelta(seconds=tolerance_seconds):
            raise Forged(f"signed at {at}, more than {tolerance_seconds:g} s from our clock")

    def is_proof(self, claimed: str, of: Message, keys: Sequence[bytes]) -> bool:
        return matches_any(claimed, [self.made(of, key) for key in keys])

    def fault(self, claimed: str) -> str | None:  # noqa: ARG002
        """Return what is wrong with the form of a proof, whatever the secret is."""
        return None

    def _refusal(self, claimed: Sequence[str]) -> Forged:
        faults = [self.fault(proof) for proof in claimed]
        if all(faults):
            return Forged(f"{self.proof} {faults[0]}")
        what = "the body" if self.covers_body else "its secret"
        return Mismatch(f"{self.proof} does not match {what} under any configured secret")

    def sign(self, example: Example, key: bytes, now: datetime) -> Example:
        """Return ``example`` as the platform would send it at ``now``."""
        if self.time is not None:
            example = self.time.write(example, now)
        return self.proof.write(example, self.made(example, key))

    @abstractmethod
    def made(self, of: Message, key: bytes) -> str:
        """Return the proof that the holder of ``key`` makes, with its prefix."""

    def content(self, of: Message, key: bytes = b"") -> bytes:
        return b"".join(self.parts(of, key))

    def parts(self, of: Message, key: bytes) -> list[bytes]:
        return [_bytes_of(part, of, key) for part in self.signed]

    def stranger(self) -> bytes:
        """Return a key of the platform's form that nobody trusts."""
        return secrets.token_hex(24).encode()


@dataclass(frozen=True, slots=True, kw_only=True)
class DigestScheme(Scheme):
    """A digest, compared as bytes: a sender may write it in capitals, or after a space."""

    digest: Digest = "sha256"
    encoding: Encoding = "hex"

    def made(self, of: Message, key: bytes) -> str:
        return self.prefix + written(self.raw(of, key), self.encoding)

    @abstractmethod
    def raw(self, of: Message, key: bytes) -> bytes:
        """Return the digest that the holder of ``key`` makes."""

    def is_proof(self, claimed: str, of: Message, keys: Sequence[bytes]) -> bool:
        digest = decoded(claimed, self.prefix, self.encoding)
        verdicts = [hmac.compare_digest(digest or b"", self.raw(of, key)) for key in keys]
        return any(verdicts)

    def fault(self, claimed: str) -> str | None:
        if not claimed.startswith(self.prefix):
            return f"does not begin with {self.prefix}"
        digest = decoded(claimed, self.prefix, self.encoding)
        if digest is None:
            return f"is not {self.encoding}"
        expected = hashlib.new(self.digest).digest_size
        if len(digest) != expected:
            return f"has {len(digest)} bytes, but {self.digest} makes {expected}"
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class HmacScheme(DigestScheme):
    """An HMAC over headers, literals, fields and the raw body."""

    def raw(self, of: Message, key: bytes) -> bytes:
        return hmac.digest(key, self.content(of), self.digest)

    def signature(self, content: bytes, key: bytes) -> str:
        return self.prefix + written(hmac.digest(key, content, self.digest), self.encoding)


@dataclass(frozen=True, slots=True, kw_only=True)
class HashScheme(DigestScheme):
    """A plain hash of parts, one of which is the secret; some platforms sort them first."""

    sorts: bool = False

    def raw(self, of: Message, key: bytes) -> bytes:
        parts = self.parts(of, key)
        content = b"".join(sorted(parts) if self.sorts else parts)
        return hashlib.new(self.digest, content).digest()


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenScheme(Scheme):
    """The secret itself, in a header or field. Anyone who sees one callback can forge others."""

    signed: tuple[Part, ...] = ()

    def made(self, of: Message, key: bytes) -> str:  # noqa: ARG002 -- covers nothing
        return self.prefix + key.decode("utf-8", "surrogateescape")


def decoded(claimed: str, prefix: str, encoding: Encoding) -> bytes | None:
    """Return the bytes of a proof without its prefix, or None when it has another form."""
    if not claimed.startswith(prefix):
        return None
    text = claimed.removeprefix(prefix).lstrip(" \t")
    return unhex(text) if encoding == "hex" else unb64(text)


def written(raw: bytes, encoding: Encoding) -> str:
    return raw.hex() if encoding == "hex" else b64(raw)


def _is_no_place(part: Part) -> bool:
    return isinstance(part, bytes | Body | Key)


def _bytes_of(part: Part, of: Message, key: bytes) -> bytes:
    if isinstance(part, bytes):
        return part
    if isinstance(part, Body):
        return of.body
    return key if isinstance(part, Key) else part.raw(read(part, of))
