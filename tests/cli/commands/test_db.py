"""`vouch db` gives a database its shape, copies it, and moves it."""

import json
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import delete, make_url, text

from app.domain.clock import utc_now
from app.storage.engines import sqlite_path
from app.storage.migrate import head
from app.storage.tables import HashKeyRow
from tests.cli.conftest import Vouch
from tests.storage.filled import contents, fill
from tests.storage.test_copy import execute


def plain(url: str) -> str:
    """As an operator writes it."""
    return url.replace("postgresql+psycopg://", "postgresql://")


def test_upgrade_says_where_the_database_is_now(
    run: Vouch, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("DATABASE_URL", f"sqlite:///{tmp_path / 'new.db'}")

    assert run("db", "upgrade").stdout == f"The database is at revision {head()}.\n"


def test_whoever_goes_back_to_this_version_is_told_that_the_database_is_of_a_newer_one(
    run: Vouch, monkeypatch: pytest.MonkeyPatch, database_url: str
) -> None:
    execute(database_url, text("UPDATE vouch_version SET version_num = 'from_the_future'"))
    monkeypatch.setenv("DATABASE_URL", plain(database_url))

    upgraded = run("db", "upgrade")
    listed = run("keys", "list")
    checked = run("check", "--offline")

    assert "is of a newer version than this one" in upgraded.stdout
    assert (upgraded.exit_code, listed.exit_code) == (0, 0)
    assert "of a newer version than this one" in " ".join(checked.stdout.split())
    assert "older version" not in checked.stdout


def test_a_copy_into_a_database_of_a_newer_version_is_refused(
    run: Vouch, sqlite_url: str, postgres_url: str
) -> None:
    execute(postgres_url, text("UPDATE vouch_version SET version_num = 'from_the_future'"))

    result = run("db", "copy", sqlite_url, plain(postgres_url))

    assert (result.exit_code, result.stderr) == (
        1,
        "Error: the target was migrated by a newer version\n",
    )


def test_copy_moves_everything_and_says_what_comes_next(
    run: Vouch, sqlite_url: str, postgres_url: str
) -> None:
    filled = fill(sqlite_url)
    keys = sqlite_path(sqlite_url).with_name("secret_keys")
    keys.write_text("a-key-that-nobody-else-may-see")

    result = run("db", "copy", sqlite_url, plain(postgres_url))

    assert result.exit_code == 0, result.output
    assert contents(postgres_url) == filled
    assert f"set VOUCH_SECRET_KEYS to what is in {keys}" in result.stdout
    assert "set DATABASE_URL to postgresql://" in result.stdout
    assert "a-key-that-nobody-else-may-see" not in result.output


def test_back_to_sqlite_the_keys_have_to_come_along(
    run: Vouch, sqlite_url: str, postgres_url: str
) -> None:
    result = run("db", "copy", plain(postgres_url), sqlite_url)

    assert "keep VOUCH_SECRET_KEYS set" in result.stdout


def test_copy_for_programs(run: Vouch, sqlite_url: str, tmp_path: Path) -> None:
    filled = fill(sqlite_url)

    told = run("db", "copy", sqlite_url, f"sqlite:///{tmp_path / 'copy.db'}", "--json").stdout

    assert {one["table"]: one["rows"] for one in json.loads(told)} == {
        name: len(rows) for name, rows in filled.items()
    }
    assert all(len(one["checksum"]) == 32 for one in json.loads(told))


def test_addresses_with_passwords_need_not_stand_on_the_command_line(
    run: Vouch, monkeypatch: pytest.MonkeyPatch, sqlite_url: str, postgres_url: str, tmp_path: Path
) -> None:
    filled = fill(sqlite_url)
    monkeypatch.setenv("OLD_DATABASE", sqlite_url)
    with_password = make_url(postgres_url).set(password="hush-hush")
    (tmp_path / "new").write_text(with_password.render_as_string(hide_password=False) + "\n")

    result = run("db", "copy", "env:OLD_DATABASE", f"file:{tmp_path / 'new'}")

    assert result.exit_code == 0, result.output
    assert contents(postgres_url) == filled
    assert "hush-hush" not in result.output


@pytest.mark.parametrize(
    "source",
    [
        "env:NOT_SET",
        "file:/not/there",
        "mysql://localhost/vouch",
        "sqlite://",
        "postgresql://a:b:c",
    ],
)
def test_what_is_no_database_is_told_without_a_traceback(
    run: Vouch, capsys: pytest.CaptureFixture[str], source: str
) -> None:
    from app.cli import main

    with pytest.raises(SystemExit) as left:
        main(["db", "copy", source, "sqlite:///new.db"])

    assert left.value.code == 2
    assert capsys.readouterr().err
    assert not Path("new.db").exists()


def test_a_copy_that_may_not_be_is_told_and_fails(run: Vouch, sqlite_url: str) -> None:
    result = run("db", "copy", sqlite_url, sqlite_url)

    assert result.exit_code == 1
    assert result.stderr == "Error: both are the same database\n"


def test_backup_writes_a_copy_and_names_the_keys_beside(
    run: Vouch, monkeypatch: pytest.MonkeyPatch, sqlite_url: str, tmp_path: Path
) -> None:
    filled = fill(sqlite_url)
    keys = sqlite_path(sqlite_url).with_name("secret_keys")
    keys.write_text("a-key-that-nobody-else-may-see")
    monkeypatch.setenv("DATABASE_URL", sqlite_url)

    result = run("db", "backup", "copy.db")

    assert result.exit_code == 0, result.output
    assert contents(f"sqlite:///{tmp_path / 'copy.db'}") == filled
    assert f"Keep {keys} too, elsewhere" in result.stdout
    assert run("db", "backup", "copy.db").exit_code == 1


def test_keys_that_were_given_are_to_be_kept_and_not_an_older_file_beside(
    run: Vouch, monkeypatch: pytest.MonkeyPatch, sqlite_url: str
) -> None:
    sqlite_path(sqlite_url).with_name("secret_keys").write_text("an-older-key-of-no-use-any-more")
    monkeypatch.setenv("DATABASE_URL", sqlite_url)
    monkeypatch.setenv("VOUCH_SECRET_KEYS", "the-key-that-opens-the-database")

    backup = run("db", "backup", "copy.db")
    copy = run("db", "copy", sqlite_url, "sqlite:///moved.db")

    assert "Keep VOUCH_SECRET_KEYS too" in backup.stdout
    assert "keep VOUCH_SECRET_KEYS set" in copy.stdout
    assert "secret_keys" not in backup.stdout + copy.stdout


def test_backup_leaves_postgres_to_its_own_tool(
    run: Vouch, monkeypatch: pytest.MonkeyPatch, postgres_url: str
) -> None:
    monkeypatch.setenv("DATABASE_URL", postgres_url)

    result = run("db", "backup", "copy.db")

    assert result.exit_code == 1
    assert "pg_dump" in result.stderr


def test_restored_says_how_many_are_looked_up_first(
    run: Vouch, monkeypatch: pytest.MonkeyPatch, database_url: str
) -> None:
    filled = fill(database_url)
    # Not a key that any of ours opens.
    execute(database_url, delete(HashKeyRow))
    monkeypatch.setenv("DATABASE_URL", plain(database_url))

    result = run("db", "restored", "--to", "2026-11-24T05:00:00+02:00")

    assert result.exit_code == 0, result.output
    owed = len(filled["attempts"])
    assert result.stdout == (
        f"{owed} attempts may have been sent since 2026-11-24T03:00:00.000Z: they will be looked "
        "up at Gameball before they are sent.\n"
    )
    told = [row["message"] for row in contents(database_url)["submissions"]]
    assert sum("restored to an older moment" in (one or "") for one in told) == owed
    audit = contents(database_url)["audit"]
    (entry,) = [row for row in audit if row["change"] == "database.restored"]
    assert entry["caused_by"].startswith("cli")
    assert json.loads(entry["details"])["attempts"] == owed


def test_restored_to_a_moment_that_is_yet_to_come_would_pay_again_and_is_refused(
    run: Vouch, monkeypatch: pytest.MonkeyPatch, sqlite_url: str
) -> None:
    fill(sqlite_url)
    execute(sqlite_url, delete(HashKeyRow))
    monkeypatch.setenv("DATABASE_URL", sqlite_url)
    before = contents(sqlite_url)

    result = run("db", "restored", "--to", f"{utc_now() + timedelta(hours=2):%Y-%m-%dT%H:%M}")

    assert result.exit_code == 2
    assert "is yet to come" in result.stderr
    assert contents(sqlite_url) == before


def test_restored_knows_when_the_backup_was_made_and_forgets_it(
    run: Vouch, monkeypatch: pytest.MonkeyPatch, sqlite_url: str, tmp_path: Path
) -> None:
    fill(sqlite_url)
    execute(sqlite_url, delete(HashKeyRow))
    monkeypatch.setenv("DATABASE_URL", sqlite_url)
    run("db", "backup", str(tmp_path / "copy.db"))
    monkeypatch.setenv("DATABASE_URL", f"sqlite:///{tmp_path / 'copy.db'}")

    result, again = run("db", "restored"), run("db", "restored")

    assert result.exit_code == 0, result.output
    assert f"may have been sent since {utc_now():%Y-%m-%dT%H}" in result.stdout
    assert again.exit_code == 2
    assert "was marked already" in again.stderr


def test_restored_wants_to_know_to_when(run: Vouch) -> None:
    assert run("db", "restored").exit_code == 2
