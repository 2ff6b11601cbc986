"""Where the listeners of a database live: here, in the caller's own event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from homefire.errors import FirestoreError
from homefire.firestore._mailbox import Mailbox, SubscriptionClosed
from homefire.firestore._view import ViewSnapshot
from homefire.firestore._watch_client import ListenTarget, TokenFunction, WatchClient


class Subscription:
    """One listener's end of the line."""

    def __init__(self, include_metadata_changes: bool) -> None:
        self._mailbox = Mailbox(include_metadata_changes)
        self._arrived = asyncio.Event()
        self._closed = False
        self._on_close: Callable[[], None] = lambda: None

    def offer(self, event: ViewSnapshot | FirestoreError) -> None:
        """Take what happened."""
        self._mailbox.put(event)
        self._arrived.set()

    async def next(self) -> ViewSnapshot:
        """The next state; raises the listener's error, or :class:`SubscriptionClosed`."""
        while not self._closed:
            view = self._mailbox.take()
            if view is not None:
                return view
            self._arrived.clear()
            await self._arrived.wait()
        raise SubscriptionClosed

    def close(self) -> None:
        """End it; may be called more than once."""
        if not self._closed:
            self._closed = True
            self._arrived.set()
            self._on_close()


class ListenHost:
    """Makes subscriptions to one watch client."""

    def __init__(self, url: Callable[[], str], token: TokenFunction) -> None:
        self._client = WatchClient(url, token)
        self._open: set[Subscription] = set()

    def subscribe(self, target: ListenTarget, include_metadata_changes: bool) -> Subscription:
        """Listen to a target; needs a running event loop."""
        subscription = Subscription(include_metadata_changes)
        key = self._client.add(target, subscription.offer)

        def on_close() -> None:
            self._open.discard(subscription)
            self._client.remove(key)

        subscription._on_close = on_close
        self._open.add(subscription)
        return subscription

    def token_changed(self) -> None:
        """The signed-in user or their token is another one."""
        self._client.token_changed()

    async def close(self) -> None:
        """End all subscriptions and the connection."""
        for subscription in list(self._open):
            subscription.close()
        await self._client.close()
