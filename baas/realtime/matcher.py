"""Which views a change may concern: found by look-ups, never by asking every view. Pure.

A view is filed under its collection (or collection group) and, where its query demands one, under a value
that a document must have: of all filters that hold together, an equality (or ``in``, or
``array-contains``) on some field. A change looks up the values that the document has and had. So the
listeners of ten thousand users, each with ``owner == me``, cost a write two look-ups.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final, TypeAlias, TypeVar

from baas.model.change import Change
from baas.model.document import Document
from baas.model.field_access import MISSING, get_field
from baas.model.key_encoding import encode_value
from baas.model.paths import DOCUMENT_ID, FieldPath
from baas.model.query import CompositeFilter, FieldFilter, Filter, Operator, Query
from baas.realtime.deltas import Key
from baas.realtime.views import DocumentsView, QueryView, WindowView

AnyView: TypeAlias = DocumentsView | QueryView | WindowView
_Anchor: TypeAlias = tuple[FieldPath, bool, tuple[bytes, ...]]
_K = TypeVar("_K")

_WHOLE: Final = 0
_ELEMENT: Final = 1


class Matcher:
    """The register of one database's views."""

    def __init__(self) -> None:
        self._documents: dict[Key, dict[AnyView, None]] = {}
        self._collections: dict[Key, _Shelf] = {}
        self._groups: dict[str, _Shelf] = {}

    def add(self, view: AnyView) -> None:
        """Register a view."""
        if isinstance(view, DocumentsView):
            for name in view.names:
                self._documents.setdefault(name.segments, {})[view] = None
            return
        query = view.query
        if query.spans_collections:
            self._groups.setdefault(query.collection_id, _Shelf()).add(view, query)
        else:
            self._collections.setdefault(_collection_of(query), _Shelf()).add(view, query)

    def remove(self, view: AnyView) -> None:
        """Forget a view."""
        if isinstance(view, DocumentsView):
            for name in view.names:
                _discard(self._documents, name.segments, view)
            return
        query = view.query
        if query.spans_collections:
            _remove_from(self._groups, query.collection_id, view, query)
        else:
            _remove_from(self._collections, _collection_of(query), view, query)

    def of_document(self, key: Key) -> Iterable[AnyView]:
        """The views of fixed documents that hold this one."""
        return self._documents.get(key, ())

    def affected(self, changes: Iterable[Change]) -> dict[AnyView, list[Change]]:
        """The views that a commit may concern, each with the changes that made it so."""
        found: dict[AnyView, list[Change]] = {}
        for change in changes:
            segments = change.name.segments
            for view in self._documents.get(segments, ()):
                found.setdefault(view, []).append(change)
            for shelf in (
                self._collections.get(segments[:-1]),
                self._groups.get(segments[-2]),
                self._groups.get(""),
            ):
                if shelf is not None:
                    for view in shelf.find(change):
                        found.setdefault(view, []).append(change)
        return found


class _Shelf:
    """The query views of one collection or collection group."""

    __slots__ = ("_anchored", "_rest")

    def __init__(self) -> None:
        self._rest: dict[AnyView, None] = {}
        # (field path, whole value or element of an array) -> encoded value -> views
        self._anchored: dict[tuple[FieldPath, int], dict[bytes, dict[AnyView, None]]] = {}

    def __bool__(self) -> bool:
        return bool(self._rest or self._anchored)

    def add(self, view: AnyView, query: Query) -> None:
        anchor = anchor_of(query.where)
        if anchor is None:
            self._rest[view] = None
            return
        path, whole, values = anchor
        by_value = self._anchored.setdefault((path, _WHOLE if whole else _ELEMENT), {})
        for value in values:
            by_value.setdefault(value, {})[view] = None

    def remove(self, view: AnyView, query: Query) -> None:
        anchor = anchor_of(query.where)
        if anchor is None:
            self._rest.pop(view, None)
            return
        path, whole, values = anchor
        place = (path, _WHOLE if whole else _ELEMENT)
        by_value = self._anchored.get(place)
        if by_value is None:
            return
        for value in values:
            _discard(by_value, value, view)
        if not by_value:
            del self._anchored[place]

    def find(self, change: Change) -> Iterable[AnyView]:
        if not self._anchored:
            return self._rest
        found = dict(self._rest)
        for place, by_value in self._anchored.items():
            for document in (change.old, change.new):
                if document is None:
                    continue
                for value in _values_at(document, place):
                    views = by_value.get(value)
                    if views is not None:
                        found.update(views)
        return found


def anchor_of(where: Filter | None) -> _Anchor | None:
    """A field, and the encoded values of which every matching document has one there.

    The second part tells whether the field itself has the value, or an element of the array in it. Of
    several such constraints the one that likely tells documents apart best is taken.
    """
    best: tuple[int, _Anchor] | None = None
    for condition in _conjuncts(where):
        anchor = _anchor_of_filter(condition)
        if anchor is not None and (best is None or anchor[0] < best[0]):
            best = anchor
    return None if best is None else best[1]


def _conjuncts(where: Filter | None) -> Iterator[FieldFilter]:
    if isinstance(where, FieldFilter):
        yield where
    elif isinstance(where, CompositeFilter) and (where.op == "AND" or len(where.filters) == 1):
        for part in where.filters:
            yield from _conjuncts(part)


def _anchor_of_filter(condition: FieldFilter) -> tuple[int, _Anchor] | None:
    path, op, value = condition.field_path, condition.op, condition.value
    if path == DOCUMENT_ID:
        return None
    if op is Operator.EQUAL:
        # a boolean or null tells few documents apart
        rank = 2 if isinstance(value, bool) else 0
        return rank, (path, True, (encode_value(value),))
    if op is Operator.ARRAY_CONTAINS:
        return 1, (path, False, (encode_value(value),))
    if op in (Operator.IN, Operator.ARRAY_CONTAINS_ANY) and isinstance(value, list):
        values = tuple(encode_value(each) for each in value)
        return 3, (path, op is Operator.IN, values)
    return None


def _values_at(document: Document, place: tuple[FieldPath, int]) -> Iterable[bytes]:
    value = get_field(document.fields, place[0])
    if value is MISSING:
        return ()
    if place[1] == _WHOLE:
        return (encode_value(value),)
    return {encode_value(each) for each in value} if isinstance(value, list) else ()


def _collection_of(query: Query) -> Key:
    return (*query.parent, query.collection_id)


def _discard(index: dict[_K, dict[AnyView, None]], key: _K, view: AnyView) -> None:
    views = index.get(key)
    if views is not None:
        views.pop(view, None)
        if not views:
            del index[key]


def _remove_from(shelves: dict[_K, _Shelf], key: _K, view: AnyView, query: Query) -> None:
    shelf = shelves.get(key)
    if shelf is not None:
        shelf.remove(view, query)
        if not shelf:
            del shelves[key]
