"""One SQLite connection, the thread that belongs to it, and the units of work that run on it."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar, cast

import aiosqlite
import sqlalchemy as sa
from sqlalchemy.pool import StaticPool

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class SqliteOptions:
    """Sizes and bounds of the embedded engine."""

    readers: int = 2
    """Connections for long reads, a thread each; there is one more for short ones."""
    cache_kib: int = 8_192
    """Page cache of each connection."""
    busy_timeout_ms: int = 5_000
    """How long a thread waits for another process that has locked the file."""
    max_batch: int = 128
    """Units that share one flush at most."""
    max_waiting: int = 20_000
    """Units that may wait for the writer, or for a reader, before more are refused."""
    max_snapshots: int = 8
    """Versions that may be held at once."""


class SqliteTx:
    """A unit of work on an SQLite connection; see :class:`baas.db.unit.Tx`."""

    __slots__ = ("_core", "_execute", "_raw", "check", "flushed", "quick", "rolled_back")

    def __init__(
        self,
        raw: sqlite3.Connection,
        core: sa.Connection,
        *,
        quick: bool,
        check: Callable[[], None],
    ) -> None:
        self._raw = raw
        self._execute = raw.execute
        self._core = core
        self.quick = quick
        self.check = check
        self.flushed: list[Callable[[], None]] = []
        self.rolled_back: list[Callable[[], None]] = []

    @property
    def core(self) -> sa.Connection:
        return self._core

    def all(self, sql: str, params: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        return self._execute(sql, params).fetchall()

    def one(self, sql: str, params: Sequence[Any] = ()) -> tuple[Any, ...] | None:
        return cast("tuple[Any, ...] | None", self._execute(sql, params).fetchone())

    def run(self, sql: str, params: Sequence[Any] = ()) -> int:
        return self._execute(sql, params).rowcount

    def run_many(self, sql: str, rows: Iterable[Sequence[Any]]) -> None:
        self._raw.executemany(sql, rows)

    def insert(self, sql: str, params: Sequence[Any] = ()) -> int:
        return cast(int, self._execute(sql, params).lastrowid)

    def iterate(self, sql: str, params: Sequence[Any] = ()) -> Iterable[tuple[Any, ...]]:
        return self._execute(sql, params)

    def on_flush(self, callback: Callable[[], None]) -> None:
        self.flushed.append(callback)

    def on_rollback(self, callback: Callable[[], None]) -> None:
        self.rolled_back.append(callback)


def _go_on() -> None:
    """The check of a unit that may take as long as it likes."""


class Connection:
    """One SQLite connection with a thread of its own (aiosqlite's).

    Long work is done on that thread. Quick work may be done on the event loop instead, while the thread has
    nothing to do: whoever owns the connection sees to it that the two never meet.
    """

    def __init__(self, connection: aiosqlite.Connection) -> None:
        self._connection = connection
        self._core: sa.Connection | None = None

    @classmethod
    async def open(cls, path: Path, options: SqliteOptions, pragmas: Sequence[str]) -> Connection:
        """Connect; ``pragmas`` are carried out first."""
        connection = cls(
            await aiosqlite.connect(
                path, isolation_level=None, cached_statements=512, check_same_thread=False
            )
        )
        common = (
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
        """The connection itself."""
        return self._connection._conn

    async def run(self, function: Callable[[], T]) -> T:
        """Run a function on the connection's thread.

        aiosqlite hops threads once a statement; its own queue, which it keeps private, takes any function.
        """
        return cast(T, await self._connection._execute(function))  # type: ignore[no-untyped-call]

    def send(self, function: Callable[[], None], then: Callable[[], None]) -> None:
        """Run a function that does not raise on the connection's thread, then call ``then`` on the event
        loop. For the writer: a future and a task to await it would cost two more turns of the loop.
        """
        report = cast("asyncio.Future[Any]", _Report(asyncio.get_running_loop(), then))
        self._connection._tx.put_nowait((report, function))

    def tx(self, *, quick: bool = False, check: Callable[[], None] = _go_on) -> SqliteTx:
        """A new unit of work on this connection. ``quick``: it runs on the event loop. ``check``: see
        :meth:`baas.db.unit.Tx.check`."""
        return SqliteTx(self.raw, cast(sa.Connection, self._core), quick=quick, check=check)

    def wait_for_locks(self, milliseconds: int) -> None:
        """How long from now on to wait for another process that has locked the file."""
        self.raw.execute(f"PRAGMA busy_timeout={milliseconds}").fetchall()

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
        """Close it, after what its thread has to do."""
        await self._connection.close()


class _Report:
    """Stands where aiosqlite takes the future of a function, and calls back when that has run."""

    __slots__ = ("_loop", "_then")

    def __init__(self, loop: asyncio.AbstractEventLoop, then: Callable[[], None]) -> None:
        self._loop = loop
        self._then = then

    def get_loop(self) -> asyncio.AbstractEventLoop:
        return self._loop

    def done(self) -> bool:
        return False

    def set_result(self, _result: object) -> None:
        self._then()

    def set_exception(self, error: BaseException) -> None:
        raise error  # what is sent does not raise: let the event loop tell
