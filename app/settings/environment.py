"""Read the environment variables with this installation's secrets and addresses."""

import contextlib
import os
import secrets
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from app.settings.addresses import problem_of, with_our_driver
from app.settings.errors import ConfigurationError, Mistake

DATABASE = "DATABASE_URL"
DEFAULT_DATABASE = "sqlite:///var/vouch.db"
VARIABLES: Mapping[str, str] = {
    "DATABASE_URL": "The database: an SQLite file, or postgresql://…",
    "GAMEBALL_API_KEY": "Gameball's API key; a test or live key decides which program pays.",
    "GAMEBALL_SECRET_KEY": "Gameball's secret key.",
    "GAMEBALL_BASE_URL": "Gameball's address, or that of `vouch sandbox`.",
    "GAMEBALL_API_VERSION": "The version in Gameball's paths.",
    "VOUCH_SECRET_KEYS": "Keys that sign claim tokens and seal personal data, newest first.",
    "VOUCH_CONFIG": "The configuration file.",
}


def _fits_a_header(value: str) -> bool:
    return value.isascii() and value.isprintable()


# The form of a value, and the message when it is wrong, which never quotes the value.
_SHAPES: Mapping[str, tuple[Callable[[str], bool], str]] = {
    "GAMEBALL_API_KEY": (_fits_a_header, "has a character that a header cannot carry"),
    "GAMEBALL_SECRET_KEY": (_fits_a_header, "has a character that a header cannot carry"),
    "GAMEBALL_BASE_URL": (
        # Addresses appear in messages and logs.
        lambda url: url.startswith(("https://", "http://")) and "@" not in url,
        "must begin with https:// and name no user or password",
    ),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Environment:
    """The values of the environment variables. Each secret may also be in a file, `<NAME>_FILE`."""

    # It contains a password.
    database_url: str = field(default=DEFAULT_DATABASE, repr=False)
    gameball_api_key: str = field(default="", repr=False)
    gameball_secret_key: str = field(default="", repr=False)
    gameball_base_url: str = "https://api.gameball.co"
    gameball_api_version: str = "v4.1"
    secret_keys: tuple[str, ...] = field(default=(), repr=False)
    config_path: Path = Path("config/vouch.toml")

    @property
    def is_embedded(self) -> bool:
        """Whether the database is our own file, which we also migrate."""
        return self.database_url.startswith("sqlite")

    @property
    def has_gameball_credentials(self) -> bool:
        return bool(self.gameball_api_key and self.gameball_secret_key)


def read_environment(variables: Mapping[str, str] | None = None) -> Environment:
    """Read the variables. Raises `ConfigurationError` that names every wrong variable."""
    values = dict(os.environ if variables is None else variables)
    mistakes: list[Mistake] = []
    found = {name: _value(values, name, mistakes) for name in VARIABLES}
    mistakes += [
        Mistake(name, problem)
        for name, (is_right, problem) in _SHAPES.items()
        if found[name] and not is_right(found[name])
    ]
    if found[DATABASE] and (problem := problem_of(found[DATABASE])):
        mistakes.append(Mistake(DATABASE, problem))
    if mistakes:
        raise ConfigurationError(mistakes)
    defaults = Environment()
    return Environment(
        database_url=with_our_driver(found[DATABASE] or defaults.database_url),
        gameball_api_key=found["GAMEBALL_API_KEY"],
        gameball_secret_key=found["GAMEBALL_SECRET_KEY"],
        gameball_base_url=(found["GAMEBALL_BASE_URL"] or defaults.gameball_base_url).rstrip("/"),
        gameball_api_version=found["GAMEBALL_API_VERSION"] or defaults.gameball_api_version,
        secret_keys=_secret_keys(found["VOUCH_SECRET_KEYS"]),
        config_path=Path(found["VOUCH_CONFIG"] or defaults.config_path),
    )


def _value(values: Mapping[str, str], name: str, mistakes: list[Mistake]) -> str:
    direct, path = values.get(name, "").strip(), values.get(f"{name}_FILE", "").strip()
    if direct and path:
        mistakes.append(Mistake(name, f"both {name} and {name}_FILE are set"))
        return ""
    if not path:
        return direct
    try:
        return Path(path).read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        mistakes.append(Mistake(f"{name}_FILE", f"cannot be read: {type(error).__name__}"))
        return ""


def _secret_keys(raw: str) -> tuple[str, ...]:
    keys = tuple(key.strip() for key in raw.split(",") if key.strip())
    short = [position for position, key in enumerate(keys, 1) if len(key) < 16]
    if short:
        where = ", ".join(map(str, short))
        raise ConfigurationError(
            [Mistake("VOUCH_SECRET_KEYS", f"key {where} is shorter than 16 characters")]
        )
    return keys


def secret_keys_path(database_path: Path) -> Path:
    """Return the file for the keys that an installation makes for itself."""
    return database_path.with_name("secret_keys")


def embedded_secret_keys(database_path: Path) -> tuple[str, ...]:
    """Return the keys that an installation without any made for itself, beside its database.

    Only for the embedded database. Several machines need the same keys.
    """
    path = secret_keys_path(database_path)
    try:
        if not path.exists():
            _make_secret_key(path)
        text = path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        problem = f"cannot be read or made: {type(error).__name__}; we must own it and its folder"
        raise ConfigurationError([Mistake(str(path), problem)]) from None
    keys = _secret_keys(text)
    if not keys:
        raise ConfigurationError(
            [Mistake(str(path), "holds no key; remove it to have a new one made")]
        )
    return keys


def _make_secret_key(path: Path) -> None:
    """Write the file atomically: other processes may start, and this one may be killed."""
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f"{path.name}.")
    try:
        with os.fdopen(descriptor, "w") as file:
            file.write(secrets.token_urlsafe(32) + "\n")
            file.flush()
            os.fsync(descriptor)
        with contextlib.suppress(FileExistsError):
            os.link(name, path)
    finally:
        Path(name).unlink()
