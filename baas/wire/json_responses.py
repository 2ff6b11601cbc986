"""Answers in proto3-JSON, as bytes. Source: ``listen-and-write`` §2, §4, §5 and §8.

A document whose encoded fields are at hand is spliced in, not encoded anew.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import orjson

from baas.errors import ApiError
from baas.model.document import Document
from baas.model.field_access import project
from baas.model.paths import DocumentName, FieldPath
from baas.model.query import Cursor
from baas.model.values import Timestamp, Value
from baas.model.watch import (
    DocumentChange,
    DocumentDelete,
    DocumentRemove,
    ExistenceFilter,
    ListenResponse,
    TargetChange,
    TargetChangeType,
)
from baas.model.write import CommitResult, WriteResult
from baas.wire.json_values import encode_base64, encode_fields, encode_fields_object, encode_value
from baas.wire.timestamps import format_micros, format_timestamp

Mask = Sequence[FieldPath]


def document_to_json_bytes(document: Document, mask: Mask | None = None) -> bytes:
    """A ``Document``; with a mask only those of its fields."""
    if mask is not None:
        fields = encode_fields(project(document.fields, mask))
    else:
        fields = document.encoded or encode_fields(document.fields)
    created, updated = document.micros
    first = format_micros(created).encode()
    last = first if updated == created else format_micros(updated).encode()
    return b'{"name":%b,"fields":%b,"createTime":"%b","updateTime":"%b"}' % (
        orjson.dumps(document.resource_name),
        fields,
        first,
        last,
    )


def document_fragment(document: Document, mask: Mask | None = None) -> orjson.Fragment:
    """The same, to be a part of a larger structure that orjson dumps."""
    return orjson.Fragment(document_to_json_bytes(document, mask))


def write_result_to_json(result: WriteResult) -> dict[str, Any]:
    """A ``WriteResult``."""
    message: dict[str, Any] = {}
    if result.update_time is not None:
        message["updateTime"] = format_timestamp(result.update_time)
    if result.transform_results:
        message["transformResults"] = [encode_value(value) for value in result.transform_results]
    return message


def commit_result_to_json(result: CommitResult) -> dict[str, Any]:
    """A ``CommitResponse``; empty for a commit of nothing, as Firestore answers it."""
    if not result.write_results:
        return {}
    return {
        "writeResults": [write_result_to_json(each) for each in result.write_results],
        "commitTime": format_timestamp(result.commit_time),
    }


def commit_response(result: CommitResult) -> bytes:
    """A ``CommitResponse``, as bytes."""
    return orjson.dumps(commit_result_to_json(result))


def write_response(
    stream_token: bytes, *, stream_id: str = "", result: CommitResult | None = None
) -> bytes:
    """A ``WriteResponse``: the handshake (no result), or the answer to one batch."""
    message: dict[str, Any] = {}
    if stream_id:
        message["streamId"] = stream_id
    message["streamToken"] = encode_base64(stream_token)
    if result is not None:
        message |= commit_result_to_json(result)
    return orjson.dumps(message)


def batch_write_response(results: Iterable[WriteResult | ApiError]) -> bytes:
    """A ``BatchWriteResponse``: a result and a status for every write, in order."""
    write_results: list[dict[str, Any]] = []
    statuses: list[dict[str, Any]] = []
    for each in results:
        if isinstance(each, ApiError):
            write_results.append({})
            statuses.append(status_to_json(each))
        else:
            write_results.append(write_result_to_json(each))
            statuses.append({})
    return orjson.dumps({"writeResults": write_results, "status": statuses})


def batch_get_element(
    found: Document | DocumentName | None,
    read_time: Timestamp | None,
    *,
    mask: Mask | None = None,
    transaction: bytes | None = None,
) -> bytes:
    """One ``BatchGetDocumentsResponse``: a document, a missing one's name, or a new transaction alone."""
    message: dict[str, Any] = {}
    if transaction is not None:
        message["transaction"] = encode_base64(transaction)
    if isinstance(found, Document):
        message["found"] = document_fragment(found, mask)
    elif found is not None:
        message["missing"] = found.name
    if read_time is not None:
        message["readTime"] = format_timestamp(read_time)
    return orjson.dumps(message)


def run_query_element(
    document: Document | None,
    read_time: Timestamp | None,
    *,
    mask: Mask | None = None,
    skipped_results: int = 0,
    transaction: bytes | None = None,
    done: bool = False,
    explain_metrics: Mapping[str, Any] | None = None,
) -> bytes:
    """One ``RunQueryResponse``: a document, or only a time, or only a new transaction."""
    message: dict[str, Any] = {}
    if transaction is not None:
        message["transaction"] = encode_base64(transaction)
    if document is not None:
        message["document"] = document_fragment(document, mask)
    if read_time is not None:
        message["readTime"] = format_timestamp(read_time)
    if skipped_results:
        message["skippedResults"] = skipped_results
    if done:
        message["done"] = True
    if explain_metrics is not None:
        message["explainMetrics"] = explain_metrics
    return orjson.dumps(message)


def run_query_documents(documents: Iterable[Document], read_time: Timestamp) -> list[bytes]:
    """A ``RunQueryResponse`` for each document, as :func:`run_query_element` makes them one by one."""
    end = b',"readTime":"%b"}' % format_timestamp(read_time).encode()
    return [b'{"document":%b%b' % (document_to_json_bytes(each), end) for each in documents]


def aggregation_element(
    results: Mapping[str, Value] | None,
    read_time: Timestamp | None,
    *,
    transaction: bytes | None = None,
    explain_metrics: Mapping[str, Any] | None = None,
) -> bytes:
    """One ``RunAggregationQueryResponse``."""
    message: dict[str, Any] = {}
    if transaction is not None:
        message["transaction"] = encode_base64(transaction)
    if results is not None:
        message["result"] = {"aggregateFields": encode_fields_object(results)}
    if read_time is not None:
        message["readTime"] = format_timestamp(read_time)
    if explain_metrics is not None:
        message["explainMetrics"] = explain_metrics
    return orjson.dumps(message)


def list_documents_response(
    documents: Iterable[Document | DocumentName],
    next_page_token: str = "",
    *,
    mask: Mask | None = None,
) -> bytes:
    """A ``ListDocumentsResponse``; a bare name stands for a missing parent of subcollections."""
    listed = [
        document_fragment(each, mask) if isinstance(each, Document) else {"name": each.name}
        for each in documents
    ]
    return _page({"documents": listed}, next_page_token)


def list_collection_ids_response(ids: Sequence[str], next_page_token: str = "") -> bytes:
    """A ``ListCollectionIdsResponse``."""
    return _page({"collectionIds": list(ids)}, next_page_token)


def partition_query_response(cursors: Iterable[Cursor], next_page_token: str = "") -> bytes:
    """A ``PartitionQueryResponse``."""
    return _page({"partitions": [cursor_to_json(each) for each in cursors]}, next_page_token)


def begin_transaction_response(transaction: bytes) -> bytes:
    """A ``BeginTransactionResponse``."""
    return orjson.dumps({"transaction": encode_base64(transaction)})


def cursor_to_json(cursor: Cursor) -> dict[str, Any]:
    """A ``Cursor``."""
    message: dict[str, Any] = {"values": [encode_value(value) for value in cursor.values]}
    if cursor.before:
        message["before"] = True
    return message


def join_elements(elements: Iterable[bytes]) -> bytes:
    """One JSON array of the elements of a streaming method."""
    return b"[" + b",\n".join(elements) + b"]"


def status_to_json(error: ApiError) -> dict[str, Any]:
    """A ``google.rpc.Status``."""
    return {"code": error.grpc_code, "message": error.message}


def error_response(error: ApiError) -> bytes:
    """The error envelope of REST."""
    return orjson.dumps(error.envelope())


def listen_response_to_json(response: ListenResponse) -> bytes:
    """A ``ListenResponse``: an object with exactly one key."""
    if isinstance(response, TargetChange):
        return orjson.dumps({"targetChange": _target_change(response)})
    if isinstance(response, DocumentChange):
        change: dict[str, Any] = {"document": document_fragment(response.document)}
        _add_ids(change, "targetIds", response.target_ids)
        _add_ids(change, "removedTargetIds", response.removed_target_ids)
        return orjson.dumps({"documentChange": change})
    if isinstance(response, ExistenceFilter):
        return orjson.dumps({"filter": _existence_filter(response)})
    kind = "documentDelete" if isinstance(response, DocumentDelete) else "documentRemove"
    return orjson.dumps({kind: _document_gone(response)})


def _target_change(change: TargetChange) -> dict[str, Any]:
    message: dict[str, Any] = {}
    if change.kind is not TargetChangeType.NO_CHANGE:
        message["targetChangeType"] = change.kind.name
    _add_ids(message, "targetIds", change.target_ids)
    if change.cause is not None:
        message["cause"] = status_to_json(change.cause)
    if change.resume_token is not None:
        message["resumeToken"] = encode_base64(change.resume_token)
    if change.read_time is not None:
        message["readTime"] = format_timestamp(change.read_time)
    return message


def _document_gone(gone: DocumentDelete | DocumentRemove) -> dict[str, Any]:
    message: dict[str, Any] = {
        "document": gone.name.name,
        "readTime": format_timestamp(gone.read_time),
    }
    _add_ids(message, "removedTargetIds", gone.removed_target_ids)
    return message


def _existence_filter(existence: ExistenceFilter) -> dict[str, Any]:
    message: dict[str, Any] = {"targetId": existence.target_id, "count": existence.count}
    bloom = existence.unchanged_names
    if bloom is not None:
        message["unchangedNames"] = {
            "bits": {"bitmap": encode_base64(bloom.bitmap), "padding": bloom.padding},
            "hashCount": bloom.hash_count,
        }
    return message


def _add_ids(message: dict[str, Any], name: str, ids: tuple[int, ...]) -> None:
    if ids:
        message[name] = list(ids)


def _page(message: dict[str, Any], next_page_token: str) -> bytes:
    if next_page_token:
        message["nextPageToken"] = next_page_token
    return orjson.dumps(message)
