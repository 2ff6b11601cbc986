"""From constraints to a query: checks what can be checked before the server is asked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from homefire.errors import FirestoreError
from homefire.firestore._codec import WireValue, encode_value
from homefire.firestore._constraints import (
    OPERATORS,
    QueryCompositeFilterConstraint,
    QueryConstraint,
    QueryCursorConstraint,
    QueryFieldFilterConstraint,
    QueryFilterConstraint,
    QueryLimitConstraint,
    QueryOrderByConstraint,
)
from homefire.firestore._paths import DOCUMENT_ID, split_path
from homefire.firestore._query_spec import (
    NAME,
    Bound,
    CompositeFilter,
    FieldFilter,
    Order,
    QuerySpec,
)
from homefire.firestore._values import ReferenceValue
from homefire.firestore._view import SnapshotBase, wire_field

_LIST_OPERATORS = ("in", "not-in", "array-contains-any")


def extend(spec: QuerySpec, constraints: Sequence[QueryConstraint]) -> QuerySpec:
    """The query with more constraints. Cursors are read last, for they speak of the whole ordering."""
    for constraint in constraints:
        match constraint:
            case QueryFilterConstraint():
                built = _filter(spec, constraint)
                spec = replace(spec, filters=(*spec.filters, built))
            case QueryOrderByConstraint(path, descending):
                order = Order(path.canonical, descending)
                spec = replace(spec, orders=(*spec.orders, order))
            case QueryLimitConstraint(count, to_last):
                spec = spec.with_limit(count, to_last=to_last)
            case QueryCursorConstraint():
                pass
            case _:
                raise FirestoreError(
                    "invalid-argument", f"query() does not take {constraint!r} as a constraint."
                )
    for constraint in constraints:
        if isinstance(constraint, QueryCursorConstraint):
            spec = _with_cursor(spec, constraint)
    return spec


def _filter(spec: QuerySpec, constraint: QueryFilterConstraint) -> FieldFilter | CompositeFilter:
    if isinstance(constraint, QueryCompositeFilterConstraint):
        parts = tuple(_filter(spec, part) for part in constraint.parts)
        return CompositeFilter(constraint.op, parts)
    assert isinstance(constraint, QueryFieldFilterConstraint)
    path, op, value = constraint.path, constraint.op, constraint.value
    if op in _LIST_OPERATORS and (not isinstance(value, list | tuple) or not value):
        raise FirestoreError("invalid-argument", f"{op!r} compares with a list that is not empty.")
    if path == DOCUMENT_ID:
        return FieldFilter(NAME, OPERATORS[op], _document_ids(spec, op, value))
    return FieldFilter(path.canonical, OPERATORS[op], encode_value(value, path.canonical))


def _document_ids(spec: QuerySpec, op: str, value: object) -> WireValue:
    if op.startswith("array-"):
        raise FirestoreError("invalid-argument", f"{op!r} cannot be asked of document_id().")
    if isinstance(value, list | tuple):
        return {"arrayValue": {"values": [_reference(spec, item) for item in value]}}
    return _reference(spec, value)


def _reference(spec: QuerySpec, value: object) -> WireValue:
    """A document of the queried collection by its id, or by its path in a collection group."""
    if isinstance(value, ReferenceValue):
        return {"referenceValue": value._name}
    if not isinstance(value, str) or not value:
        raise FirestoreError(
            "invalid-argument", "document_id() compares with ids, paths or document references."
        )
    segments = split_path(value)
    if spec.all_descendants:
        if len(segments) % 2:
            raise FirestoreError(
                "invalid-argument",
                f"In a collection group, document_id() needs a document's whole path, not {value!r}.",
            )
        return {"referenceValue": f"{spec.parent}/{'/'.join(segments)}"}
    if len(segments) != 1:
        raise FirestoreError(
            "invalid-argument", f"document_id() needs a plain id here, not {value!r}."
        )
    return {"referenceValue": f"{spec.parent}/{spec.collection_id}/{segments[0]}"}


def _with_cursor(spec: QuerySpec, cursor: QueryCursorConstraint) -> QuerySpec:
    first = cursor.values[0]
    if isinstance(first, SnapshotBase) and len(cursor.values) == 1:
        values = _values_of_document(spec, first)
    else:
        values = _given_values(spec, cursor.values)
    bound = Bound(values, cursor.inclusive)
    return replace(spec, start=bound) if cursor.at_start else replace(spec, end=bound)


def _values_of_document(spec: QuerySpec, snapshot: SnapshotBase) -> tuple[WireValue, ...]:
    document = snapshot._document
    if document is None:
        raise FirestoreError(
            "invalid-argument", "A query cannot start or end at a document that does not exist."
        )
    values: list[WireValue] = []
    for order in spec.full_orders():
        if order.path == NAME:
            values.append({"referenceValue": document.name})
            continue
        value = wire_field(document.fields, order.path)
        if value is None:
            raise FirestoreError(
                "invalid-argument",
                f"The document {snapshot._name} lacks the field {order.path} that the query orders by.",
            )
        values.append(value)
    return tuple(values)


def _given_values(spec: QuerySpec, values: Sequence[object]) -> tuple[WireValue, ...]:
    if len(values) > len(spec.orders):
        raise FirestoreError(
            "invalid-argument",
            "A cursor cannot have more values than the query has order_by() constraints.",
        )
    return tuple(
        _reference(spec, value) if order.path == NAME else encode_value(value, order.path)
        for order, value in zip(spec.orders, values, strict=False)
    )
