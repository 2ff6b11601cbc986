"""What differs between the synchronous SDK and its asynchronous source, in one place.

The same names as in :mod:`homefire._runtime`, for the generated modules of :mod:`homefire.sync`.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Generic, TypeAlias, TypeVar, cast

from homefire._runtime import logger

A = TypeVar("A")
T = TypeVar("T")

Event: TypeAlias = threading.Event
Callback: TypeAlias = Callable[[T], None]
Hook: TypeAlias = Callable[[], None]
Function: TypeAlias = Callable[[A], T]
Operation: TypeAlias = Callable[[], T]

JOIN_SECONDS = 5.0


class Lock:
    """A lock for ``with``."""

    def __init__(self) -> None:
        self._lock = threading.Lock()

    def __enter__(self) -> None:
        self._lock.acquire()

    def __exit__(self, *_: object) -> None:
        self._lock.release()


def sleep(seconds: float) -> None:
    """Wait."""
    time.sleep(seconds)


def wait_at_most(event: Event, seconds: float) -> None:
    """Wait until the event is set, or the time is over."""
    event.wait(seconds)


def off_loop(work: Callable[[], T]) -> T:
    """The outcome of work that blocks."""
    return work()


def settle(operation: Operation[T]) -> T:
    """The outcome of something that a caller wants done."""
    return operation()


def invoke(callback: Callback[T], value: T) -> None:
    """Call a callback to its end."""
    callback(value)


def invoke_logged(callback: Callback[T], value: T) -> None:
    """Call an app's callback; what it raises is logged, for it must not break the SDK's own work."""
    try:
        callback(value)
    except Exception:
        logger.exception("A callback raised an exception")


class Outcome(Generic[T]):
    """What will be known later: wait for it with :meth:`result`, as often as you like."""

    def __init__(self) -> None:
        self._known = threading.Event()
        self._value: T | None = None
        self._failure: Exception | None = None

    def result(self) -> T:
        """Wait for the outcome; raises what went wrong."""
        self._known.wait()
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
    """Keeps what was started for a caller who does not wait for it: a thread each."""

    def __init__(self) -> None:
        self._threads: set[threading.Thread] = set()

    @staticmethod
    def available() -> bool:
        """Whether something can be started now."""
        return True

    def start(self, work: Callable[[], None]) -> threading.Thread:
        """Start some work in a thread of its own; its exceptions are logged."""
        thread = threading.Thread(target=self._guarded, args=(work,), daemon=True)
        self._threads.add(thread)
        thread.start()
        return thread

    def soon(self, work: Callable[[], None]) -> None:
        """Do a short piece of work: at once."""
        work()

    def close(self) -> None:
        """Wait for the end of what is running, the caller's own thread excepted."""
        for thread in list(self._threads):
            if thread is not threading.current_thread():
                thread.join(JOIN_SECONDS)

    def _guarded(self, work: Callable[[], None]) -> None:
        try:
            work()
        except Exception:
            logger.exception("Work in the background has failed")
        finally:
            self._threads.discard(threading.current_thread())


__all__ = [
    "Background",
    "Callback",
    "Event",
    "Function",
    "Hook",
    "Lock",
    "Operation",
    "Outcome",
    "invoke",
    "invoke_logged",
    "logger",
    "off_loop",
    "settle",
    "sleep",
    "wait_at_most",
]
