"""Structured queries as protobuf. Source: ``listen-and-write`` §5."""

from __future__ import annotations

from typing import Any

from baas.errors import InvalidArgument
from baas.model.canonical import (
    check_aggregation_count,
    check_comparison_values,
    check_order_count,
)
from baas.model.paths import FieldPath
from baas.model.query import (
    Aggregation,
    AggregationKind,
    CompositeFilter,
    Cursor,
    Direction,
    FieldFilter,
    Filter,
    FindNearest,
    Order,
    Query,
)
from baas.model.values import Vector
from baas.wire.checks import (
    FilterCount,
    check_filter_depth,
    checked_filter,
    checked_up_to,
    field_path,
    named_aggregations,
    parent_path,
)
from baas.wire.enums import (
    COMPOSITE_OPERATORS,
    DIRECTIONS,
    FIELD_OPERATORS,
    MEASURES,
    UNARY_OPERATORS,
)
from baas.wire.proto_values import decode_operand, decode_value


def decode_query(parent_name: str, message: Any) -> Query:
    """A ``StructuredQuery`` below ``parent_name`` (``…/documents`` or a document), not yet canonical.

    Raises:
        InvalidArgument: malformed.
    """
    database, parent = parent_path(parent_name)
    check_order_count(len(message.order_by))
    sources = getattr(message, "from")
    if len(sources) > 1:
        raise InvalidArgument("StructuredQuery.from cannot have more than one collection selector.")
    return Query(
        database,
        parent,
        sources[0].collection_id if sources else "",
        sources[0].all_descendants if sources else False,
        decode_filter(message.where) if message.HasField("where") else None,
        tuple(_decode_order(order) for order in message.order_by),
        _decode_cursor(message.start_at) if message.HasField("start_at") else None,
        _decode_cursor(message.end_at) if message.HasField("end_at") else None,
        message.offset,
        message.limit.value if message.HasField("limit") else None,
        _decode_select(message),
        _decode_nearest(message.find_nearest) if message.HasField("find_nearest") else None,
    )


def decode_filter(message: Any, depth: int = 1, count: FilterCount | None = None) -> Filter:
    """A ``Filter``. ``count`` is of the whole query's filters.

    Raises:
        InvalidArgument: malformed, too many, or nested too deeply.
    """
    check_filter_depth(depth)
    count = count or FilterCount()
    kind = message.WhichOneof("filter_type")
    if kind == "composite_filter":
        composite = message.composite_filter
        op = COMPOSITE_OPERATORS.get(composite.op)
        if op is None:
            raise InvalidArgument("Unsupported CompositeFilter operator: AND or OR is expected.")
        count.add(len(composite.filters))
        parts = tuple(decode_filter(part, depth + 1, count) for part in composite.filters)
        return CompositeFilter(op, parts)
    if kind == "unary_filter":
        unary = message.unary_filter
        operator = UNARY_OPERATORS.get(unary.op)
        if operator is None:
            raise InvalidArgument("Unknown UnaryFilter operator.")
        return FieldFilter(field_path(unary.field.field_path), operator)
    if kind == "field_filter":
        field = message.field_filter
        operator = FIELD_OPERATORS.get(field.op)
        if operator is None:
            raise InvalidArgument("Unknown FieldFilter operator.")
        path = field_path(field.field.field_path)
        if field.value.WhichOneof("value_type") == "array_value":
            check_comparison_values(operator, len(field.value.array_value.values))
        return checked_filter(FieldFilter(path, operator, decode_operand(field.value)))
    raise InvalidArgument("A filter must be a field, a unary or a composite filter.")


def decode_aggregations(parent_name: str, message: Any) -> tuple[Query, tuple[Aggregation, ...]]:
    """A ``StructuredAggregationQuery``: the query, and what to compute of it, every alias filled in.

    Raises:
        InvalidArgument: malformed, no aggregation, more than five, or an alias used twice.
    """
    check_aggregation_count(len(message.aggregations))
    query = decode_query(parent_name, message.structured_query)
    return query, named_aggregations([_decode_aggregation(each) for each in message.aggregations])


def _decode_aggregation(message: Any) -> Aggregation:
    kind = message.WhichOneof("operator")
    if kind is None:
        raise InvalidArgument("An aggregation must be one of count, sum and avg.")
    if kind == "count":
        up_to = message.count.up_to.value if message.count.HasField("up_to") else None
        return Aggregation(message.alias, AggregationKind.COUNT, up_to=checked_up_to(up_to))
    path = field_path(getattr(message, kind).field.field_path)
    return Aggregation(message.alias, AggregationKind(kind), path)


def _decode_order(message: Any) -> Order:
    direction = DIRECTIONS.get(message.direction, Direction.ASCENDING)
    return Order(field_path(message.field.field_path), direction)


def _decode_cursor(message: Any) -> Cursor:
    return Cursor(tuple(decode_operand(value) for value in message.values), message.before)


def _decode_select(message: Any) -> tuple[FieldPath, ...] | None:
    if not message.HasField("select"):
        return None
    return tuple(field_path(field.field_path) for field in message.select.fields)


def _decode_nearest(message: Any) -> FindNearest:
    vector = decode_value(message.query_vector)
    if not isinstance(vector, Vector):
        raise InvalidArgument("findNearest.queryVector must be a vector.")
    measure = MEASURES.get(message.distance_measure)
    if measure is None:
        raise InvalidArgument("findNearest.distanceMeasure must be given.")
    return FindNearest(
        field_path(message.vector_field.field_path),
        vector,
        measure,
        message.limit.value,
        message.distance_result_field or None,
        message.distance_threshold.value if message.HasField("distance_threshold") else None,
    )
