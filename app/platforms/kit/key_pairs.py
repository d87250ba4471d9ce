"""Signatures by a key pair, of which we hold only the public key."""

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from pydantic import SecretStr

from app.platforms.kit.encodings import unhex
from app.platforms.kit.places import Message
from app.platforms.kit.schemes import Encoding, Scheme, decoded, written

SMALLEST_RSA_BITS = 2048


@dataclass(frozen=True, slots=True, kw_only=True)
class PairScheme(Scheme):
    """A signature by a key pair over headers, literals, fields and the raw body."""

    encoding: Encoding = "hex"

    def is_proof(self, claimed: str, of: Message, keys: Sequence[bytes]) -> bool:
        content = self.content(of)
        signature = decoded(claimed, self.prefix, self.encoding)
        return signature is not None and any(
            self.signed_by(key, signature, content) for key in keys
        )

    def made(self, of: Message, key: bytes) -> str:
        return self.prefix + written(self.signature(self.content(of), key), self.encoding)

    def fits(self, private: bytes, public: bytes) -> bool:
        """Whether the two keys are one pair."""
        return self.signed_by(public, self.signature(b"probe", private), b"probe")

    @abstractmethod
    def signature(self, content: bytes, private: bytes) -> bytes: ...

    @abstractmethod
    def signed_by(self, public: bytes, signature: bytes, content: bytes) -> bool: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Ed25519Scheme(PairScheme):
    """Both keys are written as 64 hexadecimal digits."""

    def signature(self, content: bytes, private: bytes) -> bytes:
        return Ed25519PrivateKey.from_private_bytes(bytes.fromhex(private.decode())).sign(content)

    def signed_by(self, public: bytes, signature: bytes, content: bytes) -> bool:
        return ed25519_signed(ed25519_key(public.decode()), signature, content)

    def stranger(self) -> bytes:
        return Ed25519PrivateKey.generate().private_bytes_raw().hex().encode()


@dataclass(frozen=True, slots=True, kw_only=True)
class RsaScheme(PairScheme):
    """PKCS #1 v1.5 with SHA-256; both keys are PEM."""

    encoding: Encoding = "base64"

    def signature(self, content: bytes, private: bytes) -> bytes:
        return _rsa_private(private).sign(content, padding.PKCS1v15(), hashes.SHA256())

    def signed_by(self, public: bytes, signature: bytes, content: bytes) -> bool:
        key = rsa_key(public.decode())
        try:
            key.verify(signature, content, padding.PKCS1v15(), hashes.SHA256())
        except InvalidSignature:
            return False
        return True

    def stranger(self) -> bytes:
        return rsa.generate_private_key(65537, SMALLEST_RSA_BITS).private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )


def ed25519_signed(key: Ed25519PublicKey, signature: bytes, content: bytes) -> bool:
    try:
        key.verify(signature, content)
    except InvalidSignature:
        return False
    return True


@lru_cache(256)
def ed25519_key(text: str) -> Ed25519PublicKey:
    """Parse a public key. Raises `ValueError`."""
    raw = unhex(text)
    if raw is None or len(raw) != 32:
        raise ValueError("a public key must have 64 hexadecimal digits")
    return Ed25519PublicKey.from_public_bytes(raw)


@lru_cache(256)
def rsa_key(text: str) -> rsa.RSAPublicKey:
    """Parse a public key. Raises `ValueError`."""
    try:
        # An environment variable often holds a PEM with escaped line ends.
        key = serialization.load_pem_public_key(text.replace("\\n", "\n").encode())
    except (ValueError, UnsupportedAlgorithm):
        raise ValueError("this is not a public key in PEM") from None
    if not isinstance(key, rsa.RSAPublicKey) or key.key_size < SMALLEST_RSA_BITS:
        raise ValueError(f"the key must be RSA with at least {SMALLEST_RSA_BITS} bits")
    return key


@lru_cache(16)
def _rsa_private(pem: bytes) -> rsa.RSAPrivateKey:
    key = serialization.load_pem_private_key(pem, None)
    assert isinstance(key, rsa.RSAPrivateKey)  # noqa: S101 -- a key of our own examples
    return key


def as_ed25519(secret: SecretStr) -> SecretStr:
    """Validate an option that holds public keys. Raises `ValueError`."""
    ed25519_key(secret.get_secret_value())
    return secret


def as_rsa(secret: SecretStr) -> SecretStr:
    """Validate an option that holds public keys. Raises `ValueError`."""
    rsa_key(secret.get_secret_value())
    return secret
