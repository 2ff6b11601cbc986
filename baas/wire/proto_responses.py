"""Answers as protobuf messages. Source: ``listen-and-write`` §2, §4 and §5."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from baas.errors import ApiError
from baas.model.document import Document
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
)
from baas.model.write import CommitResult, WriteResult
from baas.wire import proto
from baas.wire.proto_values import write_document, write_fields, write_timestamp, write_value

Mask = Sequence[FieldPath]


def encode_commit_response(result: CommitResult) -> Any:
    """A ``CommitResponse``."""
    message = proto.CommitResponse()
    _write_commit_result(message, result)
    return message


def encode_write_response(
    stream_token: bytes, *, stream_id: str = "", result: CommitResult | None = None
) -> Any:
    """A ``WriteResponse``: the handshake (no result), or the answer to one batch."""
    message = proto.WriteResponse(stream_id=stream_id, stream_token=stream_token)
    if result is not None:
        _write_commit_result(message, result)
    return message


def encode_batch_write_response(results: Iterable[WriteResult | ApiError]) -> Any:
    """A ``BatchWriteResponse``: a result and a status for every write, in order."""
    message = proto.BatchWriteResponse()
    for each in results:
        write_result = message.write_results.add()
        status = message.status.add()
        if isinstance(each, ApiError):
            _write_status(status, each)
        else:
            _write_write_result(write_result, each)
    return message


def encode_batch_get_response(
    found: Document | DocumentName | None,
    read_time: Timestamp | None,
    *,
    mask: Mask | None = None,
    transaction: bytes | None = None,
) -> Any:
    """One ``BatchGetDocumentsResponse``: a document, a missing one's name, or a new transaction alone."""
    message = proto.BatchGetDocumentsResponse(transaction=transaction or b"")
    if isinstance(found, Document):
        write_document(message.found, found, mask)
    elif found is not None:
        message.missing = found.name
    if read_time is not None:
        write_timestamp(message.read_time, read_time)
    return message


def encode_run_query_response(
    document: Document | None,
    read_time: Timestamp | None,
    *,
    mask: Mask | None = None,
    skipped_results: int = 0,
    transaction: bytes | None = None,
    done: bool = False,
    explain_metrics: Any = None,
) -> Any:
    """One ``RunQueryResponse``: a document, or only a time, or only a new transaction."""
    message = proto.RunQueryResponse(
        transaction=transaction or b"", skipped_results=skipped_results
    )
    if document is not None:
        write_document(message.document, document, mask)
    if read_time is not None:
        write_timestamp(message.read_time, read_time)
    if done:
        message.done = True
    if explain_metrics is not None:
        message.explain_metrics.CopyFrom(explain_metrics)
    return message


def encode_aggregation_response(
    results: Mapping[str, Value] | None,
    read_time: Timestamp | None,
    *,
    transaction: bytes | None = None,
    explain_metrics: Any = None,
) -> Any:
    """One ``RunAggregationQueryResponse``."""
    message = proto.RunAggregationQueryResponse(transaction=transaction or b"")
    if results is not None:
        message.result.SetInParent()
        write_fields(message.result.aggregate_fields, results)
    if read_time is not None:
        write_timestamp(message.read_time, read_time)
    if explain_metrics is not None:
        message.explain_metrics.CopyFrom(explain_metrics)
    return message


def encode_list_documents_response(
    documents: Iterable[Document | DocumentName],
    next_page_token: str = "",
    *,
    mask: Mask | None = None,
) -> Any:
    """A ``ListDocumentsResponse``; a bare name stands for a missing parent of subcollections."""
    message = proto.ListDocumentsResponse(next_page_token=next_page_token)
    for each in documents:
        listed = message.documents.add()
        if isinstance(each, Document):
            write_document(listed, each, mask)
        else:
            listed.name = each.name
    return message


def encode_list_collection_ids_response(ids: Sequence[str], next_page_token: str = "") -> Any:
    """A ``ListCollectionIdsResponse``."""
    return proto.ListCollectionIdsResponse(collection_ids=ids, next_page_token=next_page_token)


def encode_partition_query_response(cursors: Iterable[Cursor], next_page_token: str = "") -> Any:
    """A ``PartitionQueryResponse``."""
    message = proto.PartitionQueryResponse(next_page_token=next_page_token)
    for cursor in cursors:
        partition = message.partitions.add(before=cursor.before)
        for value in cursor.values:
            write_value(partition.values.add(), value)
    return message


def encode_begin_transaction_response(transaction: bytes) -> Any:
    """A ``BeginTransactionResponse``."""
    return proto.BeginTransactionResponse(transaction=transaction)


def encode_status(error: ApiError) -> Any:
    """A ``google.rpc.Status``."""
    status = proto.Status()
    _write_status(status, error)
    return status


def encode_listen_response(response: ListenResponse) -> Any:
    """A ``ListenResponse``."""
    message = proto.ListenResponse()
    if isinstance(response, TargetChange):
        _write_target_change(message.target_change, response)
    elif isinstance(response, DocumentChange):
        change = message.document_change
        write_document(change.document, response.document)
        change.target_ids.extend(response.target_ids)
        change.removed_target_ids.extend(response.removed_target_ids)
    elif isinstance(response, ExistenceFilter):
        _write_existence_filter(message.filter, response)
    elif isinstance(response, DocumentDelete):
        _write_document_gone(message.document_delete, response)
    else:
        _write_document_gone(message.document_remove, response)
    return message


def _write_commit_result(message: Any, result: CommitResult) -> None:
    for each in result.write_results:
        _write_write_result(message.write_results.add(), each)
    if result.write_results:
        write_timestamp(message.commit_time, result.commit_time)


def _write_write_result(message: Any, result: WriteResult) -> None:
    if result.update_time is not None:
        write_timestamp(message.update_time, result.update_time)
    for value in result.transform_results:
        write_value(message.transform_results.add(), value)


def _write_status(message: Any, error: ApiError) -> None:
    message.code = error.grpc_code
    message.message = error.message


def _write_target_change(message: Any, change: TargetChange) -> None:
    message.SetInParent()
    message.target_change_type = change.kind.value
    message.target_ids.extend(change.target_ids)
    if change.cause is not None:
        _write_status(message.cause, change.cause)
    if change.resume_token is not None:
        message.resume_token = change.resume_token
    if change.read_time is not None:
        write_timestamp(message.read_time, change.read_time)


def _write_document_gone(message: Any, gone: DocumentDelete | DocumentRemove) -> None:
    message.document = gone.name.name
    message.removed_target_ids.extend(gone.removed_target_ids)
    write_timestamp(message.read_time, gone.read_time)


def _write_existence_filter(message: Any, existence: ExistenceFilter) -> None:
    message.SetInParent()
    message.target_id = existence.target_id
    message.count = existence.count
    bloom = existence.unchanged_names
    if bloom is not None:
        message.unchanged_names.bits.bitmap = bloom.bitmap
        message.unchanged_names.bits.padding = bloom.padding
        message.unchanged_names.hash_count = bloom.hash_count
