"""A small HTTP/1.1 load client: keep-alive connections, prepared requests, little work of its own.

One request at a time on each connection, as one end user has it. Every answer's status is checked. Latency is
from writing the request to the last byte of its answer.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import cast

MakeRequest = Callable[[], bytes]

_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Measured:
    """``rate`` in operations a second, ``p50`` and ``p99`` in milliseconds, ``cpu`` in server CPU seconds
    per 1,000 operations."""

    rate: float
    p50: float
    p99: float
    cpu: float


class RequestFailed(Exception):
    """An answer was not what the benchmark measures."""


class Connection(asyncio.Protocol):
    """A keep-alive connection with at most one request under way."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        self._buffer = bytearray()
        self._waiting: asyncio.Future[bytes] | None = None

    @classmethod
    async def open(cls, host: str, port: int) -> Connection:
        """Connect."""
        _, connection = await asyncio.get_running_loop().create_connection(cls, host, port)
        return connection

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_exception(RequestFailed("the server closed the connection"))

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        answer = _whole(self._buffer)
        if answer is not None and self._waiting is not None and not self._waiting.done():
            self._buffer = bytearray()
            self._waiting.set_result(answer)

    async def ask(self, request: bytes) -> bytes:
        """Send a prepared request and give the body of its answer.

        Raises:
            RequestFailed: the status is not a success, or the connection broke.
        """
        assert self._transport is not None
        self._waiting = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        return await self._waiting

    def close(self) -> None:
        """Close the connection."""
        if self._transport is not None:
            self._transport.close()


def _whole(buffer: bytearray) -> bytes | None:
    """The body, once all of the answer is here."""
    end = buffer.find(b"\r\n\r\n")
    if end < 0:
        return None
    head = bytes(buffer[:end]).lower()
    start = end + 4
    length = head.find(b"content-length:")
    if length >= 0:
        size = int(head[length + 15 :].split(b"\r\n", 1)[0])
        if len(buffer) < start + size:
            return None
        body = bytes(buffer[start : start + size])
    elif b"transfer-encoding: chunked" in head:
        if not buffer.endswith(b"0\r\n\r\n"):
            return None
        body = bytes(buffer[start:])
    else:
        raise RequestFailed(f"an answer without a length: {head!r}")
    if not head.startswith(b"http/1.1 2"):
        raise RequestFailed(f"{head.splitlines()[0]!r}: {body[:300]!r}")
    return body


def request(method: str, target: str, headers: dict[str, str], body: bytes = b"") -> bytes:
    """A prepared request."""
    lines = [f"{method} {target} HTTP/1.1", "Host: bench"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


async def ask_once(host: str, port: int, message: bytes) -> bytes:
    """One request on a connection of its own."""
    connection = await Connection.open(host, port)
    try:
        return await asyncio.wait_for(connection.ask(message), 120)
    finally:
        connection.close()


def cpu_seconds(pid: int) -> float:
    """CPU that a process has used, user and system, in all threads."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


def memory_mib(pid: int) -> float:
    """Resident memory of a process."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    raise LookupError(f"process {pid} has no resident memory")


async def measure(
    host: str, port: int, pid: int, make: MakeRequest, clients: int, seconds: float
) -> Measured:
    """Keep ``clients`` connections busy for a while."""
    connections = [await Connection.open(host, port) for _ in range(clients)]
    latencies: list[float] = []
    clock = time.perf_counter
    cpu, began = cpu_seconds(pid), clock()
    end = began + seconds

    async def client(connection: Connection) -> None:
        while (before := clock()) < end:
            await connection.ask(make())
            latencies.append(clock() - before)

    try:
        await asyncio.gather(*map(client, connections))
        elapsed, used = clock() - began, cpu_seconds(pid) - cpu
    finally:
        for connection in connections:
            connection.close()
    latencies.sort()
    count = len(latencies)
    return Measured(
        count / elapsed,
        latencies[count // 2] * 1_000,
        latencies[int(count * 0.99)] * 1_000,
        used / count * 1_000,
    )
