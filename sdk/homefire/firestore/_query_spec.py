"""A query as plain data, and its form on the wire."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from homefire.errors import FirestoreError
from homefire.firestore._codec import WireValue
from homefire.firestore._paths import parse_canonical

NAME = "__name__"
_INEQUALITIES = frozenset(
    {
        "LESS_THAN",
        "LESS_THAN_OR_EQUAL",
        "GREATER_THAN",
        "GREATER_THAN_OR_EQUAL",
        "NOT_EQUAL",
        "NOT_IN",
    }
)


@dataclass(frozen=True, slots=True)
class FieldFilter:
    """A field compared with a value. ``path`` is in the protocol's spelling, ``op`` its name there."""

    path: str
    op: str
    value: WireValue

    def wire(self) -> dict[str, Any]:
        """As a ``Filter``; comparing with null and NaN has a form of its own."""
        unary = self._unary()
        if unary is not None:
            return {"unaryFilter": {"field": {"fieldPath": self.path}, "op": unary}}
        field = {"fieldPath": self.path}
        return {"fieldFilter": {"field": field, "op": self.op, "value": self.value}}

    def inequalities(self) -> Iterator[str]:
        """The paths of fields compared by order or difference."""
        if self.op in _INEQUALITIES:
            yield self.path

    def _unary(self) -> str | None:
        names = {"EQUAL": "IS", "NOT_EQUAL": "IS_NOT"}
        if self.op not in names:
            return None
        if "nullValue" in self.value:
            return f"{names[self.op]}_NULL"
        if self.value.get("doubleValue") == "NaN":
            return f"{names[self.op]}_NAN"
        return None


@dataclass(frozen=True, slots=True)
class CompositeFilter:
    """Several filters of which all (``AND``) or any (``OR``) must hold."""

    op: str
    filters: tuple[FieldFilter | CompositeFilter, ...]

    def wire(self) -> dict[str, Any]:
        """As a ``Filter``; one of a single part is that part."""
        if len(self.filters) == 1:
            return self.filters[0].wire()
        parts = [part.wire() for part in self.filters]
        return {"compositeFilter": {"op": self.op, "filters": parts}}

    def inequalities(self) -> Iterator[str]:
        """The paths of fields compared by order or difference."""
        for part in self.filters:
            yield from part.inequalities()


@dataclass(frozen=True, slots=True)
class Order:
    """One ordering: a path in the protocol's spelling, and which way."""

    path: str
    descending: bool = False

    def reversed(self) -> Order:
        """The same the other way round."""
        return Order(self.path, not self.descending)

    def wire(self) -> dict[str, Any]:
        """As an ``Order``."""
        direction = "DESCENDING" if self.descending else "ASCENDING"
        return {"field": {"fieldPath": self.path}, "direction": direction}


@dataclass(frozen=True, slots=True)
class Bound:
    """A place in the order: the values of its first fields, itself included or not."""

    values: tuple[WireValue, ...]
    inclusive: bool


@dataclass(frozen=True, slots=True)
class QuerySpec:
    """A query over one collection, or over all of an id (``all_descendants``) below ``parent``.

    ``parent`` is the full name of a document, or of the database's root (ending in ``/documents``).
    """

    parent: str
    collection_id: str
    all_descendants: bool = False
    filters: tuple[FieldFilter | CompositeFilter, ...] = ()
    orders: tuple[Order, ...] = ()
    limit: int | None = None
    limit_to_last: bool = False
    start: Bound | None = None
    end: Bound | None = None

    def full_orders(self) -> tuple[Order, ...]:
        """The orderings that are in force: those asked for, inequality fields, the name."""
        orders = list(self.orders)
        listed = {order.path for order in orders}
        descending = orders[-1].descending if orders else False
        unequal = {path for part in self.filters for path in part.inequalities()}
        for path in sorted(unequal - listed - {NAME}, key=parse_canonical):
            orders.append(Order(path, descending))
        if NAME not in listed:
            orders.append(Order(NAME, descending))
        return tuple(orders)

    def wire(self) -> dict[str, Any]:
        """As a ``StructuredQuery``, all orderings spelled out; ``limit_to_last`` turns them round."""
        orders, start, end = self.full_orders(), self.start, self.end
        if self.limit_to_last:
            if not self.orders:
                raise FirestoreError(
                    "unimplemented", "limit_to_last() needs at least one order_by() in the query."
                )
            orders = tuple(order.reversed() for order in orders)
            start, end = end, start
        selector: dict[str, Any] = {"collectionId": self.collection_id}
        if self.all_descendants:
            selector["allDescendants"] = True
        query: dict[str, Any] = {"from": [selector]}
        if self.filters:
            query["where"] = CompositeFilter("AND", self.filters).wire()
        query["orderBy"] = [order.wire() for order in orders]
        if start is not None:
            query["startAt"] = {"values": list(start.values), "before": start.inclusive}
        if end is not None:
            query["endAt"] = {"values": list(end.values), "before": not end.inclusive}
        if self.limit is not None:
            query["limit"] = self.limit
        return query

    def with_limit(self, count: int, *, to_last: bool) -> QuerySpec:
        """The same with a limit."""
        return replace(self, limit=count, limit_to_last=to_last)
