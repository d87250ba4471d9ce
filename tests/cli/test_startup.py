"""What must a short command not import, so that nobody waits for it?"""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from app.cli import COMMANDS

ROOT = Path(__file__).parents[2]
DATABASES = ("sqlalchemy", "alembic", "cryptography")
NEVER = ("flask", "gunicorn", "requests", "structlog", "app.platforms", "app.service", "pydantic")
PROGRAM = """
import sys
from app.cli import main
try:
    main(sys.argv[1:])
except SystemExit:
    pass
print("\\n".join(sys.modules), file=sys.stderr)
"""


def imported(*arguments: str, folder: Path, **variables: str) -> set[str]:
    result = subprocess.run(
        [sys.executable, "-c", PROGRAM, *arguments],
        capture_output=True,
        text=True,
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT), **variables},
        check=True,
    )
    return set(result.stderr.splitlines())


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    imported("keys", "create", "--role", "admin", "--name", "me", folder=tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("arguments", "forbidden"),
    [
        (["--help"], (*NEVER, *DATABASES, "app.cli.commands")),
        (["keys", "list"], (*NEVER, *DATABASES)),
        (["attempts", "--help"], (*NEVER, *DATABASES)),
        (["identities", "link", "--help"], (*NEVER, *DATABASES)),
        (["attempts", "list"], (*NEVER, "alembic", "sqlalchemy.orm")),
    ],
)
def test_a_short_command_imports_only_what_it_needs(
    folder: Path, arguments: list[str], forbidden: tuple[str, ...]
) -> None:
    modules = imported(*arguments, folder=folder)

    assert modules.isdisjoint(forbidden)


@pytest.mark.parametrize("words", ["vouch ", "vouch attempts ", "vouch attempts list --st"])
def test_a_completion_imports_only_what_it_needs(folder: Path, words: str) -> None:
    number = str(len(words.split(" ")) - 1)
    variables = {"_VOUCH_COMPLETE": "bash_complete", "COMP_WORDS": words, "COMP_CWORD": number}

    modules = imported(folder=folder, **variables)

    assert modules.isdisjoint((*NEVER, *DATABASES))


def test_every_command_can_be_imported() -> None:
    assert all(lazy.module.startswith("app.cli.") for lazy in COMMANDS.values())
