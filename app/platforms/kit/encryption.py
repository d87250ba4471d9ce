"""Decrypt bodies that a platform encrypts, and encrypt examples the same way."""

# AES-256-CBC with the first half of the key as the initialisation vector. The plaintext is 16
# random bytes, the length in four bytes, the text, and the name of the addressee.

import secrets
from collections.abc import Mapping, Sequence
from typing import Any

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.padding import PKCS7

from app.platforms.kit.callback import Malformed
from app.platforms.kit.encodings import b64, unb64
from app.platforms.kit.fields import dig, text

_RANDOM, _LENGTH, _BLOCK_BITS = 16, 4, 256


_LONGEST = 10_000_000


def opened_xml(keys: Sequence[bytes], body: Mapping[str, Any], addressee: bytes) -> bytes:
    """Decrypt the ``Encrypt`` element of a parsed XML body. Raises `Malformed`."""
    written = text(dig(body, "xml.Encrypt"), "Encrypt", _LONGEST)
    sealed = unb64(written)
    if not sealed:
        raise Malformed("Encrypt is not base64")
    for key in keys:
        try:
            plain, found = opened(key, sealed)
        except Malformed:
            continue
        if found == addressee:
            return plain
    raise Malformed("no key opens the body, or it is for another addressee")


def closed_xml(key: bytes, plain: bytes, addressee: bytes) -> bytes:
    sealed = b64(closed(key, plain, addressee)).encode()
    return b"<xml><Encrypt><![CDATA[" + sealed + b"]]></Encrypt></xml>"


def opened(key: bytes, sealed: bytes) -> tuple[bytes, bytes]:
    """Return the text and its addressee. Raises `Malformed`.

    Decryption proves nothing: the ciphertext must be signed, or the padding is an oracle.
    """
    try:
        decryptor = _cipher(key).decryptor()
        padded = decryptor.update(sealed) + decryptor.finalize()
        unpadder = PKCS7(_BLOCK_BITS).unpadder()
        plain = unpadder.update(padded) + unpadder.finalize()
    except ValueError:
        raise Malformed("the body was encrypted with another key, or is cut short") from None
    start = _RANDOM + _LENGTH
    end = start + int.from_bytes(plain[_RANDOM:start], "big")
    if not start <= end <= len(plain):
        raise Malformed("the encrypted body states a wrong length")
    return plain[start:end], plain[end:]


def closed(key: bytes, text: bytes, addressee: bytes) -> bytes:
    plain = secrets.token_bytes(_RANDOM) + len(text).to_bytes(_LENGTH, "big") + text + addressee
    padder = PKCS7(_BLOCK_BITS).padder()
    encryptor = _cipher(key).encryptor()
    return encryptor.update(padder.update(plain) + padder.finalize()) + encryptor.finalize()


def _cipher(key: bytes) -> Cipher[modes.CBC]:
    return Cipher(algorithms.AES(key), modes.CBC(key[:16]))
