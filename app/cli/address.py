"""Where does a command listen, and whom does it call?"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from ipaddress import ip_address
from urllib.parse import urlsplit

import click


def split_address(bind: str, option: str = "--bind") -> tuple[str, int]:
    """``HOST:PORT``, ``:PORT`` or ``[::1]:PORT``; port 0 is any free one."""
    host, colon, port = bind.rpartition(":")
    if not colon or not re.fullmatch("[0-9]{1,5}", port) or int(port) > 65_535:
        raise click.BadParameter("write HOST:PORT", param_hint=option)
    return host.strip("[]") or "127.0.0.1", int(port)


@contextmanager
def listening(bind: str) -> Iterator[None]:
    """Tell of an address that cannot be had. Only around what takes it."""
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
    """Whether a web address cannot leave this machine."""
    host = urlsplit(url).hostname or ""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")
