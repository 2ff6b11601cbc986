"""Shared views: the result of one query, or of one set of documents, kept up to date. Pure.

A view is fed all changes that may concern it, commit by commit, and answers with what they did to its
result. It asks for its result to be read (``wants_load``) at the beginning, when a listener joins whose
first result is not at hand any more, and when a limited window runs out of documents. While a read is
under way the view notes what it is told; when the result arrives, as of some version, what was committed
after that version is applied to it: nothing is missed and nothing is counted twice.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

from baas.model.canonical import canonical_id
from baas.model.change import Change
from baas.model.document import Document
from baas.model.key_encoding import encode_value
from baas.model.matching import compile_filter, compile_order, within_cursors
from baas.model.paths import DocumentName
from baas.model.query import Query
from baas.realtime.budget import Lease, Result
from baas.realtime.deltas import Item, ItemKind, Key, ViewDelta, size_of

Commits: TypeAlias = list[tuple[int, tuple[Change, ...]]]
Selects: TypeAlias = Callable[[Document], bool]


@dataclass(frozen=True, slots=True)
class Keeping:
    """How much of its result a view keeps."""

    documents: int
    bytes: int
    look_ahead: int


class View:
    """What all views have in common. Versions are commit times in microseconds."""

    __slots__ = ("_initial", "_noted", "joined", "key", "lease", "loading", "version")

    def __init__(self, key: bytes) -> None:
        self.key = key
        self.version = -1
        self.loading = False
        self.joined = False
        """Whether the first result has arrived."""
        self._noted: Commits = []
        self._initial: tuple[int, Result] | None = None
        self.lease: Lease | None = None
        """The memory that the result takes."""

    @property
    def has_result(self) -> bool:
        """Whether a listener that joins now can be given the result at once."""
        raise NotImplementedError

    @property
    def holds_back(self) -> bool:
        """Whether listeners have to wait for the read that is under way."""
        raise NotImplementedError

    @property
    def wants_load(self) -> bool:
        """Whether the result must be read, and is not being read yet."""
        return not self.loading and not self.has_result

    def begin_load(self) -> None:
        """From here on what is committed is noted as well, until :meth:`loaded`."""
        self.loading = True
        self._noted = []

    def abandon_load(self) -> None:
        """The read failed."""
        self.loading = False
        self._noted = []

    def commit(self, version: int, changes: tuple[Change, ...]) -> ViewDelta | None:
        """Take a commit; answers what it did to the listeners that have their first result."""
        if self.loading:
            self._noted.append((version, changes))
        if not self.joined or version <= self.version:
            return None
        self._initial = None
        return self._apply(version, changes)

    def initial(self) -> Result:
        """The result as it is now, for a listener that joins. One tuple for all that join now."""
        if self._initial is None or self._initial[0] != self.version:
            self._initial = (self.version, Result.of(self._result(), self.lease))
        return self._initial[1]

    def _apply(self, version: int, changes: tuple[Change, ...]) -> ViewDelta | None:
        raise NotImplementedError

    def _result(self) -> Iterable[Document]:
        raise NotImplementedError

    def _take_noted(self, version: int) -> Commits:
        noted = [commit for commit in self._noted if commit[0] > version]
        self._noted = []
        self.loading = False
        return noted


class DocumentsView(View):
    """A fixed set of documents."""

    __slots__ = ("_documents", "names")

    def __init__(self, names: Sequence[DocumentName]) -> None:
        super().__init__(documents_key(names))
        self.names = tuple(names)
        self._documents: dict[Key, Document | None] = {}

    @property
    def has_result(self) -> bool:
        return self.joined

    @property
    def holds_back(self) -> bool:
        return False

    def get(self, name: DocumentName) -> Document | None:
        """One of the documents, as it is now."""
        return self._documents.get(name.segments)

    def loaded(self, documents: Sequence[Document], version: int, now: int) -> None:
        """Those that exist as of ``version``; commits up to ``now`` are noted."""
        self._documents = {name.segments: None for name in self.names}
        self._documents.update((document.name.segments, document) for document in documents)
        self.joined = True
        self.version = version
        for commit_version, changes in self._take_noted(version):
            self._apply(commit_version, changes)
        self.version = now

    def _apply(self, version: int, changes: tuple[Change, ...]) -> ViewDelta | None:
        items = []
        for change in changes:
            if change.name.segments not in self._documents:
                continue
            self._documents[change.name.segments] = change.new
            kind = ItemKind.GONE if change.new is None else ItemKind.MATCH
            items.append(Item(kind, change.name, change.new, version))
        self.version = version
        return ViewDelta(version, tuple(items)) if items else None

    def _result(self) -> Iterable[Document]:
        return [document for document in self._documents.values() if document is not None]


class QueryView(View):
    """A query without limit: each change is judged by itself, so nothing needs to be kept.

    The result is kept all the same while it is small, so that later listeners cost no query.
    """

    __slots__ = ("_bytes", "_documents", "_keeping", "_selects", "query")

    def __init__(self, query: Query, keeping: Keeping) -> None:
        super().__init__(query_key(query))
        self.query = query
        self._keeping = keeping
        self._selects = compile_selection(query)
        self._documents: dict[Key, Document] | None = None
        self._bytes = 0

    @property
    def has_result(self) -> bool:
        return self._documents is not None

    @property
    def holds_back(self) -> bool:
        return False

    @property
    def count(self) -> int | None:
        """How many documents match now, if that is known without a query."""
        return None if self._documents is None else len(self._documents)

    def loaded(self, documents: Sequence[Document], version: int, now: int) -> None:
        """The result as of ``version``; commits up to ``now`` are noted."""
        result = {document.name.segments: document for document in documents}
        for _version, changes in self._take_noted(version):
            for change in changes:
                if change.new is not None and self._selects(change.new):
                    result[change.name.segments] = change.new
                else:
                    result.pop(change.name.segments, None)
        self.joined = True
        self.version = now
        self._documents = result
        self._bytes = sum(size_of(document) for document in result.values())
        self._initial = None

    def follow(self, version: int) -> None:
        """Tell changes from ``version`` on, without a result of its own."""
        if not self.joined:
            self.joined = True
            self.version = version

    def let_go(self) -> None:
        """Forget the result if it is too large to be kept for listeners to come."""
        if self._documents is None:
            return
        if len(self._documents) > self._keeping.documents or self._bytes > self._keeping.bytes:
            self.forget()

    def forget(self) -> None:
        """Forget the result: who joins later has it read again."""
        self._documents = None
        self._initial = None
        self._bytes = 0
        self.lease = None

    def selects(self, document: Document | None) -> bool:
        """Whether the document is in the result."""
        return document is not None and self._selects(document)

    def _apply(self, version: int, changes: tuple[Change, ...]) -> ViewDelta | None:
        items = []
        for change in changes:
            item = self._judge(version, change)
            if item is not None:
                items.append(item)
        self.version = version
        if not items:
            return None
        self.let_go()
        return ViewDelta(version, tuple(items))

    def _judge(self, version: int, change: Change) -> Item | None:
        new, key = change.new, change.name.segments
        documents = self._documents
        matches = new is not None and self._selects(new)
        if documents is None:
            matched = change.old is not None and self._selects(change.old)
        else:
            old = documents.pop(key, None)
            matched = old is not None
            self._bytes -= size_of(old) if matched else 0
            if matches and new is not None:
                documents[key] = new
                self._bytes += size_of(new)
        if matches:
            return Item(ItemKind.MATCH, change.name, new)
        if not matched:
            return None
        return Item(ItemKind.GONE if new is None else ItemKind.LEFT, change.name, new, version)

    def _result(self) -> Iterable[Document]:
        return () if self._documents is None else self._documents.values()


class WindowView(View):
    """A query with a limit or an offset: its window, and a few documents beyond.

    Documents are held in order, from the first of the query to a point some way behind the window. When
    so many of them leave that the window is no longer full although the store may have more, the view
    must be read again, and its listeners wait: who enters the window is told in the same snapshot as who
    left it.
    """

    __slots__ = (
        "_by_key",
        "_changed",
        "_complete",
        "_end",
        "_keys",
        "_look_ahead",
        "_order",
        "_selects",
        "_short",
        "_shown",
        "_sort_keys",
        "_suspects",
        "query",
    )

    def __init__(self, query: Query, keeping: Keeping) -> None:
        super().__init__(query_key(query))
        self.query = query
        self._selects = compile_selection(query)
        self._order = compile_order(query)
        self._look_ahead = keeping.look_ahead
        self._end = None if query.limit is None else query.offset + query.limit
        self._keys: list[bytes] = []
        self._by_key: dict[bytes, Document] = {}
        self._sort_keys: dict[Key, bytes] = {}
        self._complete = False
        self._short = True
        self._shown: dict[Key, Document] = {}
        self._changed: dict[Key, tuple[int, Document | None]] = {}
        """What became of shown documents since they were shown, and when."""
        self._suspects: dict[Key, None] = {}
        """Documents that may have entered, left or changed within the window since it was shown."""

    @property
    def has_result(self) -> bool:
        return self.joined and not self._short

    @property
    def holds_back(self) -> bool:
        return self.joined and self._short

    @property
    def count(self) -> int:
        """How many documents are in the window."""
        return len(self._shown)

    def query_to_load(self, more: int = 0) -> Query:
        """What is to be read: the query from its first document to (``more``) beyond the window."""
        limit = None if self._end is None else self._end + self._look_ahead + more
        return replace(self.query, offset=0, limit=limit)

    def selects(self, document: Document | None) -> bool:
        """Whether the document matches, its place in the order aside."""
        return document is not None and self._selects(document)

    def cut(self, documents: Iterable[Document]) -> list[Document]:
        """The window that the query would have if these were all the documents that match."""
        return sorted(documents, key=self._order)[self.query.offset : self._end]

    def loaded(self, documents: Sequence[Document], version: int, now: int) -> ViewDelta | None:
        """The documents of :meth:`query_to_load` as of ``version``; commits up to ``now`` are noted.

        Returns:
            What changed for listeners that were waiting for a refill.
        """
        asked = self.query_to_load().limit
        self._hold(documents, complete=asked is None or len(documents) < asked)
        for _version, changes in self._take_noted(version):
            for change in changes:
                self._take(change)
        self.version = now
        self._suspects.clear()
        self._settle()
        if self._short:
            # deletions outran the read: hold more, and read once more
            self._look_ahead *= 2
            return None
        waited = self.joined
        self.joined = True
        delta = self._show(now)
        return delta if waited else None

    def _hold(self, documents: Sequence[Document], *, complete: bool) -> None:
        self._complete = complete
        self._keys = [self._order(document) for document in documents]
        self._by_key = dict(zip(self._keys, documents, strict=True))
        self._sort_keys = {
            document.name.segments: key for key, document in zip(self._keys, documents, strict=True)
        }

    def _apply(self, version: int, changes: tuple[Change, ...]) -> ViewDelta | None:
        self.version = version
        for change in changes:
            if change.name.segments in self._shown:
                self._changed[change.name.segments] = (version, change.new)
            if not self._short:
                self._take(change)
        if not self._short:
            self._settle()
        suspects, self._suspects = self._suspects, {}
        # a window that is short is compared as a whole, once it is full again
        return None if self._short or not suspects else self._show_suspects(version, suspects)

    def _take(self, change: Change) -> None:
        """Bring one change into the ordered documents."""
        name = change.name.segments
        key = self._sort_keys.pop(name, None)
        if key is not None:
            index = bisect_left(self._keys, key)
            del self._by_key[key]
            del self._keys[index]
            self._suspect(name, index)
        if change.new is not None and self._selects(change.new):
            self._insert(change.new)

    def _insert(self, document: Document) -> None:
        key = self._order(document)
        if not self._complete and (not self._keys or key > self._keys[-1]):
            # behind all that is held, the store may have others that come first
            return
        index = bisect_left(self._keys, key)
        self._keys.insert(index, key)
        self._by_key[key] = document
        self._sort_keys[document.name.segments] = key
        self._suspect(document.name.segments, index)

    def _suspect(self, name: Key, index: int) -> None:
        """A document came to, or went from, a place: besides it only those next to the window's two
        ends can have crossed them."""
        end, offset = self._end, self.query.offset
        if end is not None and index >= end:
            return
        suspects = self._suspects
        suspects[name] = None
        held = len(self._keys)
        for place in (offset - 1, offset, *(() if end is None else (end - 1, end))):
            if 0 <= place < held:
                suspects[self._by_key[self._keys[place]].name.segments] = None

    def _settle(self) -> None:
        """Cut what reaches too far behind the window, and see whether the window can be filled."""
        if self._end is None:
            self._short = False
            return
        longest = self._end + 2 * self._look_ahead
        if len(self._keys) > longest:
            for key in self._keys[longest:]:
                del self._sort_keys[self._by_key.pop(key).name.segments]
            del self._keys[longest:]
            self._complete = False
        self._short = not self._complete and len(self._keys) < self._end

    def _shows(self, name: Key) -> Document | None:
        """A document, if it is in the window."""
        key = self._sort_keys.get(name)
        if key is None:
            return None
        index = bisect_left(self._keys, key)
        inside = self.query.offset <= index and (self._end is None or index < self._end)
        return self._by_key[key] if inside else None

    def _window(self) -> dict[Key, Document]:
        keys = self._keys[self.query.offset : self._end]
        return {(document := self._by_key[key]).name.segments: document for key in keys}

    def _show(self, version: int) -> ViewDelta | None:
        """Compare the window with what listeners were shown last."""
        before, after = self._shown, self._window()
        items = [
            Item(ItemKind.MATCH, document.name, document)
            for key, document in after.items()
            if key not in before or before[key].update_time != document.update_time
        ]
        items.extend(
            self._departure(key, document) for key, document in before.items() if key not in after
        )
        self._shown = after
        self._changed.clear()
        return ViewDelta(version, tuple(items)) if items else None

    def _show_suspects(self, version: int, suspects: Iterable[Key]) -> ViewDelta | None:
        """Like :meth:`_show`, where only these documents can have changed."""
        shown, arrived, departed = self._shown, [], []
        for name in suspects:
            before, after = shown.get(name), self._shows(name)
            if after is not None:
                if before is None or before.update_time != after.update_time:
                    shown[name] = after
                    arrived.append(Item(ItemKind.MATCH, after.name, after))
            elif before is not None:
                departed.append(self._departure(name, shown.pop(name)))
        self._changed.clear()
        items = (*arrived, *departed)
        return ViewDelta(version, items) if items else None

    def _departure(self, key: Key, shown: Document) -> Item:
        version, new = self._changed.get(key, (-1, shown))
        if new is None:
            return Item(ItemKind.GONE, shown.name, None, version)
        stays = new is shown or self._selects(new)
        return Item(ItemKind.PASSED if stays else ItemKind.LEFT, shown.name, new)

    def _result(self) -> Iterable[Document]:
        return [self._by_key[key] for key in self._keys[self.query.offset : self._end]]


def make_view(query: Query, keeping: Keeping) -> QueryView | WindowView:
    """The view of a canonical query. Projections do not apply to listeners: documents come whole."""
    if query.limit is None and not query.offset:
        return QueryView(query, keeping)
    return WindowView(query, keeping)


def compile_selection(query: Query) -> Selects:
    """Scope, filters, presence of ordered fields and cursors in one function."""
    selects = compile_filter(query)
    if query.start_at is None and query.end_at is None:
        return selects
    inside = within_cursors(query)
    return lambda document: selects(document) and inside(document)


def query_key(query: Query) -> bytes:
    """Equal for queries that can share a view."""
    return b"q" + canonical_id(query)


def documents_key(names: Sequence[DocumentName]) -> bytes:
    """Equal for sets of documents that can share a view."""
    return b"d" + encode_value([list(name.segments) for name in names])
