"""Requests in proto3-JSON. Source: ``listen-and-write`` §2, §4, §5 and §8.

Every function takes parsed JSON and answers the model, or raises
:class:`~baas.errors.InvalidArgument`. Where a ``database`` is given (it is in the URL of REST, or of a
WebSocket), names in the message must agree with it; where it is ``None`` the message must hold it.
``strict`` refuses unknown names.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from baas.errors import InvalidArgument
from baas.model.limits import (
    MAX_BATCH_GET,
    MAX_BATCH_WRITES,
    MAX_WRITES,
    check_get_count,
    check_write_count,
)
from baas.model.paths import DatabaseId, DocumentName
from baas.model.query import (
    Consistency,
    TransactionOptions,
)
from baas.model.repeated_writes import check_repeated_writes
from baas.model.values import Value
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
from baas.wire.json_queries import parse_aggregations, parse_query
from baas.wire.json_reader import JsonObject
from baas.wire.json_values import decode_fields_object, decode_operand, decode_value
from baas.wire.requests import (
    BatchGetRequest,
    BatchWriteRequest,
    BeginTransactionRequest,
    ExplainOptions,
    ListCollectionIdsRequest,
    Mask,
    ParsedDocument,
    PartitionQueryRequest,
    RollbackRequest,
    RunAggregationRequest,
    RunQueryRequest,
    WriteStreamRequest,
)
from baas.wire.value_checks import BadField

_WRITE: Final = frozenset(
    ("update", "delete", "verify", "transform", "updateMask", "updateTransforms", "currentDocument")
)
_DOCUMENT: Final = frozenset(("name", "fields", "createTime", "updateTime"))
_MASK: Final = frozenset(("fieldPaths",))
_PRECONDITION: Final = frozenset(("exists", "updateTime"))
_LEGACY_TRANSFORM: Final = frozenset(("document", "fieldTransforms"))
_TRANSFORM_KINDS: Final = {kind.value: kind for kind in TransformKind}
_TRANSFORM: Final = frozenset(("fieldPath", *_TRANSFORM_KINDS))
_ARRAY: Final = frozenset(("values",))
_COMMIT: Final = frozenset(("database", "writes", "transaction", "requestOptions"))
_BATCH_WRITE: Final = frozenset(("database", "writes", "labels", "requestOptions"))
_STREAM: Final = frozenset(("database", "streamId", "writes", "streamToken", "labels"))
_CONSISTENCY: Final = ("transaction", "newTransaction", "readTime")
_BATCH_GET: Final = frozenset(("database", "documents", "mask", "requestOptions", *_CONSISTENCY))
_BEGIN: Final = frozenset(("database", "options", "requestOptions"))
_ROLLBACK: Final = frozenset(("database", "transaction", "requestOptions"))
_OPTIONS: Final = frozenset(("readOnly", "readWrite"))
_READ_ONLY: Final = frozenset(("readTime",))
_READ_WRITE: Final = frozenset(("retryTransaction", "concurrencyMode"))
_LISTEN: Final = frozenset(("database", "addTarget", "removeTarget", "labels"))
_TARGET: Final = frozenset(
    ("query", "documents", "targetId", "resumeToken", "readTime", "expectedCount", "once")
)
_QUERY_TARGET: Final = frozenset(("parent", "structuredQuery"))
_DOCUMENTS_TARGET: Final = frozenset(("documents",))
_RUN_QUERY: Final = frozenset(
    ("parent", "structuredQuery", "explainOptions", "requestOptions", *_CONSISTENCY)
)
_RUN_AGGREGATION: Final = frozenset(
    ("parent", "structuredAggregationQuery", "explainOptions", "requestOptions", *_CONSISTENCY)
)
_EXPLAIN: Final = frozenset(("analyze",))
_PAGING: Final = ("parent", "pageSize", "pageToken", "readTime", "requestOptions")
_COLLECTION_IDS: Final = frozenset(_PAGING)
_PARTITION_QUERY: Final = frozenset(("structuredQuery", "partitionCount", *_PAGING))
_SERVER_VALUES: Final = {"REQUEST_TIME": True}


def parse_document(
    raw: object, *, database: DatabaseId | None = None, strict: bool = True, where: str = ""
) -> ParsedDocument:
    """A ``Document``: its times are checked and ignored, its name may be missing."""
    message = JsonObject(raw, _DOCUMENT, where, strict=strict)
    for name in ("createTime", "updateTime"):
        message.timestamp(name)
    name = message.text("name")
    return ParsedDocument(
        checked_name(name, database) if name else None, decode_fields_object(message.get("fields"))
    )


def parse_mask(raw: object, *, strict: bool = True, where: str = "mask") -> Mask | None:
    """A ``DocumentMask``; ``None`` when absent, which is not the same as empty."""
    if raw is None:
        return None
    return field_mask(JsonObject(raw, _MASK, where, strict=strict).texts("fieldPaths"))


def parse_precondition(
    raw: object, *, strict: bool = True, where: str = "currentDocument"
) -> Precondition:
    """A ``Precondition``; absent: none."""
    if raw is None:
        return Precondition()
    message = JsonObject(raw, _PRECONDITION, where, strict=strict)
    kind = message.one_of("exists", "updateTime")
    return Precondition(
        exists=message.flag("exists") if kind == "exists" else None,
        update_time=message.timestamp("updateTime"),
    )


def parse_write(
    raw: object, *, database: DatabaseId | None = None, strict: bool = True, where: str = "write"
) -> Write:
    """A ``Write``. The legacy ``transform`` becomes an update with an empty mask, which has its effect."""
    message = JsonObject(raw, _WRITE, where, strict=strict)
    operation = message.one_of("update", "delete", "verify", "transform")
    precondition = parse_precondition(
        message.get("currentDocument"), strict=strict, where=message.place("currentDocument")
    )
    if operation is None:
        raise InvalidArgument(
            f"'{where}' is an empty write operation: it needs one of update, delete, verify."
        )
    if operation == "transform":
        return _parse_legacy_transform(message, precondition, database)
    mask = parse_mask(message.get("updateMask"), strict=strict, where=message.place("updateMask"))
    transforms = _parse_transforms(message, "updateTransforms")
    if operation != "update":
        name = checked_name(message.text(operation), database)
        kind = WriteKind.DELETE if operation == "delete" else WriteKind.VERIFY
        return checked_write(Write(kind, name, {}, mask, transforms, precondition))
    document = parse_document(
        message.get("update"), database=database, strict=strict, where=message.place("update")
    )
    if document.name is None:
        raise InvalidArgument(f"'{message.place('update')}' must have the name of a document.")
    return Write(WriteKind.UPDATE, document.name, document.fields, mask, transforms, precondition)


def parse_writes(
    raw: Sequence[object],
    database: DatabaseId | None,
    *,
    strict: bool = True,
    limit: int = MAX_WRITES,
) -> tuple[Write, ...]:
    """The items of a ``writes`` member; they are counted before any is looked at.

    Raises:
        InvalidArgument: more than ``limit``, or one is malformed.
    """
    check_write_count(len(raw), limit)
    writes = tuple(
        parse_write(each, database=database, strict=strict, where=f"writes[{index}]")
        for index, each in enumerate(raw)
    )
    check_repeated_writes(writes)
    return writes


def parse_commit(raw: object, database: DatabaseId | None = None, *, strict: bool = True) -> Commit:
    """A ``CommitRequest``."""
    message = JsonObject(raw, _COMMIT, "", strict=strict)
    database = parse_database(message, database)
    writes = parse_writes(message.items("writes"), database, strict=strict)
    return Commit(database, writes, message.octets("transaction"))


def parse_batch_write(
    raw: object, database: DatabaseId | None = None, *, strict: bool = True
) -> BatchWriteRequest:
    """A ``BatchWriteRequest``: no document may be written twice."""
    message = JsonObject(raw, _BATCH_WRITE, "", strict=strict)
    database = parse_database(message, database)
    items = message.items("writes")
    writes = parse_writes(items, database, strict=strict, limit=MAX_BATCH_WRITES)
    check_written_once(writes)
    return BatchWriteRequest(database, writes, message.labels("labels"))


def parse_write_stream_request(
    raw: object, database: DatabaseId | None = None, *, strict: bool = False
) -> WriteStreamRequest:
    """One message of a Write stream; ``database`` is the stream's, known from its first message."""
    message = JsonObject(raw, _STREAM, "", strict=strict)
    if database is not None or message.text("database"):
        database = parse_database(message, database)
    return WriteStreamRequest(
        database,
        message.text("streamId"),
        parse_writes(message.items("writes"), database, strict=strict),
        message.octets("streamToken") or b"",
        message.labels("labels"),
    )


def parse_consistency(raw: object, *, strict: bool = False) -> Consistency:
    """``transaction``, ``newTransaction`` or ``readTime`` of a reading request (other members are not its
    matter, so unknown ones are never refused at this level). A new transaction is read-only unless it says
    that it is not."""
    message = JsonObject(raw, frozenset(_CONSISTENCY), "", strict=False)
    kind = message.one_of(*_CONSISTENCY)
    if kind != "newTransaction":
        return Consistency(message.octets("transaction"), None, message.timestamp("readTime"))
    options = parse_transaction_options(
        message.get("newTransaction"), strict=strict, where="newTransaction", read_only=True
    )
    return Consistency(new_transaction=options)


def parse_transaction_options(
    raw: object, *, strict: bool = True, where: str = "options", read_only: bool = False
) -> TransactionOptions:
    """``TransactionOptions``; ``read_only`` is what absent or empty ones mean."""
    if raw is None:
        return TransactionOptions(read_only=read_only)
    message = JsonObject(raw, _OPTIONS, where, strict=strict)
    mode = message.one_of("readOnly", "readWrite")
    if mode == "readOnly":
        options = message.child("readOnly", _READ_ONLY)
        return TransactionOptions(read_only=True, read_time=options.timestamp("readTime"))
    if mode == "readWrite":
        read_write = message.child("readWrite", _READ_WRITE)
        return TransactionOptions(retry_transaction=read_write.octets("retryTransaction"))
    return TransactionOptions(read_only=read_only)


def parse_begin_transaction(
    raw: object, database: DatabaseId | None = None, *, strict: bool = True
) -> BeginTransactionRequest:
    """A ``BeginTransactionRequest``."""
    message = JsonObject(raw, _BEGIN, "", strict=strict)
    options = parse_transaction_options(message.get("options"), strict=strict)
    return BeginTransactionRequest(parse_database(message, database), options)


def parse_rollback(
    raw: object, database: DatabaseId | None = None, *, strict: bool = True
) -> RollbackRequest:
    """A ``RollbackRequest``."""
    message = JsonObject(raw, _ROLLBACK, "", strict=strict)
    transaction = message.octets("transaction")
    if transaction is None:
        raise InvalidArgument("A rollback must name its transaction.")
    return RollbackRequest(parse_database(message, database), transaction)


def parse_batch_get(
    raw: object, database: DatabaseId | None = None, *, strict: bool = True
) -> BatchGetRequest:
    """A ``BatchGetDocumentsRequest``."""
    message = JsonObject(raw, _BATCH_GET, "", strict=strict)
    database = parse_database(message, database)
    texts = message.texts("documents")
    check_get_count(len(texts), MAX_BATCH_GET)
    names = tuple(checked_name(text, database) for text in texts)
    mask = parse_mask(message.get("mask"), strict=strict)
    return BatchGetRequest(database, names, mask, parse_consistency(raw, strict=strict))


def parse_run_query(raw: object, parent_name: str, *, strict: bool = True) -> RunQueryRequest:
    """A ``RunQueryRequest`` addressed to ``parent_name``."""
    message = JsonObject(raw, _RUN_QUERY, "", strict=strict)
    check_query_given(message.has("structuredQuery"))
    return RunQueryRequest(
        parse_query(parent_name, message.get("structuredQuery"), strict=strict),
        parse_consistency(raw, strict=strict),
        _parse_explain(message),
    )


def parse_run_aggregation_query(
    raw: object, parent_name: str, *, strict: bool = True
) -> RunAggregationRequest:
    """A ``RunAggregationQueryRequest`` addressed to ``parent_name``."""
    message = JsonObject(raw, _RUN_AGGREGATION, "", strict=strict)
    check_query_given(message.has("structuredAggregationQuery"))
    query, aggregations = parse_aggregations(
        parent_name, message.get("structuredAggregationQuery"), strict=strict
    )
    consistency = parse_consistency(raw, strict=strict)
    return RunAggregationRequest(query, aggregations, consistency, _parse_explain(message))


def parse_partition_query(
    raw: object, parent_name: str, *, strict: bool = True
) -> PartitionQueryRequest:
    """A ``PartitionQueryRequest`` addressed to ``parent_name``."""
    message = JsonObject(raw, _PARTITION_QUERY, "", strict=strict)
    check_query_given(message.has("structuredQuery"))
    return PartitionQueryRequest(
        parse_query(parent_name, message.get("structuredQuery"), strict=strict),
        checked_partition_count(message.int64("partitionCount") or 0),
        checked_page_size(message.int32("pageSize") or 0),
        message.text("pageToken"),
        Consistency(read_time=message.timestamp("readTime")),
    )


def parse_list_collection_ids(
    raw: object, parent_name: str, *, strict: bool = True
) -> ListCollectionIdsRequest:
    """A ``ListCollectionIdsRequest`` addressed to ``parent_name``."""
    message = JsonObject(raw, _COLLECTION_IDS, "", strict=strict)
    database, parent = parent_path(parent_name)
    return ListCollectionIdsRequest(
        database,
        parent,
        checked_page_size(message.int32("pageSize") or 0),
        message.text("pageToken"),
        Consistency(read_time=message.timestamp("readTime")),
    )


def parse_listen_request(
    raw: object, database: DatabaseId | None = None, *, strict: bool = False
) -> ListenRequest:
    """A ``ListenRequest``: a target to add or to remove."""
    message = JsonObject(raw, _LISTEN, "", strict=strict)
    database = parse_database(message, database)
    kind = message.one_of("addTarget", "removeTarget")
    if kind == "removeTarget":
        return RemoveTarget(database, message.int32("removeTarget") or 0)
    if kind is None:
        raise InvalidArgument("A listen request needs one of addTarget and removeTarget.")
    target = parse_target(message.get("addTarget"), database, strict=strict)
    return AddTarget(database, target, message.labels("labels"))


def parse_target(raw: object, database: DatabaseId, *, strict: bool = False) -> Target:
    """A ``Target``: of a query, or of documents. One that is malformed carries why.

    Raises:
        InvalidArgument: it has no id that a refusal could name.
    """
    message = JsonObject(raw, _TARGET, "addTarget", strict=strict)
    target_id = message.int32("targetId") or 0
    try:
        return _parse_target(message, target_id, database, strict=strict)
    except InvalidArgument as refusal:
        return Target(target_id, refusal=refusal)


def _parse_target(
    message: JsonObject, target_id: int, database: DatabaseId, *, strict: bool
) -> Target:
    kind = message.one_of("query", "documents")
    query = None
    names: tuple[DocumentName, ...] = ()
    if kind == "query":
        target = message.child("query", _QUERY_TARGET)
        check_query_given(target.has("structuredQuery"))
        query = parse_query(
            target.text("parent") or f"{database.name}/documents",
            target.get("structuredQuery"),
            strict=strict,
            where=target.place("structuredQuery"),
        )
        if query.database != database:
            raise InvalidArgument("The target must be in the database of the stream.")
    elif kind == "documents":
        listed = message.child("documents", _DOCUMENTS_TARGET).texts("documents")
        names = tuple(checked_name(text, database) for text in listed)
    if query is None and not names:
        raise InvalidArgument("A target must have a query, or documents to watch.")
    return Target(
        target_id,
        query,
        names,
        message.octets("resumeToken"),
        message.timestamp("readTime"),
        message.int32("expectedCount"),
        message.flag("once"),
    )


def parse_database(message: JsonObject, expected: DatabaseId | None) -> DatabaseId:
    """The database that a message names, or the expected one; both must agree."""
    name = message.text("database")
    if not name:
        if expected is None:
            raise InvalidArgument("The request must name its database.")
        return expected
    database = DatabaseId.parse(name)
    if expected is not None and database != expected:
        raise InvalidArgument(
            f"The request names the database {database.name}, but is addressed to {expected.name}."
        )
    return database


def _parse_explain(message: JsonObject) -> ExplainOptions | None:
    if not message.has("explainOptions"):
        return None
    return ExplainOptions(message.child("explainOptions", _EXPLAIN).flag("analyze"))


def _parse_legacy_transform(
    message: JsonObject, precondition: Precondition, database: DatabaseId | None
) -> Write:
    transform = message.child("transform", _LEGACY_TRANSFORM)
    transforms = _parse_transforms(transform, "fieldTransforms")
    if not transforms:
        raise InvalidArgument("The list of field transforms must not be empty.")
    name = checked_name(transform.text("document"), database)
    return Write(WriteKind.UPDATE, name, {}, (), transforms, precondition)


def _parse_transforms(message: JsonObject, member: str) -> tuple[FieldTransform, ...]:
    place = message.place(member)
    items = message.items(member)
    check_transform_count(len(items))
    return checked_transforms(
        _parse_transform(JsonObject(raw, _TRANSFORM, f"{place}[{index}]", strict=message.strict))
        for index, raw in enumerate(items)
    )


def _parse_transform(message: JsonObject) -> FieldTransform:
    name = message.one_of(*_TRANSFORM_KINDS)
    path = message.text("fieldPath")
    if name is None:
        raise InvalidArgument(f"Transform of {path[:200]!r}: it must say what to do.")
    kind = _TRANSFORM_KINDS[name]
    operand: Value = None
    if kind is TransformKind.REQUEST_TIME:
        if not message.enum(name, _SERVER_VALUES, {1: "REQUEST_TIME"}):
            raise InvalidArgument(f"Transform of {path[:200]!r}: setToServerValue must be given.")
    elif kind in (TransformKind.APPEND_MISSING, TransformKind.REMOVE_ALL):
        elements = {"arrayValue": {"values": message.child(name, _ARRAY).items("values")}}
        stored = kind is TransformKind.APPEND_MISSING
        operand = _decode_operand(elements, path, decode_value if stored else decode_operand)
    else:
        operand = _decode_operand(message.get(name), path)
    return checked_transform(path, kind, operand)


def _decode_operand(
    raw: object, path: str, decode: Callable[[object], Value] = decode_value
) -> Value:
    try:
        return decode(raw)
    except BadField as error:
        raise InvalidArgument(f"Transform of {path[:200]!r}: {error.message}") from None
