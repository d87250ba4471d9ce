"""Does the wheel carry all that `vouch` needs, wherever it is installed and run?"""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, unpacked into a folder that has nothing else."""
    folder = tmp_path_factory.mktemp("wheel")
    pip = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation"]
    subprocess.run([*pip, "--wheel-dir", str(folder), str(ROOT)], check=True, cwd=folder)
    target = folder / "site"
    with zipfile.ZipFile(next(folder.glob("*.whl"))) as wheel:
        wheel.extractall(target)
    return target


def vouch(installed: Path, cwd: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {
        **{name: value for name, value in os.environ.items() if "VOUCH" not in name},
        "PYTHONPATH": str(installed),
        "DATABASE_URL": f"sqlite:///{cwd}/vouch.db",
    }
    return subprocess.run(
        [sys.executable, "-m", "app", *arguments],
        cwd=cwd,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_it_migrates_a_database_from_any_folder(installed: Path, tmp_path: Path) -> None:
    done = vouch(installed, tmp_path, "db", "upgrade")

    assert done.returncode == 0, done.stderr
    assert "revision" in done.stdout
    assert (tmp_path / "vouch.db").exists()


@pytest.mark.parametrize(
    "path",
    [
        "app/_config/gunicorn.conf.py",
        "app/_config/vouch.example.toml",
        "app/_migrations/env.py",
        "app/web/api/templates/docs.html",
        "app/web/api/static/docs.css",
        "app/py.typed",
    ],
)
def test_it_carries_what_is_not_code(installed: Path, path: str) -> None:
    assert (installed / path).is_file()


def test_it_sends_examples(installed: Path, tmp_path: Path) -> None:
    listed = vouch(installed, tmp_path, "send", "twitch", "--list")

    assert listed.returncode == 0, listed.stderr
    assert "follow" in listed.stdout
