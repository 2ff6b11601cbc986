"""The time that the head of a message may take, on a real socket with a short bound."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
import uvicorn

from baas.api import http_guard
from baas.api.http import JSONResponse
from baas.api.http_guard import GuardedHttpProtocol


@pytest_asyncio.fixture
async def port(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[int]:
    """A server whose heads may take a fifth of a second."""
    monkeypatch.setattr(http_guard, "HEAD_SECONDS", 0.2)
    started = asyncio.Event()

    class Server(uvicorn.Server):
        async def startup(self, sockets=None) -> None:  # type: ignore[no-untyped-def]
            await super().startup(sockets)
            started.set()

    config = uvicorn.Config(
        JSONResponse({}), port=0, http=GuardedHttpProtocol, lifespan="off", log_config=None
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
