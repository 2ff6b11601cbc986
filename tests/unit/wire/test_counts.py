"""What a request has too many of is counted before any of it is looked at: a flood costs its parsing only."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from baas.errors import InvalidArgument
from baas.wire import json_codec, proto, proto_codec
from tests.unit.model.strategies import DATABASE
from tests.unit.wire.messages import JSON, ROOT

BAD_WRITE: JSON = {"delete": "no name of a document"}
BAD_FILTER: JSON = {"fieldFilter": {"field": {"fieldPath": "__bad__"}, "op": "EQUAL"}}
"""Looked at, each of these would be refused for another reason."""


def commit(count: int) -> None:
    json_codec.parse_commit({"writes": [BAD_WRITE] * count}, DATABASE)


def commit_message(count: int) -> None:
    writes = [proto.Write(delete="no name of a document")] * count
    proto_codec.decode_commit(proto.CommitRequest(database=DATABASE.name, writes=writes))


def batch(count: int) -> None:
    json_codec.parse_batch_write({"writes": [BAD_WRITE] * count}, DATABASE)


def batch_message(count: int) -> None:
    writes = [proto.Write(delete="no name of a document")] * count
    proto_codec.decode_batch_write(proto.BatchWriteRequest(database=DATABASE.name, writes=writes))


def stream(count: int) -> None:
    json_codec.parse_write_stream_request({"writes": [BAD_WRITE] * count}, DATABASE)


def stream_message(count: int) -> None:
    writes = [proto.Write(delete="no name of a document")] * count
    proto_codec.decode_write_stream_request(
        proto.WriteRequest(database=DATABASE.name, writes=writes)
    )


def get(count: int) -> None:
    json_codec.parse_batch_get({"documents": ["no name"] * count}, DATABASE)


def get_message(count: int) -> None:
    documents = ["no name"] * count
    proto_codec.decode_batch_get(
        proto.BatchGetDocumentsRequest(database=DATABASE.name, documents=documents)
    )


@pytest.mark.parametrize(
    ("read", "limit", "told"),
    [
        (commit, 10_000, "At most 10000 writes are allowed in one request."),
        (commit_message, 10_000, "At most 10000 writes are allowed in one request."),
        (stream, 10_000, "At most 10000 writes are allowed in one request."),
        (stream_message, 10_000, "At most 10000 writes are allowed in one request."),
        (batch, 500, "At most 500 writes are allowed in one request."),
        (batch_message, 500, "At most 500 writes are allowed in one request."),
        (get, 10_000, "At most 10000 documents can be read at once."),
        (get_message, 10_000, "At most 10000 documents can be read at once."),
    ],
)
def test_items_beyond_the_limit_are_never_looked_at(
    read: Callable[[int], None], limit: int, told: str
) -> None:
    with pytest.raises(InvalidArgument) as refusal:
        read(limit + 1)
    assert refusal.value.message == told
    with pytest.raises(InvalidArgument) as other:
        read(limit)
    assert other.value.message != told


def composite(*parts: JSON, op: str = "OR") -> JSON:
    return {"compositeFilter": {"op": op, "filters": list(parts)}}


def listed(op: str, count: int) -> JSON:
    values = [{"noSuchValue": 1}] * count
    field = {"fieldPath": "a"}
    return {"fieldFilter": {"field": field, "op": op, "value": {"arrayValue": {"values": values}}}}


FIELD: JSON = {"field": {"fieldPath": "__bad__"}}
QUERIES: list[tuple[JSON, str]] = [
    (
        {"where": composite(*[BAD_FILTER] * 100)},
        "A query may have at most 100 filters.",
    ),
    (
        {"where": composite(composite(*[composite(op="AND")] * 60), composite(*[BAD_FILTER] * 60))},
        "A query may have at most 100 filters.",
    ),
    ({"where": listed("IN", 31)}, "'IN' supports up to 30 comparison values."),
    ({"where": listed("NOT_IN", 11)}, "'NOT_IN' supports up to 10 comparison values."),
    (
        {"where": listed("ARRAY_CONTAINS_ANY", 31)},
        "'ARRAY_CONTAINS_ANY' supports up to 30 comparison values.",
    ),
    ({"orderBy": [FIELD] * 101}, "A query may have at most 100 orders."),
]


@pytest.mark.parametrize(("query", "told"), QUERIES)
def test_parts_of_a_query_beyond_the_limit_are_never_looked_at(query: JSON, told: str) -> None:
    with pytest.raises(InvalidArgument) as refusal:
        json_codec.parse_query(ROOT, query)
    assert refusal.value.message == told


def filter_message(raw: JSON) -> Any:
    kind, content = next(iter(raw.items()))
    if kind == "compositeFilter":
        parts = [filter_message(part) for part in content["filters"]]
        return proto.StructuredQuery.Filter(
            composite_filter={"op": content["op"], "filters": parts}
        )
    values = content.get("value", {}).get("arrayValue", {}).get("values", [])
    empty = [proto.Value() for _ in values]  # of no kind: refused, where it is looked at
    return proto.StructuredQuery.Filter(
        field_filter={
            "field": {"field_path": content["field"]["fieldPath"]},
            "op": content["op"],
            "value": {"array_value": {"values": empty}},
        }
    )


@pytest.mark.parametrize(("query", "told"), QUERIES)
def test_parts_of_a_query_message_beyond_the_limit_are_never_looked_at(
    query: JSON, told: str
) -> None:
    message = proto.StructuredQuery(
        where=filter_message(query["where"]) if "where" in query else None,
        order_by=[{"field": {"field_path": "__bad__"}} for _ in query.get("orderBy", ())],
    )
    with pytest.raises(InvalidArgument) as refusal:
        proto_codec.decode_query(ROOT, message)
    assert refusal.value.message == told


def test_transforms_of_a_write_are_counted_before_they_are_looked_at() -> None:
    write = {
        "update": {"name": f"{ROOT}/c/a"},
        "updateTransforms": [{"fieldPath": "__bad__"}] * 501,
    }
    with pytest.raises(InvalidArgument, match="at most 500 transforms"):
        json_codec.parse_write(write, database=DATABASE)
    message = proto.Write(
        update={"name": f"{ROOT}/c/a"}, update_transforms=[{"field_path": "__bad__"}] * 501
    )
    with pytest.raises(InvalidArgument, match="at most 500 transforms"):
        proto_codec.decode_write(message, DATABASE)


def test_aggregations_are_counted_before_they_are_looked_at() -> None:
    with pytest.raises(InvalidArgument, match="maximum number of aggregations"):
        json_codec.parse_aggregations(ROOT, {"structuredQuery": {}, "aggregations": [{}] * 6})
    message = proto.StructuredAggregationQuery(
        aggregations=[proto.StructuredAggregationQuery.Aggregation()] * 6
    )
    with pytest.raises(InvalidArgument, match="maximum number of aggregations"):
        proto_codec.decode_aggregations(ROOT, message)
