"""google-cloud-firestore, synchronous and asynchronous, against a running server."""

from __future__ import annotations

import datetime as dt
import itertools
import json
import os
import queue
import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import grpc
import pytest
from google.api_core import exceptions
from google.auth.credentials import AnonymousCredentials
from google.cloud import firestore
from google.cloud.firestore_v1 import pipeline_expressions as pipelines
from google.cloud.firestore_v1.base_query import And, FieldFilter, Or
from google.cloud.firestore_v1.base_vector_query import DistanceMeasure
from google.cloud.firestore_v1.query_profile import PipelineExplainOptions
from google.cloud.firestore_v1.vector import Vector

from tests.integration.official.conftest import Server

pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture
def pointed(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FIRESTORE_EMULATOR_HOST", server.address)


@pytest.fixture
def db(pointed: None) -> Iterator[firestore.Client]:
    client = firestore.Client(project="demo", credentials=AnonymousCredentials())
    yield client
    client.close()


@pytest.fixture
async def async_db(pointed: None) -> AsyncIterator[firestore.AsyncClient]:
    client = firestore.AsyncClient(project="demo", credentials=AnonymousCredentials())
    yield client
    await client._firestore_api.transport.close()


@pytest.fixture
def collection(db: firestore.Client) -> firestore.CollectionReference:
    return db.collection(f"py{uuid.uuid4().hex[:8]}")


def ids(snapshots: Any) -> list[str]:
    return [snapshot.id for snapshot in snapshots]


def seed(collection: firestore.CollectionReference, documents: dict[str, dict[str, Any]]) -> None:
    batch = collection._client.batch()
    for identifier, data in documents.items():
        batch.set(collection.document(identifier), data)
    batch.commit()


def test_python_every_type_survives(collection: firestore.CollectionReference) -> None:
    reference = collection.document("x")
    data = {
        "null": None,
        "true": True,
        "integer": 2**63 - 1,
        "negative": -(2**63),
        "double": 0.1,
        "infinity": float("inf"),
        "text": "é😀",
        "bytes": b"\x00\xff",
        "list": [1, "a", {"b": []}],
        "map": {"odd key.`": {}},
        "point": firestore.GeoPoint(1.5, -2.5),
        "reference": reference,
        "vector": Vector([1.0, 2.0]),
    }
    time = dt.datetime(2024, 2, 29, 12, 0, 0, 123456, tzinfo=dt.UTC)
    reference.set({**data, "time": time})
    stored = reference.get().to_dict()
    assert stored.pop("time") == time
    assert stored == data


def test_python_create_update_delete_and_their_errors(
    collection: firestore.CollectionReference,
) -> None:
    reference = collection.document("x")
    reference.create({"n": 1, "m": {"a": 1}})
    with pytest.raises(exceptions.AlreadyExists):
        reference.create({})
    result = reference.update(
        {"m.b": 2, "n": firestore.Increment(4), "t": firestore.SERVER_TIMESTAMP}
    )
    snapshot = reference.get()
    assert snapshot.update_time == result.update_time
    assert snapshot.get("m") == {"a": 1, "b": 2}
    assert snapshot.get("n") == 5
    reference.set({"n": 9}, merge=True)
    reference.update({"m": firestore.DELETE_FIELD})
    assert set(reference.get().to_dict()) == {"n", "t"}
    reference.delete()
    assert not reference.get().exists
    with pytest.raises(exceptions.NotFound):
        reference.update({"n": 1})


def test_python_queries(collection: firestore.CollectionReference) -> None:
    seed(
        collection,
        {
            "a": {"n": 1, "t": "x", "tags": ["r", "b"]},
            "b": {"n": 2, "t": "y", "tags": ["b"]},
            "c": {"n": 3, "t": "x"},
            "d": {"n": 4, "t": "z"},
        },
    )
    where = FieldFilter
    assert ids(collection.where(filter=where("t", "==", "x")).get()) == ["a", "c"]
    assert ids(collection.where(filter=where("n", ">", 1)).get()) == ["b", "c", "d"]
    assert ids(collection.where(filter=where("tags", "array_contains", "b")).get()) == ["a", "b"]
    assert ids(collection.where(filter=where("t", "in", ["y", "z"])).get()) == ["b", "d"]
    assert ids(collection.where(filter=where("t", "not-in", ["x"])).get()) == ["b", "d"]
    either = Or([And([where("t", "==", "x"), where("n", "==", 3)]), where("n", "==", 4)])
    assert ids(collection.where(filter=either).get()) == ["c", "d"]
    ordered = collection.order_by("n", direction=firestore.Query.DESCENDING)
    assert ids(ordered.limit(2).get()) == ["d", "c"]
    assert ids(ordered.offset(1).limit(2).stream()) == ["c", "b"]
    assert ids(collection.order_by("n").limit_to_last(2).get()) == ["c", "d"]
    assert ids(collection.order_by("n").start_after({"n": 2}).get()) == ["c", "d"]
    assert ids(collection.order_by("n").end_at(collection.document("b").get()).get()) == ["a", "b"]
    assert collection.select(["t"]).limit(1).get()[0].to_dict() == {"t": "x"}
    assert list(collection.where(filter=where("n", ">", 9)).stream()) == []


def test_python_collection_groups_and_partitions(db: firestore.Client) -> None:
    group = f"group{uuid.uuid4().hex[:8]}"
    for number in range(12):
        db.document(f"top/{number % 3}/{group}/d{number}").set({"n": number})
    assert len(db.collection_group(group).get()) == 12
    parts = [list(part.query().stream()) for part in db.collection_group(group).get_partitions(3)]
    assert len({snapshot.reference.path for part in parts for snapshot in part}) == 12


def test_python_aggregations(collection: firestore.CollectionReference) -> None:
    seed(collection, {"a": {"n": 1}, "b": {"n": 2}, "c": {"n": 6}})
    assert collection.count().get()[0][0].value == 3
    query = collection.where(filter=FieldFilter("n", ">", 1))
    results = query.sum("n", alias="s").avg("n", alias="a").count(alias="c").get()[0]
    assert {result.alias: result.value for result in results} == {"s": 8, "a": 4.0, "c": 2}


def test_python_nearest_neighbours(collection: firestore.CollectionReference) -> None:
    seed(collection, {"far": {"v": Vector([9.0, 9.0])}, "near": {"v": Vector([1.0, 0.0])}})
    found = collection.find_nearest(
        "v", Vector([1.0, 0.0]), distance_measure=DistanceMeasure.EUCLIDEAN, limit=1
    ).get()
    assert ids(found) == ["near"]


def test_python_get_all_and_lists(
    db: firestore.Client, collection: firestore.CollectionReference
) -> None:
    seed(collection, {"a": {"n": 1}})
    collection.document("ghost").collection("sub").document("x").set({})
    found = {
        snapshot.id: snapshot.exists
        for snapshot in db.get_all([collection.document("a"), collection.document("none")])
    }
    assert found == {"a": True, "none": False}
    assert sorted(reference.id for reference in collection.list_documents()) == ["a", "ghost"]
    assert [each.id for each in collection.document("ghost").collections()] == ["sub"]


def test_python_transactions_retry_and_lose_nothing(
    db: firestore.Client, collection: firestore.CollectionReference
) -> None:
    reference = collection.document("x")
    reference.set({"n": 0})
    runs = itertools.count(1)

    @firestore.transactional
    def add(transaction: firestore.Transaction) -> int:
        run = next(runs)
        value = reference.get(transaction=transaction).get("n")
        transaction.update(reference, {"n": value + 1})
        return run

    for _ in range(3):
        add(db.transaction(max_attempts=10))
    assert reference.get().get("n") == 3


def test_python_failed_transaction_writes_nothing(
    db: firestore.Client, collection: firestore.CollectionReference
) -> None:
    reference = collection.document("x")

    @firestore.transactional
    def fail(transaction: firestore.Transaction) -> None:
        reference.get(transaction=transaction)
        transaction.set(reference, {"n": 1})
        raise LookupError("changed my mind")

    with pytest.raises(LookupError):
        fail(db.transaction())
    assert not reference.get().exists


def test_python_bulk_writer(
    db: firestore.Client, collection: firestore.CollectionReference
) -> None:
    writer = db.bulk_writer()
    for number in range(60):
        writer.set(collection.document(f"d{number:02}"), {"n": number})
    writer.close()
    assert collection.count().get()[0][0].value == 60
    assert db.recursive_delete(collection) == 60
    assert list(collection.list_documents()) == []


class Snapshots:
    """What a listener was told."""

    def __init__(self) -> None:
        self.queue: queue.Queue[Any] = queue.Queue()

    def __call__(self, documents: Any, changes: Any, read_time: Any) -> None:
        self.queue.put((documents, [(change.type.name, change.document.id) for change in changes]))

    def until(self, condition: Callable[[Any], bool]) -> Any:
        while True:
            snapshot = self.queue.get(timeout=15)
            if condition(snapshot):
                return snapshot


def test_python_document_listener(collection: firestore.CollectionReference) -> None:
    reference, seen = collection.document("x"), Snapshots()
    watch = reference.on_snapshot(seen)
    seen.until(lambda each: not each[0] or not each[0][0].exists)
    reference.set({"n": 1})
    seen.until(lambda each: each[0] and each[0][0].exists and each[0][0].get("n") == 1)
    reference.delete()
    seen.until(lambda each: not each[0] or not each[0][0].exists)
    watch.unsubscribe()


def test_python_query_listener(collection: firestore.CollectionReference) -> None:
    seed(collection, {"a": {"n": 1}, "b": {"n": 2}})
    seen = Snapshots()
    watch = collection.where(filter=FieldFilter("n", ">=", 1)).on_snapshot(seen)
    seen.until(lambda each: ids(each[0]) == ["a", "b"])
    collection.document("c").set({"n": 3})
    seen.until(lambda each: each[1] == [("ADDED", "c")])
    collection.document("a").update({"n": 5})
    seen.until(lambda each: each[1] == [("MODIFIED", "a")])
    collection.document("b").update({"n": 0})
    seen.until(lambda each: each[1] == [("REMOVED", "b")])
    collection.document("c").delete()
    seen.until(lambda each: each[1] == [("REMOVED", "c")])
    watch.unsubscribe()


def test_python_read_time_reads_the_past(collection: firestore.CollectionReference) -> None:
    reference = collection.document("x")
    reference.set({"n": 1})
    before = reference.get().read_time
    reference.set({"n": 2})
    assert reference.get(read_time=before).get("n") == 1


def test_python_pipelines(db: firestore.Client, collection: firestore.CollectionReference) -> None:
    seed(collection, {"a": {"n": 1, "kind": "x"}, "b": {"n": 2, "kind": "x"}, "c": {"n": 5}})
    source = db.pipeline().collection(collection.id)
    n = pipelines.Field.of("n")
    found = source.where(n.greater_than(1)).sort(n.descending()).execute()
    expected = [("c", {"n": 5}), ("b", {"n": 2, "kind": "x"})]
    assert [(result.id, result.data()) for result in found] == expected
    grouped = source.aggregate(n.sum().as_("total"), groups=["kind"])
    totals = {result.data().get("kind"): result.data()["total"] for result in grouped.stream()}
    assert totals == {"x": 3, None: 5}
    with pytest.raises(exceptions.InvalidArgument, match="divide"):
        source.select(n.divide("text").as_("never")).execute()


def test_python_pipelines_read_the_past(
    db: firestore.Client, collection: firestore.CollectionReference
) -> None:
    written = collection.document("a").set({"n": 1}).update_time
    collection.document("a").set({"n": 2})
    source = db.pipeline().collection(collection.id)
    assert [result.data() for result in source.execute(read_time=written)] == [{"n": 1}]


async def test_python_async_pipelines(
    db: firestore.Client,
    async_db: firestore.AsyncClient,
    collection: firestore.CollectionReference,
) -> None:
    seed(collection, {str(n): {"n": n} for n in range(700)})
    source = async_db.pipeline().collection(collection.id)
    assert len([result async for result in source.stream()]) == 700


def test_python_pipelines_tell_what_they_took(
    db: firestore.Client, collection: firestore.CollectionReference
) -> None:
    seed(collection, {str(n): {"n": n} for n in range(5)})
    source = db.pipeline().collection(collection.id).where(pipelines.Field.of("n").greater_than(1))
    results = source.execute(explain_options=PipelineExplainOptions())
    assert len(results) == 3
    assert results.explain_stats is not None
    told = results.explain_stats.get_text()
    assert told.startswith("Execution:\n  results returned: 3\n")
    assert f"scan of /{collection.id}\n" in told
    options = {"mode": "analyze", "output_format": "json"}
    as_json = source.execute(additional_options={"explain_options": pipelines.Constant(options)})
    assert as_json.explain_stats is not None
    assert json.loads(as_json.explain_stats.get_text())["execution"]["resultsReturned"] == 3
    with pytest.raises(exceptions.InvalidArgument, match="Explain execution mode"):
        source.execute(explain_options=PipelineExplainOptions(mode="explain"))


async def test_python_async_reads_and_writes(async_db: firestore.AsyncClient) -> None:
    collection = async_db.collection(f"py{uuid.uuid4().hex[:8]}")
    batch = async_db.batch()
    for number in range(5):
        batch.set(collection.document(f"d{number}"), {"n": number})
    await batch.commit()
    found = [each.id async for each in collection.where(filter=FieldFilter("n", ">", 2)).stream()]
    assert found == ["d3", "d4"]
    assert (await collection.count().get())[0][0].value == 5

    @firestore.async_transactional
    async def add(transaction: firestore.AsyncTransaction) -> None:
        snapshot = await collection.document("d0").get(transaction=transaction)
        transaction.update(collection.document("d0"), {"n": snapshot.get("n") + 10})

    await add(async_db.transaction())
    assert (await collection.document("d0").get()).get("n") == 10
    with pytest.raises(exceptions.NotFound):
        await collection.document("none").update({"n": 1})


def test_python_hand_written_calls(server: Server) -> None:
    """The methods that no client library calls: Get, Create, Update and DeleteDocument."""
    from google.cloud.firestore_v1 import types
    from google.cloud.firestore_v1.services.firestore import FirestoreClient
    from google.cloud.firestore_v1.services.firestore.transports import FirestoreGrpcTransport

    transport = FirestoreGrpcTransport(channel=grpc.insecure_channel(server.address))
    client = FirestoreClient(transport=transport)
    owner = {"metadata": [("authorization", "Bearer owner")]}
    parent = "projects/demo/databases/(default)/documents"
    collection = f"py{uuid.uuid4().hex[:8]}"
    fields = {"n": types.Value(integer_value=1), "m": types.Value(string_value="a")}
    request: dict[str, Any] = {
        "parent": parent,
        "collection_id": collection,
        "document_id": "x",
        "document": types.Document(fields=fields),
    }
    created = client.create_document(request=request, **owner)
    assert created.name == f"{parent}/{collection}/x"
    with pytest.raises(exceptions.AlreadyExists):
        client.create_document(request=request, **owner)
    changed = types.Document(name=created.name, fields={"n": types.Value(integer_value=2)})
    updated = client.update_document(
        request={"document": changed, "update_mask": {"field_paths": ["n"]}}, **owner
    )
    assert set(updated.fields) == {"n", "m"}
    got = client.get_document(
        request={"name": created.name, "mask": {"field_paths": ["n"]}}, **owner
    )
    assert {name: value.integer_value for name, value in got.fields.items()} == {"n": 2}
    client.delete_document(request={"name": created.name}, **owner)
    with pytest.raises(exceptions.NotFound):
        client.get_document(request={"name": created.name}, **owner)
    with pytest.raises(exceptions.InvalidArgument):
        client.get_document(request={"name": "nonsense"}, **owner)
    with pytest.raises(exceptions.Unauthenticated):
        client.get_document(
            request={"name": created.name}, metadata=[("authorization", "Bearer nonsense")]
        )
    transport.close()


def test_environment_is_not_left_behind() -> None:
    assert "FIRESTORE_EMULATOR_HOST" not in os.environ
