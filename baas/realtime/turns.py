"""Streams that have something to tell, served a few in each turn of the event loop."""

from __future__ import annotations

import asyncio
from collections import deque

from baas.realtime.shelf import Watcher


class Turns:
    """Many streams may have something to tell at once: none keeps the event loop to itself."""

    def __init__(self, streams_per_turn: int) -> None:
        self._streams_per_turn = streams_per_turn
        self._row: deque[Watcher] = deque()
        self._serving = False

    def wake(self, watcher: Watcher) -> None:
        """A stream has something to tell."""
        if watcher.waits_for_turn:
            return
        watcher.waits_for_turn = True
        self._row.append(watcher)
        if not self._serving:
            self._serve_soon()

    def _serve_soon(self) -> None:
        self._serving = True
        asyncio.get_running_loop().call_soon(self._serve)

    def _serve(self) -> None:
        row = self._row
        for _ in range(min(len(row), self._streams_per_turn)):
            watcher = row.popleft()
            watcher.waits_for_turn = False
            watcher.ready()
        self._serving = False
        if row:
            self._serve_soon()
