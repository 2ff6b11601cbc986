"""The unit of work: what a function that reads or writes the database is handed.

A service never holds a connection. It gives :meth:`Database.write` or :meth:`Database.read` a plain
synchronous function of a :class:`Tx`; the database runs it inside one SQL transaction, together with other
waiting units. So a whole commit or a whole query costs one thread hop at most, and no unit can forget to
commit, roll back or close.

A unit runs on a thread of the database, unless it is said to be *quick*: then the database may run it on
the event loop, which spares it the hop, and it must not keep the loop from others for more than some
milliseconds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Protocol, TypeVar

import sqlalchemy as sa

T = TypeVar("T")


class NotQuick(Exception):
    """Raised by a unit that reads, while ``tx.quick``: it turned out to be long, and goes to a thread."""


class Tx(Protocol):
    """One unit of work inside an SQL transaction.

    Statements are either SQLAlchemy Core constructs (``tx.core``), which is the normal way, or SQL text
    with ``?`` placeholders, for the paths where a measurement asked for it.
    """

    @property
    def quick(self) -> bool:
        """Whether this runs on the event loop."""

    @property
    def check(self) -> Callable[[], None]:
        """To be called now and then by a unit that can be long; what it raises is not to be caught. It does
        so where the unit's time is over, or nobody waits for it any more, or it must go to another thread."""

    @property
    def core(self) -> sa.Connection:
        """A SQLAlchemy connection in this very transaction."""

    def all(self, sql: str, params: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """Run a SELECT (or a statement with RETURNING) and give all rows."""

    def one(self, sql: str, params: Sequence[Any] = ()) -> tuple[Any, ...] | None:
        """The first row, or ``None``."""

    def run(self, sql: str, params: Sequence[Any] = ()) -> int:
        """Run a statement; answers the number of rows it changed."""

    def run_many(self, sql: str, rows: Iterable[Sequence[Any]]) -> None:
        """Run a statement once a row."""

    def insert(self, sql: str, params: Sequence[Any] = ()) -> int:
        """Run an INSERT; answers the id of the new row."""

    def iterate(self, sql: str, params: Sequence[Any] = ()) -> Iterable[tuple[Any, ...]]:
        """Rows as they are found, for scans that may stop early."""

    def on_flush(self, callback: Callable[[], None]) -> None:
        """Call back on the event loop once this unit is durable; never, if it is rolled back."""

    def on_rollback(self, callback: Callable[[], None]) -> None:
        """Call back (on the connection's thread) if this unit does not last."""


class Snapshot(Protocol):
    """A version of the database, held for several reads."""

    async def read(self, unit: Callable[[Tx], T]) -> T:
        """Run a unit at this version."""


class Database(Protocol):
    """A database that runs units of work."""

    async def write(self, unit: Callable[[Tx], T], *, quick: bool = False) -> T:
        """Run a unit in the one writer; returns when what it wrote is durable.

        ``quick``: it may run on the event loop (the flush never does). Whatever the unit raises is raised
        here, and nothing that it wrote remains.

        Raises:
            Unavailable: the disk is full or not writable, or the server is shutting down.
            ResourceExhausted: too many units are waiting.
        """

    async def read(
        self, unit: Callable[[Tx], T], *, quick: bool = False, seconds: float | None = None
    ) -> T:
        """Run a unit at one version of the database, which includes every write that was acknowledged.

        ``quick``: it may run on the event loop; it may raise :class:`NotQuick` there. ``seconds``: how long
        it may wait and run; such a unit must bear to be stopped and begun again, and calls ``tx.check``
        where it can be long. It also ends when whoever waits for it is cancelled.

        Raises:
            DeadlineExceeded: the time is over.
            Unavailable, ResourceExhausted: as for :meth:`write`.
        """

    def snapshot(self) -> Any:
        """``async with database.snapshot() as snapshot``: a version held over several reads."""

    async def close(self) -> None:
        """Finish what is waiting, then close every connection, the writer's last."""
