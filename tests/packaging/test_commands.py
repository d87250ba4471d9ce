"""Does `make test` run both of its halves, and end badly when either does?"""

import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
# Stands for the virtual environment's: it only notes what it was asked, and ends as it is told.
PYTHON = """#!/bin/sh
echo "ran $*; failed before:$FAILED_BEFORE"
case "$*" in *"-m hard"*) exit {hard};; *) exit {rest};; esac
"""


@pytest.mark.skipif(shutil.which("make") is None, reason="needs make")
@pytest.mark.parametrize(("hard", "rest"), [(0, 0), (1, 0), (0, 1), (1, 1)])
def test_both_halves_run_and_either_failure_is_the_end(
    tmp_path: Path, hard: int, rest: int
) -> None:
    python = tmp_path / "bin" / "python"
    python.parent.mkdir()
    python.write_text(PYTHON.format(hard=hard, rest=rest), "utf-8")
    python.chmod(0o755)
    (tmp_path / ".ready").touch()

    done = subprocess.run(
        ["make", "test", f"VENV={tmp_path}"],
        cwd=ROOT,
        env={"PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    ran = [line for line in done.stdout.splitlines() if line.startswith("ran -m pytest")]
    assert (done.returncode == 0) is (hard == rest == 0), done.stdout + done.stderr
    assert [" -m hard;" in line for line in ran] == [True, False]
    assert ("the hard tests" in ran[1]) is bool(hard)
