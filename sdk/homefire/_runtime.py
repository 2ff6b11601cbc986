"""What differs between the asynchronous SDK and its synchronous twin, in one place.

The generated twin imports :mod:`homefire._runtime_sync` instead, which has the same names.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeAlias, TypeVar

A = TypeVar("A")
T = TypeVar("T")

Lock: TypeAlias = asyncio.Lock
Callback: TypeAlias = Callable[[T], Awaitable[None] | None]
AsyncFunction: TypeAlias = Callable[[A], Awaitable[T]]
Operation: TypeAlias = Awaitable[T]

logger = logging.getLogger("homefire")


async def sleep(seconds: float) -> None:
    """Wait."""
    await asyncio.sleep(seconds)


async def settle(operation: Operation[T]) -> T:
    """The outcome of something that a caller has begun."""
    return await operation


async def invoke(callback: Callback[T], value: T) -> None:
    """Call a callback, plain or asynchronous, to its end."""
    result = callback(value)
    if inspect.isawaitable(result):
        await result


async def invoke_logged(callback: Callback[T], value: T) -> None:
    """Call an app's callback; what it raises is logged, for it must not break the SDK's own work."""
    try:
        await invoke(callback, value)
    except Exception:
        logger.exception("A callback raised an exception")


class Background:
    """Keeps what was started for a caller who does not wait for it."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[None]] = set()

    @staticmethod
    def available() -> bool:
        """Whether something can be started now: whether an event loop is running."""
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            return False
        return True

    def start(self, work: Callable[[], Coroutine[Any, Any, None]]) -> asyncio.Task[None]:
        """Start some work; its exceptions are logged."""
        task = asyncio.get_running_loop().create_task(self._guarded(work))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def soon(self, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Do a short piece of work: as soon as the event loop comes round."""
        self.start(work)

    async def close(self) -> None:
        """Cancel what is still running, the caller's own task excepted, and wait for its end."""
        tasks = [task for task in self._tasks if task is not asyncio.current_task()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    @staticmethod
    async def _guarded(work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        try:
            await work()
        except Exception:
            logger.exception("Work in the background has failed")
