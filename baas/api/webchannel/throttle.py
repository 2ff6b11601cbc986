"""Slows down whoever opens sessions in a hot loop (``webchannel`` §7, hot-loop warning). Pure."""

from __future__ import annotations

from collections import OrderedDict


class Throttle:
    """A token bucket a key: ``burst`` at once, ``rate`` a second in the long run."""

    def __init__(self, rate: float = 50.0, burst: int = 200, *, max_keys: int = 10_000) -> None:
        self._interval = 1.0 / rate
        self._burst = burst
        self._max_keys = max_keys
        self._full_at: OrderedDict[str, float] = OrderedDict()

    def delay(self, key: str, now: float) -> float:
        """Seconds that this one has to wait; counts it. ``now`` in seconds, never going back."""
        full_at = max(self._full_at.pop(key, now), now) + self._interval
        self._full_at[key] = full_at
        if len(self._full_at) > self._max_keys:
            self._full_at.popitem(last=False)
        return max(0.0, full_at - now - self._burst * self._interval)
