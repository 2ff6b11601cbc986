"""The document store as realtime needs it, joined together by the composition root."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterable, Sequence
from typing import Any, Protocol, TypeVar

from baas.model.change import CommitChanges
from baas.model.document import Document
from baas.model.paths import DatabaseId, DocumentName
from baas.model.query import Query
from baas.model.values import Timestamp
from baas.realtime.ports import VersionedReader

T = TypeVar("T")


class StoreReader(Protocol):
    """A version of the document store (``baas.documents.reader.Reader``)."""

    @property
    def epoch(self) -> bytes: ...

    version: Timestamp

    def get(self, name: DocumentName) -> Document | None: ...
    def has_documents(self, segments: tuple[str, ...]) -> bool: ...
    def changes_since(
        self,
        version: Timestamp,
        most_changes: int | None = None,
        most_bytes: int | None = None,
    ) -> Sequence[CommitChanges] | None: ...


class Store(Protocol):
    """What is needed of ``baas.documents.service.DocumentStore``."""

    @property
    def read_at_version(
        self,
    ) -> Callable[[DatabaseId, Callable[[Any], Any]], Coroutine[Any, Any, Any]]:
        """Run a function over one version of a database."""


Subscribe = Callable[[Callable[[CommitChanges], None]], Callable[[], None]]
QueryReader = Callable[[Any, Query], Iterable[Document]]


class StoreSource:
    """Reads from a document store, and follows its change feed."""

    def __init__(self, store: Store, subscribe: Subscribe, query_reader: QueryReader) -> None:
        """``subscribe`` is the change feed's; ``query_reader`` runs a canonical query on a reader."""
        self._store = store
        self._query_reader = query_reader
        self.subscribe = subscribe

    async def read(self, database: DatabaseId, unit: Callable[[VersionedReader], T]) -> T:
        """See :class:`baas.realtime.ports.Source`."""
        query_reader = self._query_reader

        def run(reader: StoreReader) -> T:
            return unit(_Reader(reader, query_reader))

        result: T = await self._store.read_at_version(database, run)
        return result


class _Reader:
    def __init__(self, reader: StoreReader, query_reader: QueryReader) -> None:
        self._query_reader = query_reader
        self._reader = reader
        self.version = reader.version
        self.epoch = reader.epoch
        self.get = reader.get
        self.has_documents = reader.has_documents
        self.changes_since = reader.changes_since

    def query(self, query: Query) -> Iterable[Document]:
        return self._query_reader(self._reader, query)
