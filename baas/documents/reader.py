"""A database at one version, inside a unit of work: what gets and queries are made of."""

from __future__ import annotations

import sys
from collections.abc import Collection, Iterator, Sequence
from typing import Any

from baas.db.unit import Tx
from baas.documents.catalogue import Catalogue, CollectionEntry, DatabaseEntry
from baas.documents.change_feed import NO_EPOCH, Most, TooManyChanges, changes_since
from baas.documents.history import documents_before, state_at
from baas.documents.indexes import Index, IndexCatalogue
from baas.documents.records import Row, find_row, id_key, make_document, some_ids
from baas.errors import InvalidArgument
from baas.model.change import CommitChanges
from baas.model.document import Document
from baas.model.paths import DatabaseId, DocumentName
from baas.model.remembered import Remembered
from baas.model.values import Timestamp


class Reader:
    """Reads one version of one database.

    ``at`` asks for a past version; otherwise it is the latest that the unit sees. ``version`` tells which.
    """

    def __init__(
        self,
        tx: Tx,
        catalogue: Catalogue,
        indexes: IndexCatalogue,
        database: DatabaseId,
        at: Timestamp | None = None,
    ) -> None:
        self.tx = tx
        self.catalogue = catalogue
        self.database = database
        self.entry: DatabaseEntry | None = catalogue.database(tx, database)
        self._indexes = indexes
        self._generation = 0
        latest = oldest = catalogue.floor
        row = None
        if self.entry is not None:
            row = tx.one(
                "SELECT last_commit, oldest_change, index_generation FROM databases WHERE id = ?",
                (self.entry.key,),
            )
        if row is None:
            self.entry = None
        else:
            latest, oldest, self._generation = row
        self.latest = Timestamp(latest)
        self.oldest = Timestamp(oldest)
        self.version = at or self.latest
        if self.version < self.oldest and self.entry is not None:
            raise InvalidArgument(
                "The requested read time is too old: this server keeps changes since "
                f"{self.oldest.to_datetime().isoformat()}."
            )
        self._overlay: dict[DocumentName, Document | None] | None = None
        self._open: list[Any] = []

    def rows(self, sql: str, params: Sequence[Any]) -> Iterator[Row]:
        """Rows as they are found, for scans that may stop early."""
        cursor = iter(self.tx.iterate(sql, params))
        self._open.append(cursor)
        return cursor

    def row(self, row_id: int) -> Row | None:
        """The row of a document by its number, with the key of its collection last."""
        return self.tx.one(
            "SELECT id, document_id, fields, create_time, update_time, collection_key FROM documents"
            " WHERE id = ?",
            (row_id,),
        )

    def count(
        self,
        table: str,
        columns: tuple[str, str],
        owner: int,
        keys: tuple[bytes, bytes | None],
        most: int,
    ) -> int:
        """How many rows of one owner have a key within bounds, counted up to ``most``.

        ``table`` and ``columns`` (the owner's and the key's) are names from this room's own code.
        """
        low, high = keys
        bound = "" if high is None else f" AND {columns[1]} < ?"
        row = self.tx.one(
            f"SELECT count(*) FROM (SELECT 1 FROM {table} WHERE {columns[0]} = ?"
            f" AND {columns[1]} >= ?{bound} LIMIT ?)",
            (owner, low, *(() if high is None else (high,)), most),
        )
        return 0 if row is None else int(row[0])

    def close(self) -> None:
        """End scans that stopped early, or failed: an open one would hold its version of the file."""
        for cursor in self._open:
            if hasattr(cursor, "close"):
                cursor.close()
        self._open.clear()

    @property
    def epoch(self) -> bytes:
        """Tells one history of a database from another of the same name."""
        return NO_EPOCH if self.entry is None else self.entry.epoch

    @property
    def is_past(self) -> bool:
        """Whether commits that the unit sees came after the version that is read."""
        return self.version < self.latest

    def get(self, name: DocumentName) -> Document | None:
        """One document, or ``None`` if it does not exist.

        Raises:
            InvalidArgument: it belongs to another database.
        """
        if name.database != self.database:
            raise InvalidArgument(
                f"Document {name.name[:200]} is not in database {self.database.name}."
            )
        entry = self.entry
        if entry is None:
            return None
        collection = self.catalogue.collection(self.tx, entry, name.collection)
        if collection is None:
            return None
        key = id_key(name.id)
        row = find_row(self.tx, collection.key, key)
        current = None if row is None else make_document(name, row[2], row[3], row[4])
        if not self.is_past:
            return current
        return state_at(self.tx, entry.key, collection, key, name, current, self.version)

    def has_documents(self, segments: tuple[str, ...]) -> bool:
        """Whether a collection has a document."""
        collection = self.collection(segments)
        if collection is None:
            return False
        differing = {
            name.id: document
            for name, document in self.overlay().items()
            if name.collection == segments
        }
        if any(document is not None for document in differing.values()):
            return True
        stored = some_ids(self.tx, collection.key, len(differing) + 1)
        return any(document_id not in differing for document_id in stored)

    def get_now(self, name: DocumentName) -> Document | None:
        """One document as the rows are now, whatever version is read."""
        collection = self.collection(name.collection)
        row = None if collection is None else find_row(self.tx, collection.key, id_key(name.id))
        return None if row is None else make_document(name, row[2], row[3], row[4])

    def collection(self, segments: tuple[str, ...]) -> CollectionEntry | None:
        """A collection that has or had documents."""
        if self.entry is None:
            return None
        return self.catalogue.collection(self.tx, self.entry, segments)

    def collection_by_key(self, key: int) -> CollectionEntry:
        """The collection of a row of this database."""
        if self.entry is None:
            raise LookupError(f"no collection with key {key}")
        return self.catalogue.collection_by_key(self.tx, self.entry, key)

    def group(self, collection_id: str, parent: tuple[str, ...]) -> Iterator[CollectionEntry]:
        """Collections with an id (empty: any) below a parent, in the order of their paths."""
        if self.entry is None:
            return iter(())
        return self.catalogue.group(self.tx, self.entry, collection_id, parent)

    def ready_indexes(self, collection_id: str) -> tuple[Index, ...]:
        """The indexes that a query on such collections may use at this version."""
        if self.entry is None:
            return ()
        return self._indexes.ready(self.tx, self.entry.key, self._generation, collection_id)

    def note_use(self, index_ids: Collection[int]) -> None:
        """Indexes that a query is going to use."""
        self._indexes.note_use(index_ids)

    @property
    def plans(self) -> Remembered[object]:
        """Plans of queries that come again; see :class:`IndexCatalogue`."""
        return self._indexes.plans

    def overlay(self) -> dict[DocumentName, Document | None]:
        """What differs between the version that is read and the rows: documents as they were."""
        if self._overlay is None:
            self._overlay = {}
            if self.entry is not None and self.is_past:
                self._overlay = documents_before(self.tx, self.catalogue, self.entry, self.version)
        return self._overlay

    def changes_since(
        self,
        version: Timestamp,
        most_changes: int | None = None,
        most_bytes: int | None = None,
    ) -> tuple[CommitChanges, ...] | None:
        """All commits after a version up to the latest, in order; ``None`` if not kept that far back, or if
        there are more than is asked for."""
        if self.entry is None:
            return ()
        if version < self.oldest:
            return None
        most = Most(
            sys.maxsize if most_changes is None else most_changes,
            sys.maxsize if most_bytes is None else most_bytes,
        )
        try:
            return changes_since(self.tx, self.catalogue, self.entry, version, most)
        except TooManyChanges:
            return None
