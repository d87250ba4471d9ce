"""Find the callbacks of a platform in the files of a package: JSON, and literals in Python."""

import ast
import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

# WeChat's documentation shows times of the seventies, and the tests of its SDKs repeat them.
INVENTED_TIME = re.compile(rb"(<CreateTime>)\d{1,9}(</CreateTime>)")


@dataclass(frozen=True)
class Payload:
    """A callback's body, and which of its file's it is."""

    at: str
    body: bytes


def found(platform: str, folder: Path, path: Path) -> Iterator[Payload]:
    """Every body in the file at ``path`` below ``folder`` that the platform would send, with its
    number in the file.
    """
    inside = Path(*path.parts[2:])  # what is before it, the archive chose
    for number, (name, body) in enumerate(_bodies(platform, folder / path), start=1):
        yield Payload(f"{inside} {number} {name}".strip(), body)


def _bodies(platform: str, path: Path) -> Iterator[tuple[str, bytes]]:
    is_callback = SHAPES[platform]
    for name, value in _values(path):
        if isinstance(value, str):
            if value.startswith("<xml>") and is_callback({"xml": value}):
                yield name, INVENTED_TIME.sub(rb"\g<1>1700000000\g<2>", value.encode())
        elif is_callback(value):
            yield name, _written(platform, value)


def _written(platform: str, value: dict[str, Any]) -> bytes:
    """As the platform writes it: Slack puts what people press into a form."""
    body = json.dumps(value)
    is_form = platform == "slack" and "event" not in value and value["type"] != "url_verification"
    return urlencode({"payload": body}).encode() if is_form else body.encode()


def _values(path: Path) -> Iterator[tuple[str, Any]]:
    text = path.read_text("utf-8")
    if path.suffix == ".py":
        yield from (("", value) for node in ast.walk(ast.parse(text)) for value in _literals(node))
        return
    told = json.loads(text)
    if isinstance(told, dict):
        yield "", told
        return
    # GitHub's: a list of the events, each with examples.
    for event in told:
        yield from ((event["name"], one) for one in event.get("examples", ()))


def _literals(node: ast.AST) -> Iterator[Any]:
    """A dictionary that is written out, a text that is one in JSON, or one that is XML."""
    try:
        value = ast.literal_eval(node) if isinstance(node, ast.Dict | ast.Constant) else None
    except ValueError:
        return
    if isinstance(value, str):
        value = value.strip()
        if value.startswith("{"):
            try:
                value = json.loads(value)
            except ValueError:
                return
    if isinstance(value, dict) or (isinstance(value, str) and value.startswith("<xml>")):
        yield value


def _has(*names: str) -> Callable[[dict[Any, Any]], bool]:
    return lambda value: set(names) <= set(value)


def _is_wechat(value: dict[Any, Any]) -> bool:
    # What an account answers looks alike, and has neither an id nor an event.
    xml = str(value.get("xml", ""))
    return "<MsgType>" in xml and ("<MsgId>" in xml or "<Event>" in xml) and "<AgentID>" not in xml


def _is_slack(value: dict[Any, Any]) -> bool:
    sort = value.get("type")
    return sort in ("event_callback", "url_verification") or {"type", "trigger_id"} <= set(value)


# What tells a callback of the platform from what else its SDK's tests have.
SHAPES: dict[str, Callable[[dict[Any, Any]], bool]] = {
    "github": _has("sender"),
    "line": _has("destination", "events"),
    "meta": _has("object", "entry"),
    "slack": _is_slack,
    "strava": _has("aspect_type", "object_type", "subscription_id"),
    "telegram": _has("update_id"),
    "wechat": _is_wechat,
}
