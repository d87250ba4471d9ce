"""Do secrets that lie in a checkout stay out of the wheel, the sdist and the image?"""

import re
import shutil
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.packaging.docker_ignore import sent

ROOT = Path(__file__).parents[2]
# Not in one piece: this file is in the sdist.
SECRET = "-".join(("planted", "by", "the", "test"))
# Files of everyday life: of the README's tour, of editors, of deployments.
PLANTED = (
    ".env",
    ".env.local",
    "prod.env",
    "server.pem",
    "vouch.toml",
    "secrets/TWITCH_SECRET",
    "secrets/nested/gameball.key",
    "var/vouch.db",
    "var/vouch.keys",
    "config/.env",
    "config/vouch.toml",
    "config/vouch.prod.toml",
    "config/vouch.toml.bak",
    "config/prod.env",
    "config/example.env.local",
    "config/server.pem",
    "config/secrets/TWITCH_SECRET",
    "config/proxy/tls.key",
    "app/.env",
    "app/prod.env",
    "app/server.pem",
    "app/vouch.toml",
    "app/secrets/TWITCH_SECRET",
    "app/var/vouch.db",
    "app/cli/demo/.env",
    "app/cli/demo/prod.toml",
    "app/platforms/.env",
    "app/platforms/examples/kick/.env",
    "app/platforms/examples/kick/private.pem",
    "app/platforms/examples/twitch/secret.txt",
    "app/web/api/static/server.pem",
    "app/web/api/templates/.env",
    "app/web/api/templates/page.html.bak",
    "migrations/.env",
    "migrations/vouch.db",
    "migrations/versions/dump.sql",
    "tests/.env",
    "tests/hard/prod.env",
    "tests/web/key.pem",
)
BUILT_WITH = {"LICENSE", "README.md", "constraints.txt", "pyproject.toml"}


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of ours with secrets in it. Without `.gitignore`, which would hide some of them."""
    folder = tmp_path_factory.mktemp("checkout") / "vouch"
    unwanted = shutil.ignore_patterns(
        ".git*", ".venv*", ".*_cache", ".hypothesis", "__pycache__", "var", "secrets", "dist"
    )
    shutil.copytree(ROOT, folder, ignore=unwanted)
    for path in PLANTED:
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(f"{SECRET} {path}", "utf-8")
    return folder


def built(checkout: Path, target: str) -> Path:
    folder = checkout.parent / target
    build = [sys.executable, "-m", "hatchling", "build", "--target", target]
    subprocess.run(
        [*build, "--directory", str(folder)], cwd=checkout, check=True, capture_output=True
    )
    [archive] = folder.iterdir()
    return archive


@pytest.fixture(scope="module")
def wheel(checkout: Path) -> Mapping[str, bytes]:
    with zipfile.ZipFile(built(checkout, "wheel")) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


@pytest.fixture(scope="module")
def sdist(checkout: Path) -> Mapping[str, bytes]:
    with tarfile.open(built(checkout, "sdist")) as archive:
        files = {one.name: archive.extractfile(one) for one in archive.getmembers()}
        return {
            name.split("/", 1)[1]: file.read() for name, file in files.items() if file is not None
        }


def in_checkout(wheel: Mapping[str, bytes]) -> set[str]:
    """Where the wheel's files, its own metadata aside, come from."""
    moved = {"app/_migrations/": "migrations/", "app/_config/": "config/"}
    names = {name for name in wheel if ".dist-info/" not in name}
    for to, came_from in moved.items():
        names = {came_from + name[len(to) :] if name.startswith(to) else name for name in names}
    return names


def leaked(packed: Mapping[str, bytes]) -> list[str]:
    return [name for name, data in packed.items() if SECRET.encode() in data]


def test_the_wheel_has_none(wheel: Mapping[str, bytes]) -> None:
    assert leaked(wheel) == []


def test_the_sdist_has_none(sdist: Mapping[str, bytes]) -> None:
    assert leaked(sdist) == []


def test_the_engine_that_builds_the_image_gets_none(
    checkout: Path, wheel: Mapping[str, bytes]
) -> None:
    files = {str(one.relative_to(checkout)) for one in checkout.rglob("*") if one.is_file()}

    got = sent(files, ROOT / ".dockerignore")

    assert got.isdisjoint(PLANTED)
    assert got == in_checkout(wheel) | BUILT_WITH


def test_a_wheel_built_from_the_sdist_is_the_same(
    wheel: Mapping[str, bytes], sdist: Mapping[str, bytes], tmp_path: Path
) -> None:
    for name, data in sdist.items():
        (tmp_path / "sdist" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "sdist" / name).write_bytes(data)

    with zipfile.ZipFile(built(tmp_path / "sdist", "wheel")) as archive:
        again = set(archive.namelist())

    assert again == set(wheel)


def test_everything_that_the_program_needs_is_packed(
    wheel: Mapping[str, bytes], sdist: Mapping[str, bytes]
) -> None:
    """A file of a new kind: name it in pyproject.toml and in .dockerignore."""
    if shutil.which("git") is None or not (ROOT / ".git").exists():
        pytest.skip("needs git and a clone")
    listed = ["git", "ls-files", "-z", "app", "migrations", "tests"]
    done = subprocess.run(listed, cwd=ROOT, check=True, capture_output=True, text=True)
    ours = {name for name in done.stdout.split("\0") if name and (ROOT / name).exists()}

    assert {name for name in ours if not name.startswith("tests/")} - in_checkout(wheel) == set()
    assert ours - set(sdist) == set()


def test_git_leaves_out_a_configuration_that_is_filled_in() -> None:
    ignored = (ROOT / ".gitignore").read_text("utf-8").splitlines()

    assert {"config/vouch.toml", "*.env", "!config/example.env", "secrets/", "var/"} <= set(ignored)


def test_it_is_installed_under_its_own_name_and_run_as_vouch() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]

    assert project["name"] == "vouch-rewards"
    assert project["scripts"] == {"vouch": "app.cli:main"}


@pytest.mark.parametrize("place", ["README.md", "CONTRIBUTING.md", "docs", "app", "config"])
def test_nobody_is_sent_to_the_other_product_of_the_name(place: str) -> None:
    """`pip install vouch` would install it."""
    files = [ROOT / place] if (ROOT / place).is_file() else (ROOT / place).rglob("*")
    wrong = [
        f"{file.name}: {line.strip()}"
        for file in files
        if file.suffix in (".md", ".py", ".toml", ".env", ".sh")
        for line in file.read_text("utf-8").splitlines()
        if re.search(r"\bvouch\[|\binstall\b[^|&#]*[\s'\"]vouch(?![-\w.:/])", line)
    ]

    assert wrong == []
