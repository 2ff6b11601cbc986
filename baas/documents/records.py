"""Rows of documents, and the documents that they are."""

from __future__ import annotations

from typing import Any, TypeAlias

from baas.db.unit import Tx
from baas.documents.catalogue import CollectionEntry
from baas.model.document import Document
from baas.model.key_encoding import encode_path
from baas.model.paths import DatabaseId, DocumentName
from baas.model.values import Timestamp
from baas.wire.json_values import decode_fields, encode_fields

Row: TypeAlias = tuple[Any, ...]

COLUMNS = "id, document_id, fields, create_time, update_time"

_BY_KEY = (
    "SELECT id, document_id, fields, create_time, update_time FROM documents"
    " WHERE collection_key = ? AND id_key = ?"
)


def id_key(document_id: str) -> bytes:
    """The order-preserving key of a document id: what follows a collection's prefix in a document's key."""
    return encode_path((document_id,))


def some_ids(tx: Tx, collection_key: int, most: int) -> list[str]:
    """Ids of documents that are stored in a collection now, not more than ``most``."""
    sql = "SELECT document_id FROM documents WHERE collection_key = ? LIMIT ?"
    return [row[0] for row in tx.all(sql, (collection_key, most))]


def find_row(tx: Tx, collection_key: int, key: bytes) -> Row | None:
    """``(id, document_id, fields, create_time, update_time)``."""
    return tx.one(_BY_KEY, (collection_key, key))


def make_document(
    name: DocumentName, fields: bytes, create_time: int, update_time: int
) -> Document:
    """A document whose fields stay encoded until someone looks."""
    return Document(
        name, Timestamp(create_time), Timestamp(update_time), encoded=fields, decode=decode_fields
    )


def document_of(database: DatabaseId, collection: CollectionEntry, row: Row) -> Document:
    """The document of a row with :data:`COLUMNS`."""
    _, document_id, fields, create_time, update_time, *_ = row
    return Document(
        DocumentName(database, (*collection.segments, document_id)),
        Timestamp(create_time),
        Timestamp(update_time),
        encoded=fields,
        decode=decode_fields,
    )


def encoded_fields(document: Document) -> bytes:
    """The fields as they rest in the database."""
    encoded = document.encoded
    return encode_fields(document.fields) if encoded is None else encoded


def some_names(tx: Tx, database: DatabaseId, limit: int) -> list[DocumentName]:
    """Names of some documents of a database, in no order. For the writer."""
    rows = tx.all(
        "SELECT c.path, d.document_id FROM databases b"
        " JOIN collections c ON c.database_id = b.id JOIN documents d ON d.collection_key = c.id"
        " WHERE b.project = ? AND b.name = ? LIMIT ?",
        (database.project, database.database, limit),
    )
    return [DocumentName(database, (*path.split("/"), document_id)) for path, document_id in rows]
