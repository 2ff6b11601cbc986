"""An HTTP client that sends exactly the bytes that it is told to, and may go away at any of them."""

from __future__ import annotations

import asyncio
from urllib.parse import urlsplit


class RawRequest:
    """One request on a connection of its own."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @classmethod
    async def begin(
        cls, base: str, method: str, target: str, headers: dict[str, str]
    ) -> RawRequest:
        """Connect and send the head."""
        at = urlsplit(base)
        reader, writer = await asyncio.open_connection(at.hostname, at.port)
        lines = [f"{method} {target} HTTP/1.1", f"Host: {at.netloc}", "Connection: close"]
        lines += [f"{key}: {value}" for key, value in headers.items()]
        writer.write(("\r\n".join(lines) + "\r\n\r\n").encode())
        await writer.drain()
        return cls(reader, writer)

    async def send(self, data: bytes) -> None:
        """Send a piece of the body."""
        self._writer.write(data)
        await self._writer.drain()

    async def hang_up(self) -> None:
        """Go away; what was sent still arrives."""
        self._writer.close()
        await asyncio.gather(self._writer.wait_closed(), return_exceptions=True)

    async def answer(self) -> tuple[int, bytes]:
        """(status, body), read to the end of the connection."""
        raw = await self._reader.read()
        self._writer.close()
        await self._writer.wait_closed()
        head, _, body = raw.partition(b"\r\n\r\n")
        return int(head.split(b" ", 2)[1]), body
