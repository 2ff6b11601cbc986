"""The embedded engine: SQLite, one writer connection with group commit, a few reader connections
(:mod:`baas.db.sqlite_readers`).

Each connection has a thread of its own. Reads that touch few rows need none: they run on the event loop, on
a connection that is kept for them, for as long as the disk is quick.

Only the writer's connection ever checkpoints: SQLite before 3.51.3 can corrupt a WAL file when two
connections do at once. Readers are closed before the writer for the same reason.
"""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
import sys
import time
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import Final, TypeVar, cast

from baas.db.sqlite_connection import Connection, SqliteOptions
from baas.db.sqlite_readers import Readers, end
from baas.db.sqlite_writer import GroupCommit, Job
from baas.db.unit import NotQuick, Tx
from baas.errors import ResourceExhausted, Unavailable

if sys.platform != "win32":
    import resource

T = TypeVar("T")

_SLOW_SECONDS: Final = 0.01
"""A quick read that takes longer waited for its disk."""
_SLOW_FOR_SECONDS: Final = 1.0
"""For how long reads then keep away from the event loop."""


class SqliteDatabase:
    """The one writer and the readers of an SQLite file; see :class:`baas.db.unit.Database`."""

    def __init__(
        self,
        path: Path,
        options: SqliteOptions,
        writer: Connection,
        near: Connection,
        readers: Sequence[Connection],
    ) -> None:
        self._path = path
        self._options = options
        self._writer = writer
        self._commits = GroupCommit(writer, options, self._end_turn)
        self._near = near
        self._near_reads = False
        self._slow_until = 0.0
        self._blocks_read = 0
        self._readers = Readers(readers[0], readers[1:])
        self._snapshots = asyncio.Semaphore(options.max_snapshots)
        self._closing = False

    @classmethod
    async def open(cls, path: Path, options: SqliteOptions | None = None) -> SqliteDatabase:
        """Open the file, which must hold the current schema."""
        options = options or SqliteOptions()
        writer = await Connection.open(
            path,
            options,
            (
                f"PRAGMA busy_timeout={options.busy_timeout_ms}",
                "PRAGMA journal_mode=WAL",
                "PRAGMA synchronous=FULL",
                "PRAGMA busy_timeout=0",
            ),
        )
        opened = [writer]
        try:
            opened.append(await cls._open_reader(path, options, busy_timeout_ms=0))
            for _ in range(1 + options.readers):
                opened.append(await cls._open_reader(path, options))
        except BaseException:
            for connection in reversed(opened):
                await connection.close()
            raise
        return cls(path, options, writer, opened[1], opened[2:])

    @staticmethod
    async def _open_reader(
        path: Path, options: SqliteOptions, busy_timeout_ms: int | None = None
    ) -> Connection:
        patience = options.busy_timeout_ms if busy_timeout_ms is None else busy_timeout_ms
        return await Connection.open(
            path,
            options,
            (
                f"PRAGMA busy_timeout={patience}",
                "PRAGMA wal_autocheckpoint=0",
                "PRAGMA query_only=ON",
            ),
        )

    async def write(self, unit: Callable[[Tx], T], *, quick: bool = False) -> T:
        """See :meth:`baas.db.unit.Database.write`."""
        self._check_room(self._commits.waiting)
        job = Job(unit, asyncio.get_running_loop().create_future(), quick)
        self._commits.add(job)
        return cast(T, await job.future)

    async def read(
        self, unit: Callable[[Tx], T], *, quick: bool = False, seconds: float | None = None
    ) -> T:
        """See :meth:`baas.db.unit.Database.read`."""
        self._check_room(self._readers.waiting)
        if quick:
            with contextlib.suppress(NotQuick):
                return self._read_at_once(unit)
        return cast(T, await self._readers.read(unit, seconds))

    def _check_room(self, waiting: int) -> None:
        if self._closing:
            raise Unavailable("The server is shutting down; try again.")
        if waiting >= self._options.max_waiting:
            raise ResourceExhausted("The database has too much work waiting; try again later.")

    def _read_at_once(self, unit: Callable[[Tx], T]) -> T:
        """Run a quick unit here.

        Raises:
            NotQuick: it must go to a thread after all.
        """
        began = time.perf_counter()
        if began < self._slow_until:
            raise NotQuick
        if not self._near_reads:
            # Those that read in the same turn of the event loop read the same version.
            self._near.raw.execute("BEGIN")
            self._near_reads = True
            asyncio.get_running_loop().call_soon(self._end_turn)
        try:
            return unit(self._near.tx(quick=True))
        except sqlite3.OperationalError:
            raise NotQuick from None  # another process has locked the file, say: a thread may wait
        finally:
            now = time.perf_counter()
            if now - began > _SLOW_SECONDS and self._disk_was_read():
                self._slow_until = now + _SLOW_FOR_SECONDS

    def _disk_was_read(self) -> bool:
        """Whether this thread has waited for blocks of a disk since this was last asked.

        A read that took long may also have waited for its turn on a busy processor.
        """
        if sys.platform != "linux":
            return True
        blocks = resource.getrusage(resource.RUSAGE_THREAD).ru_inblock
        before, self._blocks_read = self._blocks_read, blocks
        return blocks > before

    def _end_turn(self) -> None:
        """The next quick read is to see what is durable by now."""
        if self._near_reads:
            self._near_reads = False
            end(self._near.raw)

    @property
    def waiting(self) -> tuple[int, int]:
        """Units that wait for the writer, and for a reader."""
        return self._commits.waiting, self._readers.waiting

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
        await asyncio.gather(self._commits.drained(), self._readers.close())
        self._end_turn()
        await self._near.close()
        await self._writer.close()


class SqliteSnapshot:
    """A version of the database held by a connection of its own."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    @classmethod
    async def begin(cls, connection: Connection) -> SqliteSnapshot:
        """Open the read transaction; the first SELECT inside fixes the version."""

        def begin() -> None:
            connection.raw.execute("BEGIN")
            connection.raw.execute("SELECT 1 FROM sqlite_master LIMIT 1").fetchall()

        await connection.run(begin)
        return cls(connection)

    async def read(self, unit: Callable[[Tx], T]) -> T:
        """See :meth:`baas.db.unit.Snapshot.read`."""
        return await self._connection.run(lambda: unit(self._connection.tx()))
