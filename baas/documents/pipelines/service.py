"""Pipelines for callers: access, versions and transactions around :mod:`~baas.documents.pipelines.run`."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Final

from baas.access.principal import Principal
from baas.documents.access import Access
from baas.documents.pipelines.changes import split, writes_of
from baas.documents.pipelines.rows import Row
from baas.documents.pipelines.run import Execution
from baas.documents.reader import Reader
from baas.documents.results import PipelineResult, Read
from baas.documents.transactions import Transaction
from baas.documents.versions import VersionedReads
from baas.errors import Aborted, InvalidArgument, PermissionDenied
from baas.model.document import Document
from baas.model.paths import DatabaseId, DocumentName
from baas.model.pipeline import Pipeline
from baas.model.query import LATEST, Consistency, Query, TransactionOptions
from baas.model.values import Timestamp
from baas.model.write import Commit, CommitResult, Write, WriteKind

MODIFIED: Final = "documents_modified"
"""The one field of the one row that a pipeline which writes gives."""
_ATTEMPTS: Final = 5
"""Of a pipeline that writes, when other commits come in between."""

Committing = Callable[[Commit, Principal], Awaitable[CommitResult]]


class Pipelines:
    """Executes pipelines. ``request_time`` gives ``request.time`` of a read; ``commit`` makes the writes of
    one, at most ``most_writes``."""

    def __init__(
        self,
        reads: VersionedReads,
        access: Access,
        request_time: Callable[[Reader], Timestamp],
        commit: Committing,
        most_writes: int,
    ) -> None:
        self._reads = reads
        self._access = access
        self._request_time = request_time
        self._commit = commit
        self._most_writes = most_writes

    async def execute(
        self,
        database: DatabaseId,
        pipeline: Pipeline,
        principal: Principal,
        *,
        consistency: Consistency = LATEST,
        atomic: bool = False,
    ) -> Read[PipelineResult[Row]]:
        """The rows of a pipeline, at one version, and what they took; of one that writes, how many documents.
        What one writes happens together or not at all; ``atomic``: documents that it updates must exist.

        Raises:
            PermissionDenied: it cannot be proven, by its sources and the conditions that follow them at once,
                that the caller may read all that it reads; or it writes and rules apply to the caller.
            NotFound: such a document does not.
            Aborted: other commits came in between again and again.
            InvalidArgument, ResourceExhausted, DeadlineExceeded, Unimplemented: see :class:`Execution`.
        """
        pipeline, kind = split(pipeline)
        if kind is not None:
            if not principal.bypasses_rules:
                raise PermissionDenied("Missing or insufficient permissions.")
            if consistency != LATEST:
                raise InvalidArgument(
                    "A pipeline that writes cannot be part of a transaction, nor read the past."
                )
            # what is begun is done, as with a commit, even where its caller goes away
            return await asyncio.shield(self._write(database, pipeline, kind, principal, atomic))

        def unit(reader: Reader) -> tuple[PipelineResult[Row], Execution]:
            now = self._request_time(reader)
            guard = _CallersGuard(self._access, principal, reader, now)
            execution = Execution(reader, guard, now)
            return execution.run(pipeline), execution

        read = await self._reads.read(database, consistency, principal, unit, _note)
        return Read(read.value[0], read.read_time, read.transaction)

    async def _write(
        self,
        database: DatabaseId,
        pipeline: Pipeline,
        kind: WriteKind,
        principal: Principal,
        atomic: bool,
    ) -> Read[PipelineResult[Row]]:
        """In a transaction of its own, tried again when what it read has changed."""

        def unit(
            reader: Reader,
        ) -> tuple[PipelineResult[Row], Execution, tuple[Write, ...]]:
            now = self._request_time(reader)
            guard = _CallersGuard(self._access, principal, reader, now)
            execution = Execution(reader, guard, now)
            result = execution.run(pipeline)
            writes = writes_of(
                database,
                kind,
                result.rows,
                execution.exists,
                atomic=atomic,
                most=self._most_writes,
            )
            return result, execution, writes

        def note(
            transaction: Transaction,
            done: tuple[PipelineResult[Row], Execution, tuple[Write, ...]],
        ) -> None:
            _note(transaction, done[:2])

        failed: bytes | None = None
        for left in reversed(range(_ATTEMPTS)):
            begun = Consistency(new_transaction=TransactionOptions(retry_transaction=failed))
            read = await self._reads.read(database, begun, principal, unit, note)
            result, _, writes = read.value
            try:
                done = await self._commit(Commit(database, writes, read.transaction), principal)
            except Aborted:
                if not left:
                    raise
                failed = read.transaction
                continue
            row = Row({MODIFIED: len(writes)}, None, {})
            return Read(replace(result, rows=(row,)), done.commit_time)
        raise AssertionError("the last attempt returns or raises")


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
