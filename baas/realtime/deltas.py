"""What a commit did to a view, and how several deltas become the messages of one snapshot. Pure.

A delta is made once a view and handed to every stream that watches it, by reference. Streams that have the
same deltas to tell, under the same target id, share the batch that is made of them, and a surface keeps
the encoded form in :attr:`Batch.memo`: so a commit is encoded once, however many listen.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterable
from typing import Any, TypeAlias

from baas.model.document import Document
from baas.model.paths import DocumentName
from baas.model.values import Timestamp
from baas.model.watch import DocumentChange, DocumentDelete, DocumentRemove, ListenResponse

Key: TypeAlias = tuple[str, ...]
"""A document within its database: its path."""


class ItemKind(enum.Enum):
    """What became of one document in one view."""

    MATCH = "match"
    """It matches now: it is new here, or was changed."""
    LEFT = "left"
    """It was changed and no longer matches: its content may be none of the listener's business."""
    PASSED = "passed"
    """It still matches, but others have taken its place in the limit's window."""
    GONE = "gone"
    """It was deleted."""


class Item:
    """One document in a delta. ``document`` is absent only when it is gone.

    ``version`` is that of the document's state: when it was last updated, or deleted. It may lie before
    the delta's: a view that waited for a refill is not told of changes that did not concern it.
    """

    __slots__ = ("document", "kind", "name", "version")

    def __init__(
        self, kind: ItemKind, name: DocumentName, document: Document | None, gone_at: int = -1
    ) -> None:
        self.kind = kind
        self.name = name
        self.document = document
        self.version = gone_at if document is None else document.update_time.micros


class Batch(tuple[ListenResponse, ...]):
    """Messages that belong together. ``memo`` is where surfaces keep encoded forms of a shared batch."""

    memo: dict[Any, Any]

    @classmethod
    def of(cls, responses: Iterable[ListenResponse]) -> Batch:
        """A batch with an empty memo."""
        batch = cls(responses)
        batch.memo = {}
        return batch


SharedKey: TypeAlias = int | tuple[int, int, int, tuple[bool, ...]]
"""What streams must have alike to be told of a delta by one batch: the target's id; where several deltas
are told together, or documents left the query, also the first delta's version, how many deltas there are,
and which of the documents that left the caller may see."""


class ViewDelta:
    """What changed in a view at a version."""

    __slots__ = ("has_left", "items", "shared", "size", "version")

    def __init__(self, version: int, items: tuple[Item, ...]) -> None:
        self.version = version
        self.items = items
        self.size = sum(size_of(item.document) for item in items)
        self.has_left = any(item.kind is ItemKind.LEFT for item in items)
        self.shared: dict[SharedKey, Batch] = {}


def size_of(document: Document | None) -> int:
    """About how many bytes a document takes in a message."""
    if document is None:
        return 200
    encoded = document.encoded
    return 200 + (len(encoded) if encoded is not None else _rough_size(document.fields))


def _rough_size(value: Any) -> int:
    if isinstance(value, dict):
        return sum(len(key) + 20 + _rough_size(inner) for key, inner in value.items())
    if isinstance(value, list):
        return sum(20 + _rough_size(inner) for inner in value)
    if isinstance(value, str | bytes):
        return len(value)
    return 16


class MergedDocument:
    """The newest that is to be told of one document: once a snapshot, for all targets together."""

    __slots__ = ("document", "kind", "left", "matched", "name", "version")

    def __init__(self, name: DocumentName) -> None:
        self.name = name
        self.version = -1
        self.kind = ItemKind.GONE
        self.document: Document | None = None
        self.matched: dict[int, None] = {}
        self.left: dict[int, None] = {}

    def add(self, target_id: int, item: Item) -> None:
        """Take in what a later delta says."""
        if item.version >= self.version:
            self.version, self.kind, self.document = item.version, item.kind, item.document
        if item.kind is ItemKind.MATCH:
            self.left.pop(target_id, None)
            self.matched[target_id] = None
        else:
            self.matched.pop(target_id, None)
            self.left[target_id] = None

    def drop(self, target_id: int) -> bool:
        """Forget a target; answers whether nothing is left to tell."""
        self.matched.pop(target_id, None)
        self.left.pop(target_id, None)
        return not self.matched and not self.left

    def response(self, may_read: Callable[[Document], bool]) -> ListenResponse:
        """The message. ``may_read`` is asked before a document is shown that left a query."""
        matched, left = tuple(self.matched), tuple(self.left)
        document = self.document
        if document is None:
            return DocumentDelete(self.name, Timestamp(self.version), left)
        if matched or self.kind is ItemKind.PASSED or may_read(document):
            return DocumentChange(document, matched, left)
        return DocumentRemove(self.name, Timestamp(self.version), left)


class Merged:
    """The newest state of each document that a stream has yet to tell of."""

    __slots__ = ("_documents", "size")

    def __init__(self) -> None:
        self._documents: dict[Key, MergedDocument] = {}
        self.size = 0

    def __bool__(self) -> bool:
        return bool(self._documents)

    def add(self, target_id: int, delta: ViewDelta) -> None:
        """Take in a delta of one target."""
        for item in delta.items:
            key = item.name.segments
            document = self._documents.get(key)
            if document is None:
                document = self._documents[key] = MergedDocument(item.name)
            else:
                self.size -= size_of(document.document)
            document.add(target_id, item)
            self.size += size_of(document.document)

    def drop(self, target_id: int) -> None:
        """Forget what only concerns a target that was removed."""
        empty = [key for key, each in self._documents.items() if each.drop(target_id)]
        for key in empty:
            self.size -= size_of(self._documents.pop(key).document)

    def responses(self, may_read: Callable[[Document], bool]) -> list[ListenResponse]:
        """One message a document."""
        return [document.response(may_read) for document in self._documents.values()]


def merge(parts: Iterable[tuple[int, ViewDelta]]) -> Merged:
    """Several deltas, in the order of their versions, as one."""
    merged = Merged()
    for target_id, delta in parts:
        merged.add(target_id, delta)
    return merged
