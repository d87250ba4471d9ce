"""A server that answers with whatever bytes it was told, properly or not."""

import contextlib
import os
import socket
import ssl
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import Self

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

Answer = Callable[[socket.socket], None]


class Stub:
    """Takes one request per connection, keeps it, lets ``answer`` write, and closes."""

    def __init__(self, answer: Answer, tls: ssl.SSLContext | None = None) -> None:
        self.requests: list[bytes] = []
        self._answer = answer
        self._tls = tls
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._threads: list[threading.Thread] = []
        self._accepting = threading.Thread(target=self._accept)

    @property
    def url(self) -> str:
        scheme = "https" if self._tls else "http"
        return f"{scheme}://localhost:{self._listener.getsockname()[1]}"

    def __enter__(self) -> Self:
        self._accepting.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._accepting.join()
        self._listener.close()
        for thread in self._threads:
            thread.join(10)
            assert not thread.is_alive()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                thread = threading.Thread(target=self._serve, args=(connection,))
                self._threads.append(thread)
                thread.start()

    def _serve(self, plain: socket.socket) -> None:
        plain.settimeout(5)
        connection = plain
        # What the client thinks of the answer is the client's to say.
        with contextlib.suppress(OSError):
            if self._tls:
                connection = self._tls.wrap_socket(plain, server_side=True)
            self.requests.append(_read_request(connection))
            self._answer(connection)
        plain.close()
        connection.close()


def _read_request(connection: socket.socket) -> bytes:
    request = b""
    while b"\r\n\r\n" not in request and (part := connection.recv(65_536)):
        request += part
    head, _, body = request.partition(b"\r\n\r\n")
    length = 0
    for line in head.lower().split(b"\r\n"):
        if line.startswith(b"content-length:"):
            length = int(line.split(b":")[1])
    while len(body) < length and (part := connection.recv(65_536)):
        body += part
    return head + b"\r\n\r\n" + body


def saying(*parts: bytes, pause: float = 0.0) -> Answer:
    """Write these parts, with a pause before each but the first."""

    def answer(connection: socket.socket) -> None:
        for number, part in enumerate(parts):
            if number:
                time.sleep(pause)
            connection.sendall(part)

    return answer


def without_end(head: bytes, part: bytes, pause: float = 0.0, seconds: float = 5.0) -> Answer:
    """Write a head and then the same part again and again, until the client hangs up."""

    def answer(connection: socket.socket) -> None:
        connection.sendall(head)
        give_up = time.monotonic() + seconds
        while time.monotonic() < give_up:
            connection.sendall(part)
            time.sleep(pause)

    return answer


def breaking_tls_after(head: bytes) -> Answer:
    """Write ``head`` as it should be, and then bytes that are no TLS at all."""

    def answer(connection: socket.socket) -> None:
        if head:
            connection.sendall(head)
        with socket.socket(fileno=os.dup(connection.fileno())) as plain:
            plain.sendall(b"\x17\x03\x03\x00\x20" + b"\x00" * 32)
            time.sleep(0.1)

    return answer


def certificate(folder: Path) -> tuple[ssl.SSLContext, Path]:
    """A server's context for localhost, and the file by which a client would trust it."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    cert_path, key_path = folder / "cert.pem", folder / "key.pem"
    cert_path.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    key_path.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert_path, key_path)
    return context, cert_path
