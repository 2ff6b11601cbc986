"""The document store alone, without HTTP, auth and rules: what its own layer costs.

    python -m bench.documents [--documents 1000,10000,100000] [--seconds 2]

Creates, gets, updates and the example's query (``authorId == x`` by ``createdAt`` descending, limit 20), for
1 and 32 concurrent callers: operations a second, and CPU seconds of this process per 1,000 operations. Every
write is durable when it is counted.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import random
import resource
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from baas.access.principal import OWNER
from baas.db import schema
from baas.db.sqlite import SqliteDatabase
from baas.documents.service import DocumentStore
from baas.model.paths import DatabaseId, DocumentName
from baas.model.query import Direction, FieldFilter, Operator, Order, Query
from baas.model.values import Fields
from baas.model.write import Commit, Write, WriteKind

DATABASE = DatabaseId("bench")
AUTHORS = 50

Operation = Callable[[], Awaitable[object]]


class Open:
    """Lets everyone do everything."""

    def check_commit(self, *_: Any) -> None: ...

    def check_get(self, *_: Any) -> None: ...

    def check_query(self, *_: Any) -> None: ...


class Bench:
    """One store, and what to do with it."""

    def __init__(self, store: DocumentStore) -> None:
        self.store = store
        self.numbers = itertools.count()
        self.random = random.Random(1)

    def name(self, number: int) -> DocumentName:
        return DocumentName(DATABASE, ("posts", f"post-{number * 2654435761 % 2**32:08x}"))

    def fields(self, number: int) -> Fields:
        return {
            "authorId": f"user-{number % AUTHORS}",
            "title": f"The title of post number {number}",
            "body": "Lorem ipsum dolor sit amet, consectetur adipiscing elit. " * 3,
            "createdAt": 1_700_000_000_000 + number,
            "likes": number % 100,
            "published": True,
        }

    async def fill(self, count: int) -> None:
        have = next(self.numbers)
        for start in range(have, count, 500):
            numbers = range(start, min(start + 500, count))
            writes = tuple(
                Write(WriteKind.UPDATE, self.name(number), self.fields(number))
                for number in numbers
            )
            await self.store.commit(Commit(DATABASE, writes), OWNER)
        self.numbers = itertools.count(max(have, count))
        self.count = count

    async def create(self) -> None:
        number = next(self.numbers)
        write = Write(WriteKind.UPDATE, self.name(number), self.fields(number))
        await self.store.commit(Commit(DATABASE, (write,)), OWNER)

    async def update(self) -> None:
        name = self.name(self.random.randrange(self.count))
        write = Write(
            WriteKind.UPDATE, name, {"likes": self.random.randrange(10**6)}, mask=(("likes",),)
        )
        await self.store.commit(Commit(DATABASE, (write,)), OWNER)

    async def get(self) -> None:
        read = await self.store.get(self.name(self.random.randrange(self.count)), OWNER)
        assert read.value is not None

    async def query(self) -> None:
        author = f"user-{self.random.randrange(AUTHORS)}"
        result = await self.store.run_query(
            Query(
                DATABASE,
                (),
                "posts",
                where=FieldFilter(("authorId",), Operator.EQUAL, author),
                order_by=(Order(("createdAt",), Direction.DESCENDING),),
                limit=20,
            ),
            OWNER,
        )
        assert len(result.documents) == 20


async def measure(operation: Operation, callers: int, seconds: float) -> tuple[float, float, float]:
    """Operations a second, CPU seconds per 1,000, and the 99th percentile of latency in ms."""
    latencies: list[float] = []
    began, cpu = time.perf_counter(), cpu_seconds()
    end = began + seconds

    async def caller() -> None:
        while (before := time.perf_counter()) < end:
            await operation()
            latencies.append(time.perf_counter() - before)

    await asyncio.gather(*(caller() for _ in range(callers)))
    elapsed, used = time.perf_counter() - began, cpu_seconds() - cpu
    latencies.sort()
    count = len(latencies)
    return count / elapsed, used / count * 1_000, latencies[int(count * 0.99)] * 1_000


def cpu_seconds() -> float:
    """CPU that this process has used, in all threads."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


async def run(sizes: list[int], seconds: float) -> None:
    """Print the table."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "bench.db"
        schema.migrate_sqlite(path)
        database = await SqliteDatabase.open(path)
        store = DocumentStore(database, Open())
        bench = Bench(store)
        print("documents  operation  callers      ops/s   CPU s/1000    p99 ms")
        for size in sizes:
            await bench.fill(size)
            await bench.query()
            await store.indexes.finish()
            for callers in (1, 32):
                operations = (bench.get, bench.query, bench.update, bench.create)
                for operation in operations:
                    rate, cpu, p99 = await measure(operation, callers, seconds)
                    print(
                        f"{size:9d}  {operation.__name__:9s}  {callers:7d}  {rate:9.0f}"
                        f"  {cpu:11.3f}  {p99:8.2f}",
                        flush=True,
                    )
        await database.close()


def main() -> None:
    """Read the command line and run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--documents", default="1000,10000,100000")
    parser.add_argument("--seconds", type=float, default=2.0)
    arguments = parser.parse_args()
    sizes = [int(size) for size in arguments.documents.split(",")]
    asyncio.run(run(sizes, arguments.seconds))


if __name__ == "__main__":
    main()
