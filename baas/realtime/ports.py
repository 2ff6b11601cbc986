"""What the realtime service needs of others: the documents, and the decision who may read them.

``baas/server.py`` hands in the real ones (``baas.realtime.source`` adapts the document store;
``baas.access.authorize.Authorizer`` is :class:`Rights` as it stands).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final, Protocol, TypeVar

from baas.access.principal import Principal
from baas.model.change import CommitChanges
from baas.model.document import Document
from baas.model.paths import DatabaseId, DocumentName
from baas.model.query import Query
from baas.model.values import Timestamp

T = TypeVar("T")

NO_HISTORY: Final = bytes(8)
"""The epoch of a database to which nothing was ever written."""


class Lookup(Protocol):
    """One state of a database, as rules look into it."""

    def get(self, name: DocumentName) -> Document | None:
        """A document; ``None`` if it does not exist."""

    def has_documents(self, collection: tuple[str, ...]) -> bool:
        """Whether a collection has a document."""


class VersionedReader(Protocol):
    """The documents of a database at one version, within one unit of work."""

    @property
    def version(self) -> Timestamp:
        """The commit time at which this is the database; never before the first commit."""

    @property
    def epoch(self) -> bytes:
        """Tells this history of the database from others."""

    def get(self, name: DocumentName) -> Document | None:
        """One document."""

    def has_documents(self, collection: tuple[str, ...]) -> bool:
        """Whether a collection has a document."""

    def query(self, query: Query) -> Iterable[Document]:
        """The documents of a canonical query, whole, in order; read as they are iterated."""

    def changes_since(
        self,
        version: Timestamp,
        most_changes: int | None = None,
        most_bytes: int | None = None,
    ) -> Sequence[CommitChanges] | None:
        """All commits after ``version`` up to this one, in order, with the documents before and after.

        Commits without effect may be left out. ``None``: the change log does not reach back so far, or
        there are more changes, or more bytes of documents in them, than are asked for.
        """


class Source(Protocol):
    """Where documents come from."""

    async def read(self, database: DatabaseId, unit: Callable[[VersionedReader], T]) -> T:
        """Run a function on one version, which includes every commit acknowledged before the call."""

    def subscribe(self, callback: Callable[[CommitChanges], None]) -> Callable[[], None]:
        """Call back on the event loop for every commit that had an effect, in order.

        Returns:
            A function that ends the subscription.
        """


class Rights(Protocol):
    """Who may read what. Raises ``PermissionDenied``; the answers are not looked at."""

    def check_get(
        self,
        database: DatabaseId,
        principal: Principal,
        name: DocumentName,
        document: Document | None,
        lookup: Lookup,
        time: Timestamp,
    ) -> Any:
        """May the caller get this document, which may not exist?"""

    def check_query(
        self, principal: Principal, query: Query, lookup: Lookup, time: Timestamp
    ) -> Any:
        """May the caller see whatever this canonical query could return?"""
