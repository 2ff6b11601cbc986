"""Vectors, references, points, sizes."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Final

from baas.documents.nearest import distance_between
from baas.documents.pipelines.registry import Function, expect, strict
from baas.documents.pipelines.rows import EvaluationError
from baas.model.limits import value_size
from baas.model.query import DistanceMeasure
from baas.model.values import GeoPoint, Reference, Vector

_EARTH_RADIUS: Final = 6_371_008.8
"""Metres: the mean radius (IUGG)."""


def vector(value: Any) -> tuple[float, ...]:
    """The components of a vector, or of an array of numbers."""
    if isinstance(value, Vector):
        return value.components
    given = expect(value, list, "a vector")
    if any(isinstance(each, bool) or not isinstance(each, int | float) for each in given):
        raise EvaluationError("a vector is expected")
    return tuple(map(float, given))


def _distance(measure: DistanceMeasure) -> Callable[[Any, Any], float]:
    def body(a: Any, b: Any) -> float:
        left, right = vector(a), vector(b)
        if len(left) != len(right):
            raise EvaluationError("the vectors are of different dimensions")
        return distance_between(measure, left, right)

    return body


def _segments(value: Any) -> list[str]:
    reference: Reference = expect(value, Reference, "a reference")
    return reference.name.split("/")


def _parent(value: Any) -> Reference | None:
    """The document that holds the collection of a document; null at the root."""
    segments = _segments(value)[:-2]
    return Reference("/".join(segments)) if len(segments) > 5 else None


def _geo_distance(a: Any, b: Any) -> float:
    """Metres along a great circle."""
    one: GeoPoint = expect(a, GeoPoint, "a point")
    two: GeoPoint = expect(b, GeoPoint, "a point")
    latitudes = math.radians(one.latitude), math.radians(two.latitude)
    north = math.sin((latitudes[1] - latitudes[0]) / 2) ** 2
    east = math.sin(math.radians(two.longitude - one.longitude) / 2) ** 2
    part = north + math.cos(latitudes[0]) * math.cos(latitudes[1]) * east
    return 2 * _EARTH_RADIUS * math.asin(math.sqrt(min(1.0, part)))


FUNCTIONS: dict[str, Function] = {
    "cosine_distance": strict(_distance(DistanceMeasure.COSINE), 2),
    "euclidean_distance": strict(_distance(DistanceMeasure.EUCLIDEAN), 2),
    "dot_product": strict(_distance(DistanceMeasure.DOT_PRODUCT), 2),
    "vector_length": strict(lambda value: len(expect(value, Vector, "a vector").components), 1),
    "collection_id": strict(lambda value: _segments(value)[-2], 1),
    "document_id": strict(lambda value: _segments(value)[-1], 1),
    "parent": strict(_parent, 1),
    "geo_distance": strict(_geo_distance, 2),
    "storage_size": strict(value_size, 1),
}
