"""Enums of structured queries by their published numbers."""

from __future__ import annotations

from typing import Final

from baas.model.query import Direction, DistanceMeasure, Operator

FIELD_OPERATORS: Final = {
    1: Operator.LESS_THAN,
    2: Operator.LESS_THAN_OR_EQUAL,
    3: Operator.GREATER_THAN,
    4: Operator.GREATER_THAN_OR_EQUAL,
    5: Operator.EQUAL,
    6: Operator.NOT_EQUAL,
    7: Operator.ARRAY_CONTAINS,
    8: Operator.IN,
    9: Operator.ARRAY_CONTAINS_ANY,
    10: Operator.NOT_IN,
}
UNARY_OPERATORS: Final = {
    2: Operator.IS_NAN,
    3: Operator.IS_NULL,
    4: Operator.IS_NOT_NAN,
    5: Operator.IS_NOT_NULL,
}
COMPOSITE_OPERATORS: Final = {1: "AND", 2: "OR"}
DIRECTIONS: Final = {1: Direction.ASCENDING, 2: Direction.DESCENDING}
MEASURES: Final = {
    1: DistanceMeasure.EUCLIDEAN,
    2: DistanceMeasure.COSINE,
    3: DistanceMeasure.DOT_PRODUCT,
}
