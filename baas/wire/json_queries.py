"""Structured queries in proto3-JSON. Source: ``listen-and-write`` §5."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

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
    DistanceMeasure,
    FieldFilter,
    Filter,
    FindNearest,
    Order,
    Query,
)
from baas.model.values import Value, Vector
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
from baas.wire.json_reader import JsonObject
from baas.wire.json_values import decode_double, decode_operand, decode_value, listed_values
from baas.wire.value_checks import BadField

_QUERY: Final = frozenset(
    (
        *("select", "from", "where", "orderBy", "startAt", "endAt"),
        *("offset", "limit", "findNearest"),
    )
)
_FROM: Final = frozenset(("collectionId", "allDescendants"))
_FILTER: Final = frozenset(("fieldFilter", "unaryFilter", "compositeFilter"))
_FIELD_FILTER: Final = frozenset(("field", "op", "value"))
_UNARY_FILTER: Final = frozenset(("field", "op"))
_COMPOSITE_FILTER: Final = frozenset(("op", "filters"))
_FIELD: Final = frozenset(("fieldPath",))
_ORDER: Final = frozenset(("field", "direction"))
_CURSOR: Final = frozenset(("values", "before"))
_SELECT: Final = frozenset(("fields",))
_NEAREST: Final = frozenset(
    (
        *("vectorField", "queryVector", "distanceMeasure", "limit"),
        *("distanceResultField", "distanceThreshold"),
    )
)
_AGGREGATION_QUERY: Final = frozenset(("structuredQuery", "aggregations"))
_AGGREGATION: Final = frozenset(("alias", "count", "sum", "avg"))
_COUNT: Final = frozenset(("upTo",))
_AGGREGATE_FIELD: Final = frozenset(("field",))
_OPERATOR_NAMES: Final = {op.name: op for op in FIELD_OPERATORS.values()}
_OPERATOR_NUMBERS: Final = {number: op.name for number, op in FIELD_OPERATORS.items()}
_UNARY_NAMES: Final = {op.name: op for op in UNARY_OPERATORS.values()}
_UNARY_NUMBERS: Final = {number: op.name for number, op in UNARY_OPERATORS.items()}
_COMPOSITE_NAMES: Final = {"AND": "AND", "OR": "OR"}
_DIRECTION_NAMES: Final = {direction.name: direction for direction in Direction}
_DIRECTION_NUMBERS: Final = {number: each.name for number, each in DIRECTIONS.items()}
_MEASURE_NAMES: Final = {measure.name: measure for measure in DistanceMeasure}
_MEASURE_NUMBERS: Final = {number: each.name for number, each in MEASURES.items()}


def parse_query(
    parent_name: str, raw: object, *, strict: bool = True, where: str = "structuredQuery"
) -> Query:
    """A ``StructuredQuery`` below ``parent_name`` (``…/documents`` or a document), not yet canonical.

    Raises:
        InvalidArgument: malformed.
    """
    database, parent = parent_path(parent_name)
    message = JsonObject(raw if raw is not None else {}, _QUERY, where, strict=strict)
    sources = message.items("from")
    if len(sources) > 1:
        raise InvalidArgument("StructuredQuery.from cannot have more than one collection selector.")
    source = JsonObject(
        sources[0] if sources else {}, _FROM, message.place("from[0]"), strict=strict
    )
    where_place = message.place("where")
    return Query(
        database,
        parent,
        source.text("collectionId"),
        source.flag("allDescendants"),
        parse_filter(message.get("where"), where_place, strict) if message.has("where") else None,
        _parse_orders(message),
        _parse_cursor(message, "startAt"),
        _parse_cursor(message, "endAt"),
        message.int32("offset") or 0,
        message.int32("limit"),
        _parse_select(message),
        _parse_nearest(message),
    )


def parse_filter(
    raw: object, where: str, strict: bool, depth: int = 1, count: FilterCount | None = None
) -> Filter:
    """A ``Filter``. ``count`` is of the whole query's filters.

    Raises:
        InvalidArgument: malformed, too many, or nested too deeply.
    """
    check_filter_depth(depth)
    count = count or FilterCount()
    message = JsonObject(raw, _FILTER, where, strict=strict)
    kind = message.one_of("fieldFilter", "unaryFilter", "compositeFilter")
    if kind == "compositeFilter":
        composite = message.child(kind, _COMPOSITE_FILTER)
        op = composite.enum("op", _COMPOSITE_NAMES, COMPOSITE_OPERATORS)
        if op is None:
            raise InvalidArgument("Unsupported CompositeFilter operator: AND or OR is expected.")
        parts = composite.items("filters")
        count.add(len(parts))
        place = composite.place("filters")
        return CompositeFilter(
            op,
            tuple(
                parse_filter(part, f"{place}[{index}]", strict, depth + 1, count)
                for index, part in enumerate(parts)
            ),
        )
    if kind == "unaryFilter":
        unary = message.child(kind, _UNARY_FILTER)
        operator = unary.enum("op", _UNARY_NAMES, _UNARY_NUMBERS)
        if operator is None:
            raise InvalidArgument("Unknown UnaryFilter operator.")
        return FieldFilter(_parse_field(unary, "field"), operator)
    if kind == "fieldFilter":
        field = message.child(kind, _FIELD_FILTER)
        operator = field.enum("op", _OPERATOR_NAMES, _OPERATOR_NUMBERS)
        if operator is None:
            raise InvalidArgument("Unknown FieldFilter operator.")
        path = _parse_field(field, "field")
        check_comparison_values(operator, listed_values(field.get("value")))
        operand = _parse_value(field, "value", decode_operand)
        return checked_filter(FieldFilter(path, operator, operand))
    raise InvalidArgument(f"'{where}' must be a fieldFilter, a unaryFilter or a compositeFilter.")


def parse_aggregations(
    parent_name: str, raw: object, *, strict: bool = True
) -> tuple[Query, tuple[Aggregation, ...]]:
    """A ``StructuredAggregationQuery``: the query, and what to compute of it, every alias filled in.

    Raises:
        InvalidArgument: malformed, no aggregation, more than five, or an alias used twice.
    """
    where = "structuredAggregationQuery"
    message = JsonObject(raw, _AGGREGATION_QUERY, where, strict=strict)
    query = parse_query(
        parent_name,
        message.get("structuredQuery"),
        strict=strict,
        where=message.place("structuredQuery"),
    )
    place = message.place("aggregations")
    items = message.items("aggregations")
    check_aggregation_count(len(items))
    aggregations = [
        _parse_aggregation(JsonObject(each, _AGGREGATION, f"{place}[{index}]", strict=strict))
        for index, each in enumerate(items)
    ]
    return query, named_aggregations(aggregations)


def _parse_aggregation(message: JsonObject) -> Aggregation:
    kind = message.one_of("count", "sum", "avg")
    alias = message.text("alias")
    if kind is None:
        raise InvalidArgument("An aggregation must be one of count, sum and avg.")
    if kind == "count":
        up_to = checked_up_to(message.child("count", _COUNT).int64("upTo"))
        return Aggregation(alias, AggregationKind.COUNT, up_to=up_to)
    path = _parse_field(message.child(kind, _AGGREGATE_FIELD), "field")
    return Aggregation(alias, AggregationKind(kind), path)


def _parse_field(message: JsonObject, name: str) -> FieldPath:
    if not message.has(name):
        raise InvalidArgument(f"'{message.place(name)}' must name a field.")
    return field_path(message.child(name, _FIELD).text("fieldPath"))


def _parse_value(message: JsonObject, name: str, decode: Callable[[object], Value]) -> Value:
    raw = message.get(name)
    return _decode_at({} if raw is None else raw, message.place(name), decode)


def _decode_at(raw: object, place: str, decode: Callable[[object], Value]) -> Value:
    try:
        return decode(raw)
    except BadField as error:
        raise InvalidArgument(f"Invalid value at '{place}': {error.message}") from None


def _parse_orders(message: JsonObject) -> tuple[Order, ...]:
    place = message.place("orderBy")
    orders = []
    items = message.items("orderBy")
    check_order_count(len(items))
    for index, raw in enumerate(items):
        order = JsonObject(raw, _ORDER, f"{place}[{index}]", strict=message.strict)
        direction = order.enum("direction", _DIRECTION_NAMES, _DIRECTION_NUMBERS)
        orders.append(Order(_parse_field(order, "field"), direction or Direction.ASCENDING))
    return tuple(orders)


def _parse_cursor(message: JsonObject, name: str) -> Cursor | None:
    if not message.has(name):
        return None
    cursor = message.child(name, _CURSOR)
    place = cursor.place("values")
    values = tuple(_decode_at(raw, place, decode_operand) for raw in cursor.items("values"))
    return Cursor(values, cursor.flag("before"))


def _parse_select(message: JsonObject) -> tuple[FieldPath, ...] | None:
    if not message.has("select"):
        return None
    select = message.child("select", _SELECT)
    place = select.place("fields")
    return tuple(
        field_path(
            JsonObject(raw, _FIELD, f"{place}[{index}]", strict=message.strict).text("fieldPath")
        )
        for index, raw in enumerate(select.items("fields"))
    )


def _parse_nearest(message: JsonObject) -> FindNearest | None:
    if not message.has("findNearest"):
        return None
    nearest = message.child("findNearest", _NEAREST)
    vector = _parse_value(nearest, "queryVector", decode_value)
    if not isinstance(vector, Vector):
        raise InvalidArgument("findNearest.queryVector must be a vector.")
    measure = nearest.enum("distanceMeasure", _MEASURE_NAMES, _MEASURE_NUMBERS)
    if measure is None:
        raise InvalidArgument("findNearest.distanceMeasure must be given.")
    threshold = nearest.get("distanceThreshold")
    if type(threshold) is dict:  # a wrapper object, as some clients send
        threshold = threshold.get("value")
    return FindNearest(
        _parse_field(nearest, "vectorField"),
        vector,
        measure,
        nearest.int32("limit") or 0,
        nearest.text("distanceResultField") or None,
        None if threshold is None else _decode_threshold(threshold),
    )


def _decode_threshold(raw: object) -> float:
    try:
        return decode_double(raw)
    except BadField as error:
        raise InvalidArgument(f"findNearest.distanceThreshold: {error.message}") from None
