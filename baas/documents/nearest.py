"""Nearest neighbours: an exact search among the documents that the filters leave.

Every one of them is looked at. Documents whose field is no vector of the query's dimension are left out;
those at a distance that is no number come last, and are beyond every threshold (as Google's emulator has it).
Source: ``google.firestore.v1.StructuredQuery.FindNearest``.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Callable, Iterable, Sequence
from typing import cast

from baas.model.document import Document
from baas.model.field_access import get_field, set_field
from baas.model.key_encoding import encode_path
from baas.model.paths import parse_field_path
from baas.model.query import DistanceMeasure, FindNearest, Query
from baas.model.values import Vector


def nearest(documents: Iterable[Document], canonical: Query) -> list[Document]:
    """The nearest documents, nearest first, with their distance if a field is named for it."""
    asked = cast(FindNearest, canonical.find_nearest)
    distance_to = _MEASURES[asked.measure]
    query_vector = asked.query_vector.components
    sign = -1.0 if asked.measure is DistanceMeasure.DOT_PRODUCT else 1.0
    found: list[tuple[float, bytes, float, Document]] = []
    for document in documents:
        value = get_field(document.fields, asked.field_path)
        if not isinstance(value, Vector) or len(value.components) != len(query_vector):
            continue
        distance = distance_to(value.components, query_vector)
        if not _within(asked, distance):
            continue
        rank = math.inf if math.isnan(distance) else sign * distance
        found.append((rank, encode_path(document.name.segments), distance, document))
    chosen = heapq.nsmallest(asked.limit, found, key=lambda entry: entry[:2])
    return [_with_distance(document, asked, distance) for _, _, distance, document in chosen]


def distance_between(measure: DistanceMeasure, a: Sequence[float], b: Sequence[float]) -> float:
    """The distance of two vectors of one dimension; of dot products, more is nearer."""
    return _MEASURES[measure](a, b)


def _within(asked: FindNearest, distance: float) -> bool:
    """Whether the distance is near enough: for dot products, more is nearer."""
    threshold = asked.distance_threshold
    if threshold is None:
        return True
    if asked.measure is DistanceMeasure.DOT_PRODUCT:
        return distance >= threshold
    return distance <= threshold


def _with_distance(document: Document, asked: FindNearest, distance: float) -> Document:
    if asked.distance_result_field is None:
        return document
    path = parse_field_path(asked.distance_result_field)
    return Document(
        document.name,
        document.create_time,
        document.update_time,
        fields=set_field(document.fields, path, distance),
    )


def _euclidean(a: Sequence[float], b: Sequence[float]) -> float:
    return math.dist(a, b)


def _cosine(a: Sequence[float], b: Sequence[float]) -> float:
    """1 minus the cosine of the angle; NaN for a vector without a direction."""
    lengths = math.hypot(*a) * math.hypot(*b)
    return 1.0 - _product(a, b) / lengths if lengths else math.nan


def _dot_product(a: Sequence[float], b: Sequence[float]) -> float:
    return _product(a, b)


def _product(a: Sequence[float], b: Sequence[float]) -> float:
    return sum(x * y for x, y in zip(a, b, strict=True))


_MEASURES: dict[DistanceMeasure, Callable[[Sequence[float], Sequence[float]], float]] = {
    DistanceMeasure.EUCLIDEAN: _euclidean,
    DistanceMeasure.COSINE: _cosine,
    DistanceMeasure.DOT_PRODUCT: _dot_product,
}
