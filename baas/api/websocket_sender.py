"""How messages get onto a WebSocket: at once through the transport, or through ASGI.

Either way no more is handed over than the socket takes: what a slow reader has not taken stays in its watch
stream, where it is merged.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from typing import Final, Protocol

from starlette.types import Send

from baas.api.websocket_frames import RawFrames, text_frame
from baas.errors import ApiError, DeadlineExceeded
from baas.realtime.deltas import Batch
from baas.realtime.service import WatchStream
from baas.wire.json_codec import listen_response_to_json

log = logging.getLogger(__name__)

_PAYLOADS: Final = "json"
_FRAMES: Final = "frames"

TOO_SLOW: Final = DeadlineExceeded("The reader took nothing for too long.")


class Sender(Protocol):
    """One connection's way out. Messages go in the order of the calls."""

    def start(self, stream: WatchStream) -> None:
        """From here on send what the stream has to tell."""

    def send(self, message: bytes) -> None:
        """Send one JSON text."""

    async def flushed(self) -> None:
        """Wait until everything that was given to :meth:`send` was handed to the socket."""

    def stop(self) -> None:
        """The connection is gone, or is being closed."""


class RawSender:
    """Writes frames to the transport, from whatever call has them; no task unless the socket is full."""

    def __init__(
        self, raw: RawFrames, slow_seconds: float, on_end: Callable[[ApiError], None]
    ) -> None:
        self._raw = raw
        self._slow_seconds = slow_seconds
        self._on_end = on_end
        self._stream: WatchStream | None = None
        self._waiting: asyncio.Task[None] | None = None

    def start(self, stream: WatchStream) -> None:
        self._stream = stream
        stream.on_ready = self._pump

    def send(self, message: bytes) -> None:
        # answers are bounded by what the client asked for, and go even where deltas have to wait
        self._raw.write(text_frame(message))

    async def flushed(self) -> None:
        await self._raw.drained()

    def stop(self) -> None:
        if self._stream is not None:
            self._stream.on_ready = None
            self._stream = None
        if self._waiting is not None:
            self._waiting.cancel()
            self._waiting = None

    def _pump(self) -> None:
        stream = self._stream
        if stream is None or self._waiting is not None:
            return
        raw = self._raw
        while raw.writable:
            batch = stream.take()
            if batch is None:
                if stream.failure is not None:
                    self._on_end(stream.failure)
                return
            raw.write(frames_of(batch))
            if stream.idle:
                return
        self._waiting = asyncio.ensure_future(self._wait())

    async def _wait(self) -> None:
        try:
            async with asyncio.timeout(self._slow_seconds):
                await self._raw.drained()
        except TimeoutError:
            self._on_end(TOO_SLOW)
            self._raw.abort()
            return
        self._waiting = None
        self._pump()


class AsgiSender:
    """Sends through ASGI, from a task."""

    def __init__(self, send: Send, slow_seconds: float, on_end: Callable[[ApiError], None]) -> None:
        self._send = send
        self._slow_seconds = slow_seconds
        self._on_end = on_end
        self._stream: WatchStream | None = None
        self._messages: deque[bytes] = deque()
        self._more = asyncio.Event()
        self._idle = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def start(self, stream: WatchStream) -> None:
        self._stream = stream
        stream.on_ready = self._more.set
        self._task = asyncio.ensure_future(self._run())

    def send(self, message: bytes) -> None:
        self._messages.append(message)
        self._idle.clear()
        self._more.set()

    async def flushed(self) -> None:
        if self._task is not None and not self._task.done():
            await self._idle.wait()

    def stop(self) -> None:
        if self._stream is not None:
            self._stream.on_ready = None
            self._stream = None
        if self._task is not None:
            self._task.cancel()

    async def _run(self) -> None:
        try:
            while True:
                async with asyncio.timeout(self._slow_seconds):
                    ended = await self._send_all()
                self._idle.set()
                if ended:
                    return
                await self._more.wait()
                self._more.clear()
        except TimeoutError:
            self._on_end(TOO_SLOW)
        except OSError:
            log.debug("a WebSocket went away while it was written to")
        finally:
            self._idle.set()

    async def _send_all(self) -> bool:
        while True:
            while self._messages:
                await self._send_text(self._messages.popleft())
            stream = self._stream
            batch = None if stream is None else stream.take()
            if batch is None:
                if stream is not None and stream.failure is not None:
                    self._on_end(stream.failure)
                    return True
                return False
            for payload in payloads_of(batch):
                await self._send_text(payload)

    async def _send_text(self, payload: bytes) -> None:
        await self._send({"type": "websocket.send", "text": payload.decode()})


def payloads_of(batch: Batch) -> list[bytes]:
    """Each message as JSON; encoded once for all streams that share the batch."""
    payloads: list[bytes] | None = batch.memo.get(_PAYLOADS)
    if payloads is None:
        payloads = batch.memo[_PAYLOADS] = [listen_response_to_json(each) for each in batch]
    return payloads


def frames_of(batch: Batch) -> bytes:
    """All messages as WebSocket frames; made once for all streams that share the batch."""
    frames: bytes | None = batch.memo.get(_FRAMES)
    if frames is None:
        frames = b"".join(map(text_frame, map(listen_response_to_json, batch)))
        batch.memo[_FRAMES] = frames
    return frames
