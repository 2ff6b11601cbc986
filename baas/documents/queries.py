"""A canonical query on one version: documents, what it took, and how it was planned."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from baas.db.unit import NotQuick
from baas.documents.aggregation import aggregate, counted, enough, only_counts
from baas.documents.nearest import nearest
from baas.documents.reader import Reader
from baas.documents.results import ExplainMetrics
from baas.documents.scan import Scan, run_scan
from baas.model.document import Document
from baas.model.query import Aggregation, Query
from baas.model.values import Value

_NO_LIMIT = 2**62


@dataclass(frozen=True, slots=True)
class Outcome:
    """What running a query gave. ``scan`` knows the plans and what they examined."""

    documents: list[Document]
    skipped: int
    scan: Scan
    seconds: float

    matched: int
    """Results that the scan gave, whatever became of them."""


def run(reader: Reader, canonical: Query) -> Outcome:
    """The whole documents that a query means, in its order. Its projection is left to the caller."""
    began = time.perf_counter()
    if canonical.find_nearest is not None:
        if reader.tx.quick:
            raise NotQuick
        scan = Scan(reader, canonical)
        candidates = list(scan.documents())
        found, skipped, matched = nearest(candidates, canonical), 0, len(candidates)
    else:
        scan = Scan(reader, canonical, wanted(canonical))
        if reader.tx.quick and not scan.is_quick:
            raise NotQuick
        found, skipped = run_scan(scan, canonical.offset, canonical.limit)
        matched = len(found) + skipped
    return Outcome(found, skipped, scan, time.perf_counter() - began, matched)


def run_aggregation(
    reader: Reader, canonical: Query, aggregations: Sequence[Aggregation]
) -> tuple[dict[str, Value], ExplainMetrics, Outcome]:
    """The values of aggregations over what a query means, by alias, and what it took."""
    began = time.perf_counter()
    bound = enough(aggregations)
    if bound is not None:
        limit = canonical.limit
        canonical = replace(canonical, limit=bound if limit is None else min(limit, bound))
    if only_counts(aggregations) and canonical.find_nearest is None:
        scan = Scan(reader, canonical, wanted(canonical))
        most = wanted(canonical)
        count = scan.count(_NO_LIMIT if most is None else most)
        if count is not None:
            values = counted(aggregations, max(0, count - canonical.offset))
            outcome = Outcome([], 0, scan, time.perf_counter() - began, count)
            return values, replace(analyzed(outcome, outcome.seconds), results_returned=1), outcome
    outcome = run(reader, canonical)
    values = aggregate(outcome.documents, aggregations)
    metrics = analyzed(outcome, time.perf_counter() - began)
    return values, replace(metrics, results_returned=1), outcome


def wanted(canonical: Query) -> int | None:
    """How many results the query takes from its scan at most."""
    return None if canonical.limit is None else canonical.offset + canonical.limit


def query_reader(reader: Reader, canonical: Query) -> Iterator[Document]:
    """For listeners: the whole documents that a canonical query means at the reader's version, in order.

    Its offset and limit hold; its projection is left aside. Documents are read as they are iterated, so
    that the caller may stop where they become too many; within the reader's unit of work only.
    """
    whole = replace(canonical, select=None)
    if whole.find_nearest is not None:
        return iter(run(reader, whole).documents)
    end = wanted(whole)
    return itertools.islice(Scan(reader, whole, end).documents(), whole.offset, end)


def planned(reader: Reader, canonical: Query) -> ExplainMetrics:
    """How a query would be run."""
    return ExplainMetrics(Scan(reader, canonical, wanted(canonical)).describe())


def analyzed(outcome: Outcome, seconds: float) -> ExplainMetrics:
    """How a query was run, and what it took."""
    examined = outcome.scan.examined
    return ExplainMetrics(
        outcome.scan.describe(),
        results_returned=len(outcome.documents),
        read_operations=max(1, examined.documents),
        execution_seconds=seconds,
        debug_stats={
            "documents_scanned": str(examined.documents),
            "index_entries_scanned": str(examined.entries),
        },
    )
