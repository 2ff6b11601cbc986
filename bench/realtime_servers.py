"""The servers that the listeners' benchmark compares, each in a process of its own.

python -m bench.realtime_servers NAME     # prints its port
"""

from __future__ import annotations

import asyncio
import contextlib
import resource
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import uvicorn
import uvloop
from starlette.routing import Router
from websockets.asyncio.server import broadcast, serve

from baas.access.authorize import Authorizer
from baas.access.principal import OWNER, Principal
from baas.access.releases import Releases
from baas.api.websocket import WebSocketOptions, WebSocketSurface
from baas.api.websocket_frames import FrameSharingProtocol
from baas.db import schema
from baas.db.sqlite import SqliteDatabase
from baas.documents.queries import query_reader
from baas.documents.service import DocumentStore
from baas.model.paths import DatabaseId
from baas.realtime.service import RealtimeService
from baas.realtime.source import StoreSource

DATABASE = DatabaseId("bench")


def allow_connections() -> None:
    """Let this process have as many sockets as it may."""
    _soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 65_536), hard))


@contextlib.asynccontextmanager
async def opened() -> AsyncIterator[tuple[DocumentStore, RealtimeService]]:
    folder = Path(tempfile.mkdtemp(prefix="homefire-bench-"))
    try:
        schema.migrate_sqlite(folder / "homefire.db")
        database = await SqliteDatabase.open(folder / "homefire.db")
        authorizer = Authorizer(Releases(), open_without_rules=True)
        documents = DocumentStore(database, authorizer)
        source = StoreSource(documents, documents.changes.subscribe, query_reader)
        realtime = RealtimeService(source, authorizer)
        yield documents, realtime
        await realtime.close()
        await database.close()
    finally:
        shutil.rmtree(folder)


async def serve_homefire() -> None:
    async def authenticate(token: str | None, project: str) -> Principal:
        return OWNER

    async with opened() as (documents, realtime):
        options = WebSocketOptions(max_frames=10_000_000, max_commits=100_000)
        surface = WebSocketSurface(documents, realtime, authenticate, options)
        config = uvicorn.Config(
            Router(surface.routes()),  # as the server has it
            ws=FrameSharingProtocol,
            lifespan="off",
            log_config=None,
        )
        listening = socket.create_server(("127.0.0.1", 0), backlog=8192)
        print(listening.getsockname()[1], flush=True)
        await uvicorn.Server(config).serve([listening])


async def serve_broadcast() -> None:
    """Whatever a client sends goes to all others, by the library's broadcast()."""
    clients: set[Any] = set()

    async def handler(client: Any) -> None:
        first = await client.recv()
        if first == "listen":
            clients.add(client)
            await client.wait_closed()
            clients.discard(client)
            return
        async for message in client:
            broadcast(clients, message)
            await client.send("ack")

    async with serve(handler, "127.0.0.1", 0, compression=None) as server:
        print(next(iter(server.sockets)).getsockname()[1], flush=True)
        await server.serve_forever()


async def serve_tcp() -> None:
    """Lines from clients that began with ``W`` go to all that began with ``L``; no protocol."""
    listeners: set[asyncio.Transport] = set()

    class Peer(asyncio.Protocol):
        def __init__(self) -> None:
            self.kind = b""
            self.buffer = b""

        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            self.transport: Any = transport

        def data_received(self, data: bytes) -> None:
            if not self.kind:
                self.kind, data = data[:1], data[1:]
                if self.kind == b"L":
                    listeners.add(self.transport)
                    return
            *lines, self.buffer = (self.buffer + data).split(b"\n")
            for line in lines:
                for listener in listeners:
                    listener.write(line)
                self.transport.write(b"a")

        def connection_lost(self, exc: Exception | None) -> None:
            listeners.discard(self.transport)

    server = await asyncio.get_running_loop().create_server(Peer, "127.0.0.1", 0, backlog=8192)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


SERVERS: dict[str, Callable[[], Any]] = {
    "homefire": serve_homefire,
    "websockets broadcast": serve_broadcast,
    "bare TCP broadcast": serve_tcp,
}


@contextlib.contextmanager
def running(name: str) -> Any:
    process = subprocess.Popen(
        [sys.executable, "-m", "bench.realtime_servers", name], stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        yield int(process.stdout.readline()), process
    finally:
        process.terminate()
        process.wait(10)


if __name__ == "__main__":
    allow_connections()
    uvloop.run(SERVERS[sys.argv[1]]())
