"""Requests as protobuf. Source: ``listen-and-write`` §2, §4 and §5.

Every function takes a message and answers the model, or raises :class:`~baas.errors.InvalidArgument`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from baas.errors import InvalidArgument
from baas.model.limits import (
    MAX_BATCH_GET,
    MAX_BATCH_WRITES,
    MAX_WRITES,
    check_get_count,
    check_write_count,
)
from baas.model.paths import DatabaseId, DocumentName
from baas.model.query import Consistency, TransactionOptions
from baas.model.repeated_writes import check_repeated_writes
from baas.model.values import Timestamp, Value
from baas.model.watch import AddTarget, ListenRequest, RemoveTarget, Target
from baas.model.write import (
    Commit,
    FieldTransform,
    Precondition,
    TransformKind,
    Write,
    WriteKind,
)
from baas.wire.checks import (
    check_query_given,
    check_transform_count,
    check_unnamed,
    check_written_once,
    checked_name,
    checked_page_size,
    checked_partition_count,
    checked_transform,
    checked_transforms,
    checked_write,
    field_mask,
    parent_path,
)
from baas.wire.proto_queries import decode_aggregations, decode_query
from baas.wire.proto_values import (
    decode_array,
    decode_fields,
    decode_operand,
    decode_timestamp,
    decode_value,
)
from baas.wire.requests import (
    BatchGetRequest,
    BatchWriteRequest,
    BeginTransactionRequest,
    CreateDocumentRequest,
    ExplainOptions,
    GetDocumentRequest,
    ListCollectionIdsRequest,
    ListDocumentsRequest,
    Mask,
    PartitionQueryRequest,
    RollbackRequest,
    RunAggregationRequest,
    RunQueryRequest,
    UpdateDocumentRequest,
    WriteStreamRequest,
)
from baas.wire.value_checks import BadField

_TRANSFORM_KINDS: Final = {
    "set_to_server_value": TransformKind.REQUEST_TIME,
    "increment": TransformKind.INCREMENT,
    "maximum": TransformKind.MAXIMUM,
    "minimum": TransformKind.MINIMUM,
    "append_missing_elements": TransformKind.APPEND_MISSING,
    "remove_all_from_array": TransformKind.REMOVE_ALL,
}
_REQUEST_TIME: Final = 1


# -- writes ------------------------------------------------------------------------------------------


def decode_write(message: Any, database: DatabaseId | None = None) -> Write:
    """A ``Write``. The legacy ``transform`` becomes an update with an empty mask, which has its effect."""
    operation = message.WhichOneof("operation")
    precondition = decode_precondition(message)
    if operation is None:
        raise InvalidArgument("An empty write operation: it needs one of update, delete, verify.")
    if operation == "transform":
        transforms = _decode_transforms(message.transform.field_transforms)
        if not transforms:
            raise InvalidArgument("The list of field transforms must not be empty.")
        name = checked_name(message.transform.document, database)
        return Write(WriteKind.UPDATE, name, {}, (), transforms, precondition)
    mask = decode_mask(message, "update_mask")
    transforms = _decode_transforms(message.update_transforms)
    if operation == "update":
        name = checked_name(message.update.name, database)
        fields = decode_fields(message.update.fields)
        return Write(WriteKind.UPDATE, name, fields, mask, transforms, precondition)
    kind = WriteKind.DELETE if operation == "delete" else WriteKind.VERIFY
    name = checked_name(getattr(message, operation), database)
    return checked_write(Write(kind, name, {}, mask, transforms, precondition))


def decode_writes(
    messages: Sequence[Any], database: DatabaseId | None, limit: int = MAX_WRITES
) -> tuple[Write, ...]:
    """Writes, in order; they are counted before any is looked at.

    Raises:
        InvalidArgument: more than ``limit``, or one is malformed.
    """
    check_write_count(len(messages), limit)
    writes = tuple(decode_write(each, database) for each in messages)
    check_repeated_writes(writes)
    return writes


def decode_commit(message: Any) -> Commit:
    """A ``CommitRequest``."""
    database = DatabaseId.parse(message.database)
    writes = decode_writes(message.writes, database)
    return Commit(database, writes, message.transaction or None)


def decode_batch_write(message: Any) -> BatchWriteRequest:
    """A ``BatchWriteRequest``: no document may be written twice."""
    database = DatabaseId.parse(message.database)
    writes = decode_writes(message.writes, database, MAX_BATCH_WRITES)
    check_written_once(writes)
    return BatchWriteRequest(database, writes, dict(message.labels))


def decode_write_stream_request(
    message: Any, database: DatabaseId | None = None
) -> WriteStreamRequest:
    """One message of a Write stream; ``database`` is the stream's, known from its first message."""
    if message.database:
        database = DatabaseId.parse(message.database)
    return WriteStreamRequest(
        database,
        message.stream_id,
        decode_writes(message.writes, database),
        message.stream_token,
        dict(message.labels),
    )


def decode_create_document(message: Any) -> CreateDocumentRequest:
    """A ``CreateDocumentRequest``."""
    database, parent = parent_path(message.parent)
    check_unnamed(message.document.name)
    return CreateDocumentRequest(
        database,
        parent,
        message.collection_id,
        message.document_id,
        decode_fields(message.document.fields),
        decode_mask(message),
    )


def decode_update_document(message: Any) -> UpdateDocumentRequest:
    """An ``UpdateDocumentRequest``."""
    write = Write(
        WriteKind.UPDATE,
        DocumentName.parse(message.document.name),
        decode_fields(message.document.fields),
        decode_mask(message, "update_mask"),
        precondition=decode_precondition(message),
    )
    return UpdateDocumentRequest(write, decode_mask(message))


def decode_delete_document(message: Any) -> Write:
    """A ``DeleteDocumentRequest``."""
    name = DocumentName.parse(message.name)
    return Write(WriteKind.DELETE, name, precondition=decode_precondition(message))


def decode_mask(message: Any, member: str = "mask") -> Mask | None:
    """A ``DocumentMask`` member; ``None`` when absent, which is not the same as empty."""
    return field_mask(getattr(message, member).field_paths) if message.HasField(member) else None


def decode_precondition(message: Any) -> Precondition:
    """The ``current_document`` of a message; absent: none."""
    if not message.HasField("current_document"):
        return Precondition()
    condition = message.current_document
    kind = condition.WhichOneof("condition_type")
    return Precondition(
        exists=condition.exists if kind == "exists" else None,
        update_time=decode_timestamp(condition.update_time) if kind == "update_time" else None,
    )


# -- reads -------------------------------------------------------------------------------------------


def decode_get_document(message: Any) -> GetDocumentRequest:
    """A ``GetDocumentRequest``."""
    name = DocumentName.parse(message.name)
    return GetDocumentRequest(name, decode_mask(message), decode_consistency(message))


def decode_batch_get(message: Any) -> BatchGetRequest:
    """A ``BatchGetDocumentsRequest``."""
    database = DatabaseId.parse(message.database)
    check_get_count(len(message.documents), MAX_BATCH_GET)
    names = tuple(checked_name(name, database) for name in message.documents)
    return BatchGetRequest(database, names, decode_mask(message), decode_consistency(message))


def decode_run_query(message: Any) -> RunQueryRequest:
    """A ``RunQueryRequest``."""
    check_query_given(message.HasField("structured_query"))
    return RunQueryRequest(
        decode_query(message.parent, message.structured_query),
        decode_consistency(message),
        _decode_explain(message),
    )


def decode_run_aggregation_query(message: Any) -> RunAggregationRequest:
    """A ``RunAggregationQueryRequest``."""
    check_query_given(message.HasField("structured_aggregation_query"))
    query, aggregations = decode_aggregations(message.parent, message.structured_aggregation_query)
    consistency = decode_consistency(message)
    return RunAggregationRequest(query, aggregations, consistency, _decode_explain(message))


def decode_list_documents(message: Any) -> ListDocumentsRequest:
    """A ``ListDocumentsRequest``."""
    database, parent = parent_path(message.parent)
    return ListDocumentsRequest(
        database,
        parent,
        message.collection_id,
        checked_page_size(message.page_size),
        message.page_token,
        message.order_by,
        decode_mask(message),
        message.show_missing,
        decode_consistency(message),
    )


def decode_list_collection_ids(message: Any) -> ListCollectionIdsRequest:
    """A ``ListCollectionIdsRequest``."""
    database, parent = parent_path(message.parent)
    return ListCollectionIdsRequest(
        database,
        parent,
        checked_page_size(message.page_size),
        message.page_token,
        decode_consistency(message),
    )


def decode_partition_query(message: Any) -> PartitionQueryRequest:
    """A ``PartitionQueryRequest``."""
    check_query_given(message.HasField("structured_query"))
    return PartitionQueryRequest(
        decode_query(message.parent, message.structured_query),
        checked_partition_count(message.partition_count),
        checked_page_size(message.page_size),
        message.page_token,
        decode_consistency(message),
    )


# -- transactions ------------------------------------------------------------------------------------


def decode_consistency(message: Any) -> Consistency:
    """The ``consistency_selector`` of a reading request. A new transaction is read-only unless it says that
    it is not."""
    kind = message.WhichOneof("consistency_selector")
    if kind == "new_transaction":
        options = decode_transaction_options(message.new_transaction, read_only=True)
        return Consistency(new_transaction=options)
    return Consistency(
        transaction=(message.transaction or None) if kind == "transaction" else None,
        read_time=decode_timestamp(message.read_time) if kind == "read_time" else None,
    )


def decode_transaction_options(message: Any, *, read_only: bool = False) -> TransactionOptions:
    """``TransactionOptions``; ``read_only`` is what empty ones mean."""
    mode = message.WhichOneof("mode") or ("read_only" if read_only else "read_write")
    if mode == "read_only":
        return TransactionOptions(read_only=True, read_time=_time(message.read_only, "read_time"))
    return TransactionOptions(retry_transaction=message.read_write.retry_transaction or None)


def decode_begin_transaction(message: Any) -> BeginTransactionRequest:
    """A ``BeginTransactionRequest``."""
    database = DatabaseId.parse(message.database)
    return BeginTransactionRequest(database, decode_transaction_options(message.options))


def decode_rollback(message: Any) -> RollbackRequest:
    """A ``RollbackRequest``."""
    if not message.transaction:
        raise InvalidArgument("A rollback must name its transaction.")
    return RollbackRequest(DatabaseId.parse(message.database), message.transaction)


# -- listen ------------------------------------------------------------------------------------------


def decode_listen_request(message: Any, database: DatabaseId | None = None) -> ListenRequest:
    """A ``ListenRequest``; ``database`` is the stream's, for clients that name it only once."""
    if message.database:
        named = DatabaseId.parse(message.database)
        if database is not None and named != database:
            raise InvalidArgument("All requests of a stream must name the same database.")
        database = named
    if database is None:
        raise InvalidArgument("The request must name its database.")
    kind = message.WhichOneof("target_change")
    if kind == "remove_target":
        return RemoveTarget(database, message.remove_target)
    if kind is None:
        raise InvalidArgument("A listen request needs one of addTarget and removeTarget.")
    return AddTarget(database, decode_target(message.add_target, database), dict(message.labels))


def decode_target(message: Any, database: DatabaseId) -> Target:
    """A ``Target``: of a query, or of documents. One that is malformed carries why."""
    try:
        return _decode_target(message, database)
    except InvalidArgument as refusal:
        return Target(message.target_id, refusal=refusal)


def _decode_target(message: Any, database: DatabaseId) -> Target:
    kind = message.WhichOneof("target_type")
    query = None
    names: tuple[DocumentName, ...] = ()
    if kind == "query":
        check_query_given(message.query.HasField("structured_query"))
        parent = message.query.parent or f"{database.name}/documents"
        query = decode_query(parent, message.query.structured_query)
        if query.database != database:
            raise InvalidArgument("The target must be in the database of the stream.")
    elif kind == "documents":
        names = tuple(checked_name(name, database) for name in message.documents.documents)
    if query is None and not names:
        raise InvalidArgument("A target must have a query, or documents to watch.")
    return Target(
        message.target_id,
        query,
        names,
        message.resume_token or None,
        _time(message, "read_time"),
        message.expected_count.value if message.HasField("expected_count") else None,
        message.once,
    )


def _decode_explain(message: Any) -> ExplainOptions | None:
    if not message.HasField("explain_options"):
        return None
    return ExplainOptions(message.explain_options.analyze)


def _time(message: Any, member: str) -> Timestamp | None:
    return decode_timestamp(getattr(message, member)) if message.HasField(member) else None


def _decode_transforms(messages: Sequence[Any]) -> tuple[FieldTransform, ...]:
    check_transform_count(len(messages))
    return checked_transforms(map(_decode_transform, messages))


def _decode_transform(message: Any) -> FieldTransform:
    member = message.WhichOneof("transform_type")
    path = message.field_path
    if member is None:
        raise InvalidArgument(f"Transform of {path[:200]!r}: it must say what to do.")
    kind = _TRANSFORM_KINDS[member]
    operand: Value = None
    try:
        if kind is TransformKind.REQUEST_TIME:
            if message.set_to_server_value != _REQUEST_TIME:
                raise BadField("setToServerValue must be given.")
        elif kind in (TransformKind.APPEND_MISSING, TransformKind.REMOVE_ALL):
            elements = getattr(message, member)
            stored = kind is TransformKind.APPEND_MISSING
            operand = (
                decode_array(elements) if stored else list(map(decode_operand, elements.values))
            )
        else:
            operand = decode_value(getattr(message, member))
    except BadField as error:
        raise InvalidArgument(f"Transform of {path[:200]!r}: {error.message}") from None
    return checked_transform(path, kind, operand)
