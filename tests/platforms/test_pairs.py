"""Key pairs: only the private half signs, and published keys are fetched when they change."""

import json
from dataclasses import replace
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from app.platforms.kit.adapter import Adapter
from app.platforms.kit.callback import Callback, Example, Forged, KeysUnavailable, Reading
from app.platforms.kit.key_pairs import Ed25519Scheme, PairScheme, RsaScheme, rsa_key
from app.platforms.kit.places import Body, Header, SignedTime
from app.platforms.kit.published import no_fetcher
from tests.platforms.callbacks import NOW, arrived

SIGNED: Any = (Header("X-Time"), b".", Body())
TIME = SignedTime(Header("X-Time"), "iso")
SCHEMES: list[PairScheme] = [
    Ed25519Scheme(proof=Header("X-Signature"), signed=SIGNED, time=TIME),
    RsaScheme(proof=Header("X-Signature"), signed=SIGNED, prefix="v1=", time=TIME),
]
any_scheme = pytest.mark.parametrize("scheme", SCHEMES, ids=lambda scheme: type(scheme).__name__)


def pem(key: Any) -> bytes:
    raw: bytes = key.public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return raw.strip()


def public_half(private: bytes) -> bytes:
    if private.startswith(b"-----"):
        key: Any = serialization.load_pem_private_key(private, None)
        return pem(key.public_key())
    pair = Ed25519PrivateKey.from_private_bytes(bytes.fromhex(private.decode()))
    return pair.public_key().public_bytes_raw().hex().encode()


@any_scheme
def test_only_the_private_half_of_a_trusted_pair_signs(scheme: PairScheme) -> None:
    ours, others = scheme.stranger(), scheme.stranger()
    sent = arrived(scheme.sign(Example(b"{}"), ours, NOW))

    scheme.verify(sent, [public_half(others), public_half(ours)], 300)

    with pytest.raises(Forged, match="does not match the body"):
        scheme.verify(sent, [public_half(others)], 300)
    with pytest.raises(Forged, match="does not match the body"):
        scheme.verify(replace(sent, body=b"{ }"), [public_half(ours)], 300)
    with pytest.raises(Forged, match="no secrets are configured"):
        scheme.verify(sent, [], 300)


@any_scheme
def test_two_halves_fit_or_do_not(scheme: PairScheme) -> None:
    ours, others = scheme.stranger(), scheme.stranger()

    assert scheme.fits(ours, public_half(ours))
    assert not scheme.fits(ours, public_half(others))


@any_scheme
@pytest.mark.parametrize("junk", ["x", "v1=", "v1=x", "ä", "v1=ä", "00", "AA==", "0" * 128])
def test_a_signature_that_is_none_is_forged(scheme: PairScheme, junk: str) -> None:
    ours = scheme.stranger()
    sent = arrived(scheme.sign(Example(b"{}"), ours, NOW))
    wrong = {**sent.headers, "x-signature": junk}

    with pytest.raises(Forged):
        scheme.verify(replace(sent, headers=wrong), [public_half(ours)], 300)


def test_a_pem_with_its_line_ends_written_out_is_read() -> None:
    key = pem(rsa.generate_private_key(65537, 2048).public_key()).decode()

    assert rsa_key(key.replace("\n", "\\n")).public_numbers() == rsa_key(key).public_numbers()


@pytest.mark.parametrize(
    "key",
    [
        "",
        "nonsense",
        "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----",
        pem(ec.generate_private_key(ec.SECP256R1()).public_key()).decode(),
        pem(rsa.generate_private_key(65537, 1024).public_key()).decode(),
    ],
    ids=["empty", "text", "no-key", "elliptic", "short"],
)
def test_no_other_key_is_taken_for_an_rsa_key(key: str) -> None:
    with pytest.raises(ValueError, match=r"public key in PEM|at least 2048 bits"):
        rsa_key(key)


class Published(Adapter):
    """A platform that publishes its key."""

    name = "published"
    docs = "https://example.com/"
    schemes = (SCHEMES[1],)
    keys_url = "https://example.com/keys"
    key_path = "the.key"

    def __init__(self, *pinned: bytes, published: list[bytes]) -> None:
        super().__init__(Source(pinned))
        self.published = published
        self.asked: list[bool] = []
        self.fetch = self._fetch

    def _fetch(self, url: str, *, refresh: bool = False) -> bytes:
        assert url == self.keys_url
        self.asked.append(refresh)
        return json.dumps({"the": {"key": self.published.pop(0).decode()}}).encode()

    def read(self, callback: Callback) -> Reading:
        return Reading()


class Source:
    name, tolerance_seconds = "here", None

    def __init__(self, keys: tuple[bytes, ...]) -> None:
        self._keys = keys

    def keys_of(self, option: str) -> tuple[bytes, ...]:
        return self._keys


def test_a_pinned_key_is_believed_and_nothing_is_fetched() -> None:
    ours = SCHEMES[1].stranger()
    sent = arrived(SCHEMES[1].sign(Example(b"{}"), ours, NOW))

    Published(public_half(ours), published=[]).verify(sent)


def test_a_published_key_is_believed() -> None:
    ours = SCHEMES[1].stranger()
    sent = arrived(SCHEMES[1].sign(Example(b"{}"), ours, NOW))
    adapter = Published(published=[public_half(ours)])

    adapter.verify(sent)

    assert adapter.asked == [False]


def test_a_key_that_changed_is_fetched_anew() -> None:
    old, new = SCHEMES[1].stranger(), SCHEMES[1].stranger()
    sent = arrived(SCHEMES[1].sign(Example(b"{}"), new, NOW))
    adapter = Published(published=[public_half(old), public_half(new)])

    adapter.verify(sent)

    assert adapter.asked == [False, True]


def test_a_forgery_stays_one_when_the_key_is_still_the_same() -> None:
    ours = public_half(SCHEMES[1].stranger())
    sent = arrived(SCHEMES[1].sign(Example(b"{}"), SCHEMES[1].stranger(), NOW))

    with pytest.raises(Forged):
        Published(published=[ours, ours]).verify(sent)


def test_without_anything_that_fetches_the_keys_are_unavailable() -> None:
    adapter = Published(published=[])
    adapter.fetch = no_fetcher
    sent = arrived(SCHEMES[1].sign(Example(b"{}"), SCHEMES[1].stranger(), NOW))

    with pytest.raises(KeysUnavailable, match="pin the key"):
        adapter.verify(sent)
