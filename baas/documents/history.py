"""Past versions: what is there now, with the changes since then undone.

A single document is followed back from change to change by its own times, so the cost is the number of
changes of that document. A query needs every document that changed since: its cost is the number of all
changes of the database since the version.
"""

from __future__ import annotations

from baas.db.unit import Tx
from baas.documents.catalogue import Catalogue, CollectionEntry, DatabaseEntry
from baas.documents.records import Row, make_document
from baas.model.document import Document
from baas.model.paths import DocumentName
from baas.model.values import Timestamp

_CHANGE_AT = (
    "SELECT old_fields, old_create_time, old_update_time FROM changes WHERE database_id = ?"
    " AND commit_time = ? AND collection_key = ? AND id_key = ?"
)
_LAST_DELETE = (
    "SELECT commit_time, old_fields, old_create_time, old_update_time FROM changes"
    " WHERE deleted AND collection_key = ? AND id_key = ? AND commit_time > ? AND commit_time < ?"
    " ORDER BY commit_time DESC LIMIT 1"
)
_BEFORE = (
    "SELECT collection_key, id_key, document_id, old_fields, old_create_time, old_update_time"
    " FROM changes WHERE database_id = ? AND commit_time > ? ORDER BY commit_time, position"
)
_FOREVER = 2**62


def state_at(
    tx: Tx,
    database_key: int,
    collection: CollectionEntry,
    id_key: bytes,
    name: DocumentName,
    current: Document | None,
    version: Timestamp,
) -> Document | None:
    """A document as it was at a version whose changes are kept."""
    state = current
    missing_since = _FOREVER
    while True:
        if state is not None:
            if state.update_time <= version:
                return state
            changed = state.update_time.micros
            row = tx.one(_CHANGE_AT, (database_key, changed, collection.key, id_key))
            if row is None:
                raise LookupError(f"no change of {name.name} at {changed}")
            missing_since = changed
        else:
            found = tx.one(_LAST_DELETE, (collection.key, id_key, version.micros, missing_since))
            if found is None:
                return None
            row = found[1:]
        state = _image(name, row)


def documents_before(
    tx: Tx, catalogue: Catalogue, database: DatabaseEntry, version: Timestamp
) -> dict[DocumentName, Document | None]:
    """Every document that changed after a version, as it was at that version."""
    result: dict[DocumentName, Document | None] = {}
    for row in tx.all(_BEFORE, (database.key, version.micros)):
        collection = catalogue.collection_by_key(tx, database, row[0])
        name = DocumentName(database.id, (*collection.segments, row[2]))
        if name not in result:
            result[name] = _image(name, row[3:])
    return result


def _image(name: DocumentName, row: Row) -> Document | None:
    return None if row[0] is None else make_document(name, row[0], row[1], row[2])
