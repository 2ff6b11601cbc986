"""One port for everything: a connection's first bytes decide which protocol gets it.

The HTTP/2 preface (RFC 9113 §3.4) means gRPC; anything else is HTTP/1.1 (REST, WebSocket, WebChannel). The
transport itself is handed over, so that after the first bytes nothing stands between the socket and its
protocol. With TLS the same holds for the decrypted bytes; see :func:`offer_protocols` for the negotiation.
Source: ``webchannel`` §11, hosting notes.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import Callable
from typing import Any, Protocol, cast

from uvicorn.config import Config
from uvicorn.server import ServerState

from baas.api.express import ExpressProtocol, Surface
from baas.api.http_guard import GuardedHttpProtocol

log = logging.getLogger(__name__)

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DEFAULT_FIRST_BYTES_TIMEOUT = 30.0
"""Seconds. Browsers open spare connections ahead of need and take it well when those are closed again."""
DEFAULT_MAX_CONNECTIONS = 20_000


class GrpcProtocols(Protocol):
    """What makes the protocol of an HTTP/2 connection (:class:`baas.api.grpc.server.GrpcServer`)."""

    def protocol(self, connections: set[Any]) -> asyncio.Protocol:
        """A new connection's protocol. While connected it is in ``connections``, the set of all of this
        server's connections; its ``shutdown()`` is called when the server stops gracefully."""
        ...


def port_protocol(
    grpc: GrpcProtocols | None,
    express: Surface | None = None,
    *,
    first_bytes_timeout: float = DEFAULT_FIRST_BYTES_TIMEOUT,
    max_connections: int = DEFAULT_MAX_CONNECTIONS,
) -> type[asyncio.Protocol]:
    """The protocol class for ``uvicorn.Config(http=…)``.

    ``express``: the surface whose calls need not go through ASGI (:mod:`baas.api.express`).
    Without ``grpc`` HTTP/2 connections are closed. A connection that has not shown what it speaks within
    ``first_bytes_timeout`` seconds is closed, and so is one that comes when ``max_connections`` are open.
    """
    door = _Door(max_connections)

    class BoundPortProtocol(PortProtocol):
        def __init__(
            self,
            config: Config,
            server_state: ServerState,
            app_state: dict[str, Any],
            _loop: asyncio.AbstractEventLoop | None = None,
        ) -> None:
            def http() -> asyncio.Protocol:
                if express is not None:
                    return ExpressProtocol(config, server_state, app_state, _loop, express)
                return GuardedHttpProtocol(config, server_state, app_state, _loop)

            connections = cast("set[Any]", server_state.connections)
            super().__init__(
                http,
                None if grpc is None else lambda: grpc.protocol(connections),
                connections,
                first_bytes_timeout,
                door,
            )

    return BoundPortProtocol


class _Door:
    """Lets connections in while there is room."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._full = False

    def admits(self, connections: set[Any]) -> bool:
        """Whether there is room for one more. Being full is logged once, not for everybody outside."""
        full = len(connections) >= self._most
        if full and not self._full:
            log.warning("max_connections (%d) are open: further ones are closed", self._most)
        self._full = full
        return not full


class PortProtocol(asyncio.Protocol):
    """Waits for the first bytes, then hands the transport to the protocol that they ask for."""

    def __init__(
        self,
        http: Callable[[], asyncio.Protocol],
        http2: Callable[[], asyncio.Protocol] | None,
        connections: set[Any],
        first_bytes_timeout: float,
        door: _Door,
    ) -> None:
        self._http = http
        self._http2 = http2
        self._connections = connections
        self._timeout = first_bytes_timeout
        self._door = door
        self._buffer = b""
        self._timer: asyncio.TimerHandle | None = None
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        if not self._door.admits(self._connections):
            self._transport.abort()
            return
        self._connections.add(self)
        self._timer = asyncio.get_running_loop().call_later(self._timeout, self._transport.abort)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        if self._buffer.startswith(PREFACE):
            self._hand_over(self._http2)
        elif not PREFACE.startswith(self._buffer):
            self._hand_over(self._http)

    def connection_lost(self, exc: Exception | None) -> None:
        self._forget()

    def shutdown(self) -> None:
        """The server stops: nothing was begun on this connection, so it can go at once."""
        if self._transport is not None:
            self._transport.close()

    def _hand_over(self, make: Callable[[], asyncio.Protocol] | None) -> None:
        transport, data = self._transport, self._buffer
        self._forget()
        if transport is None or make is None:
            self.shutdown()
            return
        protocol = make()
        transport.set_protocol(protocol)
        protocol.connection_made(transport)
        protocol.data_received(data)

    def _forget(self) -> None:
        self._connections.discard(self)
        self._buffer = b""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


def offer_protocols(context: ssl.SSLContext) -> None:
    """Make a server's TLS context negotiate what this port speaks.

    The server's preference decides: whoever offers HTTP/1.1 (browsers, curl) gets it, since only gRPC is
    served over HTTP/2; gRPC clients offer ``h2`` alone and get that.
    """
    context.set_alpn_protocols(["http/1.1", "h2"])
