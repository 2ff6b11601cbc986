"""From the model to the rules engine's own words: values, documents, callers, queries.

Documents are handed over lazily: a field is opened and converted when a rule asks for it, and a document
whose fields no rule asks for is never even parsed. Source: ``rules`` §2 "Stored value -> rules type" and §3.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

import rules
from baas.access.principal import Principal
from baas.model.document import Document
from baas.model.query import CompositeFilter, Direction, Filter, Query
from baas.model.values import GeoPoint, Reference, Timestamp, Vector
from baas.wire.json_values import decode_stored_value, stored_values

_PLAIN = frozenset({bool, int, float, str, bytes, type(None)})


def to_rules(value: Any) -> Any:
    """A stored value as the rules language sees it."""
    kind = type(value)
    if kind in _PLAIN:
        return value
    if kind is dict:
        return lazy_map(value)
    if kind is list:
        return [to_rules(item) for item in value]
    if kind is Timestamp:
        return rules.Timestamp.from_micros(value.micros)
    if kind is GeoPoint:
        return rules.LatLng(value.latitude, value.longitude)
    if kind is Reference:
        return reference_path(value)
    if kind is Vector:
        return {"__type__": "__vector__", "value": list(value.components)}
    raise TypeError(f"not a stored value: {kind.__name__}")


def lazy_map(fields: Mapping[str, Any]) -> rules.LazyMap:
    """A map whose values are converted when a rule asks for them."""
    return rules.LazyMap(lambda: fields, to_rules)


def reference_path(reference: Reference) -> Any:
    """A reference is a path ``/databases/D/documents/…`` (its project is not part of it)."""
    return rules.Path(tuple(reference.name.split("/")[2:]))


def resource_of(document: Document | None) -> rules.Resource | None:
    """A document as ``resource``, opened field by field as rules look into it."""
    if document is None:
        return None
    encoded = document.encoded
    if encoded is None or document.is_decoded:
        data = rules.LazyMap(lambda: document.fields, to_rules)
    else:
        data = rules.LazyMap(lambda: stored_values(encoded), _open_stored)
    return rules.Resource(data, document.name.segments)


def _open_stored(raw: Any) -> Any:
    return to_rules(decode_stored_value(raw))


def auth_of(principal: Principal) -> rules.Auth | None:
    """``request.auth``: null unless an ID token was verified."""
    return principal.auth


def time_of(time: Timestamp) -> Any:
    """``request.time``."""
    return rules.Timestamp.from_micros(time.micros)


def filter_of(where: Filter) -> rules.Filter:
    """A query's conditions for the prover."""
    if isinstance(where, CompositeFilter):
        parts = tuple(filter_of(part) for part in where.filters)
        return rules.And(parts) if where.op == "AND" else rules.Or(parts)
    return rules.FieldFilter(where.field_path, where.op.value, to_rules(where.value))


def list_request(query: Query, principal: Principal, time: Timestamp) -> rules.ListRequest:
    """A canonical query as the prover takes it.

    ``request.query.orderBy`` has the orders that were asked for, also by the document's name, which some
    clients spell out and others leave to the server.
    """
    return rules.ListRequest(
        service="cloud.firestore",
        database=query.database.database,
        parent=query.parent,
        collection=query.collection_id or None,
        all_descendants=query.spans_collections,
        filters=None if query.where is None else filter_of(query.where),
        limit=query.limit,
        offset=query.offset,
        order_by=tuple(
            (order.field_path, "ASC" if order.direction is Direction.ASCENDING else "DESC")
            for order in query.order_by[: query.stated_orders]
        ),
        auth=auth_of(principal),
        time=time_of(time),
    )


def method_of(name: str) -> rules.Method:
    """A method's name, checked."""
    if name not in ("get", "list", "create", "update", "delete"):
        raise ValueError(f"not a method of the rules: {name}")
    return cast(rules.Method, name)
