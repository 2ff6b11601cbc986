"""Results that are worth keeping for an object that comes again: looked up by the object's identity.

For immutable objects whose equality costs more than a look-up may, such as queries.
"""

from __future__ import annotations

import contextlib
from collections import OrderedDict
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class Remembered(Generic[T]):
    """What was made of the last objects. ``most``: how many are kept, and kept alive."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._kept: OrderedDict[tuple[int, ...], tuple[tuple[object, ...], T]] = OrderedDict()

    def get(self, *objects: object) -> T | None:
        """What was kept for these very objects."""
        found = self._kept.get(tuple(map(id, objects)))
        return None if found is None else found[1]

    def keep(self, result: T, *objects: object) -> T:
        """Keep a result for these objects."""
        kept = self._kept
        kept[tuple(map(id, objects))] = (objects, result)  # alive, so that no other has their ids
        if len(kept) > self._most:
            with contextlib.suppress(KeyError):  # another thread was here
                kept.popitem(last=False)
        return result

    def of(self, make: Callable[[], T], *objects: object) -> T:
        """What was kept for these objects, made now if it was not."""
        found = self.get(*objects)
        return self.keep(make(), *objects) if found is None else found
