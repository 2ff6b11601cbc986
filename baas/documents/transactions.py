"""Transactions: what one has read, and whether that still stands when it commits.

A transaction holds no connection and no lock. All of its reads are of one version (later commits are undone
for it), and it notes what it read. At commit, inside the writer's unit, every document must be as it was read
and no query's result may have changed, documents that newly match included; otherwise the commit is ABORTED.

A client that retries names the transaction that failed (``retry_transaction``). Its next attempt first waits
its turn for what the last one was aborted over, and then has it to itself for a while: other transactions
that read the same are aborted at commit, and queue behind it. So of many clients at one counter each gets
through in a few attempts. Plain writes are never held up.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field

from baas.access.principal import Principal
from baas.db.unit import Tx
from baas.documents.catalogue import Catalogue, DatabaseEntry
from baas.documents.change_feed import changes_since
from baas.documents.options import DocumentOptions
from baas.documents.records import find_row, id_key
from baas.errors import Aborted, InvalidArgument, ResourceExhausted
from baas.model.canonical import canonical_id
from baas.model.document import Document
from baas.model.matching import Predicate, compile_filter
from baas.model.paths import DatabaseId, DocumentName
from baas.model.query import Query, TransactionOptions
from baas.model.values import Timestamp

CONTENTION = (
    "The transaction was aborted: what it read was changed by another commit in the meantime. "
    "Retry the whole transaction."
)

_ID_MARK = b"t"
_ID_SIZE = 18

Resource = Hashable
"""What transactions contend for: a document's name, or a collection or group that a query reads."""


@dataclass(slots=True, eq=False)
class Transaction:
    """An open transaction. ``version`` is ``None`` until its first read, or its beginning, fixes it;
    ``validated``: up to where its queries are known to hold."""

    id: bytes
    database: DatabaseId
    owner: tuple[str, str | None]
    read_only: bool
    began: float
    used: float
    version: Timestamp | None = None
    validated: Timestamp | None = None
    documents: dict[DocumentName, Timestamp | None] = field(default_factory=dict)
    queries: dict[bytes, tuple[Query, Predicate]] = field(default_factory=dict)

    def note_document(self, name: DocumentName, document: Document | None) -> None:
        """A document was read, or found missing."""
        if not self.read_only:
            self.documents[name] = None if document is None else document.update_time

    def note_query(self, query: Query) -> None:
        """A canonical query was run."""
        if not self.read_only:
            self.queries[canonical_id(query)] = query, compile_filter(query)

    @property
    def resources(self) -> frozenset[Resource]:
        """All that it has read."""
        return frozenset((*self.documents, *(_scope(query) for query, _ in self.queries.values())))


def _scope(query: Query) -> Resource:
    return query.database, query.parent, query.collection_id, query.all_descendants


def validate(tx: Tx, catalogue: Catalogue, entry: DatabaseEntry, transaction: Transaction) -> None:
    """Check in the writer's unit that all the transaction read is still so.

    Raises:
        Aborted: something changed.
    """
    for name, update_time in transaction.documents.items():
        collection = catalogue.existing_for_write(tx, entry, name.collection)
        row = None if collection is None else find_row(tx, collection.key, id_key(name.id))
        if (None if row is None else row[4]) != (update_time and update_time.micros):
            raise Aborted(CONTENTION)
    validate_queries(tx, catalogue, entry, transaction)


def validate_queries(
    tx: Tx, catalogue: Catalogue, entry: DatabaseEntry, transaction: Transaction
) -> None:
    """Check that no commit since changed what the transaction's queries gave. Done once before the writer's
    unit, on a reader, so that the writer has only the latest commits left to look at.

    Raises:
        Aborted: one did, or it cannot be told any more.
    """
    version = transaction.validated or transaction.version
    if not transaction.queries or version is None:
        return
    row = tx.one("SELECT last_commit, oldest_change FROM databases WHERE id = ?", (entry.key,))
    if row is None or row[0] <= version.micros:
        return
    if version.micros < row[1]:
        raise Aborted(CONTENTION)
    predicates = [predicate for _, predicate in transaction.queries.values()]
    for commit in changes_since(tx, catalogue, entry, version):
        for change in commit.changes:
            for image in (change.old, change.new):
                if image is not None and any(matches(image) for matches in predicates):
                    raise Aborted(CONTENTION)
    transaction.validated = Timestamp(row[0])


@dataclass(slots=True, eq=False)
class _Turn:
    """A place in the queue for some resources: waiting, then held until ``until``."""

    resources: frozenset[Resource]
    granted: asyncio.Event
    transaction: bytes | None = None
    until: float = 0.0


class Transactions:
    """The open transactions of one server. Lives on the event loop."""

    def __init__(self, options: DocumentOptions, now: Callable[[], float]) -> None:
        self._options = options
        self._now = now
        self._open: dict[bytes, Transaction] = {}
        self._aborted: dict[bytes, tuple[float, frozenset[Resource]]] = {}
        self._turns: list[_Turn] = []
        self._next_sweep = 0.0

    async def begin(
        self, database: DatabaseId, options: TransactionOptions, principal: Principal
    ) -> Transaction:
        """Begin one. A retry waits here for its turn, for a bounded time.

        Raises:
            ResourceExhausted: too many are open.
            InvalidArgument: a read time was given to a transaction that is not read-only, or the id of the
                retried one is none that this server can have given.
        """
        if options.retry_transaction is not None:
            _check_id(options.retry_transaction)
        if options.read_time is not None and not options.read_only:
            raise InvalidArgument("A read time can only be given to a read-only transaction.")
        self.expire()
        if len(self._open) >= self._options.max_transactions:
            raise ResourceExhausted("Too many transactions are open; try again later.")
        turn = await self._wait_for_turn(options.retry_transaction)
        now = self._now()
        transaction = Transaction(
            _ID_MARK + os.urandom(_ID_SIZE - len(_ID_MARK)),
            database,
            _owner(principal),
            options.read_only,
            now,
            now,
            options.read_time,
        )
        self._open[transaction.id] = transaction
        if turn is not None:
            turn.transaction = transaction.id
        return transaction

    def use(self, key: bytes, database: DatabaseId, principal: Principal) -> Transaction:
        """An open transaction, for one more read.

        Raises:
            InvalidArgument: there is none with this id, not any more, or not of this caller.
            ResourceExhausted: it has read too much.
        """
        self.expire()
        transaction = self._open.get(key)
        if (
            transaction is None
            or self._is_over(transaction, self._now())
            or transaction.database != database
            or transaction.owner != _owner(principal)
        ):
            raise InvalidArgument(
                "The referenced transaction has expired or is no longer valid: begin a new one."
            )
        reads = len(transaction.documents) + len(transaction.queries)
        if reads > self._options.max_transaction_reads:
            raise ResourceExhausted("The transaction has read too many documents.")
        transaction.used = self._now()
        return transaction

    def finish(self, transaction: Transaction, *, aborted: bool = False) -> None:
        """It has committed, was rolled back, or was aborted: then what it read is kept for its retry."""
        self._open.pop(transaction.id, None)
        if aborted:
            if len(self._aborted) >= self._options.max_transactions:
                self._aborted.pop(next(iter(self._aborted)))
            self._aborted[transaction.id] = self._now(), transaction.resources
        self._turns = [turn for turn in self._turns if turn.transaction != transaction.id]
        self._grant()

    def rollback(self, key: bytes, database: DatabaseId, principal: Principal) -> None:
        """End a transaction without a commit. One that is over is no error.

        Raises:
            InvalidArgument: the id is none that this server can have given.
        """
        _check_id(key)
        transaction = self._open.get(key)
        if (
            transaction is not None
            and transaction.database == database
            and transaction.owner == _owner(principal)
        ):
            self.finish(transaction)

    def check_turn(self, transaction: Transaction) -> None:
        """What a retried transaction has to itself, no other transaction may commit on.

        Raises:
            Aborted: another one's turn it is.
        """
        self._grant()
        resources = transaction.resources
        for turn in self._turns:
            if (
                turn.granted.is_set()
                and turn.transaction != transaction.id
                and not turn.resources.isdisjoint(resources)
            ):
                raise Aborted(CONTENTION)

    def expire(self) -> None:
        """Forget transactions that were left alone, or are too old. Looks at all of them once a second."""
        now = self._now()
        if now < self._next_sweep and len(self._open) < self._options.max_transactions:
            return
        self._next_sweep = now + 1.0
        for transaction in list(self._open.values()):
            if self._is_over(transaction, now):
                self.finish(transaction)
        for key, (when, _) in list(self._aborted.items()):
            if now - when <= self._options.transaction_idle:
                break
            del self._aborted[key]

    def _is_over(self, transaction: Transaction, now: float) -> bool:
        return (
            now - transaction.used > self._options.transaction_idle
            or now - transaction.began > self._options.transaction_total
        )

    # Turns

    async def _wait_for_turn(self, retried: bytes | None) -> _Turn | None:
        known = None if retried is None else self._aborted.pop(retried, None)
        if known is None or not known[1]:
            return None
        turn = _Turn(known[1], asyncio.Event())
        self._turns.append(turn)
        self._grant()
        try:
            async with asyncio.timeout(self._options.contention_wait):
                await turn.granted.wait()
        except TimeoutError:
            self._turns.remove(turn)
            return None  # it goes on without: being first is a favour, not a condition
        except asyncio.CancelledError:
            self._turns.remove(turn)
            self._grant()
            raise
        return turn

    def _grant(self) -> None:
        """Give every turn whose resources no one before it holds or waits for."""
        now = self._now()
        self._turns = [
            turn for turn in self._turns if not turn.granted.is_set() or turn.until > now
        ]
        taken: set[Resource] = set()
        for turn in self._turns:
            if not turn.granted.is_set() and taken.isdisjoint(turn.resources):
                turn.granted.set()
                turn.until = now + self._options.contention_wait
            taken |= turn.resources


def _check_id(key: bytes) -> None:
    if len(key) != _ID_SIZE or not key.startswith(_ID_MARK):
        raise InvalidArgument("Invalid transaction.")


def _owner(principal: Principal) -> tuple[str, str | None]:
    return principal.kind.value, principal.uid
