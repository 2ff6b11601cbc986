"""Short ways to say what the tests of the document store say often."""

from __future__ import annotations

from typing import Any

from baas.access.principal import OWNER
from baas.documents.access import PendingWrite
from baas.documents.service import DocumentStore
from baas.model.document import Document
from baas.model.paths import DatabaseId, DocumentName
from baas.model.query import Consistency, FieldFilter, Operator, Order, Query
from baas.model.query import Direction as Direction
from baas.model.values import Fields, Timestamp, Value
from baas.model.write import Commit, CommitResult, Precondition, Write, WriteKind

DATABASE = DatabaseId("demo")


class OpenAccess:
    """Lets everyone do everything, and keeps what it was asked."""

    def __init__(self) -> None:
        self.commits: list[list[PendingWrite]] = []

    def check_commit(self, *asked: Any) -> None:
        self.commits.append(list(asked[2]))

    def check_get(self, *asked: Any) -> None:
        pass

    def check_query(self, *asked: Any) -> None:
        pass


def name(path: str, database: DatabaseId = DATABASE) -> DocumentName:
    """``"c/d"`` as a document's name."""
    return DocumentName(database, tuple(path.split("/")))


def put(path: str, fields: Fields | None = None, **more: Any) -> Write:
    """A write that replaces a document."""
    return Write(WriteKind.UPDATE, name(path), fields or {}, **more)


def delete(path: str, **more: Any) -> Write:
    """A write that deletes a document."""
    return Write(WriteKind.DELETE, name(path), **more)


def create(path: str, fields: Fields | None = None) -> Write:
    """A write of a document that must not exist yet."""
    return put(path, fields, precondition=Precondition(exists=False))


async def commit(
    store: DocumentStore, *writes: Write, transaction: bytes | None = None
) -> CommitResult:
    """Make writes as the owner."""
    return await store.commit(Commit(DATABASE, writes, transaction), OWNER)


def query(collection: str, *filters: FieldFilter, **more: Any) -> Query:
    """A query on a collection, given by its path; several filters must all hold."""
    from baas.model.query import CompositeFilter

    *parent, collection_id = collection.split("/")
    where = CompositeFilter("AND", filters) if filters else None
    return Query(DATABASE, tuple(parent), collection_id, where=where, **more)


def where(field: str, op: Operator, value: Value = None) -> FieldFilter:
    """A filter on a field."""
    return FieldFilter(tuple(field.split(".")), op, value)


def by(field: str, direction: Direction = Direction.ASCENDING) -> Order:
    """An order by a field."""
    return Order(tuple(field.split(".")), direction)


def at(time: Timestamp) -> Consistency:
    """Reading at a time."""
    return Consistency(read_time=time)


def ids(documents: Any) -> list[str]:
    """The ids of documents."""
    return [document.name.id for document in documents]


async def found(store: DocumentStore, asked: Query, **more: Any) -> list[str]:
    """The ids that a query gives to the owner."""
    return ids((await store.run_query(asked, OWNER, **more)).documents)


async def fields_of(store: DocumentStore, path: str) -> Fields | None:
    """A document's fields, ``None`` if it does not exist."""
    document: Document | None = (await store.get(name(path), OWNER)).value
    return None if document is None else document.fields
