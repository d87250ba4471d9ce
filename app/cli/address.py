"""Addresses that commands listen on or call."""

import errno
import os
import re
import socket
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from ipaddress import ip_address
from pathlib import Path
from urllib.parse import urlsplit

import click

UNIX = "unix:"
# The longest path of a socket on Linux, in bytes. Other systems allow a little less.
MOST_PATH = 107


def split_address(bind: str, option: str = "--bind") -> tuple[str, int]:
    """Split ``HOST:PORT``, ``:PORT`` or ``[::1]:PORT``. Port 0 means any free port."""
    host, colon, port = bind.rpartition(":")
    if not colon or not re.fullmatch("[0-9]{1,5}", port) or int(port) > 65_535:
        raise click.BadParameter("write HOST:PORT", param_hint=option)
    return host.strip("[]") or "127.0.0.1", int(port)


def web_address(bind: str) -> str:
    """Return ``HOST:PORT`` or ``unix:PATH`` in gunicorn's form, so that it listens nowhere else."""
    if bind.startswith(UNIX):
        return bind
    host, port = split_address(bind)
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def require_free_path(bind: str) -> None:
    """Raise if gunicorn must not create a socket at ``unix:PATH``.

    gunicorn would replace the socket of a running service. It may replace an abandoned socket.
    """
    path = Path(bind.removeprefix(UNIX).removeprefix("//"))
    with listening(bind):
        if len(os.fsencode(path)) > MOST_PATH:
            raise OSError(errno.ENAMETOOLONG, f"the path has more than {MOST_PATH} bytes")
        if not path.parent.is_dir():
            raise OSError(errno.ENOENT, f"there is no folder {path.parent}")
        if not path.exists():
            return
        if not stat.S_ISSOCK(path.stat().st_mode):
            raise OSError(errno.EEXIST, "something else than a socket is there")
        with socket.socket(socket.AF_UNIX) as probe, suppress(ConnectionRefusedError):
            probe.settimeout(1)
            probe.connect(str(path))
            raise OSError(errno.EADDRINUSE, "another process listens there")


def require_free_port(bind: str) -> None:
    """Raise if gunicorn could not listen on ``HOST:PORT``: it would retry for seconds."""
    host, _, port = bind.rpartition(":")
    if not port.isdecimal() or int(port) == 0:
        return
    with listening(bind):
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        with socket.socket(family) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((host.strip("[]") or "0.0.0.0", int(port)))  # noqa: S104 -- as gunicorn does


@contextmanager
def listening(bind: str) -> Iterator[None]:
    """Turn an `OSError` into a message about the address. Use it only around the bind."""
    try:
        yield
    except OSError as error:
        raise click.ClickException(f"cannot listen at {bind}: {error.strerror}") from None


def is_web_address(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False


def is_loopback(url: str) -> bool:
    """Whether the URL's host is this machine."""
    host = urlsplit(url).hostname or ""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")
