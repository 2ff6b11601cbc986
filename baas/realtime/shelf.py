"""What the hub's parts have in common: watching streams, and views with the targets that watch them."""

from __future__ import annotations

from typing import Protocol

from baas.access.principal import Principal
from baas.errors import ApiError
from baas.model.change import Change
from baas.realtime.matcher import AnyView
from baas.realtime.targets import WatchTarget
from baas.realtime.watch_stream import StreamState


class Watcher(Protocol):
    """A stream, as the hub sees it."""

    waits_for_turn: bool
    """Whether it is in the row of those that are served soon."""

    @property
    def principal(self) -> Principal:
        """On whose behalf it watches."""

    @property
    def state(self) -> StreamState:
        """What it has told and has to tell."""

    def ready(self) -> None:
        """It has something to tell, or may have."""

    def fail(self, error: ApiError) -> None:
        """It must end."""


class Shelf:
    """A view and the targets that watch it."""

    __slots__ = ("filling", "ready", "resuming", "view", "waiting")

    def __init__(self, view: AnyView) -> None:
        self.view = view
        self.ready: dict[WatchTarget, None] = {}
        """They get deltas."""
        self.waiting: dict[WatchTarget, None] = {}
        """They wait for the view's result."""
        self.resuming: dict[WatchTarget, list[tuple[int, tuple[Change, ...]]]] = {}
        """They wait for what they missed; meanwhile commits are noted for them."""
        self.filling = False
        """Whether the ready ones wait for a refill."""

    @property
    def unused(self) -> bool:
        return not (self.ready or self.waiting or self.resuming)
