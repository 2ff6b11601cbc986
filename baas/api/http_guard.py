"""HTTP/1.1 with bounds on what a client may hold by doing nothing.

uvicorn has none: a client could send headers for ever, never finish them or a body, or never take its answer,
and hold a connection and memory with next to no effort. So the head of a message is bounded in size and time,
and a connection on which it is the client's turn must move.
"""

from __future__ import annotations

import asyncio
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

MAX_HEAD_BYTES = 64 * 1024
"""Bytes of a request's target and headers."""
MAX_HEADERS = 200
HEAD_SECONDS = 30.0
"""How long a head may take from its first byte, the first one of a connection from its beginning."""

STALL_SECONDS = 60.0
"""How long a client may neither send of a body that it began nor take of an answer. Looked at that often, so
that up to twice as long may pass."""


class HeadTooLarge(Exception):
    """The head of a message is over a bound; the parser answers 400 and closes."""


class HeldHead:
    """A transport for one answer, whose head waits for the body's first piece, but not for long.

    uvicorn writes them apart, which costs a call of the kernel and wakes the client twice. Whatever was not
    followed by anything is sent before the event loop turns to anything else that was not yet due.
    """

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self._held: bytes | None = None
        self._passed = False

    def write(self, data: bytes) -> None:
        """Send, after what was held back."""
        if self._passed:
            self._transport.write(data)
        elif self._held is None:
            self._held = data
            asyncio.get_running_loop().call_soon(self.release)
        else:
            held, self._held, self._passed = self._held, None, True
            self._transport.writelines((held, data) if data else (held,))

    def release(self) -> None:
        """Send what was held back, and hold nothing any more."""
        held, self._held, self._passed = self._held, None, True
        if held is not None and not self._transport.is_closing():
            self._transport.write(held)

    def close(self) -> None:
        """Close once everything is sent."""
        self.release()
        self._transport.close()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)


class GuardedHttpProtocol(HttpToolsProtocol):
    """Uvicorn's HTTP/1.1 whose heads are bounded, and whose clients must move."""

    _head_bytes = 0
    _head_fields = 0
    _head_timer: asyncio.TimerHandle | None = None
    _stall_timer: asyncio.TimerHandle | None = None
    _waited = False
    """Whether it was the client's turn when that was last looked at,"""
    _moved = False
    """whether it has moved since,"""
    _unsent = 0
    """and the bytes that it had not taken."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.head_begins()
        self._look_again()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_looking()
        super().connection_lost(exc)

    def handle_websocket_upgrade(self) -> None:
        self._stop_looking()
        super().handle_websocket_upgrade()

    def data_received(self, data: bytes) -> None:
        self._moved = True
        super().data_received(data)

    def resume_writing(self) -> None:
        self._moved = True
        super().resume_writing()

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
        cycle: Any = self.cycle
        if cycle is not None and cycle.transport is self.transport:
            cycle.transport = HeldHead(self.transport)

    def _too_slow(self) -> None:
        self._head_timer = None
        self.transport.abort()

    def _look_again(self) -> None:
        loop = asyncio.get_running_loop()
        self._stall_timer = loop.call_later(STALL_SECONDS, self._look)

    def _stop_looking(self) -> None:
        self.head_ends()
        if self._stall_timer is not None:
            self._stall_timer.cancel()
            self._stall_timer = None

    def _look(self) -> None:
        unsent = self.transport.get_write_buffer_size()
        waits = self.flow.write_paused or self._body_is_awaited()
        if waits and self._waited and not self._moved and unsent >= self._unsent:
            self.transport.abort()
            return
        self._waited, self._moved, self._unsent = waits, False, unsent
        self._look_again()

    def _body_is_awaited(self) -> bool:
        cycle: Any = self.cycle  # none yet, on a new connection
        return (
            cycle is not None
            and cycle.more_body
            and not cycle.response_complete
            and not self.flow.read_paused
        )
