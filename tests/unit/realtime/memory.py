"""A small honest document store in memory: every version is kept, reads take their time, the feed too."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TypeVar

from baas.access.principal import Principal
from baas.errors import PermissionDenied
from baas.model.change import Change, CommitChanges
from baas.model.document import Document
from baas.model.matching import document_comparator, matches
from baas.model.paths import DatabaseId, DocumentName
from baas.model.query import Query
from baas.model.values import Fields, Timestamp
from baas.realtime.deltas import size_of
from baas.realtime.ports import Lookup, VersionedReader

T = TypeVar("T")
State = Mapping[DocumentName, Document]

DATABASE = DatabaseId("demo")


def name(path: str) -> DocumentName:
    """A document of the tests' database: ``name("c/d")``."""
    return DocumentName(DATABASE, tuple(path.split("/")))


async def _at_once() -> None:
    return None


class MemoryStore:
    """Implements ``baas.realtime.ports.Source``. ``before_read`` and ``after_read`` delay reads."""

    def __init__(self, epoch: bytes = b"epoch--1", start: int = 1_000) -> None:
        self.epoch = epoch
        self.version = start
        self.oldest = start
        self.states: dict[int, dict[DocumentName, Document]] = {start: {}}
        self.log: list[CommitChanges] = []
        self.subscribers: list[Callable[[CommitChanges], None]] = []
        self.unpublished: list[CommitChanges] = []
        self.before_read: Callable[[], Awaitable[None]] = _at_once
        self.after_read: Callable[[], Awaitable[None]] = _at_once
        self.reads = 0

    def write(self, changes: Mapping[str, Fields | None], *, publish: bool = True) -> int:
        """Commit: fields to be set, ``None`` to delete. Answers the commit time."""
        self.version += 10
        version = Timestamp(self.version)
        state = dict(self.states[max(self.states)])
        effective = []
        for path, fields in changes.items():
            key = name(path)
            old = state.get(key)
            if fields is None:
                if state.pop(key, None) is not None:
                    effective.append(Change(key, old, None))
            elif old is None or old.fields != fields:
                created = version if old is None else old.create_time
                state[key] = Document(key, created, version, fields=fields)
                effective.append(Change(key, old, state[key]))
        self.states[self.version] = state
        if effective:
            commit = CommitChanges(DATABASE, version, tuple(effective))
            self.log.append(commit)
            self.unpublished.append(commit)
        if publish:
            self.publish()
        return self.version

    def publish(self, count: int | None = None) -> None:
        """Tell subscribers of the oldest commits that they have not been told of."""
        for _ in range(len(self.unpublished) if count is None else count):
            commit = self.unpublished.pop(0)
            for subscriber in tuple(self.subscribers):
                subscriber(commit)

    def prune(self, version: int) -> None:
        """Forget changes up to a version."""
        self.oldest = version

    def answer(self, query: Query, version: int) -> list[Document]:
        """What a canonical query means at a version; the naive way."""
        return run_naively(self.states[version], query)

    def subscribe(self, callback: Callable[[CommitChanges], None]) -> Callable[[], None]:
        self.subscribers.append(callback)
        return lambda: self.subscribers.remove(callback)

    async def read(self, database: DatabaseId, unit: Callable[[VersionedReader], T]) -> T:
        self.reads += 1
        await self.before_read()
        result = unit(_Reader(self))
        await self.after_read()
        return result


def run_naively(state: State, query: Query) -> list[Document]:
    """Match everything, sort everything, cut."""
    found = [document for document in state.values() if matches(query, document)]
    found.sort(key=functools.cmp_to_key(document_comparator(query)))
    end = None if query.limit is None else query.offset + query.limit
    return found[query.offset : end]


class _Reader:
    def __init__(self, store: MemoryStore) -> None:
        self._store = store
        self._state = store.states[store.version]
        self.version = Timestamp(store.version)
        self.epoch = store.epoch

    def get(self, name: DocumentName) -> Document | None:
        return self._state.get(name)

    def has_documents(self, collection: tuple[str, ...]) -> bool:
        return any(name.collection == collection for name in self._state)

    def query(self, query: Query) -> list[Document]:
        return run_naively(self._state, query)

    def changes_since(
        self,
        version: Timestamp,
        most_changes: int | None = None,
        most_bytes: int | None = None,
    ) -> Sequence[CommitChanges] | None:
        if version.micros < self._store.oldest:
            return None
        commits = [
            commit for commit in self._store.log if version < commit.commit_time <= self.version
        ]
        changes = [change for commit in commits for change in commit.changes]
        size = sum(size_of(each) for change in changes for each in (change.old, change.new) if each)
        too_many = most_changes is not None and len(changes) > most_changes
        too_large = most_bytes is not None and size > most_bytes
        return None if too_many or too_large else commits


class AllowAll:
    """Rights without rules."""

    def check_get(
        self,
        database: DatabaseId,
        principal: Principal,
        name: DocumentName,
        document: Document | None,
        lookup: Lookup,
        time: Timestamp,
    ) -> None:
        return None

    def check_query(
        self, principal: Principal, query: Query, lookup: Lookup, time: Timestamp
    ) -> None:
        return None


class OwnersAndMembers(AllowAll):
    """A document with an ``owner`` is for that user alone; collection ``club`` is for those whom the
    document ``members/<uid>`` lets in; queries elsewhere are free."""

    def check_get(
        self,
        database: DatabaseId,
        principal: Principal,
        name: DocumentName,
        document: Document | None,
        lookup: Lookup,
        time: Timestamp,
    ) -> None:
        if document is not None and document.fields.get("owner", principal.uid) != principal.uid:
            raise PermissionDenied("not yours")
        if name.collection_id == "club":
            self._require_member(principal, lookup)

    def check_query(
        self, principal: Principal, query: Query, lookup: Lookup, time: Timestamp
    ) -> None:
        if query.collection_id == "secret":
            raise PermissionDenied("secret")
        if query.collection_id == "club":
            self._require_member(principal, lookup)

    def _require_member(self, principal: Principal, lookup: Lookup) -> None:
        member = lookup.get(DocumentName(DATABASE, ("members", principal.uid or "nobody")))
        if member is None or member.fields.get("in") is not True:
            raise PermissionDenied("members only")


async def settle() -> None:
    """Let everything that can happen without outside help happen."""
    for _ in range(50):
        await asyncio.sleep(0)
