"""A call that only reads ends when its client goes away, by the express way and by ASGI; others go on."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any, cast

import pytest
import pytest_asyncio
import uvicorn
from starlette.applications import Starlette

from baas.access.principal import OWNER, Principal
from baas.api.firestore_rest import FirestoreRest
from baas.api.port import port_protocol
from baas.documents.service import DocumentStore

DOCUMENTS = "/v1/projects/p/databases/(default)/documents"
QUERY = {"structuredQuery": {"from": [{"collectionId": "c"}]}}
BY_ASGI = "Origin: http://elsewhere\r\n"


class SlowStore:
    """Queries never end by themselves; commits when they are let go."""

    def __init__(self) -> None:
        self.begun = asyncio.Event()
        self.ended = asyncio.Event()
        self.let_go = asyncio.Event()
        self.committed = False

    async def run_query(self, *_: Any, **__: Any) -> None:
        self.begun.set()
        try:
            await asyncio.Future()
        finally:
            self.ended.set()

    async def commit(self, *_: Any) -> None:
        self.begun.set()
        try:
            await self.let_go.wait()
            self.committed = True
            raise RuntimeError("there is nobody to tell")
        finally:
            self.ended.set()


async def owner(_authorization: str | None, _project: str) -> Principal:
    return OWNER


@pytest.fixture
def store() -> SlowStore:
    return SlowStore()


@pytest_asyncio.fixture
async def port(store: SlowStore) -> AsyncIterator[int]:
    started = asyncio.Event()

    class Server(uvicorn.Server):
        async def startup(self, sockets=None) -> None:  # type: ignore[no-untyped-def]
            await super().startup(sockets)
            started.set()

    rest = FirestoreRest(cast(DocumentStore, store), owner)
    config = uvicorn.Config(
        Starlette(routes=list(rest.routes())),
        port=0,
        http=port_protocol(None, rest),
        lifespan="off",
        log_config=None,
        timeout_graceful_shutdown=1,
    )
    server = Server(config)
    serving = asyncio.create_task(server._serve())
    await started.wait()
    yield server.servers[0].sockets[0].getsockname()[1]
    server.should_exit = True
    await serving


async def call_and_leave(port: int, store: SlowStore, verb: str, body: Any, headers: str) -> None:
    _, writer = await asyncio.open_connection("127.0.0.1", port)
    data = json.dumps(body)
    head = f"POST {DOCUMENTS}:{verb} HTTP/1.1\r\nHost: h\r\n{headers}Content-Length: {len(data)}"
    writer.write(f"{head}\r\n\r\n{data}".encode())
    await asyncio.wait_for(store.begun.wait(), 20)
    writer.close()
    await writer.wait_closed()


@pytest.mark.parametrize("headers", ["", BY_ASGI], ids=["express", "asgi"])
async def test_a_query_ends_when_its_client_goes_away(
    port: int, store: SlowStore, headers: str
) -> None:
    await call_and_leave(port, store, "runQuery", QUERY, headers)
    await asyncio.wait_for(store.ended.wait(), 20)


@pytest.mark.parametrize("headers", ["", BY_ASGI], ids=["express", "asgi"])
async def test_a_commit_goes_on_when_its_client_goes_away(
    port: int, store: SlowStore, headers: str
) -> None:
    await call_and_leave(port, store, "commit", {"writes": []}, headers)
    # the server has noticed by the time that it answers another
    await call_and_leave(port, store, "commit", {"writes": []}, headers)
    assert not store.ended.is_set()
    store.let_go.set()
    await asyncio.wait_for(store.ended.wait(), 20)
    assert store.committed
