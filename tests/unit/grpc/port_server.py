"""A small server on one port: an echoing gRPC method beside an HTTP application, as uvicorn runs them."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator

import uvicorn
from grpclib.const import Cardinality, Handler
from grpclib.server import Stream
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket

from baas.api.grpc.server import GrpcServer
from baas.api.port import offer_protocols, port_protocol


class Service:
    """Echoes, and holds calls until it is told to let them go."""

    def __init__(self) -> None:
        self.release = asyncio.Event()
        self.holding = asyncio.Event()
        self.cancelled = asyncio.Event()

    async def echo(self, stream: Stream[bytes, bytes]) -> None:
        message = await stream.recv_message()
        assert message is not None
        await stream.send_message(message)

    async def hold(self, stream: Stream[bytes, bytes]) -> None:
        await stream.recv_message()
        self.holding.set()
        try:
            await self.release.wait()
        except asyncio.CancelledError:
            self.cancelled.set()
            raise
        await stream.send_message(b"released")

    def methods(self) -> dict[str, Handler]:
        unary = Cardinality.UNARY_UNARY
        return {
            "/test.Echo/Echo": Handler(self.echo, unary, None, None),
            "/test.Echo/Hold": Handler(self.hold, unary, None, None),
        }


async def hello(request: Request) -> PlainTextResponse:
    return PlainTextResponse(f"hello {len(await request.body())}")


async def parrot(socket: WebSocket) -> None:
    await socket.accept()
    await socket.send_text(await socket.receive_text())
    await socket.close()


@contextlib.asynccontextmanager
async def running(
    service: Service,
    *,
    context: ssl.SSLContext | None = None,
    first_bytes_timeout: float = 30.0,
    max_connections: int = 100,
) -> AsyncIterator[tuple[uvicorn.Server, int]]:
    """The server and its port; stopped gracefully at the end."""
    app = Starlette(
        routes=[Route("/hello", hello, methods=["GET", "POST"]), WebSocketRoute("/parrot", parrot)]
    )
    if context is not None:
        offer_protocols(context)
    grpc = GrpcServer(service.methods(), on_shutdown=service.release.set)
    config = uvicorn.Config(
        app,
        port=0,
        http=port_protocol(
            grpc, first_bytes_timeout=first_bytes_timeout, max_connections=max_connections
        ),
        ws="websockets-sansio",
        log_level="error",
        ssl_context_factory=None if context is None else (lambda config, default: context),
    )
    server = uvicorn.Server(config)
    task = asyncio.create_task(server._serve())
    async with asyncio.timeout(10):
        while not server.started:
            await asyncio.sleep(0.01)
    try:
        yield server, server.servers[0].sockets[0].getsockname()[1]
    finally:
        server.should_exit = True
        service.release.set()
        await task
