"""The types of the rules language. Null, bool, int, float, string, bytes, list and map are Python's own."""

from rules.types.abstract import Abstract, Bound, PartialMap
from rules.types.duration import Duration
from rules.types.latlng import LatLng
from rules.types.maps import DocumentMap, LazyMap
from rules.types.path import Path
from rules.types.sets import MapDiff, Set
from rules.types.timestamp import Timestamp
from rules.types.values import Value, is_list, is_map, type_name

__all__ = [
    "Abstract",
    "Bound",
    "DocumentMap",
    "Duration",
    "LatLng",
    "LazyMap",
    "MapDiff",
    "PartialMap",
    "Path",
    "Set",
    "Timestamp",
    "Value",
    "is_list",
    "is_map",
    "type_name",
]
