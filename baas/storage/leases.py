"""Blobs that nothing names any more, and readers that are still at them.

A blob is deleted when the last reader of this process has let it go. A blob that could not be deleted,
or whose server died first, is found by the sweep.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import Counter
from collections.abc import Iterable, Iterator

from baas.errors import ApiError
from baas.storage.blobs.base import BlobStore

log = logging.getLogger(__name__)


class BlobLeases:
    """Who reads which blob, and which blobs go as soon as nobody does."""

    def __init__(self, blobs: BlobStore) -> None:
        self._blobs = blobs
        self._readers: Counter[str] = Counter()
        self._doomed: set[str] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    @contextlib.contextmanager
    def reading(self, names: Iterable[str]) -> Iterator[None]:
        """Keep these blobs for as long as the block lasts."""
        kept = list(names)
        self._readers.update(kept)
        try:
            yield
        finally:
            self._readers.subtract(kept)
            free = [name for name in kept if self._readers[name] <= 0]
            for name in free:
                del self._readers[name]
            self.discard(self._doomed.intersection(free))

    def discard(self, names: Iterable[str]) -> None:
        """Delete blobs, now or when their last reader is done. Does not wait."""
        now = []
        for name in list(names):
            if self._readers.get(name):
                self._doomed.add(name)
            else:
                self._doomed.discard(name)
                now.append(name)
        if now:
            task = asyncio.get_running_loop().create_task(self._delete(now))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _delete(self, names: list[str]) -> None:
        for name in names:
            try:
                await self._blobs.delete(name)
            except ApiError as error:
                log.warning("garbage is left for the sweep: %s", error)

    async def settle(self) -> None:
        """Wait for the deletions that have begun."""
        while self._tasks:
            await asyncio.gather(*self._tasks)
