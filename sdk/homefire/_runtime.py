"""What differs between the asynchronous SDK and its synchronous twin, in one place.

The generated twin imports :mod:`homefire._runtime_sync` instead, which has the same names.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections.abc import Awaitable, Callable, Coroutine, Generator
from typing import Any, Generic, TypeAlias, TypeVar, cast

A = TypeVar("A")
T = TypeVar("T")

Lock: TypeAlias = asyncio.Lock
Event: TypeAlias = asyncio.Event
Callback: TypeAlias = Callable[[T], Awaitable[None] | None]
Hook: TypeAlias = Callable[[], Awaitable[None] | None]
AsyncFunction: TypeAlias = Callable[[A], Awaitable[T]]
Operation: TypeAlias = Awaitable[T]

logger = logging.getLogger("homefire")


async def sleep(seconds: float) -> None:
    """Wait."""
    await asyncio.sleep(seconds)


async def wait_at_most(event: Event, seconds: float) -> None:
    """Wait until the event is set, or the time is over."""
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        return


async def off_loop(work: Callable[[], T]) -> T:
    """The outcome of work that blocks, which does not hold up the event loop meanwhile."""
    return await asyncio.to_thread(work)


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


class Outcome(Generic[T]):
    """What will be known later: wait for it with ``await`` or :meth:`result`, as often as you like."""

    def __init__(self) -> None:
        self._known = asyncio.Event()
        self._value: T | None = None
        self._failure: Exception | None = None

    def __await__(self) -> Generator[Any, None, T]:
        return self.result().__await__()

    async def result(self) -> T:
        """Wait for the outcome; raises what went wrong."""
        await self._known.wait()
        if self._failure is not None:
            raise self._failure
        return cast(T, self._value)

    def _succeed(self, value: T) -> None:
        self._value = value
        self._known.set()

    def _fail(self, failure: Exception) -> None:
        self._failure = failure
        self._known.set()


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
