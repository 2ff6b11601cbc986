"""The gRPC surface as a client sees it that is not an SDK: limits, statuses, metadata, streams."""

from __future__ import annotations

import asyncio
import gzip
import uuid
from collections.abc import AsyncIterator
from typing import Any

import grpc
import pytest
from google.protobuf import descriptor_pool
from grpclib.reflection.v1 import reflection_pb2 as reflection

from baas.wire import proto
from tests.integration.official.conftest import Server

DATABASE = "projects/demo/databases/(default)"
OWNER = (("authorization", "Bearer owner"),)
OPTIONS = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]


class Client:
    """Calls by method name."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self.channel = channel

    async def unary(self, method: str, request: Any, answer: Any = None, **options: Any) -> Any:
        call = self.channel.unary_unary(f"/google.firestore.v1.Firestore/{method}")
        data = request if isinstance(request, bytes) else request.SerializeToString()
        answered = await call(data, **{"metadata": OWNER, "timeout": 20, **options})
        return answered if answer is None else answer.FromString(answered)

    def stream(self, method: str, metadata: Any = OWNER) -> Any:
        return self.channel.stream_stream(f"/google.firestore.v1.Firestore/{method}")(
            metadata=metadata, timeout=20
        )

    async def refused(self, method: str, request: Any, **options: Any) -> grpc.aio.AioRpcError:
        with pytest.raises(grpc.aio.AioRpcError) as failure:
            await self.unary(method, request, **options)
        return failure.value


@pytest.fixture
async def client(server: Server) -> AsyncIterator[Client]:
    async with grpc.aio.insecure_channel(server.address, options=OPTIONS) as channel:
        yield Client(channel)


@pytest.fixture
def collection() -> str:
    return f"grpc{uuid.uuid4().hex[:8]}"


def update(name: str, **fields: Any) -> Any:
    document = proto.Document(name=f"{DATABASE}/documents/{name}")
    for key, value in fields.items():
        document.fields[key].string_value = value
    return proto.Write(update=document)


def commit(*writes: Any) -> Any:
    return proto.CommitRequest(database=DATABASE, writes=writes)


def get(name: str) -> Any:
    return proto.GetDocumentRequest(name=f"{DATABASE}/documents/{name}")


async def test_grpc_commit_and_get(client: Client, collection: str) -> None:
    answer = await client.unary(
        "Commit", commit(update(f"{collection}/x", a="é")), proto.CommitResponse
    )
    document = await client.unary("GetDocument", get(f"{collection}/x"), proto.Document)
    assert document.fields["a"].string_value == "é"
    assert document.update_time == answer.commit_time


async def test_grpc_request_beyond_ten_mebibytes_is_an_invalid_argument(
    client: Client, collection: str
) -> None:
    writes = [update(f"{collection}/d{n}", a="x" * 1_000_000) for n in range(11)]
    failure = await client.refused("Commit", commit(*writes))
    assert failure.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert "10485760" in (failure.details() or "")
    await client.unary("Commit", commit(*writes[:10]))


async def test_grpc_garbage_is_an_invalid_argument(client: Client) -> None:
    failure = await client.refused("Commit", b"\xff\xff\xff")
    assert failure.code() is grpc.StatusCode.INVALID_ARGUMENT


async def test_grpc_compressed_request_is_read(server: Server, collection: str) -> None:
    channel = grpc.aio.insecure_channel(server.address, compression=grpc.Compression.Gzip)
    async with channel:
        request = commit(update(f"{collection}/x", a="y" * 10_000))
        await Client(channel).unary("Commit", request)
        assert len(gzip.compress(request.SerializeToString())) < 1_000


async def test_grpc_bad_credentials_are_unauthenticated(client: Client) -> None:
    metadata = (("authorization", "Bearer nonsense"),)
    failure = await client.refused("GetDocument", get("a/b"), metadata=metadata)
    assert failure.code() is grpc.StatusCode.UNAUTHENTICATED


async def test_grpc_database_comes_from_the_message_not_from_headers(
    client: Client, collection: str
) -> None:
    metadata = (*OWNER, ("google-cloud-resource-prefix", "projects/other/databases/x"))
    await client.unary("Commit", commit(update(f"{collection}/x", a="1")), metadata=metadata)
    await client.unary("GetDocument", get(f"{collection}/x"))


async def test_grpc_malformed_binary_metadata_costs_nothing(client: Client) -> None:
    metadata = (*OWNER, ("trace-bin", b"\x00\x01"))
    failure = await client.refused("GetDocument", get("a/none"), metadata=metadata)
    assert failure.code() is grpc.StatusCode.NOT_FOUND


async def test_grpc_write_pipelines_and_stops_at_the_first_failure(
    client: Client, collection: str
) -> None:
    call = client.stream("Write")
    await call.write(proto.WriteRequest(database=DATABASE).SerializeToString())
    hello = proto.WriteResponse.FromString(await call.read())
    assert hello.stream_token
    missing = update(f"{collection}/none", a="1")
    missing.current_document.exists = True
    for write in (update(f"{collection}/a", a="1"), missing, update(f"{collection}/b", a="1")):
        request = proto.WriteRequest(stream_token=hello.stream_token, writes=[write])
        await call.write(request.SerializeToString())
    acknowledged = proto.WriteResponse.FromString(await call.read())
    assert len(acknowledged.write_results) == 1
    with pytest.raises(grpc.aio.AioRpcError) as ended:
        await call.read()
    assert ended.value.code() is grpc.StatusCode.NOT_FOUND
    await client.unary("GetDocument", get(f"{collection}/a"))
    failure = await client.refused("GetDocument", get(f"{collection}/b"))
    assert failure.code() is grpc.StatusCode.NOT_FOUND


async def test_grpc_listen_tells_additions_and_snapshots(client: Client, collection: str) -> None:
    call = client.stream("Listen")
    target = proto.Target(target_id=6)
    target.query.parent = f"{DATABASE}/documents"
    selector = target.query.structured_query
    getattr(selector, "from").add(collection_id=collection)
    await call.write(proto.ListenRequest(database=DATABASE, add_target=target).SerializeToString())

    async def until_snapshot() -> list[Any]:
        seen = []
        while True:
            response = proto.ListenResponse.FromString(await call.read())
            seen.append(response)
            change = response.target_change
            if response.HasField("target_change") and not (
                change.target_ids or change.target_change_type
            ):
                return seen

    kinds = [each.target_change.target_change_type for each in await until_snapshot()]
    assert kinds == [1, 3, 0], "ADD, CURRENT, global snapshot"
    await client.unary("Commit", commit(update(f"{collection}/x", a="1")))
    [changed, snapshot] = await until_snapshot()
    assert changed.document_change.target_ids == [6]
    assert snapshot.target_change.resume_token
    remove = proto.ListenRequest(database=DATABASE, remove_target=6)
    await call.write(remove.SerializeToString())
    removed = proto.ListenResponse.FromString(await call.read())
    assert removed.target_change.target_change_type == 2
    await call.done_writing()
    assert await call.read() is grpc.aio.EOF
    assert await call.code() is grpc.StatusCode.OK


async def test_grpc_cancelled_listen_leaves_the_connection_usable(client: Client) -> None:
    for _ in range(20):
        call = client.stream("Listen")
        request = proto.ListenRequest(database=DATABASE, remove_target=1)
        await call.write(request.SerializeToString())
        await call.read()
        call.cancel()
    failure = await client.refused("GetDocument", get("a/none"))
    assert failure.code() is grpc.StatusCode.NOT_FOUND


async def test_grpc_many_calls_at_once(client: Client, collection: str) -> None:
    await asyncio.gather(
        *(
            client.unary("Commit", commit(update(f"{collection}/d{number}", a="1")))
            for number in range(300)
        )
    )


async def test_grpc_empty_query_answers_a_read_time(client: Client, collection: str) -> None:
    request = proto.RunQueryRequest(parent=f"{DATABASE}/documents")
    getattr(request.structured_query, "from").add(collection_id=collection)
    call = client.channel.unary_stream("/google.firestore.v1.Firestore/RunQuery")
    answers = [
        proto.RunQueryResponse.FromString(each)
        async for each in call(request.SerializeToString(), metadata=OWNER, timeout=20)
    ]
    assert len(answers) == 1
    assert answers[0].HasField("read_time")


async def test_grpc_health_is_told(client: Client) -> None:
    check = client.channel.unary_unary("/grpc.health.v1.Health/Check")
    name = b"google.firestore.v1.Firestore"
    assert await check(b"", timeout=20) == b"\x08\x01"
    assert await check(b"\x0a" + bytes([len(name)]) + name, timeout=20) == b"\x08\x01"
    with pytest.raises(grpc.aio.AioRpcError) as failure:
        await check(b"\x0a\x01x", timeout=20)
    assert failure.value.code() is grpc.StatusCode.NOT_FOUND
    watch = client.channel.unary_stream("/grpc.health.v1.Health/Watch")(b"", timeout=20)
    assert await watch.read() == b"\x08\x01"
    watch.cancel()


async def test_grpc_a_malformed_target_is_refused_and_the_others_live_on(
    client: Client, collection: str
) -> None:
    stream = client.stream("Listen")
    good = proto.ListenRequest(database=DATABASE)
    good.add_target.target_id = 2
    good.add_target.documents.documents.append(f"{DATABASE}/documents/{collection}/x")
    bad = proto.ListenRequest(database=DATABASE)
    bad.add_target.target_id = 4
    bad.add_target.query.parent = f"{DATABASE}/documents/a/__reserved__"
    getattr(bad.add_target.query.structured_query, "from").add(collection_id="b")
    for request in (bad, good):
        await stream.write(request.SerializeToString())

    async def answer() -> Any:
        return proto.ListenResponse.FromString(await stream.read())

    refused = (await answer()).target_change
    assert refused.target_change_type == proto.TargetChange.REMOVE
    assert list(refused.target_ids) == [4]
    assert refused.cause.code == grpc.StatusCode.INVALID_ARGUMENT.value[0]
    added = (await answer()).target_change
    assert added.target_change_type == proto.TargetChange.ADD
    while (await answer()).target_change.target_change_type != proto.TargetChange.CURRENT:
        pass
    await client.unary("Commit", commit(update(f"{collection}/x", a="seen")))
    while not (change := await answer()).HasField("document_change"):
        pass
    assert change.document_change.document.fields["a"].string_value == "seen"
    stream.cancel()


def pipeline(collection: str, **fields: Any) -> Any:
    request = proto.ExecutePipelineRequest(database=DATABASE, **fields)
    stage = request.structured_pipeline.pipeline.stages.add(name="collection")
    stage.args.add(reference_value=f"/{collection}")
    return request


async def rows(client: Client, request: Any) -> list[Any]:
    path = "/google.firestore.v1.Firestore/ExecutePipeline"
    call = client.channel.unary_stream(path)(
        request.SerializeToString(), metadata=OWNER, timeout=20
    )
    return [proto.ExecutePipelineResponse.FromString(answer) async for answer in call]


async def test_grpc_pipelines_in_transactions_conflict_with_writes(
    client: Client, collection: str
) -> None:
    options = proto.TransactionOptions()
    options.read_write.SetInParent()
    (begun,) = await rows(client, pipeline(collection, new_transaction=options))
    assert begun.transaction
    assert not begun.results
    other = update(f"{collection}/other", a="b")
    await client.unary("Commit", proto.CommitRequest(database=DATABASE, writes=[other]))
    (again,) = await rows(client, pipeline(collection, transaction=begun.transaction))
    assert not again.results
    write = update(f"{collection}/one", a="b")
    commit = proto.CommitRequest(database=DATABASE, writes=[write], transaction=begun.transaction)
    assert (await client.refused("Commit", commit)).code() is grpc.StatusCode.ABORTED


async def test_grpc_pipelines_nested_too_deep_are_invalid(client: Client, collection: str) -> None:
    request = pipeline(collection)
    value = request.structured_pipeline.pipeline.stages.add(name="where").args.add()
    for _ in range(33):
        value.function_value.name = "not"
        value = value.function_value.args.add()
    value.boolean_value = True
    with pytest.raises(grpc.aio.AioRpcError) as failure:
        await rows(client, request)
    assert failure.value.code() is grpc.StatusCode.INVALID_ARGUMENT


async def test_grpc_pipelines_that_double_a_value_at_each_stage_are_refused(
    client: Client, collection: str
) -> None:
    write = update(f"{collection}/one", a="b" * 1_000)
    await client.unary("Commit", proto.CommitRequest(database=DATABASE, writes=[write]))
    request = pipeline(collection)
    for _ in range(60):
        stage = request.structured_pipeline.pipeline.stages.add(name="add_fields")
        doubled = stage.args.add().map_value.fields["a"].function_value
        doubled.name = "array"
        for _ in range(2):
            doubled.args.add(field_reference_value="a")
    with pytest.raises(grpc.aio.AioRpcError) as failure:
        await rows(client, request)
    assert failure.value.code() is grpc.StatusCode.INVALID_ARGUMENT


@pytest.mark.parametrize("version", ["v1", "v1alpha"])
async def test_grpc_reflection_tells_services_and_their_definitions(
    client: Client, version: str
) -> None:
    path = f"/grpc.reflection.{version}.ServerReflection/ServerReflectionInfo"
    asked = [
        reflection.ServerReflectionRequest(list_services=""),
        reflection.ServerReflectionRequest(file_containing_symbol="google.firestore.v1.Firestore"),
        reflection.ServerReflectionRequest(file_containing_symbol="no.such.Thing"),
    ]
    call = client.channel.stream_stream(path)(
        iter([each.SerializeToString() for each in asked]), timeout=20
    )
    answers = [reflection.ServerReflectionResponse.FromString(answer) async for answer in call]
    services, files, unknown = answers
    names = [service.name for service in services.list_services_response.service]
    assert names == ["google.firestore.v1.Firestore", "grpc.health.v1.Health"]
    pool = descriptor_pool.DescriptorPool()
    for encoded in reversed(files.file_descriptor_response.file_descriptor_proto):
        pool.AddSerializedFile(encoded)
    service = pool.FindServiceByName("google.firestore.v1.Firestore")
    assert "ExecutePipeline" in [method.name for method in service.methods]
    assert unknown.error_response.error_code == grpc.StatusCode.NOT_FOUND.value[0]
