"""The embedded engine: SQLite, one writer connection with group commit, a few reader connections.

Each connection lives on a thread of its own (aiosqlite's). The writer takes all units that are waiting,
runs them one by one in one SQL transaction with a savepoint each, and makes them durable with one flush
(WAL, synchronous=FULL); while the disk works, the next ones gather.

Only the writer's connection ever checkpoints: SQLite before 3.51.3 can corrupt a WAL file when two
connections do at once. Readers are closed before the writer for the same reason.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import sqlite3
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar, cast

import aiosqlite
import sqlalchemy as sa
from sqlalchemy.pool import StaticPool

from baas.db.unit import Tx
from baas.errors import ApiError, ResourceExhausted, Unavailable

T = TypeVar("T")

log = logging.getLogger(__name__)

_SAVEPOINT, _RELEASE = "SAVEPOINT unit", "RELEASE unit"
_ROLLBACK_UNIT = "ROLLBACK TO unit"


@dataclass(frozen=True, slots=True)
class SqliteOptions:
    """Sizes and bounds of the embedded engine."""

    readers: int = 2
    """Connections for reads, a thread each."""
    cache_kib: int = 8_192
    """Page cache of each connection."""
    busy_timeout_ms: int = 5_000
    max_batch: int = 128
    """Units that share one flush at most."""
    max_waiting: int = 20_000
    """Units that may wait for the writer, or for a reader, before more are refused."""
    max_snapshots: int = 8
    """Versions that may be held at once."""


class SqliteTx:
    """A unit of work on an SQLite connection; see :class:`baas.db.unit.Tx`."""

    __slots__ = ("_core", "_raw", "flushed", "rolled_back")

    def __init__(self, raw: sqlite3.Connection, core: sa.Connection) -> None:
        self._raw = raw
        self._core = core
        self.flushed: list[Callable[[], None]] = []
        self.rolled_back: list[Callable[[], None]] = []

    @property
    def core(self) -> sa.Connection:
        return self._core

    def all(self, sql: str, params: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        return self._raw.execute(sql, params).fetchall()

    def one(self, sql: str, params: Sequence[Any] = ()) -> tuple[Any, ...] | None:
        return cast("tuple[Any, ...] | None", self._raw.execute(sql, params).fetchone())

    def run(self, sql: str, params: Sequence[Any] = ()) -> int:
        return self._raw.execute(sql, params).rowcount

    def run_many(self, sql: str, rows: Iterable[Sequence[Any]]) -> None:
        self._raw.executemany(sql, rows)

    def insert(self, sql: str, params: Sequence[Any] = ()) -> int:
        return cast(int, self._raw.execute(sql, params).lastrowid)

    def iterate(self, sql: str, params: Sequence[Any] = ()) -> Iterable[tuple[Any, ...]]:
        return self._raw.execute(sql, params)

    def on_flush(self, callback: Callable[[], None]) -> None:
        self.flushed.append(callback)

    def on_rollback(self, callback: Callable[[], None]) -> None:
        self.rolled_back.append(callback)


class _TransactionLost(Exception):
    """SQLite rolled the whole SQL transaction back under a unit."""


@dataclass(slots=True)
class _Job:
    unit: Callable[[Tx], Any]
    future: asyncio.Future[Any]
    flushed: list[Callable[[], None]] = field(default_factory=list)
    result: Any = None
    error: BaseException | None = None

    def settle(self) -> None:
        """Hand the outcome to whoever waits, then make the unit's calls. On the event loop."""
        if not self.future.done():
            if self.error is not None:
                self.future.set_exception(self.error)
            else:
                self.future.set_result(self.result)
        _call_all(self.flushed)


class _Connection:
    """One SQLite connection on one thread. Everything but :meth:`run` and :meth:`close` happens there."""

    def __init__(self, connection: aiosqlite.Connection) -> None:
        self._connection = connection
        self._core: sa.Connection | None = None

    @classmethod
    async def open(cls, path: Path, options: SqliteOptions, pragmas: Sequence[str]) -> _Connection:
        connection = cls(await aiosqlite.connect(path, isolation_level=None, cached_statements=512))
        common = (
            f"PRAGMA busy_timeout={options.busy_timeout_ms}",
            f"PRAGMA cache_size=-{options.cache_kib}",
            "PRAGMA foreign_keys=ON",
            "PRAGMA temp_store=MEMORY",
        )
        try:
            await connection.run(lambda: connection._prepare((*common, *pragmas)))
        except BaseException:
            await connection.close()
            raise
        return connection

    @property
    def raw(self) -> sqlite3.Connection:
        return self._connection._conn

    async def run(self, function: Callable[[], T]) -> T:
        """Run a function on the connection's thread.

        aiosqlite hops threads once a statement; its own queue, which it keeps private, takes any function.
        """
        return cast(T, await self._connection._execute(function))  # type: ignore[no-untyped-call]

    def tx(self) -> SqliteTx:
        """A new unit of work on this connection."""
        return SqliteTx(self.raw, cast(sa.Connection, self._core))

    def _prepare(self, pragmas: Sequence[str]) -> None:
        for pragma in pragmas:
            self.raw.execute(pragma).fetchall()
        # SQLAlchemy on this same connection. It is connected now, because it rolls back when it first
        # meets a connection; from then on it leaves the transaction to us.
        engine = sa.create_engine(
            "sqlite://", creator=lambda: self.raw, poolclass=StaticPool, pool_reset_on_return=None
        )
        self._core = engine.connect()

    async def close(self) -> None:
        await self._connection.close()


class SqliteDatabase:
    """The one writer and the readers of an SQLite file; see :class:`baas.db.unit.Database`."""

    def __init__(
        self,
        path: Path,
        options: SqliteOptions,
        writer: _Connection,
        readers: Sequence[_Connection],
    ) -> None:
        self._path = path
        self._options = options
        self._writer = writer
        self._readers = list(readers)
        self._writes: deque[_Job] = deque()
        self._reads: deque[_Job] = deque()
        self._write_wakeup = asyncio.Event()
        self._read_wakeup = asyncio.Semaphore(0)
        self._snapshots = asyncio.Semaphore(options.max_snapshots)
        self._closing = False
        self._write_task = asyncio.create_task(self._write_loop(), name="db-writer")
        self._read_tasks = [
            asyncio.create_task(self._read_loop(reader), name=f"db-reader-{number}")
            for number, reader in enumerate(self._readers)
        ]

    @classmethod
    async def open(cls, path: Path, options: SqliteOptions | None = None) -> SqliteDatabase:
        """Open the file, which must hold the current schema."""
        options = options or SqliteOptions()
        writer = await _Connection.open(
            path, options, ("PRAGMA journal_mode=WAL", "PRAGMA synchronous=FULL")
        )
        readers: list[_Connection] = []
        try:
            for _ in range(options.readers):
                readers.append(await cls._open_reader(path, options))
        except BaseException:
            for connection in (*readers, writer):
                await connection.close()
            raise
        return cls(path, options, writer, readers)

    @staticmethod
    async def _open_reader(path: Path, options: SqliteOptions) -> _Connection:
        return await _Connection.open(
            path, options, ("PRAGMA wal_autocheckpoint=0", "PRAGMA query_only=ON")
        )

    async def write(self, unit: Callable[[Tx], T]) -> T:
        """See :meth:`baas.db.unit.Database.write`."""
        job = self._enqueue(unit, self._writes)
        self._write_wakeup.set()
        return cast(T, await job.future)

    async def read(self, unit: Callable[[Tx], T]) -> T:
        """See :meth:`baas.db.unit.Database.read`."""
        job = self._enqueue(unit, self._reads)
        self._read_wakeup.release()
        return cast(T, await job.future)

    def _enqueue(self, unit: Callable[[Tx], Any], queue: deque[_Job]) -> _Job:
        if self._closing:
            raise Unavailable("The server is shutting down; try again.")
        if len(queue) >= self._options.max_waiting:
            raise ResourceExhausted("The database has too much work waiting; try again later.")
        job = _Job(unit, asyncio.get_running_loop().create_future())
        queue.append(job)
        return job

    @property
    def waiting(self) -> tuple[int, int]:
        """Units that wait for the writer, and for a reader."""
        return len(self._writes), len(self._reads)

    @contextlib.asynccontextmanager
    async def snapshot(self) -> AsyncIterator[SqliteSnapshot]:
        """See :meth:`baas.db.unit.Database.snapshot`."""
        if self._closing:
            raise Unavailable("The server is shutting down; try again.")
        async with self._snapshots:
            connection = await self._open_reader(self._path, self._options)
            try:
                yield await SqliteSnapshot.begin(connection)
            finally:
                await connection.close()

    async def close(self) -> None:
        """See :meth:`baas.db.unit.Database.close`."""
        if self._closing:
            return
        self._closing = True
        self._write_wakeup.set()
        for _ in self._read_tasks:
            self._read_wakeup.release()
        await asyncio.gather(self._write_task, *self._read_tasks)
        for reader in self._readers:
            await reader.close()
        await self._writer.close()

    # The writer

    async def _write_loop(self) -> None:
        while True:
            await self._write_wakeup.wait()
            self._write_wakeup.clear()
            while self._writes:
                batch = [
                    self._writes.popleft()
                    for _ in range(min(len(self._writes), self._options.max_batch))
                ]
                await self._writer.run(lambda batch=batch: self._write_batch(batch))  # type: ignore[misc]
                for job in batch:
                    job.settle()
            if self._closing:
                return

    def _write_batch(self, batch: list[_Job]) -> None:
        """Run units in one SQL transaction and flush it. On the writer's thread; never raises."""
        raw = self._writer.raw
        done: list[tuple[_Job, SqliteTx]] = []
        try:
            raw.execute("BEGIN IMMEDIATE")
            for job in batch:
                tx = self._writer.tx()
                self._write_unit(raw, job, tx)
                if job.error is None:
                    done.append((job, tx))
            raw.execute("COMMIT")
        except (sqlite3.Error, _TransactionLost) as error:
            log.error("a flush failed; its %d units are rolled back: %s", len(batch), error)
            with contextlib.suppress(sqlite3.Error):  # it may have rolled back by itself
                raw.execute("ROLLBACK")
            for _, tx in done:
                _call_all(tx.rolled_back)
            for job in batch:
                if not isinstance(job.error, ApiError):
                    job.error = _unavailable(error)
            return
        for job, tx in done:
            job.flushed = tx.flushed

    @staticmethod
    def _write_unit(raw: sqlite3.Connection, job: _Job, tx: SqliteTx) -> None:
        """Run one unit in a savepoint. Raises only what ends the whole SQL transaction."""
        raw.execute(_SAVEPOINT)
        try:
            job.result = job.unit(tx)
        except BaseException as error:
            job.error = error
            _call_all(tx.rolled_back)
            if not raw.in_transaction:  # such as a full disk: SQLite threw all of it away
                raise _TransactionLost(str(error)) from error
            raw.execute(_ROLLBACK_UNIT)
            if isinstance(error, sqlite3.OperationalError | sa.exc.OperationalError):
                job.error = _unavailable(error)
        raw.execute(_RELEASE)

    # The readers

    async def _read_loop(self, reader: _Connection) -> None:
        while True:
            await self._read_wakeup.acquire()
            if not self._reads:
                if self._closing:
                    return
                continue
            share = max(1, len(self._reads) // len(self._readers))
            batch = [self._reads.popleft() for _ in range(min(share, 16))]
            await reader.run(lambda batch=batch: _read_batch(reader, batch))  # type: ignore[misc]
            for job in batch:
                job.settle()


class SqliteSnapshot:
    """A version of the database held by a connection of its own."""

    def __init__(self, connection: _Connection) -> None:
        self._connection = connection

    @classmethod
    async def begin(cls, connection: _Connection) -> SqliteSnapshot:
        """Open the read transaction; the first SELECT inside fixes the version."""

        def begin() -> None:
            connection.raw.execute("BEGIN")
            connection.raw.execute("SELECT 1 FROM sqlite_master LIMIT 1").fetchall()

        await connection.run(begin)
        return cls(connection)

    async def read(self, unit: Callable[[Tx], T]) -> T:
        """See :meth:`baas.db.unit.Snapshot.read`."""
        return await self._connection.run(lambda: unit(self._connection.tx()))


def _read_batch(reader: _Connection, batch: list[_Job]) -> None:
    """Run read units at one version. On the reader's thread; never raises."""
    raw = reader.raw
    try:
        raw.execute("BEGIN")
        for job in batch:
            try:
                job.result = job.unit(reader.tx())
            except BaseException as error:
                job.error = error
        raw.execute("COMMIT")
    except sqlite3.Error as error:  # the version that they read at cannot be vouched for
        log.error("reading failed: %s", error)
        with contextlib.suppress(sqlite3.Error):
            raw.execute("ROLLBACK")
        for job in batch:
            job.error = job.error or Unavailable("The server could not read its database.")


def _call_all(callbacks: list[Callable[[], None]]) -> None:
    """Make every call: one that fails keeps neither the next ones nor the writer from going on."""
    for callback in callbacks:
        try:
            callback()
        except Exception:
            log.exception("a call after a unit of work failed")


def _unavailable(error: Exception) -> ApiError:
    log.error("the database could not be written: %s", error)
    if "full" in str(error):
        return Unavailable("The server's disk is full; nothing was written.")
    if "readonly" in str(error):
        return Unavailable("The server's data folder is read-only; nothing was written.")
    return Unavailable("The server could not write to its database; nothing was written.")
