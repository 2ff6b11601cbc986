"""The results of views, read within the memory that there is for them.

Most results are small, so a small lease is taken first; a result that turns out to be larger is read again
under one for the largest result that a listener may have.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from baas.errors import ResourceExhausted
from baas.model.document import Document
from baas.realtime.budget import Budget, Lease
from baas.realtime.deltas import size_of
from baas.realtime.matcher import AnyView
from baas.realtime.options import RealtimeOptions
from baas.realtime.ports import VersionedReader
from baas.realtime.resume import Most, Replay, read_replay
from baas.realtime.targets import Watched
from baas.realtime.timeline import Timeline
from baas.realtime.views import DocumentsView, WindowView


@dataclass(frozen=True, slots=True)
class Loaded:
    """A result as of a version, and the lease that whoever keeps it has to keep."""

    documents: list[Document]
    version: int
    lease: Lease


class ResultLoader:
    """Reads results for the listeners of all databases."""

    def __init__(self, options: RealtimeOptions, relieve: Callable[[], None]) -> None:
        """``relieve`` is called when memory for results is short."""
        self._small = min(options.kept_bytes, options.max_result_bytes)
        self._largest = options.max_result_bytes
        self._most_replayed = Most(options.replayed_changes, options.replayed_bytes)
        self._budget = Budget(options.held_bytes, options.result_patience, relieve)
        # so that many who ask at once wait here, patiently, and not for memory
        self._turns = asyncio.Semaphore(options.concurrent_loads)

    @property
    def held_bytes(self) -> int:
        """About how many bytes results take now, those included that are being read."""
        return self._budget.used

    async def load(self, timeline: Timeline, view: AnyView) -> Loaded:
        """Read the result of a view, which notes commits from just before the read on.

        Raises:
            ApiError: it cannot be read, or is too large.
        """
        async with self._turns:
            loaded = await self._within(timeline, view, self._small)
            if loaded is None and self._small < self._largest:
                loaded = await self._within(timeline, view, self._largest)
        if loaded is None:
            raise ResourceExhausted(
                f"The result is larger than {self._largest} bytes, the most that a listener may have; "
                "narrow the query or give it a smaller limit."
            )
        return loaded

    async def replay(self, timeline: Timeline, view: AnyView, watched: Watched) -> Replay | None:
        """Read what a listener that comes back has missed; ``None`` if it has to begin afresh.

        Raises:
            ApiError: it cannot be read.
        """
        most = self._most_replayed
        async with self._turns:
            lease = await self._budget.lease(most.bytes)
            replay, _version = await timeline.read(
                lambda reader: read_replay(reader, watched, view, most)
            )
        if replay is not None:
            # a document counts more than its stored bytes: what is beyond the lease is bounded, too
            lease.shrink(replay.size)
            replay.lease = lease
        return replay

    async def _within(self, timeline: Timeline, view: AnyView, most: int) -> Loaded | None:
        lease = await self._budget.lease(most)
        view.begin_load()
        (documents, size), version = await timeline.read(_bounded(view, most))
        if size > most:
            return None
        lease.shrink(size)
        return Loaded(documents, version, lease)


def _bounded(view: AnyView, most: int) -> Callable[[VersionedReader], tuple[list[Document], int]]:
    # only what is asked goes to the reader's thread, which may remember its last unit for a long time
    read = _reading(view)

    def unit(reader: VersionedReader) -> tuple[list[Document], int]:
        documents: list[Document] = []
        size = 0
        for document in read(reader):
            size += size_of(document)
            if size > most:
                return [], size
            documents.append(document)
        return documents, size

    return unit


def _reading(view: AnyView) -> Callable[[VersionedReader], Iterable[Document]]:
    if isinstance(view, DocumentsView):
        names = view.names
        return lambda reader: filter(None, map(reader.get, names))
    query = view.query_to_load() if isinstance(view, WindowView) else view.query
    return lambda reader: reader.query(query)
