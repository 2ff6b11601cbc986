"""What reads and listeners give: documents and results at one time."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Generic, cast

from homefire.firestore._codec import decode_fields, decode_time, decode_value
from homefire.firestore._converter import T
from homefire.firestore._database import DocumentReference, Query
from homefire.firestore._paths import FieldPath, to_field_path
from homefire.firestore._view import (
    ChangeType,
    SnapshotBase,
    ViewSnapshot,
    WatchDocument,
    wire_field,
)


@dataclass(frozen=True, slots=True)
class SnapshotMetadata:
    """``from_cache``: the server could not be asked just then. The SDK keeps no writes back, so
    ``has_pending_writes`` is always false."""

    has_pending_writes: bool = False
    from_cache: bool = False


class DocumentSnapshot(SnapshotBase, Generic[T]):
    """A document as it was at some time, or the fact that it did not exist."""

    __slots__ = ("metadata", "ref")

    def __init__(
        self,
        ref: DocumentReference[T],
        document: WatchDocument | None,
        metadata: SnapshotMetadata | None = None,
    ) -> None:
        super().__init__(ref._name, document)
        self.ref = ref
        self.metadata = metadata or SnapshotMetadata()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.ref.path!r}, exists={self.exists()})"

    @property
    def id(self) -> str:
        """The document's id."""
        return self.ref.id

    @property
    def create_time(self) -> datetime | None:
        """When the document was made."""
        return None if self._document is None else self._time(self._document.create_time)

    @property
    def update_time(self) -> datetime | None:
        """When the document last changed."""
        return None if self._document is None else self._time(self._document.update_time)

    def exists(self) -> bool:
        """Whether there was such a document."""
        return self._document is not None

    def data(self) -> T | None:
        """The fields, as the caller's own copy; ``None`` where the document did not exist.

        With a converter, what its ``from_firestore`` makes of them, anew each time.
        """
        if self._document is None:
            return None
        reference, converter = self.ref.firestore._reference, self.ref._converter
        if converter is None:
            return cast(T, decode_fields(self._document.fields, reference))
        plain: QueryDocumentSnapshot = QueryDocumentSnapshot(
            reference(self._name), self._document, self.metadata
        )
        return cast(T, converter.from_firestore(plain))

    def get(self, field_path: str | FieldPath) -> Any:
        """One field's value, as it is stored; ``None`` where there is none."""
        if self._document is None:
            return None
        value = wire_field(self._document.fields, to_field_path(field_path).canonical)
        return None if value is None else decode_value(value, self.ref.firestore._reference)

    @staticmethod
    def _time(text: str | None) -> datetime | None:
        return None if text is None else decode_time(text)


class QueryDocumentSnapshot(DocumentSnapshot[T]):
    """A document in a query's result: it exists."""

    __slots__ = ()

    def data(self) -> T:
        """The fields, as the caller's own copy; with a converter, what that makes of them."""
        return cast(T, super().data())


@dataclass(frozen=True, slots=True)
class DocumentChange(Generic[T]):
    """What happened to one document; an index is -1 where the document is not in that result."""

    type: ChangeType
    doc: QueryDocumentSnapshot[T]
    old_index: int
    new_index: int


class QuerySnapshot(Generic[T]):
    """A query's result at one time."""

    def __init__(
        self,
        query: Query[T],
        documents: Sequence[WatchDocument],
        view: ViewSnapshot | None = None,
    ) -> None:
        self.query = query
        self.metadata = SnapshotMetadata(from_cache=view.from_cache if view else False)
        self._view = view
        self.docs: list[QueryDocumentSnapshot[T]] = [self._snapshot(item) for item in documents]

    def __repr__(self) -> str:
        return f"QuerySnapshot({self.query!r}, size={self.size})"

    def __iter__(self) -> Iterator[QueryDocumentSnapshot[T]]:
        return iter(self.docs)

    def __len__(self) -> int:
        return len(self.docs)

    @property
    def size(self) -> int:
        """How many documents there are."""
        return len(self.docs)

    @property
    def empty(self) -> bool:
        """Whether there are none."""
        return not self.docs

    def for_each(self, callback: Callable[[QueryDocumentSnapshot[T]], object]) -> None:
        """Call back with each document, in order."""
        for snapshot in self.docs:
            callback(snapshot)

    def doc_changes(self) -> list[DocumentChange[T]]:
        """What changed since the listener's last snapshot; all is added in the first."""
        if self._view is None:
            return [DocumentChange("added", item, -1, at) for at, item in enumerate(self.docs)]
        return [
            DocumentChange(
                change.type, self._snapshot(change.document), change.old_index, change.new_index
            )
            for change in self._view.changes
        ]

    def _snapshot(self, document: WatchDocument) -> QueryDocumentSnapshot[T]:
        ref = self.query.firestore._reference(document.name, self.query._converter)
        return QueryDocumentSnapshot(ref, document, self.metadata)


def snapshot_equal(
    left: DocumentSnapshot[Any] | QuerySnapshot[Any],
    right: DocumentSnapshot[Any] | QuerySnapshot[Any],
) -> bool:
    """Whether two snapshots are of the same place or query, and tell the same."""
    if isinstance(left, QuerySnapshot) and isinstance(right, QuerySnapshot):
        return (
            left.query == right.query
            and left.metadata == right.metadata
            and len(left) == len(right)
            and all(map(snapshot_equal, left.docs, right.docs))
        )
    if isinstance(left, DocumentSnapshot) and isinstance(right, DocumentSnapshot):
        return (
            left.ref == right.ref
            and left.metadata == right.metadata
            and left._document == right._document
        )
    return False
