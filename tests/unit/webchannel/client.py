"""A WebChannel client as the browser's is seen from the server, and a server to speak to."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import urlencode

import httpx2
import uvicorn
from starlette.applications import Starlette

from baas.api.port import port_protocol
from baas.api.webchannel.surface import WebChannel

PATH = "/google.firestore.v1.Firestore/Listen"
ORIGIN = "http://localhost:5173"


def read_frames(data: bytes) -> list[Any]:
    """All frames of a body, lengths counted in UTF-16 units as JavaScript does."""
    text, frames = data.decode(), []
    while text:
        length, _, rest = text.partition("\n")
        units = rest.encode("utf-16-le")
        size = int(length) * 2
        assert len(units) >= size, "a partial frame"
        frames.append(json.loads(units[:size].decode("utf-16-le")))
        text = units[size:].decode("utf-16-le")
    return frames


class BackChannelReader:
    """Frames of one open GET, as they come."""

    def __init__(self, response: httpx2.Response) -> None:
        self.response = response
        self._chunks = response.aiter_raw()
        self._buffer = b""

    async def frame(self) -> list[Any]:
        """The next frame's arrays."""
        while True:
            length, newline, rest = self._buffer.partition(b"\n")
            if newline and len(rest) >= int(length):
                self._buffer = rest[int(length) :]
                return json.loads(rest[: int(length)])
            async with asyncio.timeout(10):
                self._buffer += await anext(self._chunks)

    async def until(self, condition: Any) -> list[Any]:
        """Arrays up to the first whose content fulfils the condition."""
        seen = []
        while not seen or not condition(seen[-1][1]):
            seen += await self.frame()
        return seen

    async def rest(self) -> list[Any]:
        """All frames until the response ends."""
        async with asyncio.timeout(10):
            async for chunk in self._chunks:
                self._buffer += chunk
        return read_frames(self._buffer)


class Client:
    """Requests as the SDK sends them."""

    def __init__(self, http: httpx2.AsyncClient, base: str) -> None:
        self.http = http
        self.url = f"{base}{PATH}/channel"
        self.rid = 1000
        self.sid = ""
        self.maps = 0

    async def handshake(
        self, *messages: Any, headers: str | None = None, **params: Any
    ) -> httpx2.Response:
        """Open a session with first messages."""
        form = self._form(messages)
        if headers is not None:
            form = urlencode({"headers": headers}) + "&" + form
        response = await self.post(form, **{"VER": "8", "CVER": "22", **params})
        if response.status_code == 200:
            [[[number, control]]] = read_frames(response.content)
            assert number == 0
            assert control[0] == "c"
            self.sid = control[1]
        return response

    async def send(self, *messages: Any, aid: int = 0) -> list[int]:
        """A forward POST; its three numbers."""
        response = await self.post(self._form(messages), SID=self.sid, AID=aid)
        assert response.status_code == 200
        [answer] = read_frames(response.content)
        return answer

    async def post(self, form: str, **params: Any) -> httpx2.Response:
        """Any POST."""
        self.rid += 1
        return await self.http.post(
            self.url,
            params={"RID": self.rid, **params},
            content=form,
            headers={
                "content-type": "application/x-www-form-urlencoded",
                "origin": ORIGIN,
            },
        )

    @contextlib.asynccontextmanager
    async def back(self, aid: int = 0, **params: Any) -> AsyncIterator[BackChannelReader]:
        """Open a GET."""
        query = {"RID": "rpc", "SID": self.sid, "AID": aid, "CI": 0, "TYPE": "xmlhttp", **params}
        async with self.http.stream(
            "GET", self.url, params=query, headers={"origin": ORIGIN}
        ) as response:
            yield BackChannelReader(response)

    def _form(self, messages: tuple[Any, ...]) -> str:
        fields: dict[str, Any] = {"count": len(messages), "ofs": self.maps}
        for number, message in enumerate(messages):
            fields[f"req{number}___data__"] = json.dumps(message)
        self.maps += len(messages)
        return urlencode(fields)


@contextlib.asynccontextmanager
async def serving(surface: WebChannel) -> AsyncIterator[str]:
    """The surface on a real socket; yields its base URL."""
    config = uvicorn.Config(
        Starlette(routes=surface.routes()), port=0, http=port_protocol(None), log_level="error"
    )
    server = uvicorn.Server(config)
    task = asyncio.create_task(server._serve())
    async with asyncio.timeout(10):
        while not server.started:
            await asyncio.sleep(0.01)
    try:
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        await surface.aclose()
        server.should_exit = True
        await task


async def eventually(condition: Any) -> None:
    """Wait until a condition holds."""
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0.005)
