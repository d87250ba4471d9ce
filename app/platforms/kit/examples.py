"""Example callbacks of each platform, for `vouch send`, the demo and the tests."""

import json
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import cache
from importlib import resources
from importlib.resources.abc import Traversable
from typing import Any

from app.platforms.kit.callback import Example, Reply


@dataclass(frozen=True, slots=True, kw_only=True)
class Template:
    """One JSON file of ``app/platforms/examples/<platform>/``, named after its action.

    Another form of the same action is ``<action>.<form>.json``.

    ``body`` is JSON (or text) with placeholders in its strings: ``{actor}``, ``{target}``,
    ``{id}``, ``{iso}``, ``{unix_text}``, ``{unix_ms_text}``. A string that is exactly ``{unix}`` or
    ``{unix_ms}`` becomes a number, and so does ``{actor:number}``, ``{target:number}`` or
    ``{id:number}`` when its value is one. ``expect`` lists the expected events, ``nudges`` the
    expected nudges. ``stands_for``, from ``addressed.toml``, maps a source's option to the text
    that is in its place here.
    """

    name: str
    seen_at: str
    body: Any
    headers: Mapping[str, str]
    query: Mapping[str, str]
    expect: tuple[Mapping[str, Any], ...]
    stands_for: Mapping[str, str] = field(default_factory=dict)
    nudges: tuple[Mapping[str, Any], ...] = ()

    def fill(self, *, actor: str, target: str, key: str, now: datetime) -> Example:
        values = _values(actor, target, key, now)
        body = _filled(self.body, values)
        raw = body if isinstance(body, str) else json.dumps(body, separators=(",", ":"))
        headers = {name: str(_filled(value, values)) for name, value in self.headers.items()}
        query = {name: str(_filled(value, values)) for name, value in self.query.items()}
        return Example(raw.encode(), {"Content-Type": "application/json", **headers}, query)

    def addressed(self, source: object) -> "Template":
        """Return the template with the ids of ``source``, as the platform would send it there."""
        own = ((word, _first(getattr(source, key))) for key, word in self.stands_for.items())
        words = {word: text for word, text in own if text}
        if not words:
            return self
        return replace(
            self,
            body=_reworded(self.body, words),
            headers=_reworded(self.headers, words),
            query=_reworded(self.query, words),
            expect=_reworded(self.expect, words),
        )

    def expected(self, *, actor: str, target: str, key: str, now: datetime) -> list[dict[str, Any]]:
        values = _values(actor, target, key, now)
        return [_filled(dict(event), values) for event in self.expect]

    def expected_nudges(self, *, actor: str, now: datetime) -> list[dict[str, Any]]:
        values = _values(actor, "", "", now)
        return [_filled(dict(nudge), values) for nudge in self.nudges]


@dataclass(frozen=True, slots=True, kw_only=True)
class Greeting:
    """A JSON file of ``app/platforms/examples/<platform>/handshakes/``: request and reply."""

    seen_at: str
    method: str
    asked: Example
    is_signed: bool
    reply: Reply


def example_source(platform: str) -> dict[str, Any]:
    """Return the ``[[sources]]`` table that the examples are sent to; its secrets are public."""
    return tomllib.loads((_folder(platform) / "source.toml").read_text("utf-8"))


def signing_keys(platform: str) -> tuple[bytes, ...]:
    """Return the private keys of the key pairs that `example_source` trusts, if it trusts any."""
    files = (f for f in _files(_folder(platform)) if f.name.startswith("signing-key"))
    return tuple(file.read_bytes().strip() for file in files)


@cache
def templates(platform: str) -> Mapping[str, Template]:
    """Return the templates of one platform by name; empty when it has none."""
    folder = _folder(platform)
    stands_for = _stands_for(folder)
    return {name: _template(name, data, stands_for) for name, data in _json_files(folder)}


@cache
def handshakes(platform: str) -> Mapping[str, Greeting]:
    """Return the platform's proofs of ownership for its example source, by name."""
    return {name: _handshake(data) for name, data in _json_files(_folder(platform) / "handshakes")}


def _folder(platform: str) -> Traversable:
    return resources.files("app.platforms") / "examples" / platform


def _files(folder: Traversable) -> list[Traversable]:
    return sorted(folder.iterdir(), key=lambda file: file.name) if folder.is_dir() else []


def _json_files(folder: Traversable) -> Iterator[tuple[str, dict[str, Any]]]:
    for file in _files(folder):
        if file.name.endswith(".json"):
            yield file.name.removesuffix(".json"), json.loads(file.read_text("utf-8"))


def _stands_for(folder: Traversable) -> dict[str, str]:
    file = folder / "addressed.toml"
    return tomllib.loads(file.read_text("utf-8")) if file.is_file() else {}


def _template(name: str, data: dict[str, Any], stands_for: Mapping[str, str]) -> Template:
    return Template(
        name=name,
        seen_at=data["seen_at"],
        body=data["body"],
        headers=data.get("headers", {}),
        query=data.get("query", {}),
        expect=tuple(data["expect"]),
        stands_for=stands_for,
        nudges=tuple(data.get("nudges", ())),
    )


def _handshake(data: dict[str, Any]) -> Greeting:
    body = json.dumps(data["body"], separators=(",", ":")) if "body" in data else ""
    example = Example(body.encode(), data.get("headers", {}), data.get("query", {}))
    return Greeting(
        seen_at=data["seen_at"],
        method=data["method"],
        asked=example,
        is_signed=bool(data.get("signed")),
        reply=Reply(**data["reply"]),
    )


def _values(actor: str, target: str, key: str, now: datetime) -> dict[str, str]:
    seconds = now.timestamp()
    return {
        "{actor}": actor,
        "{target}": target,
        "{id}": key,
        "{iso}": now.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "{unix_text}": str(int(seconds)),
        "{unix_ms_text}": str(int(seconds * 1000)),
        "{unix}": str(int(seconds)),
        "{unix_ms}": str(int(seconds * 1000)),
    }


def _filled(value: Any, values: Mapping[str, str]) -> Any:
    if isinstance(value, dict):
        return {key: _filled(item, values) for key, item in value.items()}
    if isinstance(value, list):
        return [_filled(item, values) for item in value]
    if not isinstance(value, str):
        return value
    if value in ("{unix}", "{unix_ms}"):
        return int(values[value])
    if value.endswith(":number}"):
        return _number(values[value.replace(":number", "")])
    for placeholder, text in values.items():
        value = value.replace(placeholder, text)
    return value


def _number(text: str) -> int | str:
    """Return ``text`` as a number, if it is written as one."""
    digits = text.removeprefix("-")
    is_number = digits.isascii() and digits.isdecimal() and not digits.startswith("0")
    return int(text) if is_number and len(digits) < 20 else text


def _first(value: object) -> str:
    """Return the value of a source's option, or the first of several; empty when it is not set."""
    return str(next(iter(value), "")) if isinstance(value, tuple) else str(value)


def _reworded(value: Any, words: Mapping[str, str]) -> Any:
    """Replace words in ``value``; a number stays a number where possible."""
    if isinstance(value, Mapping):
        return {key: _reworded(item, words) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(_reworded(item, words) for item in value)
    if isinstance(value, bool) or not isinstance(value, str | int):
        return value
    text = str(value)
    for word, other in words.items():
        text = text.replace(word, other)
    return int(text) if isinstance(value, int) and text.lstrip("-").isdecimal() else text
