"""The memory that listeners' results take: leased before they are read, given back when nobody holds them.

A result is shared by its view and by the streams whose readers have not taken all of it yet; the last of
them to let go gives the lease back, so a slow reader of a large result keeps new ones waiting instead of
memory growing.
"""

from __future__ import annotations

import asyncio
import functools
from collections import deque
from collections.abc import Callable, Iterable

from baas.errors import ResourceExhausted
from baas.model.document import Document
from baas.model.watch import BloomFilter
from baas.realtime.bloom import bloom_filter


class Lease:
    """Some bytes of a budget. They go back when the lease is not referred to any more."""

    __slots__ = ("_give_back", "size")

    def __init__(self, size: int, give_back: Callable[[int], None]) -> None:
        self.size = size
        self._give_back = give_back

    def shrink(self, size: int) -> None:
        """Give back what is beyond ``size``."""
        if size < self.size:
            beyond, self.size = self.size - size, size
            self._give_back(beyond)

    def __del__(self) -> None:
        self._give_back(self.size)


class Budget:
    """So many bytes for all results together. To be made inside the running event loop.

    ``relieve`` is called when they run out: whoever keeps results only for speed lets go of them.
    """

    def __init__(self, limit: int, patience: float, relieve: Callable[[], None]) -> None:
        """``patience``: seconds that a lease may be waited for."""
        self._limit = limit
        self._patience = patience
        self._relieve = relieve
        self._leased = 0
        self._returned: deque[int] = deque()
        self._waiting: deque[tuple[int, asyncio.Future[Lease]]] = deque()
        self._loop = asyncio.get_running_loop()

    @property
    def used(self) -> int:
        """Bytes that are leased."""
        while self._returned:
            self._leased -= self._returned.popleft()
        return self._leased

    async def lease(self, size: int) -> Lease:
        """Wait for a lease, in the order of asking; one of more than all there is gets all there is.

        Raises:
            ResourceExhausted: there was no room for too long.
        """
        size = min(size, self._limit)
        if not self._waiting and self.used + size <= self._limit:
            return self._grant(size)
        turn: asyncio.Future[Lease] = self._loop.create_future()
        self._waiting.append((size, turn))
        self._relieve()
        self._settle()
        try:
            async with asyncio.timeout(self._patience):
                return await turn
        except TimeoutError:
            raise ResourceExhausted(
                "Listeners' results fill the memory that the server has for them; listen again later."
            ) from None
        finally:
            if turn.cancelled():
                self._settle()

    def _grant(self, size: int) -> Lease:
        self._leased += size
        return Lease(size, self._give_back)

    def _give_back(self, size: int) -> None:
        """May be called on any thread, whenever the garbage collector likes: no locks here."""
        self._returned.append(size)
        if self._waiting and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._settle)

    def _settle(self) -> None:
        waiting = self._waiting
        while waiting:
            size, turn = waiting[0]
            if not turn.done():
                if self.used + size > self._limit:
                    return
                turn.set_result(self._grant(size))
            waiting.popleft()


class Result(tuple[Document, ...]):
    """The documents of a result, and the lease of the memory that they take."""

    lease: Lease | None

    @functools.cached_property
    def bloom(self) -> BloomFilter:
        """The filter of the documents' names; made once, however many come back to the result."""
        return bloom_filter([document.name.name for document in self])

    @classmethod
    def of(cls, documents: Iterable[Document], lease: Lease | None) -> Result:
        """Documents that keep a lease as long as they are referred to."""
        result = cls(documents)
        result.lease = lease
        return result
