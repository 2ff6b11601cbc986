"""Which documents a query returns, written as plainly as possible, for the property tests."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rules import And, FieldFilter, Filter, LatLng, Or, Path, Timestamp

MISSING = object()


def matches(node: Filter | None, data: Mapping[str, Any]) -> bool:
    if node is None:
        return True
    if isinstance(node, And):
        return all(matches(part, data) for part in node.parts)
    if isinstance(node, Or):
        return any(matches(part, data) for part in node.parts)
    return _field_matches(node, find(data, node.field_path))


def find(data: Any, path: tuple[str, ...]) -> Any:
    for key in path:
        if not isinstance(data, Mapping) or key not in data:
            return MISSING
        data = data[key]
    return data


def _field_matches(one: FieldFilter, value: Any) -> bool:
    op, wanted = one.op, one.value
    if value is MISSING:
        return False
    if op == "is-null":
        return value is None
    if op == "is-not-null":
        return value is not None
    if op == "is-nan":
        return is_nan(value)
    if op == "is-not-nan":
        return value is not None and not is_nan(value)
    if op == "==":
        return same(value, wanted)
    if op == "in":
        return any(same(value, item) for item in wanted)
    if op == "!=":
        return value is not None and not same(value, wanted)
    if op == "not-in":
        return value is not None and not any(same(value, item) for item in wanted)
    if op == "array-contains":
        return isinstance(value, list) and any(same(item, wanted) for item in value)
    if op == "array-contains-any":
        return isinstance(value, list) and any(same(i, w) for i in value for w in wanted)
    if is_nan(value) or is_nan(wanted):
        return False
    return kind(value) == kind(wanted) and _in_order(op, value, wanted)


def _in_order(op: str, value: Any, wanted: Any) -> bool:
    """The store's order within one kind. NaN is in no range."""
    left, right = sort_key(value), sort_key(wanted)
    return {"<": left < right, "<=": left <= right, ">": left > right, ">=": left >= right}[op]


def sort_key(value: Any) -> Any:
    if kind(value) == "number":
        return value
    if isinstance(value, str):
        return value.encode()
    if isinstance(value, Timestamp):
        return value.total_nanos
    if isinstance(value, bytes):
        return value
    return repr(value)  # some order: what matters here is only that the kind is one


def is_nan(value: Any) -> bool:
    return isinstance(value, float) and value != value


def kind(value: Any) -> str:
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, (int, float)):
        return "number"
    for name in (str, bytes, list, dict, Timestamp, Path, LatLng):
        if isinstance(value, name):
            return name.__name__
    return "null"


def same(left: Any, right: Any) -> bool:
    """Equal to the store: 1 and 1.0 are, at any depth; NaN equals NaN."""
    if kind(left) != kind(right):
        return False
    if is_nan(left) or is_nan(right):
        return is_nan(left) and is_nan(right)
    if isinstance(left, list):
        return len(left) == len(right) and all(map(same, left, right))
    if isinstance(left, dict):
        return left.keys() == right.keys() and all(same(left[k], right[k]) for k in left)
    return bool(left == right)
