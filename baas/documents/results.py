"""What reads answer with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from baas.model.document import Document
from baas.model.paths import DocumentName
from baas.model.query import Cursor
from baas.model.values import Timestamp, Value

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Read(Generic[T]):
    """An answer and the version that it is of. ``transaction``: the one that this read began."""

    value: T
    read_time: Timestamp
    transaction: bytes | None = None


@dataclass(frozen=True, slots=True)
class ExplainMetrics:
    """How a query is run, and what running it took (``google.firestore.v1.ExplainMetrics``).

    ``indexes_used`` are the members of ``planSummary.indexesUsed``. The rest is ``None`` unless it ran;
    ``debug_stats`` are the members of ``executionStats.debugStats``.
    """

    indexes_used: tuple[Mapping[str, Any], ...]
    results_returned: int | None = None
    read_operations: int | None = None
    execution_seconds: float | None = None
    debug_stats: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class PipelineScan:
    """One reading of the database by a pipeline: ``indexes_used`` as in :class:`ExplainMetrics`, and what was
    examined."""

    collection: str
    indexes_used: tuple[Mapping[str, Any], ...]
    documents_scanned: int
    index_entries_scanned: int


@dataclass(frozen=True, slots=True)
class PipelineResult(Generic[T]):
    """The rows of a pipeline, and what computing them took."""

    rows: Sequence[T]
    scans: tuple[PipelineScan, ...]
    documents_got: int
    execution_seconds: float


@dataclass(frozen=True, slots=True)
class QueryResult:
    """A query's documents, in its order, projected as it asks. ``skipped``: how many its offset passed."""

    documents: Sequence[Document]
    read_time: Timestamp
    transaction: bytes | None = None
    skipped: int = 0
    explain: ExplainMetrics | None = None


@dataclass(frozen=True, slots=True)
class AggregationResult:
    """Values by alias. Empty if the query was only explained."""

    values: Mapping[str, Value]
    read_time: Timestamp
    transaction: bytes | None = None
    explain: ExplainMetrics | None = None


@dataclass(frozen=True, slots=True)
class ListedDocument:
    """One entry of a list of documents; ``document`` is absent for a missing one (``show_missing``)."""

    name: DocumentName
    document: Document | None


@dataclass(frozen=True, slots=True)
class DocumentPage:
    """A page of a list. ``next_page_token`` is empty on the last."""

    documents: Sequence[ListedDocument]
    next_page_token: str
    read_time: Timestamp
    transaction: bytes | None = None


@dataclass(frozen=True, slots=True)
class CollectionIdPage:
    """A page of collection ids."""

    collection_ids: Sequence[str]
    next_page_token: str


@dataclass(frozen=True, slots=True)
class PartitionPage:
    """Cursors that split a query's results; empty if they are too few to split."""

    partitions: Sequence[Cursor]
    next_page_token: str
