"""What if whoever started us closed stdin, stdout or stderr?"""

import contextlib
import os
import sys
from typing import IO

import click

_CLOSED: set[int] = set()


def hold_standard_streams() -> None:
    """Open what is closed, to nowhere.

    Else the next file or socket gets that number, and what a library writes to stderr goes into the
    database.
    """
    for descriptor in (0, 1, 2):
        try:
            os.fstat(descriptor)
        except OSError:
            # The least free number is given, and those below are open by now.
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)
            _CLOSED.add(descriptor)
    sys.stdin = sys.stdin or _opened(0, "r")
    sys.stdout = sys.stdout or _opened(1, "w")
    sys.stderr = sys.stderr or _opened(2, "w")


def log_somewhere() -> None:
    """Let a service whose stderr is closed log to stdout, and say so in a line."""
    if 2 in _CLOSED and 1 not in _CLOSED:
        with contextlib.suppress(OSError):
            click.echo("stderr is closed: the log goes to stdout")
        sys.stderr = sys.stdout


def _opened(descriptor: int, mode: str) -> IO[str]:
    return open(descriptor, mode, encoding="utf-8", closefd=False)
