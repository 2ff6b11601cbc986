"""Reads and writes of documents."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from homefire.errors import FirestoreError
from homefire.firestore._converter import T, to_fields
from homefire.firestore._paths import FieldPath
from homefire.firestore._view import WatchDocument
from homefire.firestore._write_data import (
    WireWrite,
    create_write,
    delete_write,
    set_write,
    update_pairs,
    update_write,
)
from homefire.sync.firestore._database import (
    CollectionReference,
    DocumentReference,
    Firestore,
    Query,
    doc,
)
from homefire.sync.firestore._snapshot import DocumentSnapshot, QuerySnapshot


def get_doc(reference: DocumentReference[T]) -> DocumentSnapshot[T]:
    """Read a document; one that does not exist is a snapshot too. Raises ``permission-denied``, ..."""
    return (read_documents(reference.firestore, [reference]))[0]


def read_documents(
    firestore: Firestore, references: Sequence[DocumentReference[T]]
) -> list[DocumentSnapshot[T]]:
    """Read documents, all at one version."""
    names = [reference._name for reference in references]
    answers = firestore._rest.read(
        firestore._documents, "batchGet", {"documents": names}
    )
    found: dict[str, WatchDocument | None] = {}
    for answer in answers:
        if "found" in answer:
            document = WatchDocument.of(answer["found"])
            found[document.name] = document
        elif "missing" in answer:
            found[answer["missing"]] = None
    for name in names:
        if name not in found:
            raise FirestoreError("internal", f"The server did not answer for {name}.")
    return [
        DocumentSnapshot(reference, found[reference._name]) for reference in references
    ]


def get_docs(query: Query[T]) -> QuerySnapshot[T]:
    """Run a query. Raises ``permission-denied``, ``invalid-argument``, ..."""
    spec = query._spec
    body = {"structuredQuery": spec.wire()}
    answers = query.firestore._rest.read(spec.parent, "runQuery", body)
    documents = [
        WatchDocument.of(item["document"]) for item in answers if "document" in item
    ]
    if spec.limit_to_last:
        documents.reverse()
    return QuerySnapshot(query, documents)


def set_doc(
    reference: DocumentReference[T],
    data: T | Mapping[str, Any],
    *,
    merge: bool = False,
    merge_fields: Sequence[str | FieldPath] | None = None,
) -> None:
    """Write a document whole; with ``merge`` only the fields given, with ``merge_fields`` only those."""
    write = set_of(reference, data, merge=merge, merge_fields=merge_fields)
    commit(reference.firestore, [write])


def set_of(
    reference: DocumentReference[Any],
    data: Any,
    *,
    merge: bool,
    merge_fields: Sequence[str | FieldPath] | None,
) -> WireWrite:
    """The write of ``set_doc`` and its kin: what the reference's converter, if any, makes of the data."""
    fields = to_fields(
        reference._converter, data, merge=merge, merge_fields=merge_fields
    )
    return set_write(reference._name, fields, merge=merge, merge_fields=merge_fields)


def add_doc(
    reference: CollectionReference[T], data: T | Mapping[str, Any]
) -> DocumentReference[T]:
    """Make a document with a new id in a collection."""
    made = doc(reference)
    fields = to_fields(reference._converter, data)
    commit(reference.firestore, [create_write(made._name, fields)])
    return made


def update_doc(
    reference: DocumentReference[Any],
    field_or_data: Mapping[str, Any] | Mapping[FieldPath, Any] | str | FieldPath,
    *more: object,
) -> None:
    """Change fields of a document that exists (``not-found`` otherwise).

    Called with a mapping whose keys are field paths (``{"address.city": "Rome"}``), or with field
    paths and values by turns. No converter has a part in it.
    """
    write = update_write(reference._name, update_pairs(field_or_data, more))
    commit(reference.firestore, [write])


def delete_doc(reference: DocumentReference[Any]) -> None:
    """Remove a document; it need not exist. Its subcollections stay."""
    commit(reference.firestore, [delete_write(reference._name)])


def commit(firestore: Firestore, writes: list[WireWrite]) -> None:
    """Carry out writes, all or none."""
    firestore._rest.commit(writes)
