"""The change feed: every commit of a database, in order, with the documents before and after.

Who listens in this process is called after the flush (:meth:`ChangeFeed.subscribe`); whoever comes back
after a pause reads what happened from the tables (:func:`changes_since`). The table holds what was there
*before* each change, so it undoes commits too: that is how past versions are read (``history``).
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from baas.db.unit import Tx
from baas.documents.catalogue import Catalogue, DatabaseEntry
from baas.documents.records import Row, document_of, make_document
from baas.model.change import Change, CommitChanges
from baas.model.document import Document
from baas.model.paths import DatabaseId, DocumentName
from baas.model.values import Timestamp

log = logging.getLogger(__name__)

Subscriber: TypeAlias = Callable[[CommitChanges], None]

INSERT_CHANGE = (
    "INSERT INTO changes (database_id, commit_time, position, collection_key, id_key, document_id,"
    " deleted, old_fields, old_create_time, old_update_time) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
)

_SINCE = (
    "SELECT commit_time, collection_key, id_key, document_id, deleted, old_fields, old_create_time,"
    " old_update_time FROM changes WHERE database_id = ? AND commit_time > ?"
    " ORDER BY commit_time DESC, position DESC"
)
_CURRENT = (
    "SELECT id, document_id, fields, create_time, update_time FROM documents"
    " WHERE collection_key = ? AND id_key = ?"
)


@dataclass(frozen=True, slots=True)
class FeedPosition:
    """Where a database's history stands: ``version`` is the last commit, ``oldest`` the earliest version
    that can be resumed from, ``epoch`` tells this history from any other of a database of that name."""

    epoch: bytes
    version: Timestamp
    oldest: Timestamp


NO_EPOCH = bytes(8)
"""The epoch of a database that nothing was ever written to."""


class ChangeFeed:
    """Tells subscribers of each commit, in order, on the event loop, once it is durable."""

    def __init__(self, catalogue: Catalogue) -> None:
        self._catalogue = catalogue
        self._subscribers: list[Subscriber] = []

    def subscribe(self, subscriber: Subscriber) -> Callable[[], None]:
        """Call this function with each commit from now on; answers the function that ends it.

        It is called right after the flush and must return soon. A commit without effect is not told.
        """
        self._subscribers.append(subscriber)

        def unsubscribe() -> None:
            if subscriber in self._subscribers:
                self._subscribers.remove(subscriber)

        return unsubscribe

    def publish(self, commit: CommitChanges) -> None:
        """Tell all subscribers. For the writer, after the flush."""
        for subscriber in tuple(self._subscribers):
            try:
                subscriber(commit)
            except Exception:  # one subscriber's failure must not keep a commit from the others
                log.exception("a subscriber of the change feed failed")

    def position(self, tx: Tx, database: DatabaseId) -> FeedPosition:
        """Where the history of a database stands in this unit."""
        entry = self._catalogue.database(tx, database)
        return position_of(tx, entry, self._catalogue.floor)

    def since(
        self, tx: Tx, database: DatabaseId, version: Timestamp
    ) -> tuple[CommitChanges, ...] | None:
        """All commits after a version, in order; ``None`` if they are not kept that far back."""
        entry = self._catalogue.database(tx, database)
        if entry is None:
            return ()
        if version < position_of(tx, entry, self._catalogue.floor).oldest:
            return None
        return changes_since(tx, self._catalogue, entry, version)


def position_of(tx: Tx, database: DatabaseEntry | None, floor: int) -> FeedPosition:
    """The position of a database in this unit; one without history stands at the floor."""
    row = None
    if database is not None:
        row = tx.one(
            "SELECT last_commit, oldest_change FROM databases WHERE id = ?", (database.key,)
        )
    if database is None or row is None:
        return FeedPosition(NO_EPOCH, Timestamp(floor), Timestamp(floor))
    return FeedPosition(database.epoch, Timestamp(row[0]), Timestamp(row[1]))


class TooManyChanges(Exception):
    """There are more changes than were asked for."""


@dataclass(frozen=True, slots=True)
class Most:
    """How many changes may be read, and how many bytes the documents before and after them may take."""

    changes: int
    bytes: int


def changes_since(
    tx: Tx,
    catalogue: Catalogue,
    database: DatabaseEntry,
    version: Timestamp,
    most: Most | None = None,
) -> tuple[CommitChanges, ...]:
    """All commits after a version that is still kept, in order.

    Read backwards: a document's state after a change is what the next change of it found, or the document
    as it is now.

    Raises:
        TooManyChanges: there are more than ``most``; no more than that was held in memory.
    """
    later: dict[tuple[int, bytes], Document | None] = {}
    commits: list[CommitChanges] = []
    gathered: list[Change] = []
    commit_time: int | None = None
    size = 0
    rows = tx.iterate(_SINCE, (database.key, version.micros))
    for count, row in enumerate(rows, start=1):
        if commit_time is not None and row[0] != commit_time:
            commits.append(_commit(database.id, commit_time, gathered))
            gathered = []
        commit_time = row[0]
        first = (row[1], row[2]) not in later
        change = _change(tx, catalogue, database, row, later)
        gathered.append(change)
        # the document after any but the last change of it is the one before the next
        size += _size(change.old) + (_size(change.new) if first else 0)
        if most is not None and (count > most.changes or size > most.bytes):
            raise TooManyChanges
    if commit_time is not None:
        commits.append(_commit(database.id, commit_time, gathered))
    commits.reverse()
    return tuple(commits)


def _size(document: Document | None) -> int:
    return 0 if document is None or document.encoded is None else len(document.encoded)


def _commit(database: DatabaseId, commit_time: int, backwards: list[Change]) -> CommitChanges:
    return CommitChanges(database, Timestamp(commit_time), tuple(reversed(backwards)))


def _change(
    tx: Tx,
    catalogue: Catalogue,
    database: DatabaseEntry,
    row: Row,
    later: dict[tuple[int, bytes], Document | None],
) -> Change:
    _, collection_key, id_key, document_id, deleted, *image = row
    collection = catalogue.collection_by_key(tx, database, collection_key)
    name = DocumentName(database.id, (*collection.segments, document_id))
    key = (collection_key, id_key)
    new: Document | None = None
    if not deleted:
        if key in later:
            new = later[key]
        else:
            current = tx.one(_CURRENT, key)
            new = None if current is None else document_of(database.id, collection, current)
    old = None if image[0] is None else make_document(name, image[0], image[1], image[2])
    later[key] = old
    return Change(name, old, new)
