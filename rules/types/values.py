"""The value universe of the language and the names of its types."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rules.types.abstract import Abstract, PartialMap
from rules.types.duration import Duration
from rules.types.latlng import LatLng
from rules.types.maps import DocumentMap, LazyMap
from rules.types.path import Path
from rules.types.sets import MapDiff, Set
from rules.types.timestamp import Timestamp

# None, bool, int, float, str, bytes, list (any Sequence), dict (any Mapping with str keys), Timestamp,
# Duration, LatLng, Path, Set, MapDiff; while proving also Abstract and PartialMap. A recursive union
# cannot say "any Mapping or Sequence of these" without breaking hosts' own lazy mappings.
Value = Any

INT64_MIN = -(2**63)
INT64_MAX = 2**63 - 1

EXACT_NAMES: dict[type, str] = {
    type(None): "null",
    bool: "bool",
    int: "int",
    float: "float",
    str: "string",
    bytes: "bytes",
    list: "list",
    tuple: "list",
    dict: "map",
    LazyMap: "map",
    DocumentMap: "map",
    Timestamp: "timestamp",
    Duration: "duration",
    LatLng: "latlng",
    Path: "path",
    Set: "set",
    MapDiff: "map_diff",
    Abstract: "constraint",
    PartialMap: "map",
}


def type_name(value: Value) -> str:
    """The name that error messages and `is` use."""
    name = EXACT_NAMES.get(type(value))
    if name is not None:
        return name
    if isinstance(value, Mapping):
        return "map"
    if isinstance(value, (bytearray, memoryview)):
        return "bytes"
    if isinstance(value, Sequence):
        return "list"
    raise TypeError(f"not a value of the rules language: {type(value).__name__}")


def is_map(value: Value) -> bool:
    kind = type(value)
    return kind is dict or kind is LazyMap or kind is DocumentMap or isinstance(value, Mapping)


def is_list(value: Value) -> bool:
    kind = type(value)
    return kind is list or kind is tuple or (kind is not str and type_name(value) == "list")
