"""TypeScript types are generated from the document, compiled with `tsc`, and used in a script."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from app.steps.keys import Role
from tests.clients.conftest import Running

# It fetches packages and compiles.
pytestmark = pytest.mark.timeout(400)

SOURCES = Path(__file__).parent / "typescript"
PACKAGES = ("package.json", "package-lock.json", ".npmrc")
ACCOUNT_ID = "stranger-typescript"


@pytest.fixture
def folder(request: pytest.FixtureRequest) -> Path:
    """The script with its packages, which are fetched once for each lock file."""
    if not shutil.which("npm"):
        # `.ci/packages` installs them.
        assert "CI" not in os.environ, "node and npm are not installed"
        pytest.skip("node and npm are not installed")
    cached = request.config.cache.mkdir("typescript-client")
    lock = cached / "package-lock.json"
    is_fetched = lock.is_file() and lock.read_bytes() == (SOURCES / lock.name).read_bytes()
    if not is_fetched:
        for name in (PACKAGES[0], PACKAGES[2]):
            shutil.copy(SOURCES / name, cached)
        # Last, and only where it is whole: its lock file says what is there.
        shutil.copy(SOURCES / lock.name, cached / "package-lock.json")
        try:
            run(cached, "npm", "ci", "--no-audit", "--no-fund", "--ignore-scripts")
        except BaseException:
            lock.unlink()
            raise
    for name in ("story.ts", "tsconfig.json"):
        shutil.copy(SOURCES / name, cached)
    return cached


def run(folder: Path, *command: str, **variables: str) -> str:
    done = subprocess.run(
        command,
        cwd=folder,
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_types_compile_and_a_script_uses_them_with_each_role(
    folder: Path, running: Running
) -> None:
    (folder / "openapi.json").write_text(running.document(), "utf-8")
    running.follow(ACCOUNT_ID)
    keys = {f"VOUCH_{role.upper()}_KEY": key for role, key in running.keys.items()}

    run(folder, "node_modules/.bin/openapi-typescript", "openapi.json", "--output", "api.d.ts")
    run(folder, "node_modules/.bin/tsc")
    told = run(
        folder,
        "node",
        "built/story.js",
        VOUCH_URL=running.url,
        VOUCH_CHALLENGE_ID=str(running.claimed_challenge_id),
        VOUCH_PLATFORM=running.offer.adapter.name,
        VOUCH_ACCOUNT_ID=ACCOUNT_ID,
        **keys,
    )

    assert told == "as promised\n"
    assert {f"VOUCH_{role.upper()}_KEY" for role in Role} == set(keys)


def test_the_lock_file_names_no_registry() -> None:
    lock = (SOURCES / "package-lock.json").read_text("utf-8")

    assert '"resolved"' not in lock
