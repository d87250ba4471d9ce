"""Where does a command listen, and whom does it call?"""

from ipaddress import ip_address
from urllib.parse import urlsplit

import click


def split_address(bind: str) -> tuple[str, int]:
    """``HOST:PORT``, ``:PORT`` or ``[::1]:PORT``; port 0 is any free one."""
    host, colon, port = bind.rpartition(":")
    if not colon or not port.isdigit() or int(port) > 65_535:
        raise click.BadParameter("write HOST:PORT", param_hint="--bind")
    return host.strip("[]") or "127.0.0.1", int(port)


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
