"""The one writer of an SQLite file: units of work in groups, each group made durable by one flush.

All waiting units run one after another in one SQL transaction, so that each can be rolled back by itself,
and the flush (WAL, synchronous=FULL) happens on the connection's thread; while the disk works, the next ones
gather.
Quick units run on the event loop: with the interpreter's one lock, a thread that runs them would only take
turns with the loop, statement by statement, and each turn costs more than a statement. Long ones run on the
thread.

A group waits a moment for as many units as the one before it had, for as long as each turn of the event
loop brings more: clients that write all the time come back together, and a flush for all of them costs what
a flush for one does. Nobody waits for who does not come.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import sqlite3
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

import sqlalchemy as sa

from baas.db.sqlite_connection import Connection, SqliteOptions, SqliteTx
from baas.db.unit import Tx
from baas.errors import ApiError, Unavailable

log = logging.getLogger(__name__)

_SAVEPOINT, _RELEASE = "SAVEPOINT unit", "RELEASE unit"
_ROLLBACK_UNIT = "ROLLBACK TO unit"
_QUIET_TURNS: Final = 2
"""A group that waits for more begins after so many turns of the event loop that brought none: a request that
has just arrived is a task first and a unit one turn later."""
_AT_ONCE_SECONDS: Final = 0.02
"""CPU time for which quick units hold the event loop before they are flushed and others get their turn."""


@dataclass(slots=True)
class Job:
    """A unit that waits, and what became of it."""

    unit: Callable[[Tx], Any]
    future: asyncio.Future[Any]
    quick: bool = False
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
        call_all(self.flushed)


class _TransactionLost(Exception):
    """The whole SQL transaction ended under a unit."""


class GroupCommit:
    """Takes units and runs them in groups, one group at a time."""

    def __init__(
        self, connection: Connection, options: SqliteOptions, on_durable: Callable[[], None]
    ) -> None:
        """``on_durable`` is called after each flush, before anyone is told of it."""
        self._connection = connection
        self._options = options
        self._on_durable = on_durable
        self._waiting: deque[Job] = deque()
        self._expected = self._seen = self._quiet = 0
        self._busy = False
        self._idle = asyncio.Event()
        self._idle.set()

    @property
    def waiting(self) -> int:
        """Units that wait."""
        return len(self._waiting)

    def add(self, job: Job) -> None:
        """Have a unit run. Those that come in the same turn of the event loop share a flush."""
        self._waiting.append(job)
        if not self._busy:
            self._busy = True
            self._idle.clear()
            asyncio.get_running_loop().call_soon(self._next)

    async def drained(self) -> None:
        """Wait until nothing waits any more."""
        await self._idle.wait()

    def _more_to_come(self) -> bool:
        """Whether to wait another turn."""
        here = len(self._waiting)
        self._quiet = 0 if here > self._seen else self._quiet + 1
        self._seen = here
        return here < self._expected and self._quiet < _QUIET_TURNS

    def _next(self) -> None:
        """Begin a group; none is under way."""
        if not self._waiting:
            self._busy = False
            self._idle.set()
            return
        if self._more_to_come():
            asyncio.get_running_loop().call_soon(self._next)
            return
        group = _Group(self._connection)
        if self._waiting[0].quick and group.begins():
            self._run_quick_ones(group)
            work = group.flush
        else:
            jobs = self._waiting
            taken = [jobs.popleft() for _ in range(min(len(jobs), self._options.max_batch))]
            patience = self._options.busy_timeout_ms

            def work() -> None:
                group.run_and_flush(taken, patience)

        if group.open:
            self._connection.send(work, lambda: self._settle(group))
        else:
            self._settle(group)

    def _run_quick_ones(self, group: _Group) -> None:
        waiting, clock = self._waiting, time.thread_time
        end = clock() + _AT_ONCE_SECONDS
        most = self._options.max_batch
        while waiting and waiting[0].quick and group.open:
            group.run(waiting.popleft(), quick=True)
            if len(group.jobs) >= most or clock() > end:
                break
        group.end_if_idle()

    def _settle(self, group: _Group) -> None:
        self._expected, self._seen, self._quiet = len(group.jobs), 0, 0
        self._on_durable()
        for job in group.jobs:
            job.settle()
        # when those who waited have had their turn
        asyncio.get_running_loop().call_soon(self._next)


class _Group:
    """Units in one SQL transaction. ``open``: it is still to be flushed.

    Used by the event loop or by the connection's thread, by one of them at a time. Nothing here raises.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._raw = connection.raw
        self._done: list[tuple[Job, SqliteTx]] = []
        self.jobs: list[Job] = []
        self.open = True

    def begins(self) -> bool:
        """Begin the SQL transaction, unless another process has locked the file: the thread may wait."""
        try:
            self._raw.execute("BEGIN IMMEDIATE")
        except sqlite3.Error:
            return False
        return True

    def run_and_flush(self, jobs: list[Job], patience_ms: int) -> None:
        """All at once. ``patience_ms``: how long to wait for another process."""
        self.jobs = jobs
        try:
            self._connection.wait_for_locks(patience_ms)
            self._raw.execute("BEGIN IMMEDIATE")
            self._connection.wait_for_locks(0)
            for job in jobs:
                self._run(job, quick=False)
        except (sqlite3.Error, _TransactionLost) as error:
            self._fail(error)
        else:
            self.flush()

    def run(self, job: Job, *, quick: bool) -> None:
        """Run one unit."""
        self.jobs.append(job)
        try:
            self._run(job, quick=quick)
        except (sqlite3.Error, _TransactionLost) as error:
            self._fail(error)

    def end_if_idle(self) -> None:
        """End the SQL transaction here if no unit is left in it: there is nothing to flush."""
        if self.open and not self._done:
            self.flush()

    def flush(self) -> None:
        """Make what the units wrote durable."""
        self.open = False
        try:
            self._raw.execute("COMMIT")
        except sqlite3.Error as error:
            self._fail(error)
            return
        for job, tx in self._done:
            job.flushed = tx.flushed

    def _run(self, job: Job, *, quick: bool) -> None:
        """Run one unit; a savepoint guards those before it. Raises only what ends the SQL transaction."""
        raw = self._raw
        guarded = bool(self._done)
        if guarded:
            raw.execute(_SAVEPOINT)
        tx = self._connection.tx(quick=quick)
        try:
            job.result = job.unit(tx)
        except BaseException as error:
            job.error = error
            call_all(tx.rolled_back)
            if not raw.in_transaction:  # such as a full disk: SQLite threw all of it away
                raise _TransactionLost(str(error)) from error
            if guarded:
                raw.execute(_ROLLBACK_UNIT)
                raw.execute(_RELEASE)
            else:
                raw.execute("ROLLBACK")
                raw.execute("BEGIN IMMEDIATE")
            if isinstance(error, sqlite3.OperationalError | sa.exc.OperationalError):
                job.error = unavailable(error)
            return
        self._done.append((job, tx))
        if guarded:
            raw.execute(_RELEASE)
        elif not raw.in_transaction:
            raise _TransactionLost("a unit ended the transaction that it ran in")

    def _fail(self, error: Exception) -> None:
        """Nothing of any unit lasts."""
        self.open = False
        log.error("a flush failed; its %d units are rolled back: %s", len(self.jobs), error)
        with contextlib.suppress(sqlite3.Error):  # it may have rolled back by itself
            self._raw.execute("ROLLBACK")
        for _, tx in self._done:
            call_all(tx.rolled_back)
        for job in self.jobs:
            if not isinstance(job.error, ApiError):
                job.error = unavailable(error)


def call_all(callbacks: list[Callable[[], None]]) -> None:
    """Make every call: one that fails keeps neither the next ones nor the writer from going on."""
    for callback in callbacks:
        try:
            callback()
        except Exception:
            log.exception("a call after a unit of work failed")


def unavailable(error: Exception) -> ApiError:
    """What callers are told of a failure to write."""
    log.error("the database could not be written: %s", error)
    if "full" in str(error):
        return Unavailable("The server's disk is full; nothing was written.")
    if "readonly" in str(error):
        return Unavailable("The server's data folder is read-only; nothing was written.")
    return Unavailable("The server could not write to its database; nothing was written.")
