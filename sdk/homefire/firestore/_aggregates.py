"""Counting, summing and averaging on the server."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from homefire.errors import FirestoreError
from homefire.firestore._aggregate_fields import AggregateField, count
from homefire.firestore._codec import decode_value
from homefire.firestore._database import Query


class AggregateQuerySnapshot:
    """The result of an aggregation."""

    def __init__(self, query: Query[Any], data: Mapping[str, Any]) -> None:
        self.query = query
        self._data = dict(data)

    def data(self) -> dict[str, Any]:
        """The results under the names they were asked by."""
        return dict(self._data)


async def get_count_from_server(query: Query[Any]) -> AggregateQuerySnapshot:
    """How many documents a query has: ``(await get_count_from_server(q)).data()["count"]``."""
    return await get_aggregate_from_server(query, {"count": count()})


async def get_aggregate_from_server(
    query: Query[Any], aggregate_spec: Mapping[str, AggregateField]
) -> AggregateQuerySnapshot:
    """Aggregations over a query's documents: ``{"total": sum("price"), "n": count()}``."""
    if not aggregate_spec:
        raise FirestoreError("invalid-argument", "Ask for one aggregation at least.")
    aliases = {f"aggregate_{at}": name for at, name in enumerate(aggregate_spec)}
    aggregations = [
        {"alias": alias, **aggregate_spec[name].wire()} for alias, name in aliases.items()
    ]
    spec = query._spec
    structured = spec.wire()
    if not spec.orders and spec.limit is None and spec.start is None and spec.end is None:
        del structured["orderBy"]  # The order makes no difference here.
    body = {
        "structuredAggregationQuery": {"structuredQuery": structured, "aggregations": aggregations}
    }
    answers = await query.firestore._rest.read(spec.parent, "runAggregationQuery", body)
    fields = next((item["result"]["aggregateFields"] for item in answers if "result" in item), None)
    if fields is None:
        raise FirestoreError("internal", "The server's answer lacks the aggregations.")
    reference = query.firestore._reference
    data = {aliases[alias]: decode_value(value, reference) for alias, value in fields.items()}
    return AggregateQuerySnapshot(query, data)
