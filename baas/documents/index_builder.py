"""Indexes come and go while everything else goes on.

An index is registered first: from that commit on, every write maintains it. Then what was there before is
gone through in small chunks, each a unit of the writer, queued behind whoever waits. How far it has come is
stored with each chunk, so a restart goes on from there. When all is done the index is ready, and only then do
queries use it. Dropping goes the same way: unused and unmaintained at once, its entries removed in chunks.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

from baas.db.unit import Database, Tx
from baas.documents.catalogue import Catalogue, CollectionEntry, DatabaseEntry
from baas.documents.index_wishes import best_indexes, describe_shape
from baas.documents.indexes import (
    INSERT_ENTRY,
    Index,
    IndexCatalogue,
    IndexDefinition,
    IndexState,
    entry_keys,
    fields_to_text,
    load_indexes,
)
from baas.documents.options import DocumentOptions
from baas.documents.records import document_of
from baas.errors import ApiError, FailedPrecondition, NotFound
from baas.model.paths import DatabaseId
from baas.model.query import Query

log = logging.getLogger(__name__)

_DOCUMENTS_AFTER = (
    "SELECT id, document_id, fields, create_time, update_time, id_key FROM documents"
    " WHERE collection_key = ? AND id_key > ? ORDER BY id_key LIMIT ?"
)
_COLLECTION_AFTER = (
    "SELECT id, path, path_key FROM collections WHERE database_id = ? AND collection_id = ?"
    " AND path_key >= ? ORDER BY path_key LIMIT 1"
)
_NEXT_JOB = (
    "SELECT i.id, i.database_id, b.project, b.name FROM indexes i"
    " JOIN databases b ON b.id = i.database_id WHERE i.state IN ('building', 'dropping')"
    " ORDER BY i.state DESC, i.id LIMIT 1"
)
_RETRY_SECONDS = 5.0
_MAX_CONSIDERED = 10_000
_ASK_AGAIN_MICROS = 60_000_000
"""A wish that was refused is heard again after this time."""
_HEARD: Final = 2**63

_Wish: TypeAlias = tuple[DatabaseId, IndexDefinition]


@dataclass(frozen=True, slots=True)
class _Job:
    index_id: int
    database_key: int
    database: DatabaseId


class IndexBuilder:
    """Registers, builds, pins and drops indexes."""

    def __init__(
        self,
        database: Database,
        catalogue: Catalogue,
        indexes: IndexCatalogue,
        options: DocumentOptions,
        now: Callable[[], int],
    ) -> None:
        self._database = database
        self._catalogue = catalogue
        self._indexes = indexes
        self._options = options
        self._now = now
        self._work = asyncio.Event()
        self._work.set()  # what a restart interrupted
        self._wishes: deque[tuple[DatabaseId, IndexDefinition, str]] = deque()
        self._considered: dict[_Wish, int] = {}
        """When each wish is heard again; one that was granted, once its index was dropped."""
        self._stamped: dict[int, int] = {}

    # What queries ask for

    def consider(self, query: Query, examined: int, returned: int, *, joined: bool) -> None:
        """A canonical query was run: if it looked at far more than it gave, wish for its index.

        ``joined``: several indexes were joined for it.
        """
        options = self._options
        if (
            not options.adaptive_indexes
            or examined <= options.index_min_examined
            or examined <= options.index_examined_ratio * max(returned, 1)
        ):
            return
        for definition in best_indexes(query, joined=joined):
            wish = query.database, definition
            if self._now() >= self._considered.get(wish, 0):
                if len(self._considered) >= _MAX_CONSIDERED:
                    self._considered.clear()
                self._considered[wish] = _HEARD
                self._wishes.append((*wish, describe_shape(query)))
                self._work.set()

    # What an operator asks for

    async def request(
        self,
        database: DatabaseId,
        definition: IndexDefinition,
        requested_by: str,
        *,
        pinned: bool = False,
    ) -> Index | None:
        """Register an index, to be built; answers the one there is if there is one already.

        Where there are too many, one that is not used any more goes for it. ``None`` if there is none such:
        pinned ones are always taken.
        """
        await self.note_uses()

        def unit(tx: Tx) -> Index | None:
            entry = self._catalogue.database_for_write(tx, database)
            known = load_indexes(tx, entry.key)
            for index in known:
                if index.definition == definition and index.state is not IndexState.DROPPING:
                    if pinned and not index.pinned:
                        self._set_pinned(tx, entry.key, index.id, pinned=True)
                    return _find(tx, entry.key, index.id)
            if any(index.definition == definition for index in known):
                return None  # it is being dropped; whoever asks again later gets it
            if not pinned and not self._make_room(tx, entry, known):
                return None
            index_id = tx.insert(
                "INSERT INTO indexes (database_id, collection_id, scope, fields, state, pinned,"
                " requested_by, create_time, last_use, built_path_key, built_id_key)"
                " VALUES (?, ?, ?, ?, 'building', ?, ?, ?, ?, x'', x'')",
                (
                    entry.key,
                    definition.collection_id,
                    definition.scope.value,
                    fields_to_text(definition.fields),
                    pinned,
                    requested_by[:2_000],
                    now := self._now(),
                    now,
                ),
            )
            self._indexes.changed(tx, entry.key)
            return _find(tx, entry.key, index_id)

        index = await self._database.write(unit)
        self._work.set()
        return index

    async def list(self, database: DatabaseId) -> tuple[Index, ...]:
        """All indexes of a database."""

        def unit(tx: Tx) -> tuple[Index, ...]:
            entry = self._catalogue.database(tx, database)
            return () if entry is None else load_indexes(tx, entry.key)

        return await self._database.read(unit)

    async def pin(self, database: DatabaseId, index_id: int, *, pinned: bool = True) -> Index:
        """Keep an index whatever happens, or no longer.

        Raises:
            NotFound: there is no such index.
        """

        def unit(tx: Tx) -> Index:
            entry = self._catalogue.database_for_write(tx, database)
            _find(tx, entry.key, index_id)
            self._set_pinned(tx, entry.key, index_id, pinned=pinned)
            return _find(tx, entry.key, index_id)

        return await self._database.write(unit)

    async def drop(self, database: DatabaseId, index_id: int) -> None:
        """Stop using and maintaining an index, and remove its entries in the background.

        Raises:
            NotFound: there is no such index.
            FailedPrecondition: it is pinned.
        """

        def unit(tx: Tx) -> None:
            entry = self._catalogue.database_for_write(tx, database)
            index = _find(tx, entry.key, index_id)
            if index.pinned:
                raise FailedPrecondition("The index is pinned: unpin it first.")
            self._begin_drop(tx, entry, index)

        await self._database.write(unit)
        self._work.set()

    def _make_room(self, tx: Tx, entry: DatabaseEntry, known: Sequence[Index]) -> bool:
        """Whether one more index may be made; if need be, the one unused for the longest time goes."""
        kept = [index for index in known if index.state is not IndexState.DROPPING]
        if len(kept) < self._options.max_indexes:
            return True
        idle_since = self._now() - int(self._options.index_idle * 1_000_000)
        idle = [index for index in kept if not index.pinned and index.last_use.micros <= idle_since]
        if not idle:
            return False
        oldest = min(idle, key=lambda index: (index.last_use, index.id))
        log.info("index %d makes room for another: %s", oldest.id, oldest.definition)
        self._begin_drop(tx, entry, oldest)
        return True

    async def note_uses(self) -> None:
        """Store which indexes were used lately. An index's time is stored again only when a good part of
        ``index_idle`` has passed, so most calls write nothing."""
        now = self._now()
        grain = int(self._options.index_idle * 250_000)
        used = self._indexes.take_uses()
        due = [index_id for index_id in used if now - self._stamped.get(index_id, 0) >= grain]
        if not due:
            return

        def unit(tx: Tx) -> None:
            tx.run_many(
                "UPDATE indexes SET last_use = ? WHERE id = ?",
                [(now, index_id) for index_id in due],
            )

        await self._database.write(unit)
        self._stamped.update(dict.fromkeys(due, now))

    def _begin_drop(self, tx: Tx, entry: DatabaseEntry, index: Index) -> None:
        tx.run("UPDATE indexes SET state = 'dropping' WHERE id = ?", (index.id,))
        self._indexes.changed(tx, entry.key)

        def hear_again() -> None:
            self._considered.pop((entry.id, index.definition), None)

        tx.on_flush(hear_again)

    def _set_pinned(self, tx: Tx, database_key: int, index_id: int, *, pinned: bool) -> None:
        tx.run("UPDATE indexes SET pinned = ? WHERE id = ?", (pinned, index_id))
        self._indexes.changed(tx, database_key)

    # The work

    async def run(self) -> None:
        """Build and drop, for as long as the server lives."""
        while True:
            await self._work.wait()
            self._work.clear()
            try:
                await self.finish()
            except ApiError as error:  # such as a full disk: what is stored so far stays
                log.error("building indexes is interrupted: %s", error)
                self._work.set()
                await asyncio.sleep(_RETRY_SECONDS)

    async def finish(self) -> None:
        """Do all that is to be done now."""
        more = True
        while more or self._wishes:
            while self._wishes:
                database, definition, shape = self._wishes.popleft()
                if await self.request(database, definition, shape) is None:
                    again = self._now() + _ASK_AGAIN_MICROS
                    self._considered[database, definition] = again
            more = await self.step()

    async def step(self) -> bool:
        """Do one chunk; answers whether there was anything to do."""
        return await self._database.write(self._chunk)

    def _chunk(self, tx: Tx) -> bool:
        row = tx.one(_NEXT_JOB)
        if row is None:
            return False
        job = _Job(row[0], row[1], DatabaseId(row[2], row[3]))
        index = _find(tx, job.database_key, job.index_id)
        if index.state is IndexState.DROPPING:
            self._remove_chunk(tx, job)
        else:
            self._build_chunk(tx, job, index)
        return True

    def _remove_chunk(self, tx: Tx, job: _Job) -> None:
        removed = tx.run(
            "DELETE FROM index_entries WHERE index_id = ? AND key IN"
            " (SELECT key FROM index_entries WHERE index_id = ? LIMIT ?)",
            (job.index_id, job.index_id, 5 * self._options.index_chunk),
        )
        if not removed:
            tx.run("DELETE FROM indexes WHERE id = ?", (job.index_id,))
            self._indexes.changed(tx, job.database_key)

    def _build_chunk(self, tx: Tx, job: _Job, index: Index) -> None:
        row = tx.one(
            "SELECT built_path_key, built_id_key FROM indexes WHERE id = ?", (job.index_id,)
        )
        path_key, id_key = row if row is not None else (b"", b"")
        left = self._options.index_chunk
        while left > 0:
            found = tx.one(
                _COLLECTION_AFTER, (job.database_key, index.definition.collection_id, path_key)
            )
            if found is None:
                tx.run("UPDATE indexes SET state = 'ready' WHERE id = ?", (job.index_id,))
                self._indexes.changed(tx, job.database_key)
                log.info("index %d is ready: %s", index.id, index.definition)
                return
            collection = CollectionEntry(found[0], tuple(found[1].split("/")), found[2])
            if collection.prefix != path_key:
                path_key, id_key = collection.prefix, b""
            looked_at, id_key = self._index_documents(tx, job, index, collection, id_key, left)
            if looked_at < left:
                path_key, id_key = path_key + b"\x00", b""
            left -= looked_at + 1
        tx.run(
            "UPDATE indexes SET built_path_key = ?, built_id_key = ? WHERE id = ?",
            (path_key, id_key, job.index_id),
        )

    @staticmethod
    def _index_documents(
        tx: Tx, job: _Job, index: Index, collection: CollectionEntry, id_key: bytes, limit: int
    ) -> tuple[int, bytes]:
        """Enter the next documents of a collection; answers how many, and the last one's key."""
        rows = tx.all(_DOCUMENTS_AFTER, (collection.key, id_key, limit))
        entries: list[tuple[int, bytes, int]] = []
        for row in rows:
            document = document_of(job.database, collection, row)
            keys = entry_keys(index.definition, collection.key, document)
            entries.extend((index.id, key, row[0]) for key in keys)
        tx.run_many(INSERT_ENTRY, entries)
        return len(rows), rows[-1][5] if rows else id_key


def _find(tx: Tx, database_key: int, index_id: int) -> Index:
    for index in load_indexes(tx, database_key):
        if index.id == index_id:
            return index
    raise NotFound(f"There is no index {index_id} in this database.")
