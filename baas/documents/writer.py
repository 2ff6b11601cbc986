"""The commit: one unit of the one writer.

In this unit, and in this order: the commit time is taken, what the writes touch is read, the writes are
applied in memory, access decides on every document from before to after, and only then rows are written:
documents, index entries, changes. Whatever raises on the way leaves nothing. After the flush the feed tells.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import cast

from baas.access.principal import Principal
from baas.db.commit_clock import CommitClock
from baas.db.unit import Tx
from baas.documents.access import Access, PendingWrite
from baas.documents.apply import apply_write
from baas.documents.catalogue import Catalogue, CollectionEntry, DatabaseEntry
from baas.documents.change_feed import INSERT_CHANGE, ChangeFeed
from baas.documents.indexes import IndexCatalogue, maintain
from baas.documents.records import encoded_fields, find_row, id_key, make_document, some_ids
from baas.errors import ApiError
from baas.model.change import Change, CommitChanges
from baas.model.document import Document
from baas.model.paths import DatabaseId, DocumentName, FieldPath
from baas.model.values import Timestamp
from baas.model.write import CommitResult, Precondition, Write, WriteKind, WriteResult
from baas.wire.json_values import decode_fields

_INSERT = (
    "INSERT INTO documents (collection_key, id_key, document_id, fields, create_time, update_time)"
    " VALUES (?, ?, ?, ?, ?, ?)"
)
_UPDATE = "UPDATE documents SET fields = ?, create_time = ?, update_time = ? WHERE id = ?"
_DELETE = "DELETE FROM documents WHERE id = ?"

Validate = Callable[[Tx], None]


@dataclass(slots=True)
class _Touched:
    """One document in the course of a commit."""

    name: DocumentName
    id_key: bytes
    collection: CollectionEntry | None
    row_id: int | None
    before: Document | None
    after: Document | None
    changed: bool = False
    written: bool = False
    verified: bool = False
    whole: bool = False
    mask: tuple[FieldPath, ...] = ()
    expected: bool | None = None
    """Whether the first write says that the document exists."""

    @property
    def update_time(self) -> Timestamp | None:
        """When the document was updated, as the commit leaves it; ``None``: there is none."""
        return None if self.after is None else self.after.update_time

    def note(self, write: Write) -> None:
        """Take down what a write names, for access."""
        if write.kind is WriteKind.VERIFY:
            self.verified = True
            return
        if not self.written and write.precondition:
            self.expected = write.precondition.exists is not False
        self.written = True
        if write.mask is None:
            self.whole = True
        else:
            transformed = tuple(transform.field_path for transform in write.transforms)
            self.mask = (*self.mask, *write.mask, *transformed)

    def stated(self, write: Write) -> Write:
        """The write without an update time that held before the commit's earlier writes of the document."""
        expected = write.precondition.update_time
        if not self.written or expected is None or self.before is None:
            return write
        return (
            replace(write, precondition=Precondition())
            if expected == self.before.update_time
            else write
        )

    def pending(self) -> PendingWrite:
        """What rules judge. A write that says whether its document exists is judged as what it would be if
        that were so (``rules`` §3)."""
        exists = self.before is not None if self.expected is None else self.expected
        if self.after is None:
            method = "delete"
        else:
            method = "update" if exists else "create"
        return PendingWrite(
            self.name, self.before, self.after, method, None if self.whole else self.mask
        )


class _State:
    """The database before a commit, or as all of it will leave it; see :class:`access.Lookup`."""

    __slots__ = ("_after", "_entry", "_touched", "_tx", "_writer")

    def __init__(
        self,
        writer: Writer,
        tx: Tx,
        entry: DatabaseEntry,
        touched: dict[DocumentName, _Touched],
        *,
        after: bool,
    ) -> None:
        self._writer = writer
        self._tx = tx
        self._entry = entry
        self._touched = touched
        self._after = after

    def get(self, name: DocumentName) -> Document | None:
        item = self._touched.get(name)
        if item is None:
            return self._writer.lookup(self._tx, self._entry, name)
        return item.after if self._after else item.before

    def has_documents(self, collection: tuple[str, ...]) -> bool:
        if not self._after:
            return bool(self._writer.ids_in(self._tx, self._entry, collection, 1))
        here = [item for name, item in self._touched.items() if name.collection == collection]
        if any(item.after is not None for item in here):
            return True
        gone = {name.id for name in self._touched if name.collection == collection}
        stored = self._writer.ids_in(self._tx, self._entry, collection, len(gone) + 1)
        return any(document_id not in gone for document_id in stored)


class Writer:
    """Makes commits; every method runs inside a unit of the database's writer."""

    def __init__(
        self,
        catalogue: Catalogue,
        indexes: IndexCatalogue,
        clock: CommitClock,
        feed: ChangeFeed,
        access: Access,
    ) -> None:
        self._catalogue = catalogue
        self._indexes = indexes
        self._clock = clock
        self._feed = feed
        self._access = access

    def commit(
        self,
        tx: Tx,
        database: DatabaseId,
        writes: Sequence[Write],
        principal: Principal,
        validate: Validate | None = None,
    ) -> CommitResult:
        """Make all writes or none. ``validate`` is asked first and may raise, as for transactions.

        Raises:
            PermissionDenied, NotFound, AlreadyExists, FailedPrecondition, InvalidArgument, Aborted
        """
        if validate is not None:
            validate(tx)
        return self._commit(tx, database, writes, principal, {})

    def write(self, tx: Tx, write: Write, principal: Principal) -> Document | None:
        """Make one write by itself; answers the document as it leaves it.

        Raises:
            PermissionDenied, NotFound, AlreadyExists, FailedPrecondition, InvalidArgument
        """
        touched: dict[DocumentName, _Touched] = {}
        self._commit(tx, write.name.database, (write,), principal, touched)
        return touched[write.name].after

    def _commit(
        self,
        tx: Tx,
        database: DatabaseId,
        writes: Sequence[Write],
        principal: Principal,
        touched: dict[DocumentName, _Touched],
    ) -> CommitResult:
        """``touched`` is filled with the documents, as the commit leaves them."""
        entry = self._catalogue.database_for_write(tx, database)
        now = self._clock.advance(tx, entry.key)
        results = self._apply(tx, entry, writes, touched, now, principal)
        self._check_access(tx, entry, principal, touched, now)
        self._store(tx, entry, touched.values(), now)
        return CommitResult(now, tuple(results))

    def _apply(
        self,
        tx: Tx,
        entry: DatabaseEntry,
        writes: Sequence[Write],
        touched: dict[DocumentName, _Touched],
        now: Timestamp,
        principal: Principal,
    ) -> list[WriteResult]:
        results = []
        for write in writes:
            item = touched.get(write.name)
            if item is None:
                item = touched[write.name] = self._read(tx, entry, write.name)
            try:
                applied = apply_write(item.after, item.stated(write), now)
            except ApiError:
                self._check_before_telling(tx, entry, writes, principal, now)
                raise
            item.note(write)
            item.after = applied.after
            item.changed = item.changed or applied.changed
            results.append(applied.result)
        if len(touched) == len(writes):
            return results
        return [
            result
            if write.kind is WriteKind.VERIFY
            else replace(result, update_time=touched[write.name].update_time)
            for write, result in zip(writes, results, strict=True)
        ]

    def _read(self, tx: Tx, entry: DatabaseEntry, name: DocumentName) -> _Touched:
        collection = self._catalogue.existing_for_write(tx, entry, name.collection)
        key = id_key(name.id)
        row = None if collection is None else find_row(tx, collection.key, key)
        if row is None:
            return _Touched(name, key, collection, None, None, None)
        document = make_document(name, row[2], row[3], row[4])
        return _Touched(name, key, collection, row[0], document, document)

    def lookup(self, tx: Tx, entry: DatabaseEntry, name: DocumentName) -> Document | None:
        """A document as it is stored now; ``None`` if it belongs to another database."""
        return self._read(tx, entry, name).before if name.database == entry.id else None

    def ids_in(
        self, tx: Tx, entry: DatabaseEntry, collection: tuple[str, ...], most: int
    ) -> list[str]:
        """Ids of documents that are stored in a collection now, not more than ``most``."""
        found = self._catalogue.existing_for_write(tx, entry, collection)
        return [] if found is None else some_ids(tx, found.key, most)

    def _check_access(
        self,
        tx: Tx,
        entry: DatabaseEntry,
        principal: Principal,
        touched: dict[DocumentName, _Touched],
        now: Timestamp,
    ) -> None:
        before = _State(self, tx, entry, touched, after=False)
        after = _State(self, tx, entry, touched, after=True)
        pending = [item.pending() for item in touched.values() if item.written]
        if pending:
            self._access.check_commit(entry.id, principal, pending, before, after, now)
        for item in touched.values():
            if item.verified and not item.written:
                # whether a document is there, and since when, is told only to those who may read it
                self._access.check_get(entry.id, principal, item.name, item.before, before, now)

    def _check_before_telling(
        self,
        tx: Tx,
        entry: DatabaseEntry,
        writes: Sequence[Write],
        principal: Principal,
        now: Timestamp,
    ) -> None:
        """A write failed on what the documents are. Only who may make the writes learns that.

        Raises:
            PermissionDenied: the caller may not make these writes, preconditions left aside.
        """
        if principal.bypasses_rules:
            return
        touched: dict[DocumentName, _Touched] = {}
        for write in writes:
            item = touched.get(write.name)
            if item is None:
                item = touched[write.name] = self._read(tx, entry, write.name)
            item.note(write)
            item.after = apply_write(
                item.after, replace(write, precondition=Precondition()), now
            ).after
        self._check_access(tx, entry, principal, touched, now)

    def _store(
        self, tx: Tx, entry: DatabaseEntry, touched: Iterable[_Touched], now: Timestamp
    ) -> None:
        changes: list[Change] = []
        for item in touched:
            if item.changed and not (item.before is None and item.after is None):
                item.after = self._store_one(tx, entry, item, now, len(changes))
                changes.append(Change(item.name, item.before, item.after))
        if changes:
            commit = CommitChanges(entry.id, now, tuple(changes))
            tx.on_flush(lambda: self._feed.publish(commit))

    def _store_one(
        self, tx: Tx, entry: DatabaseEntry, item: _Touched, now: Timestamp, position: int
    ) -> Document | None:
        """Write the rows of one document; answers the document as it rests now."""
        collection = item.collection
        if collection is None:
            collection = self._catalogue.collection_for_write(tx, entry, item.name.collection)
        row_id = item.row_id
        after = item.after
        if after is None:
            tx.run(_DELETE, (row_id,))
        else:
            after = _at_rest(after)
            created, updated = after.create_time.micros, after.update_time.micros
            if row_id is None:
                row_id = tx.insert(
                    _INSERT,
                    (collection.key, item.id_key, item.name.id, after.encoded, created, updated),
                )
            else:
                tx.run(_UPDATE, (after.encoded, created, updated, row_id))
        indexes = self._indexes.of_collection(tx, entry.key, item.name.collection_id)
        if indexes:
            maintain(tx, indexes, collection.key, cast(int, row_id), item.before, after)
        before = item.before
        image = (
            (None, None, None)
            if before is None
            else (encoded_fields(before), before.create_time.micros, before.update_time.micros)
        )
        place = (entry.key, now.micros, position, collection.key, item.id_key, item.name.id)
        tx.run(INSERT_CHANGE, (*place, after is None, *image))
        return after


def _at_rest(document: Document) -> Document:
    """The document with its encoded fields beside the decoded ones."""
    return Document(
        document.name,
        document.create_time,
        document.update_time,
        fields=document.fields,
        encoded=encoded_fields(document),
        decode=decode_fields,
    )
