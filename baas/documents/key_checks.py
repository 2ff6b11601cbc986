"""What the key of an index entry tells about its document, beyond the stretch that a scan reads.

A key holds all fields of the index and the document's name. Only the first field after the fixed ones bounds
a stretch; filters on the others are checked on the key, so that no document is fetched in vain.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from baas.documents.bounds import Stretch
from baas.model.key_encoding import descending
from baas.model.key_reading import value_end

KeyCheck = Callable[[bytes], bool]


@dataclass(frozen=True, slots=True)
class KeyPart:
    """A part of a key: whether it is held inverted, and where it must lie ascending; ``None``: anywhere."""

    descends: bool
    stretch: Stretch | None = None


def key_check(parts: Sequence[KeyPart], start: int) -> KeyCheck:
    """A check of keys whose parts begin at ``start``: those of fields, then that of the name."""
    last = max((place for place, part in enumerate(parts) if part.stretch is not None), default=-1)
    needed = [(part.descends, _bounds(part.stretch)) for part in parts[: last + 1]]
    name_place = len(parts) - 1
    some_descend = any(descends for descends, _ in needed)

    def check(key: bytes) -> bool:
        flipped = descending(key) if some_descend else key
        at = start
        for place, (descends, bounds) in enumerate(needed):
            view = flipped if descends else key
            end = len(key) if place == name_place else value_end(view, at)
            if bounds is not None:
                low, high = bounds
                part = view[at:end]
                if part < low or (high is not None and part >= high):
                    return False
            at = end
        return True

    return check


def _bounds(stretch: Stretch | None) -> tuple[bytes, bytes | None] | None:
    if stretch is None:
        return None
    return stretch.keys() or (b"", b"")  # nothing lies below no bytes at all
