"""Firestore's total order of values, as sort keys made of values on the wire.

null < boolean < number (NaN first) < timestamp < string < bytes < reference < geopoint < array <
vector < map. Two keys compare as the values do; equal keys mean equal values.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, TypeAlias

from homefire.firestore._codec import decode_bytes, decode_time, is_vector, vector_components

SortKey: TypeAlias = tuple[Any, ...]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_NUMERIC_ID = re.compile(r"__id(-?\d+)__\Z")

MISSING: SortKey = (-1,)


class Descending:
    """Turns a key's order round."""

    __slots__ = ("key",)

    def __init__(self, key: SortKey) -> None:
        self.key = key

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Descending) and self.key == other.key

    def __lt__(self, other: Descending) -> bool:
        return other.key < self.key

    __hash__ = None  # type: ignore[assignment]


def value_key(value: Mapping[str, Any]) -> SortKey:
    """The sort key of a value on the wire."""
    kind, content = next(iter(value.items()))
    match kind:
        case "nullValue":
            return (0,)
        case "booleanValue":
            return (1, content)
        case "integerValue":
            return (2, 1, int(content))
        case "doubleValue":
            number = float(content)
            return (2, 0) if number != number else (2, 1, number)
        case "timestampValue":
            return (3, (decode_time(content) - _EPOCH) // timedelta(microseconds=1))
        case "stringValue":
            return (4, text_key(content))
        case "bytesValue":
            return (5, decode_bytes(content))
        case "referenceValue":
            return (6, name_key(content))
        case "geoPointValue":
            return (7, float(content.get("latitude", 0)), float(content.get("longitude", 0)))
        case "arrayValue":
            return (8, tuple(map(value_key, content.get("values") or ())))
        case "mapValue":
            return _map_key(content.get("fields") or {})
    raise ValueError(f"unknown kind of value: {kind}")


def _map_key(fields: Mapping[str, Any]) -> SortKey:
    if is_vector(fields):
        components = vector_components(fields)
        return (9, len(components), tuple(value_key({"doubleValue": part}) for part in components))
    entries = sorted((text_key(name), value_key(value)) for name, value in fields.items())
    return (10, tuple(entries))


def name_key(name: str) -> SortKey:
    """The sort key of a resource name: by segment, numeric ids (``__id7__``) before all others."""
    return tuple(map(_segment_key, name.split("/")))


def text_key(text: str) -> bytes:
    """Strings are ordered by their UTF-8 bytes."""
    return text.encode("utf-8", "surrogatepass")


def _segment_key(segment: str) -> tuple[int, Any]:
    numeric = _NUMERIC_ID.match(segment)
    return (0, int(numeric[1])) if numeric else (1, text_key(segment))
