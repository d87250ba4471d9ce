"""Does a command go right whose stdin, stdout or stderr was closed by whoever started it?"""

import os
import subprocess
import sys
from pathlib import Path

import pytest

OPENED = """
import os, sys
from app.cli.streams import hold_standard_streams, log_somewhere
hold_standard_streams()
log_somewhere()
first = os.open(sys.argv[1], os.O_CREAT | os.O_WRONLY)
print("said", file=sys.stderr, flush=True)
os.write(2, b"by a library")
sys.exit(first)
"""


@pytest.mark.parametrize("closed", [(0,), (1,), (2,), (0, 1, 2)])
def test_no_file_of_ours_gets_the_number_of_a_closed_stream(
    tmp_path: Path, closed: tuple[int, ...]
) -> None:
    file = tmp_path / "vouch.db"

    ended = subprocess.run(
        [sys.executable, "-c", OPENED, str(file)],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        preexec_fn=lambda: list(map(os.close, closed)),
        check=False,
    )

    assert ended.returncode > 2
    assert file.read_bytes() == b""
    told = "stderr is closed: the log goes to stdout\nsaid\n"
    assert ended.stdout == (told if closed == (2,) else "")
