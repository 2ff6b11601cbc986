"""Reads that are long: they have a time, they end when nobody waits, and small ones do not wait for them."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from baas.db.sqlite import SqliteDatabase
from baas.db.unit import Tx
from baas.errors import DeadlineExceeded

ENDLESS = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT count(*) FROM n"


class LongUnit:
    """A unit that goes on until it is let go, or stopped."""

    def __init__(self) -> None:
        self.begun = 0
        self.is_long = threading.Event()
        self.stopped = threading.Event()
        self.let_go = threading.Event()

    def __call__(self, tx: Tx) -> str:
        self.begun += 1
        if self.begun > 1:
            self.is_long.set()
        try:
            while not self.let_go.is_set():
                tx.check()
        except BaseException:
            if self.begun > 1:
                self.stopped.set()
            raise
        return "done"


def small(tx: Tx) -> int:
    row = tx.one("SELECT count(*) FROM databases")
    assert row is not None
    return int(row[0])


async def happens(event: threading.Event) -> None:
    assert await asyncio.to_thread(event.wait, 30)


@contextmanager
def long_units(count: int) -> Iterator[list[LongUnit]]:
    units = [LongUnit() for _ in range(count)]
    try:
        yield units
    finally:
        for unit in units:
            unit.let_go.set()


async def test_a_small_read_does_not_wait_for_long_ones(database: SqliteDatabase) -> None:
    with long_units(8) as units:
        reads = [asyncio.create_task(database.read(unit, seconds=60)) for unit in units]
        assert await asyncio.wait_for(database.read(small, seconds=60), 30) == 0
        assert await asyncio.wait_for(database.read(small), 30) == 0
        assert not any(read.done() for read in reads)
    assert await asyncio.gather(*reads) == ["done"] * 8


async def test_a_read_ends_when_its_time_is_over(database: SqliteDatabase) -> None:
    with long_units(1) as (unit,):
        with pytest.raises(DeadlineExceeded, match=r"longer than the 0\.3 seconds"):
            await database.read(unit, seconds=0.3)
        await happens(unit.stopped)


async def test_the_time_of_a_read_passes_while_it_waits(database: SqliteDatabase) -> None:
    with long_units(2) as units:
        reads = [asyncio.create_task(database.read(unit, seconds=60)) for unit in units]
        for unit in units:
            await happens(unit.is_long)
        late = LongUnit()
        with pytest.raises(DeadlineExceeded):
            await database.read(late, seconds=0.3)
        assert late.begun == 1
    assert await asyncio.gather(*reads) == ["done"] * 2
    assert late.begun == 1


async def test_a_read_ends_in_the_middle_of_a_statement(database: SqliteDatabase) -> None:
    for _ in range(4):
        with pytest.raises(DeadlineExceeded):
            await database.read(lambda tx: tx.all(ENDLESS), seconds=0.3)
    assert await asyncio.wait_for(database.read(small), 30) == 0


async def test_a_read_ends_when_nobody_waits_for_it(database: SqliteDatabase) -> None:
    with long_units(1) as (unit,):
        read = asyncio.create_task(database.read(unit, seconds=60))
        await happens(unit.is_long)
        read.cancel()
        await happens(unit.stopped)


async def test_a_read_without_a_time_is_never_begun_again(database: SqliteDatabase) -> None:
    with long_units(1) as (unit,):
        read = asyncio.create_task(database.read(unit))
        long = asyncio.create_task(database.read(LongUnit(), seconds=0.5))
        with pytest.raises(DeadlineExceeded):
            await long
        unit.let_go.set()
        assert await read == "done"
        assert unit.begun == 1
