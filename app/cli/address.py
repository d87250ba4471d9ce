"""Where does a command listen?"""

import click


def split_address(bind: str) -> tuple[str, int]:
    """``HOST:PORT``, ``:PORT`` or ``[::1]:PORT``; port 0 is any free one."""
    host, colon, port = bind.rpartition(":")
    if not colon or not port.isdigit() or int(port) > 65_535:
        raise click.BadParameter("write HOST:PORT", param_hint="--bind")
    return host.strip("[]") or "127.0.0.1", int(port)
