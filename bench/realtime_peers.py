"""Listeners of PocketBase and of Parse Server's LiveQuery beside ours, all as one signed-in user has them.

Every server runs as it ships, with writes on disk when they are answered (PocketBase: SQLite's
``synchronous=FULL``; Parse Server: PostgreSQL), under rules that let authors at their own documents only;
each listener asks for the user's own posts. Ours and Parse's listen over a WebSocket, PocketBase's over SSE,
each on a connection of its own; writes go by REST. A message carries the same text on all sides. PocketBase
acknowledges a write when its messages are on their way, ours and Parse's before: compare from sending on.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import tempfile
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Protocol, cast

from bench.http import DOCUMENTS, Homefire, running
from bench.load import RequestFailed, ask_once, request
from bench.peers import JSON, PASSWORD, PocketBase, answering, free_port
from bench.websocket import masked, upgrade

TEXT = "a message of about the length that people write to each other, more or less. " * 2
TOGETHER = 50
"""Listeners that connect at the same time."""


class PeerArrivals:
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


class Stream(asyncio.Protocol):
    """One listener's connection, which looks for numbers in the bytes and for nothing else."""

    def __init__(self, arrivals: PeerArrivals, numbers: re.Pattern[bytes]) -> None:
        self._arrivals = arrivals
        self._numbers = numbers
        self._rest = b""
        self._asked: tuple[re.Pattern[bytes], asyncio.Future[re.Match[bytes]]] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        data = self._rest + data
        if self._asked is not None:
            pattern, answer = self._asked
            found = pattern.search(data)
            if found is None:
                self._rest = data
                return
            self._asked = None
            answer.set_result(found)
            data = data[found.end() :]
        end = 0
        for found in self._numbers.finditer(data):
            self._arrivals.take(int(found[1]))
            end = found.end()
        self._rest = data[end:]

    async def ask(self, message: bytes, answer: bytes) -> re.Match[bytes]:
        """Send something and wait for a pattern."""
        waiting: asyncio.Future[re.Match[bytes]] = asyncio.get_running_loop().create_future()
        self._asked = (re.compile(answer), waiting)
        self._transport.write(message)
        async with asyncio.timeout(60):
            return await waiting

    def close(self) -> None:
        """Hang up."""
        self._transport.abort()


class Peer(Protocol):
    """A server with a user who may see and write posts of his own."""

    host: str
    port: int
    numbers: re.Pattern[bytes]
    """Finds the number of a post in what a listener is told."""

    async def subscribe(self, stream: Stream) -> None:
        """Listen to the user's own posts."""

    def creation(self, number: int) -> bytes:
        """The request that creates a post with a number."""


class HomefirePeer:
    """Ours, in production mode."""

    numbers = re.compile(rb'"likes":\{"integerValue":"(\d+)"')

    def __init__(self, server: Homefire) -> None:
        self._server = server
        self.host, self.port = server.host, server.port

    async def subscribe(self, stream: Stream) -> None:
        path = DOCUMENTS.removesuffix("/documents") + "/listen"
        await stream.ask(upgrade(path, self._server.headers()), rb"\r\n\r\n")
        mine = {
            "field": {"fieldPath": "authorId"},
            "op": "EQUAL",
            "value": {"stringValue": self._server.uids[0]},
        }
        query = {"from": [{"collectionId": "posts"}], "where": {"fieldFilter": mine}}
        parent = DOCUMENTS.removeprefix("/v1/")
        target = {"targetId": 1, "query": {"parent": parent, "structuredQuery": query}}
        await stream.ask(masked(json.dumps({"addTarget": target})), rb'"CURRENT"')

    def creation(self, number: int) -> bytes:
        fields = {
            "authorId": {"stringValue": self._server.uids[0]},
            "likes": {"integerValue": str(number)},
            "content": {"stringValue": TEXT},
        }
        body = json.dumps({"fields": fields}).encode()
        target = f"{DOCUMENTS}/posts?documentId=n{number}"
        return request("POST", target, self._server.headers(), body)


class PocketBasePeer:
    """PocketBase's realtime collections."""

    numbers = re.compile(rb'"likes":(\d+)[,}]')

    def __init__(self, server: PocketBase) -> None:
        self._server = server
        self.host, self.port = server.host, server.port
        self._headers = {**JSON, "Authorization": server.token}

    async def subscribe(self, stream: Stream) -> None:
        hello = request("GET", "/api/realtime", {"Accept": "text/event-stream"})
        client = await stream.ask(hello, rb'"clientId":"([^"]+)"')
        body = {"clientId": client[1].decode(), "subscriptions": ["posts/*"]}
        reader, writer = await asyncio.open_connection(self.host, self.port)
        writer.write(request("POST", "/api/realtime", self._headers, json.dumps(body).encode()))
        status = await reader.readline()
        writer.close()
        if b" 204 " not in status:
            raise RequestFailed(f"the subscription was answered by {status!r}")

    def creation(self, number: int) -> bytes:
        body = {"authorId": self._server.uids[0], "likes": number, "content": TEXT}
        target = "/api/collections/posts/records"
        return request("POST", target, self._headers, json.dumps(body).encode())


class ParsePeer:
    """Parse Server's LiveQuery. Its objects carry the access list that its rules go by."""

    numbers = re.compile(rb'"likes":(\d+)[,}]')

    def __init__(self, port: int) -> None:
        self.host, self.port = "127.0.0.1", port
        self._user: dict[str, str] = {}

    @property
    def _headers(self) -> dict[str, str]:
        session = {"X-Parse-Session-Token": self._user["sessionToken"]} if self._user else {}
        return {**JSON, "X-Parse-Application-Id": "bench", **session}

    async def sign_up(self) -> None:
        """Make the user."""
        body = json.dumps({"username": "ann", "password": PASSWORD}).encode()
        message = request("POST", "/parse/users", self._headers, body)
        self._user = json.loads(await ask_once(self.host, self.port, message))
        await ask_once(self.host, self.port, self.creation(0))  # which makes the class

    async def subscribe(self, stream: Stream) -> None:
        await stream.ask(upgrade("/"), rb"\r\n\r\n")
        session = {"sessionToken": self._user["sessionToken"]}
        connect = {"op": "connect", "applicationId": "bench", **session}
        await stream.ask(masked(json.dumps(connect)), rb'"op":"connected"')
        query = {"className": "Post", "where": {"authorId": self._user["objectId"]}}
        subscribe = {"op": "subscribe", "requestId": 1, "query": query, **session}
        await stream.ask(masked(json.dumps(subscribe)), rb'"op":"subscribed"')

    def creation(self, number: int) -> bytes:
        author = self._user["objectId"]
        body = {"authorId": author, "likes": number, "content": TEXT}
        access = {"ACL": {author: {"read": True, "write": True}}}
        return request(
            "POST", "/parse/classes/Post", self._headers, json.dumps(body | access).encode()
        )


PARSE_PROGRAM = """
const { ParseServer } = require('parse-server');
ParseServer.startApp({
  databaseURI: process.env.DATABASE, appId: 'bench', masterKey: 'of the bench alone',
  host: '127.0.0.1', port: Number(process.env.PORT), mountPath: '/parse',
  serverURL: `http://127.0.0.1:${process.env.PORT}/parse`, allowClientClassCreation: true,
  liveQuery: { classNames: ['Post'] }, startLiveQueryServer: true, directAccess: false,
  logLevel: 'error', silent: true, logsFolder: process.env.LOGS,
});
"""


@contextlib.asynccontextmanager
async def homefire() -> AsyncIterator[Peer]:
    """A fresh server of ours."""
    async with Homefire.started() as server:
        yield HomefirePeer(server)


@contextlib.asynccontextmanager
async def pocketbase(binary: str) -> AsyncIterator[Peer]:
    """A fresh PocketBase."""
    async with PocketBase.started(binary, full=True) as server:
        yield PocketBasePeer(server)


@contextlib.asynccontextmanager
async def parse_server(folder: str) -> AsyncIterator[Peer]:
    """A fresh Parse Server on a fresh PostgreSQL; ``folder`` has it in ``node_modules``."""
    with (
        tempfile.TemporaryDirectory(prefix="parse-bench-") as work,
        contextlib.ExitStack() as stack,
    ):
        database_port, port = free_port(), free_port()
        as_user: list[str] = []
        if os.geteuid() == 0:  # PostgreSQL refuses to run as root
            as_user = ["runuser", "-u", "postgres", "--"]
            Path(work).chmod(0o777)
        log = Path(work) / "log"
        with running([*as_user, "initdb", "-U", "parse", "-D", f"{work}/data"], log) as making:
            if making.wait() != 0:
                raise RuntimeError(log.read_text())
        command = [*as_user, "postgres", "-D", f"{work}/data", "-k", work, "-p", str(database_port)]
        stack.enter_context(running(command, Path(work) / "postgres"))
        await _listening(database_port)
        program = Path(folder) / "homefire-bench.cjs"
        program.write_text(PARSE_PROGRAM)
        stack.callback(program.unlink)
        address = f"postgres://parse@127.0.0.1:{database_port}/postgres"
        node = [
            "env",
            f"--chdir={work}",
            f"DATABASE={address}",
            f"PORT={port}",
            f"LOGS={work}/logs",
        ]
        process = stack.enter_context(running([*node, "node", str(program)], Path(work) / "parse"))
        health = request("GET", "/parse/health", {"X-Parse-Application-Id": "bench"})
        await answering("127.0.0.1", port, health, process)
        peer = ParsePeer(port)
        await peer.sign_up()
        yield peer


async def _listening(port: int) -> None:
    async with asyncio.timeout(60):
        while True:
            with contextlib.suppress(OSError):
                _, writer = await asyncio.open_connection("127.0.0.1", port)
                writer.close()
                return
            await asyncio.sleep(0.05)


StartPeer = Callable[[], AbstractAsyncContextManager[Peer]]


@contextlib.asynccontextmanager
async def listeners_of(start: StartPeer, count: int) -> AsyncIterator[tuple[Peer, PeerArrivals]]:
    """A fresh server with so many listeners."""
    async with start() as peer:
        arrivals = PeerArrivals(count)
        streams: list[Stream] = []

        async def open_one() -> None:
            loop = asyncio.get_running_loop()
            _, stream = await loop.create_connection(
                lambda: Stream(arrivals, peer.numbers), peer.host, peer.port
            )
            streams.append(stream)
            await peer.subscribe(stream)

        for begin in range(0, count, TOGETHER):
            part = range(begin, min(count, begin + TOGETHER))
            await asyncio.gather(*(open_one() for _ in part))
        try:
            yield peer, arrivals
        finally:
            for stream in streams:
                stream.close()


async def latency(
    start: StartPeer, listeners: int, rate: float, seconds: float
) -> tuple[list[float], list[float], int]:
    """Milliseconds to the last delivery since sending and since the acknowledgement, and how many
    of the writes did not reach everyone within 30 seconds."""
    async with listeners_of(start, listeners) as (peer, arrivals):
        sent: dict[int, float] = {}
        acked: dict[int, float] = {}
        begin = time.monotonic()
        for number in range(1, int(rate * seconds) + 1):
            await asyncio.sleep(max(0.0, begin + number / rate - time.monotonic()))
            sent[number] = time.monotonic()
            await ask_once(peer.host, peer.port, peer.creation(number))
            acked[number] = time.monotonic()
        await arrivals.complete(len(sent), 30)
        last = arrivals.last
        whole = [(last[number] - sent[number]) * 1e3 for number in last]
        after = [max(0.0, last[number] - acked[number]) * 1e3 for number in last]
        return whole, after, len(sent) - len(last)


async def flat_out(start: StartPeer, listeners: int, writes: int) -> float:
    """Deliveries a second, with 16 writes under way."""
    async with listeners_of(start, listeners) as (peer, arrivals):
        numbers = iter(range(1, writes + 1))

        async def write() -> None:
            for number in numbers:
                await ask_once(peer.host, peer.port, peer.creation(number))

        begin = time.monotonic()
        await asyncio.gather(*(write() for _ in range(16)))
        await arrivals.complete(writes, 60)
        last = max(arrivals.last.values(), default=time.monotonic())
        return arrivals.total / (last - begin)
