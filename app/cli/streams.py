"""Handle a closed stdin, stdout or stderr."""

import contextlib
import os
import sys
from typing import IO

import click

_CLOSED: set[int] = set()


def hold_standard_streams() -> None:
    """Open closed standard streams on the null device.

    Otherwise the next file or socket gets that descriptor, and a library that writes to stderr
    would write into the database.
    """
    for descriptor in (0, 1, 2):
        try:
            os.fstat(descriptor)
        except OSError:
            # `open` returns the lowest free descriptor, and all below this one are open.
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)
            _CLOSED.add(descriptor)
    sys.stdin = sys.stdin or _opened(0, "r")
    sys.stdout = sys.stdout or _opened(1, "w")
    sys.stderr = sys.stderr or _opened(2, "w")


def log_somewhere() -> None:
    """If stderr is closed, log to stdout and print a line about it."""
    if 2 in _CLOSED and 1 not in _CLOSED:
        with contextlib.suppress(OSError):
            click.echo("stderr is closed: the log goes to stdout")
        sys.stderr = sys.stdout


def _opened(descriptor: int, mode: str) -> IO[str]:
    return open(descriptor, mode, encoding="utf-8", closefd=False)
