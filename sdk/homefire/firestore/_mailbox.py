"""What waits for a listener to be told: bounded, because neighbouring states merge. Pure."""

from __future__ import annotations

from collections import deque

from homefire.errors import FirestoreError
from homefire.firestore._view import ViewSnapshot

MAX_WAITING = 64


class SubscriptionClosed(Exception):
    """The listener was ended by its own side."""


class Mailbox:
    """States in their order, then at most one error as the last."""

    def __init__(self, include_metadata_changes: bool, limit: int = MAX_WAITING) -> None:
        self._include_metadata_changes = include_metadata_changes
        self._limit = limit
        self._views: deque[ViewSnapshot] = deque()
        self._error: FirestoreError | None = None

    def put(self, event: ViewSnapshot | FirestoreError) -> None:
        """Add what happened; beyond the limit the two newest states become one."""
        if isinstance(event, FirestoreError):
            self._error = event
        elif not event.metadata_only or self._include_metadata_changes:
            if len(self._views) >= self._limit:
                event = event.after(self._views.pop())
            self._views.append(event)

    def take(self) -> ViewSnapshot | None:
        """The oldest state; raises the error behind the last one; ``None`` when nothing waits."""
        if self._views:
            return self._views.popleft()
        if self._error is not None:
            raise self._error
        return None
