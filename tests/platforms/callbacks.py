"""Callbacks as a platform would send them: signed with the secrets of its example source."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from app.domain.events import Event
from app.platforms import adapters
from app.platforms.kit.adapter import Adapter
from app.platforms.kit.callback import Callback, Example, Reading
from app.platforms.kit.examples import example_source

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)


def adapter_of(platform: str, **options: Any) -> Adapter:
    """An adapter of its example source, with ``options`` in the place of the example's."""
    adapter = adapters()[platform]
    return adapter(adapter.config.model_validate({**example_source(platform), **options}))


def callback(
    body: bytes = b"",
    headers: Mapping[str, str] | None = None,
    *,
    method: str = "POST",
    query: Mapping[str, str] | None = None,
    at: datetime = NOW,
) -> Callback:
    lower = {name.lower(): value for name, value in (headers or {}).items()}
    return Callback(method=method, headers=lower, query=query or {}, body=body, received_at=at)


def signed(
    adapter: Adapter,
    body: object,
    headers: Mapping[str, str] | None = None,
    *,
    at: datetime = NOW,
) -> Callback:
    """``body`` (bytes, or what JSON shall be made of) as the platform would sign it at ``at``."""
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return arrived(adapter.sign(Example(raw, headers or {}), at), at=at)


def arrived(example: Example, *, at: datetime = NOW, method: str = "POST") -> Callback:
    """The callback that a signed example is where it arrives."""
    return callback(example.body, example.headers, method=method, query=example.query, at=at)


def reading(adapter: Adapter, body: object, headers: Mapping[str, str] | None = None) -> Reading:
    """What a correctly signed callback says."""
    sent = signed(adapter, body, headers)
    adapter.verify(sent)
    return adapter.read(sent)


def only_event(of: Reading) -> Event:
    assert len(of.events) == 1, of
    return of.events[0]
