"""The ways to get the candidates of one conjunct, each a stream of rows in a known order.

A plan gives every document that the conjunct can match, and perhaps others; whoever runs it checks them
unless the plan is ``exact``. ``ordered``: documents come in the query's order.
"""

from __future__ import annotations

import heapq
import itertools
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from baas.documents.bounds import END, START, Cut, Stretch
from baas.documents.catalogue import CollectionEntry
from baas.documents.indexes import FieldKind, Index, Scope, scope_key
from baas.documents.key_checks import KeyPart, key_check
from baas.documents.reader import Reader
from baas.documents.records import document_of, documents_of
from baas.model.document import Document
from baas.model.key_encoding import descending
from baas.model.paths import DocumentName, format_field_path

ALL_AT_ONCE = 100
"""Rows that are fetched in one go, where so few are wanted."""
CHECK_EVERY = 100
"""Documents after which a scan asks whether it may go on."""


@dataclass(slots=True)
class Examined:
    """What running a plan looked at."""

    documents: int = 0
    entries: int = 0


class Plan(ABC):
    """A way to get candidates."""

    ordered: bool
    exact: bool

    @property
    def direct(self) -> bool:
        """Whether it looks at hardly more rows than are taken of it."""
        return self.ordered and self.exact

    @property
    def index_ids(self) -> tuple[int, ...]:
        """The indexes that it uses."""
        return ()

    @abstractmethod
    def run(
        self, reader: Reader, examined: Examined, most: int | None = None
    ) -> Iterator[Document]:
        """The candidates, as the rows are now: what changed since the version read is not undone.

        ``most``: the caller takes so many at most.
        """

    def count(self, reader: Reader, most: int, examined: Examined) -> int | None:
        """How many candidates there are, at most ``most``, without fetching them; ``None``: unknown."""
        return None

    @abstractmethod
    def describe(self) -> Mapping[str, Any]:
        """The plan as a member of ``planSummary.indexesUsed``."""


@dataclass(slots=True)
class OneDocument(Plan):
    """The document that ``__name__`` is said to equal."""

    name: DocumentName
    ordered: bool = True
    exact: bool = False

    @property
    def direct(self) -> bool:
        """See :meth:`Plan.direct`."""
        return True

    def run(
        self, reader: Reader, examined: Examined, most: int | None = None
    ) -> Iterator[Document]:
        document = reader.get_now(self.name)
        examined.documents += 1
        if document is not None:
            yield document

    def describe(self) -> Mapping[str, Any]:
        return {"query_scope": "Document", "properties": "(__name__ ASC)"}


@dataclass(slots=True)
class ByName(Plan):
    """The documents of one collection, or of all collections of a group (an empty ``collection_id``: of all
    collections, directly below the parent only unless ``deep``), in the order of their names."""

    parent: tuple[str, ...]
    collection_id: str
    group: bool
    deep: bool
    stretch: Stretch
    reverse: bool
    ordered: bool
    exact: bool

    @property
    def direct(self) -> bool:
        """See :meth:`Plan.direct`; the collections of a group are looked at one by one."""
        return self.ordered and self.exact and not self.group

    def run(
        self, reader: Reader, examined: Examined, most: int | None = None
    ) -> Iterator[Document]:
        if not self.group:
            collection = reader.collection((*self.parent, self.collection_id))
            return iter(()) if collection is None else self._scan(reader, collection, examined)
        collections = self._collections(reader)
        if self.ordered:
            return (document for _, document in self._merged(reader, collections, examined))
        return (
            document
            for collection in collections
            for document in self._scan(reader, collection, examined)
        )

    def count(self, reader: Reader, most: int, examined: Examined) -> int | None:
        """See :meth:`Plan.count`."""
        if self.group:
            collections = self._collections(reader)
        else:
            collection = reader.collection((*self.parent, self.collection_id))
            collections = [] if collection is None else [collection]
        total = 0
        for entry in collections:
            keys = _after_prefix(self._forward(), entry.prefix)
            if keys is not None and total < most:
                total += reader.count(
                    "documents", ("collection_key", "id_key"), entry.key, keys, most - total
                )
        examined.entries += total
        return total

    def _collections(self, reader: Reader) -> list[CollectionEntry]:
        """The collections of the group."""
        depth = len(self.parent) + 1
        return [
            entry
            for entry in reader.group(self.collection_id, self.parent)
            if self.deep or len(entry.segments) == depth
        ]

    def _forward(self) -> Stretch:
        return self.stretch.inverted() if self.reverse else self.stretch

    def describe(self) -> Mapping[str, Any]:
        scope = "Collection Group" if self.group else "Collection"
        direction = "DESC" if self.reverse else "ASC"
        return {"query_scope": scope, "properties": f"(__name__ {direction})"}

    def _scan(
        self, reader: Reader, collection: CollectionEntry, examined: Examined
    ) -> Iterator[Document]:
        for _, document in self._keyed(reader, collection, examined):
            yield document

    def _keyed(
        self, reader: Reader, collection: CollectionEntry, examined: Examined
    ) -> Iterator[tuple[bytes, Document]]:
        keys = _after_prefix(self._forward(), collection.prefix)
        if keys is None:
            return
        low, high = keys
        bound = "" if high is None else " AND id_key < ?"
        sql = (
            "SELECT id, document_id, fields, create_time, update_time, id_key FROM documents"
            f" WHERE collection_key = ? AND id_key >= ?{bound}"
            f" ORDER BY id_key{' DESC' if self.reverse else ''}"
        )
        params = (collection.key, low) if high is None else (collection.key, low, high)
        for row in reader.rows(sql, params):
            examined.documents += 1
            if not examined.documents % CHECK_EVERY:
                reader.tx.check()
            yield row[5], document_of(reader.database, collection, row)

    def _merged(
        self, reader: Reader, collections: list[CollectionEntry], examined: Examined
    ) -> Iterator[tuple[bytes, Document]]:
        """Many collections in one order. A collection is opened only when its turn may have come."""

        def key_of(key: bytes) -> bytes:
            return descending(key) if self.reverse else key

        waiting = sorted(
            ((key_of(entry.prefix), entry) for entry in collections), key=lambda pair: pair[0]
        )
        waiting.reverse()
        heap: list[tuple[bytes, int, Document, Iterator[tuple[bytes, Document]], bytes]] = []

        def push(source: Iterator[tuple[bytes, Document]], prefix: bytes) -> None:
            found = next(source, None)
            if found is not None:
                key = key_of(prefix + found[0])
                heapq.heappush(heap, (key, id(source), found[1], source, prefix))

        while waiting or heap:
            while waiting and (not heap or waiting[-1][0] <= heap[0][0]):
                _, entry = waiting.pop()
                push(self._keyed(reader, entry, examined), entry.prefix)
            if heap:
                key, _, document, source, prefix = heapq.heappop(heap)
                yield key, document
                push(source, prefix)


def _after_prefix(stretch: Stretch, prefix: bytes) -> tuple[bytes, bytes | None] | None:
    """The part of a stretch of whole keys that lies in one collection, as keys without its prefix."""
    bounds = stretch.both(Stretch(Cut(prefix, after=False), Cut(prefix, after=True))).keys()
    if bounds is None:
        return None
    low, high = bounds
    size = len(prefix)
    inner_low = low[size:] if low.startswith(prefix) else b""
    inner_high = high[size:] if high is not None and high.startswith(prefix) else None
    return inner_low, inner_high


@dataclass(slots=True)
class IndexScan(Plan):
    """One stretch of one index. ``fixed``: how many filters its prefix says; ``bounded``: whether more than
    the prefix limits the stretch; ``exact_but_fixed``: whether only fixed filters may be left to check."""

    index: Index
    collection: tuple[str, ...] | None
    prefix: bytes
    stretch: Stretch
    reverse: bool
    ordered: bool
    exact: bool
    exact_but_fixed: bool
    fixed: int
    bounded: bool
    gaps: tuple[bytes, ...] = ()
    """Encoded values, in the order of keys, that the field after the prefix must not have: they are jumped
    over."""
    key_parts: tuple[KeyPart, ...] = ()
    """What the keys must hold after the prefix, beyond the stretch; nothing: no more than that."""

    @property
    def direct(self) -> bool:
        """See :meth:`Plan.direct`; entries whose keys do not hold what they must are looked at, too."""
        return self.ordered and self.exact and not self.key_parts

    @property
    def checks_keys(self) -> bool:
        """Whether keys are checked beyond the stretch."""
        return bool(self.key_parts)

    @property
    def index_ids(self) -> tuple[int, ...]:
        """See :meth:`Plan.index_ids`."""
        return (self.index.id,)

    def run(
        self, reader: Reader, examined: Examined, most: int | None = None
    ) -> Iterator[Document]:
        if self.gaps or self.key_parts:
            return self._in_parts(reader, examined)
        bounds = self.keys(reader)
        if bounds is None:
            return iter(())
        collection = None if self.collection is None else reader.collection(self.collection)
        sql, params = self._select(bounds)
        if most is None or most > ALL_AT_ONCE or collection is None:
            return self._streamed(reader, examined, collection, sql, params)
        rows = reader.tx.all(f"{sql} LIMIT ?", (*params, most))
        examined.entries += len(rows)
        examined.documents += len(rows)
        return iter(documents_of(reader.database, collection, rows))

    def _in_parts(self, reader: Reader, examined: Examined) -> Iterator[Document]:
        """Between the gaps, and by what keys hold."""
        collection = None if self.collection is None else reader.collection(self.collection)
        for bounds in self._parts(reader):
            if not self.key_parts:
                yield from self._streamed(reader, examined, collection, *self._select(bounds))
                continue
            for row_id in self._checked_entries(reader, examined, bounds):
                examined.documents += 1
                row = reader.row(row_id)
                if row is not None:
                    entry = collection or reader.collection_by_key(row[5])
                    yield document_of(reader.database, entry, row)

    def _checked_entries(
        self, reader: Reader, examined: Examined, bounds: tuple[bytes, bytes | None]
    ) -> Iterator[int]:
        """The rows of the documents whose keys hold what they must."""
        check = key_check(self.key_parts, len(self.full_prefix(reader)))
        low, high = bounds
        sql = _ENTRIES[self.reverse, high is not None]
        params = (self.index.id, low) if high is None else (self.index.id, low, high)
        for key, row_id in reader.rows(sql, params):
            examined.entries += 1
            if not examined.entries % CHECK_EVERY:
                reader.tx.check()
            if check(key):
                yield row_id

    def _select(self, bounds: tuple[bytes, bytes | None]) -> tuple[str, tuple[Any, ...]]:
        low, high = bounds
        sql = _SCANS[self.reverse, high is not None]
        return sql, (self.index.id, low) if high is None else (self.index.id, low, high)

    def _streamed(
        self,
        reader: Reader,
        examined: Examined,
        collection: CollectionEntry | None,
        sql: str,
        params: tuple[Any, ...],
    ) -> Iterator[Document]:
        for row in reader.rows(sql, params):
            examined.entries += 1
            examined.documents += 1
            if not examined.documents % CHECK_EVERY:
                reader.tx.check()
            entry = collection or reader.collection_by_key(row[5])
            yield document_of(reader.database, entry, row)

    def count(self, reader: Reader, most: int, examined: Examined) -> int | None:
        """See :meth:`Plan.count`."""
        keys = self.keys(reader)
        if keys is None:
            return 0
        if self.key_parts:
            found = itertools.islice(self._checked_entries(reader, examined, keys), most)
            return sum(1 for _ in found)
        total = reader.count("index_entries", ("index_id", "key"), self.index.id, keys, most)
        examined.entries += total
        return total

    def keys(self, reader: Reader) -> tuple[bytes, bytes | None] | None:
        """The stretch as bounds of entry keys; ``None`` if nothing can be there."""
        if self.collection is not None and reader.collection(self.collection) is None:
            return None
        return self.stretch.within(self.full_prefix(reader)).keys()

    def _parts(self, reader: Reader) -> Iterator[tuple[bytes, bytes | None]]:
        """What lies between the gaps, as bounds of entry keys, in the order of the scan."""
        if self.collection is not None and reader.collection(self.collection) is None:
            return
        prefix = self.full_prefix(reader)
        lows = (START, *(Cut(gap, after=True) for gap in self.gaps))
        highs = (*(Cut(gap, after=False) for gap in self.gaps), END)
        parts = list(map(Stretch, lows, highs))
        for part in reversed(parts) if self.reverse else parts:
            keys = self.stretch.both(part).within(prefix).keys()
            if keys is not None:
                yield keys

    def full_prefix(self, reader: Reader) -> bytes:
        """The bytes with which all keys of the stretch begin: scope and fixed fields."""
        collection = None if self.collection is None else reader.collection(self.collection)
        return self.prefix if collection is None else scope_key(collection.key) + self.prefix

    def describe(self) -> Mapping[str, Any]:
        definition = self.index.definition
        parts = [
            f"{format_field_path(field.path)} {_KINDS[field.kind]}" for field in definition.fields
        ]
        parts.append(f"__name__ {'DESC' if definition.name_descending else 'ASC'}")
        scope = "Collection" if definition.scope is Scope.COLLECTION else "Collection Group"
        return {"query_scope": scope, "properties": f"({', '.join(parts)})"}


_KINDS = {
    FieldKind.ASCENDING: "ASC",
    FieldKind.DESCENDING: "DESC",
    FieldKind.CONTAINS: "CONTAINS",
}

_ENTRIES = {
    (reverse, bounded): (
        f"SELECT key, document FROM index_entries WHERE index_id = ? AND key >= ?"
        f"{' AND key < ?' if bounded else ''} ORDER BY key{' DESC' if reverse else ''}"
    )
    for reverse in (False, True)
    for bounded in (False, True)
}

_SCANS = {
    (reverse, bounded): (
        "SELECT d.id, d.document_id, d.fields, d.create_time, d.update_time, d.collection_key"
        " FROM index_entries e CROSS JOIN documents d ON d.id = e.document"
        f" WHERE e.index_id = ? AND e.key >= ?{' AND e.key < ?' if bounded else ''}"
        f" ORDER BY e.key{' DESC' if reverse else ''}"
    )
    for reverse in (False, True)
    for bounded in (False, True)
}
