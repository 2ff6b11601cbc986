"""How long a client may hold a connection by doing nothing, on a real socket with short bounds."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
import uvicorn
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from baas.api import http_guard
from baas.api.http import JSONResponse
from baas.api.http_guard import GuardedHttpProtocol

LARGE = 8 * 1024 * 1024
"""Bytes of an answer that no socket buffer holds."""


async def answer(scope: Scope, receive: Receive, send: Send) -> None:
    """The size of the body; at ``/large`` a large answer."""
    request = Request(scope, receive)
    if scope["path"] == "/large":
        await Response(b"x" * LARGE)(scope, receive, send)
        return
    await JSONResponse({"size": len(await request.body())})(scope, receive, send)


@pytest_asyncio.fixture
async def port(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[int]:
    """A server whose heads may take a fifth of a second, and whose clients may rest as long."""
    monkeypatch.setattr(http_guard, "HEAD_SECONDS", 0.2)
    monkeypatch.setattr(http_guard, "STALL_SECONDS", 0.2)
    started = asyncio.Event()

    class Server(uvicorn.Server):
        async def startup(self, sockets=None) -> None:  # type: ignore[no-untyped-def]
            await super().startup(sockets)
            started.set()

    config = uvicorn.Config(
        answer, port=0, http=GuardedHttpProtocol, lifespan="off", log_config=None
    )
    server = Server(config)
    serving = asyncio.create_task(server._serve())
    await started.wait()
    yield server.servers[0].sockets[0].getsockname()[1]
    server.should_exit = True
    await serving


async def read_to_end(port: int, head: bytes) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(head)
    try:
        return await asyncio.wait_for(reader.read(), 10)
    except ConnectionError:
        return b""
    finally:
        writer.close()


async def test_a_head_that_never_ends_is_cut_off(port: int) -> None:
    assert await read_to_end(port, b"GET / HTTP/1.1\r\nHost: ") == b""


async def test_a_second_head_that_never_ends_is_cut_off(port: int) -> None:
    answer = await read_to_end(port, b"GET / HTTP/1.1\r\nHost: h\r\n\r\nGET / HTT")
    assert answer.count(b"HTTP/1.1 200") == 1


async def test_a_complete_head_is_answered(port: int) -> None:
    head = b"GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"
    assert (await read_to_end(port, head)).startswith(b"HTTP/1.1 200")


async def test_a_body_that_does_not_come_is_cut_off(port: int) -> None:
    head = b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nab"
    assert await read_to_end(port, head) == b""


async def test_a_body_that_comes_slowly_is_answered(port: int) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"POST / HTTP/1.1\r\nHost: h\r\nConnection: close\r\nContent-Length: 6\r\n\r\n")
    for byte in b"slowly":
        await asyncio.sleep(0.1)
        writer.write(bytes((byte,)))
    assert (await asyncio.wait_for(reader.read(), 10)).endswith(b'{"size":6}')
    writer.close()


async def test_a_client_that_takes_nothing_is_cut_off(port: int) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1024)
    writer.write(b"GET /large HTTP/1.1\r\nHost: h\r\n\r\n")
    await asyncio.sleep(1.5)
    received = 0
    with contextlib.suppress(ConnectionError):
        while block := await asyncio.wait_for(reader.read(65_536), 10):
            received += len(block)
    assert received < LARGE
    writer.close()


async def test_a_client_that_takes_an_answer_slowly_gets_all_of_it(port: int) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1024)
    writer.write(b"GET /large HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
    received = 0
    while block := await asyncio.wait_for(reader.read(LARGE // 10), 10):
        received += len(block)
        if received < LARGE:
            await asyncio.sleep(0.02)
    assert received > LARGE
    writer.close()
