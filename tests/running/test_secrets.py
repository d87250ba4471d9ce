"""Does config/secrets.sh make what compose.yaml wants, without ever taking anything away?"""

import os
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from app.settings.environment import read_environment

ROOT = Path(__file__).parents[2]

pytestmark = pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not there")


def make(folder: Path) -> str:
    command = ["sh", str(ROOT / "config/secrets.sh")]
    return subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True).stdout


def contents(folder: Path) -> dict[str, str]:
    return {one.name: one.read_text() for one in (folder / "secrets").iterdir()}


def test_every_secret_of_the_compose_file_is_made(tmp_path: Path) -> None:
    make(tmp_path)

    wanted = yaml.safe_load((ROOT / "compose.yaml").read_text("utf-8"))["secrets"]
    assert set(contents(tmp_path)) == set(wanted)


def test_nobody_else_may_enter_and_every_container_may_read(tmp_path: Path) -> None:
    make(tmp_path)

    assert (tmp_path / "secrets").stat().st_mode & 0o777 == 0o700
    assert all(one.stat().st_mode & 0o444 == 0o444 for one in (tmp_path / "secrets").iterdir())


def test_what_is_there_stays(tmp_path: Path) -> None:
    make(tmp_path)
    (tmp_path / "secrets" / "gameball_api_key").write_text("theirs")
    before = contents(tmp_path)

    told = make(tmp_path)

    assert contents(tmp_path) == before
    assert "made" not in told


def test_two_installations_have_nothing_in_common(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        make(tmp_path / name)

    one, two = contents(tmp_path / "one"), contents(tmp_path / "two")
    assert not [name for name in one if one[name] and one[name] == two[name]]


def test_the_service_reads_them(tmp_path: Path) -> None:
    make(tmp_path)
    folder = tmp_path / "secrets"
    (folder / "gameball_api_key").write_text("an-api-key\n")

    environment = read_environment(
        {
            "DATABASE_URL_FILE": str(folder / "database_url"),
            "VOUCH_SECRET_KEYS_FILE": str(folder / "vouch_secret_keys"),
            "GAMEBALL_API_KEY_FILE": str(folder / "gameball_api_key"),
            "GAMEBALL_SECRET_KEY_FILE": str(folder / "gameball_secret_key"),
        }
    )

    password = (folder / "database_password").read_text().strip()
    assert environment.database_url == f"postgresql+psycopg://vouch:{password}@postgres/vouch"
    assert len(environment.secret_keys[0]) == 48
    assert not environment.has_gameball_credentials
    assert os.access(folder / "tls_key", os.R_OK)
