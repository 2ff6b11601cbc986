"""Rows of documents, and the documents that they are."""

from __future__ import annotations

from collections.abc import Iterable
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


class StoredDocument(Document):
    """A document of a row with :data:`COLUMNS`, which makes of it what is asked for.

    Most documents of a query's answer are written out as they rest, and nobody ever asks.
    """

    __slots__ = ("_collection", "_created", "_database", "_named", "_prefix", "_row", "_updated")

    def __init__(
        self,
        database: DatabaseId,
        collection: CollectionEntry,
        row: Row,
        prefix: str | None = None,
    ) -> None:
        """``prefix``: the collection's resource name and a slash, if it is at hand."""
        self._database = database
        self._collection = collection
        self._row = row
        self._prefix = prefix
        self._encoded = row[2]
        self._decode = decode_fields
        self._fields = None
        self._named: DocumentName | None = None
        self._created: Timestamp | None = None
        self._updated: Timestamp | None = None

    @property
    def name(self) -> DocumentName:  # type: ignore[override]
        if self._named is None:
            self._named = DocumentName(self._database, (*self._collection.segments, self._row[1]))
        return self._named

    @property
    def create_time(self) -> Timestamp:  # type: ignore[override]
        if self._created is None:
            self._created = Timestamp(self._row[3])
        return self._created

    @property
    def update_time(self) -> Timestamp:  # type: ignore[override]
        if self._updated is None:
            self._updated = Timestamp(self._row[4])
        return self._updated

    @property
    def resource_name(self) -> str:
        if self._prefix is None:
            return self.name.name
        return f"{self._prefix}{self._row[1]}"

    @property
    def micros(self) -> tuple[int, int]:
        row = self._row
        return row[3], row[4]


def document_of(database: DatabaseId, collection: CollectionEntry, row: Row) -> Document:
    """The document of a row with :data:`COLUMNS`."""
    return StoredDocument(database, collection, row)


def documents_of(
    database: DatabaseId, collection: CollectionEntry, rows: Iterable[Row]
) -> list[Document]:
    """The documents of several rows of one collection."""
    prefix = f"{database.name}/documents/{'/'.join(collection.segments)}/"
    return [StoredDocument(database, collection, row, prefix) for row in rows]


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
