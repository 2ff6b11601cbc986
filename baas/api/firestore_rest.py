"""Firestore v1 over REST: proto3-JSON in and out.

Source: ``listen-and-write`` §4, §5, §7 and §8; the published ``google.api.http`` annotations of
``google.firestore.v1.Firestore``. Methods that stream over gRPC answer with one JSON array.
"""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from typing import Any, Protocol
from urllib.parse import parse_qs

from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from baas.access.principal import Principal
from baas.api.assembly import Assembly
from baas.api.explain_json import explain_metrics_to_json
from baas.api.firestore_path import Address, parse_address
from baas.api.http import PayloadTooLarge, read_body
from baas.api.pipeline_statistics import statistics_text
from baas.documents.service import DocumentStore
from baas.errors import ApiError, Cancelled, InvalidArgument, NotFound
from baas.model.document import Document
from baas.model.ids import new_document_id
from baas.model.paths import DocumentName, check_segment
from baas.model.query import LATEST, Consistency
from baas.model.write import Commit, Precondition, Write, WriteKind
from baas.wire import json_codec
from baas.wire.checks import check_unnamed
from baas.wire.json_reader import camel_case
from baas.wire.requests import Mask, RunQueryRequest

API_LIMIT = 11 * 1024 * 1024
"""Bytes of one request: hosted Firestore was recorded to take this much JSON; documented are 10 MiB."""
_PROJECTS = b"/v1/projects/"
MAX_QUERY_STRING = 64 * 1024
QUERIES = 256
"""Parsed queries that are kept, each of at most ``REMEMBERED_BYTES``."""
REMEMBERED_BYTES = 4 * 1024
DOCUMENTS_A_TURN = 100
"""Results that are encoded together."""
_READS = (
    *(b":batchGet", b":executePipeline", b":listCollectionIds", b":partitionQuery"),
    *(b":runAggregationQuery", b":runQuery"),
)


class Authenticate(Protocol):
    """From an Authorization header to the caller."""

    async def __call__(self, authorization: str | None, project: str) -> Principal: ...


class _Call:
    """One request, taken apart."""

    __slots__ = ("address", "body", "params", "principal")

    def __init__(
        self, address: Address, params: Mapping[str, list[str]], body: bytes, principal: Principal
    ) -> None:
        self.address = address
        self.params = params
        self.body = body
        self.principal = principal

    @property
    def name(self) -> DocumentName:
        """The address as a document's name."""
        segments = self.address.segments
        if not segments or len(segments) % 2:
            raise InvalidArgument("The path must name a document: collection/document pairs.")
        return DocumentName(self.address.database, segments)

    @property
    def parent_name(self) -> str:
        """The address as a parent: ``…/documents`` or a document."""
        segments = self.address.segments
        if len(segments) % 2:
            raise InvalidArgument("The path must name a document or end with 'documents'.")
        return "/".join((self.address.database.name, "documents", *segments))

    def json(self) -> Any:
        """The parsed body; an empty one is an empty message."""
        return json_codec.load_json(self.body) if self.body.strip() else {}

    def param(self, name: str) -> str | None:
        """A query parameter; given twice, the last counts."""
        values = self.params.get(name)
        return values[-1] if values else None

    def flag(self, name: str) -> bool | None:
        """A boolean parameter."""
        value = self.param(name)
        if value is None:
            return None
        if value not in ("true", "false"):
            raise InvalidArgument(f"Invalid value at '{name}': true or false is expected.")
        return value == "true"

    def mask(self, name: str) -> Mask | None:
        """A field mask parameter, ``<name>.fieldPaths``, repeated."""
        values = self.params.get(f"{name}.fieldPaths")
        if values is None:
            return None
        return json_codec.parse_mask({"fieldPaths": values})

    def consistency(self) -> Consistency:
        """When to read, from the parameters."""
        if not self.params:
            return LATEST
        given = {name: self.param(name) for name in ("transaction", "readTime")}
        return json_codec.parse_consistency({k: v for k, v in given.items() if v is not None})

    def precondition(self) -> Precondition:
        """``currentDocument.exists`` or ``currentDocument.updateTime``."""
        given: dict[str, Any] = {}
        if (exists := self.flag("currentDocument.exists")) is not None:
            given["exists"] = exists
        if (update_time := self.param("currentDocument.updateTime")) is not None:
            given["updateTime"] = update_time
        return json_codec.parse_precondition(given)

    def number(self, name: str) -> int:
        """A non-negative number parameter; absent: 0."""
        value = self.param(name) or "0"
        if not value.isascii() or not value.isdigit() or len(value) > 9:
            raise InvalidArgument(f"Invalid value at '{name}': a number is expected.")
        return int(value)


Method = Callable[[_Call], Awaitable[bytes]]


class FirestoreRest:
    """The surface, an ASGI application below ``/v1/projects/{project}/databases/``."""

    body_limit = API_LIMIT

    def __init__(
        self,
        store: DocumentStore,
        authenticate: Authenticate,
        assembly: Assembly | None = None,
    ) -> None:
        """``assembly`` counts requests that are arriving, of all surfaces together."""
        self._store = store
        self._authenticate = authenticate
        self.assembly = assembly or Assembly()
        self._remembered = functools.lru_cache(QUERIES)(_parse_query)
        self._verbs: dict[str, Method] = {
            "batchGet": self._batch_get,
            "batchWrite": self._batch_write,
            "beginTransaction": self._begin,
            "commit": self._commit,
            "executePipeline": self._execute_pipeline,
            "listCollectionIds": self._list_collection_ids,
            "partitionQuery": self._partition_query,
            "rollback": self._rollback,
            "runAggregationQuery": self._run_aggregation,
            "runQuery": self._run_query,
        }
        self._on_document: dict[str, Method] = {
            "GET": self._get,
            "PATCH": self._patch,
            "DELETE": self._delete,
        }
        self._on_collection: dict[str, Method] = {"GET": self._list, "POST": self._create}

    def routes(self) -> list[Route]:
        """The HTTP route."""
        return [Route("/v1/projects/{project}/databases/{rest:path}", self)]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            raise NotFound("There is no such method.")

        async def read() -> bytes:
            try:
                body = await read_body(receive, self.body_limit, self.assembly)
            except PayloadTooLarge:
                raise self.too_large() from None
            arrived.set()
            return body

        arrived = asyncio.Event()
        method, path = scope["method"], scope.get("raw_path") or scope["path"].encode()
        answer = self.answer(
            method, path, scope["query_string"], Headers(scope=scope).get("authorization"), read
        )
        if self.only_reads(method, path):
            body = await _unless_gone(answer, receive, arrived)
        else:
            body = await answer
        await Response(body, media_type="application/json")(scope, receive, send)

    def claims(self, target: bytes) -> bool:
        """Whether a request target lies below ``/v1/projects/{project}/databases/``."""
        project = len(_PROJECTS)
        return target.startswith(_PROJECTS) and target.startswith(
            b"/databases/", target.find(b"/", project)
        )

    def only_reads(self, method: str, target: bytes) -> bool:
        """Whether a call need not be answered for what it asks to happen: it changes no document, or, a
        pipeline that writes, does so whoever waits. See :class:`baas.api.express.Surface`."""
        return method == "GET" or target.partition(b"?")[0].endswith(_READS)

    def too_large(self) -> ApiError:
        """What a body over the limit is answered with."""
        return InvalidArgument(f"Request payload size exceeds the limit: {API_LIMIT} bytes.")

    async def answer(
        self,
        method: str,
        raw_path: bytes,
        query_string: bytes,
        authorization: str | None,
        read_body: Callable[[], Awaitable[bytes]],
    ) -> bytes:
        """The answer to one call; see :class:`baas.api.express.Surface`."""
        address = parse_address(raw_path)
        handle = self._method(address, method)
        if len(query_string) > MAX_QUERY_STRING:
            raise InvalidArgument(f"The query string is longer than {MAX_QUERY_STRING} bytes.")
        params = _parameters(query_string) if query_string else {}
        principal = await self._authenticate(authorization, address.database.project)
        return await handle(_Call(address, params, await read_body(), principal))

    def _method(self, address: Address, http_method: str) -> Method:
        if address.verb:
            if http_method == "POST":
                return self._verbs[address.verb]
        elif address.segments:
            methods = self._on_collection if len(address.segments) % 2 else self._on_document
            if http_method in methods:
                return methods[http_method]
            others = self._on_document if methods is self._on_collection else self._on_collection
            if http_method in others:
                takes = "document" if others is self._on_document else "collection"
                raise InvalidArgument(
                    f"{http_method} takes the path of a {takes}, and this path has "
                    f"{len(address.segments)} segments: documents have an even number."
                )
        raise NotFound(
            f"There is no {http_method} method here; see the Firestore v1 REST reference."
        )

    # Documents

    async def _get(self, call: _Call) -> bytes:
        mask = call.mask("mask")
        read = await self._store.get(call.name, call.principal, consistency=call.consistency())
        if read.value is None:
            raise NotFound(f'Document "{call.name.name}" not found.')
        return json_codec.document_to_json_bytes(read.value, mask)

    async def _create(self, call: _Call) -> bytes:
        mask = call.mask("mask")
        document_id = call.param("documentId") or new_document_id()
        check_segment(document_id)
        segments = (*call.address.segments, document_id)
        name = DocumentName(call.address.database, segments)
        parsed = json_codec.parse_document(call.json(), database=call.address.database)
        check_unnamed("" if parsed.name is None else parsed.name.name)
        write = Write(
            WriteKind.UPDATE, name, parsed.fields, precondition=Precondition(exists=False)
        )
        result = await self._store.commit(Commit(name.database, (write,)), call.principal)
        now = result.commit_time
        created = Document(name, now, now, fields=parsed.fields)
        return json_codec.document_to_json_bytes(created, mask)

    async def _patch(self, call: _Call) -> bytes:
        parsed = json_codec.parse_document(call.json(), database=call.address.database)
        if parsed.name is not None and parsed.name != call.name:
            raise InvalidArgument("The document's name in the body is not that of the path.")
        write = Write(
            WriteKind.UPDATE,
            call.name,
            parsed.fields,
            mask=call.mask("updateMask"),
            precondition=call.precondition(),
        )
        return await self._write_one(call, write)

    async def _delete(self, call: _Call) -> bytes:
        write = Write(WriteKind.DELETE, call.name, precondition=call.precondition())
        await self._store.commit(Commit(call.address.database, (write,)), call.principal)
        return b"{}"

    async def _write_one(self, call: _Call, write: Write) -> bytes:
        """Commit one update and answer the document as it is after it."""
        # Whoever may write a document is told what the write made of it, as Firestore does.
        mask = call.mask("mask")
        document = await self._store.write(write, call.principal)
        if document is None:
            raise NotFound(f'Document "{write.name.name}" not found.')
        return json_codec.document_to_json_bytes(document, mask)

    async def _list(self, call: _Call) -> bytes:
        *parent, collection_id = call.address.segments
        page = await self._store.list_documents(
            call.address.database,
            tuple(parent),
            collection_id,
            call.principal,
            page_size=call.number("pageSize"),
            page_token=call.param("pageToken") or "",
            order_by=call.param("orderBy") or "",
            show_missing=bool(call.flag("showMissing")),
            consistency=call.consistency(),
        )
        return json_codec.list_documents_response(
            [entry.document or entry.name for entry in page.documents],
            page.next_page_token,
            mask=call.mask("mask"),
        )

    # Reads

    async def _batch_get(self, call: _Call) -> bytes:
        request = json_codec.parse_batch_get(call.json(), call.address.database)
        read = await self._store.batch_get(
            request.database, request.names, call.principal, consistency=request.consistency
        )
        elements = [
            json_codec.batch_get_element(document or name, read.read_time, mask=request.mask)
            for name, document in read.value
        ]
        if read.transaction is not None:
            elements.insert(
                0, json_codec.run_query_element(None, None, transaction=read.transaction)
            )
        return json_codec.join_elements(elements)

    async def _run_query(self, call: _Call) -> bytes:
        request = self._parse_query(call.body, call.parent_name)
        result = await self._store.run_query(
            request.query,
            call.principal,
            consistency=request.consistency,
            explain=request.explain,
        )
        elements: list[bytes] = []
        if result.transaction is not None:
            elements.append(
                json_codec.run_query_element(None, None, transaction=result.transaction)
            )
        if result.skipped or not (result.documents or result.explain):
            elements.append(
                json_codec.run_query_element(None, result.read_time, skipped_results=result.skipped)
            )
        for start in range(0, len(result.documents), DOCUMENTS_A_TURN):
            if start:
                await asyncio.sleep(0)  # others have their turn between
            some = result.documents[start : start + DOCUMENTS_A_TURN]
            elements += json_codec.run_query_documents(some, result.read_time)
        if result.explain is not None:
            metrics = explain_metrics_to_json(result.explain)
            elements.append(
                json_codec.run_query_element(None, result.read_time, explain_metrics=metrics)
            )
        return json_codec.join_elements(elements)

    async def _run_aggregation(self, call: _Call) -> bytes:
        request = json_codec.parse_run_aggregation_query(call.json(), call.parent_name)
        result = await self._store.run_aggregation(
            request.query,
            request.aggregations,
            call.principal,
            consistency=request.consistency,
            explain=request.explain,
        )
        metrics = None if result.explain is None else explain_metrics_to_json(result.explain)
        only_planned = request.explain is not None and not request.explain.analyze
        element = json_codec.aggregation_element(
            None if only_planned else result.values,
            result.read_time,
            transaction=result.transaction,
            explain_metrics=metrics,
        )
        return json_codec.join_elements([element])

    async def _partition_query(self, call: _Call) -> bytes:
        request = json_codec.parse_partition_query(call.json(), call.parent_name)
        page = await self._store.partition_query(
            request.query,
            call.principal,
            partition_count=request.partition_count,
            page_size=request.page_size,
            page_token=request.page_token,
            consistency=request.consistency,
        )
        return json_codec.partition_query_response(page.partitions, page.next_page_token)

    async def _list_collection_ids(self, call: _Call) -> bytes:
        request = json_codec.parse_list_collection_ids(call.json(), call.parent_name)
        page = await self._store.list_collection_ids(
            request.database,
            request.parent,
            call.principal,
            page_size=request.page_size,
            page_token=request.page_token,
            consistency=request.consistency,
        )
        return json_codec.list_collection_ids_response(page.collection_ids, page.next_page_token)

    async def _execute_pipeline(self, call: _Call) -> bytes:
        from baas.wire import proto_pipelines  # imported when first needed: it loads protobuf

        request = proto_pipelines.decode_json_request(call.json(), call.address.database)
        read = await self._store.pipelines.execute(
            request.database,
            request.pipeline,
            call.principal,
            consistency=request.consistency,
            atomic=request.atomic,
        )
        rows = [(row.document, row.fields) for row in read.value.rows]
        explain = request.explain
        statistics = None if explain is None else statistics_text(read.value, explain)
        messages = proto_pipelines.encode_execute_pipeline(
            rows, read.read_time, read.transaction, statistics
        )
        return proto_pipelines.encode_json_response(messages)

    def _parse_query(self, body: bytes, parent: str) -> RunQueryRequest:
        """A query; one that comes again is the same object, of which the store knows more."""
        parse = self._remembered if len(body) <= REMEMBERED_BYTES else _parse_query
        return parse(body, parent)

    # Writes and transactions

    async def _commit(self, call: _Call) -> bytes:
        commit = json_codec.parse_commit(call.json(), call.address.database)
        return json_codec.commit_response(await self._store.commit(commit, call.principal))

    async def _batch_write(self, call: _Call) -> bytes:
        request = json_codec.parse_batch_write(call.json(), call.address.database)
        results = await self._store.batch_write(request.database, request.writes, call.principal)
        return json_codec.batch_write_response(results)

    async def _begin(self, call: _Call) -> bytes:
        request = json_codec.parse_begin_transaction(call.json(), call.address.database)
        transaction = await self._store.begin(request.database, request.options, call.principal)
        return json_codec.begin_transaction_response(transaction)

    async def _rollback(self, call: _Call) -> bytes:
        request = json_codec.parse_rollback(call.json(), call.address.database)
        await self._store.rollback(request.database, request.transaction, call.principal)
        return b"{}"


async def _unless_gone(
    answer: Coroutine[Any, Any, bytes], receive: Receive, arrived: asyncio.Event
) -> bytes:
    """An answer, for as long as its client waits for it. ``arrived``: the request's body is whole.

    Raises:
        Cancelled: the client went away.
    """

    async def leave() -> None:
        await arrived.wait()
        while (await receive())["type"] != "http.disconnect":
            pass

    answering, leaving = asyncio.create_task(answer), asyncio.create_task(leave())
    try:
        await asyncio.wait({answering, leaving}, return_when=asyncio.FIRST_COMPLETED)
        if not answering.done():
            raise Cancelled("The client went away.")
        return await answering
    finally:
        answering.cancel()
        leaving.cancel()


def _parse_query(body: bytes, parent: str) -> RunQueryRequest:
    parsed = json_codec.load_json(body) if body.strip() else {}
    return json_codec.parse_run_query(parsed, parent)


def _parameters(query_string: bytes) -> dict[str, list[str]]:
    try:
        given = parse_qs(
            query_string.decode("ascii"),
            keep_blank_values=True,
            errors="strict",
            max_num_fields=500,
        )
    except ValueError as error:
        raise InvalidArgument(f"The query string is malformed: {error}") from None
    return {camel_case(name): values for name, values in given.items()}
