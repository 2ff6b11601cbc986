"""The protobuf messages of ``google.firestore.v1``, from our own definitions in this folder.

The messages have Google's full names, as gRPC needs, but live in a private descriptor pool: Google's own
client libraries can be imported in the same process without a clash. ``firestore.desc`` is made of the
``.proto`` files by ``scripts/generate_protos.py``.

The classes are made at run time, so to a type checker they are ``Any``.
"""

from __future__ import annotations

import importlib.resources
from typing import Any, Final

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

_PACKAGE: Final = "google.firestore.v1"

POOL: Final = descriptor_pool.DescriptorPool()
"""The private pool that holds all of these messages, well-known types included."""


def _load() -> None:
    encoded = importlib.resources.files(__package__).joinpath("firestore.desc").read_bytes()
    for file in descriptor_pb2.FileDescriptorSet.FromString(encoded).file:
        POOL.Add(file)


def message_class(full_name: str) -> Any:
    """The class of a message of the pool, by its full name.

    Raises:
        KeyError: there is no such message.
    """
    return message_factory.GetMessageClass(POOL.FindMessageTypeByName(full_name))


def _message(name: str) -> Any:
    return message_class(f"{_PACKAGE}.{name}")


_load()

SERVICE: Final = POOL.FindServiceByName(f"{_PACKAGE}.Firestore")
"""The descriptor of the service: its methods, their messages and which of them stream."""

Any_: Final = message_class("google.protobuf.Any")
DoubleValue: Final = message_class("google.protobuf.DoubleValue")
Duration: Final = message_class("google.protobuf.Duration")
Empty: Final = message_class("google.protobuf.Empty")
Int32Value: Final = message_class("google.protobuf.Int32Value")
Int64Value: Final = message_class("google.protobuf.Int64Value")
StringValue: Final = message_class("google.protobuf.StringValue")
Struct: Final = message_class("google.protobuf.Struct")
Timestamp: Final = message_class("google.protobuf.Timestamp")
LatLng: Final = message_class("google.type.LatLng")
Status: Final = message_class("google.rpc.Status")

AggregationResult: Final = _message("AggregationResult")
ArrayValue: Final = _message("ArrayValue")
BatchGetDocumentsRequest: Final = _message("BatchGetDocumentsRequest")
BatchGetDocumentsResponse: Final = _message("BatchGetDocumentsResponse")
BatchWriteRequest: Final = _message("BatchWriteRequest")
BatchWriteResponse: Final = _message("BatchWriteResponse")
BeginTransactionRequest: Final = _message("BeginTransactionRequest")
BeginTransactionResponse: Final = _message("BeginTransactionResponse")
BitSequence: Final = _message("BitSequence")
BloomFilter: Final = _message("BloomFilter")
CommitRequest: Final = _message("CommitRequest")
CommitResponse: Final = _message("CommitResponse")
CreateDocumentRequest: Final = _message("CreateDocumentRequest")
Cursor: Final = _message("Cursor")
DeleteDocumentRequest: Final = _message("DeleteDocumentRequest")
Document: Final = _message("Document")
DocumentChange: Final = _message("DocumentChange")
DocumentDelete: Final = _message("DocumentDelete")
DocumentMask: Final = _message("DocumentMask")
DocumentRemove: Final = _message("DocumentRemove")
DocumentTransform: Final = _message("DocumentTransform")
ExecutePipelineRequest: Final = _message("ExecutePipelineRequest")
ExecutePipelineResponse: Final = _message("ExecutePipelineResponse")
ExecutionStats: Final = _message("ExecutionStats")
ExistenceFilter: Final = _message("ExistenceFilter")
ExplainMetrics: Final = _message("ExplainMetrics")
ExplainOptions: Final = _message("ExplainOptions")
ExplainStats: Final = _message("ExplainStats")
Function: Final = _message("Function")
GetDocumentRequest: Final = _message("GetDocumentRequest")
ListCollectionIdsRequest: Final = _message("ListCollectionIdsRequest")
ListCollectionIdsResponse: Final = _message("ListCollectionIdsResponse")
ListDocumentsRequest: Final = _message("ListDocumentsRequest")
ListDocumentsResponse: Final = _message("ListDocumentsResponse")
ListenRequest: Final = _message("ListenRequest")
ListenResponse: Final = _message("ListenResponse")
MapValue: Final = _message("MapValue")
PartitionQueryRequest: Final = _message("PartitionQueryRequest")
PartitionQueryResponse: Final = _message("PartitionQueryResponse")
Pipeline: Final = _message("Pipeline")
PlanSummary: Final = _message("PlanSummary")
Precondition: Final = _message("Precondition")
RequestOptions: Final = _message("RequestOptions")
RollbackRequest: Final = _message("RollbackRequest")
RunAggregationQueryRequest: Final = _message("RunAggregationQueryRequest")
RunAggregationQueryResponse: Final = _message("RunAggregationQueryResponse")
RunQueryRequest: Final = _message("RunQueryRequest")
RunQueryResponse: Final = _message("RunQueryResponse")
StructuredAggregationQuery: Final = _message("StructuredAggregationQuery")
StructuredPipeline: Final = _message("StructuredPipeline")
StructuredQuery: Final = _message("StructuredQuery")
Target: Final = _message("Target")
TargetChange: Final = _message("TargetChange")
TransactionOptions: Final = _message("TransactionOptions")
UpdateDocumentRequest: Final = _message("UpdateDocumentRequest")
Value: Final = _message("Value")
Write: Final = _message("Write")
WriteRequest: Final = _message("WriteRequest")
WriteResponse: Final = _message("WriteResponse")
WriteResult: Final = _message("WriteResult")
