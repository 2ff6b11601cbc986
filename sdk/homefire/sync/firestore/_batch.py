"""Several writes as one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from homefire.errors import FirestoreError
from homefire.firestore._converter import T
from homefire.firestore._paths import FieldPath
from homefire.firestore._write_data import (
    WireWrite,
    delete_write,
    update_pairs,
    update_write,
)
from homefire.sync.firestore._database import DocumentReference, Firestore
from homefire.sync.firestore._operations import commit, set_of


class WriteBatch:
    """Writes that are carried out together, all or none, by ``commit()``."""

    def __init__(self, firestore: Firestore) -> None:
        self._firestore = firestore
        self._writes: list[WireWrite] = []
        self._committed = False

    def set(
        self,
        reference: DocumentReference[T],
        data: T | Mapping[str, Any],
        *,
        merge: bool = False,
        merge_fields: Sequence[str | FieldPath] | None = None,
    ) -> WriteBatch:
        """As ``set_doc``."""
        self._own(reference)
        return self._add(
            set_of(reference, data, merge=merge, merge_fields=merge_fields)
        )

    def update(
        self,
        reference: DocumentReference[Any],
        field_or_data: Mapping[str, Any] | Mapping[FieldPath, Any] | str | FieldPath,
        *more: object,
    ) -> WriteBatch:
        """As ``update_doc``."""
        pairs = update_pairs(field_or_data, more)
        return self._add(update_write(self._own(reference), pairs))

    def delete(self, reference: DocumentReference[Any]) -> WriteBatch:
        """As ``delete_doc``."""
        return self._add(delete_write(self._own(reference)))

    def commit(self) -> None:
        """Carry out the writes. A batch can be committed once."""
        self._check_open()
        self._committed = True
        if self._writes:
            commit(self._firestore, self._writes)

    def _add(self, write: WireWrite) -> WriteBatch:
        self._check_open()
        self._writes.append(write)
        return self

    def _own(self, reference: DocumentReference[Any]) -> str:
        if reference.firestore is not self._firestore:
            raise FirestoreError(
                "invalid-argument",
                "The document belongs to another database than the batch.",
            )
        return reference._name

    def _check_open(self) -> None:
        if self._committed:
            raise FirestoreError(
                "failed-precondition",
                "A write batch is of no more use once it was committed.",
            )


def write_batch(firestore: Firestore) -> WriteBatch:
    """A new, empty batch of writes."""
    return WriteBatch(firestore)
