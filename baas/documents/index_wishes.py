"""Which index would serve a query: for queries that look at far more than they return, and as declared in
``firestore.indexes.json``."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from baas.documents.conjunctions import Conjunct, conjuncts
from baas.documents.indexes import FieldKind, IndexDefinition, IndexField, Scope
from baas.errors import InvalidArgument
from baas.model.canonical import field_filters
from baas.model.paths import DOCUMENT_ID, FieldPath, format_field_path, parse_field_path
from baas.model.query import Direction, Query


def best_indexes(query: Query, *, joined: bool = False) -> tuple[IndexDefinition, ...]:
    """For each conjunct of a canonical query the index that gives exactly its results, in order.

    Several equalities without an order are first served by an index for each, which other queries can use
    in other combinations; by one index for all only if joining those (``joined``) was costly too.
    """
    if not query.collection_id:
        return ()
    scope = Scope.GROUP if query.all_descendants else Scope.COLLECTION
    found = {
        IndexDefinition(query.collection_id, scope, fields)
        for part in conjuncts(query)
        if part.name is None
        for fields in _best_fields(part, joined)
    }
    return tuple(sorted(found, key=str))


def _best_fields(part: Conjunct, joined: bool) -> list[tuple[IndexField, ...]]:
    """The fixed fields, then the orders: the first of these ascending, since an index reads both ways."""
    fixed = [IndexField(path) for path in sorted(part.equal)]
    fixed += [IndexField(path, FieldKind.CONTAINS) for path in sorted(part.contains)]
    orders = part.key_orders
    if not orders and not joined:
        return [(field,) for field in fixed]
    flip = bool(orders) and orders[0].direction is Direction.DESCENDING
    ordered = [
        IndexField(
            order.field_path,
            FieldKind.DESCENDING
            if (order.direction is Direction.DESCENDING) != flip
            else FieldKind.ASCENDING,
        )
        for order in orders
    ]
    return [(*fixed, *ordered)] if fixed or ordered else []


def describe_shape(query: Query) -> str:
    """A canonical query for an operator to read: its fields and operators, without any values."""
    where = "group " if query.all_descendants else ""
    words = [f"{where}{query.collection_id}"]
    filters = [
        f"{format_field_path(part.field_path)} {part.op.value}"
        for part in field_filters(query.where)
    ]
    if filters:
        words.append("where " + ", ".join(filters))
    orders = [
        f"{format_field_path(order.field_path)} {order.direction.value}"
        for order in query.order_by[:-1]
    ]
    if orders:
        words.append("order by " + ", ".join(orders))
    return " ".join(words)


@dataclass(frozen=True, slots=True)
class Declared:
    """What a ``firestore.indexes.json`` asks for."""

    indexes: tuple[IndexDefinition, ...]
    ttl_fields: tuple[tuple[str, FieldPath], ...]
    """Collection group and field of each expiry policy."""


def parse_declared(text: str) -> Declared:
    """Read a ``firestore.indexes.json``. Vector indexes are left out: that search needs none here.

    Raises:
        InvalidArgument: it is not in the documented form.
    """
    try:
        content = json.loads(text)
        if not content.keys() & {"indexes", "fieldOverrides"}:
            raise ValueError('it has neither "indexes" nor "fieldOverrides"')
        indexes = dict.fromkeys(_indexes(content))
        ttl = tuple(
            (override["collectionGroup"], parse_field_path(override["fieldPath"]))
            for override in content.get("fieldOverrides", [])
            if override.get("ttl")
        )
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InvalidArgument(
            f"The index file is not in the form of firestore.indexes.json: {error!r}."
        ) from None
    return Declared(tuple(indexes), ttl)


def _indexes(content: dict[str, Any]) -> Iterator[IndexDefinition]:
    for declared in content.get("indexes", []):
        fields = tuple(_fields(declared["fields"]))
        if fields:
            yield IndexDefinition(declared["collectionGroup"], _scope(declared), fields)
    for override in content.get("fieldOverrides", []):
        path = parse_field_path(override["fieldPath"])
        for declared in override.get("indexes", []):
            field = IndexField(path, _kind(declared))
            yield IndexDefinition(override["collectionGroup"], _scope(declared), (field,))


def _fields(declared: list[dict[str, Any]]) -> Iterator[IndexField]:
    for field in declared:
        path = parse_field_path(field["fieldPath"])
        if path != DOCUMENT_ID and "vectorConfig" not in field:
            yield IndexField(path, _kind(field))


def _kind(declared: dict[str, Any]) -> FieldKind:
    if declared.get("arrayConfig") == "CONTAINS":
        return FieldKind.CONTAINS
    return {"ASCENDING": FieldKind.ASCENDING, "DESCENDING": FieldKind.DESCENDING}[declared["order"]]


def _scope(declared: dict[str, Any]) -> Scope:
    scopes = {"COLLECTION": Scope.COLLECTION, "COLLECTION_GROUP": Scope.GROUP}
    return scopes[declared.get("queryScope", "COLLECTION")]
