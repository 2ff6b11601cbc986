"""The document store: what the surfaces and the realtime room call.

Every method takes the caller, and asks access inside the unit of work that reads or writes. Source of the
methods' semantics: ``listen-and-write`` §4 to §6.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TypeVar

from baas.access.principal import OWNER, Principal
from baas.db.commit_clock import CommitClock, wall_clock_micros
from baas.db.unit import Database, Tx
from baas.documents import listing, queries
from baas.documents import transactions as transaction_rules
from baas.documents.access import Access
from baas.documents.aggregation import ordered_by_aggregated
from baas.documents.background import BackgroundWork
from baas.documents.catalogue import Catalogue
from baas.documents.change_feed import ChangeFeed
from baas.documents.index_builder import IndexBuilder
from baas.documents.index_wishes import Declared
from baas.documents.indexes import IndexCatalogue
from baas.documents.options import DocumentOptions
from baas.documents.pipelines.service import Pipelines
from baas.documents.projection import projected
from baas.documents.reader import Reader
from baas.documents.records import some_names
from baas.documents.results import (
    AggregationResult,
    CollectionIdPage,
    DocumentPage,
    ExplainMetrics,
    ListedDocument,
    PartitionPage,
    QueryResult,
    Read,
)
from baas.documents.retention import Retention
from baas.documents.transactions import Transaction, Transactions
from baas.documents.ttl import Expiry, TtlPolicy
from baas.documents.versions import VersionedReads
from baas.documents.writer import Writer
from baas.errors import Aborted, ApiError, DeadlineExceeded, InvalidArgument, PermissionDenied
from baas.model.canonical import canonical_id, canonicalize, check_aggregations
from baas.model.document import Document
from baas.model.limits import check_get_count, check_write_count
from baas.model.paths import DatabaseId, DocumentName
from baas.model.query import (
    LATEST,
    Aggregation,
    Consistency,
    Cursor,
    Query,
    TransactionOptions,
)
from baas.model.remembered import Remembered
from baas.model.values import Timestamp, Value
from baas.model.write import Commit, CommitResult, Write, WriteKind, WriteResult
from baas.wire.requests import ExplainOptions

T = TypeVar("T")

MAX_PARTITIONS = 1_000
"""Cursors that one partition query gives at most."""
QUERIES = 256
"""Queries whose canonical form is kept, for surfaces that hand over the same query again."""
QUICK_DOCUMENTS = 20
"""Calls that touch so many documents at most, each by its name, need no thread of the database."""


class DocumentStore:
    """Documents of all databases of one server."""

    def __init__(
        self,
        database: Database,
        access: Access,
        options: DocumentOptions | None = None,
        *,
        now: Callable[[], int] = wall_clock_micros,
    ) -> None:
        """``now`` gives microseconds since the epoch."""
        self._database = database
        self._access = access
        self._options = options or DocumentOptions()
        self._now = now
        self._catalogue = Catalogue(now())
        self._canonical: Remembered[Query] = Remembered(QUERIES)
        index_catalogue = IndexCatalogue()
        self._transactions = Transactions(self._options, time.monotonic)
        self._reads = VersionedReads(
            database,
            self._catalogue,
            index_catalogue,
            self._transactions,
            now,
            self._options.query_seconds,
        )
        self.indexes = IndexBuilder(database, self._catalogue, index_catalogue, self._options, now)
        self.pipelines = Pipelines(
            self._reads, access, self._request_time, self.commit, self._options.max_writes
        )
        self.changes = ChangeFeed(self._catalogue)
        self._writer = Writer(
            self._catalogue, index_catalogue, CommitClock(now), self.changes, access
        )
        self.retention = Retention(database, self._options, now)
        self.expiry = Expiry(
            database, self._catalogue, self.indexes, self._writer, self._options, now
        )
        self._background = BackgroundWork(
            self.indexes.run,
            (self._options.prune_interval, self.retention.prune),
            (self._options.ttl_interval, self.expiry.sweep),
            (self._options.index_use_interval, self.indexes.note_uses),
        )

    def start(self) -> None:
        """Begin the background work: building indexes, dropping old changes, expiry."""
        self._background.start()

    async def close(self) -> None:
        """End the background work. What it was doing goes on at the next start."""
        await self._background.close()

    # Writes

    async def commit(self, commit: Commit, principal: Principal) -> CommitResult:
        """Make all writes at one time, in order, or none of them.

        Raises:
            PermissionDenied: the caller may not make one of them.
            NotFound, AlreadyExists, FailedPrecondition: a precondition does not hold.
            InvalidArgument: a write is malformed, or the transaction is unknown or has expired.
            Aborted: the transaction lost against another commit; to be retried as a whole.
        """
        self._check_writes(commit.database, commit.writes, self._options.max_writes)
        if not commit.writes:
            return await self._commit_nothing(commit, principal)
        if commit.transaction is None:
            return await self._database.write(
                lambda tx: self._writer.commit(tx, commit.database, commit.writes, principal),
                quick=len(commit.writes) <= QUICK_DOCUMENTS,
            )
        transaction = self._transactions.use(commit.transaction, commit.database, principal)
        return await self._commit_transaction(transaction, commit, principal)

    async def write(self, write: Write, principal: Principal) -> Document | None:
        """Commit one write by itself; answers the document as the commit left it.

        Raises:
            PermissionDenied, NotFound, AlreadyExists, FailedPrecondition, InvalidArgument: as
                :meth:`commit`.
        """

        return await self._database.write(
            lambda tx: self._writer.write(tx, write, principal), quick=True
        )

    async def _commit_nothing(self, commit: Commit, principal: Principal) -> CommitResult:
        """A commit without writes. What its transaction read was of one version: there is no conflict."""
        if commit.transaction is not None:
            transaction = self._transactions.use(commit.transaction, commit.database, principal)
            self._transactions.finish(transaction)
        version = await self.read_at_version(commit.database, lambda reader: reader.version)
        return CommitResult(version, ())

    async def _commit_transaction(
        self, transaction: Transaction, commit: Commit, principal: Principal
    ) -> CommitResult:
        if transaction.read_only:
            self._transactions.finish(transaction)
            raise InvalidArgument("Cannot modify documents in a read-only transaction.")

        def validate(tx: Tx) -> None:
            entry = self._catalogue.database_for_write(tx, commit.database)
            transaction_rules.validate(tx, self._catalogue, entry, transaction)

        def prevalidate(tx: Tx) -> None:
            entry = self._catalogue.database(tx, commit.database)
            if entry is not None:
                transaction_rules.validate_queries(tx, self._catalogue, entry, transaction)

        aborted = False
        try:
            self._transactions.check_turn(transaction)
            if transaction.queries:
                await self._database.read(prevalidate)
            return await self._database.write(
                lambda tx: self._writer.commit(
                    tx, commit.database, commit.writes, principal, validate
                )
            )
        except Aborted:
            aborted = True
            raise
        finally:
            self._transactions.finish(transaction, aborted=aborted)

    async def batch_write(
        self, database: DatabaseId, writes: Sequence[Write], principal: Principal
    ) -> list[WriteResult | ApiError]:
        """Make each write by itself; answers its result or its error, in order.

        Raises:
            InvalidArgument: two writes are to one document, or there are too many.
        """
        self._check_writes(database, writes, self._options.max_batch_writes)
        if len({write.name for write in writes}) < len(writes):
            raise InvalidArgument("A batch write may write each document only once.")

        async def one(write: Write) -> WriteResult | ApiError:
            try:
                result = await self._database.write(
                    lambda tx: self._writer.commit(tx, database, (write,), principal),
                    quick=True,
                )
            except ApiError as error:
                return error
            return result.write_results[0]

        return await asyncio.gather(*map(one, writes))

    @staticmethod
    def _check_writes(database: DatabaseId, writes: Sequence[Write], limit: int) -> None:
        check_write_count(len(writes), limit)
        for write in writes:
            if write.name.database != database:
                raise InvalidArgument(
                    f"Document {write.name.name[:200]} is not in database {database.name}."
                )

    # Reads

    async def get(
        self, name: DocumentName, principal: Principal, *, consistency: Consistency = LATEST
    ) -> Read[Document | None]:
        """One document, ``None`` if it does not exist.

        Raises:
            PermissionDenied: the caller may not read it.
        """
        found = await self.batch_get(name.database, (name,), principal, consistency=consistency)
        return Read(found.value[0][1], found.read_time, found.transaction)

    async def batch_get(
        self,
        database: DatabaseId,
        names: Sequence[DocumentName],
        principal: Principal,
        *,
        consistency: Consistency = LATEST,
    ) -> Read[list[tuple[DocumentName, Document | None]]]:
        """Several documents at one version, each name once, in order of first mention.

        Raises:
            PermissionDenied: the caller may not read one of them.
            InvalidArgument: too many, or of another database.
        """
        check_get_count(len(names), self._options.max_batch_get)

        def unit(reader: Reader) -> list[tuple[DocumentName, Document | None]]:
            found = []
            for name in dict.fromkeys(names):
                document = reader.get(name)
                self._access.check_get(
                    database, principal, name, document, reader, self._request_time(reader)
                )
                found.append((name, document))
            return found

        def note(
            transaction: Transaction, found: list[tuple[DocumentName, Document | None]]
        ) -> None:
            for name, document in found:
                transaction.note_document(name, document)

        return await self._reads.read(
            database, consistency, principal, unit, note, quick=len(names) <= QUICK_DOCUMENTS
        )

    async def run_query(
        self,
        query: Query,
        principal: Principal,
        *,
        consistency: Consistency = LATEST,
        explain: ExplainOptions | None = None,
    ) -> QueryResult:
        """Run a structured query.

        Raises:
            PermissionDenied: it cannot be proven that the caller may read all it could return.
            InvalidArgument: the query breaks a rule or limit.
        """
        canonical = self._canonical.of(lambda: canonicalize(query), query)
        only_planned = explain is not None and not explain.analyze

        def unit(reader: Reader) -> queries.Outcome | ExplainMetrics:
            self._check_query(reader, canonical, principal)
            if only_planned:
                return queries.planned(reader, canonical)
            outcome = queries.run(reader, canonical)
            return replace(outcome, documents=projected(outcome.documents, canonical))

        read = await self._query(canonical, consistency, principal, unit, quick=True)
        outcome = read.value
        if isinstance(outcome, ExplainMetrics):
            return QueryResult((), read.read_time, read.transaction, 0, outcome)
        self._consider(canonical, outcome)
        metrics = None if explain is None else queries.analyzed(outcome, outcome.seconds)
        return QueryResult(
            outcome.documents, read.read_time, read.transaction, outcome.skipped, metrics
        )

    async def run_aggregation(
        self,
        query: Query,
        aggregations: Sequence[Aggregation],
        principal: Principal,
        *,
        consistency: Consistency = LATEST,
        explain: ExplainOptions | None = None,
    ) -> AggregationResult:
        """Count, sum or average what a structured query means.

        Raises:
            PermissionDenied, InvalidArgument: as for :meth:`run_query`.
        """
        check_aggregations(aggregations)
        canonical = ordered_by_aggregated(canonicalize(query), aggregations)
        only_planned = explain is not None and not explain.analyze

        def unit(
            reader: Reader,
        ) -> tuple[dict[str, Value], ExplainMetrics, queries.Outcome | None]:
            self._check_query(reader, canonical, principal)
            if only_planned:
                return {}, queries.planned(reader, canonical), None
            return queries.run_aggregation(reader, canonical, aggregations)

        read = await self._query(canonical, consistency, principal, unit)
        values, metrics, outcome = read.value
        if outcome is not None:
            self._consider(canonical, outcome)
        return AggregationResult(
            values, read.read_time, read.transaction, None if explain is None else metrics
        )

    async def list_documents(
        self,
        database: DatabaseId,
        parent: tuple[str, ...],
        collection_id: str,
        principal: Principal,
        *,
        page_size: int = 0,
        page_token: str = "",
        order_by: str = "",
        show_missing: bool = False,
        consistency: Consistency = LATEST,
    ) -> DocumentPage:
        """A page of a collection's documents; with ``show_missing`` also those that only have something
        below them. ``page_size`` 0: the default.

        Raises:
            PermissionDenied: the caller may not list the collection.
            InvalidArgument: the order or the token is not valid.
        """
        query = listing.list_query(database, parent, collection_id, order_by)
        if show_missing and order_by:
            raise InvalidArgument("showMissing and orderBy cannot be used together.")
        options = self._options
        size = listing.page_size(page_size, options.default_page_size, options.max_page_size)
        mark = repr(("documents", database.name, parent, collection_id, order_by, show_missing))
        after = listing.position_of(mark, page_token)

        def unit(reader: Reader) -> tuple[list[ListedDocument], bytes | None]:
            self._check_query(reader, replace(query, limit=size), principal)
            return listing.list_page(reader, query, after, size, show_missing)

        read = await self._query(query, consistency, principal, unit)
        entries, position = read.value
        token = "" if position is None else listing.page_token(mark, position)
        return DocumentPage(entries, token, read.read_time, read.transaction)

    async def list_collection_ids(
        self,
        database: DatabaseId,
        parent: tuple[str, ...],
        principal: Principal,
        *,
        page_size: int = 0,
        page_token: str = "",
        consistency: Consistency = LATEST,
    ) -> CollectionIdPage:
        """A page of the ids of the collections directly below a document, or the root.

        Raises:
            PermissionDenied: rules cannot allow this; only callers that bypass them may.
        """
        options = self._options
        size = listing.page_size(page_size, options.default_page_size, options.max_page_size)
        mark = repr(("collections", database.name, parent))
        after = listing.position_of(mark, page_token)
        everything = canonicalize(Query(database, parent, "", all_descendants=True))

        def unit(reader: Reader) -> tuple[list[str], bytes | None]:
            self._check_unruled(reader, everything, principal)
            return listing.list_collections(reader, parent, after, size)

        read = await self._query(everything, consistency, principal, unit)
        ids, position = read.value
        token = "" if position is None else listing.page_token(mark, position)
        return CollectionIdPage(ids, token)

    async def partition_query(
        self,
        query: Query,
        principal: Principal,
        *,
        partition_count: int,
        page_size: int = 0,
        page_token: str = "",
        consistency: Consistency = LATEST,
    ) -> PartitionPage:
        """Cursors that split a collection group query, for callers that bypass rules.

        Raises:
            PermissionDenied: another caller.
            InvalidArgument: the query cannot be split.
        """
        canonical = canonicalize(query)
        listing.check_partition_query(canonical)
        size = listing.page_size(page_size, MAX_PARTITIONS, MAX_PARTITIONS)
        mark = repr(("partitions", canonical_id(canonical), partition_count))
        done = int.from_bytes(listing.position_of(mark, page_token) or b"", "big")

        def unit(reader: Reader) -> list[Cursor]:
            self._check_unruled(reader, canonical, principal)
            return listing.partitions(reader, canonical, min(partition_count, MAX_PARTITIONS))

        read = await self._query(canonical, consistency, principal, unit)
        end = done + size
        more = end < len(read.value)
        token = listing.page_token(mark, end.to_bytes(4, "big")) if more else ""
        return PartitionPage(read.value[done:end], token)

    async def _query(
        self,
        canonical: Query,
        consistency: Consistency,
        principal: Principal,
        unit: Callable[[Reader], T],
        *,
        quick: bool = False,
    ) -> Read[T]:
        """Run a unit that runs a query, and note the query in the transaction."""
        try:
            return await self._reads.read(
                canonical.database,
                consistency,
                principal,
                unit,
                lambda transaction, _: transaction.note_query(canonical),
                quick=quick,
            )
        except DeadlineExceeded:
            self.indexes.consider(canonical, sys.maxsize, 0, joined=False)
            raise DeadlineExceeded(
                "The query looked at too many documents for the time it may take. If an index can serve "
                "it, that is being built: try again later, or ask for less."
            ) from None

    def _consider(self, canonical: Query, outcome: queries.Outcome) -> None:
        """Let the indexes learn from what a query took."""
        examined = outcome.scan.examined
        self.indexes.consider(
            canonical,
            max(examined.documents, examined.entries),
            outcome.matched,
            joined=outcome.scan.joined,
        )

    def _check_query(self, reader: Reader, canonical: Query, principal: Principal) -> None:
        self._access.check_query(principal, canonical, reader, self._request_time(reader))

    def _check_unruled(self, reader: Reader, canonical: Query, principal: Principal) -> None:
        """Whether the caller may do what no rule can allow."""
        if not principal.bypasses_rules:
            raise PermissionDenied("Missing or insufficient permissions.")
        self._check_query(reader, canonical, principal)

    # For the realtime room, and for whoever runs the server

    async def declare_indexes(self, database: DatabaseId, declared: Declared, source: str) -> None:
        """Register and pin the indexes that a file declares, and set its expiry policies. They are built in
        the background. ``source`` is told to whoever lists them."""
        for definition in declared.indexes:
            await self.indexes.request(database, definition, source, pinned=True)
        for collection_id, field in declared.ttl_fields:
            await self.expiry.declare(database, TtlPolicy(collection_id, field))

    async def clear_database(self, database: DatabaseId) -> None:
        """Delete every document, by ordinary commits: listeners see it. For development."""

        def unit(tx: Tx) -> int:
            names = some_names(tx, database, self._options.clear_chunk)
            if names:
                deletes = [Write(WriteKind.DELETE, name) for name in names]
                self._writer.commit(tx, database, deletes, OWNER)
            return len(names)

        while await self._database.write(unit):
            pass

    async def read_at_version(
        self, database: DatabaseId, unit: Callable[[Reader], T], *, at: Timestamp | None = None
    ) -> T:
        """Run a function over one version of a database, the latest or a past one, in one unit of work.

        For the realtime room: the :class:`Reader` tells its version and epoch, gets documents, and knows
        the changes since a version; ``queries.query_reader`` runs a canonical query over it. Access is not
        asked.
        """
        return await self._reads.at(database, unit, at)

    # Transactions

    async def begin(
        self, database: DatabaseId, options: TransactionOptions, principal: Principal
    ) -> bytes:
        """Begin a transaction; answers its id. One that retries another waits for its turn.

        Raises:
            InvalidArgument: the read time cannot be used.
            ResourceExhausted: too many are open.
        """
        return await self._reads.begin(database, options, principal)

    async def rollback(
        self, database: DatabaseId, transaction: bytes, principal: Principal
    ) -> None:
        """End a transaction without writing. One that is over is no error.

        Raises:
            InvalidArgument: the id is none that this server can have given.
        """
        self._transactions.rollback(transaction, database, principal)

    def _request_time(self, reader: Reader) -> Timestamp:
        """``request.time`` of a read."""
        return Timestamp(max(self._now(), reader.version.micros))
