"""Whether what is stored agrees with itself, and putting right what can be computed anew.

Index entries follow from documents, so they can be repaired; documents and changes are only checked.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from baas.db.unit import Tx
from baas.documents.catalogue import CollectionEntry
from baas.documents.indexes import Index, IndexState, entry_keys, load_indexes
from baas.documents.records import document_of, id_key
from baas.errors import ApiError
from baas.model.key_encoding import encode_path_prefix
from baas.model.paths import DatabaseId


@dataclass(frozen=True, slots=True)
class Problem:
    """Something that does not agree. ``repairable``: a repair of indexes puts it right."""

    what: str
    repairable: bool


def check(tx: Tx) -> list[Problem]:
    """Everything wrong with the documents of all databases, as this unit sees them. Reads all of them."""
    problems = [
        Problem(f"SQLite: {row[0]}", repairable=False)
        for row in tx.all("PRAGMA integrity_check(20)")
        if row[0] != "ok"
    ]
    for key, project, name in tx.all("SELECT id, project, name FROM databases ORDER BY id"):
        database = DatabaseId(project, name)
        problems.extend(_check_documents(tx, key, database))
        problems.extend(_check_history(tx, key, database))
        for index in load_indexes(tx, key):
            if index.state is not IndexState.DROPPING:
                problems.extend(_check_index(tx, key, database, index))
    orphans = tx.one(
        "SELECT count(*) FROM index_entries WHERE index_id NOT IN (SELECT id FROM indexes)"
    )
    if orphans is not None and orphans[0]:
        problems.append(Problem(f"{orphans[0]} entries of no index", repairable=True))
    return problems


def repair(tx: Tx) -> int:
    """Make every index be built anew if anything is wrong with one; answers how many. For the writer.

    The server builds them at its next start; until then queries run without them.
    """
    count = 0
    tx.run("DELETE FROM index_entries WHERE index_id NOT IN (SELECT id FROM indexes)")
    for key, project, name in tx.all("SELECT id, project, name FROM databases"):
        for index in load_indexes(tx, key):
            wrong = index.state is not IndexState.DROPPING and any(
                _check_index(tx, key, DatabaseId(project, name), index)
            )
            if wrong:
                tx.run("DELETE FROM index_entries WHERE index_id = ?", (index.id,))
                tx.run(
                    "UPDATE indexes SET state = 'building', built_path_key = x'',"
                    " built_id_key = x'' WHERE id = ?",
                    (index.id,),
                )
                count += 1
        tx.run("UPDATE databases SET index_generation = index_generation + 1 WHERE id = ?", (key,))
    return count


def _collections(tx: Tx, database_key: int, collection_id: str = "") -> list[CollectionEntry]:
    by_id = " AND collection_id = ?" if collection_id else ""
    rows = tx.all(
        f"SELECT id, path, path_key FROM collections WHERE database_id = ?{by_id}",
        (database_key, collection_id) if collection_id else (database_key,),
    )
    return [CollectionEntry(row[0], tuple(row[1].split("/")), row[2]) for row in rows]


def _check_documents(tx: Tx, database_key: int, database: DatabaseId) -> Iterator[Problem]:
    last = tx.one("SELECT last_commit FROM databases WHERE id = ?", (database_key,))
    last_commit = 0 if last is None else last[0]
    for collection in _collections(tx, database_key):
        if collection.prefix != encode_path_prefix(collection.segments):
            path = "/".join(collection.segments)
            yield Problem(f"collection {path} has a wrong key", repairable=False)
        rows = tx.iterate(
            "SELECT id, document_id, fields, create_time, update_time, id_key FROM documents"
            " WHERE collection_key = ?",
            (collection.key,),
        )
        for row in rows:
            document = document_of(database, collection, row)
            if row[5] != id_key(row[1]):
                yield Problem(f"document {document.name.name} has a wrong key", repairable=False)
            if not row[3] <= row[4] <= last_commit:
                yield Problem(f"document {document.name.name} has wrong times", repairable=False)
            try:
                len(document.fields)
            except (ApiError, ValueError) as error:
                yield Problem(
                    f"document {document.name.name} cannot be read: {error}", repairable=False
                )


def _check_history(tx: Tx, database_key: int, database: DatabaseId) -> Iterator[Problem]:
    """Whatever was updated within what is kept has its change, and every change follows from one."""
    row = tx.one(
        "SELECT count(*) FROM documents d JOIN collections c ON c.id = d.collection_key"
        " JOIN databases b ON b.id = c.database_id WHERE b.id = ?"
        " AND d.update_time > b.oldest_change AND NOT EXISTS (SELECT 1 FROM changes h"
        " WHERE h.database_id = b.id AND h.commit_time = d.update_time"
        " AND h.collection_key = d.collection_key AND h.id_key = d.id_key)",
        (database_key,),
    )
    if row is not None and row[0]:
        yield Problem(
            f"{row[0]} documents of {database.name} have no change for their last update",
            repairable=False,
        )


def _check_index(
    tx: Tx, database_key: int, database: DatabaseId, index: Index
) -> Iterator[Problem]:
    """Compare the entries that the documents should have with those that are there."""
    expected = 0
    missing = 0
    for collection in _collections(tx, database_key, index.definition.collection_id):
        rows = tx.iterate(
            "SELECT id, document_id, fields, create_time, update_time FROM documents"
            " WHERE collection_key = ?",
            (collection.key,),
        )
        for row in rows:
            document = document_of(database, collection, row)
            for key in entry_keys(index.definition, collection.key, document):
                found = tx.one(
                    "SELECT document FROM index_entries WHERE index_id = ? AND key = ?",
                    (index.id, key),
                )
                right = found is not None and found[0] == row[0]
                expected += right
                missing += not right
    count = tx.one("SELECT count(*) FROM index_entries WHERE index_id = ?", (index.id,))
    surplus = (0 if count is None else count[0]) - expected
    if missing and index.state is IndexState.READY:
        yield Problem(f"index {index.id} lacks {missing} entries", repairable=True)
    if surplus:
        yield Problem(f"index {index.id} has {surplus} entries of no document", repairable=True)
