"""WebSocket messages that are framed once and written to many sockets.

A frame from the server is the same bytes on every connection (RFC 6455 §5.1: servers do not mask), so what a
thousand listeners are told is framed once and handed to a thousand transports. That needs the transport,
which ASGI hides: :class:`FrameSharingProtocol`, to be given to ``uvicorn.Config(ws=…)``, offers it to the
application as the extension ``homefire.frames``. Without it, or with compression, which is each connection's
own, messages go the way of ASGI.
"""

from __future__ import annotations

from typing import Any, Final

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

EXTENSION: Final = "homefire.frames"
NO_PONG: Final = 4408


def text_frame(payload: bytes) -> bytes:
    """One unfragmented, unmasked text message (RFC 6455 §5.2)."""
    length = len(payload)
    if length < 126:
        return bytes((0x81, length)) + payload
    if length < 65_536:
        return b"\x81\x7e" + length.to_bytes(2, "big") + payload
    return b"\x81\x7f" + length.to_bytes(8, "big") + payload


class RawFrames:
    """What an application may do with the transport of its WebSocket, once it is accepted."""

    __slots__ = ("_protocol",)

    def __init__(self, protocol: FrameSharingProtocol) -> None:
        self._protocol = protocol

    @property
    def compressed(self) -> bool:
        """Whether the connection compresses, so that frames cannot be shared."""
        return bool(self._protocol.conn.extensions)

    @property
    def writable(self) -> bool:
        """Whether the transport takes more without piling up."""
        protocol = self._protocol
        return protocol.writable.is_set() and not protocol.disconnected and not protocol.close_sent

    def write(self, frames: bytes) -> None:
        """Write whole frames; nothing, if the connection is gone or closing."""
        protocol = self._protocol
        if not protocol.disconnected and not protocol.close_sent:
            protocol.transport.write(frames)

    async def drained(self) -> None:
        """Wait until the transport takes more, or is gone."""
        await self._protocol.writable.wait()

    def forget_handshake(self) -> None:
        """Drop the request's headers, which an idle connection would keep in memory for good."""
        protocol = self._protocol
        protocol.scope["headers"] = []
        protocol.request = protocol.response = None  # type: ignore[assignment]

    def abort(self) -> None:
        """Cut the connection without ceremony."""
        self._protocol.transport.abort()


class FrameSharingProtocol(WebSocketsSansIOProtocol):
    """Uvicorn's WebSocket protocol, with the extension."""

    def handle_connect(self, event: Any) -> None:
        super().handle_connect(event)
        scope = getattr(self, "scope", None)
        if scope is not None:
            scope["extensions"][EXTENSION] = RawFrames(self)

    def keepalive_timeout(self) -> None:
        """The peer does not answer pings: it is gone, or as good as."""
        self.pong_timer = None
        self.pending_ping_payload = None
        if self.close_sent or self.transport.is_closing():
            return
        self.conn.fail(NO_PONG, "no answer to a ping")
        self.transport.write(b"".join(self.conn.data_to_send()))
        self.close_sent = True
        self.transport.close()
