"""Work under way that nobody awaits: kept until it is over, and ended together."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine
from typing import Any

from baas.errors import ApiError

log = logging.getLogger(__name__)


class Tasks:
    """The tasks of one hub. What fails in them is logged: they end their targets by themselves."""

    def __init__(self) -> None:
        self._running: set[asyncio.Task[None]] = set()

    def spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Begin, and keep a reference until it is over."""
        task = asyncio.ensure_future(work)
        self._running.add(task)
        task.add_done_callback(self._done)
        return task

    async def close(self) -> None:
        """Cancel all, and wait until they are over."""
        running = tuple(self._running)
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._running.discard(task)
        # an ApiError has been told to whoever awaited the task
        if not task.cancelled() and not isinstance(task.exception(), ApiError | None):
            log.error("a listener's task failed", exc_info=task.exception())
