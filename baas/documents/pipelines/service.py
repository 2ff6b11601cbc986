"""Pipelines for callers: access, versions and transactions around :mod:`~baas.documents.pipelines.run`."""

from __future__ import annotations

from collections.abc import Callable

from baas.access.principal import Principal
from baas.documents.access import Access
from baas.documents.pipelines.rows import Row
from baas.documents.pipelines.run import Execution
from baas.documents.reader import Reader
from baas.documents.results import PipelineResult, Read
from baas.documents.transactions import Transaction
from baas.documents.versions import VersionedReads
from baas.errors import PermissionDenied
from baas.model.document import Document
from baas.model.paths import DatabaseId, DocumentName
from baas.model.pipeline import Pipeline
from baas.model.query import LATEST, Consistency, Query
from baas.model.values import Timestamp


class Pipelines:
    """Executes pipelines. ``request_time`` gives ``request.time`` of a read."""

    def __init__(
        self,
        reads: VersionedReads,
        access: Access,
        request_time: Callable[[Reader], Timestamp],
    ) -> None:
        self._reads = reads
        self._access = access
        self._request_time = request_time

    async def execute(
        self,
        database: DatabaseId,
        pipeline: Pipeline,
        principal: Principal,
        *,
        consistency: Consistency = LATEST,
    ) -> Read[PipelineResult[Row]]:
        """The rows of a pipeline, at one version, and what they took.

        Raises:
            PermissionDenied: it cannot be proven, by its sources and the conditions that follow them at once,
                that the caller may read all that it reads.
            InvalidArgument, ResourceExhausted, DeadlineExceeded, Unimplemented: see :class:`Execution`.
        """

        def unit(reader: Reader) -> tuple[PipelineResult[Row], Execution]:
            now = self._request_time(reader)
            guard = _CallersGuard(self._access, principal, reader, now)
            execution = Execution(reader, guard, now)
            return execution.run(pipeline), execution

        read = await self._reads.read(database, consistency, principal, unit, _note)
        return Read(read.value[0], read.read_time, read.transaction)


def _note(transaction: Transaction, done: tuple[PipelineResult[Row], Execution]) -> None:
    for query in done[1].queries:
        transaction.note_query(query)
    for name, document in done[1].documents:
        transaction.note_document(name, document)


class _CallersGuard:
    """What one caller may read, asked in the unit of work that reads."""

    def __init__(
        self, access: Access, principal: Principal, reader: Reader, now: Timestamp
    ) -> None:
        self._access = access
        self._principal = principal
        self._reader = reader
        self._now = now

    def check_query(self, query: Query) -> None:
        self._access.check_query(self._principal, query, self._reader, self._now)

    def check_document(self, name: DocumentName, document: Document | None) -> None:
        self._access.check_get(
            self._reader.database, self._principal, name, document, self._reader, self._now
        )

    def check_everything(self) -> None:
        if not self._principal.bypasses_rules:
            raise PermissionDenied("Missing or insufficient permissions.")
