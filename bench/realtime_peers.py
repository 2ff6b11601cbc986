"""Listeners of PocketBase beside ours: SSE subscriptions under a rule that is asked for each of them.

All of PocketBase's listeners are one signed-in user's, under a rule that lets authors at their own documents
only. Ours are without rules: a query is proven once, when its listener begins, and writes do not ask again.
A message carries the same text on both sides. PocketBase acknowledges a write when its messages are on their
way, ours before: compare from sending on, not from the acknowledgement.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import time
from collections.abc import AsyncIterator
from typing import cast

from bench.load import RequestFailed, ask_once, request
from bench.peers import JSON, PocketBase

NUMBER = re.compile(rb'"likes":(\d+)')
CLIENT_ID = re.compile(rb'"clientId":"([^"]+)"')
TOGETHER = 50
"""Listeners that connect at the same time."""


class SseArrivals:
    """When the last of all listeners got each write."""

    def __init__(self, listeners: int) -> None:
        self.listeners = listeners
        self.total = 0
        self.last: dict[int, float] = {}
        self._counts: dict[int, int] = {}
        self._changed = asyncio.Event()

    def take(self, number: int) -> None:
        """One listener got one write."""
        self.total += 1
        count = self._counts[number] = self._counts.get(number, 0) + 1
        if count == self.listeners:
            self.last[number] = time.monotonic()
            self._changed.set()

    async def complete(self, writes: int, seconds: float) -> bool:
        """Wait until everyone got so many writes; answers whether they did in time."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while len(self.last) < writes:
                    self._changed.clear()
                    await self._changed.wait()
        return len(self.last) >= writes


class Events(asyncio.Protocol):
    """One SSE connection, which looks for numbers in the bytes and for nothing else, as ours does."""

    def __init__(self, arrivals: SseArrivals) -> None:
        self._arrivals = arrivals
        self._rest = b""
        self.client_id: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._transport.write(request("GET", "/api/realtime", {"Accept": "text/event-stream"}))

    def data_received(self, data: bytes) -> None:
        *events, self._rest = (self._rest + data).split(b"\n\n")
        for event in events:
            number = NUMBER.search(event)
            if number is not None:
                self._arrivals.take(int(number[1]))
            elif not self.client_id.done() and (found := CLIENT_ID.search(event)):
                self.client_id.set_result(found[1].decode())

    def close(self) -> None:
        """Hang up."""
        self._transport.abort()


class PocketBaseListeners:
    """A PocketBase server with listeners of one user's posts."""

    def __init__(self, server: PocketBase, arrivals: SseArrivals) -> None:
        self.server = server
        self.arrivals = arrivals
        self._events: list[Events] = []

    async def connect(self, count: int) -> None:
        """Open the subscriptions."""
        for begin in range(0, count, TOGETHER):
            part = range(begin, min(count, begin + TOGETHER))
            await asyncio.gather(*(self._subscribe() for _ in part))

    async def write(self, number: int) -> None:
        """Create a post with a number; returns when it is acknowledged."""
        text = "a message of about the length that people write to each other, more or less. " * 2
        body = {"authorId": self.server.uids[0], "likes": number, "content": text}
        headers = {**JSON, "Authorization": self.server.token}
        target = "/api/collections/posts/records"
        message = request("POST", target, headers, json.dumps(body).encode())
        await ask_once(self.server.host, self.server.port, message)

    def close(self) -> None:
        """Hang up."""
        for events in self._events:
            events.close()

    async def _subscribe(self) -> None:
        server = self.server
        loop = asyncio.get_running_loop()
        _, events = await loop.create_connection(
            lambda: Events(self.arrivals), server.host, server.port
        )
        self._events.append(events)
        body = {"clientId": await events.client_id, "subscriptions": ["posts/*"]}
        headers = {**JSON, "Authorization": server.token}
        reader, writer = await asyncio.open_connection(server.host, server.port)
        writer.write(request("POST", "/api/realtime", headers, json.dumps(body).encode()))
        status = await reader.readline()
        writer.close()
        if b" 204 " not in status:
            raise RequestFailed(f"the subscription was answered by {status!r}")


@contextlib.asynccontextmanager
async def pocketbase_listeners(binary: str, count: int) -> AsyncIterator[PocketBaseListeners]:
    """A fresh server, with SQLite's ``synchronous=FULL`` as ours has it, and its listeners."""
    async with PocketBase.started(binary, full=True) as server:
        listeners = PocketBaseListeners(server, SseArrivals(count))
        await listeners.connect(count)
        try:
            yield listeners
        finally:
            listeners.close()


async def pocketbase_latency(
    binary: str, listeners: int, rate: float, seconds: float
) -> tuple[list[float], list[float], int]:
    """Milliseconds to the last delivery since sending and since the acknowledgement, and how many
    of the writes did not reach everyone within 30 seconds."""
    async with pocketbase_listeners(binary, listeners) as peer:
        sent: dict[int, float] = {}
        acked: dict[int, float] = {}
        begin = time.monotonic()
        for number in range(1, int(rate * seconds) + 1):
            await asyncio.sleep(max(0.0, begin + number / rate - time.monotonic()))
            sent[number] = time.monotonic()
            await peer.write(number)
            acked[number] = time.monotonic()
        await peer.arrivals.complete(len(sent), 30)
        last = peer.arrivals.last
        whole = [(last[number] - sent[number]) * 1e3 for number in last]
        after = [max(0.0, last[number] - acked[number]) * 1e3 for number in last]
        return whole, after, len(sent) - len(last)


async def pocketbase_flat_out(binary: str, listeners: int, writes: int) -> float:
    """Deliveries a second, with 16 writes under way."""
    async with pocketbase_listeners(binary, listeners) as peer:
        numbers = iter(range(1, writes + 1))

        async def write() -> None:
            for number in numbers:
                await peer.write(number)

        begin = time.monotonic()
        await asyncio.gather(*(write() for _ in range(16)))
        await peer.arrivals.complete(writes, 60)
        last = max(peer.arrivals.last.values(), default=time.monotonic())
        return peer.arrivals.total / (last - begin)
