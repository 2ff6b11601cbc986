"""Whether a stream's caller may watch a target: decided from memory where possible, else in a read.

Rules may look other documents up. What was looked up is noted, so that the decision can be made again
when one of these documents changes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from baas.access.principal import Principal
from baas.errors import ApiError
from baas.model.document import Document
from baas.model.paths import DatabaseId, DocumentName
from baas.model.values import Timestamp
from baas.realtime.deltas import Key
from baas.realtime.ports import Lookup, Rights, VersionedReader
from baas.realtime.targets import Watched
from rules import LookupNeeded

Get = Callable[[DocumentName], Document | None]


@dataclass(frozen=True, slots=True)
class Verdict:
    """Allowed, or refused with a reason.

    ``dependencies`` are paths of documents and of collections that were looked into, as they stood at
    ``version``.
    """

    refusal: ApiError | None
    dependencies: frozenset[Key]
    version: int


ALLOWED = Verdict(None, frozenset(), -1)
"""For callers that rules do not apply to."""


class Judge:
    """Asks the rules about targets of one database."""

    def __init__(self, rights: Rights, database: DatabaseId, now: Callable[[], int]) -> None:
        self._rights = rights
        self._database = database
        self._now = now

    def at_once(self, principal: Principal, watched: Watched, get: Get) -> Verdict | None:
        """Decide on what is in memory: ``get`` gives the watched documents.

        Returns:
            ``None`` if other documents have to be read.
        """
        try:
            return self._decide(principal, watched, get, _NOT_AT_HAND, frozenset(), -1)
        except LookupNeeded:
            return None

    def in_unit(self, principal: Principal, watched: Watched, reader: VersionedReader) -> Verdict:
        """Decide at the version of a reader."""
        noted = _Noted(reader)
        verdict = self._decide(
            principal, watched, reader.get, noted, frozenset(), reader.version.micros
        )
        looked_up = {name.segments for name in noted.seen} | noted.collections
        return Verdict(verdict.refusal, frozenset(looked_up), verdict.version)

    def may_get(self, principal: Principal, document: Document) -> bool:
        """Whether the caller may see a document, as far as that can be told without reading others."""
        if principal.bypasses_rules:
            return True
        try:
            self._check_get(principal, document.name, document, _NOT_AT_HAND)
        except (ApiError, LookupNeeded):
            return False
        return True

    def _decide(
        self,
        principal: Principal,
        watched: Watched,
        get: Get,
        lookup: Lookup,
        dependencies: frozenset[Key],
        version: int,
    ) -> Verdict:
        try:
            if watched.query is not None:
                self._rights.check_query(principal, watched.query, lookup, self._time())
            for name in watched.names:
                self._check_get(principal, name, get(name), lookup)
        except ApiError as refusal:
            return Verdict(refusal, dependencies, version)
        return Verdict(None, dependencies, version)

    def _check_get(
        self, principal: Principal, name: DocumentName, document: Document | None, lookup: Lookup
    ) -> None:
        self._rights.check_get(self._database, principal, name, document, lookup, self._time())

    def _time(self) -> Timestamp:
        return Timestamp(self._now())


class _Noted:
    """A reader that notes which documents the rules looked up, and which collections they looked into."""

    def __init__(self, reader: VersionedReader) -> None:
        self._reader = reader
        self.seen: dict[DocumentName, Document | None] = {}
        self.collections: set[Key] = set()

    def get(self, name: DocumentName) -> Document | None:
        if name not in self.seen:
            self.seen[name] = self._reader.get(name)
        return self.seen[name]

    def has_documents(self, collection: tuple[str, ...]) -> bool:
        self.collections.add(collection)
        return self._reader.has_documents(collection)


class _NotAtHand:
    """Nothing can be looked up: the decision has to be made in a read."""

    def get(self, name: DocumentName) -> Document | None:
        raise LookupNeeded("get", name.database.database, name.segments)

    def has_documents(self, collection: tuple[str, ...]) -> bool:
        raise LookupNeeded("has_documents", "", collection)


_NOT_AT_HAND = _NotAtHand()
