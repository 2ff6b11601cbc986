"""HTTP/1.1 with bounds on the head of a message: its size, and the time it may take.

uvicorn bounds neither: a client could send headers for ever, or never finish them, and hold a connection
and memory with next to no effort.
"""

from __future__ import annotations

import asyncio

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

MAX_HEAD_BYTES = 64 * 1024
"""Bytes of a request's target and headers."""
MAX_HEADERS = 200
HEAD_SECONDS = 30.0
"""How long a head may take from its first byte, the first one of a connection from its beginning."""


class HeadTooLarge(Exception):
    """The head of a message is over a bound; the parser answers 400 and closes."""


class GuardedHttpProtocol(HttpToolsProtocol):
    """Uvicorn's HTTP/1.1 whose heads are bounded."""

    _head_bytes = 0
    _head_fields = 0
    _head_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.head_begins()

    def connection_lost(self, exc: Exception | None) -> None:
        self.head_ends()
        super().connection_lost(exc)

    def head_begins(self) -> None:
        """Count from here."""
        self._head_bytes = self._head_fields = 0
        if self._head_timer is None:
            self._head_timer = asyncio.get_running_loop().call_later(HEAD_SECONDS, self._too_slow)

    def head_grows(self, size: int) -> None:
        """So many more bytes of it have come.

        Raises:
            HeadTooLarge: that is too much.
        """
        self._head_bytes += size
        self._head_fields += 1
        if self._head_bytes > MAX_HEAD_BYTES or self._head_fields > MAX_HEADERS:
            raise HeadTooLarge

    def head_ends(self) -> None:
        """It is complete."""
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def on_message_begin(self) -> None:
        self.head_begins()
        super().on_message_begin()

    def on_url(self, url: bytes) -> None:
        self.head_grows(len(url))
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        self.head_grows(len(name) + len(value))
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        self.head_ends()
        super().on_headers_complete()

    def _too_slow(self) -> None:
        self._head_timer = None
        self.transport.abort()
