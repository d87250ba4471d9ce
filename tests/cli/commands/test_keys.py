"""`vouch keys` makes keys that open the API, and closes them again."""

import json

import pytest

from app.domain.clock import utc_now
from app.steps.keys import Role, holder
from app.storage.database import Database
from tests.cli.conftest import Vouch
from tests.keys import KEYS


@pytest.fixture
def _database(monkeypatch: pytest.MonkeyPatch, sqlite_url: str) -> None:
    monkeypatch.setenv("DATABASE_URL", sqlite_url)


def opened_by(url: str, key: str) -> Role | None:
    database = Database(url, secret_keys=KEYS)
    try:
        with database.read() as connection:
            found = holder(connection, key)
    finally:
        database.close()
    return found.role if found else None


@pytest.mark.parametrize("role", list(Role))
@pytest.mark.usefixtures("_database")
def test_a_key_that_was_made_opens_what_its_role_may(
    run: Vouch, sqlite_url: str, role: Role
) -> None:
    told = json.loads(run("keys", "create", "--role", role.value, "--name", "me", "--json").stdout)

    assert set(told) == {"id", "role", "name", "key"}
    assert opened_by(sqlite_url, told["key"]) is role


@pytest.mark.usefixtures("_database")
def test_a_key_is_shown_once_and_listed_without_itself(run: Vouch) -> None:
    made = run("keys", "create", "--role", "viewer", "--name", "me").stdout.splitlines()

    listed = run("keys", "list").stdout
    as_json = json.loads(run("keys", "list", "--json").stdout)

    assert made[0].endswith("It is shown only now:")
    assert made[1] not in listed
    assert [(row["role"], row["name"], row["revokedAt"]) for row in as_json] == [
        ("viewer", "me", None)
    ]
    assert as_json[0]["createdAt"][:10] == utc_now().isoformat()[:10]


@pytest.mark.parametrize("name", ["", " ", "n" * 256, "two\nlines"])
@pytest.mark.usefixtures("_database")
def test_a_name_that_no_database_could_take_or_no_line_show_is_refused(
    run: Vouch, name: str
) -> None:
    made = run("keys", "create", "--role", "viewer", "--name", name)

    assert made.exit_code == 2
    assert json.loads(run("keys", "list", "--json").stdout) == []


@pytest.mark.usefixtures("_database")
def test_a_revoked_key_opens_nothing_and_is_revoked_once(run: Vouch, sqlite_url: str) -> None:
    made = json.loads(run("keys", "create", "--role", "admin", "--name", "me", "--json").stdout)

    revoked, again = run("keys", "revoke", made["id"]), run("keys", "revoke", made["id"])

    assert revoked.exit_code == 0
    assert again.exit_code == 1
    assert opened_by(sqlite_url, made["key"]) is None
    assert json.loads(run("keys", "list", "--json").stdout)[0]["revokedAt"]


@pytest.mark.parametrize("wrong", [("--role", "king", "--name", "me"), ("--role", "admin"), ()])
def test_a_key_without_a_role_or_a_name_is_a_usage_error(
    run: Vouch, wrong: tuple[str, ...]
) -> None:
    assert run("keys", "create", *wrong).exit_code == 2


@pytest.mark.usefixtures("_database")
def test_who_made_and_revoked_a_key_is_audited_without_the_key(run: Vouch) -> None:
    told = json.loads(run("keys", "create", "--role", "admin", "--name", "me", "--json").stdout)
    run("keys", "revoke", told["id"])

    audited = run("audit", "--subject", told["id"], "--json").stdout

    entries = json.loads(audited)["items"]
    assert [entry["change"] for entry in entries] == ["key.revoked", "key.created"]
    assert all(entry["by"].startswith("cli") for entry in entries)
    assert told["key"] not in audited
