"""The threads that read: one for units that are soon done, the others for those that turn out not to be.

What a unit takes is not known before. So every unit begins in the short lane; one that takes longer than
its turn there, and may be begun again, is stopped and begun anew in the long lane. A small read so never
waits for the end of a large one, however many of these there are.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import sqlite3
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from baas.db.sqlite_connection import Connection
from baas.db.sqlite_writer import Job
from baas.db.unit import NotQuick, Tx
from baas.errors import DeadlineExceeded, Unavailable

log = logging.getLogger(__name__)

_UNREADABLE: Final = "The server could not read its database."
_SHORT_CPU_SECONDS: Final = 0.01
_SHORT_SECONDS: Final = 0.1
"""A turn in the short lane: of its thread's own time, and of time, which passes as well while the thread
waits for a disk or for others."""
_TOGETHER: Final = 16
"""Units of the short lane that share a transaction at most."""
_INSTRUCTIONS: Final = 50_000
"""Instructions of SQLite's machine after which it asks whether a statement is to go on: a millisecond or
two."""


class _Abandoned(Exception):
    """Nobody waits for the unit any more."""


@dataclass(slots=True)
class Read(Job):
    """A unit that reads, and what became of it. ``bounded``: it may be stopped, and begun again."""

    bounded: bool = False


@dataclass(slots=True)
class _Lane:
    """Units that wait for the same threads."""

    short: bool
    jobs: deque[Read] = field(default_factory=deque)
    wakeup: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(0))
    ending: bool = False

    def add(self, job: Read) -> None:
        self.jobs.append(job)
        self.wakeup.release()


class Readers:
    """Reads on threads."""

    def __init__(self, short: Connection, long: Sequence[Connection]) -> None:
        self._short = _Lane(short=True)
        self._long = _Lane(short=False)
        self._connections = (short, *long)
        self._short_task = asyncio.create_task(
            self._serve(self._short, short), name="db-reader-short"
        )
        self._long_tasks = [
            asyncio.create_task(self._serve(self._long, reader), name=f"db-reader-{number}")
            for number, reader in enumerate(long)
        ]

    @property
    def waiting(self) -> int:
        """Units that wait for a thread."""
        return len(self._short.jobs) + len(self._long.jobs)

    async def read(self, unit: Callable[[Tx], Any], seconds: float | None) -> Any:
        """Run a unit; see :meth:`baas.db.unit.Database.read`."""
        loop = asyncio.get_running_loop()
        job = Read(unit, loop.create_future(), bounded=seconds is not None)
        self._short.add(job)
        if seconds is None:
            return await job.future
        timer = loop.call_later(seconds, _expire, job.future, seconds)
        try:
            return await job.future
        finally:
            timer.cancel()

    async def close(self) -> None:
        """Finish what waits, then close the connections."""
        self._short.ending = True
        self._short.wakeup.release()
        await self._short_task
        self._long.ending = True
        for _ in self._long_tasks:
            self._long.wakeup.release()
        await asyncio.gather(*self._long_tasks)
        for connection in self._connections:
            await connection.close()

    async def _serve(self, lane: _Lane, reader: Connection) -> None:
        while True:
            await lane.wakeup.acquire()
            if not lane.jobs:
                if lane.ending:
                    return
                continue
            size = min(len(lane.jobs), _TOGETHER) if lane.short else 1
            batch = [lane.jobs.popleft() for _ in range(size)]
            done = await reader.run(
                lambda batch=batch: _read_batch(reader, batch, lane.short)  # type: ignore[misc]
            )
            lane.jobs.extendleft(reversed(batch[done:]))
            for job in batch[:done]:
                if isinstance(job.error, NotQuick) and lane.short:
                    job.error = None
                    self._long.add(job)
                else:
                    job.settle()


class _Turn:
    """How long a unit may go on."""

    __slots__ = ("_cpu_until", "_future", "_movable", "_until")

    def __init__(self, job: Read, short: bool) -> None:
        self._future = job.future
        self._movable = short and job.bounded
        self._cpu_until = time.thread_time() + _SHORT_CPU_SECONDS
        self._until = time.monotonic() + _SHORT_SECONDS

    def is_over(self) -> bool:
        """Whether it must stop here. For SQLite, which asks in the middle of statements."""
        return self._future.done() or (self._movable and self._is_long())

    def check(self) -> None:
        """See :meth:`baas.db.unit.Tx.check`."""
        if self._future.done():
            raise _Abandoned
        if self._movable and self._is_long():
            raise NotQuick

    def _is_long(self) -> bool:
        return time.thread_time() > self._cpu_until or time.monotonic() > self._until


def _expire(future: asyncio.Future[Any], seconds: float) -> None:
    if not future.done():
        future.set_exception(
            DeadlineExceeded(f"It took longer than the {seconds:g} seconds that a read may take.")
        )


def _read_batch(reader: Connection, batch: Sequence[Read], short: bool) -> int:
    """Run units at one version, until together they have had a turn; answers how many.

    On the reader's thread; never raises.
    """
    raw = reader.raw
    done = 0
    until = time.monotonic() + _SHORT_CPU_SECONDS
    try:
        raw.execute("BEGIN")
        for job in batch:
            done += 1
            if not job.future.done():
                _read_one(reader, job, short)
            if time.monotonic() > until:
                break
        end(raw)
    except (sqlite3.Error, Unavailable) as error:
        log.error("reading failed: %s", error)
        done = max(done, 1)
        for job in batch[:done]:
            job.error = job.error or Unavailable(_UNREADABLE)
    return done


def _read_one(reader: Connection, job: Read, short: bool) -> None:
    if not job.bounded:
        try:
            job.result = job.unit(reader.tx())
        except BaseException as error:
            job.error = error
        return
    turn = _Turn(job, short)
    reader.raw.set_progress_handler(turn.is_over, _INSTRUCTIONS)
    try:
        job.result = job.unit(reader.tx(check=turn.check))
    except sqlite3.OperationalError as error:
        job.error = error
        if turn.is_over():  # SQLite was told so in the middle of a statement
            job.error = NotQuick() if short else _Abandoned()
    except BaseException as error:
        job.error = error
    finally:
        reader.raw.set_progress_handler(None, 0)


def end(raw: sqlite3.Connection) -> None:
    """End a read transaction.

    Raises:
        Unavailable: it was not there any more: the version that was read at cannot be vouched for.
    """
    try:
        raw.execute("COMMIT")
    except sqlite3.Error:
        with contextlib.suppress(sqlite3.Error):
            raw.execute("ROLLBACK")
        raise Unavailable(_UNREADABLE) from None
