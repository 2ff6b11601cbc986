"""Where the listeners of a synchronous database live: in an event loop on a thread of its own.

The watch client is the asynchronous one; only what waits (``next``) and what asks for a token
crosses threads.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import TypeAlias

from homefire.errors import FirestoreError
from homefire.firestore._mailbox import Mailbox, SubscriptionClosed
from homefire.firestore._view import ViewSnapshot
from homefire.firestore._watch_client import ListenTarget, WatchClient

TokenFunction: TypeAlias = Callable[[bool], str | None]

CLOSE_SECONDS = 10.0


class Subscription:
    """One listener's end of the line; safe to use from any thread."""

    def __init__(self, include_metadata_changes: bool) -> None:
        self._mailbox = Mailbox(include_metadata_changes)
        self._arrived = threading.Condition()
        self._closed = False
        self._on_close: Callable[[], None] = lambda: None

    def offer(self, event: ViewSnapshot | FirestoreError) -> None:
        """Take what happened."""
        with self._arrived:
            self._mailbox.put(event)
            self._arrived.notify_all()

    def next(self) -> ViewSnapshot:
        """The next state; raises the listener's error, or :class:`SubscriptionClosed`."""
        with self._arrived:
            while not self._closed:
                view = self._mailbox.take()
                if view is not None:
                    return view
                self._arrived.wait()
        raise SubscriptionClosed

    def close(self) -> None:
        """End it; may be called more than once."""
        with self._arrived:
            if self._closed:
                return
            self._closed = True
            self._arrived.notify_all()
        self._on_close()


class ListenHost:
    """Makes subscriptions to one watch client, whose thread runs from the first to ``close()``."""

    def __init__(self, url: Callable[[], str], token: TokenFunction) -> None:
        async def token_in_thread(force_refresh: bool) -> str | None:
            return await asyncio.to_thread(token, force_refresh)

        self._client = WatchClient(url, token_in_thread)
        self._open: set[Subscription] = set()
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None

    def subscribe(self, target: ListenTarget, include_metadata_changes: bool) -> Subscription:
        """Listen to a target."""
        subscription = Subscription(include_metadata_changes)
        loop = self._running_loop()
        keys: list[int] = []

        def add() -> None:
            if not subscription._closed:
                keys.append(self._client.add(target, subscription.offer))

        def remove() -> None:
            for key in keys:
                self._client.remove(key)

        def on_close() -> None:
            self._open.discard(subscription)
            self._call(loop, remove)

        subscription._on_close = on_close
        self._open.add(subscription)
        self._call(loop, add)
        return subscription

    def token_changed(self) -> None:
        """The signed-in user or their token is another one."""
        loop = self._loop
        if loop is not None:
            self._call(loop, self._client.token_changed)

    def close(self) -> None:
        """End all subscriptions, the connection and the thread."""
        for subscription in list(self._open):
            subscription.close()
        with self._lock:
            loop, thread = self._loop, self._thread
            self._loop = self._thread = None
        if loop is None or thread is None:
            return
        closing = asyncio.run_coroutine_threadsafe(self._client.close(), loop)
        closing.result(CLOSE_SECONDS)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(CLOSE_SECONDS)

    def _running_loop(self) -> asyncio.AbstractEventLoop:
        with self._lock:
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
                self._thread = threading.Thread(
                    target=_run_loop, args=(self._loop,), name="homefire-listen", daemon=True
                )
                self._thread.start()
            return self._loop

    @staticmethod
    def _call(loop: asyncio.AbstractEventLoop, work: Callable[[], None]) -> None:
        try:
            loop.call_soon_threadsafe(work)
        except RuntimeError:  # The loop is closed already, and with it all that lived in it.
            return


def _run_loop(loop: asyncio.AbstractEventLoop) -> None:
    try:
        loop.run_forever()
        loop.run_until_complete(loop.shutdown_default_executor())
    finally:
        loop.close()
