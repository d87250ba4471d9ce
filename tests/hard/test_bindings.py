"""Is a callback taken wherever `vouch serve --bind` listens?"""

import http.client
import socket
import stat
from pathlib import Path

import pytest

from tests.hard.conftest import Survived
from tests.hard.harness import Installation, free_port
from tests.hard.history import History
from tests.hard.platform import follow

pytestmark = [pytest.mark.hard, pytest.mark.timeout(120)]


def has_ipv6() -> bool:
    try:
        with socket.create_server(("::1", 0), family=socket.AF_INET6):
            return True
    except OSError:
        return False


@pytest.mark.parametrize("database_url", ["sqlite", "postgres"], indirect=True)
def test_a_callback_in_pieces_is_taken_at_every_address(
    installation: Installation, history: History, survived: Survived, tmp_path: Path
) -> None:
    path, port = tmp_path / "vouch.sock", free_port()
    more = ["--bind", f"unix:{path}"] + (["--bind", f"[::1]:{port}"] if has_ipv6() else [])
    web = installation.serve("--no-worker", *more)
    addresses: list[object] = [("127.0.0.1", web.port), str(path)]
    addresses += [("::1", port)] if has_ipv6() else []

    for number, address in enumerate(addresses):
        raw = follow(f"event-{number}", "account-1").as_bytes()
        head = raw.index(b"\r\n\r\n") + 4
        for cut in (head // 2, head, len(raw) - 1):
            assert ask(address, raw[:cut], raw[cut:]) == 204

    mode = stat.S_IMODE(path.stat().st_mode)
    web.stop()
    assert mode == 0o770
    assert not path.exists()
    assert len(history.event_keys()) == len(addresses)
    survived(faults=3 * len(addresses))


def ask(address: object, *pieces: bytes) -> int:
    family = socket.AF_UNIX if isinstance(address, str) else socket.AF_INET
    if isinstance(address, tuple) and ":" in address[0]:
        family = socket.AF_INET6
    with socket.socket(family) as client:
        client.settimeout(10)
        client.connect(address)  # type: ignore[arg-type]
        for piece in pieces:
            client.sendall(piece)
            client.settimeout(0.1)
            try:
                assert client.recv(1, socket.MSG_PEEK) != b"", "hung up half-way"
            except TimeoutError:
                client.settimeout(10)
        answer = http.client.HTTPResponse(client)
        answer.begin()
        return answer.status
