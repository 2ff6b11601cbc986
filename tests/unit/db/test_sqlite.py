"""The embedded engine: one writer, group commit, units that happen wholly or not at all."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
import threading
from pathlib import Path

import pytest
import sqlalchemy as sa

from baas.db.sqlite import SqliteDatabase
from baas.db.sqlite_connection import SqliteOptions
from baas.db.tables import documents as tables
from baas.db.unit import NotQuick, Tx
from baas.errors import NotFound, ResourceExhausted, Unavailable

INSERT = (
    "INSERT INTO databases (project, name, epoch, last_commit, oldest_change)"
    " VALUES (?, 'd', x'00', 0, 0)"
)


def names(tx: Tx) -> list[str]:
    return [row[0] for row in tx.all("SELECT project FROM databases ORDER BY project")]


async def test_a_write_is_seen_by_the_reads_after_it(database: SqliteDatabase) -> None:
    await database.write(lambda tx: tx.run(INSERT, ("p",)))
    assert await database.read(names) == ["p"]


async def test_a_unit_that_fails_leaves_nothing_and_its_neighbours_stay(
    database: SqliteDatabase,
) -> None:
    def failing(tx: Tx) -> None:
        tx.run(INSERT, ("bad",))
        raise NotFound("no such thing")

    outcomes = await asyncio.gather(
        database.write(lambda tx: tx.run(INSERT, ("a",))),
        database.write(failing),
        database.write(lambda tx: tx.run(INSERT, ("b",))),
        return_exceptions=True,
    )
    assert isinstance(outcomes[1], NotFound)
    assert await database.read(names) == ["a", "b"]


async def test_units_run_one_after_another_each_seeing_the_ones_before(
    database: SqliteDatabase,
) -> None:
    versions: list[int] = []

    def unit(tx: Tx) -> None:
        row = tx.one("SELECT count(*) FROM databases")
        assert row is not None
        versions.append(row[0])
        tx.run(INSERT, (f"p{len(versions)}",))

    await asyncio.gather(*(database.write(unit) for _ in range(50)))
    assert versions == list(range(50))


async def test_calls_after_the_flush_come_only_for_units_that_last(
    database: SqliteDatabase,
) -> None:
    calls: list[str] = []

    def lasting(tx: Tx) -> None:
        tx.on_flush(lambda: calls.append("flushed"))
        tx.on_rollback(lambda: calls.append("never"))

    def failing(tx: Tx) -> None:
        tx.on_flush(lambda: calls.append("never"))
        tx.on_rollback(lambda: calls.append("rolled back"))
        raise NotFound("no such thing")

    await asyncio.gather(database.write(lasting), database.write(failing), return_exceptions=True)
    assert sorted(calls) == ["flushed", "rolled back"]


async def test_a_snapshot_stays_at_its_version(database: SqliteDatabase) -> None:
    await database.write(lambda tx: tx.run(INSERT, ("a",)))
    async with database.snapshot() as snapshot:
        await database.write(lambda tx: tx.run(INSERT, ("b",)))
        assert await snapshot.read(names) == ["a"]
    assert await database.read(names) == ["a", "b"]


async def test_core_statements_and_text_share_the_transaction(database: SqliteDatabase) -> None:
    def unit(tx: Tx) -> list[str]:
        tx.core.execute(
            sa.insert(tables.databases).values(
                project="p", name="d", epoch=b"e", last_commit=0, oldest_change=0
            )
        )
        return names(tx)

    assert await database.write(unit) == ["p"]


async def test_a_core_statement_of_a_failed_unit_is_rolled_back(database: SqliteDatabase) -> None:
    def failing(tx: Tx) -> None:
        tx.core.execute(
            sa.insert(tables.databases).values(
                project="p", name="d", epoch=b"e", last_commit=0, oldest_change=0
            )
        )
        raise NotFound("no such thing")

    with pytest.raises(NotFound):
        await database.write(failing)
    assert await database.read(names) == []


async def test_reads_cannot_write(database: SqliteDatabase) -> None:
    with pytest.raises(sqlite3.OperationalError, match="readonly"):
        await database.read(lambda tx: tx.run(INSERT, ("p",)))


async def test_more_waiting_units_than_the_limit_are_refused(
    tmp_path: Path, migrated_file: Path
) -> None:
    path = tmp_path / "small.db"
    path.write_bytes(migrated_file.read_bytes())
    database = await SqliteDatabase.open(path, SqliteOptions(max_waiting=1))
    first = asyncio.ensure_future(database.write(names))
    second = asyncio.ensure_future(database.write(names))
    outcomes = await asyncio.gather(first, second, return_exceptions=True)
    await database.close()
    assert [type(outcome) for outcome in outcomes] == [list, ResourceExhausted]


async def test_closing_finishes_what_is_waiting_and_refuses_more(
    tmp_path: Path, migrated_file: Path
) -> None:
    path = tmp_path / "closing.db"
    path.write_bytes(migrated_file.read_bytes())
    database = await SqliteDatabase.open(path)
    waiting = asyncio.ensure_future(database.write(lambda tx: tx.run(INSERT, ("p",))))
    await asyncio.sleep(0)
    await database.close()
    assert await waiting == 1
    with pytest.raises(Unavailable):
        await database.read(names)


async def test_a_file_that_became_read_only_refuses_writes_and_reads_go_on(
    database: SqliteDatabase,
) -> None:
    """SQLite's own answer of a read-only file, brought about by its pragma."""
    writer = database._writer  # the fault is in the connection: there is no public way to break it

    async def make_read_only(on: bool) -> None:
        await writer.run(lambda: writer.raw.execute(f"PRAGMA query_only={on}").fetchall())

    await database.write(lambda tx: tx.run(INSERT, ("kept",)))
    await make_read_only(True)
    with pytest.raises(Unavailable, match="read-only"):
        await database.write(lambda tx: tx.run(INSERT, ("lost",)))
    assert await database.read(names) == ["kept"]
    await make_read_only(False)
    await database.write(lambda tx: tx.run(INSERT, ("later",)))
    assert await database.read(names) == ["kept", "later"]


async def test_a_call_after_the_flush_that_fails_does_not_keep_the_next_from_being_made(
    database: SqliteDatabase,
) -> None:
    calls: list[str] = []

    def unit(tx: Tx) -> None:
        tx.on_flush(lambda: calls.append(str(1 / 0)))
        tx.on_flush(lambda: calls.append("made"))

    await database.write(unit)
    assert calls == ["made"]


async def test_a_call_after_a_rollback_that_fails_does_not_stop_the_writer(
    database: SqliteDatabase,
) -> None:
    def failing(tx: Tx) -> None:
        tx.on_rollback(lambda: print(1 / 0))
        raise NotFound("no such thing")

    with pytest.raises(NotFound):
        await database.write(failing)
    await asyncio.wait_for(database.write(lambda tx: tx.run(INSERT, ("p",))), 10)


async def test_a_unit_that_ends_its_transaction_does_not_stop_the_readers(
    database: SqliteDatabase,
) -> None:
    for _ in range(4):
        with pytest.raises(Unavailable):
            await asyncio.wait_for(database.read(lambda tx: tx.all("COMMIT")), 10)
    assert await asyncio.wait_for(database.read(names), 10) == []


async def test_a_quick_unit_that_fails_leaves_nothing_and_its_neighbours_stay(
    database: SqliteDatabase,
) -> None:
    def failing(tx: Tx) -> None:
        tx.run(INSERT, ("bad",))
        raise NotFound("no such thing")

    outcomes = await asyncio.gather(
        database.write(failing, quick=True),
        database.write(lambda tx: tx.run(INSERT, ("a",)), quick=True),
        database.write(failing, quick=True),
        database.write(lambda tx: tx.run(INSERT, ("b",)), quick=True),
        database.write(lambda tx: tx.run(INSERT, ("c",))),
        return_exceptions=True,
    )
    assert [type(outcome) for outcome in outcomes] == [NotFound, int, NotFound, int, int]
    assert await database.read(names) == ["a", "b", "c"]


async def test_a_quick_read_sees_what_was_acknowledged_before_it(database: SqliteDatabase) -> None:
    seen = []
    for number in range(20):
        await asyncio.gather(
            database.read(names, quick=True),
            database.write(lambda tx, n=number: tx.run(INSERT, (f"p{n:02}",)), quick=True),  # type: ignore[misc]
        )
        seen.append(len(await database.read(names, quick=True)))
    assert seen == list(range(1, 21))


async def test_a_read_that_is_not_quick_after_all_is_run_again_on_a_thread(
    database: SqliteDatabase,
) -> None:
    loop_thread = threading.get_ident()

    def unit(tx: Tx) -> bool:
        if tx.quick:
            raise NotQuick
        return threading.get_ident() == loop_thread

    assert await database.read(unit, quick=True) is False


async def test_a_unit_that_ends_its_transaction_takes_none_of_the_others_with_it(
    database: SqliteDatabase,
) -> None:
    for _ in range(2):
        with pytest.raises(Unavailable):
            await asyncio.wait_for(database.write(lambda tx: tx.run("ROLLBACK"), quick=True), 10)
    await database.write(lambda tx: tx.run(INSERT, ("p",)), quick=True)
    assert await database.read(names) == ["p"]


async def test_quick_units_wait_on_the_thread_for_another_process_that_writes(
    database: SqliteDatabase,
) -> None:
    with contextlib.closing(sqlite3.connect(database._path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        writing = asyncio.create_task(database.write(lambda tx: tx.run(INSERT, ("p",)), quick=True))
        assert await database.read(names, quick=True) == []
        assert not writing.done()
        other.execute("COMMIT")
        assert await asyncio.wait_for(writing, 10) == 1
