"""How many requests a second does a server answer, and how long does each take?"""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """One closed-loop run: every connection sends its next request when the last is answered.

    ``cpu_ms`` is the server's processor time for a request, ``memory_mb`` its memory after it.
    """

    requests_per_second: float
    p50_ms: float
    p99_ms: float
    not_2xx: int
    cpu_ms: float = 0
    memory_mb: float = 0


def measure(host: str, port: int, requests: Sequence[bytes], connections: int) -> Measured:
    """Send every request once over ``connections`` keep-alive connections."""
    return asyncio.run(_measure(host, port, requests, connections))


async def _measure(host: str, port: int, requests: Sequence[bytes], connections: int) -> Measured:
    waiting = iter(requests)
    latencies: list[float] = []
    bad = 0

    async def client() -> None:
        nonlocal bad
        reader, writer = await asyncio.open_connection(host, port)
        for request in waiting:
            began = time.perf_counter()
            writer.write(request)
            status = await answer_of(reader)
            latencies.append(time.perf_counter() - began)
            bad += not 200 <= status < 300
        writer.close()
        await writer.wait_closed()

    began = time.perf_counter()
    await asyncio.gather(*(client() for _ in range(connections)))
    seconds = time.perf_counter() - began
    latencies.sort()
    return Measured(
        requests_per_second=len(latencies) / seconds,
        p50_ms=1000 * latencies[len(latencies) // 2],
        p99_ms=1000 * latencies[int(len(latencies) * 0.99)],
        not_2xx=bad,
    )


async def answer_of(reader: asyncio.StreamReader) -> int:
    head = await reader.readuntil(b"\r\n\r\n")
    status = int(head[9:12])
    length = next(
        (
            int(line.split(b":")[1])
            for line in head.lower().split(b"\r\n")
            if line.startswith(b"content-length:")
        ),
        0,
    )
    await reader.readexactly(length)
    return status


def http_request(path: str, headers: dict[str, str], body: bytes) -> bytes:
    lines = [f"POST {path} HTTP/1.1", "Host: bench", f"Content-Length: {len(body)}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode() + body
