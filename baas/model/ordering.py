"""Firestore's total order of values, and its equality.

Source: ``listen-and-write`` §7 "Type order". This is the plain, readable form; the bytes of
:mod:`baas.model.key_encoding` order alike and are what indexes and hot paths compare.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from typing import Any, Final

from baas.model.paths import numeric_id
from baas.model.values import GeoPoint, Reference, Timestamp, Value, Vector

NULL, BOOLEAN, NUMBER, TIMESTAMP, STRING, BYTES, REFERENCE, GEOPOINT, ARRAY, VECTOR, MAP = range(11)

_TYPE_ORDER: Final[dict[type, int]] = {
    type(None): NULL,
    bool: BOOLEAN,
    int: NUMBER,
    float: NUMBER,
    Timestamp: TIMESTAMP,
    str: STRING,
    bytes: BYTES,
    Reference: REFERENCE,
    GeoPoint: GEOPOINT,
    list: ARRAY,
    Vector: VECTOR,
    dict: MAP,
}


def type_order(value: Value) -> int:
    """The rank of the value's type; integers and doubles share one."""
    return _TYPE_ORDER[type(value)]


def compare(a: Value, b: Value) -> int:
    """Negative, zero or positive as ``a`` sorts before, with or after ``b``.

    Numbers compare by exact value whatever their type; NaN is the first number and equals itself.
    """
    rank = _TYPE_ORDER[type(a)]
    other = _TYPE_ORDER[type(b)]
    if rank != other:
        return rank - other
    left: Any = a
    right: Any = b
    if rank == NUMBER:
        return _compare_numbers(left, right)
    if rank == REFERENCE:
        return compare_names(left.name.split("/"), right.name.split("/"))
    if rank == GEOPOINT:
        return _compare_numbers(left.latitude, right.latitude) or _compare_numbers(
            left.longitude, right.longitude
        )
    if rank == ARRAY:
        return _compare_arrays(left, right)
    if rank == VECTOR:
        return _compare_vectors(left, right)
    if rank == MAP:
        return _compare_maps(left, right)
    if rank == NULL:
        return 0
    # bool, Timestamp, str (code points order as UTF-8 bytes do) and bytes: Python's own order
    return int(left > right) - int(left < right)


sort_key = functools.cmp_to_key(compare)
"""A key function for :func:`sorted`: ``sorted(values, key=sort_key)``."""


def equal(a: Value, b: Value) -> bool:
    """Firestore's equality, that of filters and array transforms: 1 == 1.0, NaN == NaN, -0 == 0."""
    if type(a) is str and type(b) is str:
        return a == b
    return compare(a, b) == 0


def identical(a: Value, b: Value) -> bool:
    """Whether two values are the very same, type of number and sign of zero included.

    This is what "a write without effect" is decided by; the order of keys in a map means nothing.
    """
    kind = type(a)
    if kind is not type(b):
        return False
    left: Any = a
    right: Any = b
    if kind is dict:
        return len(left) == len(right) and all(
            key in right and identical(value, right[key]) for key, value in left.items()
        )
    if kind is list:
        return len(left) == len(right) and all(map(identical, left, right))
    if kind is float:
        return _same_double(left, right)
    if kind is Vector:
        return len(left.components) == len(right.components) and all(
            map(_same_double, left.components, right.components)
        )
    if kind is GeoPoint:
        return _same_double(left.latitude, right.latitude) and _same_double(
            left.longitude, right.longitude
        )
    return bool(left == right)


def compare_names(a: Sequence[str], b: Sequence[str]) -> int:
    """Order of two paths, segment by segment; of a path and its beginning, the shorter is first.

    ``__id<int64>__`` segments come before all others, in the order of their numbers.
    """
    for left, right in zip(a, b, strict=False):
        if left != right:
            return _compare_segments(left, right)
    return len(a) - len(b)


def _same_double(a: float, b: float) -> bool:
    if a == b:
        return math.copysign(1.0, a) == math.copysign(1.0, b)
    return a != a and b != b


def _compare_segments(a: str, b: str) -> int:
    left = numeric_id(a)
    right = numeric_id(b)
    if left is not None and right is not None:
        return (left > right) - (left < right)
    if left is not None:
        return -1
    if right is not None:
        return 1
    return (a > b) - (a < b)


def _compare_numbers(a: int | float, b: int | float) -> int:
    if a < b:
        return -1
    if a > b:
        return 1
    if a == b:
        return 0
    # at least one is NaN: unequal to itself, and before every other number
    return int(a == a) - int(b == b)


def _compare_arrays(a: list[Value], b: list[Value]) -> int:
    for left, right in zip(a, b, strict=False):
        result = compare(left, right)
        if result:
            return result
    return len(a) - len(b)


def _compare_vectors(a: Vector, b: Vector) -> int:
    if len(a.components) != len(b.components):
        return len(a.components) - len(b.components)
    for left, right in zip(a.components, b.components, strict=True):
        result = _compare_numbers(left, right)
        if result:
            return result
    return 0


def _compare_maps(a: dict[str, Value], b: dict[str, Value]) -> int:
    for left, right in zip(sorted(a), sorted(b), strict=False):
        if left != right:
            return -1 if left < right else 1
        result = compare(a[left], b[right])
        if result:
            return result
    return len(a) - len(b)
