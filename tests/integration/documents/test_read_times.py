"""Every read that can be long has a time; when it is over, the caller is told DEADLINE_EXCEEDED."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from baas.access.principal import OWNER
from baas.documents.queries import query_reader
from baas.documents.service import DocumentStore
from baas.errors import DeadlineExceeded
from baas.model.canonical import canonicalize
from baas.model.pipeline import Constant, Pipeline, Stage
from baas.model.query import Aggregation, AggregationKind, Operator
from baas.model.values import Reference
from tests.integration.documents.helpers import DATABASE, commit, put, query, where

READS: dict[str, Callable[[DocumentStore], Awaitable[object]]] = {
    "query": lambda store: store.run_query(query("c", where("n", Operator.EQUAL, 1)), OWNER),
    "aggregation": lambda store: store.run_aggregation(
        query("c"), [Aggregation("s", AggregationKind.SUM, ("n",))], OWNER
    ),
    "list": lambda store: store.list_documents(DATABASE, (), "c", OWNER, order_by="n"),
    "collections": lambda store: store.list_collection_ids(DATABASE, (), OWNER),
    "partitions": lambda store: store.partition_query(
        query("c", all_descendants=True), OWNER, partition_count=3
    ),
    "pipeline": lambda store: store.pipelines.execute(
        DATABASE, Pipeline((Stage("collection", (Constant(Reference("/c")),)),)), OWNER
    ),
    "listener": lambda store: store.read_at_version(
        DATABASE, lambda reader: list(query_reader(reader, canonicalize(query("c"))))
    ),
}


@pytest.mark.parametrize("kind", READS)
async def test_a_read_that_takes_too_long_is_told_so(make_store: Any, kind: str) -> None:
    await commit(make_store(), *(put(f"c/{n:04}", {"n": n}) for n in range(500)))
    with pytest.raises(DeadlineExceeded) as refusal:
        await READS[kind](make_store(query_seconds=0.0))
    assert (refusal.value.http_status, refusal.value.grpc_code) == (504, 4)
