"""Equality and order of values.

Measured on the official emulator: `==` compares numbers by value at the top (`1 == 1.0`) but not inside
lists and maps; sets and map diffs take 1 and 1.0 as one value at any depth; an int meeting a float is
rounded to a float first.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from rules.errors import UnprovableError
from rules.types.abstract import Abstract, PartialMap
from rules.types.limits import Steps

if TYPE_CHECKING:
    from rules.types.values import Value

_SCALARS = frozenset({str, bytes, bool, type(None)})


def equal(left: Value, right: Value) -> bool:
    """The `==` operator. Raises UnprovableError if a value is not pinned by the query."""
    kind = type(left)
    other = type(right)
    if kind is other and kind in _SCALARS:
        return bool(left == right)
    if kind is int or kind is float:
        if other is kind:
            return bool(left == right)
        if other is int or other is float:
            return float(left) == float(right)
    if kind is Abstract:
        return abstract_equal(left, right)
    if other is Abstract:
        return abstract_equal(right, left)
    return equal_inside(left, right)


def abstract_equal(left: Abstract, right: Value) -> bool:
    verdict = left.equals(right)
    if verdict is None:
        raise UnprovableError("The query does not pin the compared value.")
    return verdict


def equal_inside(left: Value, right: Value, steps: Steps | None = None) -> bool:
    """Equality within containers: int and float are never equal."""
    kind = type(left)
    if kind is Abstract or type(right) is Abstract:
        return _abstract_inside(left, right)
    if kind is PartialMap or type(right) is PartialMap:
        return _partial_equal(left, right)
    if kind is dict or isinstance(left, Mapping):
        return isinstance(right, Mapping) and _maps_equal(left, right, steps or Steps())
    if kind is str or kind is bytes or not isinstance(left, Sequence):
        return type(right) is kind and bool(left == right)
    return _is_sequence(right) and _lists_equal(left, right, steps or Steps())


def _is_sequence(value: Value) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, (str, bytes))


def _lists_equal(left: Sequence[Value], right: Sequence[Value], steps: Steps) -> bool:
    if len(left) != len(right):
        return False
    return _all_equal(zip(left, right, strict=True), steps)


def _maps_equal(left: Mapping[str, Value], right: Mapping[str, Value], steps: Steps) -> bool:
    if len(left) != len(right) or any(key not in right for key in left):
        return False
    return _all_equal(((left[key], right[key]) for key in left), steps)


def _all_equal(pairs: Iterable[tuple[Value, Value]], steps: Steps) -> bool:
    """False as soon as one known pair differs, even beside pairs that the query leaves open."""
    unsure: UnprovableError | None = None
    for one, other in pairs:
        steps.take()
        try:
            if not (equal_inside(one, other, steps) and _same_zero(one, other)):
                return False
        except UnprovableError as error:
            unsure = error
    if unsure is not None:
        raise unsure
    return True


def _same_zero(left: Value, right: Value) -> bool:
    """Within compared lists and maps 0.0 and -0.0 differ, though not as elements sought by `in`."""
    if type(left) is float and left == 0 and type(right) is float:
        return math.copysign(1, left) == math.copysign(1, right)
    return True


def _abstract_inside(left: Value, right: Value) -> bool:
    one, other = (left, right) if type(left) is Abstract else (right, left)
    verdict = one.equals(other)
    # Inside a container 1 and 1.0 differ, so only "no" and non-numbers carry over.
    if verdict is None or (verdict and one.kind in (None, "number")):
        raise UnprovableError("The query does not pin the compared value.")
    return bool(verdict)


def _partial_equal(left: Value, right: Value) -> bool:
    other = right if type(left) is PartialMap else left
    if type(other) is not PartialMap and not isinstance(other, Mapping):
        if type(other) is Abstract and other.kind in (None, "map"):
            raise UnprovableError("The query does not pin the compared map.")
        return False
    raise UnprovableError("The query does not pin the compared map.")


def loose_key(value: Value, steps: Steps | None = None) -> object:
    """A hashable that is equal exactly for values that a set takes as one."""
    kind = type(value)
    if kind is str:
        return value
    if kind is bool:
        return ("bool", value)
    if kind is int or kind is float:
        return ("number", value) if value == value else ("number", "NaN")
    if value is None:
        return ("null",)
    if kind is Abstract or kind is PartialMap:
        raise UnprovableError("The query does not pin the compared value.")
    steps = steps or Steps()
    steps.take()
    if isinstance(value, Mapping):
        return ("map", frozenset((key, loose_key(value[key], steps)) for key in value))
    if _is_sequence(value):
        return ("list", tuple(loose_key(item, steps) for item in value))
    return (kind.__name__, value)


def utf16_key(text: str) -> bytes:
    """Sorts strings as the official runtime does: by UTF-16 code units."""
    return text.encode("utf-16-be", "surrogatepass")
