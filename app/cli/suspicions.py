"""Explain why a callback is refused: verify altered variants until one is valid."""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from datetime import timedelta
from difflib import get_close_matches
from functools import partial
from itertools import product
from typing import Any, get_args

from pydantic import SecretStr

from app.cli.output import iso
from app.cli.times import span
from app.platforms.kit.adapter import Adapter
from app.platforms.kit.callback import Callback, Forged, KeysUnavailable, Mismatch, Refusal
from app.platforms.kit.partner import DECODED, PartnerSource
from app.platforms.kit.places import Item, SignedTime, TimeForm
from app.platforms.kit.schemes import Digest, DigestScheme, Encoding, Scheme

_FOREVER_SECONDS = 1e12
_QUOTES = "\"'"
# Prefixes of signatures, such as sha1=, v0= and HMAC-SHA256.
_PREFIX = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,20}[=:, ]")

SECRETS: Mapping[str, Callable[[str], str]] = {
    "the secret has white space around it; without it the signature matches": str.strip,
    "the secret has quotation marks around it; without them the signature matches": (
        lambda secret: secret.strip().strip(_QUOTES)
    ),
}
HEADERS: Mapping[str, Callable[[str], str]] = {
    "a header's value has quotation marks around it; without them the signature matches": (
        lambda value: value.strip(_QUOTES)
    ),
}
BODIES: Mapping[str, Callable[[bytes], bytes]] = {
    "the body ends with a newline that was not signed (an editor's, or echo's); without it the "
    "signature matches": lambda body: body.removesuffix(b"\n").removesuffix(b"\r"),
    "the body lacks a newline at its end that was signed; with it the signature matches": (
        lambda body: body + b"\n"
    ),
    "the body's line ends were changed to CR LF; with LF the signature matches": (
        lambda body: body.replace(b"\r\n", b"\n")
    ),
    "the body begins with a byte order mark; without it the signature matches": (
        lambda body: body.removeprefix(b"\xef\xbb\xbf")
    ),
}
REENCODED = (
    "the body was parsed and written again on its way; written as the platform writes JSON the "
    "signature matches. Keep the raw bytes"
)
_JSON_FORMS: tuple[Callable[[Any], str], ...] = (
    partial(json.dumps, indent=2, ensure_ascii=False),
    partial(json.dumps, indent=4, ensure_ascii=False),
    partial(json.dumps, separators=(",", ":"), ensure_ascii=False),
    partial(json.dumps, separators=(",", ":")),
    partial(json.dumps, ensure_ascii=False),
    json.dumps,
)


def suspicions(adapter: Adapter, callback: Callback) -> list[str]:
    """Return what would make a refused callback valid, or which header is missing or misspelt."""
    patient = _altered(adapter, tolerance_seconds=_FOREVER_SECONDS)
    too_old = _age(adapter, callback)
    refusal = _refusal(patient, callback)
    if refusal is None:
        return too_old
    tries = _tries(patient, callback)
    found = next((words for words, changed, sent in tries if _fits(changed, sent)), None)
    if found:
        return [found, *too_old]
    return [*_other_units(adapter, callback), *_misspelt(adapter, callback)]


def is_mismatch(adapter: Adapter, callback: Callback) -> bool:
    """Whether only the secret or the signed bytes can be wrong."""
    patient = _altered(adapter, tolerance_seconds=_FOREVER_SECONDS)
    return isinstance(_refusal(patient, callback), Mismatch)


def _tries(adapter: Adapter, callback: Callback) -> Iterator[tuple[str, Adapter, Callback]]:
    for words, change in SECRETS.items():
        yield words, _with_secrets(adapter, change), callback
    for words, change in HEADERS.items():
        headers = {name: change(value) for name, value in callback.headers.items()}
        yield words, adapter, replace(callback, headers=headers)
    for words, cut in BODIES.items():
        yield words, adapter, replace(callback, body=cut(callback.body))
    for body in _reencoded(callback.body):
        yield REENCODED, adapter, replace(callback, body=body)
    if isinstance(adapter.source, PartnerSource):
        for form in DECODED:
            words = f"the signature matches when the secret is read as {form} (secrets_are)"
            yield words, _altered(adapter, secrets_are=form), callback
    for words, schemes in _written_otherwise(adapter, callback):
        changed = _altered(adapter)
        changed.schemes = schemes
        yield words, changed, callback


def _written_otherwise(
    adapter: Adapter, callback: Callback
) -> Iterator[tuple[str, tuple[Scheme, ...]]]:
    """Yield the schemes with another prefix, algorithm or encoding, each with a description."""
    for scheme in adapter.schemes:
        if not isinstance(scheme, DigestScheme):
            continue
        prefixes = {scheme.prefix, *map(_prefix_of, scheme.proof.found(callback))}
        for prefix, digest, encoding in product(prefixes, get_args(Digest), get_args(Encoding)):
            other = replace(scheme, prefix=prefix, digest=digest, encoding=encoding)
            how = f"made with {digest}, written in {encoding}, " + (
                f"behind {prefix!r}" if prefix else "without a prefix"
            )
            yield f"the signature matches when it is read as {how}", (other,)


def _prefix_of(claimed: str) -> str:
    found = _PREFIX.match(claimed)
    return found[0] if found else ""


def _reencoded(body: bytes) -> Iterator[bytes]:
    try:
        value = json.loads(body)
        yield from (form(value).encode() for form in _JSON_FORMS)
    except (ValueError, RecursionError):
        return


def _fits(adapter: Adapter, callback: Callback) -> bool:
    try:
        return _refusal(adapter, callback) is None
    # A changed secret may no longer be a valid key.
    except ValueError:
        return False


def _refusal(adapter: Adapter, callback: Callback) -> Exception | None:
    try:
        adapter.verify(callback)
    except (Refusal, KeysUnavailable) as refusal:
        return refusal
    return None


def _altered(adapter: Adapter, **options: Any) -> Adapter:
    altered = type(adapter)(adapter.source.model_copy(update=options))
    altered.fetch = adapter.fetch
    return altered


def _with_secrets(adapter: Adapter, change: Callable[[str], str]) -> Adapter:
    def changed(value: Any) -> Any:
        if isinstance(value, tuple):
            return tuple(map(changed, value))
        if isinstance(value, SecretStr):
            return SecretStr(change(value.get_secret_value()))
        return value

    return _altered(adapter, **{key: changed(value) for key, value in adapter.source})


def _age(adapter: Adapter, callback: Callback) -> list[str]:
    """Return a hint if the signed time is outside the tolerance."""
    for scheme in adapter.schemes:
        try:
            at = scheme.time and scheme.time.parse(callback)
        except Forged:
            continue
        if at and abs(callback.received_at - at) > timedelta(seconds=adapter.tolerance):
            way = "ago" if at < callback.received_at else "ahead of that clock"
            distance = span(callback.received_at - at)
            return [f"signed {distance} {way}; to judge it as of then, add --at {iso(at)}"]
    return []


def _other_units(adapter: Adapter, callback: Callback) -> list[str]:
    """Return a hint for each signed time in another form than the expected one."""
    return [
        f"{time.place} is written as {form}, and {time.written_as} is expected"
        for time in (scheme.time for scheme in adapter.schemes)
        if time is not None and not _is_time(time, callback)
        for form in get_args(TimeForm)
        if _is_time(replace(time, written_as=form), callback)
    ]


def _is_time(time: SignedTime, callback: Callback) -> bool:
    try:
        time.parse(callback)
    except Forged:
        return False
    return True


def _misspelt(adapter: Adapter, callback: Callback) -> list[str]:
    """Return hints for missing headers and items, if a similar one is present."""
    read = {name.lower(): name for scheme in adapter.schemes for name in scheme.headers}
    strange = [name for name in callback.headers if name not in read]
    headers = [
        f"there is a header {near}; is {name} meant?"
        for lower, name in read.items()
        if lower not in callback.headers
        for near in get_close_matches(lower, strange, 1, 0.7)
    ]
    items = [
        f"the header {place.name} has the items {', '.join(names)}; none is called {place.item}"
        for scheme in adapter.schemes
        for place in scheme.reads
        if isinstance(place, Item) and not place.found(callback)
        if (names := place.names(callback))
    ]
    return [*headers, *dict.fromkeys(items)]
