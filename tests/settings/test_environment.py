"""Is every variable read, every mistake named, and no secret shown?"""

import stat
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from app.settings.environment import (
    VARIABLES,
    Environment,
    embedded_secret_keys,
    read_environment,
)
from app.settings.errors import ConfigurationError

KEY = "0123456789abcdef"
FULL = {
    "DATABASE_URL": "postgresql://vouch:db-pass-word@db/vouch",
    "GAMEBALL_API_KEY": "api-key-value",
    "GAMEBALL_SECRET_KEY": "secret-key-value",
    "GAMEBALL_BASE_URL": "https://gameball.test/",
    "GAMEBALL_API_VERSION": "v4.0",
    "VOUCH_SECRET_KEYS": f"new-{KEY}, old-{KEY},",
    "VOUCH_CONFIG": "other.toml",
}
SECRETS = ("db-pass-word", "api-key-value", "secret-key-value", f"new-{KEY}", f"old-{KEY}")


def mistakes_of(variables: dict[str, str]) -> dict[str, str]:
    with pytest.raises(ConfigurationError) as caught:
        read_environment(variables)
    for secret in variables.values():
        assert secret not in str(caught.value)
    return {mistake.place: mistake.problem for mistake in caught.value.mistakes}


def test_without_variables_everything_is_local_and_nothing_can_be_paid() -> None:
    environment = read_environment({})

    assert environment == Environment()
    assert environment.is_embedded
    assert not environment.has_gameball_credentials
    assert environment.gameball_base_url == "https://api.gameball.co"
    assert environment.gameball_api_version == "v4.1"
    assert environment.config_path == Path("config/vouch.toml")


def test_every_variable_is_read() -> None:
    environment = read_environment(FULL)

    assert environment.database_url == "postgresql+psycopg://vouch:db-pass-word@db/vouch"
    assert not environment.is_embedded
    assert environment.has_gameball_credentials
    assert environment.gameball_base_url == "https://gameball.test"
    assert environment.gameball_api_version == "v4.0"
    assert environment.secret_keys == (f"new-{KEY}", f"old-{KEY}")
    assert environment.config_path == Path("other.toml")


def test_the_process_own_environment_is_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GAMEBALL_API_VERSION", "v9")

    assert read_environment().gameball_api_version == "v9"


@pytest.mark.parametrize("missing", ["GAMEBALL_API_KEY", "GAMEBALL_SECRET_KEY"])
def test_half_of_the_credentials_are_none(missing: str) -> None:
    environment = read_environment({**FULL, missing: "  "})

    assert not environment.has_gameball_credentials


def test_no_secret_is_shown_when_it_is_printed() -> None:
    shown = repr(read_environment(FULL))

    assert "gameball.test" in shown
    for secret in SECRETS:
        assert secret not in shown


@pytest.mark.parametrize("name", VARIABLES)
def test_every_variable_can_be_read_from_a_file(name: str, tmp_path: Path) -> None:
    path = tmp_path / "value"
    path.write_text(f"  {FULL[name]}\n")

    assert read_environment({f"{name}_FILE": str(path)}) == read_environment({name: FULL[name]})


@pytest.mark.parametrize("name", VARIABLES)
def test_a_variable_and_its_file_together_are_a_mistake(name: str, tmp_path: Path) -> None:
    path = tmp_path / "value"
    path.write_text(FULL[name])

    found = mistakes_of({name: FULL[name], f"{name}_FILE": str(path)})

    assert found == {name: f"both {name} and {name}_FILE are set"}


def test_a_file_that_cannot_be_read_is_a_mistake(tmp_path: Path) -> None:
    (tmp_path / "latin").write_bytes(b"\xff\xfe\xfd")

    found = mistakes_of(
        {
            "GAMEBALL_API_KEY_FILE": str(tmp_path / "nowhere"),
            "GAMEBALL_SECRET_KEY_FILE": str(tmp_path / "latin"),
        }
    )

    assert found == {
        "GAMEBALL_API_KEY_FILE": "cannot be read: FileNotFoundError",
        "GAMEBALL_SECRET_KEY_FILE": "cannot be read: UnicodeDecodeError",
    }


def test_short_signing_keys_are_named_by_their_position() -> None:
    found = mistakes_of({"VOUCH_SECRET_KEYS": f"{KEY},fifteen-letters,{KEY},tiny"})

    assert found == {"VOUCH_SECRET_KEYS": "key 2, 4 is shorter than 16 characters"}


@pytest.mark.parametrize("name", ["GAMEBALL_API_KEY", "GAMEBALL_SECRET_KEY"])
@pytest.mark.parametrize("value", ["curly-quote-\N{RIGHT SINGLE QUOTATION MARK}", "two\nlines"])
def test_a_key_that_no_header_can_carry_is_found_before_the_first_call(
    name: str, value: str
) -> None:
    assert mistakes_of({name: value}) == {name: "has a character that a header cannot carry"}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("DATABASE_URL", "mysql://user:hidden@host/db"),
        ("DATABASE_URL", "var/vouch.db"),
        ("GAMEBALL_BASE_URL", "api.gameball.co"),
        ("GAMEBALL_BASE_URL", "ftp://api.gameball.co"),
    ],
)
def test_an_address_of_no_use_is_found_before_the_first_call(name: str, value: str) -> None:
    assert list(mistakes_of({name: value})) == [name]


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("sqlite://", "must name an SQLite file"),
        ("sqlite:///:memory:", "must name an SQLite file"),
        ("sqlitex", "is not an address"),
        ("sqlite3:///vouch.db", "must begin with sqlite:///"),
        ("sqlite+aiosqlite:///vouch.db", "must begin with sqlite:///"),
        ("postgresqlfoo", "is not an address"),
        ("postgresql://vouch:hidden@db:port/vouch", "is not an address"),
        ("postgresql+psycopg2://vouch:hidden@db/vouch", "must begin with sqlite:///"),
        # What stands behind the first one would be looked up as a host, and logged as one.
        ("postgresql://vouch:hid@den@db/vouch", "has more than one @"),
    ],
)
def test_an_address_that_no_database_can_have_is_a_mistake(url: str, problem: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        read_environment({"DATABASE_URL": url})

    [mistake] = caught.value.mistakes
    assert mistake.problem.startswith(problem)
    assert "hid" not in str(caught.value)
    assert "den" not in str(caught.value)


def test_a_driver_that_is_not_installed_is_told_with_how_to_have_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("app.settings.addresses.find_spec", lambda _: None)

    assert mistakes_of({"DATABASE_URL": FULL["DATABASE_URL"]}) == {
        "DATABASE_URL": "needs a driver: pip install 'vouch-rewards[postgres]'"
    }


def test_several_mistakes_are_reported_at_once(tmp_path: Path) -> None:
    found = mistakes_of(
        {
            "DATABASE_URL": "oracle://user:hidden@host/db",
            "GAMEBALL_BASE_URL": "somewhere",
            "GAMEBALL_API_KEY_FILE": str(tmp_path / "nowhere"),
        }
    )

    assert set(found) == {"DATABASE_URL", "GAMEBALL_BASE_URL", "GAMEBALL_API_KEY_FILE"}


@pytest.mark.parametrize(
    ("given", "used"),
    [
        ("postgres://u@h/d", "postgresql+psycopg://u@h/d"),
        ("postgresql://u@h/d", "postgresql+psycopg://u@h/d"),
        ("postgresql+psycopg://u@h/d", "postgresql+psycopg://u@h/d"),
        ("sqlite:////tmp/vouch.db", "sqlite:////tmp/vouch.db"),
    ],
)
def test_our_driver_is_named_for_the_operator(given: str, used: str) -> None:
    assert read_environment({"DATABASE_URL": given}).database_url == used


def test_the_embedded_keys_are_made_once_and_stay(tmp_path: Path) -> None:
    database = tmp_path / "vouch.db"

    first = embedded_secret_keys(database)
    second = embedded_secret_keys(database)

    assert first == second
    assert len(first) == 1
    assert len(first[0]) >= 43


def test_only_their_owner_may_read_the_embedded_keys(tmp_path: Path) -> None:
    embedded_secret_keys(tmp_path / "vouch.db")

    assert stat.S_IMODE((tmp_path / "secret_keys").stat().st_mode) == 0o600


def test_embedded_keys_can_be_rotated_by_hand(tmp_path: Path) -> None:
    (tmp_path / "secret_keys").write_text(f"new-{KEY},old-{KEY}\n")

    assert embedded_secret_keys(tmp_path / "vouch.db") == (f"new-{KEY}", f"old-{KEY}")


def test_processes_that_start_together_get_the_same_keys(tmp_path: Path) -> None:
    found: list[tuple[str, ...]] = []
    gate = threading.Barrier(8)

    def start() -> None:
        gate.wait()
        found.append(embedded_secret_keys(tmp_path / "vouch.db"))

    threads = [threading.Thread(target=start) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(found) == 8
    assert len(set(found)) == 1
    assert found[0] != ()


def test_a_key_file_left_empty_by_a_crash_is_an_error_and_not_a_service_without_keys(
    tmp_path: Path,
) -> None:
    (tmp_path / "secret_keys").write_text("")

    with pytest.raises(ConfigurationError, match="holds no key"):
        embedded_secret_keys(tmp_path / "vouch.db")


def test_a_key_file_that_we_may_not_read_is_told_by_its_name(tmp_path: Path) -> None:
    (tmp_path / "secret_keys").mkdir()

    with pytest.raises(ConfigurationError, match="secret_keys: cannot be read or made"):
        embedded_secret_keys(tmp_path / "vouch.db")


def test_an_environment_is_a_value() -> None:
    environment = read_environment(FULL)

    assert replace(environment) == environment
