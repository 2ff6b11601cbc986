"""What the document store needs of whoever decides about access: three questions, answered synchronously.

They are asked inside the unit of work that does the thing, so nothing changes between answer and deed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from baas.access.principal import Principal
from baas.model.document import Document
from baas.model.paths import DatabaseId, DocumentName, FieldPath
from baas.model.query import Query
from baas.model.values import Timestamp


class Lookup(Protocol):
    """One state of a database, as rules look into it."""

    def get(self, name: DocumentName) -> Document | None:
        """A document; ``None`` if it does not exist, or belongs to another database."""

    def has_documents(self, collection: tuple[str, ...]) -> bool:
        """Whether a collection has a document."""


@dataclass(frozen=True, slots=True)
class PendingWrite:
    """One document that a commit touches, however many of its writes do: before and after all of them.

    ``method`` is ``create``, ``update`` or ``delete``, by what the documents are. ``mask`` holds the field
    paths that the writes name, transforms included; ``None`` when one of them replaces or deletes it whole.
    """

    name: DocumentName
    before: Document | None
    after: Document | None
    method: str
    mask: tuple[FieldPath, ...] | None


class Access(Protocol):
    """Decides whether a caller may. Every method raises ``PermissionDenied`` if not."""

    def check_commit(
        self,
        database: DatabaseId,
        principal: Principal,
        changes: Sequence[PendingWrite],
        lookup: Lookup,
        lookup_after: Lookup,
        time: Timestamp,
    ) -> object:
        """May all of these documents change so? ``lookup`` answers with the state before the commit,
        ``lookup_after`` with the state that all of it leaves; ``time`` is the commit's."""

    def check_get(
        self,
        database: DatabaseId,
        principal: Principal,
        name: DocumentName,
        document: Document | None,
        lookup: Lookup,
        time: Timestamp,
    ) -> object:
        """May this document be read, which may not exist?"""

    def check_query(
        self, principal: Principal, query: Query, lookup: Lookup, time: Timestamp
    ) -> object:
        """May everything that this canonical query could return be read?"""
