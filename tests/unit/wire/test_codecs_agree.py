"""One request in both wire forms decodes to one model, and one answer says the same in both."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import orjson
from google.protobuf import json_format
from hypothesis import given
from hypothesis import strategies as st

from baas.errors import Aborted, ApiError, InvalidArgument, PermissionDenied
from baas.model.document import Document
from baas.model.paths import DocumentName
from baas.model.query import Cursor
from baas.model.values import Timestamp, Value
from baas.model.watch import (
    AddTarget,
    BloomFilter,
    DocumentChange,
    DocumentDelete,
    DocumentRemove,
    ExistenceFilter,
    ListenResponse,
    TargetChange,
    TargetChangeType,
)
from baas.model.write import CommitResult, WriteResult
from baas.wire import json_codec, proto, proto_codec
from baas.wire.json_values import decode_fields, encode_fields
from tests.unit.model.strategies import document_names, documents, values
from tests.unit.wire import messages
from tests.unit.wire.messages import JSON, ROOT, comparable


def outcome(decode: Callable[[], Any]) -> Any:
    """What a decoder answers, or that it refuses (a listen target: under its id)."""
    try:
        decoded = decode()
    except InvalidArgument:
        return "refused"
    if isinstance(decoded, AddTarget) and decoded.target.refusal is not None:
        return "refused", decoded.target.target_id
    return comparable(decoded)


def to_proto(message_class: Any, raw: JSON) -> Any:
    return json_format.ParseDict(raw, message_class())


def plain(message: Any) -> JSON:
    return json_format.MessageToDict(message)


def as_proto(message_class: Any, encoded: bytes) -> JSON:
    """JSON of ours, read by protobuf's own JSON parser and written again: its normal form."""
    return plain(to_proto(message_class, orjson.loads(encoded)))


@given(values())
def test_values(value: Value) -> None:
    message = proto_codec.encode_value(value)
    wire = proto.Value.FromString(message.SerializeToString())
    assert comparable(proto_codec.decode_value(wire)) == comparable(value)
    ours = to_proto(proto.Value, json_codec.encode_value(value))
    assert plain(message) == plain(ours)


@given(messages.writes)
def test_writes(raw: JSON) -> None:
    message = to_proto(proto.Write, raw)
    assert outcome(lambda: proto_codec.decode_write(message)) == outcome(
        lambda: json_codec.parse_write(raw)
    )


@given(messages.commits)
def test_commits(raw: JSON) -> None:
    message = to_proto(proto.CommitRequest, raw)
    assert outcome(lambda: proto_codec.decode_commit(message)) == outcome(
        lambda: json_codec.parse_commit(raw)
    )


@given(messages.queries)
def test_queries(raw: JSON) -> None:
    message = to_proto(proto.StructuredQuery, raw)
    assert outcome(lambda: proto_codec.decode_query(ROOT, message)) == outcome(
        lambda: json_codec.parse_query(ROOT, raw)
    )


@given(messages.aggregation_queries)
def test_aggregations(raw: JSON) -> None:
    message = to_proto(proto.StructuredAggregationQuery, raw)
    assert outcome(lambda: proto_codec.decode_aggregations(ROOT, message)) == outcome(
        lambda: json_codec.parse_aggregations(ROOT, raw)
    )


@given(messages.consistencies)
def test_reads(raw: JSON) -> None:
    raw = {"parent": ROOT, "structuredQuery": {"from": [{"collectionId": "c"}]}, **raw}
    message = to_proto(proto.RunQueryRequest, raw)
    assert outcome(lambda: proto_codec.decode_run_query(message)) == outcome(
        lambda: json_codec.parse_run_query(raw, ROOT)
    )


@given(st.lists(messages.names, max_size=3), messages.consistencies, st.none() | messages.masks)
def test_batch_gets(names: list[str], consistency: JSON, mask: JSON | None) -> None:
    raw: JSON = {"database": ROOT.removesuffix("/documents"), "documents": names, **consistency}
    if mask is not None:
        raw["mask"] = mask
    message = to_proto(proto.BatchGetDocumentsRequest, raw)
    assert outcome(lambda: proto_codec.decode_batch_get(message)) == outcome(
        lambda: json_codec.parse_batch_get(raw)
    )


@given(messages.listen_requests)
def test_listen_requests(raw: JSON) -> None:
    message = to_proto(proto.ListenRequest, raw)
    assert outcome(lambda: proto_codec.decode_listen_request(message)) == outcome(
        lambda: json_codec.parse_listen_request(raw, strict=True)
    )


# -- answers -------------------------------------------------------------------------------------

ids = st.lists(st.integers(1, 9), max_size=2).map(tuple)
errors: st.SearchStrategy[ApiError] = st.sampled_from([PermissionDenied("no"), Aborted("again")])
results = st.builds(
    WriteResult, st.none() | messages.times, st.lists(values(3), max_size=2).map(tuple)
)
listen_responses: st.SearchStrategy[ListenResponse] = st.one_of(
    st.builds(
        TargetChange,
        st.sampled_from(TargetChangeType),
        ids,
        st.none() | errors,
        st.none() | st.binary(min_size=1, max_size=4),
        st.none() | messages.times,
    ),
    st.builds(DocumentChange, messages.stored_documents, ids, ids),
    st.builds(DocumentDelete, document_names(), messages.times, ids),
    st.builds(DocumentRemove, document_names(), messages.times, ids),
    st.builds(
        ExistenceFilter,
        st.integers(1, 9),
        st.integers(0, 9),
        st.none() | st.just(BloomFilter(b"\x01\x02", 3, 7)),
    ),
)


@given(listen_responses)
def test_listen_responses(response: ListenResponse) -> None:
    json = json_codec.listen_response_to_json(response)
    assert len(orjson.loads(json)) == 1
    message = proto_codec.encode_listen_response(response)
    assert as_proto(proto.ListenResponse, json) == plain(message)


@given(st.lists(results, max_size=3).map(tuple), messages.times)
def test_commit_and_write_responses(
    write_results: tuple[WriteResult, ...], time: Timestamp
) -> None:
    result = CommitResult(time, write_results)
    assert as_proto(proto.CommitResponse, json_codec.commit_response(result)) == plain(
        proto_codec.encode_commit_response(result)
    )
    assert as_proto(proto.WriteResponse, json_codec.write_response(b"t", result=result)) == plain(
        proto_codec.encode_write_response(b"t", result=result)
    )


@given(st.lists(results | errors, max_size=3))
def test_batch_write_responses(outcomes: list[WriteResult | ApiError]) -> None:
    assert as_proto(proto.BatchWriteResponse, json_codec.batch_write_response(outcomes)) == plain(
        proto_codec.encode_batch_write_response(outcomes)
    )


@given(
    st.none() | messages.stored_documents | document_names(),
    st.none() | messages.times,
    st.none() | st.just((("a",),)),
    st.none() | st.just(b"tx"),
)
def test_read_responses(
    found: Document | DocumentName | None,
    time: Timestamp | None,
    mask: Any,
    transaction: bytes | None,
) -> None:
    options: JSON = {"mask": mask, "transaction": transaction}
    json = json_codec.batch_get_element(found, time, **options)
    message = proto_codec.encode_batch_get_response(found, time, **options)
    assert as_proto(proto.BatchGetDocumentsResponse, json) == plain(message)
    document = found if isinstance(found, Document) else None
    json = json_codec.run_query_element(document, time, skipped_results=2, done=True, **options)
    message = proto_codec.encode_run_query_response(
        document, time, skipped_results=2, done=True, **options
    )
    assert as_proto(proto.RunQueryResponse, json) == plain(message)


@given(st.dictionaries(st.sampled_from(["x", "y"]), values(3)), messages.times)
def test_aggregation_responses(fields: dict[str, Value], time: Timestamp) -> None:
    assert as_proto(
        proto.RunAggregationQueryResponse, json_codec.aggregation_element(fields, time)
    ) == plain(proto_codec.encode_aggregation_response(fields, time))


@given(st.lists(messages.stored_documents | document_names(), max_size=3))
def test_lists(documents: list[Document | DocumentName]) -> None:
    json = json_codec.list_documents_response(documents, "next")
    message = proto_codec.encode_list_documents_response(documents, "next")
    assert as_proto(proto.ListDocumentsResponse, json) == plain(message)


@given(st.lists(st.builds(Cursor, st.lists(values(3), max_size=2).map(tuple), st.booleans())))
def test_partitions(cursors: list[Cursor]) -> None:
    json = json_codec.partition_query_response(cursors)
    assert as_proto(proto.PartitionQueryResponse, json) == plain(
        proto_codec.encode_partition_query_response(cursors)
    )


@given(documents())
def test_a_document_at_rest_and_its_values_make_the_same_message(document: Document) -> None:
    stored = Document(
        document.name,
        document.create_time,
        document.update_time,
        encoded=encode_fields(document.fields),
        decode=decode_fields,
    )
    made = proto.Document.FromString(proto_codec.document_bytes(stored))
    assert made == proto_codec.encode_document(document)


def test_a_query_answer_at_rest_is_the_message_that_protobuf_makes() -> None:
    document = Document(
        DocumentName.parse(f"{ROOT}/posts/p"),
        Timestamp(0),
        Timestamp(5),
        encoded=b"{}",
        decode=decode_fields,
    )
    (made,) = proto_codec.run_query_documents([document], Timestamp(-1))
    assert (
        made == proto_codec.encode_run_query_response(document, Timestamp(-1)).SerializeToString()
    )
