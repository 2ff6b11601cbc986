"""The one place that decides: may this caller do this?

Every surface's reads, queries, writes and transfers come here, so what is denied is denied everywhere.
Callers that bypass rules (service accounts, development's owner) pass; for the others the live ruleset
decides. No ruleset means no (``rules`` §5.9).
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol

import rules
from baas.access import context
from baas.access.principal import Principal
from baas.access.releases import FIRESTORE, STORAGE, Release, Releases
from baas.errors import NotFound, PermissionDenied
from baas.model.document import Document
from baas.model.paths import DatabaseId, DocumentName, FieldPath
from baas.model.query import Query
from baas.model.remembered import Remembered
from baas.model.values import Timestamp

log = logging.getLogger(__name__)

PROOFS = 1_024
"""Proofs that are kept for the very query and caller. A ruleset keeps verdicts too, by what they say; these
spare putting the request together that it is asked with."""
_PASSING = frozenset(("time", "lookups"))
"""What may be different when the same caller asks the same query again under the same release."""
DENIED = "Missing or insufficient permissions."


class Lookup(Protocol):
    """One state of a database, as rules look into it."""

    def get(self, name: DocumentName) -> Document | None:
        """A document; ``None`` if it does not exist, or belongs to another database."""
        ...

    def has_documents(self, collection: tuple[str, ...]) -> bool:
        """Whether a collection has a document."""
        ...


AsyncLookup = Callable[[DocumentName], Awaitable[Document | None]]


class PendingWrite(Protocol):
    """One document that a commit changes: what it is before the commit and what it will be after."""

    @property
    def name(self) -> DocumentName: ...
    @property
    def before(self) -> Document | None: ...
    @property
    def after(self) -> Document | None: ...
    @property
    def method(self) -> str:
        """``create``, ``update`` or ``delete``."""
        ...

    @property
    def mask(self) -> tuple[FieldPath, ...] | None:
        """The field paths that the commit touches; ``None``: all."""
        ...


class Authorizer:
    """Decides by the live rulesets.

    ``explain``: tell callers why they were denied (development only: the reasons show rules and data).
    ``open_without_rules``: allow everything where no ruleset was ever released (development only).
    ``projects``: those that this server serves; ``None``: any (development only).
    """

    def __init__(
        self,
        releases: Releases,
        *,
        explain: bool = False,
        open_without_rules: bool = False,
        projects: frozenset[str] | None = None,
    ) -> None:
        self.releases = releases
        self._explain = explain
        self._open_without_rules = open_without_rules
        self._projects = projects
        self._proofs: Remembered[rules.Decision] = Remembered(PROOFS)

    def check_get(
        self,
        database: DatabaseId,
        principal: Principal,
        name: DocumentName,
        document: Document | None,
        lookup: Lookup,
        time: Timestamp,
    ) -> rules.Decision | None:
        """May the caller get this document, which may not exist?

        Returns:
            The decision, which knows what it depended on; ``None`` if no rules were asked.

        Raises:
            PermissionDenied: no.
        """
        release = self._release(principal, database.project, FIRESTORE, database.database)
        if release is None:
            return None
        request = rules.Request(
            service=FIRESTORE,
            method="get",
            database=database.database,
            path=name.segments,
            auth=context.auth_of(principal),
            time=context.time_of(time),
            resource=context.resource_of(document),
        )
        decision = release.evaluate(request, _DocumentLookups(database, lookup, lookup))
        return self._require(decision, principal, "get", name.segments)

    def check_query(
        self, principal: Principal, query: Query, lookup: Lookup, time: Timestamp
    ) -> rules.Decision | None:
        """May the caller see whatever this canonical query could return?

        Raises:
            PermissionDenied: no, or it cannot be proven from the query's own constraints.
        """
        release = self._release(
            principal, query.database.project, FIRESTORE, query.database.database
        )
        if release is None:
            return None
        known = self._proofs.get(release, query, principal)
        if known is not None:
            return known
        request = context.list_request(query, principal, time)
        decision = release.prove(request, _DocumentLookups(query.database, lookup, lookup))
        # A query that names a document is judged by what it holds now: that is among the look-ups.
        lasting = not decision.lookups and not decision.uses & _PASSING
        if decision.allowed and release.coverage is None and lasting:
            self._proofs.keep(decision._replace(explanation=tuple), release, query, principal)
        return self._require(decision, principal, "list", (*query.parent, query.collection_id))

    def check_commit(
        self,
        database: DatabaseId,
        principal: Principal,
        changes: Sequence[PendingWrite],
        lookup: Lookup,
        lookup_after: Lookup,
        time: Timestamp,
    ) -> None:
        """May the caller make all of these changes together?

        ``lookup`` answers with the state before the commit, ``lookup_after`` with the one after it.

        Raises:
            PermissionDenied: one of them is refused.
        """
        release = self._release(
            principal, database.project, FIRESTORE, database.database, write=True
        )
        if release is None:
            return
        lookups = _DocumentLookups(database, lookup, lookup_after)
        budget = rules.LookupBudget()
        auth, now = context.auth_of(principal), context.time_of(time)
        for change in changes:
            request = rules.Request(
                service=FIRESTORE,
                method=context.method_of(change.method),
                database=database.database,
                path=change.name.segments,
                auth=auth,
                time=now,
                resource=context.resource_of(change.before),
                new_resource=context.resource_of(change.after),
                update_mask=change.mask,
            )
            decision = release.evaluate(request, lookups, budget)
            self._require(decision, principal, change.method, change.name.segments)

    async def check_storage(
        self,
        principal: Principal,
        project: str,
        request: rules.Request,
        lookup: AsyncLookup,
    ) -> None:
        """May the caller do this with an object of a project?

        Documents that the rules look up are fetched between evaluations: the engine says what it lacks
        and runs again.

        Raises:
            PermissionDenied: no.
        """
        write = request.method not in ("get", "list")
        release = self._release(principal, project, STORAGE, request.database, write=write)
        if release is None:
            return
        fetched = _FetchedLookups(DatabaseId(project))
        while True:
            try:
                decision = release.evaluate(request, fetched)
                break
            except rules.LookupNeeded as needed:
                await fetched.fetch(needed, lookup)
        self._require(decision, principal, request.method, (request.database, *request.path))

    def _release(
        self,
        principal: Principal,
        project: str,
        service: str,
        resource: str,
        *,
        write: bool = False,
    ) -> Release | None:
        """The release to ask; ``None`` if the caller may without asking.

        Raises:
            NotFound: the project is not served here.
            PermissionDenied: there are no rules, the caller belongs to another project, or has a role
                that may not write.
        """
        if self._projects is not None and project not in self._projects:
            raise NotFound(f"Project {project[:100]!r} is not served here.")
        if principal.project is not None and principal.project != project:
            raise PermissionDenied(DENIED)
        if principal.bypasses_rules:
            if write and not principal.may_write:
                raise PermissionDenied("The role of this service account lets it read only.")
            return None
        release = self.releases.live(project, service, resource)
        if release is None and not self._open_without_rules:
            log.info("denied: no %s rules are loaded for project %s", service, project)
            raise PermissionDenied(
                f"{DENIED} No rules are loaded for {service}." if self._explain else DENIED
            )
        return release

    def _require(
        self, decision: rules.Decision, principal: Principal, method: str, path: tuple[str, ...]
    ) -> rules.Decision:
        if decision.allowed:
            return decision
        if log.isEnabledFor(logging.INFO):
            log.info(
                "denied %s of /%s to %s: %s",
                method,
                "/".join(path),
                principal.uid or principal.kind.value,
                decision.message_dev().strip(),
            )
        raise PermissionDenied(decision.message_dev() if self._explain else DENIED)


class _DocumentLookups:
    """The engine's look-ups, answered at once from the unit of work at hand."""

    def __init__(self, database: DatabaseId, before: Lookup, after: Lookup) -> None:
        self._database = database
        self._before = before
        self._after = after

    def get(self, database: str, path: tuple[str, ...]) -> rules.Resource | None:
        return self._resource(database, path, self._before)

    def get_after(self, database: str, path: tuple[str, ...]) -> rules.Resource | None:
        return self._resource(database, path, self._after)

    def has_documents(self, database: str, collection: tuple[str, ...]) -> bool:
        return database == self._database.database and self._before.has_documents(collection)

    def has_documents_after(self, database: str, collection: tuple[str, ...]) -> bool:
        return database == self._database.database and self._after.has_documents(collection)

    def _resource(
        self, database: str, path: tuple[str, ...], lookup: Lookup
    ) -> rules.Resource | None:
        if database != self._database.database:
            return None
        return context.resource_of(lookup.get(DocumentName(self._database, path)))


class _FetchedLookups:
    """The engine's look-ups where fetching is asynchronous: what is not at hand is asked for."""

    def __init__(self, database: DatabaseId) -> None:
        self._database = database
        self._documents: dict[tuple[str, ...], Document | None] = {}

    def get(self, database: str, path: tuple[str, ...]) -> rules.Resource | None:
        if database != self._database.database:
            return None
        if path not in self._documents:
            raise rules.LookupNeeded("get", database, path)
        return context.resource_of(self._documents[path])

    get_after = get

    def has_documents(self, database: str, collection: tuple[str, ...]) -> bool:
        raise rules.EvaluationError("Storage rules cannot ask whether a collection has documents.")

    has_documents_after = has_documents

    async def fetch(self, needed: rules.LookupNeeded, lookup: AsyncLookup) -> None:
        """Fetch what an evaluation lacked."""
        path = tuple(needed.path)
        self._documents[path] = await lookup(DocumentName(self._database, path))
