"""WebSocket messages that are framed once and written to many sockets.

A frame from the server is the same bytes on every connection (RFC 6455 §5.1: servers do not mask), so what a
thousand listeners are told is framed once and handed to a thousand transports. That needs the transport,
which ASGI hides: :class:`FrameSharingProtocol`, to be given to ``uvicorn.Config(ws=…)``, offers it to the
application as the extension ``homefire.frames``. Without it, or with compression, which is each connection's
own, messages go the way of ASGI.
"""

from __future__ import annotations

import asyncio
import functools
import logging
import time
from dataclasses import dataclass
from typing import Any, Final, cast

from uvicorn.config import Config
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from uvicorn.server import ServerState
from websockets.frames import Frame, Opcode

log = logging.getLogger(__name__)

EXTENSION: Final = "homefire.frames"
NO_PONG: Final = 4408
TOO_MANY: Final = 1008
_WORTH_BYTES: Final = 1_024
"""A fragment that carries so many bytes costs its sender more than it costs here."""
_CLOSING_SECONDS: Final = 1.0
"""How long the peer has to read why it is cut off."""


@dataclass(frozen=True, slots=True)
class FrameLimits:
    """What a peer may send of frames that are no message by themselves."""

    burst: int = 10_000
    """Pings, pongs and unfinished fragments at once; they are regained at ``rate``."""
    rate: float = 1_000.0


def text_frame(payload: bytes) -> bytes:
    """One unfragmented, unmasked text message (RFC 6455 §5.2)."""
    length = len(payload)
    if length < 126:
        return bytes((0x81, length)) + payload
    if length < 65_536:
        return b"\x81\x7e" + length.to_bytes(2, "big") + payload
    return b"\x81\x7f" + length.to_bytes(8, "big") + payload


_MESSAGES: Final = (Opcode.TEXT, Opcode.BINARY, Opcode.CONT, Opcode.CLOSE)
"""Kinds of frames that end a message, or the connection, where they are final."""


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
    """Uvicorn's WebSocket protocol, with the extension.

    Frames that are no message by themselves cost their sender a few bytes, and never reach the application,
    which counts messages. They are counted here.
    """

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
        limits: FrameLimits = FrameLimits(),
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self._limits = limits
        self._allowance = float(limits.burst)
        self._regained = time.monotonic()
        self._take_frame = self.conn.recv_frame
        self.conn.recv_frame = self._count_frame  # type: ignore[method-assign]

    def _count_frame(self, frame: Frame) -> None:
        """A frame, as the parser has it."""
        whole = frame.fin and frame.opcode in _MESSAGES
        if whole or len(frame.data) >= _WORTH_BYTES:
            self._take_frame(frame)
            return
        limits, now = self._limits, time.monotonic()
        regained = (now - self._regained) * limits.rate
        self._regained = now
        self._allowance = min(float(limits.burst), self._allowance + regained) - 1
        if self._allowance >= 0:
            self._take_frame(frame)
        else:
            self.conn.fail(
                TOO_MANY, "too many frames that carry nothing"
            )  # drops what follows, unparsed

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        del (
            self.conn.recv_frame
        )  # a cycle, which would keep the connection's memory for the collector

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self._allowance < 0 and not self.close_sent:
            log.info("a WebSocket was closed: too many frames that carry nothing")
            self.transport.write(b"".join(self.conn.data_to_send()))
            self.close_sent = True
            self.stop_keepalive()
            self.queue.put_nowait({"type": "websocket.disconnect", "code": TOO_MANY})
            self.loop.call_later(_CLOSING_SECONDS, self.transport.abort)

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


def websocket_protocol(limits: FrameLimits) -> type[asyncio.Protocol]:
    """The protocol for ``uvicorn.Config(ws=…)``."""
    return cast("type[asyncio.Protocol]", functools.partial(FrameSharingProtocol, limits=limits))
