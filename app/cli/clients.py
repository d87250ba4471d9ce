"""HTTP clients of commands."""

from app.cli.address import is_loopback
from app.outgoing.http import Client


def new_client(url: str) -> Client:
    """A client for a service. The environment's proxies are not for this machine."""
    return Client(uses_proxies=not is_loopback(url))
