"""The demo's configuration: every platform's example source, with fresh secrets."""

import json
import secrets
import string
from collections.abc import Iterator, Mapping
from importlib import resources
from pathlib import Path
from typing import Any

from app.cli.sources import secrets_in
from app.domain.clock import utc_now
from app.platforms import adapters
from app.platforms.kit.adapter import Adapter
from app.platforms.kit.callback import Callback, Refusal
from app.platforms.kit.examples import Template, example_source, templates

FIRST_CHALLENGE_ID = 101
_ALPHABETS = (string.ascii_lowercase, string.ascii_uppercase, string.digits)


def configuration_text(folder: Path, examples: Mapping[str, Template]) -> str:
    """Return a source and a rule for every example. Write their secrets to files in the folder."""
    base = (resources.files(__package__) / "vouch.toml").read_text("utf-8")
    return "\n".join([base, *_tables(folder, examples)])


def _tables(folder: Path, examples: Mapping[str, Template]) -> Iterator[str]:
    for challenge_id, (platform, template) in enumerate(examples.items(), FIRST_CHALLENGE_ID):
        source = example_source(platform)
        yield _table("sources", _with_secret_files(folder, platform, source))
        action = template.expect[0]["action"]
        yield _table(
            "rules", {"challenge_id": challenge_id, "source": source["name"], "action": action}
        )


def _table(name: str, values: Mapping[str, Any]) -> str:
    lines = [f"{key} = {toml_value(value)}" for key, value in values.items()]
    return "\n".join([f"[[{name}]]", *lines, ""])


def toml_value(value: object) -> str:
    """Write a value as TOML. It equals JSON for strings, numbers and lists, but not for tables."""
    if isinstance(value, dict):
        pairs = (f"{json.dumps(key)} = {toml_value(item)}" for key, item in value.items())
        return f"{{ {', '.join(pairs)} }}"
    return json.dumps(value, ensure_ascii=False)


def _with_secret_files(folder: Path, platform: str, source: Mapping[str, Any]) -> dict[str, Any]:
    """Return the example's source with fresh secrets, each in a file of its own."""
    adapter = _with_fresh_secrets(platform, source)
    table = dict(source)
    for key, values in secrets_in(adapter.source).items():
        names = [f"{table['name']}-{key}-{number}" for number in range(1, len(values) + 1)]
        for name, value in zip(names, values, strict=True):
            _write_secret(folder / "secrets" / name, value)
        references = [f"file:secrets/{name}" for name in names]
        table[key] = references if isinstance(table[key], list) else references[0]
    return table


def _write_secret(path: Path, value: str) -> None:
    path.parent.mkdir(mode=0o700, exist_ok=True)
    path.write_text(value + "\n", "utf-8")


def _with_fresh_secrets(platform: str, source: Mapping[str, Any]) -> Adapter:
    """Return an adapter with fresh secrets if it can sign with them.

    The halves of a key pair belong together, so a platform with key pairs keeps the example's.
    """
    kind = adapters()[platform]
    example = kind(kind.config.model_validate(source))
    fresh = {
        key: [_fresh(one) for one in values] for key, values in secrets_in(example.source).items()
    }
    table = {
        key: (fresh[key] if isinstance(value, list) else fresh[key][0]) if key in fresh else value
        for key, value in source.items()
    }
    try:
        adapter = kind(kind.config.model_validate(table))
        _sign_and_verify(adapter)
    except (Refusal, ValueError):
        return example
    return adapter


def _sign_and_verify(adapter: Adapter) -> None:
    now = utc_now()
    template = next(iter(templates(adapter.name).values()))
    example = template.fill(actor="1", target="2", key="3", now=now)
    sent = adapter.sign(example, now)
    adapter.verify(
        Callback(
            method="POST", headers=sent.headers, query=sent.query, body=sent.body, received_at=now
        )
    )


def _fresh(secret: str) -> str:
    """Return a random secret with the same prefix: letters for letters, digits for digits."""
    prefix, underscore, rest = secret.rpartition("_")
    return prefix + underscore + "".join(map(_another, rest))


def _another(character: str) -> str:
    alphabet = next((letters for letters in _ALPHABETS if character in letters), character)
    return secrets.choice(alphabet)
