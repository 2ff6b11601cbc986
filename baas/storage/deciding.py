"""Writes that are decided about first: look, decide, write; again if it changed in between."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from baas.errors import Aborted
from baas.storage.object_writes import Changed

T = TypeVar("T")

ATTEMPTS = 8


class Decisions:
    """Runs attempts to their end, even if their client is gone, so that each has an outcome."""

    def __init__(self) -> None:
        self._running: set[asyncio.Task[Any]] = set()

    async def carry_out(self, attempt: Callable[[], Awaitable[T]]) -> T:
        """Make the attempt, again while others write in between.

        Raises:
            Aborted: others kept doing so. Whatever the attempt raises but ``Changed``.
        """
        task = asyncio.ensure_future(_until_unchanged(attempt))
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        return await asyncio.shield(task)

    async def settle(self) -> None:
        """Wait for what is running."""
        while self._running:
            await asyncio.gather(*self._running, return_exceptions=True)


async def _until_unchanged(attempt: Callable[[], Awaitable[T]]) -> T:
    for _ in range(ATTEMPTS):
        try:
            return await attempt()
        except Changed:
            continue
    raise Aborted("Others kept changing this object; try again.")
