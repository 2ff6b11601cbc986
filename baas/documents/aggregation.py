"""Count, sum and average over the results of a query.

Source: ``listen-and-write`` §5 "RunAggregationQuery", and Firestore's documented rules: what is no number is
left out of sums and averages, a sum of integers is an integer unless it overflows, NaN makes NaN. Documents
without one of the aggregated fields are left out of all of it, counts included.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from baas.model.document import Document
from baas.model.field_access import MISSING, get_field
from baas.model.paths import DOCUMENT_ID, FieldPath
from baas.model.query import Aggregation, AggregationKind, Order, Query
from baas.model.values import INT64_MAX, INT64_MIN, Value


def ordered_by_aggregated(canonical: Query, aggregations: Sequence[Aggregation]) -> Query:
    """A canonical query that takes documents in the order that decides which of them an offset and a limit
    leave over: aggregated fields, by name, are ordered by as inequality fields are (documents without one
    are not in the result). An order by ``__name__`` that is asked for stands.
    """
    if canonical.limit is None and not canonical.offset:
        return canonical
    stated = canonical.order_by[: canonical.stated_orders]
    if any(order.field_path == DOCUMENT_ID for order in stated):
        return canonical
    ordered = {order.field_path for order in canonical.order_by}
    paths = {each.field_path for each in aggregations if each.field_path is not None} - ordered
    *orders, by_name = canonical.order_by
    added = (Order(path, by_name.direction) for path in sorted(paths))
    return replace(canonical, order_by=(*orders, *added, by_name))


def only_counts(aggregations: Sequence[Aggregation]) -> bool:
    """Whether no document needs to be looked into."""
    return all(aggregation.kind is AggregationKind.COUNT for aggregation in aggregations)


def enough(aggregations: Sequence[Aggregation]) -> int | None:
    """How many results suffice to answer; ``None``: all."""
    bounds = [aggregation.up_to for aggregation in aggregations]
    known = [bound for bound in bounds if bound is not None]
    return max(known) if only_counts(aggregations) and len(known) == len(bounds) else None


def counted(aggregations: Sequence[Aggregation], count: int) -> dict[str, Value]:
    """Counts, where the number of results is known."""
    return {aggregation.alias: _value(aggregation, {}, count) for aggregation in aggregations}


def aggregate(
    documents: Iterable[Document], aggregations: Sequence[Aggregation]
) -> dict[str, Value]:
    """The values by alias."""
    paths = {
        aggregation.field_path for aggregation in aggregations if aggregation.field_path is not None
    }
    totals = {path: _Total() for path in paths}
    count = 0
    for document in documents:
        values = [get_field(document.fields, path) for path in totals]
        if MISSING in values:
            continue
        count += 1
        for total, value in zip(totals.values(), values, strict=True):
            total.add(value)
    return {aggregation.alias: _value(aggregation, totals, count) for aggregation in aggregations}


def _value(aggregation: Aggregation, totals: dict[FieldPath, _Total], count: int) -> Value:
    if aggregation.kind is AggregationKind.COUNT or aggregation.field_path is None:
        return count if aggregation.up_to is None else min(count, aggregation.up_to)
    total = totals[aggregation.field_path]
    return total.sum() if aggregation.kind is AggregationKind.SUM else total.average()


class _Total:
    """The numbers of one field."""

    def __init__(self) -> None:
        self._integers = 0
        self._doubles = 0.0
        self._has_doubles = False
        self._count = 0

    def add(self, value: object) -> None:
        if type(value) is int:
            self._integers += value
        elif type(value) is float:
            self._doubles += value
            self._has_doubles = True
        else:
            return
        self._count += 1

    def sum(self) -> Value:
        if self._has_doubles:
            return self._integers + self._doubles
        if INT64_MIN <= self._integers <= INT64_MAX:
            return self._integers
        return float(self._integers)

    def average(self) -> Value:
        if not self._count:
            return None
        return (self._integers + self._doubles) / self._count
