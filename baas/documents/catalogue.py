"""Which databases and collections there are, by key: read once, kept in memory.

Keys of what is committed never change, so whatever is here is true for ever. The writer also knows what it
made in a unit that is not durable yet: that is kept apart, joins after the flush, and is forgotten if the
unit fails, so that no reader ever sees a key that another collection may get.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TypeVar

from baas.db.unit import Tx
from baas.model.key_encoding import encode_path_prefix, prefix_end
from baas.model.paths import DatabaseId

K = TypeVar("K")
V = TypeVar("V")

MAX_CACHED = 50_000
"""Collections kept in memory; when there are more, the cache begins anew."""


@dataclass(frozen=True, slots=True)
class CollectionEntry:
    """A collection that has, or once had, documents. ``prefix``: how the keys of its documents begin."""

    key: int
    segments: tuple[str, ...]
    prefix: bytes

    @property
    def collection_id(self) -> str:
        """The last segment."""
        return self.segments[-1]


@dataclass(slots=True, eq=False)
class DatabaseEntry:
    """A database that something was written to, with the collections that are known of it."""

    id: DatabaseId
    key: int
    epoch: bytes
    collections: dict[tuple[str, ...], CollectionEntry] = field(default_factory=dict)
    by_key: dict[int, CollectionEntry] = field(default_factory=dict)

    def remember(self, entry: CollectionEntry) -> None:
        """Keep a committed collection."""
        if len(self.collections) >= MAX_CACHED:
            self.collections = {}
            self.by_key = {}
        self.collections[entry.segments] = entry
        self.by_key[entry.key] = entry


class Catalogue:
    """Finds databases and collections, and makes them at their first write.

    ``floor`` is a version in microseconds: a database that does not exist yet is read at it, and one that is
    made begins with it, so that versions of a database never go back, not even at its first write.
    """

    def __init__(self, floor: int) -> None:
        self.floor = floor
        self._databases: dict[DatabaseId, DatabaseEntry] = {}
        self._unflushed_databases: dict[DatabaseId, DatabaseEntry] = {}
        self._unflushed: dict[tuple[int, tuple[str, ...]], CollectionEntry] = {}

    # For readers: what is committed

    def database(self, tx: Tx, database: DatabaseId) -> DatabaseEntry | None:
        """A database, or ``None`` if nothing was ever written to it."""
        entry = self._databases.get(database)
        if entry is None:
            row = tx.one(
                "SELECT id, epoch FROM databases WHERE project = ? AND name = ?",
                (database.project, database.database),
            )
            if row is None:
                return None
            entry = self._databases.setdefault(database, DatabaseEntry(database, row[0], row[1]))
        return entry

    def collection(
        self, tx: Tx, database: DatabaseEntry, segments: tuple[str, ...]
    ) -> CollectionEntry | None:
        """A collection, or ``None`` if there never was a document in it."""
        entry = database.collections.get(segments)
        if entry is None:
            prefix = encode_path_prefix(segments)
            row = tx.one(
                "SELECT id FROM collections WHERE database_id = ? AND path_key = ?",
                (database.key, prefix),
            )
            if row is None:
                return None
            entry = CollectionEntry(row[0], segments, prefix)
            database.remember(entry)
        return entry

    def collection_by_key(self, tx: Tx, database: DatabaseEntry, key: int) -> CollectionEntry:
        """The collection with a key that a row of this database holds."""
        entry = database.by_key.get(key)
        if entry is None:
            row = tx.one("SELECT path, path_key FROM collections WHERE id = ?", (key,))
            if row is None:
                raise LookupError(f"no collection with key {key}")
            entry = CollectionEntry(key, tuple(row[0].split("/")), row[1])
        return entry

    def group(
        self, tx: Tx, database: DatabaseEntry, collection_id: str, parent: tuple[str, ...]
    ) -> Iterator[CollectionEntry]:
        """The collections with an id (empty: any) below a parent, in the order of their paths."""
        low = encode_path_prefix(parent)
        high = prefix_end(low)
        bounds = "" if high is None else " AND path_key < ?"
        by_id = " AND collection_id = ?" if collection_id else ""
        params = [database.key, *([collection_id] if collection_id else []), low]
        sql = (
            "SELECT id, path, path_key FROM collections WHERE database_id = ?"
            f"{by_id} AND path_key > ?{bounds} ORDER BY path_key"
        )
        for key, path, path_key in tx.iterate(sql, [*params, *([high] if high else [])]):
            yield CollectionEntry(key, tuple(path.split("/")), path_key)

    # For the writer: what is committed, and what it made in this batch

    def database_for_write(self, tx: Tx, database: DatabaseId) -> DatabaseEntry:
        """A database, made if it does not exist."""
        entry = self._databases.get(database) or self._unflushed_databases.get(database)
        if entry is not None:
            return entry
        row = tx.one(
            "SELECT id, epoch FROM databases WHERE project = ? AND name = ?",
            (database.project, database.database),
        )
        if row is not None:
            return self._databases.setdefault(database, DatabaseEntry(database, row[0], row[1]))
        epoch = os.urandom(8)
        key = tx.insert(
            "INSERT INTO databases (project, name, epoch, last_commit, oldest_change)"
            " VALUES (?, ?, ?, ?, ?)",
            (database.project, database.database, epoch, self.floor, self.floor),
        )
        made = DatabaseEntry(database, key, epoch)
        _until_flushed(
            tx,
            self._unflushed_databases,
            database,
            made,
            lambda: self._databases.setdefault(database, made),
        )
        return made

    def collection_for_write(
        self, tx: Tx, database: DatabaseEntry, segments: tuple[str, ...]
    ) -> CollectionEntry:
        """A collection, registered if it is new."""
        entry = self.existing_for_write(tx, database, segments)
        if entry is not None:
            return entry
        prefix = encode_path_prefix(segments)
        key = tx.insert(
            "INSERT INTO collections (database_id, path_key, path, collection_id)"
            " VALUES (?, ?, ?, ?)",
            (database.key, prefix, "/".join(segments), segments[-1]),
        )
        made = CollectionEntry(key, segments, prefix)
        mark = (database.key, segments)
        _until_flushed(tx, self._unflushed, mark, made, lambda: database.remember(made))
        return made

    def existing_for_write(
        self, tx: Tx, database: DatabaseEntry, segments: tuple[str, ...]
    ) -> CollectionEntry | None:
        """A collection as the writer sees it, or ``None`` if there is none yet."""
        entry = database.collections.get(segments)
        if entry is None:
            entry = self._unflushed.get((database.key, segments))
        if entry is None:
            prefix = encode_path_prefix(segments)
            row = tx.one(
                "SELECT id FROM collections WHERE database_id = ? AND path_key = ?",
                (database.key, prefix),
            )
            if row is None:
                return None
            # committed, or else it would be among the unflushed
            entry = CollectionEntry(row[0], segments, prefix)
            database.remember(entry)
        return entry


def _until_flushed(
    tx: Tx, unflushed: dict[K, V], key: K, made: V, publish: Callable[[], object]
) -> None:
    """Keep what a unit made to the writer until it is durable, publish it then, and forget it if it fails."""
    unflushed[key] = made

    def flushed() -> None:
        publish()
        unflushed.pop(key, None)

    def failed() -> None:
        unflushed.pop(key, None)

    tx.on_flush(flushed)
    tx.on_rollback(failed)
