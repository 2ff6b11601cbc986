"""The far ends that the SDK's unit tests plug in: a transport made of a function, a scripted socket."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from homefire._transport.messages import HttpRequest, HttpResponse
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed

DEADLINE = 5.0


def answer(body: object, status: int = 200, **headers: str) -> HttpResponse:
    """A JSON response."""
    return HttpResponse(status, headers, json.dumps(body).encode())


def refusal(status: int, message: str, word: str | None = None) -> HttpResponse:
    """Google's error envelope."""
    error = {"code": status, "message": message} | ({"status": word} if word else {})
    return answer({"error": error}, status)


def token(uid: str = "u1", serial: int = 0, expires: float = 4_000_000_000.0) -> str:
    """Something shaped like an ID token."""
    claims = {
        "sub": uid,
        "user_id": uid,
        "exp": expires,
        "iat": 1,
        "auth_time": 1,
        "serial": serial,
    }
    body = base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip("=")
    return f"e30.{body}.x"


class Recorder:
    """A transport that keeps the requests and answers from a function."""

    def __init__(self, respond: Callable[[HttpRequest], HttpResponse]) -> None:
        self.respond = respond
        self.requests: list[HttpRequest] = []

    async def send(self, request: HttpRequest) -> HttpResponse:
        self.requests.append(request)
        await asyncio.sleep(0)
        return self.respond(request)

    @property
    def last(self) -> HttpRequest:
        return self.requests[-1]

    def bodies(self) -> list[Any]:
        return [json.loads(request.content) for request in self.requests]


class Link:
    """The server's side of one connection."""

    def __init__(self, connection: ServerConnection) -> None:
        self._connection = connection

    async def frame(self) -> dict[str, Any]:
        """The client's next frame."""
        text = await asyncio.wait_for(self._connection.recv(), DEADLINE)
        frame = json.loads(text)
        assert isinstance(frame, dict)
        return frame

    async def say(self, *frames: object) -> None:
        for frame in frames:
            await self._connection.send(json.dumps(frame))

    async def say_raw(self, data: str | bytes) -> None:
        await self._connection.send(data)

    async def close(self, code: int = 1000, reason: str = "") -> None:
        await self._connection.close(code, reason)

    async def cut(self) -> None:
        """End the connection without a word."""
        self._connection.transport.abort()

    async def gone(self) -> int | None:
        """Wait for the client to leave; the close code."""
        try:
            async with asyncio.timeout(DEADLINE):
                while True:
                    await self._connection.recv()
        except ConnectionClosed:
            return self._connection.close_code


class ScriptedServer:
    """A WebSocket server whose test speaks for it."""

    def __init__(self) -> None:
        self.url = ""
        self._links: asyncio.Queue[Link] = asyncio.Queue()
        self.connections = 0

    async def link(self) -> Link:
        """The next connection."""
        return await asyncio.wait_for(self._links.get(), DEADLINE)

    async def _accept(self, connection: ServerConnection) -> None:
        self.connections += 1
        self._links.put_nowait(Link(connection))
        await connection.wait_closed()


@asynccontextmanager
async def scripted_server() -> AsyncIterator[ScriptedServer]:
    """Start and stop a scripted server."""
    scripted = ScriptedServer()
    async with serve(scripted._accept, "127.0.0.1", 0) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        scripted.url = f"ws://127.0.0.1:{port}/listen"
        yield scripted
