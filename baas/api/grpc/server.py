"""gRPC over HTTP/2 on transports that somebody else accepts.

grpclib does HTTP/2 and the gRPC framing; this module binds it to the shared port (:mod:`baas.api.port`),
bounds what a peer may do, and stops gracefully: GOAWAY first, then the calls under way end, then the
connection.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, cast

from grpclib.config import Configuration
from grpclib.const import Handler as Method
from grpclib.encoding.base import CodecBase
from grpclib.encoding.proto import ProtoStatusDetailsCodec
from grpclib.events import _DispatchServerEvents
from grpclib.protocol import H2Protocol, Stream
from grpclib.server import Handler
from h2.config import H2Configuration
from h2.errors import ErrorCodes
from h2.events import (
    AlternativeServiceAvailable,
    DataReceived,
    Event,
    InformationalResponseReceived,
    PingReceived,
    PriorityUpdated,
    RemoteSettingsChanged,
    StreamReset,
    UnknownFrameReceived,
)
from h2.settings import SettingCodes
from hyperframe.frame import GoAwayFrame

log = logging.getLogger(__name__)

_REQUIRED_HEADERS = frozenset((":method", ":path"))
_IGNORED_EVENTS = (AlternativeServiceAvailable, InformationalResponseReceived, UnknownFrameReceived)
"""What h2 tells and no server needs; unknown frames must be ignored (RFC 9113 §4.1)."""

Process = Callable[[Event], None]


@dataclass(frozen=True, slots=True)
class GrpcLimits:
    """What one HTTP/2 connection may use. Sizes in bytes, times in seconds."""

    concurrent_streams: int = 256
    """A call that the peer begins beyond it waits on the peer's side (RFC 9113 §5.1.2)."""
    connection_window: int = 16 * 1_048_576
    stream_window: int = 4 * 1_048_576
    """How much of a message may be under way before the service has asked for it."""
    header_list: int = 64 * 1_024
    control_burst: int = 10_000
    """Frames that carry nothing (pings, settings, empty data, ...) at once, and a second in the long run:
    they cost the peer next to nothing, and each some time here. A reset counts for ``RESET_COST`` of them,
    since a call was begun and ended for it."""
    control_rate: float = 1_000.0
    keepalive_time: float = 60.0
    keepalive_timeout: float = 20.0
    shutdown_grace: float = 5.0


RESET_COST = 10
_CONTROL_COSTS: Mapping[type[Event], int] = {
    PingReceived: 1,
    PriorityUpdated: 1,
    RemoteSettingsChanged: 1,
    UnknownFrameReceived: 1,
    StreamReset: RESET_COST,
}
_CALM_SECONDS = 1.0
"""How long a peer that is told to keep calm has to read so."""


class BytesCodec(CodecBase):
    """Hands messages through as bytes: parsing belongs to the wire room, within the service's own limits."""

    __content_subtype__ = "proto"

    def encode(self, message: Any, message_type: Any) -> bytes:
        return cast(bytes, message)

    def decode(self, data: bytes, message_type: Any) -> Any:
        return data


class GrpcServer:
    """Makes the protocol of each HTTP/2 connection; all of them serve the same methods."""

    def __init__(
        self,
        methods: Mapping[str, Method],
        *,
        limits: GrpcLimits = GrpcLimits(),
        on_shutdown: Callable[[], None] | None = None,
    ) -> None:
        """``methods`` are named ``/package.Service/Method``. ``on_shutdown`` is called (once a connection)
        when the server stops, so that endless calls can be ended."""
        self._methods = dict(methods)
        self._limits = limits
        self._on_shutdown = on_shutdown
        self._codec = BytesCodec()
        self._details = ProtoStatusDetailsCodec()
        self._dispatch = _DispatchServerEvents()
        self._config = Configuration(
            _keepalive_time=limits.keepalive_time,
            _keepalive_timeout=limits.keepalive_timeout,
            _http2_max_pings_without_data=0,
            _http2_min_sent_ping_interval_without_data=limits.keepalive_time,
            http2_connection_window_size=limits.connection_window,
            http2_stream_window_size=limits.stream_window,
        ).__for_server__()
        self._h2_config = H2Configuration(
            client_side=False,
            header_encoding="ascii",
            # What calls need of the headers is checked below and by grpclib; h2's checks cost as much
            # as a whole call.
            validate_inbound_headers=False,
            validate_outbound_headers=False,
            normalize_inbound_headers=False,
            normalize_outbound_headers=False,
        )

    def protocol(self, connections: set[Any]) -> asyncio.Protocol:
        """See :class:`baas.api.port.GrpcProtocols`."""
        return GrpcProtocol(
            CallHandler(self._methods, self._codec, self._details, self._dispatch),
            self._config,
            self._h2_config,
            connections,
            self._limits,
            self._on_shutdown,
        )


class CallHandler(Handler):
    """Begins and ends the tasks of one connection's calls."""

    def accept(
        self, stream: Stream, headers: list[tuple[str, str]], release_stream: Callable[[], Any]
    ) -> None:
        # No method here takes binary metadata, and a malformed value must not cost the caller the answer.
        headers = [header for header in headers if not header[0].endswith("-bin")]
        if not _REQUIRED_HEADERS.issubset(name for name, _ in headers):
            stream.reset_nowait()
            release_stream()
            return
        super().accept(stream, headers, release_stream)

    def cancel(self, stream: Stream) -> None:
        if stream in self._tasks:
            super().cancel(stream)

    @property
    def active(self) -> set[asyncio.Task[None]]:
        """The calls under way."""
        return {task for task in self._tasks.values() if not task.done()}


class GrpcProtocol(H2Protocol):
    """One HTTP/2 connection."""

    def __init__(
        self,
        handler: CallHandler,
        config: Configuration,
        h2_config: H2Configuration,
        connections: set[Any],
        limits: GrpcLimits,
        on_shutdown: Callable[[], None] | None,
    ) -> None:
        super().__init__(handler, config, h2_config)
        self._calls = handler
        self._connections = connections
        self._limits = limits
        self._on_shutdown = on_shutdown
        self._allowance = float(limits.control_burst)
        self._regained = time.monotonic()
        self._transport: asyncio.Transport | None = None
        self._closing: asyncio.Task[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self._transport = cast(asyncio.Transport, transport)
        self._connections.add(self)
        processors = cast("dict[type[Event], Process]", self.processor.processors)
        processors.update(dict.fromkeys(_IGNORED_EVENTS, _ignore))
        for event, cost in _CONTROL_COSTS.items():
            processors[event] = self._charged(processors[event], cost)
        processors[DataReceived] = self._charged_if_empty(processors[DataReceived])
        self.connection._connection.update_settings(
            {
                SettingCodes.MAX_CONCURRENT_STREAMS: self._limits.concurrent_streams,
                SettingCodes.MAX_HEADER_LIST_SIZE: self._limits.header_list,
            }
        )
        self.connection.flush()

    def data_received(self, data: bytes) -> None:
        try:
            super().data_received(data)
        except (ValueError, LookupError):
            # The peer's headers were not ASCII, or not what HPACK can hold.
            log.debug("HTTP/2 connection closed: not understood", exc_info=True)
            self.processor.close("Protocol error")

    def connection_lost(self, exc: BaseException | None) -> None:
        self._connections.discard(self)
        super().connection_lost(exc)

    def shutdown(self) -> None:
        """Take no new calls, let those under way end within the grace period, then close."""
        if self._on_shutdown is not None:
            self._on_shutdown()
        if self._closing is None:
            self._closing = asyncio.get_running_loop().create_task(self._close_gracefully())

    def _charged(self, process: Process, cost: int) -> Process:
        """The processing of an event that is paid for out of the connection's allowance."""

        def charged(event: Event) -> None:
            if self._pays(cost):
                process(event)

        return charged

    def _charged_if_empty(self, process: Process) -> Process:
        def charged(event: Event) -> None:
            assert isinstance(event, DataReceived)
            if event.data or event.stream_ended is not None or self._pays(1):
                process(event)

        return charged

    def _pays(self, cost: int) -> bool:
        """Take from the allowance; without enough the connection ends (RFC 9113 §10.5)."""
        limits, now = self._limits, time.monotonic()
        regained = (now - self._regained) * limits.control_rate
        self._regained = now
        self._allowance = min(limits.control_burst, self._allowance + regained) - cost
        if self._allowance >= 0:
            return True
        if self._transport is not None and not self._transport.is_closing():
            log.info("an HTTP/2 connection was closed: too many frames that carry nothing")
            last = self.connection._connection.highest_inbound_stream_id
            calm = GoAwayFrame(0, last_stream_id=last, error_code=ErrorCodes.ENHANCE_YOUR_CALM)
            self._transport.write(calm.serialize())
            self.processor.close("Too many frames that carry nothing")
            asyncio.get_running_loop().call_later(_CALM_SECONDS, self._transport.abort)
        return False

    async def _close_gracefully(self) -> None:
        if self._transport is None or self._transport.is_closing():
            return
        last = self.connection._connection.highest_inbound_stream_id
        self._transport.write(GoAwayFrame(0, last_stream_id=last, error_code=0).serialize())
        calls = self._calls.active
        if calls:
            await asyncio.wait(calls, timeout=self._limits.shutdown_grace)
        self._transport.close()


def _ignore(event: Event) -> None:
    """Nothing follows from this event."""
