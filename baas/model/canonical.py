"""A query checked and brought into one form, so that whoever comes after can rely on it.

Source: ``listen-and-write`` §5 "Structured queries" and §9; refusals as Google's emulator has them.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Final, TypeAlias, cast

from baas.errors import InvalidArgument
from baas.model.key_encoding import encode_value
from baas.model.limits import (
    MAX_AGGREGATIONS,
    MAX_DISJUNCTIONS,
    MAX_FILTER_DEPTH,
    MAX_FILTERS,
    MAX_IN_VALUES,
    MAX_NEAREST,
    MAX_NOT_IN_VALUES,
    MAX_ORDERS,
    MAX_VECTOR_DIMENSIONS,
)
from baas.model.paths import (
    DOCUMENT_ID,
    DatabaseId,
    DocumentName,
    FieldPath,
    check_segments,
    format_field_path,
    parse_field_path,
)
from baas.model.query import (
    Aggregation,
    AggregationKind,
    CompositeFilter,
    Cursor,
    Direction,
    FieldFilter,
    Filter,
    FindNearest,
    Operator,
    Order,
    Query,
)
from baas.model.values import Reference, Value

Conjunction: TypeAlias = tuple[FieldFilter, ...]

_RESERVED_FIELD = re.compile(r"__.*__", re.DOTALL)
_RANGES: Final = frozenset(
    {
        Operator.LESS_THAN,
        Operator.LESS_THAN_OR_EQUAL,
        Operator.GREATER_THAN,
        Operator.GREATER_THAN_OR_EQUAL,
    }
)
_EXCLUSIONS: Final = frozenset(
    {Operator.NOT_EQUAL, Operator.NOT_IN, Operator.IS_NOT_NAN, Operator.IS_NOT_NULL}
)
_INEQUALITIES: Final = _RANGES | _EXCLUSIONS
_LISTS: Final = {
    Operator.IN: MAX_IN_VALUES,
    Operator.ARRAY_CONTAINS_ANY: MAX_IN_VALUES,
    Operator.NOT_IN: MAX_NOT_IN_VALUES,
}
_NAME_OPERATORS: Final = _RANGES | {
    Operator.EQUAL,
    Operator.NOT_EQUAL,
    Operator.IN,
    Operator.NOT_IN,
}


def canonicalize(query: Query) -> Query:
    """The same query, checked, with everything implied made explicit. Idempotent.

    - ``order_by`` names every order: the given ones, inequality fields, ``__name__`` last.
    - ``where`` is flat, without duplicates, in a fixed order; comparisons that can match nothing (with
      null or NaN) have become ``IN []``, single-valued lists have become equalities, and null and NaN
      are gone from lists. So a planner may look every ``EQUAL`` and ``IN`` value up in an index.
    - ``__name__`` filters and cursors hold references of the query's own database.

    Raises:
        InvalidArgument: the query breaks a documented rule or limit.
    """
    check_segments(query.parent)
    if len(query.parent) % 2:
        raise InvalidArgument("The parent of a query must be the root or a document.")
    if query.collection_id:
        check_segments((query.collection_id,))
    if query.limit is not None and query.limit < 0:
        raise InvalidArgument(f"limit is negative: {query.limit}.")
    if query.offset < 0:
        raise InvalidArgument(f"offset is negative: {query.offset}.")
    where = query.where
    if where is not None:
        _check_filter(where, query.database)
        _check_name_equality(where)
    _check_orders(query.order_by)
    for cursor in (query.start_at, query.end_at):
        if cursor is not None:
            _check_cursor(cursor, query)
    if query.find_nearest is not None:
        _check_find_nearest(query, query.find_nearest)
    normalized = None if where is None else _normalize(where)
    if normalized is not None:
        disjuncts(normalized)
    return replace(
        query,
        where=normalized,
        order_by=_all_orders(query, normalized),
        select=None if query.select is None else _canonical_select(query.select),
        stated_orders=(len(query.order_by) if query.stated_orders is None else query.stated_orders),
    )


def check_filter_count(count: int) -> None:
    """Check how many filters a query has, those that join others included.

    Raises:
        InvalidArgument: too many.
    """
    if count > MAX_FILTERS:
        raise InvalidArgument(f"A query may have at most {MAX_FILTERS} filters.")


def check_comparison_values(op: Operator, count: int) -> None:
    """Check with how many values an operator that takes a list compares.

    Raises:
        InvalidArgument: too many.
    """
    limit = _LISTS.get(op)
    if limit is not None and count > limit:
        raise InvalidArgument(f"'{op.name}' supports up to {limit} comparison values.")


def check_order_count(count: int) -> None:
    """Check how many orders a query has.

    Raises:
        InvalidArgument: too many.
    """
    if count > MAX_ORDERS:
        raise InvalidArgument(f"A query may have at most {MAX_ORDERS} orders.")


def check_aggregation_count(count: int) -> None:
    """Check how many aggregations are asked for.

    Raises:
        InvalidArgument: too many.
    """
    if count > MAX_AGGREGATIONS:
        raise InvalidArgument(
            f"The maximum number of aggregations allowed in an aggregation query is "
            f"{MAX_AGGREGATIONS}."
        )


def check_aggregations(aggregations: Sequence[Aggregation]) -> None:
    """Check what is asked for.

    Raises:
        InvalidArgument: none, too many, two of one alias, or one that is malformed.
    """
    if not aggregations:
        raise InvalidArgument("Aggregations can not be empty.")
    check_aggregation_count(len(aggregations))
    aliases: set[str] = set()
    for aggregation in aggregations:
        if aggregation.alias in aliases:
            raise InvalidArgument(
                f"Aggregation aliases contain duplicate alias: {aggregation.alias[:200]}."
            )
        aliases.add(aggregation.alias)
        if aggregation.kind is AggregationKind.COUNT:
            if aggregation.up_to is not None and aggregation.up_to <= 0:
                raise InvalidArgument("count.upTo must be greater than zero.")
        elif aggregation.field_path is None:
            raise InvalidArgument(f"{aggregation.kind.value} needs a field.")
        else:
            check_field_path(aggregation.field_path)


def canonical_id(query: Query) -> bytes:
    """A key that is equal exactly for canonical queries that are the same: for sharing views."""
    nearest = query.find_nearest
    parts: list[Value] = [
        query.database.project,
        query.database.database,
        list(query.parent),
        query.collection_id,
        query.all_descendants,
        None if query.where is None else _filter_key(query.where),
        [[*order.field_path, order.direction.value] for order in query.order_by],
        _cursor_key(query.start_at),
        _cursor_key(query.end_at),
        query.offset,
        query.limit,
        None if query.select is None else [list(path) for path in query.select],
        None if nearest is None else _nearest_key(nearest),
    ]
    return encode_value(parts)


def disjuncts(condition: Filter | None, limit: int = MAX_DISJUNCTIONS) -> tuple[Conjunction, ...]:
    """The filter in disjunctive normal form: it holds where all filters of any one tuple hold.

    ``IN`` becomes one ``EQUAL`` a value, ``ARRAY_CONTAINS_ANY`` one ``ARRAY_CONTAINS`` a value. No filter at
    all is one empty conjunction; a filter that nothing can match has none.

    Raises:
        InvalidArgument: there are more than ``limit`` of them.
    """
    if condition is None:
        return ((),)
    result = _disjuncts(condition, limit)
    if len(result) > limit:
        raise _too_many_disjuncts(limit)
    return tuple(result)


def field_filters(condition: Filter | None) -> Iterator[FieldFilter]:
    """All field filters within a filter, in order."""
    if condition is None:
        return
    if isinstance(condition, FieldFilter):
        yield condition
        return
    for part in condition.filters:
        yield from field_filters(part)


def check_field_path(path: FieldPath) -> None:
    """Check that a path, as used in filters, orders and masks, names no reserved field.

    Raises:
        InvalidArgument: a segment matches ``__.*__``, and the path is not ``__name__``.
    """
    if path == DOCUMENT_ID:
        return
    for segment in path:
        if _RESERVED_FIELD.fullmatch(segment):
            raise InvalidArgument(
                f"Field path {format_field_path(path)[:200]!r} is not valid: names that match __.*__ "
                "are reserved."
            )


def _check_filter(condition: Filter, database: DatabaseId) -> None:
    exclusions = 0
    listed = False
    not_in = False
    filters = _walk(condition, 1)
    for count, part in enumerate(filters, start=1):
        check_filter_count(count)
        if isinstance(part, CompositeFilter):
            listed = listed or part.op == "OR"
            continue
        _check_field_filter(part, database)
        exclusions += part.op in _EXCLUSIONS
        listed = listed or part.op in (Operator.IN, Operator.ARRAY_CONTAINS_ANY)
        not_in = not_in or part.op is Operator.NOT_IN
    if exclusions > 1:
        raise InvalidArgument(
            "Only a single 'NOT_EQUAL', 'NOT_IN', 'IS_NOT_NAN', or 'IS_NOT_NULL' filter is allowed "
            "per query."
        )
    if _array_filters(condition) > 1:
        raise InvalidArgument("A maximum of 1 'ARRAY_CONTAINS' filter is allowed per disjunction.")
    if not_in and listed:
        raise InvalidArgument(
            "'NOT_IN' cannot be used in the same query with 'IN', 'ARRAY_CONTAINS_ANY' or 'OR'."
        )


def _walk(condition: Filter, depth: int) -> Iterator[Filter]:
    if depth > MAX_FILTER_DEPTH:
        raise InvalidArgument(f"Filters may be nested at most {MAX_FILTER_DEPTH} deep.")
    yield condition
    if isinstance(condition, CompositeFilter):
        if condition.op not in ("AND", "OR"):
            raise InvalidArgument("A composite filter must have the operator AND or OR.")
        if condition.op == "OR" and not condition.filters:
            raise InvalidArgument("An OR filter must have at least one sub-filter.")
        for part in condition.filters:
            yield from _walk(part, depth + 1)


def _check_field_filter(condition: FieldFilter, database: DatabaseId) -> None:
    op = condition.op
    check_field_path(condition.field_path)
    if op in _LISTS:
        values = condition.value
        if type(values) is not list:
            raise InvalidArgument(f"'{op.name}' requires an ArrayValue.")
        if not values and op is not Operator.IN:
            raise InvalidArgument(f"'{op.name}' requires a non-empty ArrayValue.")
        check_comparison_values(op, len(values))
    if condition.field_path == DOCUMENT_ID:
        _check_name_filter(condition, database)


def _check_name_filter(condition: FieldFilter, database: DatabaseId) -> None:
    if condition.op not in _NAME_OPERATORS:
        raise InvalidArgument(f"'{condition.op.name}' cannot be used with __name__.")
    values = cast("list[Value]", condition.value) if condition.op in _LISTS else [condition.value]
    for value in values:
        _check_name_value(value, database, "__name__ filter")


def _check_name_equality(where: Filter) -> None:
    """Documented nowhere, but Firestore and its emulator refuse it, wherever in the filter the parts are."""
    conditions = list(field_filters(where))
    compared = {each.field_path for each in conditions if each.op in _INEQUALITIES}
    if not compared or DOCUMENT_ID in compared:
        return
    if any(
        each.field_path == DOCUMENT_ID and each.op in (Operator.EQUAL, Operator.IN)
        for each in conditions
    ):
        raise InvalidArgument(
            "Equality on key is not allowed if there are other inequality fields and key does not "
            "appear in inequalities."
        )


def _check_name_value(value: Value, database: DatabaseId, what: str) -> None:
    if not isinstance(value, Reference):
        raise InvalidArgument(f"The value of a {what} must be a document reference.")
    if DocumentName.parse(value.name).database != database:
        raise InvalidArgument(f"The value of a {what} must be in the database of the query.")


def _check_orders(orders: tuple[Order, ...]) -> None:
    check_order_count(len(orders))
    seen: set[FieldPath] = set()
    for order in orders:
        path = order.field_path
        check_field_path(path)
        if path in seen:
            raise InvalidArgument(
                f"order by clause cannot contain duplicate fields: {format_field_path(path)[:200]}."
            )
        if DOCUMENT_ID in seen:
            raise InvalidArgument(
                "order by clause cannot contain more fields after the key (__name__)."
            )
        seen.add(path)


def _check_cursor(cursor: Cursor, query: Query) -> None:
    if len(cursor.values) > len(query.order_by):
        raise InvalidArgument(
            "Cursor has too many values: at most one for each field of the order by clause."
        )
    for order, value in zip(query.order_by, cursor.values, strict=False):
        if order.field_path == DOCUMENT_ID:
            _check_name_value(value, query.database, "__name__ cursor")


def _check_find_nearest(query: Query, nearest: FindNearest) -> None:
    for what, given in (
        ("limit", query.limit is not None),
        ("offset", query.offset != 0),
        ("cursor", query.start_at is not None or query.end_at is not None),
    ):
        if given:
            raise InvalidArgument(f"A query {what} cannot be used with findNearest.")
    check_field_path(nearest.field_path)
    if not 1 <= nearest.limit <= MAX_NEAREST:
        raise InvalidArgument(f"findNearest.limit must be between 1 and {MAX_NEAREST}.")
    if nearest.distance_result_field is not None:
        result_field = parse_field_path(nearest.distance_result_field)
        check_field_path(result_field)
        if result_field == DOCUMENT_ID:
            raise InvalidArgument("findNearest.distanceResultField must not be __name__.")
    dimensions = len(nearest.query_vector.components)
    if not 1 <= dimensions <= MAX_VECTOR_DIMENSIONS:
        raise InvalidArgument(
            f"findNearest.queryVector must have 1 to {MAX_VECTOR_DIMENSIONS} dimensions."
        )


def _array_filters(condition: Filter) -> int:
    """The most ARRAY_CONTAINS filters that any one disjunct has."""
    if isinstance(condition, FieldFilter):
        return condition.op in (Operator.ARRAY_CONTAINS, Operator.ARRAY_CONTAINS_ANY)
    distinct = {_key_of_meaning(part): part for part in condition.filters}
    counts = map(_array_filters, distinct.values())
    return sum(counts) if condition.op == "AND" else max(counts)


def _key_of_meaning(condition: Filter) -> bytes:
    """Equal for filters that are the same, whatever the order of their values and how often they come."""
    if isinstance(condition, FieldFilter) and condition.op is Operator.ARRAY_CONTAINS_ANY:
        values = _distinct(cast("list[Value]", condition.value))
        condition = FieldFilter(condition.field_path, condition.op, values)
    return encode_value(_filter_key(condition))


def _all_orders(query: Query, where: Filter | None) -> tuple[Order, ...]:
    """The orders of a query with its normalized filter: what can match nothing implies none."""
    direction = query.order_by[-1].direction if query.order_by else Direction.ASCENDING
    ordered = {order.field_path for order in query.order_by}
    implied = {part.field_path for part in field_filters(where) if part.op in _INEQUALITIES}
    # NOT_IN with null matches nothing either, but Google's emulator orders by its field all the same
    implied |= {
        part.field_path for part in field_filters(query.where) if part.op is Operator.NOT_IN
    }
    implied -= ordered
    implied.discard(DOCUMENT_ID)
    added = sorted(implied)  # name by name, as the official clients and the emulator order them
    if DOCUMENT_ID in ordered:
        if added:
            raise InvalidArgument(
                "order by clause cannot contain more fields after the key (__name__): order by the "
                f"inequality field {format_field_path(added[0])[:200]} before it."
            )
        return query.order_by
    return (
        *query.order_by,
        *(Order(path, direction) for path in added),
        Order(DOCUMENT_ID, direction),
    )


def _canonical_select(select: tuple[FieldPath, ...]) -> tuple[FieldPath, ...]:
    for path in select:
        check_field_path(path)
    fields = {path for path in select if path != DOCUMENT_ID}
    return tuple(sorted(fields)) if fields else (DOCUMENT_ID,)


def _normalize(condition: Filter) -> Filter | None:
    if isinstance(condition, FieldFilter):
        return _normalize_field_filter(condition)
    parts: dict[bytes, Filter] = {}
    for inner in condition.filters:
        part = _normalize(inner)
        if part is None:  # always true
            if condition.op == "OR":
                return None
            continue
        same = isinstance(part, CompositeFilter) and part.op == condition.op
        for each in cast(CompositeFilter, part).filters if same else (part,):
            parts[encode_value(_filter_key(each))] = each
    if len(parts) <= 1:
        return next(iter(parts.values()), None)
    return CompositeFilter(condition.op, tuple(parts[key] for key in sorted(parts)))


def _normalize_field_filter(condition: FieldFilter) -> FieldFilter:
    path, op, value = condition.field_path, condition.op, condition.value
    if op in (Operator.IN, Operator.ARRAY_CONTAINS_ANY):
        kept = _distinct(cast("list[Value]", value))
        if not kept:
            return FieldFilter(path, Operator.IN, [])
        if len(kept) == 1:
            single = Operator.EQUAL if op is Operator.IN else Operator.ARRAY_CONTAINS
            return FieldFilter(path, single, kept[0])
        return FieldFilter(path, op, kept)
    if op in (Operator.NOT_EQUAL, Operator.NOT_IN):
        excluded = cast("list[Value]", value) if op is Operator.NOT_IN else [value]
        if any(each is None for each in excluded):
            return FieldFilter(path, Operator.IN, [])
        kept = _distinct(excluded)
        if not kept:
            return FieldFilter(path, Operator.IS_NOT_NULL)
        if len(kept) == 1:
            return FieldFilter(path, Operator.NOT_EQUAL, kept[0])
        return FieldFilter(path, op, kept)
    if op in _RANGES or op in (Operator.EQUAL, Operator.ARRAY_CONTAINS):
        return condition if _comparable(value) else FieldFilter(path, Operator.IN, [])
    return FieldFilter(path, op)


def _comparable(value: Value) -> bool:
    return value is not None and value == value


def _distinct(values: list[Value]) -> list[Value]:
    by_key = {encode_value(value): value for value in values if _comparable(value)}
    return [by_key[key] for key in sorted(by_key)]


def _disjuncts(condition: Filter, limit: int) -> list[Conjunction]:
    if isinstance(condition, FieldFilter):
        return _expand(condition)
    parts = [_disjuncts(part, limit) for part in condition.filters]
    if condition.op == "OR":
        joined = list(itertools.chain.from_iterable(parts))
        if len(joined) > limit:
            raise _too_many_disjuncts(limit)
        return joined
    product: list[Conjunction] = [()]
    for part in sorted(parts, key=len):
        if len(product) * len(part) > limit:
            raise _too_many_disjuncts(limit)
        product = [(*left, *right) for left in product for right in part]
    return product


def _expand(condition: FieldFilter) -> list[Conjunction]:
    single = {
        Operator.IN: Operator.EQUAL,
        Operator.ARRAY_CONTAINS_ANY: Operator.ARRAY_CONTAINS,
    }.get(condition.op)
    if single is None:
        return [(condition,)]
    values = cast("list[Value]", condition.value)
    return [(FieldFilter(condition.field_path, single, value),) for value in values]


def _too_many_disjuncts(limit: int) -> InvalidArgument:
    return InvalidArgument(
        f"Too many disjunctions after normalization: a query may have at most {limit}."
    )


def _filter_key(condition: Filter) -> Value:
    if isinstance(condition, CompositeFilter):
        return [condition.op, [_filter_key(part) for part in condition.filters]]
    return [list(condition.field_path), condition.op.value, condition.value]


def _cursor_key(cursor: Cursor | None) -> Value:
    return None if cursor is None else [list(cursor.values), cursor.before]


def _nearest_key(nearest: FindNearest) -> Value:
    return [
        list(nearest.field_path),
        nearest.query_vector,
        nearest.measure.value,
        nearest.limit,
        nearest.distance_result_field,
        nearest.distance_threshold,
    ]
