"""Reading at the version that a caller asks for: now, in a transaction, or at a time in the past."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TypeVar

from baas.access.principal import Principal
from baas.db.unit import Database, Tx
from baas.documents.catalogue import Catalogue
from baas.documents.indexes import IndexCatalogue
from baas.documents.reader import Reader
from baas.documents.results import Read
from baas.documents.transactions import Transaction, Transactions
from baas.errors import InvalidArgument
from baas.model.paths import DatabaseId
from baas.model.query import Consistency, TransactionOptions
from baas.model.values import Timestamp

T = TypeVar("T")

FUTURE_ALLOWANCE = 60_000_000
"""Microseconds by which a caller's clock may be ahead of ours."""


class VersionedReads:
    """Runs units of reading, each over one version of one database."""

    def __init__(
        self,
        database: Database,
        catalogue: Catalogue,
        indexes: IndexCatalogue,
        transactions: Transactions,
        now: Callable[[], int],
        query_seconds: float,
    ) -> None:
        self._database = database
        self._catalogue = catalogue
        self._indexes = indexes
        self._transactions = transactions
        self._now = now
        self._seconds = query_seconds

    async def at(
        self, database: DatabaseId, unit: Callable[[Reader], T], version: Timestamp | None = None
    ) -> T:
        """Run a unit over a version, by default the latest."""

        def run(tx: Tx) -> T:
            reader = Reader(tx, self._catalogue, self._indexes, database, version)
            try:
                return unit(reader)
            finally:
                reader.close()

        return await self._database.read(run, seconds=self._seconds)

    async def begin(
        self, database: DatabaseId, options: TransactionOptions, principal: Principal
    ) -> bytes:
        """Begin a transaction and fix its version; answers its id."""
        transaction = await self._begin(database, options, principal)
        if transaction.version is None:
            transaction.version = await self.at(database, lambda reader: reader.version)
        return transaction.id

    async def read(
        self,
        database: DatabaseId,
        consistency: Consistency,
        principal: Principal,
        unit: Callable[[Reader], T],
        note: Callable[[Transaction, T], None],
        *,
        quick: bool = False,
    ) -> Read[T]:
        """Run a unit at the version that is asked for, and note in its transaction what it read.

        ``quick``: as for :meth:`baas.db.unit.Database.read`.

        Raises:
            InvalidArgument: the transaction is unknown or has expired, or the time lies in the future or
                too far in the past.
            DeadlineExceeded: it took longer than a query may.
        """
        transaction: Transaction | None = None
        at: Timestamp | None = None
        begun: bytes | None = None
        if consistency.transaction is not None:
            transaction = self._transactions.use(consistency.transaction, database, principal)
        elif consistency.new_transaction is not None:
            transaction = await self._begin(database, consistency.new_transaction, principal)
            begun = transaction.id
        elif consistency.read_time is not None:
            at = consistency.read_time
            await self._await_version(database, at)
        if transaction is not None:
            at = transaction.version

        def run(tx: Tx) -> tuple[T, Timestamp]:
            reader = Reader(tx, self._catalogue, self._indexes, database, at)
            try:
                return unit(reader), reader.version
            finally:
                reader.close()

        try:
            value, version = await self._database.read(run, quick=quick, seconds=self._seconds)
        except BaseException:
            if begun is not None and transaction is not None:
                self._transactions.finish(transaction)  # its id is never told to anyone
            raise
        if transaction is not None:
            transaction.version = transaction.version or version
            note(transaction, value)
        return Read(value, version, begun)

    async def _begin(
        self, database: DatabaseId, options: TransactionOptions, principal: Principal
    ) -> Transaction:
        if options.read_time is not None:
            await self._await_version(database, options.read_time)
            # asked before it begins, so that a time that is too old opens no transaction
            await self.at(database, lambda reader: None, options.read_time)
        return await self._transactions.begin(database, options, principal)

    async def _await_version(self, database: DatabaseId, version: Timestamp) -> None:
        """Make sure that no commit at or before a version is still to come.

        Raises:
            InvalidArgument: the version lies in the future.
        """
        latest = await self.at(database, lambda reader: reader.latest)
        if version <= latest:  # also where the machine's clock was set back behind it
            return
        now = self._now()
        if version.micros > now + FUTURE_ALLOWANCE:
            raise InvalidArgument("The requested read time is in the future.")
        if version.micros > now:
            await asyncio.sleep((version.micros - now) / 1_000_000)
        # commits take their times in the writer's order: those after this empty unit take later ones
        await self._database.write(lambda tx: None)
