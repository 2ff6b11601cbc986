"""google.firestore.v1.Firestore over gRPC. Source: ``listen-and-write`` §1 to §6.

Thin: decode, call one service, encode. Projects and databases are taken from the messages, never from
headers.
"""

from __future__ import annotations

import functools
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import aclosing
from typing import Any, Final

from grpclib.const import Handler

from baas.access.principal import Principal
from baas.api.assembly import Assembly
from baas.api.grpc.calls import Call, framed, server_streaming, streaming, unary
from baas.api.grpc.explain import encode_explain_metrics
from baas.api.pipeline_statistics import statistics_text
from baas.api.streams import Authenticator, Streams
from baas.documents.results import QueryResult
from baas.documents.service import DocumentStore
from baas.errors import NotFound
from baas.model.document import Document
from baas.model.ids import new_document_id
from baas.model.paths import DatabaseId, DocumentName, check_segment
from baas.model.watch import ListenRequest, ListenResponse
from baas.model.write import Commit, Precondition, Write, WriteKind
from baas.wire import proto, proto_codec
from baas.wire.requests import Mask, RunQueryRequest, WriteStreamRequest

SERVICE: Final = "google.firestore.v1.Firestore"
_MEMO: Final = "grpc"
QUERIES: Final = 256
"""Decoded queries that are kept, each of at most ``REMEMBERED_BYTES``."""
REMEMBERED_BYTES: Final = 4 * 1_024
DOCUMENTS_A_TURN: Final = 100
"""Results that are encoded together."""


class FirestoreGrpc:
    """All methods of the service."""

    def __init__(
        self,
        store: DocumentStore,
        authenticator: Authenticator,
        streams: Streams,
        assembly: Assembly,
    ) -> None:
        self._store = store
        self._authenticator = authenticator
        self._streams = streams
        self._assembly = assembly

    def methods(self) -> dict[str, Handler]:
        """The methods by their paths."""
        handlers = {
            "BatchWrite": unary(self._batch_write, proto.BatchWriteRequest, self._assembly),
            "BeginTransaction": unary(self._begin, proto.BeginTransactionRequest, self._assembly),
            "Commit": unary(self._commit, proto.CommitRequest, self._assembly),
            "CreateDocument": unary(self._create, proto.CreateDocumentRequest, self._assembly),
            "DeleteDocument": unary(self._delete, proto.DeleteDocumentRequest, self._assembly),
            "GetDocument": unary(self._get, proto.GetDocumentRequest, self._assembly),
            "ListCollectionIds": unary(
                self._collection_ids, proto.ListCollectionIdsRequest, self._assembly
            ),
            "ListDocuments": unary(self._list, proto.ListDocumentsRequest, self._assembly),
            "PartitionQuery": unary(self._partition, proto.PartitionQueryRequest, self._assembly),
            "Rollback": unary(self._rollback, proto.RollbackRequest, self._assembly),
            "UpdateDocument": unary(self._update, proto.UpdateDocumentRequest, self._assembly),
            "BatchGetDocuments": server_streaming(
                self._batch_get, proto.BatchGetDocumentsRequest, self._assembly
            ),
            "ExecutePipeline": server_streaming(
                self._pipeline, proto.ExecutePipelineRequest, self._assembly
            ),
            "RunAggregationQuery": server_streaming(
                self._aggregate, proto.RunAggregationQueryRequest, self._assembly
            ),
            "RunQuery": server_streaming(self._run_query, _QueryRequests(), self._assembly),
            "Listen": streaming(self._listen, proto.ListenRequest, self._assembly),
            "Write": streaming(self._write, proto.WriteRequest, self._assembly),
        }
        return {f"/{SERVICE}/{name}": handler for name, handler in handlers.items()}

    async def _caller(self, authorization: str | None, database: DatabaseId) -> Principal:
        return await self._authenticator.principal(authorization, database.project)

    # Documents

    async def _get(self, message: Any, authorization: str | None) -> Any:
        request = proto_codec.decode_get_document(message)
        principal = await self._caller(authorization, request.name.database)
        read = await self._store.get(request.name, principal, consistency=request.consistency)
        if read.value is None:
            raise NotFound(f'Document "{request.name.name}" not found.')
        return _document(read.value, request.mask)

    async def _create(self, message: Any, authorization: str | None) -> Any:
        request = proto_codec.decode_create_document(message)
        principal = await self._caller(authorization, request.database)
        document_id = request.document_id or new_document_id()
        for segment in (request.collection_id, document_id):
            check_segment(segment)
        name = DocumentName(request.database, (*request.parent, request.collection_id, document_id))
        write = Write(
            WriteKind.UPDATE, name, request.fields, precondition=Precondition(exists=False)
        )
        return _document(await self._write_one(write, principal), request.mask)

    async def _update(self, message: Any, authorization: str | None) -> Any:
        request = proto_codec.decode_update_document(message)
        principal = await self._caller(authorization, request.write.name.database)
        return _document(await self._write_one(request.write, principal), request.mask)

    async def _delete(self, message: Any, authorization: str | None) -> Any:
        write = proto_codec.decode_delete_document(message)
        principal = await self._caller(authorization, write.name.database)
        await self._store.commit(Commit(write.name.database, (write,)), principal)
        return proto.Empty()

    async def _write_one(self, write: Write, principal: Principal) -> Document:
        # Whoever may write a document is told what the write made of it, as Firestore does.
        document = await self._store.write(write, principal)
        if document is None:
            raise NotFound(f'Document "{write.name.name}" not found.')
        return document

    async def _list(self, message: Any, authorization: str | None) -> Any:
        request = proto_codec.decode_list_documents(message)
        principal = await self._caller(authorization, request.database)
        page = await self._store.list_documents(
            request.database,
            request.parent,
            request.collection_id,
            principal,
            page_size=request.page_size,
            page_token=request.page_token,
            order_by=request.order_by,
            show_missing=request.show_missing,
            consistency=request.consistency,
        )
        return proto_codec.encode_list_documents_response(
            [entry.document or entry.name for entry in page.documents],
            page.next_page_token,
            mask=request.mask,
        )

    async def _collection_ids(self, message: Any, authorization: str | None) -> Any:
        request = proto_codec.decode_list_collection_ids(message)
        principal = await self._caller(authorization, request.database)
        page = await self._store.list_collection_ids(
            request.database,
            request.parent,
            principal,
            page_size=request.page_size,
            page_token=request.page_token,
            consistency=request.consistency,
        )
        return proto_codec.encode_list_collection_ids_response(
            page.collection_ids, page.next_page_token
        )

    # Reads

    async def _batch_get(self, message: Any, authorization: str | None) -> Iterable[Any]:
        request = proto_codec.decode_batch_get(message)
        principal = await self._caller(authorization, request.database)
        read = await self._store.batch_get(
            request.database, request.names, principal, consistency=request.consistency
        )
        encode = proto_codec.encode_batch_get_response
        answers = [
            encode(document or name, read.read_time, mask=request.mask)
            for name, document in read.value
        ]
        if read.transaction is not None:
            answers.insert(0, encode(None, None, transaction=read.transaction))
        return answers

    async def _run_query(
        self, request: RunQueryRequest, authorization: str | None
    ) -> Iterable[Any]:
        principal = await self._caller(authorization, request.query.database)
        result = await self._store.run_query(
            request.query, principal, consistency=request.consistency, explain=request.explain
        )
        if request.explain is not None and not request.explain.analyze and result.explain:
            # Only planned: a read time would be taken for that of an empty result.
            metrics = encode_explain_metrics(result.explain)
            return (proto_codec.encode_run_query_response(None, None, explain_metrics=metrics),)
        return _query_answers(result)

    async def _aggregate(self, message: Any, authorization: str | None) -> Iterable[Any]:
        request = proto_codec.decode_run_aggregation_query(message)
        principal = await self._caller(authorization, request.query.database)
        result = await self._store.run_aggregation(
            request.query,
            request.aggregations,
            principal,
            consistency=request.consistency,
            explain=request.explain,
        )
        only_planned = request.explain is not None and not request.explain.analyze
        answer = proto_codec.encode_aggregation_response(
            None if only_planned else result.values,
            result.read_time,
            transaction=result.transaction,
            explain_metrics=result.explain and encode_explain_metrics(result.explain),
        )
        return (answer,)

    async def _partition(self, message: Any, authorization: str | None) -> Any:
        request = proto_codec.decode_partition_query(message)
        principal = await self._caller(authorization, request.query.database)
        page = await self._store.partition_query(
            request.query,
            principal,
            partition_count=request.partition_count,
            page_size=request.page_size,
            page_token=request.page_token,
            consistency=request.consistency,
        )
        return proto_codec.encode_partition_query_response(page.partitions, page.next_page_token)

    async def _pipeline(self, message: Any, authorization: str | None) -> Iterable[Any]:
        from baas.wire import proto_pipelines  # imported when first needed: few use it

        request = proto_pipelines.decode_execute_pipeline(message)
        principal = await self._caller(authorization, request.database)
        read = await self._store.pipelines.execute(
            request.database,
            request.pipeline,
            principal,
            consistency=request.consistency,
            atomic=request.atomic,
        )
        rows = [(row.document, row.fields) for row in read.value.rows]
        explain = request.explain
        statistics = None if explain is None else statistics_text(read.value, explain)
        return proto_pipelines.encode_execute_pipeline(
            rows, read.read_time, read.transaction, statistics
        )

    # Writes and transactions

    async def _commit(self, message: Any, authorization: str | None) -> Any:
        commit = proto_codec.decode_commit(message)
        principal = await self._caller(authorization, commit.database)
        return proto_codec.encode_commit_response(await self._store.commit(commit, principal))

    async def _batch_write(self, message: Any, authorization: str | None) -> Any:
        request = proto_codec.decode_batch_write(message)
        principal = await self._caller(authorization, request.database)
        results = await self._store.batch_write(request.database, request.writes, principal)
        return proto_codec.encode_batch_write_response(results)

    async def _begin(self, message: Any, authorization: str | None) -> Any:
        request = proto_codec.decode_begin_transaction(message)
        principal = await self._caller(authorization, request.database)
        transaction = await self._store.begin(request.database, request.options, principal)
        return proto_codec.encode_begin_transaction_response(transaction)

    async def _rollback(self, message: Any, authorization: str | None) -> Any:
        request = proto_codec.decode_rollback(message)
        principal = await self._caller(authorization, request.database)
        await self._store.rollback(request.database, request.transaction, principal)
        return proto.Empty()

    # Streams

    async def _listen(self, call: Call) -> None:
        async def requests() -> AsyncIterator[ListenRequest]:
            database = None
            async for message in call.receive_all():
                request = proto_codec.decode_listen_request(message, database)
                database = request.database
                yield request

        async with aclosing(self._streams.listen(call.authorization, requests())) as batches:
            async for batch in batches:
                await call.send_framed(_framed(batch))

    async def _write(self, call: Call) -> None:
        async def requests() -> AsyncIterator[WriteStreamRequest]:
            database = None
            async for message in call.receive_all():
                request = proto_codec.decode_write_stream_request(message, database)
                database = request.database
                yield request

        async with aclosing(self._streams.write(call.authorization, requests())) as responses:
            async for response in responses:
                message = proto_codec.encode_write_response(
                    response.stream_token, stream_id=response.stream_id, result=response.result
                )
                await call.send_framed(framed((message.SerializeToString(),)))


class _QueryRequests:
    """Stands where calls take a class of requests; a query that comes again is the same object, of which
    the store knows more."""

    def __init__(self) -> None:
        self._remembered = functools.lru_cache(QUERIES)(self._decode)

    def FromString(self, data: bytes) -> RunQueryRequest:  # as message classes call it
        """Make a request of its bytes."""
        return self._remembered(data) if len(data) <= REMEMBERED_BYTES else self._decode(data)

    @staticmethod
    def _decode(data: bytes) -> RunQueryRequest:
        return proto_codec.decode_run_query(proto.RunQueryRequest.FromString(data))


def _document(document: Document, mask: Mask | None) -> Any:
    if mask is not None:
        return proto_codec.encode_document(document, mask)
    return proto_codec.document_bytes(document)


def _query_answers(result: QueryResult) -> Iterator[Any]:
    """The answers, encoded as they are taken."""
    encode: Callable[..., Any] = proto_codec.encode_run_query_response
    if result.transaction is not None:
        yield encode(None, None, transaction=result.transaction)
    if result.skipped or not result.documents:
        yield encode(None, result.read_time, skipped_results=result.skipped)
    for start in range(0, len(result.documents), DOCUMENTS_A_TURN):
        some = result.documents[start : start + DOCUMENTS_A_TURN]
        yield from proto_codec.run_query_documents(some, result.read_time)
    if result.explain is not None:
        metrics = encode_explain_metrics(result.explain)
        yield encode(None, result.read_time, explain_metrics=metrics)


def _framed(batch: Iterable[ListenResponse]) -> bytes:
    """The batch's frames; a batch that streams share is encoded once."""
    memo = getattr(batch, "memo", None)
    frames: bytes | None = None if memo is None else memo.get(_MEMO)
    if frames is None:
        encode = proto_codec.encode_listen_response
        frames = framed(encode(response).SerializeToString() for response in batch)
        if memo is not None:
            memo[_MEMO] = frames
    return frames
