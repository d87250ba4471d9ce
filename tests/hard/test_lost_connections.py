"""What does a connection that breaks prove? Only one that never was proves "not sent"."""

import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from ipaddress import IPv4Address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
)
from cryptography.x509.oid import NameOID

from app.domain.answers import Answer, Outcome
from app.domain.clock import utc_now
from app.gameball.client import GameballAccount, GameballClient

pytestmark = [pytest.mark.hard, pytest.mark.timeout(60)]

Talk = Callable[[socket.socket], None]


@contextmanager
def listening(talk: Talk, certificate: Path | None = None) -> Iterator[str]:
    """A server on loopback that talks to one caller in its own way; its URL."""
    context = None
    if certificate is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)

    def serve() -> None:
        raw, _ = listener.accept()
        with raw:
            try:
                talk(context.wrap_socket(raw, server_side=True) if context else raw)
            except OSError:
                return  # the caller gave up

    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(10)
        thread = threading.Thread(target=serve)
        thread.start()
        port = listener.getsockname()[1]
        yield f"{'https' if certificate else 'http'}://127.0.0.1:{port}"
        thread.join()


def submit(url: str) -> tuple[Answer, float]:
    """One submission to ``url``, and how many seconds it took."""
    client = GameballClient(
        GameballAccount(
            base_url=url,
            api_version="v4.1",
            api_key="key",
            secret_key="secret",
            connect_timeout=0.5,
            read_timeout=0.5,
        )
    )
    began = time.monotonic()
    try:
        return client.submit("ann", 7, None, None), time.monotonic() - began
    finally:
        client.close()


def read_all_of(connection: socket.socket) -> None:
    received = b""
    while b"}" not in received:
        received += connection.recv(65_536)


def drip(connection: socket.socket) -> None:
    """Answer a byte at a time, each in time for the read time-out."""
    read_all_of(connection)
    connection.sendall(b"HTTP/1.1 202 Accepted\r\nContent-Length: 1000\r\n\r\n")
    for _ in range(1000):
        connection.sendall(b" ")
        time.sleep(0.1)


def hang_up(connection: socket.socket) -> None:
    read_all_of(connection)
    # Without TLS's own goodbye, as when a machine or a load balancer goes away.
    socket.socket(fileno=connection.detach()).close()


def garble(connection: socket.socket) -> None:
    """Break off TLS in mid-stream, as a failing load balancer does."""
    read_all_of(connection)
    with socket.socket(fileno=connection.detach()) as raw:
        raw.sendall(b"HTTP/1.1 502 Bad Gateway\r\n\r\n")


@pytest.fixture
def certificate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A certificate for 127.0.0.1 that our client trusts, with its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(utc_now() - timedelta(days=1))
        .not_valid_after(utc_now() + timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(IPv4Address("127.0.0.1"))]), critical=False
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path / "certificate.pem"
    path.write_bytes(
        made.public_bytes(Encoding.PEM)
        + key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    )
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(path))
    return path


def test_a_connection_closed_after_sending_proves_nothing() -> None:
    with listening(hang_up) as url:
        answer, _ = submit(url)

    assert answer.outcome is Outcome.UNKNOWN


@pytest.mark.parametrize("talk", [hang_up, garble])
def test_a_tls_connection_broken_after_sending_proves_nothing(
    certificate: Path, talk: Talk
) -> None:
    with listening(talk, certificate) as url:
        answer, _ = submit(url)

    assert answer.outcome is Outcome.UNKNOWN


def test_a_certificate_that_is_not_trusted_proves_that_nothing_was_sent(
    certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("REQUESTS_CA_BUNDLE")

    with listening(read_all_of, certificate) as url:
        answer, _ = submit(url)

    assert answer.outcome is Outcome.NOT_SENT


def test_an_answer_that_drips_is_given_up_in_time() -> None:
    """Else the call would outlast its lease, and the worker's thread would be lost."""
    with listening(drip) as url:
        answer, seconds = submit(url)

    assert answer.outcome is Outcome.UNKNOWN
    assert seconds < 2
