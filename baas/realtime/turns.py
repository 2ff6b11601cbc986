"""Streams that have something to tell, served a few in each turn of the event loop."""

from __future__ import annotations

import asyncio

from baas.realtime.shelf import Watcher


class Turns:
    """Many streams may have something to tell at once: none keeps the event loop to itself."""

    def __init__(self, streams_per_turn: int) -> None:
        self._streams_per_turn = streams_per_turn
        self._dirty: dict[Watcher, None] = {}
        self._serving = False

    def wake(self, watcher: Watcher) -> None:
        """A stream has something to tell."""
        self._dirty[watcher] = None
        if not self._serving:
            self._serve_soon()

    def _serve_soon(self) -> None:
        self._serving = True
        asyncio.get_running_loop().call_soon(self._serve)

    def _serve(self) -> None:
        dirty = self._dirty
        for _ in range(min(len(dirty), self._streams_per_turn)):
            watcher = next(iter(dirty))
            del dirty[watcher]
            watcher.ready()
        self._serving = False
        if dirty:
            self._serve_soon()
