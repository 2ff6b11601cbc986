"""Limits and habits of the document store that differ between users."""

from __future__ import annotations

from dataclasses import dataclass

from baas.model.limits import MAX_BATCH_GET, MAX_BATCH_WRITES, MAX_WRITES


@dataclass(frozen=True, slots=True)
class DocumentOptions:
    """Times are in seconds."""

    change_retention: float = 3_600.0
    """How long changes are kept: resuming a listener and reading in the past reach back so far."""
    prune_interval: float = 30.0
    """How often changes that are older than that are dropped."""
    prune_chunk: int = 500
    """Rows that one unit of background work touches at most; the writer's others wait no longer."""

    max_writes: int = MAX_WRITES
    """Writes in one commit."""
    max_batch_writes: int = MAX_BATCH_WRITES
    """Writes in one batch write."""
    max_batch_get: int = MAX_BATCH_GET
    """Documents in one batch get."""
    max_page_size: int = 1_000
    """Documents, or collection ids, on one page of a list."""
    default_page_size: int = 300

    query_seconds: float = 60.0
    """How long one query, or one page of a list, may wait and run."""

    transaction_idle: float = 60.0
    transaction_total: float = 270.0
    max_transactions: int = 5_000
    """Open transactions."""
    max_transaction_reads: int = 20_000
    """Documents and queries that one transaction may read."""
    contention_wait: float = 5.0
    """How long a retried transaction may wait for, and then hold, what it was aborted over."""

    clear_chunk: int = 500
    """Documents that one unit deletes when a database is cleared."""

    adaptive_indexes: bool = True
    index_min_examined: int = 100
    """A query that examines no more than this is good enough as it is."""
    index_examined_ratio: float = 4.0
    """A query that examines more than so many entries a result gets an index of its own."""
    index_chunk: int = 100
    """Documents that one unit of index building looks at."""
    max_indexes: int = 500
    """Indexes in one database, pinned ones included. For one more that a query wishes for, the unpinned one
    that was not used for the longest time goes."""
    index_idle: float = 3_600.0
    """Only an index that no query used for so long goes for another. While all are in use, queries beyond
    run on what there is."""
    index_use_interval: float = 60.0
    """How often it is noted which indexes were used."""

    ttl_interval: float = 60.0
    """How often expired documents are looked for."""
    ttl_chunk: int = 100
