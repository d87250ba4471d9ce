"""How are nginx and haproxy run in front of services, for a test?"""

import contextlib
import os
import shutil
import socket
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from tests.hard.harness import ROOT, free_port, wait_until
from tests.web.serving import certificate

CONFIGURATION = ROOT / "config" / "proxy"
SERVICES = ("172.31.250.11:8000", "172.31.250.12:8000")
# haproxy with connections that are shared by all, which mixes strangers and senders most.
HAPROXY = """
global
  maxconn 2000
defaults
  mode http
  timeout connect 1s
  timeout client 20s
  timeout server 20s
  timeout http-keep-alive 20s
  retries 3
  option redispatch
  http-reuse always
frontend all
  bind 127.0.0.1:{port} ssl crt {pem}
  http-request set-header X-Forwarded-For %[src]
  default_backend vouch
backend vouch
  balance leastconn
  server web1 127.0.0.1:{first}
  server web2 127.0.0.1:{second}
"""


@contextlib.contextmanager
def nginx(folder: Path, services: Sequence[int]) -> Iterator[int]:
    """Our own configuration, with other addresses and folders; the port that speaks TLS."""
    files = _certificate(folder)
    port, plain, probe = free_port(), free_port(), free_port()
    changes = {
        "/tmp/": f"{folder}/",
        "listen 8443": f"listen 127.0.0.1:{port}",
        "listen 8080": f"listen 127.0.0.1:{plain}",
        "127.0.0.1:8081": f"127.0.0.1:{probe}",
        "/dev/stdout": f"{folder}/access.log",
        "/run/secrets/tls_certificate": files["certfile"],
        "/run/secrets/tls_key": files["keyfile"],
        **{old: f"127.0.0.1:{new}" for old, new in zip(SERVICES, services, strict=True)},
    }
    for file in CONFIGURATION.iterdir():
        text = file.read_text("utf-8")
        for old, new in changes.items():
            text = text.replace(old, new)
        (folder / file.name).write_text(text, "utf-8")
    user = "user root; " if os.getuid() == 0 else ""
    options = ["-p", str(folder), "-c", str(folder / "nginx.conf"), "-e", str(folder / "error.log")]
    with _running("nginx", [*options, "-g", f"{user}daemon off;"], folder, port):
        yield port


@contextlib.contextmanager
def haproxy(folder: Path, services: Sequence[int]) -> Iterator[int]:
    files, port = _certificate(folder), free_port()
    pem = folder / "both.pem"
    pem.write_text(Path(files["certfile"]).read_text() + Path(files["keyfile"]).read_text())
    first, second = services
    text = HAPROXY.format(port=port, pem=pem, first=first, second=second)
    (folder / "haproxy.cfg").write_text(text, "utf-8")
    with _running("haproxy", ["-db", "-f", str(folder / "haproxy.cfg")], folder, port):
        yield port


PROXIES = {"nginx": nginx, "haproxy": haproxy}


def _certificate(folder: Path) -> dict[str, str]:
    folder.mkdir()
    return certificate(folder)


@contextlib.contextmanager
def _running(name: str, options: list[str], folder: Path, port: int) -> Iterator[None]:
    program = shutil.which(name, path=f"{os.environ['PATH']}:/usr/sbin")
    if program is None:
        pytest.skip(f"{name} is not installed: sh .ci/packages installs it")
    log = folder / f"{name}.log"
    with log.open("wb") as output:
        process = subprocess.Popen([program, *options], stdout=output, stderr=output)
    try:
        wait_until(lambda: _listens(process, port, log), 10, f"{name} listens")
        yield
    finally:
        process.terminate()
        process.wait(10)


def _listens(process: subprocess.Popen[bytes], port: int, log: Path) -> bool:
    if process.poll() is not None:
        raise ChildProcessError(log.read_text("utf-8", "replace"))
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
