"""A network that breaks, for tests."""

from __future__ import annotations

import asyncio
from urllib.parse import urlsplit


class Breaker:
    """A relay to a server that loses a connection after so many bytes of answers or of requests."""

    def __init__(self, target: str) -> None:
        parts = urlsplit(target)
        assert parts.hostname is not None
        assert parts.port is not None
        self._target = (parts.hostname, parts.port)
        self._server: asyncio.Server | None = None
        self._relays: set[asyncio.Task[None]] = set()
        self.left: int | None = None
        self.left_of_requests: int | None = None
        self.broken = 0

    async def start(self) -> str:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        return f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    async def stop(self) -> None:
        assert self._server is not None
        self._server.close()
        for relay in self._relays:
            relay.cancel()
        await asyncio.gather(*self._relays, return_exceptions=True)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        relay = asyncio.get_running_loop().create_task(self._relay(reader, writer))
        self._relays.add(relay)
        relay.add_done_callback(self._relays.discard)

    async def _relay(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await asyncio.open_connection(*self._target)
        copies = [
            asyncio.create_task(self._copy(reader, far_writer, "left_of_requests")),
            asyncio.create_task(self._copy(far_reader, writer, "left")),
        ]
        try:
            await asyncio.wait(copies, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for copy in copies:
                copy.cancel()
            for end in (writer, far_writer):
                end.transport.abort()
            await asyncio.gather(*copies, return_exceptions=True)

    async def _copy(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, budget: str
    ) -> None:
        while data := await reader.read(65536):
            left = getattr(self, budget)
            writer.write(data[:left])
            await writer.drain()
            if left is not None:
                setattr(self, budget, left - len(data))
                if left <= len(data):
                    setattr(self, budget, None)
                    self.broken += 1
                    return
