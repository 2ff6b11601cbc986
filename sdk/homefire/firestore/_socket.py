"""The WebSocket under the listeners."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Protocol, TypeAlias

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus, InvalidURI
from websockets.typing import Subprotocol

from homefire._transport.net import is_loopback

SUBPROTOCOL = Subprotocol("homefire.v1")
MAX_MESSAGE = 64 * 1024 * 1024
"""Bytes: well above the largest document with its JSON around it."""


class SocketClosed(Exception):
    """The connection has ended, or none came about.

    ``code`` is that of the close frame (1006 without one), ``http_status`` that of a refused handshake.
    """

    def __init__(self, code: int, reason: str, http_status: int | None = None) -> None:
        super().__init__(f"{reason or 'no reason given'} (code {code})")
        self.code = code
        self.reason = reason
        self.http_status = http_status


class Socket(Protocol):
    """Text frames, both ways. All methods may raise :class:`SocketClosed`."""

    async def send(self, text: str) -> None:
        """Send a frame."""

    async def recv(self) -> str:
        """The next frame."""

    async def close(self) -> None:
        """Say goodbye; never raises."""


Connector: TypeAlias = Callable[[str], Awaitable[Socket]]


async def open_socket(url: str) -> Socket:
    """Connect to a server; raises :class:`SocketClosed`."""
    try:
        connection = await connect(
            url,
            subprotocols=[SUBPROTOCOL],
            max_size=MAX_MESSAGE,
            proxy=None if is_loopback(url) else True,
        )
    except InvalidStatus as error:
        status = error.response.status_code
        raise SocketClosed(1006, f"the server answered HTTP {status}", status) from error
    except (OSError, TimeoutError, InvalidHandshake, InvalidURI) as error:
        raise SocketClosed(1006, str(error) or type(error).__name__) from error
    return _WebSocket(connection)


class _WebSocket:
    def __init__(self, connection: ClientConnection) -> None:
        self._connection = connection

    async def send(self, text: str) -> None:
        """Send a frame."""
        try:
            await self._connection.send(text)
        except ConnectionClosed as error:
            raise _closed(error) from error

    async def recv(self) -> str:
        """The next frame."""
        try:
            message = await self._connection.recv()
        except ConnectionClosed as error:
            raise _closed(error) from error
        if isinstance(message, bytes):
            raise SocketClosed(1006, "the server sent a binary frame")
        return message

    async def close(self) -> None:
        """Say goodbye; never raises."""
        await self._connection.close()


def _closed(error: ConnectionClosed) -> SocketClosed:
    if error.rcvd is None:
        return SocketClosed(1006, str(error))
    return SocketClosed(error.rcvd.code, error.rcvd.reason)
