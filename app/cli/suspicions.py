"""Why is a callback refused that ought to be valid? Tried out, not guessed."""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from datetime import timedelta
from difflib import get_close_matches
from functools import partial
from typing import Any

from pydantic import SecretStr

from app.cli.moments import span
from app.cli.output import iso
from app.platforms.kit.adapter import Adapter
from app.platforms.kit.callback import Callback, Forged, KeysUnavailable, Refusal

_FOREVER_SECONDS = 1e12
_QUOTES = "\"'"

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
    partial(json.dumps, separators=(",", ":"), ensure_ascii=False),
    partial(json.dumps, separators=(",", ":")),
    partial(json.dumps, ensure_ascii=False),
    json.dumps,
)


def suspicions(adapter: Adapter, callback: Callback) -> list[str]:
    """What would make a refused callback valid, or else which header is missing or misspelt."""
    patient = _altered(adapter, tolerance_seconds=_FOREVER_SECONDS)
    too_old = _age(adapter, callback)
    if _believes(patient, callback):
        return too_old
    tries = _tries(patient, callback)
    found = next((words for words, changed, sent in tries if _believes(changed, sent)), None)
    if found:
        return [found, *too_old]
    return _misspelt(adapter, callback)


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


def _reencoded(body: bytes) -> Iterator[bytes]:
    try:
        value = json.loads(body)
        yield from (form(value).encode() for form in _JSON_FORMS)
    except (ValueError, RecursionError):
        return


def _believes(adapter: Adapter, callback: Callback) -> bool:
    try:
        adapter.verify(callback)
    # A secret that was changed may no longer be a key.
    except (Refusal, KeysUnavailable, ValueError):
        return False
    return True


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
    """What to add when only the clock speaks against it."""
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


def _misspelt(adapter: Adapter, callback: Callback) -> list[str]:
    """The header that came instead of the one that is missing, if one looks like it."""
    read = {name.lower(): name for scheme in adapter.schemes for name in scheme.headers}
    strange = [name for name in callback.headers if name not in read]
    return [
        f"there is a header {near}; is {name} meant?"
        for lower, name in read.items()
        if lower not in callback.headers
        for near in get_close_matches(lower, strange, 1, 0.7)
    ]
