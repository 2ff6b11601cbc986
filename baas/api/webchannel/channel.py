"""A live WebChannel session: the state machine joined to a running RPC and to the client's open GET."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from baas.api.webchannel.frames import arrays_frame
from baas.api.webchannel.session import Session
from baas.errors import ApiError, InternalError, ResourceExhausted

log = logging.getLogger(__name__)

Messages: TypeAlias = AsyncIterator[str]
Batches: TypeAlias = AsyncGenerator[Iterable[str], None]
Rpc: TypeAlias = Callable[[Mapping[str, str], Messages], Batches]
"""A streaming RPC: metadata and JSON messages in, batches of arrays (ASCII JSON text) out; raises
``ApiError``."""


@dataclass(frozen=True, slots=True)
class ChannelLimits:
    """Times in seconds, sizes in bytes."""

    keepalive: float = 30.0
    """Told to the client, which takes a back channel silent for 1.5 times as long for dead."""
    idle_expiry: float = 90.0
    """A session without a GET and without a POST for so long is dropped."""
    back_channel_lifetime: float = 240.0
    rotate_bytes: int = 1_048_576
    """After so much unacknowledged output the GET is ended: the next one brings the acknowledgement."""
    high_water: int = 4 * 1_048_576
    """With so much unacknowledged, nothing more is taken from the RPC until the client catches up."""
    queued_bytes: int = 64 * 1_048_576
    """Messages received, in order, that the RPC has not taken."""


class BackChannel:
    """One GET: the place where a channel's output goes, until a newer one supersedes it."""

    __slots__ = ("open", "wake")

    def __init__(self) -> None:
        self.wake = asyncio.Event()
        self.open = True

    def end(self) -> None:
        """No more is to be written to it."""
        self.open = False
        self.wake.set()


class Channel:
    """One session. ``on_end`` is called once, when it is dropped."""

    def __init__(
        self,
        session_id: str,
        metadata: Mapping[str, str],
        rpc: Rpc,
        session: Session,
        limits: ChannelLimits,
        on_end: Callable[[Channel], None],
    ) -> None:
        self.id = session_id
        self.session = session
        self._limits = limits
        self._on_end = on_end
        self._inbox: asyncio.Queue[str] = asyncio.Queue()
        self._queued_bytes = 0
        self._back: BackChannel | None = None
        self._acknowledged = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        self._last_seen = self._loop.time()
        self._expiry = self._loop.call_later(limits.idle_expiry, self._expire)
        self._ended = False
        self._stopping = False
        self._task = asyncio.create_task(self._run(rpc, metadata))

    @property
    def has_back_channel(self) -> bool:
        """Whether a GET is open now."""
        return self._back is not None

    def receive(self, maps: Mapping[int, str | None]) -> None:
        """Take in the maps of a POST. A violation ends the RPC with its status, in-band."""
        self._last_seen = self._loop.time()
        try:
            for text in self.session.receive(maps):
                self._queued_bytes += len(text)
                self._inbox.put_nowait(text)
            if self._queued_bytes > self._limits.queued_bytes:
                raise ResourceExhausted("Messages come faster than they can be handled.")
        except ApiError as error:
            self.fail(error)

    def acknowledge(self, array_id: int) -> None:
        """The client has all arrays up to this one."""
        self._last_seen = self._loop.time()
        self.session.acknowledge(array_id)
        self._acknowledged.set()

    def fail(self, error: ApiError) -> None:
        """End the RPC and tell the client why; the session stays until the client lets it go."""
        self._task.cancel()
        self.session.fail(error)
        self._wake()

    def stop(self, error: ApiError) -> None:
        """The server stops: end the RPC, and let the GET go as soon as the client has been told."""
        self._stopping = True
        self.fail(error)

    def end(self) -> None:
        """Drop the session: the RPC is cancelled, the GET ended. Idempotent."""
        if not self._ended:
            self._ended = True
            self._task.cancel()
            self._expiry.cancel()
            if self._back is not None:
                self._back.end()
            self._on_end(self)

    async def wait_ended(self) -> None:
        """Until the RPC's task is over."""
        await asyncio.wait({self._task})

    def open_back_channel(self) -> BackChannel:
        """A GET has come; an older one is superseded."""
        if self._back is not None:
            self._back.end()
        self._back = back = BackChannel()
        if self._ended:
            back.end()
        return back

    def close_back_channel(self, back: BackChannel) -> None:
        """A GET is over."""
        back.end()
        if self._back is back:
            self._back = None
            self._last_seen = self._loop.time()

    async def stream(
        self, back: BackChannel, after: int, write: Callable[[bytes], Awaitable[None]]
    ) -> None:
        """Write all arrays after ``after`` as they come, and noops in silence, until it is time for
        the client to open another GET."""
        end_at = self._loop.time() + self._limits.back_channel_lifetime
        if not self.session.pending(after):
            self.session.push_noop()
        wrote = False
        while back.open:
            back.wake.clear()
            arrays = self.session.pending(after)
            if arrays:
                after = arrays[-1][0]
                await write(arrays_frame(arrays))
                wrote = True
            elif wrote and (
                self._stopping
                or self.session.outstanding_bytes > self._limits.rotate_bytes
                or self._loop.time() >= end_at
            ):
                return
            elif not await self._woken(back, min(self._limits.keepalive, self._left(end_at))):
                self.session.push_noop()

    async def poll(
        self, back: BackChannel, after: int, hold: float, write: Callable[[bytes], Awaitable[None]]
    ) -> None:
        """Wait up to ``hold`` seconds for arrays after ``after``, and write all there are as one frame."""
        end_at = self._loop.time() + min(hold, self._limits.keepalive)
        while back.open:
            back.wake.clear()
            arrays = self.session.pending(after)
            if arrays:
                await write(arrays_frame(arrays))
                return
            if not await self._woken(back, self._left(end_at)):
                self.session.push_noop()

    def _left(self, end_at: float) -> float:
        return max(0.0, end_at - self._loop.time())

    async def _woken(self, back: BackChannel, within: float) -> bool:
        try:
            async with asyncio.timeout(within):
                await back.wake.wait()
        except TimeoutError:
            return False
        return True

    async def _run(self, rpc: Rpc, metadata: Mapping[str, str]) -> None:
        try:
            async with contextlib.aclosing(rpc(metadata, self._messages())) as batches:
                async for batch in batches:
                    for array in batch:
                        self.session.push(array)
                        if self.session.outstanding_bytes > self._limits.high_water:
                            await self._caught_up()
                    self._wake()
            self.session.close()
        except ApiError as error:
            self.session.fail(error)
        except Exception:
            log.exception("WebChannel RPC failed")
            self.session.fail(InternalError("Internal error."))
        self._wake()

    async def _messages(self) -> Messages:
        while True:
            text = await self._inbox.get()
            self._queued_bytes -= len(text)
            yield text

    async def _caught_up(self) -> None:
        self._wake()
        while self.session.outstanding_bytes > self._limits.high_water:
            self._acknowledged.clear()
            await self._acknowledged.wait()

    def _wake(self) -> None:
        if self._back is not None:
            self._back.wake.set()

    def _expire(self) -> None:
        idle = 0.0 if self.has_back_channel else self._loop.time() - self._last_seen
        if idle >= self._limits.idle_expiry:
            self.end()
        else:
            self._expiry = self._loop.call_later(self._limits.idle_expiry - idle, self._expire)
