"""`rules.Set` and `rules.MapDiff`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from rules.types.equality import loose_key
from rules.types.limits import Steps

if TYPE_CHECKING:
    from rules.types.values import Value


class Set:
    """An unordered collection of distinct values. Immutable.

    Elements count as the same if they are equal with 1 and 1.0 taken as one number, at any depth
    (measured on the official emulator; lists differ: there `1 in [1.0]` is false).
    """

    __slots__ = ("_items",)

    def __init__(self, values: Iterable[Value] = ()) -> None:
        self._items: dict[object, Value] = {}
        steps = Steps()
        for value in values:
            self._items.setdefault(loose_key(value, steps), value)

    @classmethod
    def _of(cls, items: dict[object, Value]) -> Set:
        made = cls()
        made._items = items
        return made

    @property
    def values(self) -> tuple[Value, ...]:
        return tuple(self._items.values())

    def __len__(self) -> int:
        return len(self._items)

    def __contains__(self, value: Value) -> bool:
        return loose_key(value) in self._items

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Set) and self._items.keys() == other._items.keys()

    def __hash__(self) -> int:
        return hash(frozenset(self._items))

    def keys(self) -> frozenset[object]:
        """What the elements are compared by."""
        return frozenset(self._items)

    def union(self, other: Set) -> Set:
        return Set._of({**other._items, **self._items})

    def intersection(self, other: Set) -> Set:
        return Set._of({key: value for key, value in self._items.items() if key in other._items})

    def difference(self, other: Set) -> Set:
        return Set._of(
            {key: value for key, value in self._items.items() if key not in other._items}
        )

    def __repr__(self) -> str:
        return f"Set({list(self._items.values())!r})"


class MapDiff:
    """How a map (`left`) differs from another (`right`): the value of `left.diff(right)`."""

    __slots__ = ("left", "right")

    def __init__(self, left: Mapping[str, Value], right: Mapping[str, Value]) -> None:
        self.left = left
        self.right = right

    def added_keys(self) -> Set:
        return Set(key for key in self.left if key not in self.right)

    def removed_keys(self) -> Set:
        return Set(key for key in self.right if key not in self.left)

    def changed_keys(self) -> Set:
        return Set(key for key in self._common() if not self._same(key))

    def unchanged_keys(self) -> Set:
        return Set(key for key in self._common() if self._same(key))

    def affected_keys(self) -> Set:
        left, right = self.left, self.right
        here = [key for key in left if key not in right or not self._same(key)]
        return Set([*here, *(key for key in right if key not in left)])

    def _common(self) -> list[str]:
        return [key for key in self.left if key in self.right]

    def _same(self, key: str) -> bool:
        return _same_value(self.left[key], self.right[key])


def differs(left: Mapping[str, Value], right: Mapping[str, Value], key: str) -> bool:
    """Whether a key is among the `affectedKeys()` of two maps."""
    if key not in left:
        return key in right
    return key not in right or not _same_value(left[key], right[key])


def _same_value(left: Value, right: Value) -> bool:
    if type(left) is str and type(right) is str:
        return left == right
    return loose_key(left) == loose_key(right)
