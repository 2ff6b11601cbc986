"""Half-arrived bodies on real connections: bounded together, by the express way and by ASGI."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
import pytest_asyncio
import uvicorn
from starlette.types import Receive, Scope, Send

from baas.api.assembly import PIECE, Assembly
from baas.api.edge import Edge
from baas.api.http import JSONResponse, read_body
from baas.api.port import port_protocol
from baas.errors import ApiError, InvalidArgument

SIZE = 3 * PIECE
ROOM = 4 * PIECE


class Surface:
    """Takes every call below ``/express``, and answers the size of its body."""

    body_limit = 10 * PIECE

    def __init__(self) -> None:
        self.assembly = Assembly(ROOM)

    def claims(self, target: bytes) -> bool:
        return target.startswith(b"/express")

    async def answer(
        self,
        method: str,
        raw_path: bytes,
        query_string: bytes,
        authorization: str | None,
        read_body: Callable[[], Awaitable[bytes]],
    ) -> bytes:
        return str(len(await read_body())).encode()

    def only_reads(self, method: str, target: bytes) -> bool:
        return False

    def too_large(self) -> ApiError:
        return InvalidArgument("too large")

    async def asgi(self, scope: Scope, receive: Receive, send: Send) -> None:
        body = await read_body(receive, self.body_limit, self.assembly)
        await JSONResponse(len(body))(scope, receive, send)


@pytest.fixture
def surface() -> Surface:
    return Surface()


@pytest_asyncio.fixture
async def port(surface: Surface) -> AsyncIterator[int]:
    started = asyncio.Event()

    class Server(uvicorn.Server):
        async def startup(self, sockets=None) -> None:  # type: ignore[no-untyped-def]
            await super().startup(sockets)
            started.set()

    config = uvicorn.Config(
        Edge(surface.asgi),
        port=0,
        http=port_protocol(None, surface),
        lifespan="off",
        log_config=None,
    )
    server = Server(config)
    serving = asyncio.create_task(server._serve())
    await started.wait()
    yield server.servers[0].sockets[0].getsockname()[1]
    server.should_exit = True
    await serving


@pytest.mark.parametrize("path", ["/express", "/asgi"])
async def test_half_arrived_bodies_are_refused_beyond_what_all_may_hold(
    port: int, surface: Surface, path: str
) -> None:
    async def begin(sent: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        head = f"POST {path} HTTP/1.1\r\nHost: h\r\nContent-Length: {SIZE}\r\n\r\n"
        writer.write(head.encode() + b"x" * sent)
        return reader, writer

    first, first_writer = await begin(SIZE - 1)
    while surface.assembly.held < SIZE - PIECE:
        await asyncio.sleep(0.01)
    second, second_writer = await begin(SIZE - 1)
    assert b" 429 " in await asyncio.wait_for(second.readline(), 10)
    first_writer.write(b"x")
    assert b" 200 " in await asyncio.wait_for(first.readline(), 10)
    assert surface.assembly.held == 0
    for writer in (first_writer, second_writer):
        writer.close()
