"""Requests as both wire forms decode them, where the model has no type of its own for one."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field

from baas.model.paths import DatabaseId, DocumentName, FieldPath
from baas.model.pipeline import Pipeline
from baas.model.query import LATEST, Aggregation, Consistency, Query, TransactionOptions
from baas.model.values import Fields
from baas.model.write import Write

Mask = tuple[FieldPath, ...]


@dataclass(frozen=True, slots=True)
class ParsedDocument:
    """A document of a request: its name is absent where the server is to choose or the URL gives it."""

    name: DocumentName | None
    fields: Fields


@dataclass(frozen=True, slots=True)
class ExplainOptions:
    """Ask for the plan; with ``analyze`` also run the query."""

    analyze: bool = False


@dataclass(frozen=True, slots=True)
class GetDocumentRequest:
    """One document; ``mask`` is a projection, ``None`` for the whole."""

    name: DocumentName
    mask: Mask | None = None
    consistency: Consistency = LATEST


@dataclass(frozen=True, slots=True)
class BatchGetRequest:
    """Several documents of one database, in the order asked, duplicates included."""

    database: DatabaseId
    names: tuple[DocumentName, ...]
    mask: Mask | None = None
    consistency: Consistency = LATEST


@dataclass(frozen=True, slots=True)
class RunQueryRequest:
    """A query and when to read it."""

    query: Query
    consistency: Consistency = LATEST
    explain: ExplainOptions | None = None


@dataclass(frozen=True, slots=True)
class RunAggregationRequest:
    """Aggregations over a query; every one has an alias."""

    query: Query
    aggregations: tuple[Aggregation, ...]
    consistency: Consistency = LATEST
    explain: ExplainOptions | None = None


@dataclass(frozen=True, slots=True)
class BatchWriteRequest:
    """Writes that succeed or fail each on its own."""

    database: DatabaseId
    writes: tuple[Write, ...]
    labels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class BeginTransactionRequest:
    """Begin a transaction."""

    database: DatabaseId
    options: TransactionOptions = field(default_factory=TransactionOptions)


@dataclass(frozen=True, slots=True)
class RollbackRequest:
    """Give a transaction up."""

    database: DatabaseId
    transaction: bytes


@dataclass(frozen=True, slots=True)
class ListDocumentsRequest:
    """The documents of a collection, by pages; ``page_size`` 0: the server chooses."""

    database: DatabaseId
    parent: tuple[str, ...]
    collection_id: str
    page_size: int = 0
    page_token: str = ""
    order_by: str = ""
    mask: Mask | None = None
    show_missing: bool = False
    consistency: Consistency = LATEST


@dataclass(frozen=True, slots=True)
class ListCollectionIdsRequest:
    """The collections directly below a document or the root, by pages."""

    database: DatabaseId
    parent: tuple[str, ...]
    page_size: int = 0
    page_token: str = ""
    consistency: Consistency = LATEST


@dataclass(frozen=True, slots=True)
class PartitionQueryRequest:
    """Cursors that cut a collection group query into about ``partition_count`` parts."""

    query: Query
    partition_count: int
    page_size: int = 0
    page_token: str = ""
    consistency: Consistency = LATEST


@dataclass(frozen=True, slots=True)
class CreateDocumentRequest:
    """A new document; an empty id: the server chooses one."""

    database: DatabaseId
    parent: tuple[str, ...]
    collection_id: str
    document_id: str
    fields: Fields
    mask: Mask | None = None


@dataclass(frozen=True, slots=True)
class UpdateDocumentRequest:
    """One update as a method of its own; ``mask`` is the projection of the answer."""

    write: Write
    mask: Mask | None = None


@dataclass(frozen=True, slots=True)
class WriteStreamRequest:
    """One message of a Write stream; only the first needs the database."""

    database: DatabaseId | None
    stream_id: str = ""
    writes: tuple[Write, ...] = ()
    stream_token: bytes = b""
    labels: Mapping[str, str] = field(default_factory=dict)


class PipelineExplain(enum.Enum):
    """In which form to tell what a pipeline took."""

    TEXT = "text"
    JSON = "json"


@dataclass(frozen=True, slots=True)
class ExecutePipelineRequest:
    """A pipeline and when to read it."""

    database: DatabaseId
    pipeline: Pipeline
    consistency: Consistency = LATEST
    explain: PipelineExplain | None = None
    atomic: bool = False
    """Whether it is a transaction of its own, committed when it is done."""
