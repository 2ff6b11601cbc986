"""Running a query: plans, checks, order, one stream of documents.

What a past version needs beyond the rows comes in here: documents that changed since are taken out of every
plan's stream, and put in as they were.
"""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeAlias, cast

from baas.documents.bounds import END, Cut, Stretch
from baas.documents.conjunctions import conjuncts
from baas.documents.indexes import Index
from baas.documents.merge_join import MergeJoin
from baas.documents.planner import choose_plan
from baas.documents.plans import Examined, Plan
from baas.documents.reader import Reader
from baas.model.canonical import Conjunction
from baas.model.document import Document
from baas.model.matching import Predicate, compile_filter, compile_order, within_cursors
from baas.model.query import CompositeFilter, Query

Planned: TypeAlias = tuple[Sequence[Plan], Sequence[Conjunction]]
"""A plan and the filters of each disjunct."""


def _planned(query: Query, indexes: Sequence[Index], after: bytes | None = None) -> Planned:
    parts = conjuncts(query)
    if after is not None:
        beyond = Stretch(Cut(after, after=True), END)
        for part in parts:
            part.cursors = beyond if part.cursors is None else part.cursors.both(beyond)
    plans = [choose_plan(query, part, indexes) for part in parts]
    return plans, [part.filters for part in parts]


QUICK_RESULTS = 100
"""A query that wants more results than these is not quick."""


class Scan:
    """One query on one version. ``query`` is in canonical form; offset and limit are the caller's matter,
    ``wanted`` tells how many results it will take at most. ``after``, for queries without filters: only what
    comes after this key of the order."""

    def __init__(
        self,
        reader: Reader,
        query: Query,
        wanted: int | None = None,
        *,
        after: bytes | None = None,
    ) -> None:
        self._reader = reader
        self.query = query
        self._wanted = wanted
        self._after = after
        indexes = reader.ready_indexes(query.collection_id)
        if after is None:
            self.plans, self._filters = cast(
                Planned, reader.plans.of(lambda: _planned(query, indexes), query, indexes)
            )
        else:
            self.plans, self._filters = _planned(query, indexes, after)
        self.examined = Examined()

    @property
    def is_quick(self) -> bool:
        """Whether it looks at few rows, whatever the database holds."""
        return (
            self._wanted is not None
            and self._wanted <= QUICK_RESULTS
            and len(self.plans) == 1
            and self.plans[0].direct
            and not self._reader.is_past
        )

    @property
    def joined(self) -> bool:
        """Whether several indexes are joined."""
        return any(isinstance(plan, MergeJoin) for plan in self.plans)

    def describe(self) -> tuple[Mapping[str, Any], ...]:
        """The plans, each named once."""
        seen: list[Mapping[str, Any]] = []
        for plan in self.plans:
            description = plan.describe()
            if description not in seen:
                seen.append(description)
        return tuple(seen)

    def documents(self) -> Iterator[Document]:
        """The results in order, each once."""
        reader, query = self._reader, self.query
        self._note_use()
        overlay = reader.overlay() if reader.is_past else {}
        sources = [
            self._ordered(plan, self._checked(plan, filters))
            for plan, filters in zip(self.plans, self._filters, strict=True)
        ]
        if len(sources) == 1 and not overlay:
            return sources[0]
        key = compile_order(query)
        if overlay:
            check = self._check(query)
            found = [
                document
                for document in overlay.values()
                if document is not None and check(document)
            ]
            sources.append(iter(sorted(found, key=key)))
        merged = heapq.merge(*sources, key=key)
        return (next(group) for _, group in itertools.groupby(merged, key=key))

    def count(self, most: int) -> int | None:
        """How many results there are, at most ``most``, if that can be told without fetching them."""
        if len(self.plans) != 1 or not self.plans[0].exact or self._reader.is_past:
            return None
        self._note_use()
        return self.plans[0].count(self._reader, most, self.examined)

    def _note_use(self) -> None:
        for plan in self.plans:
            self._reader.note_use(plan.index_ids)

    def _checked(self, plan: Plan, filters: Conjunction) -> Iterator[Document]:
        """The plan's candidates that are results of its disjunct, at the version read.

        Not results of the whole query: the plan has only those of its disjunct in order.
        """
        most = self._wanted if plan.exact and plan.ordered and not self._reader.is_past else None
        source = plan.run(self._reader, self.examined, most)
        overlay = self._reader.overlay() if self._reader.is_past else {}
        if overlay:
            source = (document for document in source if document.name not in overlay)
        if plan.exact:
            return source
        where = CompositeFilter("AND", filters) if filters else None
        return filter(self._check(replace(self.query, where=where)), source)

    def _check(self, query: Query) -> Predicate:
        """Whether a document is a result of the query, or of one disjunct of it."""
        after = self._after
        matches = compile_filter(query)
        if after is not None:
            key = compile_order(query)
            return lambda document: matches(document) and key(document) > after
        if query.start_at is None and query.end_at is None:
            return matches
        within = within_cursors(query)
        return lambda document: matches(document) and within(document)

    def _ordered(self, plan: Plan, source: Iterator[Document]) -> Iterator[Document]:
        if plan.ordered:
            return source
        key = compile_order(self.query)
        if self._wanted is not None:
            return iter(heapq.nsmallest(self._wanted, source, key=key))
        return iter(sorted(source, key=key))


def run_scan(scan: Scan, offset: int, limit: int | None) -> tuple[list[Document], int]:
    """The documents after an offset, up to a limit, and how many the offset passed."""
    documents = scan.documents()
    skipped = sum(1 for _ in itertools.islice(documents, offset)) if offset else 0
    return list(itertools.islice(documents, limit)), skipped
