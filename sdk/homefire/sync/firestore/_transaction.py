"""Transactions: reads, then writes that hold only if nothing read has changed since."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from homefire._runtime_sync import Function, sleep
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
from homefire.sync.firestore._operations import commit, read_documents, set_of
from homefire.sync.firestore._snapshot import DocumentSnapshot

R = TypeVar("R")

MAX_ATTEMPTS = 5
BACKOFF = 0.05
"""Seconds before the second attempt at the most; doubles from one to the next."""

# Somebody else changed what was read. A commit whose answer was lost is not tried again: it may have held.
_CONFLICTS = ("aborted", "failed-precondition", "already-exists")


class Transaction:
    """One attempt at a transaction: all reads come before the first write."""

    def __init__(self, firestore: Firestore) -> None:
        self._firestore = firestore
        self._read: dict[str, str | None] = {}
        self._writes: list[WireWrite] = []
        self._written: set[str] = set()

    def get(self, reference: DocumentReference[T]) -> DocumentSnapshot[T]:
        """Read a document."""
        name = self._own(reference)
        if self._writes:
            raise FirestoreError(
                "invalid-argument",
                "A transaction must do all its reads before its writes.",
            )
        snapshot = (read_documents(self._firestore, [reference]))[0]
        document = snapshot._document
        version = None if document is None else document.update_time
        if self._read.setdefault(name, version) != version:
            raise FirestoreError(
                "aborted", "The document has changed between two reads."
            )
        return snapshot

    def set(
        self,
        reference: DocumentReference[T],
        data: T | Mapping[str, Any],
        *,
        merge: bool = False,
        merge_fields: Sequence[str | FieldPath] | None = None,
    ) -> Transaction:
        """As ``set_doc``."""
        name = self._own(reference)
        return self._add(
            name, set_of(reference, data, merge=merge, merge_fields=merge_fields)
        )

    def update(
        self,
        reference: DocumentReference[Any],
        field_or_data: Mapping[str, Any] | Mapping[FieldPath, Any] | str | FieldPath,
        *more: object,
    ) -> Transaction:
        """As ``update_doc``."""
        name = self._own(reference)
        if name not in self._written and self._read.get(name, "unread") is None:
            raise FirestoreError(
                "invalid-argument",
                f"Cannot update {reference.path}: it does not exist.",
            )
        return self._add(name, update_write(name, update_pairs(field_or_data, more)))

    def delete(self, reference: DocumentReference[Any]) -> Transaction:
        """As ``delete_doc``."""
        name = self._own(reference)
        return self._add(name, delete_write(name))

    def _own(self, reference: DocumentReference[Any]) -> str:
        if reference.firestore is not self._firestore:
            raise FirestoreError(
                "invalid-argument",
                "The document belongs to another database than the transaction.",
            )
        return reference._name

    def _add(self, name: str, write: WireWrite) -> Transaction:
        # Only the first write of a document meets it as it was read.
        if name in self._read and name not in self._written:
            write = {**write, "currentDocument": self._as_read(name)}
        self._written.add(name)
        self._writes.append(write)
        return self

    def _as_read(self, name: str) -> dict[str, Any]:
        version = self._read[name]
        return {"exists": False} if version is None else {"updateTime": version}

    def _commit(self) -> None:
        verified: list[WireWrite] = [
            {"verify": name, "currentDocument": self._as_read(name)}
            for name in self._read
            if name not in self._written
        ]
        writes = [*self._writes, *verified]
        if writes:
            commit(self._firestore, writes)


def run_transaction(
    firestore: Firestore,
    update_function: Function[Transaction, R],
    *,
    max_attempts: int = MAX_ATTEMPTS,
) -> R:
    """Run a function whose reads and writes hold together; again if others got in between.

    The function may run several times, so it should do nothing else. Raises what the function raises
    and, when all attempts met a conflict, ``aborted`` or ``failed-precondition``.
    """
    if max_attempts < 1:
        raise FirestoreError("invalid-argument", "max_attempts must be at least 1.")
    attempt = 1
    while True:
        transaction = Transaction(firestore)
        try:
            result = update_function(transaction)
            transaction._commit()
            return result
        except FirestoreError as error:
            if error.code not in _CONFLICTS or attempt >= max_attempts:
                raise
        sleep(random.uniform(0, BACKOFF * 2**attempt))
        attempt += 1
