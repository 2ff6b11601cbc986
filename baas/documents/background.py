"""Work that goes on beside requests, for as long as the server lives."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

from baas.errors import ApiError

log = logging.getLogger(__name__)

Periodic = tuple[float, Callable[[], Awaitable[object]]]
"""Seconds between, and what to do."""


class BackgroundWork:
    """One endless task, and some that are done now and then."""

    def __init__(
        self, endless: Callable[[], Coroutine[Any, Any, None]], *periodic: Periodic
    ) -> None:
        self._endless = endless
        self._periodic = periodic
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """Begin."""
        self._tasks = [
            asyncio.create_task(self._endless()),
            *(asyncio.create_task(_every(seconds, work)) for seconds, work in self._periodic),
        ]
        for task in self._tasks:
            task.add_done_callback(_tell)

    async def close(self) -> None:
        """End all of it, wherever it stands."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks = []


async def _every(seconds: float, work: Callable[[], Awaitable[object]]) -> None:
    while True:
        await asyncio.sleep(seconds)
        try:
            await work()
        except ApiError as error:  # such as a full disk: it is tried again
            log.error("background work failed: %s", error)


def _tell(task: asyncio.Task[None]) -> None:
    """Nothing ends in silence."""
    if not task.cancelled() and (error := task.exception()) is not None:
        log.error("background work ended", exc_info=error)
