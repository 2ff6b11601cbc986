"""Stretches of an order, as cuts in its keys.

A cut is a place between keys: just before, or just after, all keys that begin with some bytes. Cuts
survive the inversion of all bits, which turns the order round; plain lower and upper bounds would not. Keys
are made of self-delimiting parts, so no key is a proper beginning of another part's prefix.
"""

from __future__ import annotations

from dataclasses import dataclass

from baas.model.key_encoding import descending, prefix_end


@dataclass(frozen=True, slots=True)
class Cut:
    """The place before (or after) the keys that begin with ``prefix``."""

    prefix: bytes
    after: bool

    def position(self) -> bytes | None:
        """The least bytes that lie beyond the cut; ``None`` if nothing does."""
        return prefix_end(self.prefix) if self.after else self.prefix

    def inverted(self) -> Cut:
        """The same place among inverted keys."""
        return Cut(descending(self.prefix), not self.after)

    def within(self, prefix: bytes) -> Cut:
        """The same place among keys that have ``prefix`` before them."""
        return Cut(prefix + self.prefix, self.after)


START = Cut(b"", after=False)
END = Cut(b"", after=True)


@dataclass(frozen=True, slots=True)
class Stretch:
    """What lies between two cuts."""

    low: Cut = START
    high: Cut = END

    def inverted(self) -> Stretch:
        """The same keys, inverted: what was low is high."""
        return Stretch(self.high.inverted(), self.low.inverted())

    def within(self, prefix: bytes) -> Stretch:
        """The same stretch among keys that have ``prefix`` before them."""
        return Stretch(self.low.within(prefix), self.high.within(prefix))

    def keys(self) -> tuple[bytes, bytes | None] | None:
        """``low <= key < high`` (``None``: no bound above); ``None`` if there can be no such key."""
        low = self.low.position()
        high = self.high.position()
        if low is None or (high is not None and high <= low):
            return None
        return low, high

    def both(self, other: Stretch) -> Stretch:
        """What lies in both."""
        return Stretch(_later(self.low, other.low), _earlier(self.high, other.high))


def _later(a: Cut, b: Cut) -> Cut:
    left, right = a.position(), b.position()
    if left is None:
        return a
    return b if right is None or right > left else a


def _earlier(a: Cut, b: Cut) -> Cut:
    left, right = a.position(), b.position()
    if left is None:
        return b
    return b if right is not None and right < left else a
